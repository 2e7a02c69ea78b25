// Mutated bodies, with headers of the same message or of another, of callers whom rules are for and of others, through the whole filter, debug build: no trap, and the verdict is one that the reference justifies.

import fc from "fast-check";
import { caller } from "../generators/identity.ts";
import { type Exchange, legacyExchange, messageBody, modernExchange, OPEN_POLICY } from "../generators/message.ts";
import { mutatedBody } from "../generators/mutate.ts";
import { NEARLY_ROOTS } from "../generators/uri.ts";
import { addPlugin, type Delivery, JSON_HEADERS, post, startGuard } from "../host/guard.ts";
import { type IdentityPolicy, policyFor, shownCaller } from "../oracle/identity.ts";
import { faults } from "../oracle/message.ts";
import { ARGUMENT_VECTORS } from "../vectors/arguments.ts";
import { ENTRY_VECTORS } from "../vectors/entries.ts";
import { JSON_VECTORS } from "../vectors/json.ts";
import { POLICY_VECTORS } from "../vectors/policy.ts";
import { THREAT_VECTORS } from "../vectors/threats.ts";
import { type Finding, samples } from "./samples.ts";

/** Longer seeds leave too few runs, and what they are about is their length. */
const SEED_BYTES_MAX = 1500;

const WHO = {
  jwt: [{ provider: "people", issuer: "https://idp.example", claim: "sub" }],
  header: { name: "User-Identity", trusted_gateways: ["spiffe://td/ns/gateway/sa/ai"] },
};
const ALICE = { issuer: "https://idp.example", value: "alice" };
const TEAM = { issuer: "https://idp.example", claim: "groups", value: "team" };

const POLICIES: readonly IdentityPolicy[] = [
  { tool_allowlist: ["safe", "search_code", "get.pull/request", "\u00fcbersetzen", "two words"] },
  { tool_allowlist: [] },
  { tool_allowlist: ["evil", "delete_branch", "execute"], method_allowlist: ["vendor/x", "notifications/vendor"] },
  { tool_allowlist: ["delete_branch", "updates"], approval: { mode: "off" } },
  { tool_allowlist: ["delete_branch", "updates", "safe"], approval: { exempt: ["updates"], tools: ["safe"] } },
  { tool_allowlist: ["safe"], limits: { depth: 3, members_per_object: 4, open_members: 8, key_bytes: 9 } },
  { tool_allowlist: ["safe", "evil"], limits: { depth: 1 } },
  OPEN_POLICY,
  { ...OPEN_POLICY, uri_traversal: "segment", resource_roots: [...NEARLY_ROOTS, "ui://app", "file:///"] },
  {
    tool_allowlist: ["safe", "other", "delete_all"],
    prompt_allowlist: ["greet"],
    argument_rules: [
      { tool: "safe", pointer: "/path", rule: "path" },
      { tool: "safe", pointer: "/a/-", rule: { enum: ["a", "b", "x"] } },
      { tool: "safe", pointer: "/x", rule: { uri_roots: NEARLY_ROOTS } },
      { tool: "safe", pointer: "/x/-/-", rule: { max_bytes: 3 } },
      { tool: "other", pointer: "/", rule: { path_roots: ["/", "/docs"] } },
      { tool: "safe", pointer: "/a/b", rule: "uri" },
    ],
  },
  // What the open policy gives to everybody, here to some.
  {
    tool_allowlist: ["safe"],
    method_allowlist: OPEN_POLICY.method_allowlist,
    tasks: "allow",
    identity: { ...WHO, require_principal: true },
    rules: [
      { principals: [ALICE], tool_allowlist: OPEN_POLICY.tool_allowlist },
      { groups: [TEAM], prompt_allowlist: OPEN_POLICY.prompt_allowlist },
      { workloads: ["spiffe://td/ns/agents"], resource_roots: OPEN_POLICY.resource_roots },
    ],
  },
  {
    ...OPEN_POLICY,
    tool_allowlist: ["delete_branch", "updates", "safe"],
    identity: { ...WHO, require_human: true },
    rules: [
      { principals: [ALICE], approval: { exempt: ["delete_branch"] } },
      { groups: [TEAM], workloads: ["spiffe://td/ns"], approval: { mode: "off" } },
    ],
  },
];

const alone = (body: Uint8Array): Exchange => ({ headers: [], body });
/** The headers that are compared with the body, names as Envoy gives them to a filter. */
const mirrored = (headers: Exchange["headers"]): Exchange["headers"] =>
  headers.map(([name, value]) => [name.toLowerCase(), value] as const).filter(([name]) => name.startsWith("mcp-"));

const seeds: readonly Exchange[] = [
  ...THREAT_VECTORS.map(({ request: { headers, body } }) => ({ headers: mirrored(headers), body })),
  ...[...POLICY_VECTORS, ...ENTRY_VECTORS, ...ARGUMENT_VECTORS].map(({ body }) => alone(body)),
  ...Object.values(JSON_VECTORS).flatMap((vectors) => vectors.map(({ text }) => alone(text))),
].filter(({ body }) => body.length <= SEED_BYTES_MAX);

