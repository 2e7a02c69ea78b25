// The filter and schema/policy.schema.json are two readings of one contract. Every row of the table is judged by both.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { Vm } from "../../src/host/index.ts";
import { projectPath } from "../../src/project.ts";
import { ENVIRONMENT, KEYS, REQUIRED } from "./approval-member.ts";
import type { ConfigurationRow } from "./row.ts";
import { policySchema, schemaComplaints } from "./schema.ts";
import { CONFIGURATIONS } from "./table.ts";

const MODULE = readFileSync(projectPath("build", "plugin.wasm"));
const REFUSED = "mcp-guard: configuration refused: ";

/** What the filter makes of a configuration: its verdict, and the lines of its log. */
function askFilter(text: string | Uint8Array): { good: boolean; lines: string[] } {
  const vm = Vm.load(MODULE, { environment: ENVIRONMENT });
  const plugin = vm.startPlugin(text);
  expect(vm.failed, "no trap").toBe(false);
  return { good: plugin.accepted, lines: vm.logs.map(({ level, message }) => `${level}: ${message}`) };
}

/** What the schema makes of it; undefined when the text is no JSON, so that there is no value to judge. */
function askSchema(text: string | Uint8Array): boolean | undefined {
  let value: unknown;
  try {
    value = JSON.parse(typeof text === "string" ? text : Buffer.from(text).toString("utf8"));
  } catch {
    return undefined;
  }
  return schemaComplaints(value).length === 0;
}

describe.each(CONFIGURATIONS.map((row) => [row.name, row] as const))("%s", (_, row) => {
  test(row.good ? "is accepted" : "is refused with its place and cause", () => {
    const { good, lines } = askFilter(row.text);
    expect(good).toBe(row.good);
    if (row.good) {
      expect(lines[0]).toMatch(/^(info|warn): mcp-guard: policy [0-9a-f]{16} /);
    } else if (row.log !== undefined) {
      expect(lines).toEqual([`error: ${REFUSED}${row.log}`]);
    } else {
      expect(lines).toEqual([expect.stringMatching(/^error: mcp-guard: configuration refused: \S+: .*\S/)]);
    }
  });

  const differs = row.schemaCannot ?? row.schemaWarns;
  test(differs === undefined ? "the schema agrees" : "the schema and the filter differ, for a reason", () => {
    if (differs === undefined) expect(askSchema(row.text)).toBe(row.good);
    else expect(askSchema(row.text), differs).not.toBe(row.good);
  });
});

describe("the table", () => {
  test("names each row once", () => {
    const names = CONFIGURATIONS.map((row) => row.name);
    expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
  });

  test("has every member of the schema in a good row", () => {
    const good = CONFIGURATIONS.filter(isGoodText).map(
      ({ text }) => JSON.parse(String(text)) as Record<string, unknown>,
    );
    for (const [name, member] of Object.entries(policySchema.properties)) {
      expect(
        good.some((value) => name in value),
        name,
      ).toBe(true);
      for (const inner of Object.keys(member.properties ?? {})) {
        const isSet = (value: Record<string, unknown>) => inner in Object(value[name]);
        expect(good.some(isSet), `${name}.${inner}`).toBe(true);
      }
      for (const word of member.enum ?? []) {
        expect(
          good.some((value) => value[name] === word),
          `${name}: ${word}`,
        ).toBe(true);
      }
    }
  });

  function isGoodText({ good }: ConfigurationRow): boolean {
    return good;
  }
});

test("a policy that names a variable which the VM does not have is refused, and says which", () => {
  const vm = Vm.load(MODULE, { environment: { OTHER: "a-secret" } });
  const service = { ...REQUIRED.service, secret_env: "MCP_GUARD_APPROVAL_SECRET" };
  const text = JSON.stringify({ tool_allowlist: ["echo"], approval: { ...REQUIRED, service } });
  expect(vm.startPlugin(text).accepted).toBe(false);
  expect(vm.logs.map(({ message }) => message)).toEqual([
    expect.stringMatching(
      /^mcp-guard: configuration refused: approval\.service\.secret_env: found no variable MCP_GUARD_APPROVAL_SECRET /,
    ),
  ]);
});

test("nothing of one policy about approval is left in the next", () => {
  const vm = Vm.load(MODULE, { environment: ENVIRONMENT });
  const policy = (approval: object): string => JSON.stringify({ tool_allowlist: ["echo"], approval });
  const service = { ...REQUIRED.service, path: "/v2", timeout_ms: 100, secret_env: "SECRET" };
  const keys = [...REQUIRED.keys, { kid: "b", spki: KEYS.second }];
  const takes = (approval: object): boolean => {
    const plugin = vm.startPlugin(policy(approval));
    plugin.stop();
    return plugin.accepted;
  };
  const digest = (): string => /policy ([0-9a-f]{16})/.exec(vm.logs.at(-1)?.message ?? "")?.[1] ?? "";
  expect(takes(REQUIRED)).toBe(true);
  const first = digest();
  expect(takes({ ...REQUIRED, service, keys, hold_seconds: 1, waiting: 1, legacy_carrier: "url_elicitation" })).toBe(
    true,
  );
  expect(digest()).not.toBe(first);
  expect(takes({ mode: "required" })).toBe(false);
  expect(takes(REQUIRED)).toBe(true);
  expect(digest()).toBe(first);
});

test("a refused configuration leaves nothing behind: a good one is taken afterwards in the same VM", () => {
  const vm = Vm.load(MODULE);
  const bad = CONFIGURATIONS.filter((row) => !row.good && row.text.length < 4096);
  const refused = (): void => {
    for (const { text } of bad) {
      const plugin = vm.startPlugin(text);
      expect(plugin.accepted).toBe(false);
      plugin.stop();
    }
  };
  refused();
  const before = vm.memoryBytes();
  for (let round = 0; round < 20; round++) refused();
  expect(vm.memoryBytes()).toBe(before);
  expect(vm.startPlugin('{"tool_allowlist":["echo"]}').accepted).toBe(true);
});
