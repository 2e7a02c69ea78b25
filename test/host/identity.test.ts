// Who asks: tokens that the proxy has validated, the header of a trusted gateway, the peer's certificate. Goal: nobody becomes somebody
// else, a header that does not count never reaches the server, and only what is configured is asked for.

import { describe, expect, test } from "vitest";
import type { HeaderPair, PropertyValue } from "../../src/host/index.ts";
import { type Delivery, exchange, JSON_HEADERS, open, post, send, startGuard, toolCall } from "./guard.ts";

const GATEWAY = "spiffe://cluster.local/ns/gateway/sa/ai-gateway";
const STRANGER = "spiffe://cluster.local/ns/other/sa/default";
const ISSUER = "https://idp.example";
const PEER = "connection.uri_san_peer_certificate";
const WAYPOINT = "filter_state.io.istio.peer_principal";
const REJECTED = "mcp_guard_identity_headers_rejected";

const TOKENS = [
  { provider: "people", issuer: ISSUER, claim: "sub" },
  { provider: "partners", issuer: "https://partner.example", claim: "email" },
];
const HEADER = { name: "User-Identity", trusted_gateways: [GATEWAY, "spiffe://cluster.local/ns/gateway/sa/second"] };
const HUMANS = { tool_allowlist: ["safe"], identity: { jwt: TOKENS, header: HEADER, require_human: true } };
const ANYBODY = { tool_allowlist: ["safe"], identity: { jwt: TOKENS, header: HEADER } };

/** What jwt_authn keeps of a token under the name of a provider. */
function token(provider: string, claims: Record<string, PropertyValue>): Record<string, PropertyValue> {
  const at = `metadata.filter_metadata.envoy.filters.http.jwt_authn.${provider}`;
  return Object.fromEntries(Object.entries(claims).map(([name, value]) => [`${at}.${name}`, value]));
}

const ALICE = token("people", { iss: ISSUER, sub: "alice" });
const user = (value: string): HeaderPair => ["user-identity", value];

/** A call with these headers and attributes. */
function call(headers: readonly HeaderPair[], properties: Record<string, PropertyValue>): Delivery {
  return { body: toolCall("safe"), headers: [...JSON_HEADERS, ...headers], stream: { properties } };
}

/** The identity headers that reach the server: whatever some server could take for the header. */
function arrived(configuration: object, headers: readonly HeaderPair[], properties: Record<string, PropertyValue>) {
  const { vm, plugin } = startGuard(configuration);
  const stream = exchange(plugin, call(headers, properties));
  const pairs = stream.upstream.headers?.pairs().filter(([name]) => /^user[-_.]identity$/.test(name));
  return { pairs, rejected: Number(vm.metrics.value(REJECTED) ?? 0) };
}

