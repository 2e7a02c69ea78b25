// Strings with many escapes, which are read 64 bytes at a time, against the byte machine: same error at the same offset, or accepted by both.
// Method: escapes of every kind at every place in a block and across two of them, each byte of such a text replaced, and random ones.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Harness } from "./harness.ts";

const blocks = new Harness("simd");
const bytewise = new Harness("scalar");

/** More than what must lie behind a string for blocks to be tried up to its end. */
const PADDING = " ".repeat(160);
/** Enough escapes for blocks to be tried. */
const LEAD = String.raw`\n\n\n\n`;

const bodyOf = (text: Uint8Array): Buffer =>
  Buffer.concat([Buffer.from('{"a":"'), text, Buffer.from(`","b":"${LEAD}\\u0041"}${PADDING}`)]);

/** Reads `text` as a string's; gives what both say. */
function verdict(text: Uint8Array): string {
  const body = bodyOf(text);
  const found = blocks.read(body, [], 0);
  const expected = bytewise.read(body, [], 0);
  const saidOf = ({ error, offset }: typeof found): string => (error === "none" ? error : `${error} at ${offset}`);
  if (saidOf(found) !== saidOf(expected)) expect([body.toString("latin1"), saidOf(found)]).toEqual([saidOf(expected)]);
  return saidOf(expected);
}

const verdictOf = (text: string): string => verdict(Buffer.from(text));

describe("at every place in a block", () => {
  const PLACES = Array.from({ length: 140 }, (_, index) => "x".repeat(index));

  test.each([
    String.raw`\"`,
    String.raw`\\`,
    String.raw`\/\b\f\n\r\t`,
    String.raw`\u0000`,
    String.raw`\u00e9`,
    String.raw`\uABCD\uabcd\u0123\u4567\u89ef\uEF01`,
    String.raw`\ud7ff\ue000\uD7FF\uE000`,
    String.raw`\ud83d\ude00`,
    String.raw`\uD800\uDC00\udbff\udfff`,
    String.raw`\\u12`,
    String.raw`\\ud800`,
    `${"\\\\".repeat(40)}\\u0041`,
    `${"\\\\".repeat(33)}u1`,
    "\u00e9\\n\u00e9",
    "d800 u d83d \\\\",
    ...Array.from({ length: 12 }, (_, index) => `${"\\".repeat(2 * index + 1)}n`),
  ])("accepted: %s", (written) => {
    for (const place of PLACES) {
      expect(verdictOf(LEAD + place + written)).toBe("none");
      expect(verdictOf(LEAD + place + written + "y".repeat(70))).toBe("none");
      expect(verdictOf(LEAD + place + written + written)).toBe("none");
    }
  });

  test.each([
    "\\x",
    "\\U0041",
    "\\\u0001",
    "\\\u00e9",
    "\n",
    "\\u",
    "\\u004",
    "\\u004g",
    "\\u00\\n1",
    "\\uD83D",
    "\\uD83Dx",
    "\\uD83D\\n",
    "\\uD83D\\u0041",
    "\\uD83D\\uD83D\\uDE00",
    "\\uDE00",
    "\\uDE00\\uD83D",
    "\\ud83d\\\\ude00",
    "\\u00e9\\ud83d\u00e9\\ude00",
  ])("refused: %j", (written) => {
    for (const place of PLACES) {
      for (const behind of ["", "\\n", "y".repeat(70), `${"y".repeat(6)}\\udE00`]) {
        expect(verdictOf(LEAD + place + written + behind)).toMatch(/ at \d+$/);
      }
    }
  });
});

test("each byte of a text replaced", () => {
  const unit = String.raw`\"a\\\\\/\u00e9x\ud83d\ude00\tdc00\uD7FF\\u12 bu`;
  const text = Buffer.from(LEAD + unit.repeat(5));
  for (const byte of Buffer.from('\\"u/dD8cCgb0:\u0000\u001f \u007f')) {
    for (let at = 0; at < text.length; at++) verdict(Buffer.from(text).fill(byte, at, at + 1));
  }
  for (const byte of [0x80, 0xa9, 0xc3, 0xe2, 0xff]) {
    for (let at = 0; at < text.length; at++) verdict(Buffer.from(text).fill(byte, at, at + 1));
  }
});

test("random texts", () => {
  const piece = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.constantFrom("\\n", "\\\\", '\\"', "\\u0041", "\\ud83d\\ude00", "\\ud7ff", "x", "ud8dc"),
    },
    { weight: 3, arbitrary: fc.nat(70).map((count) => "y".repeat(count)) },
    {
      weight: 1,
      arbitrary: fc.constantFrom("\\", "u", "\\ud83d", "\\udc00", '"', "\u00e9", "\u0001", "\\u00", "d", "8"),
    },
  );
  fc.assert(
    fc.property(fc.array(piece, { minLength: 1, maxLength: 40 }), (pieces) => {
      verdictOf(LEAD + pieces.join(""));
    }),
    { numRuns: 20_000 },
  );
});
