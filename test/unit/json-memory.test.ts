// What the reader holds. Goal: a string that nobody asks for is not stored, the table of member names grows with the names
// that are open and is given back, and nothing is left from text to text.

import { beforeEach, describe, expect, test } from "vitest";
import { DEFAULT_BOUNDS, Harness } from "./harness.ts";

const members = (count: number, name = (index: number): string => `m${index}`): string =>
  Array.from({ length: count }, (_, index) => `"${name(index)}":0`).join(",");

const object = (inside: string): Buffer => Buffer.from(`{${inside}}`);

let harness: Harness;
let least: number;
beforeEach(() => {
  harness = new Harness();
  harness.setBounds({ ...DEFAULT_BOUNDS, membersPerObject: 16_384, openMembers: 65_536 });
  least = harness.exports.heldBytes();
});

/** Reads the text and gives what is held before the next one begins, and after. */
function held(text: Buffer): [at: number, after: number] {
  expect(harness.read(text).error).toBe("none");
  const at = harness.exports.heldBytes();
  harness.exports.begin(0xffffffff);
  return [at, harness.exports.heldBytes()];
}

test("a small text holds the least", () => {
  expect(held(object(members(32)))).toEqual([least, least]);
  expect(held(object("")).at(-1)).toBe(least);
});

test("a text with many members holds in proportion to them, and gives it back", () => {
  for (const count of [33, 1000, 5000, 16_384]) {
    const [at, after] = held(object(members(count)));
    // Ten bytes in each of at most four slots for a name.
    expect(at).toBeGreaterThan(least);
    expect(at).toBeLessThanOrEqual(count * 40);
    expect(after).toBe(least);
  }
});

test("members of objects that are closed are held no more", () => {
  const one = `{${members(30)}}`;
  expect(held(Buffer.from(`{"x":[${Array(1000).fill(one).join(",")}]}`))).toEqual([least, least]);
});

test("a text that is refused half-way gives it back as well", () => {
  for (const end of ["}", "", ',"m1":0}', "\0"]) {
    harness.read(Buffer.from(`{"x":{${members(5000)}${end}`));
    harness.exports.begin(0xffffffff);
    expect(harness.exports.heldBytes()).toBe(least);
    expect(harness.read(object(members(5000))).error).toBe("none");
    harness.exports.begin(0xffffffff);
  }
});

test("a name that was seen in the text before is new in the next one", () => {
  for (let round = 0; round < 3; round++) expect(harness.read(object('"a":0,"b":{"a":0}')).error).toBe("none");
  harness.read(Buffer.from('{"a":0,'));
  expect(harness.read(object('"a":0')).error).toBe("none");
});

describe("duplicates", () => {
  test("are found behind a table that has grown, wherever the first one stood", () => {
    for (const count of [31, 32, 33, 63, 64, 65, 127, 128, 1000]) {
      for (const first of [0, Math.floor(count / 2), count - 1]) {
        const text = object(`${members(count)},"m${first}":1`);
        expect(harness.read(text).error).toBe("json_duplicate_member");
      }
    }
  });

  test("are found again after inner objects of any size have come and gone", () => {
    for (const inner of [0, 1, 31, 32, 100, 1000]) {
      const text = `"a":0,"b":{${members(inner)}},"c":[{${members(inner)}},{"a":{"a":{}}}],`;
      expect(harness.read(object(`${text}"d":0`)).error).toBe("none");
      for (const name of ["a", "b", "c"]) {
        expect(harness.read(object(`${text}"${name}":0`)).error).toBe("json_duplicate_member");
      }
    }
  });

  test("are told apart by depth, not only by name", () => {
    const nested = (depth: number): string => (depth === 0 ? "0" : `{"a":${nested(depth - 1)},"b":0}`);
    expect(harness.read(Buffer.from(nested(60))).error).toBe("none");
    expect(harness.read(Buffer.from(nested(60).replace('"a":0,"b":0', '"a":0,"a":0'))).error).toBe(
      "json_duplicate_member",
    );
  });
});

test("memory does not grow from text to text", () => {
  const texts = [object(members(16_000)), object(`"x":"${"a".repeat(900_000)}"`), object(members(3)), Buffer.from("{")];
  const round = (): void => {
    for (const text of texts) harness.read(text, [], 0);
  };
  for (let warmUp = 0; warmUp < 3; warmUp++) round();
  const bytes = harness.exports.memory.buffer.byteLength;
  for (let again = 0; again < 50; again++) round();
  expect(harness.exports.memory.buffer.byteLength).toBe(bytes);
});
