// The scans over runs of bytes against a loop that is too simple to be wrong, from every start to every end.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Harness, TARGETS } from "./harness.ts";

/** RFC 8259 section 7: what may stand in a string as it is, here in one byte. */
const isPlain = (byte: number): boolean => byte >= 0x20 && byte < 0x80 && byte !== 0x22 && byte !== 0x5c;

/** RFC 8259 section 2. */
const isSpace = (byte: number): boolean => [0x20, 0x09, 0x0a, 0x0d].includes(byte);

/** No escape, and no byte with which a character can begin that is not seen. */
const isShown = (byte: number): boolean => byte < 0x7f && byte !== 0x5c;

/** HTML standard, section 9.2.6. */
const isInLine = (byte: number): boolean => byte !== 0x0a && byte !== 0x0d;

/** Nothing that some reader takes for the end of a line, and nothing that such a character begins with. */
const isOneLine = (byte: number): boolean => ![0x0a, 0x0d, 0x7f, 0xc2, 0xe2].includes(byte);

/** The scan, what it goes over, a byte that is that, and one that is not. */
const SCANS = [
  ["scanPlain", isPlain, 0x61, 0x22],
  ["scanSpace", isSpace, 0x20, 0x22],
  ["scanShown", isShown, 0x61, 0x5c],
  ["scanLine", isInLine, 0x61, 0x0d],
  ["scanOneLine", isOneLine, 0x61, 0xe2],
] as const;

const firstOther = (bytes: Uint8Array, from: number, to: number, goesOn: (byte: number) => boolean): number => {
  for (let at = from; at < to; at++) if (!goesOn(bytes[at]!)) return at;
  return to;
};

describe.each(TARGETS.flatMap((target) => SCANS.map((scan) => [target, ...scan] as const)))(
  "%s: %s",
  (target, name, goesOn, filler, stopper) => {
    const harness = new Harness(target);

    const check = (bytes: Uint8Array, from: number, to: number): void => {
      harness.withBytes(bytes, (address, exports) => {
        expect(exports[name](address + from, address + to) - address).toBe(firstOther(bytes, from, to, goesOn));
      });
    };

    test("stops at exactly the bytes that matter", () => {
      for (let byte = 0; byte < 256; byte++) {
        check(Uint8Array.of(byte), 0, 1);
        check(new Uint8Array(80).fill(filler).fill(byte, 20, 21), 0, 80);
      }
    });

    test("stops at each position of a run, from each start, and not behind its end", () => {
      const bytes = new Uint8Array(90).fill(filler);
      for (let stop = 0; stop < 90; stop += 7) {
        const run = Uint8Array.from(bytes);
        run[stop] = stopper;
        for (let from = 0; from <= 90; from += 3) for (let to = from; to <= 90; to++) check(run, from, to);
      }
    });

    test("gives the start of an empty range", () => {
      check(Uint8Array.of(stopper, filler), 0, 0);
      check(Uint8Array.of(filler, stopper), 1, 1);
    });

    test("agrees with the loop on any bytes", () => {
      const unit = fc.oneof(
        { weight: 8, arbitrary: fc.constant(filler) },
        { weight: 1, arbitrary: fc.constantFrom(0x20, 0x09, 0x0a, 0x0d, 0x22, 0x5c, 0x1f, 0x7f, 0x80, 0xc2, 0xe2) },
        { weight: 1, arbitrary: fc.nat(255) },
      );
      fc.assert(
        fc.property(fc.array(unit, { maxLength: 300 }), fc.nat(300), fc.nat(300), (list, one, other) => {
          const bytes = Uint8Array.from(list);
          const [from, to] = [one, other].map((at) => at % (bytes.length + 1)).sort((a, b) => a - b) as [
            number,
            number,
          ];
          check(bytes, from, to);
        }),
        { numRuns: 2000 },
      );
    });
  },
);

describe.each(TARGETS)("%s: scanText", (target) => {
  const harness = new Harness(target);
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

  const isWellFormed = (bytes: Uint8Array): boolean => {
    try {
      decoder.decode(bytes);
      return true;
    } catch {
      return false;
    }
  };

  /** The first byte that ends a run of characters a string can contain as they are. */
  const firstStop = (bytes: Uint8Array): number => {
    let at = 0;
    while (at < bytes.length) {
      const length = [1, 2, 3, 4].find(
        (each) => at + each <= bytes.length && isWellFormed(bytes.subarray(at, at + each)),
      );
      const byte = bytes[at]!;
      if (length === undefined || byte < 0x20 || byte === 0x22 || byte === 0x5c) return at;
      at += length;
    }
    return at;
  };

  const check = (bytes: Uint8Array): void => {
    harness.withBytes(bytes, (address, exports) => {
      const stop = exports.scanText(address, address + bytes.length) - address;
      const expected = firstStop(bytes);
      if (target === "simd") expect([bytes.toString(), stop]).toEqual([bytes.toString(), expected]);
      // Without SIMD it may stop at any character above ASCII in front of that.
      else expect(stop === expected || (stop < expected && bytes[stop]! >= 0xc2)).toBe(true);
    });
  };

  const characters = fc.constantFrom(
    "a",
    "b ",
    "\u00e9",
    "\u4e2d",
    "\uffff",
    "\u{1f600}",
    "\u{10ffff}",
    "\ud7ff",
    "\ue000",
    "\u0800",
    "\u0080",
  );
  const wrong = fc.constantFrom<readonly number[]>(
    [0x22],
    [0x5c],
    [0x1f],
    [0x00],
    [0x80],
    [0xbf],
    [0xc0, 0x80],
    [0xc1, 0xbf],
    [0xc2],
    [0xc2, 0x20],
    [0xc2, 0xc2],
    [0xe0, 0x80, 0x80],
    [0xe0, 0x9f, 0xbf],
    [0xe4, 0xb8],
    [0xe4, 0xb8, 0x20],
    [0xed, 0xa0, 0x80],
    [0xed, 0xbf, 0xbf],
    [0xf0, 0x8f, 0xbf, 0xbf],
    [0xf0, 0x9f, 0x98],
    [0xf4, 0x90, 0x80, 0x80],
    [0xf5, 0x80, 0x80, 0x80],
    [0xff],
  );
  const text = fc.array(characters, { maxLength: 120 }).map((list) => [...Buffer.from(list.join(""))]);

  test("stops at what is wrong, wherever it stands, and behind it nothing counts", () => {
    fc.assert(
      fc.property(text, wrong, text, (before, stop, after) => {
        check(Uint8Array.from([...before, ...stop, ...after]));
        check(Uint8Array.from([...before, ...stop]));
        check(Uint8Array.from(before));
      }),
      { numRuns: 3000 },
    );
  });

  test("at each byte of a text of many bytes, each other byte", () => {
    const bytes = Buffer.from(
      "\u4e2d\u00e9\u{1f600}plain ascii \u4e2d\u6587\u00e9\u00e9\u{10ffff}\ud7ff\ue000 end of it \u00ff.",
    );
    for (let at = 0; at < bytes.length; at++) {
      for (const byte of [
        0x00, 0x1f, 0x20, 0x22, 0x5c, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc2, 0xdf, 0xe0, 0xed, 0xef,
        0xf0, 0xf4, 0xf5,
      ]) {
        const changed = Uint8Array.from(bytes);
        changed[at] = byte;
        check(changed);
      }
    }
  });

  test("at each end of it", () => {
    const bytes = Buffer.from("\u4e2d\u00e9\u{1f600}".repeat(12));
    for (let end = 0; end <= bytes.length; end++) check(bytes.subarray(0, end));
  });
});
