// Which `rules` and which `require_principal` a configuration may have, and what is said of the others: the place, what was found, what was expected.
// And what the digest of a policy with them is made of.

import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { Vm } from "../../src/host/index.ts";
import { policySchema, type SchemaMember } from "../config/schema.ts";
import { APPROVAL } from "./approval-calls.ts";
import { BUILDS } from "./guard.ts";

const ISSUER = "https://idp.example";
const IDENTITY = { jwt: [{ provider: "people", issuer: ISSUER, claim: "sub" }] };
const ALICE = { issuer: ISSUER, value: "alice" };
const ADMINS = { issuer: ISSUER, claim: "groups", value: "admins" };
const AGENTS = "spiffe://td.example/ns/agents";
const WHO = { principals: [ALICE] };
const WHAT = { tool_allowlist: ["push"] };
const EVERYBODY = {
  tool_allowlist: ["safe", "delete_repo"],
  prompt_allowlist: ["greet"],
  resource_roots: ["mcp://all/"],
  approval: { exempt: ["delete_repo"] },
  identity: IDENTITY,
};
const HAD = "found only what everybody gets already: a rule adds and cannot narrow";
const EMPTY = "found an empty list, expected at least one entry";

const vm = Vm.load(BUILDS.release, { clusters: ["approval"] });

/** What is said about a configuration; empty when it is accepted. */
function complaint(configuration: object | string): string {
  vm.logs.length = 0;
  const plugin = vm.startPlugin(typeof configuration === "string" ? configuration : JSON.stringify(configuration));
  plugin.stop();
  const lines = vm.logs.filter(({ level }) => level === "error").map(({ message }) => message);
  expect([plugin.accepted, lines.length, vm.failed]).toEqual([lines.length === 0, plugin.accepted ? 0 : 1, false]);
  return lines.join().replace(/^mcp-guard: configuration refused: /, "");
}

const about = (rules: unknown, rest: object = {}): string => complaint({ ...EVERYBODY, rules, ...rest });
const names = (count: number): string[] => Array.from({ length: count }, (_, index) => `n${index}`);

describe("rules that are accepted", () => {
  test.each<[string, object[]]>([
    ["principals", [{ ...WHO, ...WHAT }]],
    ["groups", [{ groups: [ADMINS], ...WHAT }]],
    ["workloads", [{ workloads: [AGENTS], ...WHAT }]],
    ["all selectors", [{ ...WHO, groups: [ADMINS], workloads: [AGENTS], ...WHAT }]],
    ["a prompt", [{ ...WHO, prompt_allowlist: ["review"] }]],
    ["a root", [{ ...WHO, resource_roots: ["mcp://alice/"] }]],
    ["a root above that of everybody", [{ ...WHO, resource_roots: ["mcp://"] }]],
    ["a root that begins like that of everybody", [{ ...WHO, resource_roots: ["mcp://all2/"] }]],
    ["an exemption", [{ ...WHO, approval: { exempt: ["update_repo"] } }]],
    ["no approval", [{ ...WHO, approval: { mode: "off" } }]],
    ["a list with something that everybody has", [{ ...WHO, tool_allowlist: ["safe", "push"] }]],
    [
      "two that say the same",
      [
        { ...WHO, ...WHAT },
        { ...WHO, ...WHAT },
      ],
    ],
    ["the longest texts", [{ principals: [{ issuer: "i".repeat(512), value: "v".repeat(512) }], ...WHAT }]],
    ["one text by two issuers", [{ principals: [ALICE, { ...ALICE, issuer: "https://other.example" }], ...WHAT }]],
    ["one text of two claims", [{ groups: [ADMINS, { ...ADMINS, claim: "roles" }], ...WHAT }]],
    ["1,024 principals", [{ principals: names(1024).map((value) => ({ ...ALICE, value })), ...WHAT }]],
    ["1,024 workloads", [{ workloads: names(1024).map((name) => `${AGENTS}/${name}`), ...WHAT }]],
    ["256 roots", [{ ...WHO, resource_roots: names(256).map((name) => `mcp://${name}/`) }]],
    ["1,024 rules", names(1024).map(() => ({ ...WHO, ...WHAT }))],
    ["16 claims", names(16).map((claim) => ({ groups: [{ ...ADMINS, claim }], ...WHAT }))],
    ["16 segments", [{ workloads: [`spiffe://td${"/s".repeat(16)}`], ...WHAT }]],
  ])("%s", (_what, rules) => {
    expect(about(rules)).toBe("");
    // Wherever they stand in the text.
    expect(complaint({ rules, ...EVERYBODY })).toBe("");
  });

  test("principals and workloads need no identity, and groups do", () => {
    expect(complaint({ tool_allowlist: [], rules: [{ ...WHO, workloads: [AGENTS], ...WHAT }] })).toBe("");
    expect(complaint({ tool_allowlist: [], rules: [{ groups: [ADMINS], ...WHAT }] })).toBe(
      "rules[0].groups[0].issuer: found an issuer that no entry of identity.jwt has, expected one of theirs",
    );
  });

  test("an exemption where people are asked", () => {
    const approval = { ...APPROVAL, exempt: ["delete_repo"] };
    expect(about([{ ...WHO, approval: { exempt: ["update_repo"] } }], { approval })).toBe("");
    expect(about([{ ...WHO, approval: { mode: "off" } }], { approval })).toBe("");
  });
});

