// Which tools a human must approve. Goal: schema/flagged-names.json is what the filter, the command and the reference of the tests say, and they say the
// same of every other name. Method: the table; generated names, of which the filter logs those that it refuses.
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isFlagged } from "../../src/policy/flagged.ts";
import { projectPath } from "../../src/project.ts";
import { send, startGuard, toolCall } from "./guard.ts";

interface Row {
  readonly name: string;
  readonly flagged: boolean;
  readonly why: string;
}

const TABLE = JSON.parse(readFileSync(projectPath("schema", "flagged-names.json"), "utf8")) as readonly Row[];
const NAMES = TABLE.map(({ name }) => name);

/** The names that a filter with this policy says it refuses. */
function warned(policy: { tool_allowlist: readonly string[]; approval?: object }): string[] {
  const { vm } = startGuard(policy);
  return vm.logs.flatMap(({ message }) => /the tool "([^"]*)" is listed/.exec(message)?.[1] ?? []);
}

test("the table has thirty names, each once, of both kinds", () => {
  expect(new Set(NAMES).size).toBe(30);
  expect(TABLE.filter(({ flagged }) => flagged).length).toBeGreaterThan(9);
  expect(TABLE.filter(({ flagged }) => !flagged).length).toBeGreaterThan(9);
  for (const { why } of TABLE) expect(why).toMatch(/\w/);
});

describe.each(TABLE)("$name", ({ name, flagged }) => {
  const reason = (approval: object | undefined): string => {
    const { plugin } = startGuard({ tool_allowlist: [name], ...(approval !== undefined && { approval }) });
    return send(plugin, { body: toolCall(name) }).codeDetails ?? "";
  };
  const REFUSED = "mcp_guard.approval_not_configured";

  test("is flagged as the table says", () => {
    expect(isFlagged(name)).toBe(flagged);
    expect(warned({ tool_allowlist: [name] })).toEqual(flagged ? [name] : []);
    expect(reason(undefined) === REFUSED).toBe(flagged);
  });

  test("passes when it is exempt or approval is off, and is refused when it is in tools", () => {
    expect(reason({ exempt: [name] })).not.toBe(REFUSED);
    expect(reason({ mode: "off" })).not.toBe(REFUSED);
    expect(reason({ mode: "off", tools: [name] })).not.toBe(REFUSED);
    expect(reason({ tools: [name] })).toBe(REFUSED);
    expect([isFlagged(name, { exempt: [name] }), isFlagged(name, { tools: [name] })]).toEqual([false, true]);
  });

  test("is judged by its exact bytes in both lists", () => {
    for (const other of [
      `${name}x`,
      name.slice(0, -1),
      name.toUpperCase() === name ? `${name}a` : name.toUpperCase(),
    ]) {
      expect(reason({ exempt: [other] }) === REFUSED).toBe(flagged);
      expect(reason({ tools: [other] }) === REFUSED).toBe(flagged);
    }
  });
});

const piece = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.constantFrom("delete", "update", "execute", "Delete", "UPDATE", "eXecute", "execut", "delet"),
  },
  { weight: 4, arbitrary: fc.constantFrom("_", "-", ".", "/", "2", " ", "@", "[", "`", "{", "\u00e9", "\u017f", "K") },
  { weight: 2, arbitrary: fc.string({ unit: fc.constantFrom(..."aezAEZdDuUxX"), maxLength: 3 }) },
);
const name = fc
  .array(piece, { minLength: 1, maxLength: 5 })
  .map((pieces) => pieces.join(""))
  .filter((text) => text !== "");

test("filter and command agree about generated names", () => {
  let [some, others] = [0, 0];
  fc.assert(
    fc.property(fc.uniqueArray(name, { minLength: 1, maxLength: 200 }), fc.nat(3), (names, kind) => {
      const half = names.filter((_, index) => index % 2 === 0);
      const approval = [undefined, { exempt: half }, { tools: half }, { exempt: half, tools: [] }][kind];
      const said = warned({ tool_allowlist: names, ...(approval !== undefined && { approval }) });
      const expected = names.filter((each) => isFlagged(each, approval));
      some += expected.length;
      others += names.length - expected.length;
      // The log escapes what is no ASCII, so the numbers are compared, and the names where they can be.
      expect(said).toHaveLength(expected.length);
      expect(said.filter((each) => !each.includes("\\"))).toEqual(expected.filter((each) => /^[ -~]*$/.test(each)));
    }),
    { numRuns: 150 },
  );
  expect(Math.min(some, others)).toBeGreaterThan(300);
});
