// schema/policy-digest.md says how a policy's digest is made. Here it is made by that text alone, with another
// implementation of SHA-256 and the defaults of the schema, and compared with the filter's.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { Vm } from "../../src/host/index.ts";
import { projectPath } from "../../src/project.ts";
import { ENVIRONMENT, KEYS, REQUIRED } from "./approval-member.ts";
import { policySchema, type SchemaMember } from "./schema.ts";

const MODULE = readFileSync(projectPath("build", "plugin.wasm"));
const FORMAT = readFileSync(projectPath("schema", "policy-digest.md"), "utf8");

type Value = Record<string, unknown>;

const JWT = { jwt: [{ provider: "p", issuer: "i", claim: "sub" }] };
const SERVICE = { path: "/token", cluster: "c", authority: "a" };
const BY_SECRET = { secret_env: "CLIENT_SECRET", id: "guard", auth: "client_secret_basic" };
const BY_KEY = { key_env: "CLIENT_KEY", id: "guard", auth: "private_key_jwt", audience: "i", alg: "RS256" };

/** The digest that the filter counts the policy under. */
function filterDigest(configuration: string): string | undefined {
  const vm = Vm.load(MODULE, { environment: ENVIRONMENT });
  const plugin = vm.startPlugin(configuration);
  expect(plugin.accepted).toBe(true);
  plugin.tick();
  const gauges = vm.metrics.names().filter((name) => name.startsWith("mcp_guard_info.policy."));
  expect(gauges).toHaveLength(1);
  expect(vm.metrics.value(gauges[0]!)).toBe(1n);
  const digest = gauges[0]?.split(".").at(-1);
  expect(vm.logs[0]?.message).toMatch(new RegExp(`^mcp-guard: policy ${digest} `));
  return digest;
}

function withDefaults(value: Value, members: Readonly<Record<string, SchemaMember>>): Value {
  const whole: Value = { ...value };
  for (const [name, member] of Object.entries(members)) {
    if (whole[name] === undefined && member.default === undefined) continue;
    whole[name] ??= member.default;
    // Where nobody is asked, nothing that says how is part of the policy.
    if (name === "approval" && (whole[name] as Value).mode !== "required") continue;
    if (member.properties !== undefined) whole[name] = withDefaults(whole[name] as Value, member.properties);
  }
  return whole;
}

/** RFC 8785: ECMAScript's own serialisation, with members in the order of their UTF-16 code units. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, inner]) => `${JSON.stringify(name)}:${canonical(inner)}`).join(",")}}`;
}

/** What step 1 leaves out when it is the default: members that came later. */
function withoutLater(policy: Value): Value {
  const { authorization, identity, rate_limit: limits, ...rest } = policy;
  const { require_principal: needsPrincipal, ...who } = (identity ?? {}) as Value;
  const rates = Object.entries((limits ?? {}) as Record<string, Value>);
  return {
    ...rest,
    ...(authorization !== "pass" && { authorization }),
    ...(identity !== undefined && {
      identity: { ...who, ...(needsPrincipal === true && { require_principal: true }) },
    }),
    ...(limits !== undefined && {
      rate_limit: Object.fromEntries(rates.map(([name, rate]) => [name, { burst: rate.requests, ...rate }])),
    }),
  };
}

function canonicalPolicy(configuration: string): string {
  const policy = withoutLater(withDefaults(JSON.parse(configuration) as Value, policySchema.properties));
  policy.unguarded = (policy.unguarded as { methods: string[] }[]).map((entry) => ({
    ...entry,
    methods: [...entry.methods].sort(),
  }));
  return canonical(policy);
}

function sha256(text: string): string {
  return createHash("sha256").update(text, "utf8").digest("hex");
}