describe("require_human", () => {
  const { plugin } = startGuard(HUMANS);
  const verdictOf = (headers: readonly HeaderPair[], properties: Record<string, PropertyValue>) =>
    post(plugin, call(headers, properties));
  const NOBODY = "refuse human_required 200";

  test("a human is whom a token or a trusted gateway names", () => {
    expect(verdictOf([], ALICE)).toBe("allow");
    expect(verdictOf([], token("partners", { iss: "https://partner.example", email: "bob@partner.example" }))).toBe(
      "allow",
    );
    expect(verdictOf([user("alice")], { [PEER]: GATEWAY })).toBe("allow");
    expect(verdictOf([user("Ünal, Ömer")].map(latin1), { [PEER]: GATEWAY })).toBe("allow");
    expect(verdictOf([user("alice")], { [WAYPOINT]: GATEWAY })).toBe("allow");
  });

  test("nobody else is", () => {
    expect(verdictOf([], {})).toBe(NOBODY);
    expect(verdictOf([], { [PEER]: GATEWAY })).toBe(NOBODY);
    expect(verdictOf([user("alice")], {})).toBe(NOBODY);
    expect(verdictOf([user("alice")], { [PEER]: STRANGER })).toBe(NOBODY);
    // The peer's own certificate counts, not what stands beside it.
    expect(verdictOf([user("alice")], { [PEER]: STRANGER, [WAYPOINT]: GATEWAY })).toBe(NOBODY);
    expect(verdictOf([user("alice")], { [PEER]: "a".repeat(513), [WAYPOINT]: GATEWAY })).toBe(NOBODY);
    expect(verdictOf([user("alice")], { [PEER]: "a\u0000", [WAYPOINT]: GATEWAY })).toBe(NOBODY);
    expect(verdictOf([user("alice")], { [PEER]: "", [WAYPOINT]: GATEWAY })).toBe("allow");
    expect(verdictOf([user("alice")], { [PEER]: `${GATEWAY}2` })).toBe(NOBODY);
    expect(verdictOf([user("alice")], { [PEER]: GATEWAY.slice(0, -1) })).toBe(NOBODY);
  });

  test.each([
    ["of another issuer", token("people", { iss: "https://idp.example.evil", sub: "alice" })],
    ["of an issuer that begins alike", token("people", { iss: ISSUER.slice(0, -1), sub: "alice" })],
    ["of another provider", token("strangers", { iss: ISSUER, sub: "alice" })],
    ["of the other entry's issuer", token("people", { iss: "https://partner.example", sub: "alice" })],
    ["without an issuer", token("people", { sub: "alice" })],
    ["without the claim", token("people", { iss: ISSUER, email: "alice@x.example" })],
    ["with an empty claim", token("people", { iss: ISSUER, sub: "" })],
    ["with a number for the claim", token("people", { iss: ISSUER, sub: 1234n })],
    ["with a truth value for the claim", token("people", { iss: ISSUER, sub: true })],
    ["with an object for the claim", token("people", { iss: ISSUER, sub: Uint8Array.of(1, 0, 0, 0, 1, 0, 0, 0) })],
    ["with a control in the claim", token("people", { iss: ISSUER, sub: "ali\nce" })],
    ["with DEL in the claim", token("people", { iss: ISSUER, sub: "alice\u007f" })],
    ["with a C1 control in the claim", token("people", { iss: ISSUER, sub: "alice\u0085" })],
    ["with a claim in broken UTF-8", token("people", { iss: ISSUER, sub: Uint8Array.of(0x61, 0xc3) })],
    ["with a claim in overlong UTF-8", token("people", { iss: ISSUER, sub: Uint8Array.of(0xc0, 0xaf) })],
    ["with a surrogate in the claim", token("people", { iss: ISSUER, sub: Uint8Array.of(0xed, 0xa0, 0x80) })],
    ["with a claim that is too long", token("people", { iss: ISSUER, sub: "a".repeat(257) })],
  ])("a token %s names nobody", (_what, properties) => {
    expect(verdictOf([], properties)).toBe(NOBODY);
  });

  test("a claim of 256 bytes, and one of other scripts, name somebody", () => {
    for (const sub of ["a".repeat(256), "Ωmega 検索 🔍", "\u00a0", "\u{10ffff}"]) {
      expect(verdictOf([], token("people", { iss: ISSUER, sub }))).toBe("allow");
    }
  });

  test.each([
    ["two", [user("alice"), user("alice")]],
    ["two different", [user("alice"), user("bob")]],
    ["an empty one", [user("")]],
    ["one with a control", [user("ali\u0001ce")]],
    ["one in broken UTF-8", [user("\u00c3")]],
    ["one of 257 bytes", [user("a".repeat(257))]],
    ["one beside a look-alike", [user("alice"), ["user_identity", "bob"] as const]],
    ["a look-alike alone", [["user_identity", "alice"] as const]],
  ])("of a trusted gateway's headers, %s names nobody", (_what, headers) => {
    expect(verdictOf(headers, { [PEER]: GATEWAY })).toBe(NOBODY);
  });

  test("is asked of what acts for somebody", () => {
    const of = (body: object) => post(plugin, { body: JSON.stringify({ jsonrpc: "2.0", ...body }) });
    for (const method of ["initialize", "ping", "tools/list", "prompts/list", "resources/list", "logging/setLevel"]) {
      expect(of({ id: 1, method })).toBe("allow");
    }
    expect(of({ method: "notifications/initialized" })).toBe("allow");
    expect(of({ id: 1, method: "subscriptions/listen", params: { notifications: {} } })).toBe(NOBODY);
    // An answer to the server is given in somebody's name too; it has no id that could get an error.
    expect(of({ id: 1, result: {} })).toBe("refuse human_required 403");
    // What is refused anyway keeps its own reason.
    expect(of({ id: 1, method: "tools/call", params: { name: "evil" } })).toBe("refuse tool_not_listed 200");
    expect(post(plugin, { method: "GET", headers: [], end: "headers" })).toBe("pass");
  });

  test("is not asked without the member", () => {
    expect(post(startGuard(ANYBODY).plugin, call([], {}))).toBe("allow");
  });
});

