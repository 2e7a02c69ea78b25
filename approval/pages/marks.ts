// Texts that an agent has chosen, as a human has to see them: what is invisible, what turns or breaks a line, and what only looks like
// something else is shown as what it is.
import { type Html, html } from "./html.ts";

/** More spaces than this in a row, or more line feeds, are counted instead of drawn: they push what follows out of sight. */
const SPACES_DRAWN = 8;
const LINES_DRAWN = 3;
/** More combining marks than this on one letter are drawn over the lines above and below. Scripts that stack them use up to three. */
const COMBINING_DRAWN = 3;

/**
 * What is not drawn as it is. Controls, format characters (bidirectional ones among them, Unicode UAX #9), separators, surrogates, private
 * and unassigned characters, what is ignorable by default (fillers, variation selectors, tags), the blank Braille pattern; runs that are too
 * long; combining marks that have no letter in front of them.
 */
const SPECIAL = new RegExp(
  [
    ` {${SPACES_DRAWN + 1},}`,
    `\\n{${LINES_DRAWN + 1},}`,
    String.raw`(?! )[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Z}\p{Default_Ignorable_Code_Point}\u2800]`,
    String.raw`(?<=^|[\p{Z}\p{P}\p{S}\p{C}])\p{M}+`,
    `\\p{M}{${COMBINING_DRAWN + 1},}`,
  ].join("|"),
  "gu",
);

/** Labels of characters that are usual in texts. */
const LABELS: Readonly<Record<string, string>> = { "\n": "LF", "\r": "CR", "\t": "TAB" };

/** Names of those that people have heard of; the others have their number alone. */
const NAMES: Readonly<Record<number, string>> = {
  0: "null",
  8: "backspace",
  9: "tab",
  10: "line feed",
  13: "carriage return",
  27: "escape",
  32: "space",
  127: "delete",
  160: "no-break space",
  173: "soft hyphen",
  847: "combining grapheme joiner",
  1564: "Arabic letter mark",
  4447: "Hangul filler",
  6158: "Mongolian vowel separator",
  8203: "zero width space",
  8204: "zero width non-joiner",
  8205: "zero width joiner",
  8206: "left-to-right mark",
  8207: "right-to-left mark",
  8232: "line separator",
  8233: "paragraph separator",
  8234: "left-to-right embedding",
  8235: "right-to-left embedding",
  8236: "pop directional formatting",
  8237: "left-to-right override",
  8238: "right-to-left override",
  8288: "word joiner",
  8294: "left-to-right isolate",
  8295: "right-to-left isolate",
  8296: "first strong isolate",
  8297: "pop directional isolate",
  12288: "ideographic space",
  12644: "Hangul filler",
  65039: "variation selector",
  65279: "zero width no-break space",
};

/** Characters that are drawn in lines and columns and are no sign of anything. */
const USUAL = new Set(["\n", "\r", "\t"]);

/** A text with marks in place of what would not be seen, isolated from the direction of what stands around it. */
export function markText(text: string): Html {
  const parts: (string | Html)[] = [];
  let end = 0;
  for (const match of text.matchAll(SPECIAL)) {
    parts.push(text.slice(end, match.index), mark(match[0]));
    end = match.index + match[0].length;
  }
  parts.push(text.slice(end));
  return html`<bdi dir="ltr" class="text">${parts}</bdi>`;
}

/** How many characters of a text have been replaced by marks, line feeds and tabs not counted. */
export function countMarked(text: string): number {
  let count = 0;
  for (const [found] of text.matchAll(SPECIAL)) {
    if (found.startsWith("\n") || found.startsWith(" ")) continue;
    for (const character of found) if (!USUAL.has(character)) count++;
  }
  return count;
}

/** How many characters (code points) a text has, which is what a page says about it. */
export function countCharacters(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}

/** The first `characters` of a text. Never ends inside a character. */
export function firstCharacters(text: string, characters: number): string {
  let end = 0;
  let count = 0;
  for (const character of text) {
    if (count++ === characters) break;
    end += character.length;
  }
  return text.slice(0, end);
}

function mark(found: string): Html {
  const first = found.codePointAt(0) ?? 0;
  const characters = [...found];
  if (characters.length > 1 && characters.every((character) => character === characters[0])) {
    const counted = html`<span class="mark" title="${describe(first)}">${label(first)} × ${characters.length}</span>`;
    return first === 0x0a ? html`${counted}${"\n"}` : counted;
  }
  const marks = characters.map((character) => {
    const code = character.codePointAt(0) ?? 0;
    return html`<span class="mark" title="${describe(code)}">${label(code)}</span>${character === "\n" && "\n"}`;
  });
  return html`${marks}`;
}

function label(code: number): string {
  return LABELS[String.fromCodePoint(code)] ?? `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
}

function describe(code: number): string {
  const name = NAMES[code];
  const number = `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
  return name === undefined ? number : `${name}, ${number}`;
}
