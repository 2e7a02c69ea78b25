// Mutated configurations: each is accepted, and then means what it says, or refused with a line that says so. No trap.

import fc from "fast-check";
import { Vm } from "../../src/host/index.ts";
import { ENVIRONMENT, KEYS, REQUIRED } from "../config/approval-member.ts";
import { ALICE, identityMembers } from "../generators/identity.ts";
import { type Mutation, mutate, mutation } from "../generators/mutate.ts";
import { BUILDS, JSON_HEADERS, post, toolCall } from "../host/guard.ts";
import { type RequestPolicy, requestFaults } from "../oracle/exchange.ts";
import { type Caller, type IdentityPolicy, policyFor, shownCaller } from "../oracle/identity.ts";
import { readStrictJson } from "../oracle/strict-json.ts";
import { type Finding, samples } from "./samples.ts";

/** A VM keeps the metrics of all its configurations, so it is replaced from time to time. */
const CONFIGURATIONS_PER_VM = 2000;

const name = fc.oneof(
  fc.constantFrom("safe", "evil", "delete_x", "updates", "a", "x".repeat(256), "x".repeat(257), "", "\0", "\u00fc"),
  fc.string({ maxLength: 8 }),
);
const names = fc.uniqueArray(name, { maxLength: 40 });
const anyNumber = fc.oneof(
  fc.constantFrom(0, 1, 64, 65, 100, 256, 1e6, 65_536, 64 << 20, 2 ** 31, 2 ** 32, 2 ** 53, -1, 0.5, 1e300),
  fc.integer(),
  fc.double(),
);
const anyValue = fc.oneof(names, anyNumber, name, fc.constantFrom(null, true, false, {}, [], [[]], [1], [{}]));

/** A member's value: mostly of its kind, now and then any. */
const mostly = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<unknown> =>
  fc.oneof({ weight: 40, arbitrary }, { weight: 1, arbitrary: anyValue });

const limits = fc.record(
  Object.fromEntries(
    [
      ...["body_bytes", "depth", "members_per_object", "open_members", "key_bytes", "stall_ms", "in_flight_bytes"],
      ...["list_bytes", "event_bytes", "x"],
    ].map((each) => [each, mostly(anyNumber)]),
  ),
  { requiredKeys: [] },
);

const method = fc.constantFrom("POST", "GET", "HEAD", "DELETE", "OPTIONS", "PUT", "PATCH", "post", "CONNECT", "");
const path = fc.oneof(
  fc.constantFrom("/", "/a", "/a/", "/a/b.c", "//", "/a//b", "/.", "/..", "/a/./b", "/%61", "/a;b", "/a?b", "a", ""),
  fc.string({ maxLength: 6 }).map((text) => `/${text}`),
);
const unguarded = fc.array(
  fc.record(
    { methods: mostly(fc.array(method, { maxLength: 4 })), path: mostly(path), reason: mostly(name), x: anyValue },
    { requiredKeys: ["methods", "path"] },
  ),
  { maxLength: 3 },
);

