// A JSON value as people read it: every name and every text of it, numbers as they were spelled, and nothing cut without a word.
import type { JsonNode } from "../../src/approval/canonical.ts";
import { type Html, html } from "./html.ts";
import { lookalikeHints } from "./lookalikes.ts";
import { countCharacters, countMarked, firstCharacters, markText } from "./marks.ts";

/** A text that is longer, or has more lines, is folded: its beginning and its length are shown, and all of it on a click. */
const CHARACTERS_UNFOLDED = 400;
const LINES_UNFOLDED = 16;
/** Of a folded text, what is always seen. */
const CHARACTERS_OF_FOLDED = 160;
const PLAIN_NAME = /^[\w$.-]+$/;
const LIKE_OTHER_KIND = /^(?:-?\d[\d.eE+-]*|true|false|null)$/;

/** What a reader should know about a value before reading it. */
export interface Survey {
  /** Texts that are folded. */
  folded: number;
  /** Characters that are shown as marks. */
  marked: number;
  /** Texts that may be taken for others. */
  doubtful: number;
}

/** A value as nested lists. Recursion goes as deep as the value, which the canonical form bounds. */
export function showValue(node: JsonNode): Html {
  switch (node.kind) {
    case "object":
      if (node.members.length === 0) return html`<span class="kind">empty object</span>`;
      return html`<span class="kind">object, ${counted(node.members.length, "member")}</span>
<ul class="members">${node.members.map(
        ({ name, value }) => html`
<li>${showName(name)} ${showValue(value)}</li>`,
      )}
</ul>`;
    case "array":
      if (node.elements.length === 0) return html`<span class="kind">empty list</span>`;
      return html`<span class="kind">list, ${counted(node.elements.length, "element")}</span>
<ol class="elements">${node.elements.map(
        (element) => html`
<li>${showValue(element)}</li>`,
      )}
</ol>`;
    case "string":
      return showString(node.value);
    case "number":
      return html`<code class="number">${node.text}</code>`;
    case "word":
      return html`<code class="word">${node.text}</code>`;
  }
}

/** What there is to know about a value. */
export function surveyValue(node: JsonNode, survey: Survey = { folded: 0, marked: 0, doubtful: 0 }): Survey {
  switch (node.kind) {
    case "object":
      for (const { name, value } of node.members) {
        surveyText(name, survey);
        surveyValue(value, survey);
      }
      break;
    case "array":
      for (const element of node.elements) surveyValue(element, survey);
      break;
    case "string":
      surveyText(node.value, survey);
      if (isFolded(node.value)) survey.folded++;
      break;
    default:
  }
  return survey;
}

/** Adds what there is to know about one text. */
export function surveyText(text: string, survey: Survey): void {
  survey.marked += countMarked(text);
  if (lookalikeHints(text).length > 0) survey.doubtful++;
}

/** A number with its noun. */
export function counted(count: number, noun: string): string {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}

/** A text of one line, with what is strange about it beside it. */
export function showText(text: string): Html {
  return html`${markText(text)}${hints(text)}`;
}

/** A name as it is, or in a box when it could be taken for more than a name: `dry_run: true` can be one. */
function showName(name: string): Html {
  if (name === "") return html`<span class="name"><span class="kind">empty name</span>:</span>`;
  const shown = PLAIN_NAME.test(name) ? markText(name) : html`<span class="string">${markText(name)}</span>`;
  return html`<span class="name">${shown}:</span>${hints(name)}`;
}

function hints(text: string): Html[] {
  return lookalikeHints(text).map((hint) => html` <span class="hint">${hint}</span>`);
}

function showString(value: string): Html {
  if (value === "") return html`<span class="kind">empty text</span>`;
  if (!isFolded(value)) {
    // Only the box tells this text from the number or the word that it looks like, and not everybody sees the box.
    const label = LIKE_OTHER_KIND.test(value) && html` <span class="kind">text</span>`;
    return html`<span class="string">${markText(value)}</span>${label}${hints(value)}`;
  }
  const characters = counted(countCharacters(value), "character");
  const lines = counted(value.split("\n").length, "line");
  return html`<details class="folded">
<summary>Text of ${characters} in ${lines}. It begins: <span class="string">${markText(beginning(value))}</span></summary>
<span class="string">${markText(value)}</span>
</details>${hints(value)}`;
}

function isFolded(value: string): boolean {
  return countCharacters(value) > CHARACTERS_UNFOLDED || value.split("\n").length > LINES_UNFOLDED;
}

/** The first characters of a text, and of its first lines. */
function beginning(value: string): string {
  return firstCharacters(value, CHARACTERS_OF_FOLDED).split("\n").slice(0, 4).join("\n");
}
