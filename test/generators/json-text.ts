// JSON texts of our language in every spelling that it allows: random values, white space, escapes, number spellings and
// member order. All arbitraries give text, because the spelling is what is tested; bytes are one `Buffer.from` away.

import fc from "fast-check";

/** White space, often none. */
export const whiteSpace: fc.Arbitrary<string> = fc.oneof(
  { weight: 3, arbitrary: fc.constant("") },
  { weight: 1, arbitrary: fc.string({ unit: fc.constantFrom(" ", "\t", "\n", "\r"), maxLength: 4 }) },
);

/** Characters with emphasis on what readers treat apart: controls, quotes, the edges of UTF-8 and of the surrogates. */
const character: fc.Arbitrary<string> = fc.oneof(
  { weight: 4, arbitrary: fc.string({ unit: "grapheme-ascii", minLength: 1, maxLength: 1 }) },
  { weight: 2, arbitrary: fc.string({ unit: "binary", minLength: 1, maxLength: 1 }) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      ...'"\\/\b\f\n\r\t\0\u001f\u007f\u0080\u07ff\u0800\u2028\u2029\ud7ff\ue000\ufeff\uffff\u017f\u212a'.split(""),
      "\u{10000}",
      "\u{1f600}",
      "\u{10ffff}",
    ),
  },
);

/** String values; always well-formed, since "binary" and "grapheme" units are whole code points. */
export const stringValue = (maxLength = 12): fc.Arbitrary<string> => fc.string({ unit: character, maxLength });

const SHORT: Readonly<Record<string, string>> = {
  '"': '\\"',
  "\\": "\\\\",
  "/": "\\/",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
};

/** One code point in the spelling that `choice` picks: raw, short escape, or `\u` with digits in one of three cases. */
function spell(codePoint: string, choice: number): string {
  const mustEscape = codePoint === '"' || codePoint === "\\" || codePoint < " ";
  const short = SHORT[codePoint];
  if (choice < 4 && !mustEscape) return codePoint;
  if (choice < 5 && short !== undefined) return short;
  return codePoint
    .split("")
    .map((unit) => {
      const digits = unit.charCodeAt(0).toString(16).padStart(4, "0");
      if (choice % 3 === 0) return `\\u${digits.toUpperCase()}`;
      return `\\u${choice % 3 === 1 ? digits : digits[0]!.toUpperCase() + digits.slice(1)}`;
    })
    .join("");
}

/** A quoted spelling of exactly this string. */
export function spelled(value: string): fc.Arbitrary<string> {
  const codePoints = [...value];
  return fc
    .array(fc.nat(7), { minLength: codePoints.length, maxLength: codePoints.length })
    .map((choices) => `"${codePoints.map((codePoint, index) => spell(codePoint, choices[index]!)).join("")}"`);
}

/** A quoted spelling of some string. */
export const stringText: fc.Arbitrary<string> = stringValue().chain(spelled);

const digits = (minLength: number, maxLength: number) =>
  fc.string({ unit: fc.constantFrom(..."0123456789"), minLength, maxLength });

/** Any number that RFC 8259 section 6 allows, whether a double can hold it or not. */
export const numberText: fc.Arbitrary<string> = fc.oneof(
  fc.integer().map(String),
  fc.constantFrom("0", "-0", "0e0", "-0.0E-00", "1E+400", "-1e400", "1e-400", "1.0", "9007199254740993", "1e00000001"),
  fc
    .record({
      sign: fc.constantFrom("", "-"),
      whole: fc.oneof(
        fc.constant("0"),
        fc.tuple(fc.constantFrom(..."123456789"), digits(0, 24)).map(([first, rest]) => first + rest),
      ),
      fraction: fc.oneof(
        fc.constant(""),
        digits(1, 12).map((text) => `.${text}`),
      ),
      exponent: fc.oneof(
        fc.constant(""),
        fc
          .tuple(fc.constantFrom("e", "E"), fc.constantFrom("", "+", "-"), digits(1, 4))
          .map(([letter, sign, text]) => letter + sign + text),
      ),
    })
    .map(({ sign, whole, fraction, exponent }) => sign + whole + fraction + exponent),
);

/** A member: its name as a value, and its value as text. */
export type Member = readonly [name: string, value: fc.Arbitrary<string>];

/** An object with exactly these members, in random order, spelling and spacing. */
export function objectText(members: readonly Member[]): fc.Arbitrary<string> {
  return fc
    .tuple(
      fc.shuffledSubarray([...members.keys()], { minLength: members.length }),
      fc.tuple(...members.map(([name, value]) => memberText(spelled(name), value))),
      whiteSpace,
    )
    .map(([order, texts, inside]) => `{${order.map((index) => texts[index]!).join(",") || inside}}`);
}

const memberText = (name: fc.Arbitrary<string>, value: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc
    .tuple(whiteSpace, name, whiteSpace, whiteSpace, value, whiteSpace)
    .map(
      ([before, key, beforeColon, afterColon, text, after]) =>
        `${before}${key}${beforeColon}:${afterColon}${text}${after}`,
    );

/** An array with these elements in their order. */
export function arrayText(elements: readonly fc.Arbitrary<string>[]): fc.Arbitrary<string> {
  return fc
    .tuple(fc.tuple(...elements.map((element) => fc.tuple(whiteSpace, element, whiteSpace))), whiteSpace)
    .map(([texts, inside]) => `[${texts.map((text) => text.join("")).join(",") || inside}]`);
}

/** A value of any kind, containers at most `depth` deep. */
export function valueText(depth = 3): fc.Arbitrary<string> {
  const scalar = fc.oneof(stringText, numberText, fc.constantFrom("true", "false", "null"));
  if (depth === 0) return scalar;
  return fc.oneof(
    { weight: 3, arbitrary: scalar },
    { weight: 1, arbitrary: fc.array(fc.constant(valueText(depth - 1)), { maxLength: 4 }).chain(arrayText) },
    { weight: 1, arbitrary: anyObjectText(depth) },
  );
}

/** An object with any members, no two of the same name, containers at most `depth` deep. */
export function anyObjectText(depth = 3): fc.Arbitrary<string> {
  const name = fc.oneof(stringValue(6), fc.constantFrom("", "name", "method", "params", "id", "__proto__", "0", "a/b"));
  return fc
    .uniqueArray(name, { maxLength: 5 })
    .chain((names) => objectText(names.map((each) => [each, depth === 0 ? numberText : valueText(depth - 1)])));
}

/** A whole body of our language: one object, with white space around it. */
export const bodyText: fc.Arbitrary<string> = fc
  .tuple(whiteSpace, anyObjectText(), whiteSpace)
  .map(([before, object, after]) => before + object + after);
