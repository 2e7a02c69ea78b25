// The streaming reader against the reference reader: same error, same offset, same events, wherever the text is cut. Method:
// the written vectors, JSONTestSuite, and generated and mutated texts; each whole, one byte at a time, at every cut while
// it is short and at random ones when it is long.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { asMember, jsonTestSuite } from "../corpus/json-test-suite.ts";
import { HOSTILE_FAMILIES } from "../generators/hostile.ts";
import { bodyText } from "../generators/json-text.ts";
import { mutatedBody } from "../generators/mutate.ts";
import { readStrictJson, STRICT_LIMITS, type StrictLimits } from "../oracle/strict-json.ts";
import { JSON_VECTORS } from "../vectors/json.ts";
import { DEFAULT_BOUNDS, Harness, type Reading } from "./harness.ts";

const EVERY_CUT_BYTES = 200;
/** Texts of this many bytes and more are given to the reader in a few pieces only. */
const BYTEWISE_BYTES = 20_000;
/** The harness keeps this much of a string's or a number's text. */
const CAPTURE_BYTES = 4096;

const harness = new Harness();
/** The same reader as it is compiled for hosts without SIMD: the byte machine alone. */
const scalar = new Harness("scalar");
/** Enough behind a text for the machine that runs over whole tokens to be used to its end. */
const PADDING = Buffer.alloc(80, " ");

/**
 * A reading as text, so that a difference is shown where it is. The reader ends a zero before the digit that it refuses
 * behind it, the reference refuses the number: that one event is left out.
 */
function shown(text: Uint8Array, reading: Reading): string[] {
  const last = reading.events.at(-1);
  const isZero = last?.token === "number" && /^-?0$/.test(last.text) && last.end === reading.offset;
  const hasDigit = /[0-9]/.test(String.fromCharCode(text[reading.offset] ?? 0));
  const events = isZero && hasDigit ? reading.events.slice(0, -1) : reading.events;
  const lines = events.map(({ token, start, text }) => `${start} ${token} ${kept(text)}`);
  return reading.error === "none" ? lines : [...lines, `${reading.error} at ${reading.offset}`];
}

function reference(text: Uint8Array, limits: Partial<StrictLimits>): string[] {
  const result = readStrictJson(text, limits);
  const lines = result.events.map(([start, kind, value]) => `${start} ${kind} ${kept(value)}`);
  return result.ok ? lines : [...lines, `${result.error} at ${result.offset}`];
}

/** What both keep of a text; a character that is cut by the capture is left out. */
function kept(text: string): string {
  return Buffer.byteLength(text) < CAPTURE_BYTES ? text : text.slice(0, CAPTURE_BYTES / 4);
}

function* cutsOf(bytes: number, random: readonly number[]): Generator<number[]> {
  yield [];
  yield random.map((fraction) => Math.floor(fraction * bytes)).sort((one, other) => one - other);
  if (bytes <= EVERY_CUT_BYTES) for (let cut = 0; cut <= bytes; cut++) yield [cut];
  else for (const fraction of random) yield [Math.floor(fraction * bytes)];
}

/** Compares the readers on one text, at all the cuts. Gives the outcome. */
function compare(
  text: Uint8Array,
  limits: Partial<StrictLimits> = {},
  random: readonly number[] = [0.3, 0.31, 0.9],
): string {
  const bounds = { ...STRICT_LIMITS, ...limits };
  harness.setBounds(bounds);
  scalar.setBounds(bounds);
  const expected = reference(text, bounds).join("\n");
  for (const cuts of cutsOf(text.length, random)) {
    const found = shown(text, harness.read(text, cuts)).join("\n");
    if (found !== expected) expect({ cuts, found: found.split("\n") }).toEqual({ cuts, found: expected.split("\n") });
  }
  if (text.length < BYTEWISE_BYTES) {
    const found = shown(text, harness.readBytewise(text)).join("\n");
    if (found !== expected) expect(found.split("\n")).toEqual(expected.split("\n"));
  }
  compareMachines(text, random);
  return expected;
}

/** Compares the machine that runs over whole tokens with the one that goes byte by byte. */
function compareMachines(text: Uint8Array, random: readonly number[]): void {
  const padded = Buffer.concat([text, PADDING]);
  const all = scalar.read(padded);
  for (const reportDepth of [0, 1]) {
    const expected = { error: all.error, offset: all.offset, events: downTo(reportDepth, all) };
    for (const cuts of [[], random.map((fraction) => Math.floor(fraction * padded.length)).sort((a, b) => a - b)]) {
      for (const each of [harness, scalar]) {
        const found = each.read(padded, cuts, reportDepth);
        if (JSON.stringify(found) !== JSON.stringify(expected)) expect(found).toEqual(expected);
      }
    }
  }
}

/** The events of a reading that are told to a caller who wants those down to a depth. */
function downTo(reportDepth: number, { events }: Reading): Reading["events"] {
  let depth = 0;
  return events.filter(({ token }) => {
    if (token.endsWith("_end")) depth--;
    const level = depth;
    if (token.endsWith("_start")) depth++;
    return level <= reportDepth;
  });
}

