// What happens where tokens are exchanged: who calls with what, how the token endpoint answers, and what else goes on between.

import fc from "fast-check";
import { type Mutation, mutate, mutation } from "../generators/mutate.ts";
import { toolCall } from "../host/guard.ts";
import { ACCESS_TOKEN, ISSUER, policyWith } from "../host/token-calls.ts";
import { TOKEN_BYTES_MAX } from "../oracle/token.ts";

export const CACHE_SECONDS = 60;
const OTLP = { cluster: "collector", authority: "otel:4318", messages: "none" };
const IDENTITY = {
  jwt: [
    { provider: "people", issuer: ISSUER, claim: "sub" },
    { provider: "staff", issuer: ISSUER, claim: "mail" },
  ],
};
/** Small bounds, so that they are met. */
const SMALL = {
  service: { cluster: "idp", authority: "idp.example", path: "/oauth2/token", timeout_ms: 500 },
  cache_entries: 16,
  max_cache_seconds: CACHE_SECONDS,
};
const REST = { identity: IDENTITY, limits: { stall_ms: 1000 } };

/** How a guard is configured, once more with each audience: a token for one of them is none for another. */
export const KINDS: readonly ((audience: string) => Record<string, unknown>)[] = [
  (audience) => policyWith({ ...SMALL, audience }, REST),
  (audience) => policyWith({ ...SMALL, audience }, { ...REST, request_headers: "hold" }),
  (audience) => policyWith({ ...SMALL, audience }, { ...REST, request_body: "stream" }),
  (audience) =>
    policyWith(
      { ...SMALL, audience },
      {
        ...REST,
        request_headers: "hold",
        audit: { otlp: OTLP, required: "all" },
        rate_limit: { per_principal: { requests: 20, seconds: 10 } },
      },
    ),
  () => ({ tool_allowlist: ["safe"], authorization: "strip", ...REST }),
];
export const STREAMS = KINDS.map((kind) => kind("x").request_body === "stream");
export const STRIPS = KINDS.map((kind) => kind("x").authorization === "strip");
export const HOLDS = KINDS.map((kind) => kind("x").request_headers === "hold");

/** Host calls of a request and of a token, each of which can say no. */
const HOST_CALLS = [
  "proxy_add_header_map_value",
  "proxy_continue_stream",
  "proxy_get_buffer_bytes",
  "proxy_get_current_time_nanoseconds",
  "proxy_get_header_map_pairs",
  "proxy_get_header_map_value",
  "proxy_get_property",
  "proxy_http_call",
  "proxy_log",
  "proxy_on_memory_allocate",
  "proxy_remove_header_map_value",
  "proxy_replace_header_map_value",
  "proxy_send_local_response",
  "proxy_set_effective_context",
  "proxy_set_property",
  "proxy_set_tick_period_milliseconds",
];

const fraction = fc.nat(999).map((thousandths) => thousandths / 1000);
const which = fc.nat(99);
const mutations = fc.array(mutation, { minLength: 1, maxLength: 3 });
export const changed = (bytes: Uint8Array, changes: readonly Mutation[]): Buffer =>
  Buffer.from(changes.reduce(mutate, bytes));
/** What no header can have in it. */
export const asHeader = (bytes: Buffer): string => bytes.toString("latin1").replace(/[\0\r\n]/g, "");

