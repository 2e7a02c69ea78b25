// URIs under a root: harmless ones in every spelling that RFC 3986 and RFC 3987 allow, which no guard may refuse, and ones
// that climb out of the root in whatever way some reader would follow, which no guard may let pass.

import fc from "fast-check";

/** A run of characters that mean nothing to anybody. */
const word: fc.Arbitrary<string> = fc
  .array(
    fc.oneof(
      { weight: 6, arbitrary: fc.constantFrom(..."abcdefgxyzABCXYZ0123456789") },
      {
        weight: 1,
        arbitrary: fc.constantFrom("\u00e9", "\u6587", "\u0416", "\u{1f600}", "%C3%A9", "%e6%96%87", "%20"),
      },
    ),
    { minLength: 1, maxLength: 6 },
  )
  .map((parts) => parts.join(""))
  // What is encoded blank at the ends is no blank of the URI, but may be one of a token.
  .map((text) => `x${text}x`);

/** What may stand between two words of a segment; a percent sign is followed by what cannot be a digit. */
const joint: fc.Arbitrary<string> = fc.constantFrom(
  ...[
    ".",
    "-",
    "_",
    "~",
    "!",
    "$",
    "&",
    "'",
    "(",
    ")",
    "*",
    "+",
    ",",
    ";",
    "=",
    ":",
    "@",
    "",
    "%2F",
    "%3A",
    "%25-",
    "%25.",
  ],
  ...["%5B", "\u2026", "%E2%80%A6", "\u2215", "\u00ad", ".%20."],
);

const joined = (joints: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc
    .tuple(word, fc.array(fc.tuple(joints, word), { maxLength: 3 }))
    .map(([first, rest]) => first + rest.map((pair) => pair.join("")).join(""));

const segment = fc.tuple(fc.constantFrom("", "", "."), joined(joint)).map((parts) => parts.join(""));

const query = fc.oneof(
  fc.constant(""),
  fc.constantFrom("?", "#", "?x=%2e", "?x=.", "?u=http://h/x", "#x=y?z"),
  joined(fc.constantFrom("=", "&", "/", "?", ".", "%3D")).map((text) => `?${text}`),
  joined(fc.constantFrom("/", "?", ".", "-")).map((text) => `#${text}`),
);

/** The part behind a root that ends in `/`, one to four segments, perhaps with a query or a fragment. */
const harmlessRest: fc.Arbitrary<string> = fc
  .tuple(fc.array(segment, { minLength: 1, maxLength: 4 }), fc.constantFrom("", "/"), query)
  .map(([segments, slash, end]) => segments.join("/") + slash + end);

/** A URI under `root`, which ends in `/`, that passes in both modes. */
export const harmlessUri = (root: string): fc.Arbitrary<string> => harmlessRest.map((rest) => root + rest);

const percent = (text: string): string =>
  [...Buffer.from(text, "utf8")].map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join("");

/** A character as it is, or as its bytes, in digits of one of two cases. */
const spelledAs = (text: string): readonly string[] => [text, percent(text), percent(text).toUpperCase()];

const DOTS = [".", "\u2024", "\ufe52", "\uff0e"].flatMap(spelledAs);
const LONG_DOTS = ["\u2025", "\u2026"].flatMap(spelledAs);
const INVISIBLE = ["\u00ad", "\u200b", "\u200c", "\u200d", "\u2060", "\ufeff"].flatMap(spelledAs);
const SLASHES = ["/", "\\", "\uff0f", "\u2044", "\u2215", "\u29f8", "\uff3c", "\u2216", "\ufe68"].flatMap(spelledAs);

const noise: fc.Arbitrary<string> = fc.oneof(
  { weight: 4, arbitrary: fc.constant("") },
  { weight: 1, arbitrary: fc.constantFrom(...INVISIBLE) },
);

/** A segment of two dots or more. */
const climb: fc.Arbitrary<string> = fc
  .tuple(
    fc.oneof(
      fc.array(fc.tuple(noise, fc.constantFrom(...DOTS)), { minLength: 2, maxLength: 4 }),
      fc.constantFrom(...LONG_DOTS).map((dots) => [["", dots] as [string, string]]),
    ),
    noise,
    fc.constantFrom("", "", "", "%20", ";x=1", ";"),
  )
  .map(([dots, last, after]) => dots.map((pair) => pair.join("")).join("") + last + after);

/** Encodes what is encoded once more. */
const encodedAgain = (text: string, rounds: number): string =>
  Array.from({ length: rounds }).reduce<string>((spelling) => spelling.replaceAll("%", "%25"), text);

/**
 * A URI that climbs above `root`, which ends in `/`, for some reader: dots in any spelling, slashes in any spelling, encoded
 * up to five times. Refused in both modes.
 */
export const climbingUri = (root: string): fc.Arbitrary<string> =>
  fc
    .tuple(
      fc.array(fc.tuple(segment, fc.constantFrom(...SLASHES)), { maxLength: 2 }),
      fc.array(fc.tuple(climb, fc.constantFrom(...SLASHES)), { minLength: 1, maxLength: 3 }),
      fc.option(segment, { nil: "" }),
      fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 2, arbitrary: fc.nat(4) }),
    )
    .map(
      ([before, climbs, after, rounds]) =>
        root + encodedAgain([...before, ...climbs].map((pair) => pair.join("")).join("") + after, rounds),
    );

/** Pieces at which readers of URIs change their mind. */
const PIECES = [
  ...[
    ".",
    ".",
    "..",
    "...",
    "/",
    "/",
    "//",
    "\\",
    ";",
    "?",
    "#",
    "&",
    "=",
    ":",
    "@",
    ",",
    "{",
    "}",
    "{x}",
    "%",
    "%2",
    "%25",
  ],
  ...[
    "%2e",
    "%2E",
    "%252e",
    "%2f",
    "%2F",
    "%5c",
    "%00",
    "%09",
    "%20",
    "%7f",
    "%c0%ae",
    "%c3",
    "%e2%80%a5",
    "%ff",
    "%41",
    "%zz",
  ],
  ...["\u2025", "\u2026", "\uff0e", "\uff0f", "\u2215", "\u00ad", "\u200b", "\ufeff", "\u00e9", "\u{1f600}", "\u3000"],
  ...[
    " ",
    "\t",
    "\n",
    "\0",
    "\u007f",
    "a",
    "b",
    "x1",
    "C:",
    "|",
    "<",
    '"',
    "^",
    "`",
    "~",
    "+",
    "-",
    "localhost",
    "u@h",
    "proc",
  ],
] as const;

const START = [
  ...[
    "file:///docs/",
    "file:///docs/",
    "file:///docs/",
    "file:///docs",
    "file:///",
    "file://",
    "file:/",
    "FILE:///docs/",
  ],
  ...["mcp://logs/", "mcp://logs", "urn:x:", "custom:", "", "../", "file:///proc/", "file:///docs/.", "https://h:80/a"],
] as const;

/** Any text that is nearly a URI. */
export const nearlyUri: fc.Arbitrary<string> = fc
  .tuple(fc.constantFrom(...START), fc.array(fc.constantFrom(...PIECES), { maxLength: 8 }))
  .map(([start, pieces]) => start + pieces.join(""));

/** The roots that `nearlyUri` plays with. */
export const NEARLY_ROOTS = ["file:///docs/", "mcp://logs", "urn:x:", "custom:"] as const;
