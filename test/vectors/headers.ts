// What is tried with the headers of a request: mirrored fields that say something else than the body, signals of two eras in
// one request, and pages and hosts that have no business here.

import type { RequestPolicy, RequestReason } from "../oracle/exchange.ts";
import { bytes, call } from "./bytes.ts";
import { type Changes, pass, refuse, refuseNotification, type ThreatVector } from "./threat.ts";

type Header = readonly [name: string, value: string];

const MODERN = "2026-07-28";
const VERSION_KEY = "io.modelcontextprotocol/protocolVersion";
const CAPABILITIES_KEY = "io.modelcontextprotocol/clientCapabilities";
const META = { [VERSION_KEY]: MODERN, [CAPABILITIES_KEY]: {} };

/** A modern message of this method; `undefined` members of `_meta` are left out. */
const modern = (method: string, params: object = {}, meta: object = {}, id: object = { id: 1 }): Uint8Array =>
  bytes(JSON.stringify({ jsonrpc: "2.0", ...id, method, params: { ...params, _meta: { ...META, ...meta } } }));

const version = (value = MODERN): Header => ["mcp-protocol-version", value];
const method = (value: string): Header => ["mcp-method", value];
const name = (value: string): Header => ["mcp-name", value];
const encoded = (value: string): string => `=?base64?${Buffer.from(value, "utf8").toString("base64")}?=`;

const withHeaders = (...extraHeaders: readonly Header[]): Changes => ({ extraHeaders });
const callHeaders = (...names: readonly Header[]): Changes => withHeaders(version(), method("tools/call"), ...names);

const SAFE = modern("tools/call", { name: "safe", arguments: {} });
const EVIL = modern("tools/call", { name: "evil", arguments: {} });

const MISMATCH = "header_mismatch";

/** Everything open that the mirrored names of other methods need. */
const OPEN: RequestPolicy = {
  tool_allowlist: ["safe", "\u00fcbersetzen", " padded", "=?base64?c2FmZQ==?=", "=?base64?"],
  prompt_allowlist: ["safe"],
  resource_roots: ["file:///docs/"],
  tasks: "allow",
};

const named = (...names: readonly Header[]): Changes => ({ ...callHeaders(...names), policy: OPEN });
const callNamed = (tool: string): Uint8Array => modern("tools/call", { name: tool, arguments: {} });

const PROMPT = { type: "ref/prompt", name: "safe" };
const VALUE = { name: "a", value: "b" };

/** Requests that 2026-07-28 has no more. */
const LEGACY_REQUESTS: readonly (readonly [method: string, params: object])[] = [
  ["initialize", { protocolVersion: MODERN, capabilities: {}, clientInfo: {} }],
  ["ping", {}],
  ["logging/setLevel", { level: "info" }],
  ["resources/subscribe", { uri: "file:///docs/a" }],
  ["resources/unsubscribe", { uri: "file:///docs/a" }],
  ["tasks/result", { taskId: "t" }],
  ["tasks/list", {}],
];

/** A modern request of each method whose name is mirrored, with the value that `Mcp-Name` has to have. */
const NAMED: readonly (readonly [method: string, params: object, value: string])[] = [
  ["tools/call", { name: "safe", arguments: {} }, "safe"],
  ["prompts/get", { name: "safe" }, "safe"],
  ["resources/read", { uri: "file:///docs/a" }, "file:///docs/a"],
  ["tasks/get", { taskId: "t-1" }, "t-1"],
  ["tasks/update", { taskId: "t-1", inputResponses: {} }, "t-1"],
  ["tasks/cancel", { taskId: "t-1" }, "t-1"],
];