/** As the network has it: one character per byte. */
function latin1([name, value]: HeaderPair): HeaderPair {
  return [name, Buffer.from(value, "utf8").toString("latin1")];
}

describe("a contradiction", () => {
  const { plugin } = startGuard(ANYBODY);
  const PARTNER = token("partners", { iss: "https://partner.example", email: "bob" });
  const REFUSED = "refuse identity_conflict 403";

  test("between token and header is refused", () => {
    expect(post(plugin, call([user("bob")], { ...ALICE, [PEER]: GATEWAY }))).toBe(REFUSED);
    expect(post(plugin, call([user("Alice")], { ...ALICE, [PEER]: GATEWAY }))).toBe(REFUSED);
    expect(post(plugin, call([user("alice")], { ...ALICE, [PEER]: GATEWAY }))).toBe("allow");
    // A header that does not count contradicts nobody.
    expect(post(plugin, call([user("bob")], { ...ALICE, [PEER]: STRANGER }))).toBe("allow");
  });

  test("between two tokens is refused", () => {
    expect(post(plugin, call([], { ...ALICE, ...PARTNER }))).toBe(REFUSED);
    // The same name at two issuers is two people.
    const other = token("partners", { iss: "https://partner.example", email: "alice" });
    expect(post(plugin, call([], { ...ALICE, ...other }))).toBe(REFUSED);
    const number = token("partners", { iss: "https://partner.example", email: 7n });
    expect(post(plugin, call([], { ...ALICE, ...number }))).toBe(REFUSED);
    const silent = token("partners", { iss: "https://partner.example" });
    expect(post(plugin, call([], { ...ALICE, ...silent }))).toBe("allow");
  });

  test("is refused before a byte of the request passes", () => {
    const stream = open(plugin, call([user("bob")], { ...ALICE, [PEER]: GATEWAY }));
    expect(stream.finished).toBe(true);
    expect(stream.upstream.headers).toBeUndefined();
  });

  test("is refused without a body too, but not where the policy leaves a path alone", () => {
    const conflict = { properties: { ...ALICE, [PEER]: GATEWAY } };
    const get: Delivery = { method: "GET", headers: [user("bob")], end: "headers", stream: conflict };
    expect(post(plugin, get)).toBe(REFUSED);
    const exempt = startGuard({ ...ANYBODY, unguarded: [{ methods: ["GET"], path: "/mcp" }] });
    expect(post(exempt.plugin, get)).toBe("unguarded");
  });

  test("is only noted in monitor mode", () => {
    const { plugin: watching, vm } = startGuard({ ...ANYBODY, mode: "monitor" });
    expect(post(watching, call([user("bob")], { ...ALICE, [PEER]: GATEWAY }))).toContain(
      "would_refuse identity_conflict",
    );
    expect(vm.metrics.value("mcp_guard_reason_identity_conflict")).toBe(1n);
  });
});