describe("the filter's digest is that of the written format", () => {
  test.each(
    [
      '{"tool_allowlist":["search_code","get_pull_request"]}',
      '{"tool_allowlist":[]}',
      JSON.stringify({
        tool_allowlist: ["größe", "検索", "🔍", 'a"b\\c/d', "\b\t\n\f\r\u0000\u001f\u007f\u0080\u2028\ufeff"],
      }),
      JSON.stringify({
        tool_allowlist: ["b", "a"],
        method_allowlist: ["z/z", "a/a"],
        mode: "monitor",
        direction: "both",
      }),
      JSON.stringify({
        tool_allowlist: ["a"],
        refusal: "tool_error",
        refusal_detail: "masked",
        request_headers: "hold",
      }),
      JSON.stringify({ tool_allowlist: ["a"], audit: { line: "none", response: "digest" }, metrics: {} }),
      JSON.stringify({ tool_allowlist: ["a"], audit: { record_bytes: 65_536 } }),
      JSON.stringify({ tool_allowlist: ["a"], audit: { otlp: { cluster: 'c|"', authority: "a" }, required: "all" } }),
      JSON.stringify({
        tool_allowlist: ["a"],
        audit: {
          otlp: { messages: "none", path: "/", cluster: "c", authority: "a", flush_ms: 1e2 },
          required: "approval",
        },
      }),
      JSON.stringify({ tool_allowlist: ["a"], audit: { redact: ["/a~1b/~0", '/ü"/-'], arguments: "redacted" } }),
      JSON.stringify({ tool_allowlist: ["a"], audit: { arguments: "full", response: "full" } }),
      JSON.stringify({ tool_allowlist: ["a"], audit: { response: "redacted", redact_response: ["/b", "/a/-"] } }),
      JSON.stringify({ tool_allowlist: ["a"], identity: {} }),
      JSON.stringify({
        tool_allowlist: ["a"],
        identity: {
          require_human: true,
          header: { name: "User-Identity", trusted_gateways: ["spiffe://b/c", "spiffe://a/b"] },
        },
      }),
      JSON.stringify({
        tool_allowlist: ["a"],
        identity: {
          jwt: [
            { provider: "p", issuer: 'https://ü.example/"', claim: "sub" },
            { claim: "größe\\", issuer: "i", provider: "payload" },
          ],
        },
      }),
      JSON.stringify({ tool_allowlist: ["a"], identity: { require_principal: true } }),
      JSON.stringify({ tool_allowlist: ["a"], identity: { require_principal: false } }),
      JSON.stringify({ tool_allowlist: ["a"], rules: [{ workloads: ["spiffe://b/c"], tool_allowlist: ["c", "b"] }] }),
      JSON.stringify({
        tool_allowlist: ["a"],
        identity: { jwt: [{ provider: "p", issuer: 'i"', claim: "sub" }], require_principal: true },
        rules: [
          {
            workloads: ["spiffe://b/d", "spiffe://b/c"],
            tool_allowlist: ["c", "b"],
            resource_roots: ["mcp://b/", "mcp://a/ü/"],
            prompt_allowlist: ["\u0000", "größe"],
            principals: [
              { value: 'v"', issuer: "j\\" },
              { issuer: "i", value: "ü" },
            ],
            groups: [
              { value: "g", issuer: 'i"', claim: "größe" },
              { value: "f", issuer: 'i"', claim: "a" },
              { claim: "größe", value: "e", issuer: 'i"' },
            ],
            approval: { exempt: ["z", "y"] },
          },
          { approval: { mode: "off" }, principals: [{ issuer: "i", value: "v" }] },
        ],
      }),
      // As long as it gets.
      JSON.stringify({
        tool_allowlist: [],
        identity: { jwt: [{ provider: "p", issuer: '"'.repeat(256), claim: "sub" }] },
        rules: Array.from({ length: 64 }, (_, rule) => ({
          groups: Array.from({ length: 16 }, (_, index) => ({
            issuer: '"'.repeat(256),
            claim: `${index}`.padEnd(128, '"'),
            value: `${rule}`.padEnd(512, '"'),
          })),
          principals: [{ issuer: '"'.repeat(512), value: `${rule}`.padEnd(512, '"') }],
          tool_allowlist: ["\u0001".repeat(256)],
          prompt_allowlist: ["\u0001".repeat(256)],
          approval: { exempt: ["\u0001".repeat(256)] },
        })),
      }),
      '{"tool_allowlist":["a"],"authorization":"pass"}',
      '{"tool_allowlist":["a"],"authorization":"strip"}',
      JSON.stringify({
        tool_allowlist: ["a"],
        identity: JWT,
        authorization: "exchange",
        token_exchange: { service: SERVICE, resource: "https://a/", client: BY_SECRET },
      }),
      JSON.stringify({
        token_exchange: {
          subject_token_type: "urn:ietf:params:oauth:token-type:id_token",
          service: { timeout_ms: 1e2, ...SERVICE, cluster: 'c"|' },
          scope: "b a",
          resource: "urn:b",
          requested_token_type: "urn:ietf:params:oauth:token-type:jwt",
          max_cache_seconds: 0,
          client: { ...BY_KEY, kid: '"k' },
          cache_entries: 16,
          audience: 'a"',
          actor: { token_type: "urn:ietf:params:oauth:token-type:id_token", token_env: "ACTOR_TOKEN" },
        },
        authorization: "exchange",
        identity: JWT,
        tool_allowlist: [],
      }),
      JSON.stringify({
        tool_allowlist: [],
        identity: JWT,
        authorization: "exchange",
        // As long as it gets.
        token_exchange: {
          service: { cluster: '"'.repeat(512), authority: '"'.repeat(512), path: `/${'"'.repeat(511)}` },
          client: { ...BY_KEY, id: '"'.repeat(512), kid: "\\".repeat(128), audience: '"'.repeat(512) },
          audience: '"'.repeat(512),
          resource: `a:${'"'.repeat(510)}`,
          scope: "'".repeat(512),
          actor: { token_env: "ACTOR_TOKEN" },
        },
      }),
      JSON.stringify({ tool_allowlist: ["a"], rate_limit: { per_tool: { seconds: 1, requests: 2 } } }),
      '{"tool_allowlist":["a"],"rate_limit":{"per_tool":{"seconds":3600,"requests":1e6,"burst":1},"per_principal":{"burst":3,"seconds":1,"requests":2}}}',
      JSON.stringify({ tool_allowlist: ["a"], refusal: "http_403", request_body: "whole", approval: { mode: "off" } }),
      JSON.stringify({ tool_allowlist: ["a"], approval: { tools: ["c", "b"], exempt: ["d"] } }),
      JSON.stringify({ tool_allowlist: ["a"], approval: { mode: "off", exempt: [] } }),
      JSON.stringify({ approval: REQUIRED, tool_allowlist: ["a"] }),
      JSON.stringify({ approval: { ...REQUIRED, exempt: ["z"], tools: ["y"] }, tool_allowlist: ["a"] }),
      JSON.stringify({
        approval: {
          ...REQUIRED,
          server: 'a"\\/b',
          service: {
            timeout_ms: 100,
            secret_env: "S",
            poll_ms: 1e3,
            path: "/",
            cluster: 'c|"',
            authority: "a",
          },
          keys: [
            { spki: KEYS.second, kid: '"b' },
            { kid: "a", spki: KEYS.first },
          ],
          hold_seconds: 0,
          waiting_per_principal: 1,
          waiting: 2,
          arguments_bytes: 1024,
          legacy_carrier: "url_elicitation",
        },
        tool_allowlist: ["a"],
      }).replace('"path":"/"', '"path":"\\/v2"'),
      // As long as it gets.
      JSON.stringify({
        approval: {
          ...REQUIRED,
          server: '"'.repeat(128),
          page: `https://a/${"b".repeat(501)}/`,
          service: {
            cluster: '"'.repeat(512),
            authority: '"'.repeat(256),
            path: `/${"p".repeat(255)}`,
            secret_env: "S".repeat(128),
          },
          keys: [
            { kid: '"'.repeat(64), spki: KEYS.first },
            { kid: "\\".repeat(64), spki: KEYS.second },
          ],
        },
        tool_allowlist: [],
      }),
      JSON.stringify({
        tool_allowlist: ["a"],
        prompt_allowlist: ["b", "a"],
        resource_roots: ["urn:b:", "file:///srv/größe/"],
        tasks: "allow",
        uri_traversal: "segment",
        allowed_origins: ["https://app.example"],
        allowed_hosts: ["MCP.example:8443", "localhost"],
      }),
      JSON.stringify({
        tool_allowlist: ["a"],
        sampling: "allow",
        elicitation: "deny",
        roots: "deny",
        hidden_text: "drop",
      }),
      '{"tool_allowlist":["a"],"hidden_text":"allow","response_uris":{}}',
      '{"tool_allowlist":["a"],"response_uris":{"schemes":[]}}',
      '{"tool_allowlist":["a"],"response_uris":{"hosts":["b.example:8443","a.example"]}}',
      '{"tool_allowlist":["a"],"response_uris":{"schemes":["mailto","https"],"hosts":["a.example"]}}',
      // As long as it gets.
      JSON.stringify({
        tool_allowlist: [],
        response_uris: {
          schemes: Array.from({ length: 64 }, (_, index) => `s${index}`.padEnd(32, "-")),
          hosts: Array.from({ length: 4096 }, (_, index) => `${index}`.padEnd(256, "h")),
        },
      }),
      JSON.stringify({
        tool_allowlist: ["a"],
        argument_rules: [
          { rule: "path", pointer: "/files/-/name", tool: "b" },
          { tool: 'a"\u0000', pointer: "/a~1b/~01~0/größe\n", rule: "uri" },
          { tool: "a", pointer: "/", rule: { enum: ["b", "a", "\\"] } },
          { tool: "a", pointer: "//x", rule: { path_roots: ["/srv", "/"] } },
          { tool: "a", pointer: "/0", rule: { uri_roots: ["mcp://b/", "mcp://a"] } },
          { tool: "a", pointer: "/1", rule: { max_bytes: 0 } },
        ],
      }),
      '{"tool_allowlist":[],"argument_rules":[{"tool":"a","pointer":"/\\u0061","rule":{"max_bytes":1e+03}}]}',
      // As long as it gets: each byte of a name takes six in the canonical form.
      JSON.stringify({
        tool_allowlist: [],
        argument_rules: Array.from({ length: 64 }, () => ({
          tool: "\u0001".repeat(256),
          pointer: `/${"\u0001".repeat(1023)}`,
          rule: { enum: ["\u0001".repeat(1024)] },
        })),
      }),
      JSON.stringify({
        tool_allowlist: ["a"],
        unguarded: [
          { reason: 'für "alle"\n', path: "/b", methods: ["PUT", "POST", "PATCH", "OPTIONS", "HEAD", "GET", "DELETE"] },
          { path: "/a/", methods: ["POST"] },
        ],
      }),
      '{"tool_allowlist":["a"],"limits":{"body_bytes":1e+06,"depth":1,"members_per_object":2,"open_members":3,"key_bytes":4,"stall_ms":100,"in_flight_bytes":65536,"list_bytes":65537,"event_bytes":4097}}',
      JSON.stringify({
        tool_allowlist: Array.from({ length: 16_384 }, (_, index) => `"${index}"`.padEnd(36, "\u0001")),
      }),
    ].map((configuration) => [configuration.slice(0, 80), configuration] as const),
  )("%s", (_, configuration) => {
    expect(filterDigest(configuration)).toBe(sha256(canonicalPolicy(configuration)).slice(0, 16));
  });
});

