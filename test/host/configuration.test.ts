// What is announced of a policy: its digest in a gauge and in the log, and the flagged tools that will be refused. That a
// digest is the one that schema/policy-digest.md describes is the subject of test/config/digest.test.ts, which computes it
// anew; here it is compared between the builds, the spellings, the gauge and the log.

import { describe, expect, test } from "vitest";
import { Vm } from "../../src/host/index.ts";
import { addPlugin, BUILDS, post, startGuard, toolCall } from "./guard.ts";

interface Configuration extends Record<string, unknown> {
  readonly tool_allowlist: readonly string[];
}

/** The digest that a guard of the release build writes to its log. */
function digestOf(configuration: Configuration): string {
  const [line] = startGuard(configuration).vm.logs;
  const [, digest] = /^mcp-guard: policy ([0-9a-f]{16}) in /.exec(line?.message ?? "") ?? [];
  if (digest === undefined) throw new Error(`no digest in ${line?.message}`);
  return digest;
}

/** The digests that are in force, with how many guards enforce each. */
function inForce(vm: Vm): Record<string, number> {
  const names = vm.metrics.names().filter((name) => name.startsWith("mcp_guard_info.policy."));
  return Object.fromEntries(names.map((name) => [name.slice(-16), Number(BigInt.asIntN(64, vm.metrics.value(name)!))]));
}

const CONFIGURATIONS: readonly Configuration[] = [
  { tool_allowlist: [] },
  { tool_allowlist: ["search_code", "get_pull_request"] },
  { tool_allowlist: ["get_pull_request", "search_code"] },
  { tool_allowlist: ['a"b', "\\", "\u0001\b\t\n\f\r\u001f\u007f", "\u00fc\u{1f600}\u2028", "/"] },
  { tool_allowlist: ["safe"], method_allowlist: ["vendor/x", "vendor/y"] },
  { tool_allowlist: ["safe"], mode: "monitor", refusal: "tool_error", refusal_detail: "masked", direction: "both" },
  { tool_allowlist: ["safe"], refusal: "http_403", request_headers: "hold", approval: { mode: "off" } },
  { tool_allowlist: ["safe"], limits: { body_bytes: 1, depth: 1, key_bytes: 1, stall_ms: 100 } },
  { tool_allowlist: ["safe"], limits: { members_per_object: 7, open_members: 8, in_flight_bytes: 65_536 } },
  {
    tool_allowlist: ["safe"],
    unguarded: [
      {
        methods: ["PUT", "POST", "DELETE", "GET", "HEAD", "PATCH", "OPTIONS"],
        path: "/a/b",
        reason: 'say "why" \u00e9',
      },
      { methods: ["POST"], path: "/" },
    ],
  },
  { tool_allowlist: ["safe"], prompt_allowlist: ["greet"], resource_roots: ["file:///docs/"], tasks: "allow" },
  { tool_allowlist: ["safe"], prompt_allowlist: ["greet"], resource_roots: ["file:///docs"], tasks: "allow" },
  { tool_allowlist: ["safe"], resource_roots: ["file:///docs/"], uri_traversal: "segment" },
  { tool_allowlist: ["safe"], allowed_origins: ["https://app.example"], allowed_hosts: ["mcp.example"] },
  { tool_allowlist: ["safe"], allowed_hosts: ["MCP.example"] },
  ...[{ enum: ["a", "b"] }, { enum: ["b", "a"] }, { max_bytes: 1 }, "uri", "path", { path_roots: ["/a"] }].map(
    (rule) => ({
      tool_allowlist: ["safe"],
      argument_rules: [{ tool: "safe", pointer: "/x/-", rule }],
    }),
  ),
  { tool_allowlist: Array.from({ length: 5000 }, (_, index) => `tool_${index}_\u0001`) },
];

