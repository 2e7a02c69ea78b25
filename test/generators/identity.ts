// Policies with rules, and callers: from few names, so that they meet. Two issuers with three providers, a gateway, peers whose ids begin alike,
// claims that are texts, lists and neither.

import fc from "fast-check";
import type { PropertyValue } from "../../src/host/index.ts";
import type { Caller, IdentityPolicy, Rule, Token } from "../oracle/identity.ts";
import { isUnderRoot } from "../oracle/uri.ts";

const ISSUERS = ["https://idp.example", "https://idp.example.org"] as const;
const PROVIDERS = [
  { provider: "people", issuer: ISSUERS[0], claim: "sub" },
  { provider: "devices", issuer: ISSUERS[0], claim: "user" },
  { provider: "partners", issuer: ISSUERS[1], claim: "sub" },
] as const;
const DOMAIN = "spiffe://td";
const GATEWAY = `${DOMAIN}/ns/gateway/sa/ai`;
const PEERS = [GATEWAY, `${DOMAIN}/ns/agents/sa/one`, `${DOMAIN}/ns/agents-b/sa/one`, "spiffe://td2/ns/agents/sa/one"];
const PEOPLE = ["alice", "bob", "alice2"] as const;
const GROUPS = ["team", "ops"] as const;

const TOOLS = ["safe", "other", "third", "delete_x"] as const;
const PROMPTS = ["greet", "sum"] as const;
const ROOTS = ["file:///docs/", "file:///docs/b/", "mcp://logs", "mcp://logs2/"] as const;

/** One of the first values mostly. */
const mostly = <T>(usual: readonly T[], rare: readonly T[]): fc.Arbitrary<T> =>
  fc.oneof({ weight: 5, arbitrary: fc.constantFrom(...usual) }, { weight: 1, arbitrary: fc.constantFrom(...rare) });

const some = <T>(values: readonly T[]): fc.Arbitrary<T[]> => fc.subarray([...values], { minLength: 1 });

const principal = fc.oneof(
  fc.record({ issuer: fc.constantFrom(...ISSUERS, GATEWAY), value: fc.constantFrom(...PEOPLE) }),
  fc.constantFrom(...PEERS).map((value) => ({ issuer: value.split("/").slice(0, 3).join("/"), value })),
);

const group = fc.record({
  issuer: fc.constantFrom(...ISSUERS),
  claim: fc.constantFrom("groups", "roles"),
  value: fc.constantFrom(...GROUPS),
});

const distinct = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T[]> =>
  fc.uniqueArray(arbitrary, { minLength: 1, maxLength: 3, selector: (entry) => JSON.stringify(entry) });

const selectors = fc.oneof(
  fc.record({ principals: distinct(principal) }),
  fc.record({ groups: distinct(group) }),
  fc.record({ workloads: some([`${DOMAIN}/ns`, `${DOMAIN}/ns/agents`, PEERS[1]!]) }),
  fc.record(
    { principals: distinct(principal), groups: distinct(group), workloads: some([`${DOMAIN}/ns`, GATEWAY]) },
    { requiredKeys: ["principals"] },
  ),
);

const rule: fc.Arbitrary<Rule> = fc
  .tuple(
    selectors,
    fc.record(
      {
        tool_allowlist: some(TOOLS),
        prompt_allowlist: some(PROMPTS),
        resource_roots: some(ROOTS),
        approval: fc.oneof(
          fc.constant({ mode: "off" as const }),
          some(["delete_x", "safe"]).map((exempt) => ({ exempt })),
        ),
      },
      { requiredKeys: [] },
    ),
  )
  .map(([who, what]) => ({ ...who, ...what }));

/** The rule without the lists that everybody has; undefined when nothing is left. A policy with one of these would be refused. */
function adding(policy: IdentityPolicy, given: Rule): Rule | undefined {
  const { tool_allowlist: tools, prompt_allowlist: prompts, resource_roots: roots, approval, ...who } = given;
  const isExempt = (names: readonly string[]) =>
    policy.approval?.mode === "off" || names.every((name) => policy.approval?.exempt?.includes(name));
  const rest = {
    ...(tools?.some((name) => !policy.tool_allowlist.includes(name)) && { tool_allowlist: tools }),
    ...(prompts?.some((name) => !policy.prompt_allowlist?.includes(name)) && { prompt_allowlist: prompts }),
    ...(roots?.some((root) => !policy.resource_roots?.some((other) => isUnderRoot(other, root))) && {
      resource_roots: roots,
    }),
    ...(approval !== undefined &&
      !("mode" in approval ? policy.approval?.mode === "off" : isExempt(approval.exempt)) && { approval }),
  };
  return Object.keys(rest).length === 0 ? undefined : { ...who, ...rest };
}

/** Members about who asks and what that one may, of which nobody has looked whether they go together. */
export const identityMembers: fc.Arbitrary<Pick<IdentityPolicy, "identity" | "rules">> = fc.record(
  {
    identity: fc.record(
      {
        jwt: fc.subarray([...PROVIDERS], { minLength: 1 }),
        header: fc.constant({ name: "User-Identity", trusted_gateways: [GATEWAY] }),
        require_human: fc.boolean(),
        require_principal: fc.boolean(),
      },
      { requiredKeys: [] },
    ),
    rules: fc.array(rule, { minLength: 1, maxLength: 4 }),
  },
  { requiredKeys: [] },
);

/** Somebody whom rules of these generators can be for, in each of their ways. */
export const ALICE: Caller = {
  tokens: [{ provider: "people", claims: { iss: ISSUERS[0], sub: "alice", groups: ["ops", "team"] } }],
  peer: `${DOMAIN}/ns/agents/sa/one`,
  header: [],
};