for (const [group, vectors] of Object.entries(JSON_VECTORS)) {
  describe(`JSON vectors, ${group}`, () => {
    test.each(vectors.map((vector) => [vector.error ?? "accepted", vector.name, vector] as const))(
      "%s: %s",
      (_verdict, _name, { text, limits, error, offset }) => {
        const last = compare(text, limits).split("\n").at(-1);
        if (error !== undefined) expect(last).toBe(`${error} at ${offset}`);
      },
    );
  });
}

const files = jsonTestSuite();
if (files === null) {
  test("corpora: not present", () => console.log("corpora: not present"));
} else {
  test.each(files.map((file) => [file.name, file.text] as const))("JSONTestSuite: %s", (_name, text) => {
    compare(asMember(text));
    compare(text);
  });
}

const cutFractions = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 6 });
const body = bodyText.map((text) => Uint8Array.from(Buffer.from(text)));

describe("random texts", () => {
  test("of the language", () => {
    fc.assert(
      fc.property(body, cutFractions, (text, random) => {
        expect(compare(text, {}, random)).not.toMatch(/ at \d+$/);
      }),
      { numRuns: 1500 },
    );
  });

  test("nearly of the language", () => {
    fc.assert(
      fc.property(mutatedBody(body), cutFractions, (text, random) => {
        compare(text, {}, random);
      }),
      { numRuns: 4000 },
    );
  });

  test("under narrow caps", () => {
    const limits = fc.record({
      depth: fc.integer({ min: 1, max: 4 }),
      membersPerObject: fc.integer({ min: 1, max: 5 }),
      openMembers: fc.integer({ min: 1, max: 8 }),
      keyBytes: fc.integer({ min: 1, max: 6 }),
    });
    fc.assert(
      fc.property(fc.oneof(body, mutatedBody(body)), limits, cutFractions, (text, bounds, random) => {
        compare(text, bounds, random);
      }),
      { numRuns: 2000 },
    );
  });

  test("of bytes", () => {
    const unit = fc.constantFrom(
      ...'{}[]:,"\\/ntrufalse0123456789-+.eE \t\n\r\u007f'.split("").map((each) => each.charCodeAt(0)),
      0,
      0x80,
      0xbf,
      0xc2,
      0xe0,
      0xed,
      0xf0,
      0xf4,
      0xff,
    );
    fc.assert(
      fc.property(fc.array(unit, { maxLength: 24 }), cutFractions, (bytes, random) => {
        compare(Uint8Array.from([0x7b, 0x22, 0x61, 0x22, 0x3a, ...bytes]), {}, random);
        compare(Uint8Array.from(bytes), {}, random);
      }),
      { numRuns: 4000 },
    );
  });
});

test.each(HOSTILE_FAMILIES.map((family) => [family.name, family] as const))("hostile: %s", (_name, { build }) => {
  for (const bytes of [500, 5000, 60_000]) compare(build(bytes));
});

describe("a caller that wants little", () => {
  test("is told the same tokens down to its depth, and the same error", () => {
    fc.assert(
      fc.property(fc.oneof(body, mutatedBody(body)), fc.nat(3), cutFractions, (text, reportDepth, random) => {
        harness.setBounds(DEFAULT_BOUNDS);
        const all = harness.read(text);
        const wanted = downTo(reportDepth, all);
        for (const cuts of cutsOf(text.length, random)) {
          const few = harness.read(text, cuts, reportDepth);
          expect([few.error, few.offset]).toEqual([all.error, all.offset]);
          expect(few.events).toEqual(wanted);
        }
      }),
      { numRuns: 400 },
    );
  });

  test("gets tokens with their ends", () => {
    const text = ' {"a" : [1.5e3 , "\\u0041b" , true ,null,{}]}';
    const spans = harness
      .read(Buffer.from(text))
      .events.map(({ token, start, end }) => [token, text.slice(start, end)]);
    expect(spans).toEqual([
      ["object_start", "{"],
      ["key", '"a"'],
      ["array_start", "["],
      ["number", "1.5e3"],
      ["string", '"\\u0041b"'],
      ["true", "true"],
      ["null", "null"],
      ["object_start", "{"],
      ["object_end", "}"],
      ["array_end", "]"],
      ["object_end", "}"],
    ]);
  });
});

describe("after an error", () => {
  test("nothing more is read, and the error stays", () => {
    harness.setBounds(DEFAULT_BOUNDS);
    harness.withBytes(Buffer.from('{"a":1}}{"b":2}'), (address, exports) => {
      exports.begin(0xffffffff);
      expect(exports.feed(address, 8)).not.toBe(0);
      const [error, offset, events] = [exports.feed(address, 15), exports.errorOffset(), exports.eventsBytes()];
      expect(offset).toBe(7);
      expect([exports.feed(address, 15), exports.end(), exports.errorOffset()]).toEqual([error, error, offset]);
      expect(exports.eventsBytes()).toBe(events);
    });
  });
});