const MIRRORED: readonly ThreatVector[] = [
  pass(27, "headers that say what the body says", SAFE, callHeaders(name("safe"))),
  refuse(
    27,
    "a listed name in the header, an unlisted one in the body",
    EVIL,
    [MISMATCH, "tool_not_listed"],
    callHeaders(name("safe")),
  ),
  refuse(27, "an unlisted name in the header, a listed one in the body", SAFE, MISMATCH, callHeaders(name("evil"))),
  refuse(27, "an unlisted name in both", EVIL, "tool_not_listed", callHeaders(name("evil"))),
  refuse(
    27,
    "an unlisted name encoded, a listed one in the body",
    SAFE,
    MISMATCH,
    callHeaders(name("=?base64?ZXZpbA==?=")),
  ),
  refuse(
    27,
    "a listed name encoded, an unlisted one in the body",
    EVIL,
    [MISMATCH, "tool_not_listed"],
    callHeaders(name(encoded("safe"))),
  ),
  pass(27, "a listed name encoded", SAFE, callHeaders(name("=?base64?c2FmZQ==?="))),
  refuse(27, "the name twice, the listed one first", SAFE, MISMATCH, callHeaders(name("safe"), name("evil"))),
  refuse(27, "the name twice, the listed one last", SAFE, MISMATCH, callHeaders(name("evil"), name("safe"))),
  refuse(27, "the name twice, both listed", SAFE, MISMATCH, callHeaders(name("safe"), name("safe"))),
  refuse(27, "a folded name", SAFE, MISMATCH, callHeaders(name("safe, safe"))),
  refuse(27, "a folded name, evil last", SAFE, MISMATCH, callHeaders(name("safe, evil"))),
  refuse(27, "no name", SAFE, MISMATCH, callHeaders()),
  refuse(27, "an empty name", SAFE, MISMATCH, callHeaders(name(""))),
  refuse(27, "another case", SAFE, MISMATCH, callHeaders(name("Safe"))),
  refuse(27, "a prefix", SAFE, MISMATCH, callHeaders(name("saf"))),
  refuse(27, "a longer name", SAFE, MISMATCH, callHeaders(name("safer"))),
  refuse(27, "a name of 5,000 bytes", SAFE, MISMATCH, callHeaders(name("n".repeat(5000)))),
  refuse(27, "a percent-encoded name", SAFE, MISMATCH, callHeaders(name("s%61fe"))),
  refuse(27, "a quoted name", SAFE, MISMATCH, callHeaders(name('"safe"'))),
  refuse(
    27,
    "the unlisted name of 300 bytes in both",
    callNamed("n".repeat(300)),
    "tool_not_listed",
    callHeaders(name("n".repeat(300))),
  ),
  // An HTTP codec takes the blanks away, or refuses them.
  ...[
    pass(27, "blanks around", SAFE, withHeaders(version(` ${MODERN}\t`), method("\ttools/call "), name("  safe\t"))),
    pass(27, "blanks around an encoded name", SAFE, callHeaders(name(" =?base64?c2FmZQ==?= \t"))),
    refuse(
      27,
      "a name that looks encoded, literal, behind a blank",
      callNamed("=?base64?c2FmZQ==?="),
      MISMATCH,
      named(name(" =?base64?c2FmZQ==?=")),
    ),
  ].map((vector) => ({ ...vector, scriptedHostOnly: true as const })),
  pass(
    27,
    "header names in capitals",
    SAFE,
    withHeaders(["MCP-PROTOCOL-VERSION", MODERN], ["Mcp-Method", "tools/call"], ["MCP-Name", "safe"]),
  ),

  ...Object.entries({
    "without padding": "=?base64?c2FmZQ?=",
    "with half of the padding": "=?base64?c2FmZQ=?=",
    "with too much padding": "=?base64?c2FmZQ===?=",
    "with bits that encode nothing": "=?base64?c2FmZR==?=",
    "with a blank inside": "=?base64?c2Fm ZQ==?=",
    "with a blank in front": "=?base64? c2FmZQ==?=",
    "without its end": "=?base64?c2FmZQ==",
    "with half of its end": "=?base64?c2FmZQ==?",
    "with something behind its end": "=?base64?c2FmZQ==?=x",
    "with its mark in capitals": "=?BASE64?c2FmZQ==?=",
    "in the alphabet for URLs": "=?base64?c2-_ZQ==?=",
    "with a sign of no alphabet": "=?base64?c2F*ZQ==?=",
    "with padding in the middle": "=?base64?cw==YWZl?=",
    "of nothing": "=?base64??=",
    "encoded twice": encoded(encoded("safe")),
    "with a NUL behind": encoded("safe\0"),
    "with a mark in front": encoded("\ufeffsafe"),
    "of bytes that are no UTF-8": "=?base64?c2Fm/w==?=",
  }).map(([what, value]) => refuse(27, `an encoded name ${what}`, SAFE, MISMATCH, callHeaders(name(value)))),

  pass(27, "a name beyond ASCII, encoded", callNamed("\u00fcbersetzen"), named(name(encoded("\u00fcbersetzen")))),
  pass(27, "a name with a blank in front, encoded", callNamed(" padded"), named(name(encoded(" padded")))),
  refuse(27, "a name with a blank in front, literal", callNamed(" padded"), MISMATCH, named(name(" padded"))),
  pass(
    27,
    "a name that looks encoded, encoded",
    callNamed("=?base64?c2FmZQ==?="),
    named(name(encoded("=?base64?c2FmZQ==?="))),
  ),
  refuse(
    27,
    "a name that looks encoded, literal",
    callNamed("=?base64?c2FmZQ==?="),
    MISMATCH,
    named(name("=?base64?c2FmZQ==?=")),
  ),
  pass(
    27,
    "a name that begins like an encoded one, encoded",
    callNamed("=?base64?"),
    named(name(encoded("=?base64?"))),
  ),

  ...NAMED.flatMap(([what, params, value]) => [
    pass(27, `${what} with its name`, modern(what, params), {
      ...withHeaders(version(), method(what), name(value)),
      policy: OPEN,
    }),
    pass(27, `${what} with its name encoded`, modern(what, params), {
      ...withHeaders(version(), method(what), name(encoded(value))),
      policy: OPEN,
    }),
    refuse(27, `${what} with another name`, modern(what, params), MISMATCH, {
      ...withHeaders(version(), method(what), name(`${value}x`)),
      policy: OPEN,
    }),
    refuse(27, `${what} with its name twice`, modern(what, params), MISMATCH, {
      ...withHeaders(version(), method(what), name(value), name(value)),
      policy: OPEN,
    }),
    refuse(27, `${what} without its name`, modern(what, params), MISMATCH, {
      ...withHeaders(version(), method(what)),
      policy: OPEN,
    }),
  ]),
  refuse(27, "tools/call without a name in the body", modern("tools/call"), "params_invalid", callHeaders()),
  pass(
    27,
    "a stray name on a list request",
    modern("tools/list"),
    withHeaders(version(), method("tools/list"), name("evil")),
  ),
  pass(
    27,
    "a stray name twice on a list request",
    modern("tools/list"),
    withHeaders(version(), method("tools/list"), name("a"), name("b")),
  ),
  pass(27, "completion/complete needs no name", modern("completion/complete", { ref: PROMPT, argument: VALUE }), {
    ...withHeaders(version(), method("completion/complete")),
    policy: OPEN,
  }),
  pass(
    27,
    "subscriptions/listen needs no name",
    modern("subscriptions/listen", { notifications: { resourceSubscriptions: ["file:///docs/a"] } }),
    { ...withHeaders(version(), method("subscriptions/listen")), policy: OPEN },
  ),

  refuse(27, "another method", SAFE, MISMATCH, withHeaders(version(), method("tools/list"), name("safe"))),
  refuse(27, "the method in another case", SAFE, MISMATCH, withHeaders(version(), method("Tools/Call"), name("safe"))),
  refuse(27, "no method", SAFE, MISMATCH, withHeaders(version(), name("safe"))),
  refuse(
    27,
    "the method twice",
    SAFE,
    MISMATCH,
    withHeaders(version(), method("tools/call"), method("tools/call"), name("safe")),
  ),
  refuse(27, "a folded method", SAFE, MISMATCH, withHeaders(version(), method("tools/call, tools/call"), name("safe"))),
  refuse(27, "an encoded method", SAFE, MISMATCH, withHeaders(version(), method(encoded("tools/call")), name("safe"))),
  refuse(27, "a method of 200 bytes", SAFE, MISMATCH, withHeaders(version(), method("m".repeat(200)), name("safe"))),
  refuse(27, "no version", SAFE, MISMATCH, withHeaders(method("tools/call"), name("safe"))),
  refuse(
    27,
    "the version twice",
    SAFE,
    MISMATCH,
    withHeaders(version(), version(), method("tools/call"), name("safe")),
  ),
  refuse(
    27,
    "a folded version",
    SAFE,
    MISMATCH,
    withHeaders(version(`${MODERN}, ${MODERN}`), method("tools/call"), name("safe")),
  ),
  refuse(27, "no headers at all", SAFE, MISMATCH),

  pass(
    27,
    "a modern notification without headers of its method",
    modern("notifications/cancelled", { requestId: 1 }, {}, {}),
    withHeaders(version()),
  ),
  pass(
    27,
    "a modern notification with its method",
    modern("notifications/cancelled", { requestId: 1 }, {}, {}),
    withHeaders(version(), method("notifications/cancelled")),
  ),
  refuseNotification(
    27,
    "a modern notification with another method",
    modern("notifications/cancelled", { requestId: 1 }, {}, {}),
    MISMATCH,
    withHeaders(version(), method("tools/call")),
  ),

  pass(27, "legacy: no headers", call('"name":"safe"')),
  pass(27, "legacy: a stray name and method", call('"name":"safe"'), withHeaders(method("tools/list"), name("evil"))),
  pass(27, "legacy: stray names", call('"name":"safe"'), withHeaders(name("evil"), name("safe"))),
  refuse(
    27,
    "legacy: a stray listed name, an unlisted one in the body",
    call('"name":"evil"'),
    "tool_not_listed",
    withHeaders(name("safe")),
  ),
  pass(
    27,
    "parameters in headers pass unread",
    SAFE,
    callHeaders(name("safe"), ["mcp-param-region", "x"], ["mcp-param-region", "y"]),
  ),
];