/** A policy with rules that the filter takes. */
export const identityPolicy: fc.Arbitrary<IdentityPolicy> = fc
  .tuple(
    fc.record({
      tool_allowlist: fc.subarray([...TOOLS]),
      prompt_allowlist: fc.subarray([...PROMPTS]),
      resource_roots: fc.subarray([...ROOTS]),
    }),
    fc.record(
      {
        approval: fc.constantFrom<NonNullable<IdentityPolicy["approval"]>>(
          { mode: "off" },
          { exempt: ["delete_x"] },
          { tools: ["safe"] },
        ),
      },
      { requiredKeys: [] },
    ),
    fc.record({ require_human: fc.boolean(), require_principal: fc.boolean() }, { requiredKeys: [] }),
    fc.array(rule, { minLength: 1, maxLength: 6 }),
  )
  .map(([lists, approval, needs, rules]) => {
    const policy: IdentityPolicy = {
      ...lists,
      ...approval,
      identity: { jwt: PROVIDERS, header: { name: "User-Identity", trusted_gateways: [GATEWAY] }, ...needs },
    };
    const good = rules.flatMap((given) => adding(policy, given) ?? []);
    return good.length === 0 ? policy : { ...policy, rules: good };
  });

const groupsClaim: fc.Arbitrary<PropertyValue> = mostly<PropertyValue>(
  ["team", "ops", ["team"], ["ops", "team"], ["x", "ops"]],
  [[], true, 7n, ["team", ""], ["team", true], [["team"]], "team,ops", "team\u0001", { team: "" }, { 0: "", 1: "" }],
);

/** Mostly a token of the provider's own issuer that names somebody. */
const tokenOf = (entry: (typeof PROVIDERS)[number]): fc.Arbitrary<Token> =>
  fc
    .tuple(
      mostly<PropertyValue>([entry.issuer], [...ISSUERS, `${entry.issuer}/`, true]),
      fc.oneof(
        { weight: 8, arbitrary: mostly<PropertyValue>(["alice"], [...PEOPLE]) },
        { weight: 1, arbitrary: fc.constantFrom<PropertyValue>(["alice"], 7n, true, "a".repeat(257), "alice\n") },
        { weight: 1, arbitrary: fc.constant(undefined) },
      ),
      fc.record({ groups: groupsClaim, roles: groupsClaim }, { requiredKeys: [] }),
    )
    .map(([iss, who, more]) => ({
      provider: entry.provider,
      claims: { iss, ...(who !== undefined && { [entry.claim]: who }), ...more },
    }));

/** Anybody who sends a request. */
export const caller: fc.Arbitrary<Caller> = fc
  .tuple(
    fc.oneof(
      { weight: 3, arbitrary: tokenOf(PROVIDERS[0]).map((token) => [token]) },
      { weight: 1, arbitrary: fc.constant([]) },
      {
        weight: 2,
        arbitrary: fc
          .tuple(...PROVIDERS.map((entry) => fc.option(tokenOf(entry), { nil: undefined })))
          .map((tokens) => tokens.filter((token) => token !== undefined)),
      },
    ),
    fc.option(fc.constantFrom(...PEERS), { nil: undefined }),
    fc.oneof(
      { weight: 4, arbitrary: fc.constant([]) },
      { weight: 2, arbitrary: fc.constantFrom(["alice"], ["bob"]) },
      { weight: 1, arbitrary: fc.constant(["alice", "alice"]) },
    ),
  )
  .map(([tokens, peer, header]) => ({ tokens, header, ...(peer !== undefined && { peer }) }));

const uri = fc.constantFrom(
  "file:///docs/a",
  "file:///docs/b/c",
  "mcp://logs/1",
  "mcp://logs2/1",
  "mcp://x/",
  "file:///docs/../x",
);
const promptName = fc.constantFrom(...PROMPTS, "evil");

/** What somebody sends: each way in which a tool, a prompt or a resource is named, and what names none. */
export const identityMessage: fc.Arbitrary<string> = fc
  .oneof(
    {
      weight: 4,
      arbitrary: fc.constantFrom(...TOOLS, "evil").map((name) => ["tools/call", { name, arguments: {} }] as const),
    },
    { weight: 2, arbitrary: promptName.map((name) => ["prompts/get", { name }] as const) },
    {
      weight: 2,
      arbitrary: fc
        .tuple(fc.constantFrom("resources/read", "resources/subscribe", "resources/unsubscribe"), uri)
        .map(([method, each]) => [method, { uri: each }] as const),
    },
    {
      weight: 1,
      arbitrary: promptName.map(
        (name) =>
          ["completion/complete", { ref: { type: "ref/prompt", name }, argument: { name: "a", value: "b" } }] as const,
      ),
    },
    {
      weight: 1,
      arbitrary: uri.map(
        (each) =>
          [
            "completion/complete",
            { ref: { type: "ref/resource", uri: `${each}/{x}` }, argument: { name: "x", value: "b" } },
          ] as const,
      ),
    },
    {
      weight: 1,
      arbitrary: fc
        .array(uri, { maxLength: 3 })
        .map((uris) => ["subscriptions/listen", { notifications: { resourceSubscriptions: uris } }] as const),
    },
    {
      weight: 1,
      arbitrary: fc.constantFrom("ping", "tools/list", "vendor/x", "tasks/list").map((method) => [method, {}] as const),
    },
    { weight: 1, arbitrary: fc.constant(undefined) },
  )
  .map((request) =>
    JSON.stringify(
      request === undefined
        ? { jsonrpc: "2.0", id: 1, result: { roots: [] } }
        : { jsonrpc: "2.0", id: 1, method: request[0], params: request[1] },
    ),
  );