const root = fc.oneof(
  fc.constantFrom("file:///docs/", "file:///docs", "mcp://logs", "urn:x:", "a://h:80/x/", "ui://app/\u00fc", "docs"),
  fc.constantFrom(
    "FILE:///docs/",
    "file://host/docs/",
    "a://u@h/",
    "a://h/../x",
    "a://h/%2e",
    "a://h/x?y",
    "a:///",
    "",
  ),
  fc.string({ maxLength: 6 }).map((text) => `a://h/${text}`),
);
const pathRoot = fc.oneof(
  fc.constantFrom("/", "/docs", "/docs/", "/srv/a b", "/a/../b", "/a//b", "/.", "docs", "", "/\\"),
  fc.string({ maxLength: 6 }).map((text) => `/${text}`),
);
const listOf = (each: fc.Arbitrary<string>) => fc.uniqueArray(each, { maxLength: 5 });
const ruleForm = fc.oneof(
  fc.constantFrom("uri", "path", "enum"),
  fc.record({ enum: mostly(listOf(name)) }),
  fc.record({ max_bytes: mostly(fc.oneof(fc.nat(9), anyNumber)) }),
  fc.record({ uri_roots: mostly(listOf(root)) }),
  fc.record({ path_roots: mostly(listOf(pathRoot)) }),
  fc.constant({ max_bytes: 1, enum: ["a"] }),
);
const pointer = fc.oneof(
  fc.constantFrom(
    "/path",
    "/a/-",
    "/-/-",
    "/",
    "//",
    "/~0~1",
    "/~",
    "/~2",
    "x",
    "",
    "/a/b/c/d/e/f/g/h",
    "/-".repeat(9),
  ),
  fc.string({ maxLength: 6 }).map((text) => `/${text}`),
);
const argumentRules = fc.array(
  fc.record(
    { tool: mostly(fc.constantFrom("safe", "a", "")), pointer: mostly(pointer), rule: mostly(ruleForm), x: anyValue },
    { requiredKeys: ["tool", "pointer", "rule"] },
  ),
  { maxLength: 4 },
);
const origin = fc.constantFrom(
  "https://app.example",
  "http://[::1]:80",
  "https://App.example",
  "null",
  "*",
  "a://",
  "",
);
const host = fc.constantFrom("server", "SERVER", "server:80", "mcp.example:8443", "[::1]", "https://h", "h/", "*", "");
const scheme = fc.constantFrom("https", "ui", "a+b.c-1", "HTTPS", "1a", "a:", "x".repeat(32), "x".repeat(33), "");
const responseUris = fc.record(
  { schemes: mostly(listOf(scheme)), hosts: mostly(listOf(host)), x: anyValue },
  { requiredKeys: [] },
);
const service = fc.record(
  {
    cluster: mostly(fc.constantFrom("approval", "outbound|8081||a.b", "", "a b")),
    authority: mostly(fc.constantFrom("approval:8081", "")),
    path: mostly(fc.oneof(fc.constantFrom("/v1", "/", "/a/b", "/a/", "/..", "v1"), path)),
    timeout_ms: mostly(fc.oneof(fc.constantFrom(99, 100, 60_000, 60_001), anyNumber)),
    poll_ms: mostly(fc.oneof(fc.constantFrom(249, 250, 10_000, 10_001), anyNumber)),
    secret_env: mostly(fc.constantFrom("SECRET", "_1", "NOT_THERE", "1A", "", "A-B")),
    x: anyValue,
  },
  { requiredKeys: ["cluster", "authority"] },
);
const key = fc.record(
  {
    kid: mostly(fc.constantFrom("a", "b", "2026-11", "", "a b", "k".repeat(65))),
    spki: mostly(fc.constantFrom(KEYS.first, KEYS.second, KEYS.first.slice(4), KEYS.first.replace("=", "A"), "")),
    x: anyValue,
  },
  { requiredKeys: ["kid", "spki"] },
);
const approval = fc.record(
  {
    mode: mostly(fc.constantFrom("required", "required", "off", "on")),
    tools: mostly(names),
    exempt: mostly(names),
    server: mostly(fc.constantFrom("github", "", "a b", "s".repeat(129))),
    page: mostly(fc.constantFrom(REQUIRED.page, "http://localhost/", "http://a/", "https://a", "https://a/../", "")),
    service: mostly(service),
    keys: mostly(fc.array(key, { maxLength: 3 })),
    hold_seconds: mostly(fc.oneof(fc.constantFrom(0, 300, 301), anyNumber)),
    arguments_bytes: mostly(fc.oneof(fc.constantFrom(1023, 1024, 65_536, 65_537), anyNumber)),
    waiting: mostly(fc.oneof(fc.constantFrom(0, 1, 10_000, 10_001), anyNumber)),
    waiting_per_principal: mostly(fc.oneof(fc.constantFrom(0, 1, 1000, 1001), anyNumber)),
    legacy_carrier: mostly(fc.constantFrom("tool_error", "url_elicitation", "none")),
    x: anyValue,
  },
  { requiredKeys: ["mode", "server", "page", "service", "keys"] },
);
const goodApproval = fc
  .record(
    {
      tools: fc.subarray(["safe", "evil"]),
      exempt: fc.subarray(["updates", "delete_x"]),
      keys: fc.constantFrom(
        [{ kid: "a", spki: KEYS.second }],
        [
          { spki: KEYS.first, kid: "a" },
          { spki: KEYS.second, kid: "b" },
        ],
      ),
      hold_seconds: fc.integer({ min: 0, max: 300 }),
      arguments_bytes: fc.integer({ min: 1024, max: 65_536 }),
      waiting: fc.integer({ min: 1, max: 10_000 }),
      waiting_per_principal: fc.integer({ min: 1, max: 1000 }),
      legacy_carrier: fc.constantFrom("tool_error", "url_elicitation"),
    },
    { requiredKeys: [] },
  )
  .map((members) => ({ ...REQUIRED, ...members }));