const LEGACY_VERSIONS = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] as const;
const initialize = (protocolVersion: string): Uint8Array =>
  bytes(
    JSON.stringify({
      jsonrpc: "2.0",
      id: 1,
      method: "initialize",
      params: { protocolVersion, capabilities: {}, clientInfo: { name: "c", version: "1" } },
    }),
  );
const legacyCall = call('"name":"safe","arguments":{}');
const legacyEvil = call('"name":"evil","arguments":{}');
const result = bytes('{"jsonrpc":"2.0","id":1,"result":{}}');

const unsupported = (value: string): ThreatVector =>
  refuse(
    53,
    `the version ${value} in header and body`,
    modern("tools/call", { name: "safe" }, { [VERSION_KEY]: value }),
    "version_unsupported",
    withHeaders(version(value), method("tools/call"), name("safe")),
  );

/** A request of a method that the modern era does not know: MCP 2026-07-28 wants HTTP 404 for it. */
const gone = (legacy: string, params: object): ThreatVector => {
  const headers = withHeaders(version(), method(legacy));
  const vector = refuse(
    53,
    `${legacy}, which the modern era has no more`,
    modern(legacy, params),
    "method_not_listed",
    {
      ...headers,
      policy: OPEN,
    },
  );
  return { ...vector, expect: { ...vector.expect, status: 404 } };
};