describe("a header that does not count", () => {
  test.each([
    ["from nobody", [user("alice")], {}],
    ["from a stranger", [user("alice")], { [PEER]: STRANGER }],
    ["twice from the gateway", [user("alice"), user("alice")], { [PEER]: GATEWAY }],
    ["under a look-alike's name", [["user_identity", "alice"] as const], { [PEER]: GATEWAY }],
    ["under a name that CGI makes the same of", [["user.identity", "alice"] as const], { [PEER]: GATEWAY }],
    ["with a space in front of it", [user(" alice")], { [PEER]: GATEWAY }],
    ["with a space behind it", [user("alice ")], { [PEER]: GATEWAY }],
    ["beside a look-alike", [user("alice"), ["user_identity", "bob"] as const], { [PEER]: GATEWAY }],
    ["that cannot be read", [user("\u0001")], { [PEER]: GATEWAY }],
  ] as const)("%s never arrives, and is counted", (_what, headers, properties) => {
    expect(arrived(ANYBODY, headers, properties)).toEqual({ pairs: [], rejected: headers.length });
  });

  test("the gateway's does", () => {
    expect(arrived(ANYBODY, [user("alice")], { [PEER]: GATEWAY })).toEqual({ pairs: [user("alice")], rejected: 0 });
  });

  test("never arrives at an endpoint that is not guarded either", () => {
    const exempt = { ...ANYBODY, unguarded: [{ methods: ["POST"], path: "/mcp" }] };
    expect(arrived(exempt, [user("alice"), ["user_identity", "bob"]], {})).toEqual({ pairs: [], rejected: 2 });
    expect(arrived(exempt, [user("alice")], { [PEER]: GATEWAY })).toEqual({ pairs: [user("alice")], rejected: 0 });
  });

  test("stays in monitor mode and on an outbound listener, where nothing is changed", () => {
    const both = [user("alice"), ["user_identity", "bob"]] as const;
    expect(arrived({ ...ANYBODY, mode: "monitor" }, both, {})).toEqual({ pairs: both, rejected: 2 });
    const { vm, plugin } = startGuard(ANYBODY, { listenerDirection: 2 });
    const untouched = exchange(plugin, call(both, {})).upstream.headers?.pairs() ?? [];
    for (const pair of both) expect(untouched).toContainEqual(pair);
    expect(vm.metrics.value(REJECTED)).toBe(0n);
  });

  test("whatever the letter case of the configuration", () => {
    for (const name of ["user-identity", "USER-IDENTITY"]) {
      const configuration = { tool_allowlist: ["safe"], identity: { header: { ...HEADER, name } } };
      expect(arrived(configuration, [user("alice")], {})).toEqual({ pairs: [], rejected: 1 });
      expect(arrived(configuration, [user("alice")], { [PEER]: GATEWAY }).pairs).toEqual([user("alice")]);
    }
  });

  describe("in trailers", () => {
    const TRAILERS: readonly HeaderPair[] = [user("alice"), ["user_identity", "bob"], ["x-checksum", "0"]];
    const ended = (configuration: object, delivery: Delivery = {}) => {
      const guard = startGuard(configuration);
      const stream = send(guard.plugin, { body: toolCall("safe"), ...delivery, end: "never" });
      stream.requestTrailers(TRAILERS);
      return { stream, rejected: Number(guard.vm.metrics.value(REJECTED) ?? 0) };
    };

    test.each([
      ["of a judged request", ANYBODY, {}],
      ["of one that passes as it comes", { ...ANYBODY, request_body: "stream" }, {}],
      ["of one that is not guarded", { ...ANYBODY, unguarded: [{ methods: ["POST"], path: "/mcp" }] }, {}],
      ["of a gateway", ANYBODY, { stream: { properties: { [PEER]: GATEWAY } } }],
    ] as const)("%s never arrives", (_what, configuration, delivery) => {
      const { stream, rejected } = ended(configuration, delivery);
      expect(stream.upstream.trailers?.pairs()).toEqual([["x-checksum", "0"]]);
      expect(rejected).toBe(2);
    });

    test("stays in monitor mode, and without the member", () => {
      const watched = ended({ ...ANYBODY, mode: "monitor" });
      expect([watched.stream.upstream.trailers?.pairs(), watched.rejected]).toEqual([TRAILERS, 2]);
      expect(ended({ tool_allowlist: ["safe"] }).stream.upstream.trailers?.pairs()).toEqual(TRAILERS);
    });

    test.each(["proxy_remove_header_map_value", "proxy_get_header_map_pairs"])(
      "keeps the request back when %s fails",
      (name) => {
        const { vm, plugin } = startGuard(ANYBODY);
        const stream = send(plugin, { body: toolCall("safe"), end: "never" });
        vm.failNext(name, 2);
        stream.requestTrailers(TRAILERS);
        expect(stream.localReply?.status).toBe(500);
        expect(stream.upstream.ended).toBe(false);
      },
    );
  });

  test("keeps the whole request back when the proxy does not take it out", () => {
    for (const headers of [[user("alice")], [["user_identity", "alice"] as const]]) {
      const { vm, plugin } = startGuard(ANYBODY);
      vm.failNext("proxy_remove_header_map_value", 2);
      expect(post(plugin, call(headers, {}))).toBe("refuse internal 500");
    }
  });

  test("headers of other names stay", () => {
    const others: HeaderPair[] = [
      ["user-identit", "a"],
      ["user-identity2", "b"],
      ["userxidentity", "c"],
      ["user1identity", "c"],
      ["user--identity", "d"],
      ["x-user-identity", "e"],
    ];
    const { plugin } = startGuard(ANYBODY);
    const seen = exchange(plugin, call(others, {})).upstream.headers?.pairs();
    for (const pair of others) expect(seen).toContainEqual(pair);
  });
});

