// HTML from templates that escape what is put into them. There is one way to get text into a page unescaped, and it is a type of its own.

/** A piece of HTML that is safe to send: it was written in a template, and what was put into it was escaped. */
export class Html {
  readonly text: string;

  /** @param text HTML; only `html` and the files that hold it to its word make one */
  constructor(text: string) {
    this.text = text;
  }
}

/** What may stand in a template: texts and numbers are escaped, pieces of HTML are taken over, nothing is left out. */
export type Content = string | number | Html | undefined | false | readonly Content[];

const ESCAPES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
  "`": "&#96;",
};

/**
 * A tagged template that gives HTML. Values may stand in text and in attributes with double quotes; never in a tag's or an attribute's
 * name, in a script or in a style, which these pages do not have.
 */
export function html(parts: TemplateStringsArray, ...values: readonly Content[]): Html {
  let text = parts[0] ?? "";
  for (const [i, value] of values.entries()) text += contentText(value) + (parts[i + 1] ?? "");
  return new Html(text);
}

/** A text as it stands in HTML, in text or in a quoted attribute. */
export function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"'`]/g, (character) => ESCAPES[character] ?? "");
}

function contentText(value: Content): string {
  if (value === undefined || value === false) return "";
  if (value instanceof Html) return value.text;
  if (typeof value === "string") return escapeHtml(value);
  if (typeof value === "number") return String(value);
  return value.map(contentText).join("");
}