const badMeta = (
  what: string,
  meta: object,
  reasons: RequestReason | readonly RequestReason[] = "meta_invalid",
): ThreatVector => refuse(53, what, modern("tools/call", { name: "safe" }, meta), reasons, callHeaders(name("safe")));

/** JSON.stringify leaves a member out. */
const ABSENT = undefined;

const ERAS: readonly ThreatVector[] = [
  ...LEGACY_VERSIONS.flatMap((value) => [
    pass(53, `a legacy call of ${value}`, legacyCall, withHeaders(version(value))),
    refuse(
      53,
      `a legacy call of ${value}, an unlisted tool`,
      legacyEvil,
      "tool_not_listed",
      withHeaders(version(value)),
    ),
    pass(53, `a handshake for ${value}`, initialize(value)),
    pass(
      53,
      `a second handshake, down to ${value}`,
      initialize(value),
      withHeaders(version("2025-11-25"), ["mcp-session-id", "s"]),
    ),
    refuse(
      53,
      `a modern body under the header ${value}`,
      SAFE,
      MISMATCH,
      withHeaders(version(value), method("tools/call"), name("safe")),
    ),
    refuse(
      53,
      `a modern body under the header ${value}, an unlisted tool`,
      EVIL,
      [MISMATCH, "tool_not_listed"],
      withHeaders(version(value), method("tools/call"), name("evil")),
    ),
    unsupported(value),
  ]),
  ...["", "1.0", "latest", "2026-07-28x", "2026-7-28", "2025-12-01", "x".repeat(300)].map((value) =>
    pass(
      53,
      `a legacy call with the version ${JSON.stringify(value.slice(0, 20))}`,
      legacyCall,
      withHeaders(version(value)),
    ),
  ),
  refuse(
    53,
    "a legacy call with its version twice",
    legacyCall,
    MISMATCH,
    withHeaders(version("2025-06-18"), version("2025-06-18")),
  ),
  refuse(
    53,
    "a legacy call with two versions",
    legacyCall,
    MISMATCH,
    withHeaders(version("2025-06-18"), version(MODERN)),
  ),
  ...[MODERN, "2026-07-29", "2027-01-01", "9999-12-31"].flatMap((value) => [
    refuse(53, `the header ${value} over a legacy call`, legacyCall, "meta_invalid", withHeaders(version(value))),
    refuse(
      53,
      `the header ${value} over a legacy call, an unlisted tool`,
      legacyEvil,
      ["meta_invalid", "tool_not_listed"],
      withHeaders(version(value), name("safe")),
    ),
    refuse(
      53,
      `the header ${value} over a handshake`,
      initialize("2025-11-25"),
      "era_mixed",
      withHeaders(version(value)),
    ),
  ]),
  ...["2026-07-29", "2027-01-01", "2026-07-28-rc", "draft", ""].map(unsupported),
  ...[[], [version("2025-11-25")], [version(), version()]].map((headers) =>
    refuse(
      53,
      `a handshake with a modern body, ${headers.length === 1 ? "a legacy header" : `${headers.length} headers`}`,
      modern("initialize", { protocolVersion: "2025-11-25", capabilities: {} }),
      headers.length === 2 ? [MISMATCH, "era_mixed", "method_not_listed"] : ["era_mixed", "method_not_listed"],
      withHeaders(...headers, method("initialize")),
    ),
  ),
  ...LEGACY_REQUESTS.flatMap(([legacy, params]) => [
    gone(legacy, params),
    pass(53, `${legacy} in the legacy era`, bytes(JSON.stringify({ jsonrpc: "2.0", id: 1, method: legacy, params })), {
      ...withHeaders(version("2025-11-25")),
      policy: OPEN,
    }),
  ]),
  pass(53, "a modern call with a session header", SAFE, callHeaders(name("safe"), ["mcp-session-id", "s"])),
  refuse(
    53,
    "a modern call with a session header, an unlisted tool",
    EVIL,
    "tool_not_listed",
    callHeaders(name("evil"), ["mcp-session-id", "s"]),
  ),
  pass(53, "a modern discovery", modern("server/discover"), withHeaders(version(), method("server/discover"))),
  badMeta("no capabilities", { [CAPABILITIES_KEY]: ABSENT }),
  badMeta("capabilities null", { [CAPABILITIES_KEY]: null }),
  badMeta("capabilities a list", { [CAPABILITIES_KEY]: [] }),
  badMeta("capabilities a string", { [CAPABILITIES_KEY]: "{}" }),
  badMeta("the version a number", { [VERSION_KEY]: 20260728 }),
  badMeta("the version null", { [VERSION_KEY]: null }),
  badMeta("the version a list", { [VERSION_KEY]: [MODERN] }),
  badMeta("a version of 300 bytes", { [VERSION_KEY]: "2".repeat(300) }),
  badMeta("no version in the body", { [VERSION_KEY]: ABSENT }),
  badMeta("no _meta members at all", { [VERSION_KEY]: ABSENT, [CAPABILITIES_KEY]: ABSENT }),
  pass(
    53,
    "unknown members of _meta",
    modern("tools/call", { name: "safe" }, { traceparent: "00-0-0-00", "example.com/x": [1] }),
    callHeaders(name("safe")),
  ),
  {
    ...refuse(
      53,
      "an unlisted method",
      modern("vendor/x"),
      "method_not_listed",
      withHeaders(version(), method("vendor/x")),
    ),
    // A modern server says with 404 that it has no such method.
    expect: { verdict: "refuse", reasons: ["method_not_listed"], status: 404 },
  },
  refuseNotification(53, "the header of the modern era over a result", result, "era_mixed", withHeaders(version())),
  refuseNotification(
    53,
    "a result with a modern _meta",
    bytes(`{"jsonrpc":"2.0","id":1,"result":{},"params":{"_meta":${JSON.stringify(META)}}}`),
    "era_mixed",
    withHeaders(version()),
  ),
  refuseNotification(
    53,
    "the header of the modern era over a legacy notification",
    bytes('{"jsonrpc":"2.0","method":"notifications/initialized"}'),
    "meta_invalid",
    withHeaders(version()),
  ),
  pass(53, "a result under a legacy header", result, withHeaders(version("2025-11-25"))),
];