const choice = fc.constantFrom("deny", "allow", "Allow", "");

const rate = fc.record(
  {
    requests: mostly(fc.oneof(fc.constantFrom(0, 1, 1_000_000, 1_000_001), anyNumber)),
    seconds: mostly(fc.oneof(fc.constantFrom(0, 1, 3600, 3601), anyNumber)),
    burst: mostly(fc.oneof(fc.constantFrom(0, 1, 1_000_000, 1_000_001), anyNumber)),
    x: anyValue,
  },
  { requiredKeys: ["requests", "seconds"] },
);
const rateLimit = fc.record({ per_principal: mostly(rate), per_tool: mostly(rate), x: anyValue }, { requiredKeys: [] });
const tokenType = fc
  .constantFrom("access_token", "jwt", "id_token", "saml2", "")
  .map((kind) => `urn:ietf:params:oauth:token-type:${kind}`);
const printable = fc.constantFrom("a", "https://idp.example", "a b", "", "x".repeat(512), "x".repeat(513), '"\\');
const variable = fc.constantFrom("CLIENT_SECRET", "CLIENT_KEY", "ACTOR_TOKEN", "NOT_THERE", "1A", "");
const tokenExchange = fc.record(
  {
    service: mostly(
      fc.record(
        {
          cluster: mostly(printable),
          authority: mostly(printable),
          path: mostly(fc.oneof(fc.constantFrom("/", "/token", "token", "/#"), path)),
          timeout_ms: mostly(fc.oneof(fc.constantFrom(99, 100, 30_000, 30_001), anyNumber)),
          x: anyValue,
        },
        { requiredKeys: ["cluster", "authority", "path"] },
      ),
    ),
    client: mostly(
      fc.record(
        {
          id: mostly(printable),
          auth: mostly(fc.constantFrom("client_secret_basic", "private_key_jwt", "none")),
          secret_env: mostly(variable),
          key_env: mostly(variable),
          alg: mostly(fc.constantFrom("RS256", "ES256", "HS256")),
          kid: mostly(printable),
          audience: mostly(printable),
          x: anyValue,
        },
        { requiredKeys: ["id", "auth"] },
      ),
    ),
    audience: mostly(printable),
    resource: mostly(fc.constantFrom("urn:a", "a", "https://a/#b", "")),
    scope: mostly(fc.constantFrom("a", "a b", "a  b", " ", "")),
    requested_token_type: mostly(tokenType),
    subject_token_type: mostly(tokenType),
    actor: mostly(
      fc.record({ token_env: mostly(variable), token_type: mostly(tokenType) }, { requiredKeys: ["token_env"] }),
    ),
    cache_entries: mostly(fc.oneof(fc.constantFrom(15, 16, 16_384, 16_385), anyNumber)),
    max_cache_seconds: mostly(fc.oneof(fc.constantFrom(0, 3600, 3601), anyNumber)),
    x: anyValue,
  },
  { requiredKeys: ["service", "client"] },
);
const aboutIdentity = fc
  .tuple(
    identityMembers,
    fc.record(
      {
        authorization: mostly(fc.constantFrom("pass", "strip", "exchange", "drop")),
        token_exchange: mostly(tokenExchange),
        rate_limit: mostly(rateLimit),
      },
      { requiredKeys: [] },
    ),
  )
  .map(([who, tokens]) => ({ ...who, ...tokens }));

