// Hints about texts that may be taken for others: letters of several alphabets in one word, and letters that are drawn like ASCII ones. Hints, no
// more: what is not found here may still deceive, and what is found may be somebody's language.

/** Alphabets whose letters are drawn like those of one another. */
const ALPHABETS: readonly (readonly [string, RegExp])[] = [
  ["Latin", /\p{Script=Latin}/u],
  ["Greek", /\p{Script=Greek}/u],
  ["Cyrillic", /\p{Script=Cyrillic}/u],
  ["Armenian", /\p{Script=Armenian}/u],
  ["Cherokee", /\p{Script=Cherokee}/u],
];

/** Greek and Cyrillic letters that nobody can tell from Latin ones (Unicode UTS #39, the table of confusables, the part that is drawn alike). */
const LIKE_LATIN = /^[АВЕЅІЈКМНОРСТУХаеѕіјорсухԁԛԝһΑΒΕΖΗΙΚΜΝΟΡΤΥΧνοϲϳ]+$/u;

const WORD = /[\p{L}\p{M}\p{N}_]+/gu;

/** What is strange about a text, each in a few words; an empty list for almost every text. */
export function lookalikeHints(text: string): string[] {
  // Nothing of this can be said about ASCII, which most texts are.
  if (/^[\0-\x7f]*$/.test(text)) return [];
  const hints = new Set<string>();
  for (const [word] of text.matchAll(WORD)) {
    const alphabets = ALPHABETS.filter(([, letters]) => letters.test(word)).map(([name]) => name);
    if (alphabets.length > 1) hints.add(`letters of several alphabets in one word: ${alphabets.join(", ")}`);
    else if (LIKE_LATIN.test(word)) hints.add(`${alphabets.join("")} letters that look like Latin ones`);
  }
  // UAX #15: what compatibility turns into ASCII (full-width letters, mathematical ones, ligatures) was drawn like it.
  if ([...text].some((character) => character > "\x7f" && /^[!-~]+$/.test(character.normalize("NFKC")))) {
    hints.add("characters that look like ASCII and are not");
  }
  return [...hints];
}