describe("spellings of one policy", () => {
  const digest = filterDigest('{"tool_allowlist":["a","b"],"unguarded":[{"methods":["GET","POST"],"path":"/x"}]}');

  test.each([
    [
      "white space and order of members",
      '{ "unguarded" : [{"path":"/x","methods":["GET","POST"]}], "tool_allowlist":["a", "b"] }',
    ],
    ["escapes", '{"tool_allowlist":["\\u0061","b"],"unguarded":[{"methods":["GET","POST"],"path":"\\/x"}]}'],
    [
      "written defaults",
      '{"tool_allowlist":["a","b"],"mode":"enforce","limits":{"body_bytes":1e+06,"list_bytes":1048576},"response_uris":{"schemes":["https"]},"sampling":"deny","unguarded":[{"methods":["GET","POST"],"path":"/x"}]}',
    ],
    ["order of HTTP methods", '{"tool_allowlist":["a","b"],"unguarded":[{"methods":["POST","GET"],"path":"/x"}]}'],
  ])("have one digest: %s", (_, configuration) => {
    expect(filterDigest(configuration)).toBe(digest);
  });

  test.each([
    { identity: { require_principal: false } },
    { rate_limit: { per_tool: { requests: 5, seconds: 1, burst: 5 } } },
  ])("what a later member has by default says nothing: %j", (members) => {
    const policy = (value: object): string => JSON.stringify({ tool_allowlist: ["a"], ...value });
    const text = policy(members).replace('"require_principal":false', "").replace(',"burst":5', "");
    expect(text).not.toBe(policy(members));
    expect(filterDigest(policy(members))).toBe(filterDigest(text));
  });

  test.each([
    ["service", { ...SERVICE, cluster: "d" }],
    ["service", { ...SERVICE, authority: "b" }],
    ["service", { ...SERVICE, path: "/b" }],
    ["service", { ...SERVICE, timeout_ms: 2001 }],
    ["client", { ...BY_SECRET, id: "other" }],
    ["client", { ...BY_SECRET, secret_env: "SECRET" }],
    ["client", BY_KEY],
    ["client", { ...BY_KEY, alg: "ES256" }],
    ["client", { ...BY_KEY, kid: "k" }],
    ["client", { ...BY_KEY, audience: "j" }],
    ["audience", "b"],
    ["resource", "urn:a"],
    ["scope", "a"],
    ["requested_token_type", "urn:ietf:params:oauth:token-type:jwt"],
    ["subject_token_type", "urn:ietf:params:oauth:token-type:jwt"],
    ["actor", { token_env: "ACTOR_TOKEN" }],
    ["cache_entries", 1025],
    ["max_cache_seconds", 61],
  ])("another token_exchange.%s is another policy: %j", (member, value) => {
    const exchange = { service: SERVICE, client: BY_SECRET, audience: "a" };
    const policy = (members: object): string =>
      JSON.stringify({ tool_allowlist: [], identity: JWT, authorization: "exchange", token_exchange: members });
    const base = filterDigest(policy(exchange));
    expect(filterDigest(policy({ ...exchange, [member]: value }))).not.toBe(base);
  });

  const RULE = { workloads: ["spiffe://a/b"], tool_allowlist: ["b"] };
  test.each([
    ["another selector", { ...RULE, workloads: ["spiffe://a/c"] }],
    ["one selector more", { ...RULE, principals: [{ issuer: "i", value: "v" }] }],
    ["another tool", { ...RULE, tool_allowlist: ["c"] }],
    ["a prompt more", { ...RULE, prompt_allowlist: ["c"] }],
    ["no approval", { ...RULE, approval: { mode: "off" } }],
    ["an exemption", { ...RULE, approval: { exempt: ["b"] } }],
  ])("a rule with %s is another policy", (_, rule) => {
    const digestOf = (...rules: object[]) => filterDigest(JSON.stringify({ tool_allowlist: ["a"], rules }));
    expect(digestOf(rule)).not.toBe(digestOf(RULE));
    expect(digestOf(RULE, rule)).not.toBe(digestOf(rule, RULE));
  });

  test("a principal is not cut elsewhere: (ab, c) and (a, bc) are two", () => {
    const digestOf = (issuer: string, value: string) =>
      filterDigest(
        JSON.stringify({ tool_allowlist: [], rules: [{ principals: [{ issuer, value }], tool_allowlist: ["b"] }] }),
      );
    expect(digestOf("ab", "c")).not.toBe(digestOf("a", "bc"));
  });

  test("what mode required has by default is written out", () => {
    const policy = (members: object): string =>
      JSON.stringify({ tool_allowlist: ["a"], approval: { ...REQUIRED, ...members } });
    const defaults = {
      hold_seconds: 45,
      arguments_bytes: 65_536,
      waiting: 1000,
      waiting_per_principal: 10,
      legacy_carrier: "tool_error",
      service: { ...REQUIRED.service, path: "/v1", timeout_ms: 5000, poll_ms: 1000 },
    };
    expect(filterDigest(policy(defaults))).toBe(filterDigest(policy({})));
  });

  test.each([
    ["server", "other"],
    ["page", "https://approve.example.com/b/"],
    ["service", { ...REQUIRED.service, cluster: "other" }],
    ["service", { ...REQUIRED.service, authority: "other" }],
    ["service", { ...REQUIRED.service, path: "/v2" }],
    ["service", { ...REQUIRED.service, timeout_ms: 5001 }],
    ["service", { ...REQUIRED.service, poll_ms: 1001 }],
    ["service", { ...REQUIRED.service, secret_env: "SECRET" }],
    ["keys", [{ kid: "2026-12", spki: KEYS.first }]],
    ["keys", [{ kid: "2026-11", spki: KEYS.second }]],
    ["hold_seconds", 44],
    ["arguments_bytes", 65_535],
    ["waiting", 999],
    ["waiting_per_principal", 11],
    ["legacy_carrier", "url_elicitation"],
  ])("another approval.%s is another policy: %j", (member, value) => {
    const policy = (approval: object): string => JSON.stringify({ tool_allowlist: ["a"], approval });
    expect(filterDigest(policy({ ...REQUIRED, [member]: value }))).not.toBe(filterDigest(policy(REQUIRED)));
  });

  test("the order of a list is part of the policy's text, so it has another digest", () => {
    const other = '{"tool_allowlist":["b","a"],"unguarded":[{"methods":["GET","POST"],"path":"/x"}]}';
    expect(filterDigest(other)).not.toBe(digest);
  });
});

test("the example of the written format is right in every step", () => {
  const [configuration = "", canonicalForm = "", hash = ""] = [...FORMAT.matchAll(/^```\w+\n(.*)\n```$/gm)].map(
    (match) => match[1] ?? "",
  );
  expect(canonicalPolicy(configuration)).toBe(canonicalForm);
  expect(sha256(canonicalForm)).toBe(hash);
  expect(FORMAT).toContain(`the digest is \`${hash.slice(0, 16)}\``);
  expect(filterDigest(configuration)).toBe(hash.slice(0, 16));
});
