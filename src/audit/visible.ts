// Names and texts that clients and servers have chosen, made visible. What a reader cannot see, or sees at another place
// than where it stands, is shown as an escape.

/**
 * Characters that are invisible, that break or turn a line (Unicode UAX #9), or that nobody can tell from a space: controls, format characters,
 * separators, private and unassigned ones, lone surrogates, and what is ignorable by default (fillers, variation selectors, tags).
 */
const HIDDEN = /(?! )[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Z}\p{Default_Ignorable_Code_Point}\u2800]/gu;

/** Words that a YAML reader, of 1.1 or 1.2, takes for something else than a string. */
const YAML_WORDS = new Set(["true", "false", "null", "yes", "no", "on", "off", "y", "n"]);

/** Whether a text has characters that are not seen as they are. */
export function hasHidden(text: string): boolean {
  return text.search(HIDDEN) >= 0;
}

/** A text for people, on one line: as it is when it is one plain word, else in quotes with escapes. */
export function visible(text: string): string {
  return /^[^\s"\\]+$/.test(text) && !hasHidden(text) ? text : quoted(text);
}

/** A string as a scalar of YAML 1.2 that every reader takes for this string: plain when it is an ordinary name, else in double quotes. */
export function yamlString(text: string): string {
  const isPlain = /^[A-Za-z][\w-]*(?:[./][\w-]+)*$/.test(text) && !YAML_WORDS.has(text.toLowerCase());
  return isPlain ? text : quoted(text);
}

/** In double quotes. The escapes are those that JSON and YAML share, but for characters above U+FFFF, which YAML writes with one escape. */
function quoted(text: string): string {
  const inner = text.replaceAll(/["\\]/g, "\\$&").replaceAll(HIDDEN, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return code > 0xffff ? `\\U${code.toString(16).padStart(8, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`;
  });
  return `"${inner}"`;
}