const principal = fc.constantFrom("alice", "alice", "alice", "bob", 'd"\\e');
/** How a token names somebody: by its claims, some of which do not name anybody. */
const payload = fc.oneof(
  {
    weight: 24,
    arbitrary: fc
      .nat(2)
      .map((note) => (who: string, claim: string) => JSON.stringify({ iss: ISSUER, [claim]: who, note })),
  },
  {
    weight: 2,
    arbitrary: mutations.map(
      (changes) => (who: string, claim: string) =>
        changed(Buffer.from(JSON.stringify({ iss: ISSUER, [claim]: who })), changes).toString("latin1"),
    ),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      (who: string, claim: string) => `{"iss":"${ISSUER}","${claim}":"x","${claim}":${JSON.stringify(who)}}`,
      (who: string, claim: string) => `{"iss":"${ISSUER}","${claim}":${JSON.stringify(who)},"\\u0069ss":"x"}`,
      (who: string, claim: string) => `{"\\u0069ss":"${ISSUER}","${claim}":${JSON.stringify(who)}}`,
      (who: string, claim: string) => JSON.stringify({ iss: [ISSUER], [claim]: who }),
      (who: string, claim: string) => JSON.stringify({ iss: ISSUER, [claim]: [who] }),
      (who: string, claim: string) => JSON.stringify({ a: { iss: ISSUER, [claim]: who } }),
      (who: string, claim: string) => JSON.stringify([{ iss: ISSUER, [claim]: who }]),
      (who: string, claim: string) => JSON.stringify({ iss: `${ISSUER}/`, [claim]: who }),
      (who: string, claim: string) => `${JSON.stringify({ iss: ISSUER, [claim]: who })}{}`,
      () => "null",
      () => "",
    ),
  },
);
const signature = fc.oneof(
  { weight: 24, arbitrary: fc.constant("c2lnbmF0dXJlLW9mLXNvbWVib2R5") },
  { weight: 1, arbitrary: fc.constantFrom("", "a.b", "c2ln=", "c2ln==x", "\u00e4") },
);
/** The values of Authorization in which a token comes, the other one for those that have two. */
const headers = fc.oneof(
  { weight: 36, arbitrary: fc.constant((token: string) => [`Bearer ${token}`]) },
  { weight: 2, arbitrary: fc.constant((): string[] => []) },
  {
    weight: 2,
    arbitrary: mutations.map((changes) => (token: string) => [
      asHeader(changed(Buffer.from(`Bearer ${token}`, "latin1"), changes)),
    ]),
  },
  {
    weight: 2,
    arbitrary: fc
      .integer({ min: TOKEN_BYTES_MAX - 2, max: TOKEN_BYTES_MAX + 2 })
      .map((length) => (token: string) => [`Bearer ${token.padEnd(length, "A")}`]),
  },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      (token: string) => [`Bearer ${token}`, `Bearer ${token}`],
      (token: string) => [`Bearer ${token}`, "Basic eDp5"],
      (token: string) => ["", `Bearer ${token}`],
      (token: string) => [`Bearer ${token}, Bearer ${token}`],
      (token: string) => [`bEARER   ${token}`],
      (token: string) => [`Bearer\t${token}`],
      (token: string) => [`DPoP ${token}`],
      (token: string) => [`Bearer ${token} `],
      (token: string) => [` Bearer ${token}`],
      (token: string) => [token],
      (token: string) => [`Bearer ${token}`.padEnd(40_000, "A")],
      () => ["Basic eDp5"],
      () => ["Bearer"],
      () => ["Bearer ="],
      () => [""],
    ),
  },
);
const path = fc.oneof(
  { weight: 20, arbitrary: fc.constant(() => "/mcp") },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      (token: string) => `/mcp?access_token=${token}`,
      (token: string) => `/mcp?a=b&access%5ftoken=${token}`,
      () => "/mcp?access%255Ftoken=x",
    ),
  },
);

const body = fc.oneof(
  { weight: 8, arbitrary: fc.constant(Buffer.from(toolCall("safe"))) },
  { weight: 2, arbitrary: fc.constant(Buffer.from(toolCall("drop_tables"))) },
  { weight: 1, arbitrary: fc.constant(Buffer.from('{"jsonrpc":"2.0","method":"notifications/initialized"}')) },
  { weight: 1, arbitrary: fc.constant(Buffer.from(`{"jsonrpc":"2.0","id":1,"method":"ping"}${" ".repeat(900)}`)) },
  {
    weight: 3,
    arbitrary: fc
      .tuple(fc.constantFrom("safe", "drop_tables"), mutations)
      .map(([tool, changes]) => changed(Buffer.from(toolCall(tool)), changes)),
  },
);

const open = fc.record({
  kind: fc.constant("open" as const),
  /** The one that only leaves tokens out has little to go wrong. */
  guard: fc.oneof({ weight: 8, arbitrary: fc.nat(KINDS.length - 2) }, fc.constant(KINDS.length - 1)),
  /** In whose name the proxy has found the request to be; and in whose the token is. */
  shown: fc.oneof({ weight: 24, arbitrary: fc.constant("same" as const) }, principal, fc.constant("nobody" as const)),
  principal,
  claim: fc.constantFrom("sub", "sub", "sub", "mail"),
  payload,
  signature,
  headers,
  path,
  method: fc.constantFrom("POST", "POST", "POST", "POST", "GET", "DELETE"),
  body,
  cuts: fc.array(fraction, { maxLength: 4 }),
  end: fc.constantFrom("separate", "merged", "trailers"),
  /** Pieces of the body that come with the headers. */
  upfront: fc.oneof({ weight: 3, arbitrary: fc.constant(99) }, { weight: 2, arbitrary: fc.nat(3) }),
  headersStop: fc.constantFrom(true, true, false),
  /** How many of them: now and then more than may go on in one callback. */
  times: fc.oneof({ weight: 60, arbitrary: fc.constant(1) }, fc.constant(40)),
});