const ORIGIN = "https://app.example";
const origins: RequestPolicy = { tool_allowlist: ["safe"], allowed_origins: [ORIGIN, "http://localhost:6274"] };
const hosts: RequestPolicy = {
  tool_allowlist: ["safe"],
  allowed_hosts: ["mcp.example", "Internal.Example:8443", "[::1]"],
};

const from = (policy: RequestPolicy | undefined, ...values: readonly string[]): Changes => ({
  extraHeaders: values.map((value) => ["origin", value] as const),
  ...(policy !== undefined && { policy }),
});
const to = (host: string, policy: RequestPolicy = hosts): Changes => ({ extraHeaders: [["host", host]], policy });
const PREFLIGHT = { method: "OPTIONS", framing: "headers_only" } as const;
const GET = { method: "GET", framing: "headers_only" } as const;
const NOTHING = bytes();

const SOURCES: readonly ThreatVector[] = [
  pass(48, "no origin", legacyCall, from(origins)),
  pass(48, "a listed origin", legacyCall, from(origins, ORIGIN)),
  pass(48, "the other listed origin", legacyCall, from(origins, "http://localhost:6274")),
  refuse(48, "a listed origin, an unlisted tool", legacyEvil, "tool_not_listed", from(origins, ORIGIN)),
  ...[
    "https://evil.example",
    "null",
    "",
    "http://app.example",
    "https://app.example:8443",
    "https://app.example/",
    "https://APP.example",
    "https://app.example.evil.example",
    "https://evil.example#https://app.example",
    "https://app.example, https://evil.example",
    "http://localhost",
  ].map((origin) =>
    refuse(48, `the origin ${JSON.stringify(origin)}`, legacyCall, "origin_not_allowed", from(origins, origin)),
  ),
  refuse(48, "two origins, both listed", legacyCall, "origin_not_allowed", from(origins, ORIGIN, ORIGIN)),
  refuse(
    48,
    "two origins, one listed",
    legacyCall,
    "origin_not_allowed",
    from(origins, ORIGIN, "https://evil.example"),
  ),
  refuse(48, "an origin where none is listed", legacyCall, "origin_not_allowed", from(undefined, ORIGIN)),
  refuse(
    48,
    "an origin and an empty list",
    legacyCall,
    "origin_not_allowed",
    from({ tool_allowlist: ["safe"], allowed_origins: [] }, ORIGIN),
  ),
  pass(48, "a preflight from anywhere", NOTHING, { ...from(origins, "https://evil.example"), ...PREFLIGHT }),
  pass(48, "a stream for a listed origin", NOTHING, { ...from(origins, ORIGIN), ...GET }),
  refuse(48, "a stream for another origin", NOTHING, "origin_not_allowed", {
    ...from(origins, "https://evil.example"),
    ...GET,
  }),
  refuse(48, "text/plain, as a page can send it", legacyCall, ["content_type", "origin_not_allowed"], {
    headers: [
      ["content-type", "text/plain"],
      ["origin", "https://evil.example"],
    ],
  }),

  ...[
    "mcp.example",
    "MCP.Example",
    "mcp.example:443",
    "mcp.example:1",
    "internal.example:8443",
    "[::1]",
    "[::1]:80",
  ].map((host) => pass(48, `the host ${host}`, legacyCall, to(host))),
  ...[
    "attacker",
    "mcp.example.attacker",
    "xmcp.example",
    "internal.example",
    "internal.example:8444",
    "mcp.example:",
    "mcp.example:x",
    "[::2]",
    "127.0.0.1",
  ].map((host) => refuse(48, `the host ${host}`, legacyCall, "host_not_allowed", to(host))),
  pass(48, "any host where none is listed", legacyCall, { extraHeaders: [["host", "attacker"]] }),
  refuse(48, "a preflight for another host", NOTHING, "host_not_allowed", { ...to("attacker"), ...PREFLIGHT }),
  refuse(48, "another host, an unlisted tool", legacyEvil, ["host_not_allowed", "tool_not_listed"], to("attacker")),
];

export const HEADER_THREATS: readonly ThreatVector[] = [...MIRRORED, ...ERAS, ...SOURCES];
