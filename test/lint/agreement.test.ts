// mcp-guard policy lint and the filter. Goal: what the filter refuses has an error, what it takes has none, in each way in which a policy
// comes to a proxy, and a mistake is not told twice. Method: every row of the table of configurations, as JSON byte for byte, as
// YAML, and in a WasmPlugin; then policies put together at random from the members of the rows.
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { visible } from "../../src/audit/visible.ts";
import { Vm } from "../../src/host/index.ts";
import type { Finding } from "../../src/lint/finding.ts";
import { Linter } from "../../src/lint/lint.ts";
import { projectPath } from "../../src/project.ts";
import { ENVIRONMENT } from "../config/approval-member.ts";
import type { ConfigurationRow } from "../config/row.ts";
import { CONFIGURATIONS } from "../config/table.ts";

const MODULE = readFileSync(projectPath("build", "plugin.wasm"));
const linter = new Linter(MODULE);

/** Members that the filter takes only beside others, so that it refuses a good one when it is alone. */
const LEANING = new Set(["rules", "authorization", "token_exchange"]);

/** Whether the filter takes a text, asked in a VM of its own. */
function accepts(text: string | Uint8Array): boolean {
  return Vm.load(MODULE, { environment: ENVIRONMENT }).startPlugin(text).accepted;
}

function lint(text: string | Uint8Array, isJson: boolean): readonly Finding[] {
  return linter.lint({ name: "policy", bytes: Buffer.from(text as string), isJson }).findings;
}

const errorsOf = (findings: readonly Finding[]) => findings.filter(({ severity }) => severity === "error");

/** The value of a row, when its text is one of JSON. */
function jsonOf({ text }: ConfigurationRow): { value: unknown } | undefined {
  if (text.length > 4 << 20) return undefined;
  try {
    return { value: JSON.parse(Buffer.from(text as string).toString("utf8")) };
  } catch {
    return undefined;
  }
}

const isResource = (value: unknown): boolean => typeof value === "object" && value !== null && "kind" in value;

describe.each(CONFIGURATIONS.map((row) => [row.name, row] as const))("%s", (_, row) => {
  test(row.good ? "as JSON has no error" : "as JSON has an error", () => {
    const findings = lint(row.text, true);
    expect(errorsOf(findings).length > 0, JSON.stringify(findings.slice(0, 3))).toBe(!row.good);
    for (const { line, column } of findings) expect([line > 0, column > 0]).toEqual([true, true]);
  });

  const parsed = jsonOf(row);
  if (parsed === undefined) return;
  const { value } = parsed;
  // What is left of a text once Istio has made a Struct of it: a member that stands there twice is one.
  const asStruct = JSON.stringify(value);

  test("as YAML is judged as the filter judges what Istio makes of it", () => {
    const isGood = !isResource(value) && accepts(asStruct);
    const findings = lint(stringify(value, { lineWidth: 0, aliasDuplicateObjects: false }), false);
    if (value === null) return;
    expect(errorsOf(findings).length > 0, JSON.stringify(findings.slice(0, 3))).toBe(!isGood);
  });

  test("in a WasmPlugin is judged in the same way", () => {
    const resource = { apiVersion: "extensions.istio.io/v1alpha1", kind: "WasmPlugin", spec: { pluginConfig: value } };
    const isGood = accepts(asStruct);
    const findings = lint(JSON.stringify(resource), true);
    expect(errorsOf(findings).length > 0, JSON.stringify(findings.slice(0, 3))).toBe(!isGood);
  });
});

describe("a mistake", () => {
  const told = CONFIGURATIONS.filter(({ good, log }) => !good && log !== undefined);

  test.each(told.map((row) => [row.name, row] as const))(
    "is told in the filter's words: %s",
    (_, { text, log = "" }) => {
      const parsed = jsonOf({ name: "", text, good: false });
      if (parsed !== undefined && isResource(parsed.value)) return;
      const words = errorsOf(lint(text, true))
        .filter(({ rule }) => rule === "filter")
        .map(({ what, expected }) => [what, expected === "" ? "" : `expected ${expected}`].filter(Boolean).join(", "));
      expect(words).toContain(log.slice(log.indexOf(": ") + 2));
    },
  );

  test("is not told by the filter and by the schema", () => {
    for (const { text, good } of CONFIGURATIONS) {
      if (good || text.length > 100_000) continue;
      const findings = lint(text, true);
      const members = findings.filter(({ rule }) => rule === "filter").map(({ member }) => member);
      const twice = findings.filter(({ rule, member }) => rule === "schema" && members.includes(member));
      expect(twice, String(text).slice(0, 200)).toEqual([]);
    }
  });
});

describe("policies of members of the rows", () => {
  const members = CONFIGURATIONS.flatMap((row) => {
    const value = row.text.length < 4096 ? jsonOf(row)?.value : undefined;
    if (typeof value !== "object" || value === null || Array.isArray(value) || isResource(value)) return [];
    return Object.entries(value);
  });

  test("have an error exactly when the filter refuses them", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...members), { minLength: 1, maxLength: 6 }), (entries) => {
        const policy = Object.fromEntries(entries);
        const text = JSON.stringify(policy);
        expect(errorsOf(lint(text, true)).length > 0).toBe(!accepts(text));
        expect(errorsOf(lint(stringify(policy), false)).length > 0).toBe(!accepts(text));
      }),
      { numRuns: 300 },
    );
  });

  test("have an error exactly when the filter refuses them, whatever the values are", () => {
    const names = [...new Set(members.map(([name]) => name))];
    const entry = fc.tuple(fc.constantFrom(...names), fc.jsonValue({ maxDepth: 4 }));
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 4 }), (entries) => {
        const policy = Object.fromEntries([["tool_allowlist", ["echo"]], ...entries]);
        const text = JSON.stringify(policy);
        expect(errorsOf(lint(text, true)).length > 0).toBe(!accepts(text));
      }),
      { numRuns: 300 },
    );
  });

  test("are judged without a fault when the text is any", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (bytes, isJson) => {
        const { findings, policies } = linter.lint({ name: "p", bytes, isJson });
        expect(policies === 0 || errorsOf(findings).length > 0).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  test("have an error for each member that the filter refuses by itself", () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.constantFrom(...members), { maxLength: 5, selector: ([name]) => name }),
        (entries) => {
          const policy = Object.fromEntries(entries);
          const refused = entries.filter(
            ([name, value]) =>
              !LEANING.has(name) &&
              !accepts(
                JSON.stringify(
                  Object.fromEntries([
                    ["tool_allowlist", []],
                    [name, value],
                  ]),
                ),
              ),
          );
          const found = errorsOf(lint(JSON.stringify(policy), true)).map(({ member }) => member);
          for (const [key] of refused) {
            const name = visible(key);
            expect(
              found.some((member) => member === name || member.startsWith(`${name}.`) || member.startsWith(`${name}[`)),
              `${name} among ${found}`,
            ).toBe(true);
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});