/** How the token endpoint, or what stands between, ends a question. */
const ending = fc.oneof(
  {
    weight: 24,
    arbitrary: fc.record({
      how: fc.constant("well" as const),
      expires: fc.constantFrom(undefined, 0, 10, 11, 40, 300, 300, 300),
      length: fc.constantFrom(0, 0, 0, 0, 700, TOKEN_BYTES_MAX),
    }),
  },
  { weight: 3, arbitrary: fc.constantFrom("timeOut", "cut", "refuse", "drop").map((how) => ({ how }) as const) },
  {
    weight: 3,
    arbitrary: fc
      .tuple(
        fc.constantFrom("invalid_request", "invalid_grant", "invalid_client", "access_denied", "x", 1),
        fc.constantFrom(200, 400, 400, 401, 403, 429, 500),
      )
      .map(([error, status]) => ({ how: "body" as const, status, body: { error } as object })),
  },
  { weight: 6, arbitrary: mutations.map((changes) => ({ how: "mutated" as const, changes })) },
  {
    weight: 4,
    arbitrary: fc
      .constantFrom<object>(
        ...[1, null, true, [], {}, "", "a b", "=", "\u00e4", "x".repeat(TOKEN_BYTES_MAX + 1)].map((token) => ({
          access_token: token,
        })),
        ...["mac", "N_A", "", 1, null, ["Bearer"]].map((token_type) => ({ token_type })),
        { token_type: "BEARER" },
        ...["urn:ietf:params:oauth:token-type:jwt", `${ACCESS_TOKEN} `, "", 1, null].map((type) => ({
          issued_token_type: type,
        })),
        ...["300", -1, 1.5, 1e30, null, [], {}].map((expires_in) => ({ expires_in })),
      )
      .map((wrong) => ({ how: "wrong" as const, status: 200, wrong })),
  },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom(201, 204, 302, 400, 401, 500)
      .map((status) => ({ how: "wrong" as const, status, wrong: {} })),
  },
  {
    weight: 2,
    arbitrary: fc
      .constantFrom("", "{}", "[".repeat(300), '{"a":'.repeat(300), " ".repeat(65_537), " ".repeat(300_000), "\u00ff")
      .map((text) => ({ how: "text" as const, text })),
  },
  { weight: 1, arbitrary: fc.constant({ how: "echo" as const }) },
  { weight: 2, arbitrary: which.map((earlier) => ({ how: "earlier" as const, earlier })) },
);

/** One thing that happens. */
export const action = fc.oneof(
  { weight: 12, arbitrary: open },
  {
    weight: 10,
    arbitrary: fc.record({ kind: fc.constant("feed" as const), which, count: fc.integer({ min: 1, max: 3 }) }),
  },
  { weight: 16, arbitrary: fc.record({ kind: fc.constant("answer" as const), which, ending }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("twice" as const), which, ending }) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant("respond" as const),
      which,
      status: fc.constantFrom(200, 200, 401, 401, 500),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("gone" as const), which }) },
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant("tick" as const), guard: fc.nat(KINDS.length - 1), times: fc.nat(3) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("pass" as const), seconds: fc.constantFrom(1, 6, 29, 51, 70, -5) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constantFrom("configure" as const, "replace" as const),
      guard: fc.nat(KINDS.length - 1),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("fail" as const),
      name: fc.constantFrom(...HOST_CALLS),
      status: fc.constantFrom(1, 2, 6, 10, 12),
      after: fc.nat(4),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: "calm" as const }) },
);
export type Action = typeof action extends fc.Arbitrary<infer T> ? T : never;
export type Open = Extract<Action, { kind: "open" }>;
export type Ending = typeof ending extends fc.Arbitrary<infer T> ? T : never;
