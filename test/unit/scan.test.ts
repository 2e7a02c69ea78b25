// The scans over runs of bytes against a loop that is too simple to be wrong, from every start to every end.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Harness } from "./harness.ts";

const harness = new Harness();

/** RFC 8259 section 7: what may stand in a string as it is, here in one byte. */
const isPlain = (byte: number): boolean => byte >= 0x20 && byte < 0x80 && byte !== 0x22 && byte !== 0x5c;

/** RFC 8259 section 2. */
const isSpace = (byte: number): boolean => [0x20, 0x09, 0x0a, 0x0d].includes(byte);

const SCANS = [
  ["scanPlain", isPlain, 0x61],
  ["scanSpace", isSpace, 0x20],
] as const;

const firstOther = (bytes: Uint8Array, from: number, to: number, goesOn: (byte: number) => boolean): number => {
  for (let at = from; at < to; at++) if (!goesOn(bytes[at]!)) return at;
  return to;
};

describe.each(SCANS)("%s", (name, goesOn, filler) => {
  const check = (bytes: Uint8Array, from: number, to: number): void => {
    harness.withBytes(bytes, (address, exports) => {
      expect(exports[name](address + from, address + to) - address).toBe(firstOther(bytes, from, to, goesOn));
    });
  };

  test("stops at exactly the bytes that matter", () => {
    for (let byte = 0; byte < 256; byte++) check(Uint8Array.of(byte), 0, 1);
  });

  test("stops at each position of a run, from each start, and not behind its end", () => {
    const bytes = new Uint8Array(40).fill(filler);
    for (let stop = 0; stop < 40; stop++) {
      const run = Uint8Array.from(bytes);
      run[stop] = 0x22;
      for (let from = 0; from <= 40; from += 3) for (let to = from; to <= 40; to++) check(run, from, to);
    }
  });

  test("gives the start of an empty range", () => {
    check(Uint8Array.of(0x22, filler), 0, 0);
    check(Uint8Array.of(filler, 0x22), 1, 1);
  });

  test("agrees with the loop on any bytes", () => {
    const unit = fc.oneof(
      { weight: 8, arbitrary: fc.constant(filler) },
      { weight: 1, arbitrary: fc.constantFrom(0x20, 0x09, 0x0a, 0x0d, 0x22, 0x5c, 0x1f, 0x7f, 0x80) },
      { weight: 1, arbitrary: fc.nat(255) },
    );
    fc.assert(
      fc.property(fc.array(unit, { maxLength: 300 }), fc.nat(300), fc.nat(300), (list, one, other) => {
        const bytes = Uint8Array.from(list);
        const [from, to] = [one, other].map((at) => at % (bytes.length + 1)).sort((a, b) => a - b) as [number, number];
        check(bytes, from, to);
      }),
      { numRuns: 2000 },
    );
  });
});
