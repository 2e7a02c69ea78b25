// The canonical text and the digest as the filter makes them: the vectors, the library on Node as a second writer, and what must hold whatever the input is.
// Goal: what the guard hashes, the service shows and an auditor computes is one text. A malformed text must not be read past its end, trap, or leave anything behind.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { canonicalise } from "../../src/approval/canonical.ts";
import { APPROVAL_INPUT, callDigest } from "../../src/approval/digest.ts";
import { GuardError } from "../../src/error.ts";
import { jsonText, nearlyJsonText } from "../approval/json-text.ts";
import { fieldsOf, VECTORS } from "../approval/vectors.ts";
import { ApprovalHarness } from "./approval-harness.ts";
import { TARGETS } from "./harness.ts";

const BYTES_MAX = 65_536;
/** A vector whose every beginning is tried. */
const SHORT = 200;
const { canonical, refused, digests } = VECTORS;

/** What the library says; undefined when it refuses. */
function written(text: string, without = ""): string | undefined {
  try {
    return canonicalise(text, without);
  } catch (error) {
    if (error instanceof GuardError) return undefined;
    throw error;
  }
}

describe.each(TARGETS)("%s", (target) => {
  const harness = new ApprovalHarness(target);
  const write = (text: string, without = false): string | undefined => harness.canonicalise(Buffer.from(text), without);

  describe("canonicalise", () => {
    test.each(canonical)("writes $name", ({ input, without, canonical }) => {
      expect(write(input, without === APPROVAL_INPUT)).toBe(canonical);
    });

    test.each(canonical)("leaves what is canonical as it is: $name", ({ canonical }) => {
      expect(write(canonical)).toBe(canonical);
    });

    test.each(refused)("refuses $name", ({ input }) => {
      expect(write(input)).toBeUndefined();
      expect(write(input, true)).toBeUndefined();
    });

    test("refuses a member that is left out twice", () => {
      expect(write('{"guard.approval":1,"guard\\u002eapproval":2}', true)).toBeUndefined();
      expect(write('{"guard.approval":1}', true)).toBe("{}");
    });

    test("agrees with the library on every JSON text", () => {
      fc.assert(
        fc.property(jsonText, fc.boolean(), (text, without) => {
          const expected = written(text, without ? APPROVAL_INPUT : "");
          expect(expected).toBeDefined();
          expect(write(text, without)).toBe(expected);
        }),
        { numRuns: 3000 },
      );
    });

    test("agrees with the library on what is no JSON text", () => {
      let refusals = 0;
      fc.assert(
        fc.property(nearlyJsonText, (text) => {
          const expected = written(text);
          if (expected === undefined) refusals++;
          expect(write(text)).toBe(expected);
        }),
        { numRuns: 3000 },
      );
      expect(refusals).toBeGreaterThan(1000);
    });

    test("looks at no byte behind its input", () => {
      const texts = [...canonical, ...refused].map(({ input }) => Buffer.from(input));
      for (const text of texts.filter(({ length }) => length <= SHORT)) {
        for (let length = 0; length <= text.length; length++) {
          const beginning = text.subarray(0, length).toString("utf8");
          // A character that is cut in half stands in a string that is cut too.
          expect(harness.canonicalise(text, false, length), beginning).toBe(written(beginning));
        }
      }
    });

    test("takes any bytes without a trap", () => {
      fc.assert(
        fc.property(
          fc.uint8Array({ maxLength: 64 }),
          fc.constantFrom("", "{", '{"', "[", '["', '"\\u'),
          (bytes, head) => {
            harness.canonicalise(Buffer.concat([Buffer.from(head), bytes]));
          },
        ),
        { numRuns: 3000 },
      );
      expect(write("[1]")).toBe("[1]");
    });

    test("takes 65,536 bytes and no more", () => {
      const text = (bytes: number): string => `"${"x".repeat(bytes - 2)}"`;
      expect(write(text(BYTES_MAX))).toBe(text(BYTES_MAX));
      expect(write(text(BYTES_MAX + 1))).toBeUndefined();
      expect(write(`${" ".repeat(BYTES_MAX - 1)}1`)).toBe("1");
      expect(write(`${" ".repeat(BYTES_MAX)}1`)).toBeUndefined();
    });

    test.each([
      [
        "as many members as there can be",
        `{${manyNames(8_000)
          .map((name) => `"${name}":0`)
          .join()}}`,
      ],
      ["as many in all objects that are open", nested(62, manyNames(150))],
      [
        "names that differ at their ends",
        `{${manyNames(600)
          .map((name) => `"${"n".repeat(80)}${name}":0`)
          .join()}}`,
      ],
      [
        "names of escapes alone",
        `{${manyNames(2000)
          .map((name) => `"\\u0001\\ud83d\\ude00\\n${name}":0`)
          .join()}}`,
      ],
      ["a long value in each of 64 objects", `${'{"b":0,"a":'.repeat(64)}"${"x".repeat(60_000)}"${"}".repeat(64)}`],
    ])("writes the largest texts: %s", (_, text) => {
      expect(Buffer.byteLength(text)).toBeGreaterThan(35_000);
      expect(Buffer.byteLength(text)).toBeLessThanOrEqual(BYTES_MAX);
      const expected = written(text);
      expect(expected).toBeDefined();
      expect(write(text)).toBe(expected);
    });

    test("takes time in step with the number of members", () => {
      const text = (count: number): Buffer =>
        Buffer.from(
          `{${manyNames(count)
            .map((name) => `"${name}":0`)
            .join()}}`,
        );
      const [few, many] = [text(1_000), text(8_000)];
      const best = (input: Buffer): number =>
        Math.min(
          ...Array.from({ length: 15 }, () => {
            const start = performance.now();
            harness.canonicalise(input);
            return performance.now() - start;
          }),
        );
      // Eight times as many: some eleven times the work of a merge sort, 64 times that of a quadratic one.
      expect(best(many)).toBeLessThan(30 * best(few));
    });

    test("keeps no memory", () => {
      const texts = canonical.map(({ input }) => Buffer.from(input));
      const round = (): void => {
        for (const text of texts) harness.canonicalise(text, false, text.length - (text.length & 1));
        write(`[${"{".repeat(40_000)}`);
        write(nested(62, manyNames(150)));
      };
      round();
      const before = harness.memoryBytes;
      for (let i = 0; i < 200; i++) round();
      expect(harness.memoryBytes).toBe(before);
    });
  });

  test("isEmptyObject knows the empty object alone", () => {
    const isEmpty = (text: string): boolean => harness.isEmptyObject(Buffer.from(text));
    expect(["{}", "", "{", "[]", '{"a":1}', "{}{}", '"{}"'].map(isEmpty)).toEqual([true, ...Array(6).fill(false)]);
  });

  describe("the digest", () => {
    test.each(digests)("of $name", ({ call, digest }) => {
      expect(harness.digest(Object.values(call))).toBe(digest);
    });

    test("agrees with the library on any fields", () => {
      const text = fc.string({ unit: "binary", maxLength: 80 });
      const fields = fc.record({
        server: text,
        authority: text,
        path: text,
        issuer: text,
        principal: text,
        method: text,
        tool: text,
        arguments: jsonText.map((value) => canonicalise(value)),
        task: fc.constantFrom("", "{}", '{"ttl":1}'),
        input_responses: fc.constantFrom("", '{"a":1}'),
      });
      fc.assert(
        fc.property(fields, (call) => {
          expect(harness.digest(Object.values(call))).toBe(callDigest(fieldsOf(call)));
        }),
        { numRuns: 300 },
      );
    });

    test("begins anew, whatever was under way", () => {
      const [vector] = digests;
      harness.digest(["left", "over"]);
      expect(harness.digest(Object.values(vector!.call))).toBe(vector!.digest);
    });
  });
});

/** Short names in an order that is none. */
function manyNames(count: number): string[] {
  // The factor is prime, and divides no count here.
  return Array.from({ length: count }, (_, index) => ((index * 7919) % count).toString(36));
}

/** Objects in objects, each with these names and the next one. */
function nested(depth: number, names: readonly string[]): string {
  const members = names.map((name) => `"${name}":0`).join();
  return `${`{${members},"~":`.repeat(depth)}0${"}".repeat(depth)}`;
}
