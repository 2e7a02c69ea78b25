// src/check/yaml-text.ts. Goal: values are those that kubectl reads, lines are where things stand, and no text hangs or exhausts the reader.
import { describe, expect, test } from "vitest";
import { VALUES_MAX } from "../../src/check/limits.ts";
import { type Path, readYaml } from "../../src/check/yaml-text.ts";

const values = (text: string): unknown[] => readYaml(text, "a.yaml").map(({ value }) => value);

describe("values", () => {
  test.each<[string, string, unknown]>([
    ["booleans of YAML 1.1", "[yes, off, True, n]", [true, false, true, false]],
    ["octal and hexadecimal numbers", "[010, 0x10, 1_000]", [8, 16, 1000]],
    ["a time and a ratio are texts", "[2020-01-01, 1:30]", ["2020-01-01", "1:30"]],
    ["a dot alone is a text", "[., .5, 1e3]", [".", 0.5, 1000]],
    ["a merge key", "a: &a {x: 1, z: 2}\nb: {<<: *a, z: 3}", { a: { x: 1, z: 2 }, b: { x: 1, z: 3 } }],
    [
      "several merge keys: the first counts",
      "a: &a {x: 1}\nb: &b {x: 2, z: 2}\nc: {<<: [*a, *b]}",
      { a: { x: 1 }, b: { x: 2, z: 2 }, c: { x: 1, z: 2 } },
    ],
    ["a quoted merge key is a name", '{"<<": 1}', { "<<": 1 }],
    ["an anchor that is named again", "a: &a 1\nb: *a\nc: &a 2\nd: *a", { a: 1, b: 1, c: 2, d: 2 }],
    ["numbers as names", "{1: a, true: b}", { 1: "a", true: "b" }],
    ["a name of the prototype", '{"__proto__": {"x": 1}}', JSON.parse('{"__proto__": {"x": 1}}')],
    ["JSON with tabs", '{\n\t"a":\t[1]\n}', { a: [1] }],
  ])("%s", (_, text, expected) => {
    expect(values(text)).toEqual([expected]);
  });

  test("documents without a value are left out", () => {
    expect(values("a: 1\n---\n---\nnull\n---\n# only a comment\n---\nb: 2\n")).toEqual([{ a: 1 }, { b: 2 }]);
  });
});

describe("places", () => {
  const text = "---\na: 1\n---\nb: &b\n  c:\n  - d: 1\n    e: {f: 2,\n      g: 3}\nh: *b\ni:\n  <<: *b\n  j: 4\n";

  test.each<[Path, number, number]>([
    [[], 4, 1],
    [["b"], 4, 1],
    [["b", "c", 0, "d"], 6, 5],
    [["b", "c", 0, "e", "g"], 8, 7],
    [["b", "c", 0, "x"], 6, 5],
    [["b", "c", 7, "x"], 5, 3],
    [["x", "y"], 4, 1],
    [["h", "c", 0, "d"], 6, 5],
    [["i", "c"], 5, 3],
    [["i", "j"], 12, 3],
    [["i", "j", "k"], 12, 3],
  ])("%j stands in line %d, column %d", (path, line, column) => {
    expect(readYaml(text, "a.yaml")[1]?.at(path)).toEqual({ file: "a.yaml", line, column });
  });
});

describe("what cannot be read", () => {
  const levels = (line: (level: number) => string): string =>
    Array.from({ length: 40 }, (_, level) => line(level)).join("");

  test.each([
    ["a fault of the form", "a: 1\nb: c: d\n", /^a\.yaml:2:4: /],
    ["a tab for an indent", "a:\n\tb: 1\n", /^a\.yaml:2:1: /],
    ["a member twice", "x:\n  a: 1\n  b: 2\n  a: 3\n", /^a\.yaml:4:3: found the member "a" twice/],
    ["an alias of nothing", "a: *b\n", /^a\.yaml:1:\d+: /],
    ["an alias of what it is in", "a: &a [*a]\n", /^a\.yaml:1:8: the alias \*a names nothing/],
    ["a merge key without an object", "a:\n  <<: 1\n", /^a\.yaml:2:3: found a merge key/],
    [
      "aliases that stand for billions of values",
      levels((level) => `a${level}: &a${level} [${level === 0 ? "x" : `*a${level - 1}, `.repeat(9)}]\n`),
      new RegExp(`found more than ${VALUES_MAX} values`),
    ],
    [
      "merge keys that stand for billions of values",
      levels((level) => `a${level}: &a${level} ${level === 0 ? "{x: 1}" : `{<<: [*a${level - 1}, *a${level - 1}]}`}\n`),
      new RegExp(`found more than ${VALUES_MAX} values`),
    ],
    ["brackets without end", "[".repeat(100_000), /nested too deep/],
    ["brackets with an end", "[".repeat(5_000) + "]".repeat(5_000), /nested too deep/],
    ["indents without end", deepBlock(3_000), /nested too deep/],
    ["too many documents", "---\na: 1\n".repeat(5_001), /found 5001 documents, expected at most 5000/],
    ["too many ends of documents", "a: 1\n...\n".repeat(5_001), /found 5001 documents/],
    ["too many words", `[${"1,".repeat(400_000)}]`, /words and signs, expected at most 1000000/],
  ])("%s", (_, text, message) => {
    expect(() => readYaml(text, "a.yaml")).toThrow(
      expect.objectContaining({ code: "ERR_USAGE", message: expect.stringMatching(message) }),
    );
  });

  function deepBlock(depth: number): string {
    return Array.from({ length: depth }, (_, level) => `${" ".repeat(level)}a:\n`).join("");
  }

  test("many members are no trouble", () => {
    const text = Array.from({ length: 100_000 }, (_, i) => `k${i}: 1\n`).join("");
    const started = performance.now();
    expect(Object.keys(values(text)[0] as object).length).toBe(100_000);
    expect(performance.now() - started).toBeLessThan(20_000);
  });
});