const valid: fc.Arbitrary<Exchange> = fc
  .oneof(modernExchange, legacyExchange, messageBody.map(alone))
  .map(({ headers, body }) => ({ headers: mirrored(headers), body }));

const mutated = (exchanges: fc.Arbitrary<Exchange>): fc.Arbitrary<Exchange> =>
  exchanges.chain(({ headers, body }) =>
    mutatedBody(fc.constant(body), 6).map((changed) => ({ headers, body: changed })),
  );

/** Headers that are nearly those of some message. */
const header = fc.tuple(
  fc.constantFrom("mcp-protocol-version", "mcp-method", "mcp-name"),
  fc.oneof(
    fc.constantFrom("2026-07-28", "2025-11-25", "2026-07-29", "", "tools/call", "resources/read", "safe", "evil"),
    fc.constantFrom("=?base64?c2FmZQ==?=", "=?base64?c2FmZR==?=", "=?base64??=", "=?base64?", "file:///docs/a"),
    fc.string({ maxLength: 12 }).map((text) => `=?base64?${text}?=`),
    fc.string({ maxLength: 12 }),
    fc.nat(6000).map((length) => "n".repeat(length)),
  ),
);

/** Mostly the headers of the message, else those of another, with one more, or with one less. */
const delivered = fc
  .tuple(
    fc.oneof(
      { weight: 1, arbitrary: valid },
      { weight: 4, arbitrary: mutated(valid) },
      { weight: 4, arbitrary: mutated(fc.constantFrom(...seeds)) },
      { weight: 1, arbitrary: fc.uint8Array({ maxLength: 64 }).map(alone) },
    ),
    fc.oneof(
      { weight: 6, arbitrary: fc.constant((headers: Exchange["headers"]) => headers) },
      { weight: 1, arbitrary: valid.map((other) => () => other.headers) },
      { weight: 1, arbitrary: header.map((one) => (headers: Exchange["headers"]) => [...headers, one]) },
      { weight: 1, arbitrary: fc.nat(5).map((at) => (headers: Exchange["headers"]) => headers.toSpliced(at, 1)) },
    ),
  )
  .map(([{ headers, body }, change]): Exchange => ({ headers: change(headers), body }));

const fraction = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

const request = fc.record({
  exchange: delivered,
  cuts: fc.oneof(fc.array(fraction, { maxLength: 10 }), fc.constant("each byte" as const)),
  end: fc.constantFrom<NonNullable<Delivery["end"]>>("separate", "merged", "trailers"),
  policy: fc.nat(POLICIES.length - 1),
  caller,
});

/** Runs until the time is over or something is found; gives how many bodies were judged, and how many passed. */
export function fuzzRequests(seconds: number, seed: number): { bodies: number; allowed: number; findings: Finding[] } {
  const { vm, plugin: first } = startGuard(POLICIES[0]!, { build: "debug" });
  const plugins = [first, ...POLICIES.slice(1).map((policy) => addPlugin(vm, policy))];
  const findings: Finding[] = [];
  let [bodies, allowed] = [0, 0];
  for (const { value, at } of samples(request, seconds, seed)) {
    const { headers, body } = value.exchange;
    const cuts =
      value.cuts === "each byte"
        ? body.keys()
        : value.cuts.map((each) => Math.floor(each * body.length)).sort((one, other) => one - other);
    const policy = POLICIES[value.policy]!;
    const own = policyFor(policy, value.caller);
    const who = shownCaller(value.caller);
    const delivery = {
      headers: [...JSON_HEADERS, ...headers, ...who.headers],
      body,
      cuts,
      end: value.end,
      stream: { properties: who.properties },
    };
    const verdict = post(plugins[value.policy]!, delivery);
    const justified: ReadonlySet<string> =
      own === "conflict" ? new Set(["identity_conflict"]) : faults(body, own, headers);
    const isRight = justified.size === 0 ? verdict === "allow" : justified.has(reasonOf(verdict) ?? "");
    bodies++;
    if (verdict === "allow") allowed++;
    if (!isRight || vm.failed) {
      const hex = Buffer.from(body).toString("hex");
      const asText = (_: string, inner: unknown) => (typeof inner === "bigint" ? `${inner}` : inner);
      const sent = `caller ${JSON.stringify(value.caller, asText)}, headers ${JSON.stringify(headers)}, body ${hex}`;
      const input = `policy ${value.policy}, cuts ${value.cuts}, end ${value.end}, ${sent}`;
      findings.push({
        at,
        input,
        found: verdict,
        expected: justified.size === 0 ? "allow" : [...justified].join(" or "),
      });
    }
    if (vm.failed || findings.length === 10) break;
    vm.logs.length = 0;
  }
  return { bodies, allowed, findings };
}

function reasonOf(verdict: string): string | undefined {
  return /^refuse (\w+) /.exec(verdict)?.[1];
}