describe("rules that are refused", () => {
  test.each<[string, unknown, string]>([
    ["an object", {}, "rules: found an object, expected a list of objects with principals, groups or workloads"],
    ["an empty list", [], "rules: found an empty list, expected at least one rule"],
    [
      "a list of texts",
      ["x"],
      'rules[0]: found the string "x", expected an object with principals, groups or workloads, and what they may',
    ],
    [
      "1,025 of them",
      names(1025).map(() => ({ ...WHO, ...WHAT })),
      "rules[1024]: the list has too many entries, expected at most 1024",
    ],
    [
      "an unknown member",
      [{ ...WHO, ...WHAT, principal: [] }],
      'rules[0]: found the unknown member "principal", expected one of principals groups workloads tool_allowlist prompt_allowlist resource_roots approval; did you mean "principals"?',
    ],
    [
      "no selector",
      [{ ...WHO, ...WHAT }, WHAT],
      "rules[1]: found no selector, expected principals, groups or workloads: what everybody gets stands in the lists of the policy",
    ],
    [
      "nothing that it adds",
      [WHO],
      "rules[0]: found nothing that it adds, expected tool_allowlist, prompt_allowlist, resource_roots or approval",
    ],
    ["empty principals", [{ principals: [], ...WHAT }], `rules[0].principals: ${EMPTY}`],
    ["empty groups", [{ groups: [], ...WHAT }], `rules[0].groups: ${EMPTY}`],
    ["empty workloads", [{ workloads: [], ...WHAT }], `rules[0].workloads: ${EMPTY}`],
    ["empty tools", [{ ...WHO, tool_allowlist: [] }], `rules[0].tool_allowlist: ${EMPTY}`],
    ["empty prompts", [{ ...WHO, prompt_allowlist: [] }], `rules[0].prompt_allowlist: ${EMPTY}`],
    ["empty roots", [{ ...WHO, resource_roots: [] }], `rules[0].resource_roots: ${EMPTY}`],
    ["empty exempt", [{ ...WHO, approval: { exempt: [] } }], `rules[0].approval.exempt: ${EMPTY}`],
    ["tools of everybody", [{ ...WHO, tool_allowlist: ["safe"] }], `rules[0].tool_allowlist: ${HAD}`],
    ["prompts of everybody", [{ ...WHO, ...WHAT, prompt_allowlist: ["greet"] }], `rules[0].prompt_allowlist: ${HAD}`],
    ["a root of everybody", [{ ...WHO, resource_roots: ["mcp://all/"] }], `rules[0].resource_roots: ${HAD}`],
    [
      "a root below one of everybody",
      [{ ...WHO, resource_roots: ["mcp://all/a/"] }],
      `rules[0].resource_roots: ${HAD}`,
    ],
    ["what is exempt for everybody", [{ ...WHO, approval: { exempt: ["delete_repo"] } }], `rules[0].approval: ${HAD}`],
    [
      "an approval that tightens",
      [{ ...WHO, ...WHAT, approval: { tools: ["push"] } }],
      'rules[0].approval: found the unknown member "tools", expected one of mode exempt',
    ],
    [
      "an approval with another mode",
      [{ ...WHO, approval: { mode: "required" } }],
      'rules[0].approval.mode: found the string "required", expected one of off',
    ],
    [
      "an approval with nothing",
      [{ ...WHO, approval: {} }],
      "rules[0].approval: found no member, expected mode: off or exempt",
    ],
    [
      "an approval with both",
      [{ ...WHO, approval: { mode: "off", exempt: ["update_repo"] } }],
      "rules[0].approval: found mode: off with exempt, expected one of them without the other",
    ],
    [
      "an approval that is a text",
      [{ ...WHO, approval: "off" }],
      'rules[0].approval: found the string "off", expected an object with mode: off or exempt',
    ],
    [
      "a principal that is a text",
      [{ principals: ["alice"], ...WHAT }],
      'rules[0].principals[0]: found the string "alice", expected an object with issuer and value',
    ],
    [
      "a principal without an issuer",
      [{ principals: [{ value: "a" }], ...WHAT }],
      "rules[0].principals[0]: found no issuer, expected who vouches for the value",
    ],
    [
      "a principal without a value",
      [{ principals: [{ issuer: "a" }], ...WHAT }],
      "rules[0].principals[0]: found no value, expected the one that the identity must have",
    ],
    [
      "a principal with a claim",
      [{ principals: [ADMINS], ...WHAT }],
      'rules[0].principals[0]: found the unknown member "claim", expected one of issuer value',
    ],
    [
      "a principal that stands twice",
      [{ principals: [ALICE, { ...ALICE }], ...WHAT }],
      "rules[0].principals[1]: found the same entry a second time, expected distinct ones",
    ],
    [
      "an empty value",
      [{ principals: [{ ...ALICE, value: "" }], ...WHAT }],
      'rules[0].principals[0].value: found the string "", expected a value of 1 to 512 bytes without controls',
    ],
    [
      "a value with a control",
      [{ principals: [{ ...ALICE, value: "a\n" }], ...WHAT }],
      'rules[0].principals[0].value: found the string "a\\u000a", expected a value of 1 to 512 bytes without controls',
    ],
    [
      "a value that is a number",
      [{ principals: [{ ...ALICE, value: 7 }], ...WHAT }],
      "rules[0].principals[0].value: found the number 7, expected a value of 1 to 512 bytes without controls",
    ],
    [
      "1,025 principals",
      [{ principals: names(1025).map((value) => ({ ...ALICE, value })), ...WHAT }],
      "rules[0].principals[1024]: the list has too many entries, expected at most 1024",
    ],
    [
      "a group without a claim",
      [{ groups: [ALICE], ...WHAT }],
      "rules[0].groups[0]: found no claim, expected the name of a claim of the token",
    ],
    [
      "a group without an issuer",
      [{ groups: [{ claim: "a", value: "b" }], ...WHAT }],
      "rules[0].groups[0]: found no issuer, expected who vouches for the value",
    ],
    [
      "a group without a value",
      [{ groups: [{ claim: "a", issuer: ISSUER }], ...WHAT }],
      "rules[0].groups[0]: found no value, expected the one that the identity must have",
    ],
    [
      "a group that stands twice",
      [{ groups: [ADMINS, { ...ADMINS }], ...WHAT }],
      "rules[0].groups[1]: found the same entry a second time, expected distinct ones",
    ],
    [
      "a group by an issuer of as many bytes as one of a token",
      [{ groups: [{ ...ADMINS, issuer: `${ISSUER.slice(0, -1)}_` }], ...WHAT }],
      "rules[0].groups[0].issuer: found an issuer that no entry of identity.jwt has, expected one of theirs",
    ],
    [
      "a group by an issuer of no token",
      [
        { ...WHO, ...WHAT },
        { groups: [ADMINS, { ...ADMINS, issuer: `${ISSUER}2` }], ...WHAT },
      ],
      "rules[1].groups[1].issuer: found an issuer that no entry of identity.jwt has, expected one of theirs",
    ],
    [
      "17 claims",
      [{ groups: names(17).map((claim) => ({ ...ADMINS, claim })), ...WHAT }],
      "rules[0].groups[16]: found one claim more than rules can ask for, expected at most 16 different ones with their issuers",
    ],
    [
      "a workload that is no SPIFFE id",
      [{ workloads: ["td.example/ns"], ...WHAT }],
      "rules[0].workloads[0]: expected the beginning of a SPIFFE id, like spiffe://cluster.local/ns/agents, of at most 16 segments",
    ],
    [
      "a workload that is a trust domain",
      [{ workloads: [AGENTS, "spiffe://td.example"], ...WHAT }],
      "rules[0].workloads[1]: expected the beginning of a SPIFFE id, like spiffe://cluster.local/ns/agents, of at most 16 segments",
    ],
    [
      "a workload with a slash at its end",
      [{ workloads: [`${AGENTS}/`], ...WHAT }],
      "rules[0].workloads[0]: expected the beginning of a SPIFFE id, like spiffe://cluster.local/ns/agents, of at most 16 segments",
    ],
    [
      "a workload of 17 segments",
      [{ workloads: [`spiffe://td${"/s".repeat(17)}`], ...WHAT }],
      "rules[0].workloads[0]: expected the beginning of a SPIFFE id, like spiffe://cluster.local/ns/agents, of at most 16 segments",
    ],
    [
      "1,025 workloads",
      [{ workloads: names(1025).map((name) => `${AGENTS}/${name}`), ...WHAT }],
      "rules[0].workloads: the list has too many entries, expected at most 1024",
    ],
    [
      "a tool that stands twice",
      [{ ...WHO, tool_allowlist: ["a", "a"] }],
      "rules[0].tool_allowlist[1]: found the same string a second time, expected distinct strings",
    ],
    [
      "a tool name that is too long",
      [{ ...WHO, tool_allowlist: ["n".repeat(257)] }],
      `rules[0].tool_allowlist[0]: found the string "${"n".repeat(64)}", expected a tool name of 1 to 256 bytes`,
    ],
    [
      "a root that is none",
      [{ ...WHO, resource_roots: ["mcp://a/../b"] }],
      "rules[0].resource_roots[0]: expected an absolute URI in its normal form: lower-case scheme, no dot segments, no user information, query or fragment",
    ],
    [
      "257 roots",
      [{ ...WHO, resource_roots: names(257).map((name) => `mcp://${name}/`) }],
      "rules[0].resource_roots: the list has too many entries, expected at most 256",
    ],
  ])("%s", (_what, rules, said) => {
    expect(about(rules)).toBe(said);
  });

  test("what has no approval for anybody cannot be exempt", () => {
    for (const approval of [{ mode: "off" }, { exempt: ["push"] }]) {
      expect(about([{ ...WHO, approval }], { approval: { mode: "off" } })).toBe(`rules[0].approval: ${HAD}`);
    }
  });

  test("a text that ends in the middle of a rule", () => {
    const whole = JSON.stringify({ ...EVERYBODY, rules: [{ ...WHO, groups: [ADMINS], workloads: [AGENTS], ...WHAT }] });
    for (let bytes = 0; bytes < whole.length; bytes++) expect(complaint(whole.slice(0, bytes))).not.toBe("");
    expect(complaint(whole)).toBe("");
  });
});