/** Members that go together. */
const goodAboutIdentity = fc
  .tuple(
    identityMembers,
    fc.constantFrom(
      {},
      { authorization: "strip" },
      {
        authorization: "exchange",
        token_exchange: {
          service: { cluster: "idp", authority: "idp.example", path: "/token" },
          client: { id: "guard", auth: "client_secret_basic", secret_env: "CLIENT_SECRET" },
          audience: "mcp",
          cache_entries: 16,
        },
      },
    ),
    fc.constantFrom(
      {},
      {},
      { rate_limit: { per_principal: { requests: 5, seconds: 3600 }, per_tool: { requests: 1, seconds: 1 } } },
    ),
  )
  .map((members) => Object.assign({}, ...members));

const configuration = fc.record(
  {
    tool_allowlist: mostly(names),
    method_allowlist: mostly(
      fc.array(fc.constantFrom("vendor/x", "a", "tools/call", "ping", "two words", ""), { maxLength: 3 }),
    ),
    mode: mostly(fc.constantFrom("enforce", "monitor", "Enforce")),
    refusal: mostly(fc.constantFrom("jsonrpc_error", "tool_error", "http_403")),
    refusal_detail: mostly(fc.constantFrom("explain", "masked")),
    request_headers: mostly(fc.constantFrom("release", "hold")),
    request_body: mostly(fc.constantFrom("whole", "stream")),
    direction: mostly(fc.constantFrom("inbound", "both")),
    unguarded: mostly(unguarded),
    limits: mostly(limits),
    approval: mostly(
      fc.oneof(
        fc.constantFrom(
          { mode: "off" },
          { mode: "on" },
          {},
          { tools: ["a"], exempt: ["a"] },
          { exempt: "a" },
          { tools: [1] },
        ),
        approval,
      ),
    ),
    prompt_allowlist: mostly(names),
    resource_roots: mostly(listOf(root)),
    tasks: mostly(fc.constantFrom("deny", "allow", "Allow")),
    uri_traversal: mostly(fc.constantFrom("literal", "segment", "none")),
    argument_rules: mostly(argumentRules),
    allowed_origins: mostly(listOf(origin)),
    allowed_hosts: mostly(listOf(host)),
    response_uris: mostly(responseUris),
    sampling: mostly(choice),
    elicitation: mostly(choice),
    roots: mostly(choice),
    hidden_text: mostly(fc.constantFrom("strip", "drop", "allow", "keep")),
    tool_allow_list: anyValue,
  },
  { requiredKeys: ["tool_allowlist"] },
);