describe("what the proxy is asked", () => {
  const asked = (configuration: object, properties: Record<string, PropertyValue> = {}): number => {
    const { vm, plugin } = startGuard(configuration);
    const before = vm.calls.proxy_get_property ?? 0;
    send(plugin, call([], properties));
    return (vm.calls.proxy_get_property ?? 0) - before;
  };
  const identity = (value: object) => ({ tool_allowlist: ["safe"], identity: value });

  test("is what is configured, once per stream", () => {
    const direction = asked({ tool_allowlist: ["safe"] });
    expect(direction).toBe(1);
    // The peer; without one, Istio's note of it.
    expect(asked(identity({}), { [PEER]: GATEWAY }) - direction).toBe(1);
    expect(asked(identity({})) - direction).toBe(2);
    expect(asked(identity({ header: HEADER }), { [PEER]: GATEWAY }) - direction).toBe(1);
    // The issuer of each source; of a token that is there, its claim and its first actor.
    expect(asked(identity({ jwt: TOKENS }), { [PEER]: GATEWAY }) - direction).toBe(3);
    expect(asked(identity({ jwt: TOKENS }), { [PEER]: GATEWAY, ...ALICE }) - direction).toBe(5);
  });
});

test("the identity of one request is not that of the next", () => {
  const { plugin } = startGuard(HUMANS);
  for (let round = 0; round < 3; round++) {
    expect(post(plugin, call([user("alice")], { [PEER]: GATEWAY }))).toBe("allow");
    expect(post(plugin, call([], { [PEER]: GATEWAY }))).toBe("refuse human_required 200");
    expect(post(plugin, call([], ALICE))).toBe("allow");
    expect(post(plugin, call([], {}))).toBe("refuse human_required 200");
  }
  // Two streams of one worker at once: what was found at the headers is what counts at the end of the body.
  const human = open(plugin, call([], ALICE));
  const nobody = open(plugin, call([], {}));
  human.requestBody(toolCall("safe"), true);
  nobody.requestBody(toolCall("safe"), true);
  expect([human.finished, nobody.finished]).toEqual([false, true]);
});