describe("require_principal", () => {
  test("is a truth value, and needs nothing else", () => {
    const said = (identity: object) => complaint({ tool_allowlist: [], identity });
    expect(said({ require_principal: true })).toBe("");
    expect(said({ require_principal: false })).toBe("");
    expect(said({ ...IDENTITY, require_principal: true, require_human: true })).toBe("");
    expect(said({ require_principal: 1 })).toBe(
      "identity.require_principal: found the number 1, expected true or false",
    );
    expect(said({ require_principle: true })).toBe(
      'identity: found the unknown member "require_principle", expected one of jwt header require_human require_principal; did you mean "require_principal"?',
    );
  });
});

describe("the digest of a policy", () => {
  const digestOf = (configuration: object): string => {
    vm.logs.length = 0;
    const plugin = vm.startPlugin(JSON.stringify(configuration));
    plugin.stop();
    return /policy ([0-9a-f]{16}) /.exec(vm.logs[0]?.message ?? "")?.[1] ?? "";
  };
  /** What a policy has that does not say otherwise: the schema knows it. */
  const defaultsOf = (members: Readonly<Record<string, SchemaMember>>): object =>
    Object.fromEntries(
      Object.entries(members).flatMap(([name, { default: value, properties }]) => {
        if (value === undefined) return [];
        return [[name, properties === undefined ? value : { ...defaultsOf(properties), ...Object(value) }]];
      }),
    );
  // That tokens pass is not written down (schema/policy-digest.md).
  const { authorization: _, ...written } = policySchema.properties;
  const DEFAULTS = { ...defaultsOf(written), tool_allowlist: [] };
  /** RFC 8785: members in the order of their names. */
  const canonical = (value: unknown): string => {
    if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
    if (typeof value !== "object" || value === null) return JSON.stringify(value);
    const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${members.map(([name, inner]) => `${JSON.stringify(name)}:${canonical(inner)}`).join(",")}}`;
  };
  const expected = (policy: object): string =>
    createHash("sha256")
      .update(canonical({ ...DEFAULTS, ...policy }))
      .digest("hex")
      .slice(0, 16);

  test("has rules as they were written, in their order, and nothing when there are none", () => {
    const identity = { ...IDENTITY, require_human: false };
    const rules = [
      { workloads: [AGENTS], tool_allowlist: ["b", "a"], principals: [ALICE, { issuer: 'ü"', value: "\\" }] },
      { groups: [ADMINS, { ...ADMINS, claim: "roles" }], approval: { exempt: ["x"] }, resource_roots: ["mcp://a/"] },
      { groups: [{ ...ADMINS, claim: "roles", value: "z" }], approval: { mode: "off" }, prompt_allowlist: ["p"] },
    ];
    expect(digestOf({ tool_allowlist: [], identity })).toBe(expected({ identity }));
    expect(digestOf({ tool_allowlist: [], identity: IDENTITY, rules })).toBe(expected({ identity, rules }));
    expect(digestOf({ tool_allowlist: [], identity: IDENTITY, rules: rules.toReversed() })).not.toBe(
      expected({ identity, rules }),
    );
    // That rules ask who the peer is does not write `identity` down.
    const alone = rules.slice(0, 1);
    expect(digestOf({ tool_allowlist: [], rules: alone })).toBe(expected({ rules: alone }));
  });

  test("has require_principal when it is true", () => {
    const identity = { require_human: false };
    expect(digestOf({ tool_allowlist: [], identity: { require_principal: false } })).toBe(expected({ identity }));
    expect(digestOf({ tool_allowlist: [], identity: { require_principal: true } })).toBe(
      expected({ identity: { ...identity, require_principal: true } }),
    );
  });

  test("of a policy with the longest texts", () => {
    const long = (issuer: string) => ({ issuer, value: "\\".repeat(512) });
    const rules = [{ principals: names(200).map((name) => long(`${name}${"\\".repeat(500)}`)), tool_allowlist: ["t"] }];
    expect(digestOf({ tool_allowlist: [], rules })).toBe(expected({ rules }));
    const jwt = [{ provider: "p", issuer: "\\".repeat(256), claim: "sub" }];
    const groups = names(200).map((name) => ({
      issuer: "\\".repeat(256),
      claim: "\\".repeat(128),
      value: `${name}\\`,
    }));
    const second = [{ groups, tool_allowlist: ["t"] }];
    expect(digestOf({ tool_allowlist: [], identity: { jwt }, rules: second })).toBe(
      expected({ identity: { jwt, require_human: false }, rules: second }),
    );
  });
});