/** What is accepted before it is mutated, so that mutations start from both sides. */
const goodNames = fc.uniqueArray(fc.constantFrom("safe", "evil", "delete_x", "updates", "n".repeat(256), "\u00fc"));
const goodConfiguration = fc.record(
  {
    tool_allowlist: goodNames,
    method_allowlist: fc.uniqueArray(fc.constantFrom("vendor/x", "notifications/vendor", "a")),
    mode: fc.constantFrom("enforce", "monitor"),
    request_headers: fc.constantFrom("release", "hold"),
    direction: fc.constantFrom("inbound", "both"),
    unguarded: fc.array(
      fc.record(
        { methods: fc.constant(["PUT"]), path: fc.constantFrom("/", "/a/b") },
        { requiredKeys: ["methods", "path"] },
      ),
      { maxLength: 2 },
    ),
    limits: fc.record(
      {
        body_bytes: fc.integer({ min: 1, max: 200 }),
        depth: fc.integer({ min: 1, max: 64 }),
        key_bytes: fc.integer({ min: 1, max: 20 }),
        list_bytes: fc.constantFrom(65_536, 1 << 24),
        event_bytes: fc.constantFrom(4096, 64 << 20),
      },
      { requiredKeys: [] },
    ),
    approval: fc.oneof(
      fc.constantFrom({ mode: "off" }, { exempt: ["updates"], tools: ["safe"] }, { mode: "off", exempt: [] }),
      goodApproval,
    ),
    prompt_allowlist: goodNames,
    resource_roots: fc.uniqueArray(fc.constantFrom("file:///docs/", "mcp://logs", "urn:x:", "a://h/\u00fc")),
    tasks: fc.constantFrom("deny", "allow"),
    uri_traversal: fc.constantFrom("literal", "segment"),
    argument_rules: fc.array(
      fc.record({
        tool: fc.constantFrom("safe", "evil"),
        pointer: fc.constantFrom("/path", "/a/-", "/a/-/b", "/", "/~0~1"),
        rule: fc.oneof(
          fc.constantFrom("uri" as const, "path" as const),
          fc.record({ enum: fc.uniqueArray(fc.constantFrom("a", "b"), { minLength: 1 }) }),
          fc.record({ max_bytes: fc.nat(20) }),
          fc.constant({ uri_roots: ["file:///docs/"] }),
          fc.constant({ path_roots: ["/docs", "/srv/"] }),
        ),
      }),
      { maxLength: 4 },
    ),
    allowed_origins: fc.subarray(["https://app.example", "http://localhost:3000"]),
    allowed_hosts: fc.subarray(["server", "mcp.example", "server:80"], { minLength: 1 }),
    response_uris: fc.record(
      { schemes: fc.subarray(["https", "ui"]), hosts: fc.subarray(["a.example", "[::1]:80"]) },
      { requiredKeys: [] },
    ),
    sampling: fc.constantFrom("deny", "allow"),
    elicitation: fc.constantFrom("deny", "allow"),
    roots: fc.constantFrom("deny", "allow"),
    hidden_text: fc.constantFrom("strip", "drop", "allow"),
  },
  { requiredKeys: ["tool_allowlist"] },
);

const text = fc.oneof(
  {
    weight: 3,
    arbitrary: fc
      .tuple(
        fc.oneof(
          fc.tuple(configuration, fc.oneof(fc.constant({}), aboutIdentity)),
          fc.tuple(goodConfiguration, fc.oneof(fc.constant({}), goodAboutIdentity)),
        ),
        fc.constantFrom(undefined, 1, "\t"),
      )
      .map(([members, indent]) => JSON.stringify(Object.assign({}, ...members), undefined, indent)),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom('{"tool_allowlist":["safe"],"limits":{"body_bytes":1e+06}}', "{}", "", "null", "[]"),
  },
);

const bytes = fc
  .tuple(
    text,
    fc.oneof(
      { weight: 1, arbitrary: fc.constant<Mutation[]>([]) },
      { weight: 2, arbitrary: fc.array(mutation, { maxLength: 4 }) },
    ),
  )
  .map(([start, changes]) => changes.reduce(mutate, Uint8Array.from(Buffer.from(start))));

/** Runs until the time is over or something is found; gives how many configurations were tried, and how many accepted. */
export function fuzzConfigurations(
  seconds: number,
  seed: number,
): { tried: number; accepted: number; findings: Finding[] } {
  const findings: Finding[] = [];
  let [tried, accepted] = [0, 0];
  let vm = Vm.load(BUILDS.debug, { environment: ENVIRONMENT });
  for (const { value, at } of samples(bytes, seconds, seed)) {
    if (tried % CONFIGURATIONS_PER_VM === 0) vm = Vm.load(BUILDS.debug, { environment: ENVIRONMENT });
    tried++;
    vm.logs.length = 0;
    const report = (found: string, expected: string): void => {
      findings.push({ at, input: Buffer.from(value).toString("latin1"), found, expected });
    };
    const plugin = vm.startPlugin(value);
    if (vm.failed) {
      report(String(vm.failure), "no trap");
      break;
    }
    if (plugin.accepted) {
      accepted++;
      const sendAs = (body: string, { properties, headers }: ReturnType<typeof shownCaller>) =>
        post(plugin, { body, headers: [...JSON_HEADERS, ...headers], stream: { headersStop: true, properties } });
      checkAccepted(value, sendAs, report);
      if (vm.failed) report(String(vm.failure), "no trap");
    } else {
      const errors = vm.logs.filter(({ level }) => level === "error").map(({ message }) => message);
      const isTold = errors.length === 1 && /^mcp-guard: configuration refused: [ -~]*$/.test(errors[0]!);
      if (!isTold) report(errors.join("\n"), "one line that says why");
    }
    plugin.stop();
    if (vm.failed || findings.length >= 10) break;
  }
  return { tried, accepted, findings };
}