describe("the digest of a policy", () => {
  test.each(CONFIGURATIONS.map((each) => [JSON.stringify(each).slice(0, 100), each] as const))("%s", (_name, each) => {
    for (const build of ["release", "debug"] as const) {
      const { vm } = startGuard(each, { build });
      expect(inForce(vm)).toEqual({ [digestOf(each)]: 1 });
      expect(vm.logs.map(({ message }) => message).join("\n")).toContain(`mcp-guard: policy ${digestOf(each)} in `);
    }
  });

  test("all differ", () => {
    expect(new Set(CONFIGURATIONS.map(digestOf)).size).toBe(CONFIGURATIONS.length);
  });

  test("is that of the policy and not of its spelling", () => {
    const vm = Vm.load(BUILDS.release);
    for (const text of [
      '{"tool_allowlist":["safe"],"mode":"enforce","limits":{"body_bytes":1000000,"depth":64}}',
      ' {\n"limits" : { "depth":64,"body_bytes":1e+06 } ,\t"tool_allowlist":["s\\u0061fe"],"unguarded":[] } ',
      '{"request_body":"whole","tool_allowlist":["\\u0073afe"],"limits":{"stall_ms":10000.0}}',
      '{"tool_allowlist":["safe"],"method_allowlist":[],"limits":{"in_flight_bytes":6.7108864E7}}',
      '{"uri_traversal":"literal","tasks":"deny","resource_roots":[],"tool_allowlist":["safe"],"argument_rules":[]}',
      '{"tool_allowlist":["safe"],"prompt_allowlist":[],"allowed_origins":[]}',
    ]) {
      const plugin = vm.startPlugin(text);
      expect(plugin.accepted).toBe(true);
      plugin.tick();
    }
    expect(inForce(vm)).toEqual({ [digestOf({ tool_allowlist: ["safe"] })]: 6 });
  });

  test("counts the guards that enforce it, and stops with them", () => {
    const { vm, plugin } = startGuard({ tool_allowlist: ["safe"] });
    const [one, other] = [{ tool_allowlist: ["safe"] }, { tool_allowlist: ["other"] }].map(digestOf);
    const second = addPlugin(vm, { tool_allowlist: ["safe"] });
    const third = addPlugin(vm, { tool_allowlist: ["other"] });
    expect(inForce(vm)).toEqual({ [one!]: 2, [other!]: 1 });
    plugin.stop();
    third.stop();
    expect(inForce(vm)).toEqual({ [one!]: 1, [other!]: 0 });
    second.stop();
    expect(inForce(vm)).toEqual({ [one!]: 0, [other!]: 0 });
  });

  test("a refused configuration counts nothing", () => {
    const { vm } = startGuard({ tool_allowlist: ["safe"] });
    const before = inForce(vm);
    expect(vm.startPlugin('{"tool_allowlist":[1]}').accepted).toBe(false);
    expect(inForce(vm)).toEqual(before);
  });
});

describe("the configuration's log lines", () => {
  const linesOf = (configuration: object) =>
    startGuard(configuration).vm.logs.map(({ level, message }) => `${level} ${message}`);

  test("say what is in force", () => {
    const configuration = { tool_allowlist: ["safe", "two"] };
    expect(linesOf(configuration)).toEqual([
      `info mcp-guard: policy ${digestOf(configuration)} in force, tools listed: 2`,
    ]);
  });

  test("warn of monitor mode", () => {
    expect(linesOf({ tool_allowlist: [], mode: "monitor" }).join()).toMatch(
      /^warn .* in monitor mode: nothing is refused/,
    );
  });

  test("warn of every flagged tool until approval is decided", () => {
    const tool_allowlist = ["safe", "delete_x", "updates", "execute\n", "undelete"];
    const warnings = linesOf({ tool_allowlist }).filter((line) => line.startsWith("warn "));
    expect(warnings.map((line) => /the tool "([^"]*)" is listed/.exec(line)?.[1])).toEqual([
      "delete_x",
      "updates",
      "execute\\u000a",
    ]);
    expect(linesOf({ tool_allowlist, approval: { mode: "off" } }).filter((line) => line.startsWith("warn "))).toEqual(
      [],
    );
  });
});

test("a guard without an accepted configuration has no streams, and says why", () => {
  const vm = Vm.load(BUILDS.release);
  for (const text of ["", "{}", "null", '{"tool_allowlist":"safe"}', '{"tool_allowlist":[],"tools":[]}', "}"]) {
    vm.logs.length = 0;
    expect(vm.startPlugin(text).accepted).toBe(false);
    expect(vm.logs.map(({ level, message }) => `${level} ${message}`)).toEqual([
      expect.stringMatching(/^error mcp-guard: configuration refused: [ -~]+$/),
    ]);
  }
  expect(vm.startPlugin(Buffer.alloc((4 << 20) + 1, " ")).accepted).toBe(false);
  expect(vm.logs.at(-1)?.message).toBe("mcp-guard: configuration refused: configuration: larger than 4 MiB");
  expect(post(addPlugin(vm, { tool_allowlist: ["safe"] }), { body: toolCall("safe") })).toBe("allow");
});
