// JSON texts in every spelling that the grammar has: white space, escapes, the order of members, numbers. And texts that are nearly JSON.
import fc from "fast-check";

/** Pieces of strings: characters on both sides of each border between encodings, and their escapes. */
const PIECES = [
  ..."aAbz09 /!#[]{}:,",
  ..."\u007f\u0080\u00e9\u07ff\u0800\u2028\u202e\ud7ff\ue000\uff61\ufeff\uffff\u{10000}\u{1f600}\u{10ffff}",
  ...['\\"', "\\\\", "\\/", "\\b", "\\f", "\\n", "\\r", "\\t"],
  ...["\\u0000", "\\u001F", "\\u0022", "\\u005c", "\\u0061", "\\u007F", "\\u00e9", "\\uff61", "\\uFFFF"],
  ...["\\ud800\\udc00", "\\uD83D\\uDE00", "\\udbff\\udfff"],
];
const NUMBERS = ["0", "-0", "1", "10", "1.0", "0.10", "-1E2", "1e+2", "1e-07", "1e999", "9007199254740993"];

/** Pieces that do not belong there, or only at some places. */
const INTRUDERS = [
  ...'"\\{}[]:,0-.eE+ \n\t',
  ..."\u0000\u0001\u001f\ufeff",
  ...["\\u", "\\ud800", "\\udc00", "\\u12", "true", "nul", '"a":1,', '"a":', ",,", "01"],
];

const space = fc.constantFrom("", "", "", " ", "\n", "\t\r\n ");
const padded = (text: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc.tuple(space, text, space).map((parts) => parts.join(""));
const string = fc.array(fc.constantFrom(...PIECES), { maxLength: 6 }).map((pieces) => `"${pieces.join("")}"`);
const scalar = fc.oneof(string, fc.constantFrom(...NUMBERS), fc.constantFrom("true", "false", "null"));

const { value } = fc.letrec<{ value: string; object: string; array: string }>((tie) => ({
  value: padded(fc.oneof({ maxDepth: 5, withCrossShrink: true }, scalar, tie("object"), tie("array"))),
  object: fc
    .uniqueArray(fc.tuple(fc.oneof(string, fc.constant('"guard.approval"')), padded(fc.constant(":")), tie("value")), {
      maxLength: 12,
      // Two spellings of one name are one name.
      selector: ([name]) => JSON.parse(name) as string,
    })
    .chain((members) =>
      around(
        members.map((parts) => parts.join("")),
        "{",
        "}",
      ),
    ),
  array: fc.array(tie("value"), { maxLength: 5 }).chain((elements) => around(elements, "[", "]")),
}));

/** A JSON text. */
export const jsonText: fc.Arbitrary<string> = value;

/** A JSON text with some pieces put in, taken away or replaced: mostly none any more. */
export const nearlyJsonText: fc.Arbitrary<string> = fc
  .tuple(
    jsonText,
    fc.array(fc.tuple(fc.nat(), fc.nat(2), fc.constantFrom("", ...INTRUDERS)), { minLength: 1, maxLength: 3 }),
  )
  .map(([text, changes]) =>
    changes.reduce((changed, [place, length, piece]) => {
      const characters = Array.from(changed);
      characters.splice(place % (characters.length + 1), length, piece);
      return characters.join("");
    }, text),
  );

function around(items: readonly string[], open: string, close: string): fc.Arbitrary<string> {
  return space.map((inside) => `${open}${inside}${items.join(",")}${close}`);
}