const NOBODY: Caller = { tokens: [], header: [] };

/** A call of each kind that a list, a root or a rule decides about. */
const probes = (tool: string): readonly string[] => [
  ...["evil", "safe", tool].map(toolCall),
  ...[
    '"path":"/docs/a"',
    '"path":"../x","a":["a","c"]',
    '"a":["file:///docs/../x",{"b":"/srv"}]',
    '"":"","~/":"long text"',
  ].map((members) => toolCall("safe").replace("}}", `,"arguments":{${members}}}}`)),
  '{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"safe"}}',
  ...[
    "file:///docs/a",
    "file:///docs/v1..v2",
    "file:///docs/../a",
    "mcp://logs",
    "mcp://logsx",
    "a://h/x",
    "urn:x:y",
  ].map((uri) => `{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"${uri}"}}`),
  '{"jsonrpc":"2.0","id":1,"method":"tasks/list"}',
];

/** What is accepted is JSON of our language with a list of tools, and exactly what it lists passes. */
function checkAccepted(
  value: Uint8Array,
  send: (body: string, who: ReturnType<typeof shownCaller>) => string,
  report: (found: string, expected: string) => void,
): void {
  const reading = readStrictJson(value, { depth: 16, membersPerObject: 256, openMembers: 256, keyBytes: 256 });
  if (!reading.ok) {
    report("accepted", reading.error);
    return;
  }
  const policy: RequestPolicy & IdentityPolicy & Record<string, unknown> = JSON.parse(
    Buffer.from(value).toString("utf8"),
  );
  if (
    !Array.isArray(policy.tool_allowlist) ||
    !policy.tool_allowlist.every((each) => typeof each === "string" && each !== "")
  ) {
    report("accepted", "a list of tools");
    return;
  }
  // Monitor mode passes everything, masking hides the reason, and another form the error: other tests are about those.
  const isPlain = [
    policy.mode ?? "enforce",
    policy.refusal ?? "jsonrpc_error",
    policy.refusal_detail ?? "explain",
  ].join();
  if (isPlain !== "enforce,jsonrpc_error,explain") return;
  if (JSON.stringify(policy.unguarded ?? []).includes("/mcp")) return;
  // A call of somebody would wait for an approval; the references know only that nobody's cannot.
  const who = policy.approval?.mode === "required" ? NOBODY : ALICE;
  const own = policyFor(policy, who);
  if (own === "conflict") {
    report("accepted", "a policy under which one token names one person");
    return;
  }
  for (const body of probes(policy.tool_allowlist[0] ?? "x")) {
    const request = {
      method: "POST",
      path: "/mcp",
      headers: [
        ["content-type", "application/json"],
        ["host", "server"],
      ] as const,
      body: Buffer.from(body),
    };
    const justified = requestFaults(request, own);
    const found = send(body, shownCaller(who));
    // What would pass may have come too early; so may what would then have been asked a person about, whom nobody has named.
    const mayWait = policy.approval?.mode === "required" && [...justified].join() === "human_required";
    const isEarly = policy.rate_limit !== undefined && found === "refuse rate_limited 429";
    const isRight =
      justified.size === 0
        ? found === "allow" || isEarly
        : [...justified].some((reason) => found.startsWith(`refuse ${reason} `)) || (mayWait && isEarly);
    if (!isRight) report(`${body}: ${found}`, [...justified].join(" or ") || "allow");
  }
}
