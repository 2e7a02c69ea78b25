// The ways in which an exchange goes in a real Envoy, and what its record says of each: for audit.test.ts, and for the records that docs/audit.md shows.
import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { Http2ServerResponse } from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import { expect } from "vitest";
import { type Bootstrap, type Cluster, connectionManager, type GuardOptions } from "../../src/envoy/bootstrap.ts";
import type { EnvoyDriver } from "./drivers/driver.ts";
import { listenersOf, putBeforeGuard } from "./listeners.ts";
import type { OriginResponse, Respond } from "./origin.ts";
import { createRecordLog, type Json, type RecordLog } from "./record-log.ts";
import { CLUSTER, guardIn, JSON_FIELDS, named, PATIENCE, type Protocol, type Rig, startRig, toolCall } from "./rig.ts";
import { type Fields, pause, type WireConnection, type WireHead, type WireRequest } from "./wire.ts";

/** The guards that most ways are gone with: one in each header mode. */
export const USUAL_GUARDS = ["released", "held"] as const;
/** A listener without a guard. */
export const BARE = "bare";

const SOCKET_PATH = "/socket";
const POLICY = {
  tool_allowlist: ["safe"],
  prompt_allowlist: ["review"],
  resource_roots: ["file:///srv/"],
  unguarded: [
    { methods: ["POST"], path: "/hook" },
    { methods: ["GET"], path: SOCKET_PATH },
  ],
};
const BODY_BYTES = 1_000;
const STALL_MS = 1_000;
const ROUTE_TIMEOUT = "0.2s";
/** Envoy writes its access logs so often. */
const FLUSH_MS = 50;

const GUARDS: readonly GuardOptions[] = [
  guardIn("release", POLICY, { name: "released" }),
  guardIn("hold", POLICY, { name: "held" }),
  guardIn("release", { ...POLICY, mode: "monitor", limits: { body_bytes: BODY_BYTES } }, { name: "monitor" }),
  guardIn("release", { ...POLICY, limits: { body_bytes: BODY_BYTES } }, { name: "small" }),
  guardIn("release", { ...POLICY, limits: { stall_ms: STALL_MS } }, { name: "impatient" }),
  guardIn("release", POLICY, { name: "upgrades", upgrades: ["websocket"] }),
  guardIn("release", POLICY, { name: "outbound", direction: "outbound", upgrades: ["websocket"] }),
  guardIn("hold", POLICY, { name: "unreachable" }),
  ...["denied", "slow", "lost", BARE].map((name) => guardIn("release", POLICY, { name })),
];

/** What a way has at hand. */
export interface Stage {
  readonly protocol: Protocol;
  /** Sends the headers of the exchange, on a connection of its own: of a POST with JSON unless it is said otherwise. */
  open(head?: Partial<WireHead>): Promise<WireRequest>;
  /** The same with a body, and waits for the end of the response. */
  post(body: string, head?: Partial<WireHead>): Promise<void>;
  /** Waits until the server has the whole request. */
  arrived(): Promise<void>;
  /** The server's side, once it has the headers. */
  response(): Promise<OriginResponse>;
  /** Closes the connection. */
  close(): void;
  /** The lines that the exchange has left so far. */
  lines(): number;
}

/** The line of an exchange that no guard saw. */
export const NO_RECORD = "-";

/** One way in which an exchange goes. */
export interface Way {
  readonly name: string;
  /** The guard with which it goes so, when it is none of the usual ones. */
  readonly guard?: string;
  readonly only?: Protocol;
  /** What the server does; default: an answer of `ANSWER`. */
  readonly respond?: Respond;
  go(stage: Stage): Promise<unknown>;
  /** Members of the record, or `NO_RECORD`. */
  readonly says:
    | Json
    | typeof NO_RECORD
    | ((between: { readonly protocol: Protocol; readonly upstream: Protocol }) => Json);
  /** Members that are not there. */
  readonly lacks?: readonly string[];
}

export const ANSWER = '{"jsonrpc":"2.0","id":1,"result":{"content":[]}}';
const SAFE = toolCall("safe", { text: "abc" });
const LONG = toolCall("safe", { text: "x".repeat(BODY_BYTES) });
const EVIL = toolCall("evil");
const progress = (at: number): string =>
  `data: {"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":${at}}}\n\n`;
/** Messages of the long stream. */
const STREAMED = 2_000;
/** So much of a body comes before the client goes. */
const PART_BYTES = 40;
const HELLO = "hello";
/** How the requests of the ways are called. */
const WAY_PREFIX = "audit-";

/** A message of a client as text. */
export const message = (method: string, params?: object): string =>
  JSON.stringify({ jsonrpc: "2.0", id: 1, method, ...(params !== undefined && { params }) });

const LIST = JSON.stringify({
  jsonrpc: "2.0",
  id: 1,
  result: { tools: [{ name: "safe", description: "reads\u200b" }, { name: "evil" }, { name: "worse" }] },
});

const posted = (body: string, head: Partial<WireHead> = {}): Way["go"] => {
  return (stage) => stage.post(body, head);
};

/** Answers the whole request so. */
function answering(body: string, status = 200, type = "application/json"): Respond {
  return (arrival, response) => {
    void arrival.ended.then(() => {
      if (arrival.state !== "complete") return;
      response.writeHead(status, { "content-type": type });
      response.end(body);
    });
  };
}

function beginStream(response: OriginResponse): void {
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.write(progress(1));
}

/** Begins a stream of events, and leaves it open. */
const streaming: Respond = (arrival, response) => {
  void arrival.ended.then(() => beginStream(response));
};

const silent: Respond = () => {};

function resetConnection(response: OriginResponse): void {
  if ("stream" in response) (response as unknown as Http2ServerResponse).stream.session?.destroy();
  else (response as unknown as ServerResponse).socket?.resetAndDestroy();
}

/** Sends a whole request. */
async function begin(stage: Stage, body: string): Promise<WireRequest> {
  const request = await stage.open({ framing: "length", bodyBytes: body.length });
  request.end(Buffer.from(body));
  return request;
}

async function bodyless(stage: Stage, method: string): Promise<void> {
  const request = await stage.open({ method, headers: [], framing: "none" });
  await request.answer;
}

async function leaveInBody(stage: Stage): Promise<void> {
  const request = await stage.open({ framing: "length", bodyBytes: SAFE.length });
  request.send(Buffer.from(SAFE.slice(0, PART_BYTES)));
  await pause(FLUSH_MS);
  request.disconnect();
}

async function leaveBeforeResponse(stage: Stage): Promise<void> {
  const request = await begin(stage, SAFE);
  await stage.arrived();
  request.disconnect();
}

async function leaveInResponse(stage: Stage): Promise<void> {
  const request = await begin(stage, SAFE);
  await expect.poll(() => String(request.soFar()?.body), PATIENCE).toContain(progress(1));
  request.disconnect();
}

/** Asks for an upgrade as the protocol has it (RFC 9110 section 7.8, RFC 8441 section 4), says `HELLO` when it is granted, and ends. */
async function upgrade(stage: Stage, path = "/mcp"): Promise<void> {
  const isHttp1 = stage.protocol === "h1";
  const asked: Fields = isHttp1
    ? [
        ["connection", "Upgrade"],
        ["upgrade", "websocket"],
      ]
    : [[":protocol", "websocket"]];
  const method = isHttp1 ? "GET" : "CONNECT";
  const request = await stage.open({ method, path, headers: asked, framing: isHttp1 ? "none" : "chunked" });
  await expect.poll(() => request.soFar()?.status, PATIENCE).toBeDefined();
  if (request.soFar()?.status === (isHttp1 ? 101 : 200)) {
    // On HTTP/1.1 the response has no end any more.
    if (isHttp1) request.send(Buffer.from(HELLO));
    else request.end(Buffer.from(HELLO));
  }
  await request.answer;
}

/** A control character in a header. */
async function unreadable(stage: Stage): Promise<void> {
  const headers: Fields = [...JSON_FIELDS, ["x-bad", "a\u0001b"]];
  const request = await stage.open({ headers, framing: "length", bodyBytes: SAFE.length });
  request.end(Buffer.from(SAFE));
  await request.answer;
}

const POSTED: Json = { "http.request.method": "POST", "url.path": "/mcp" };
const CALL: Json = {
  ...POSTED,
  "mcp.method.name": "tools/call",
  "mcp_guard.era": "legacy",
  "jsonrpc.request.id": "1",
  "gen_ai.operation.name": "execute_tool",
};
const ALLOWED: Json = {
  ...CALL,
  "mcp_guard.mode": "enforce",
  "mcp_guard.decision": "allow",
  "mcp_guard.rule": "tool_allowlist",
  "gen_ai.tool.name": "safe",
  "http.request.body.size": SAFE.length,
};
const NOT_REFUSED = ["mcp_guard.reason", "error.type", "rpc.response.status_code"];
const WHOLE = ["mcp_guard.ended", "mcp_guard.truncated"];
const NO_REQUEST = ["http.request.method", "url.path", "http.request.id", "mcp.method.name"];

/** What Envoy calls a client that goes: the connection on HTTP/1.1, the stream on HTTP/2. */
const GONE: Readonly<Record<Protocol, string>> = { h1: "downstream_remote_disconnect", h2: "http2.remote_reset" };
/** What it calls a server that goes in the middle of a response. */
const BROKEN: Readonly<Record<Protocol, string>> = {
  h1: "upstream_reset_after_response_started{protocol_error}",
  h2: "upstream_reset_after_response_started{remote_reset}",
};

export const WAYS: readonly Way[] = [
  {
    name: "a call of a listed tool",
    go: posted(SAFE, { path: "/mcp?session=1" }),
    says: {
      ...ALLOWED,
      "http.response.status_code": 200,
      "http.response.body.size": ANSWER.length,
      "mcp_guard.response.messages": 1,
    },
    lacks: [...NOT_REFUSED, ...WHOLE, "mcp_guard.result.is_error", "mcp_guard.response.removed"],
  },
  {
    name: "a call of another tool",
    go: posted(EVIL),
    says: {
      ...CALL,
      "mcp_guard.decision": "refuse",
      "mcp_guard.reason": "tool_not_listed",
      "mcp_guard.rule": "tool_allowlist",
      "gen_ai.tool.name": "evil",
      "http.request.body.size": EVIL.length,
      "http.response.status_code": 200,
      "rpc.response.status_code": "-32602",
      "error.type": "tool_not_listed",
    },
    lacks: [...WHOLE, "mcp_guard.response.messages", "mcp_guard.duration.server_us"],
  },
  {
    name: "a body that is no JSON",
    go: posted('{"jsonrpc":"2.0",}'),
    says: {
      ...POSTED,
      "mcp_guard.decision": "refuse",
      "mcp_guard.reason": "json_syntax",
      "http.request.body.size": 18,
      "http.response.status_code": 400,
      "rpc.response.status_code": "-32700",
      "error.type": "json_syntax",
    },
    lacks: [...WHOLE, "mcp.method.name", "mcp_guard.rule"],
  },
  {
    name: "a batch",
    go: posted(`[${SAFE}]`),
    says: { "mcp_guard.decision": "refuse", "mcp_guard.reason": "batch", "http.response.status_code": 400 },
    lacks: ["mcp.method.name", "gen_ai.tool.name"],
  },
  {
    name: "a body that is too large",
    guard: "small",
    go: posted(LONG),
    says: {
      "mcp_guard.decision": "refuse",
      "mcp_guard.reason": "body_too_large",
      "mcp_guard.rule": "limits.body_bytes",
      "http.response.status_code": 413,
    },
    lacks: WHOLE,
  },
  {
    name: "a prompt",
    go: posted(message("prompts/get", { name: "review" })),
    says: { "mcp_guard.decision": "allow", "mcp_guard.rule": "prompt_allowlist", "gen_ai.prompt.name": "review" },
  },
  {
    name: "a resource",
    go: posted(message("resources/read", { uri: "file:///srv/a" })),
    says: { "mcp_guard.decision": "allow", "mcp_guard.rule": "resource_roots", "mcp.resource.uri": "file:///srv/a" },
  },
  {
    name: "a list",
    go: posted(message("tools/list")),
    respond: answering(LIST),
    says: {
      "mcp_guard.decision": "allow",
      "mcp.method.name": "tools/list",
      "http.response.body.size": Buffer.byteLength(LIST),
      "mcp_guard.response.listed": 1,
      "mcp_guard.response.removed": 2,
      "mcp_guard.response.hidden_characters": 1,
    },
    lacks: NOT_REFUSED,
  },
  {
    name: "a tool's error",
    go: posted(SAFE),
    respond: answering('{"jsonrpc":"2.0","id":1,"result":{"content":[],"isError":true}}'),
    says: { ...ALLOWED, "mcp_guard.result.is_error": true, "error.type": "tool_error" },
    lacks: ["rpc.response.status_code"],
  },
  {
    name: "a server's error",
    go: posted(SAFE),
    respond: answering('{"jsonrpc":"2.0","id":1,"error":{"code":-32002,"message":"no"}}'),
    says: { ...ALLOWED, "rpc.response.status_code": "-32002", "error.type": "-32002" },
    lacks: ["mcp_guard.reason"],
  },
  {
    name: "a notification",
    go: posted('{"jsonrpc":"2.0","method":"notifications/initialized"}'),
    respond: answering("", 202),
    says: {
      "mcp_guard.decision": "allow",
      "mcp.method.name": "notifications/initialized",
      "http.response.status_code": 202,
      "http.response.body.size": 0,
    },
    lacks: [...WHOLE, "jsonrpc.request.id", "mcp_guard.response.messages"],
  },
  {
    name: "monitor mode",
    guard: "monitor",
    go: posted(EVIL),
    says: {
      ...CALL,
      "mcp_guard.mode": "monitor",
      "mcp_guard.decision": "would_refuse",
      "mcp_guard.reason": "tool_not_listed",
      "mcp_guard.rule": "tool_allowlist",
      "gen_ai.tool.name": "evil",
      "http.response.status_code": 200,
      "http.response.body.size": ANSWER.length,
    },
    lacks: ["error.type", "rpc.response.status_code"],
  },
  {
    name: "monitor mode with a body over the cap",
    guard: "monitor",
    go: posted(LONG),
    says: {
      "mcp_guard.decision": "not_read",
      "mcp_guard.reason": "body_too_large",
      "http.request.body.size": LONG.length,
      "http.response.status_code": 200,
    },
  },
  {
    name: "a GET",
    go: (stage) => bodyless(stage, "GET"),
    respond: answering(progress(1), 200, "text/event-stream"),
    says: { "mcp_guard.decision": "pass", "http.request.method": "GET", "mcp_guard.response.messages": 1 },
    lacks: [...NOT_REFUSED, ...WHOLE],
  },
  {
    name: "another HTTP method",
    go: (stage) => bodyless(stage, "PROPFIND"),
    says: { "mcp_guard.reason": "http_method", "http.request.method": "PROPFIND", "http.response.status_code": 405 },
  },
  {
    name: "an endpoint that is not guarded",
    go: posted("secret=1", { path: "/hook", headers: [] }),
    says: {
      "mcp_guard.decision": "unguarded",
      "mcp_guard.rule": "unguarded",
      "url.path": "/hook",
      "http.request.body.size": 8,
      "http.response.status_code": 200,
    },
    lacks: NOT_REFUSED,
  },
  {
    name: "an outbound listener",
    guard: "outbound",
    go: posted("x", { path: "/repos?token=1" }),
    says: {
      "mcp_guard.decision": "outbound",
      "mcp_guard.rule": "direction",
      "url.path": "/repos",
      "http.request.body.size": 1,
      "http.response.status_code": 200,
    },
    lacks: [...NOT_REFUSED, "mcp.method.name"],
  },
  {
    name: "an upgrade",
    guard: "upgrades",
    go: (stage) => upgrade(stage),
    // Envoy makes a GET of an extended CONNECT.
    says: { "mcp_guard.decision": "refuse", "mcp_guard.reason": "http_upgrade", "http.request.method": "GET" },
    lacks: WHOLE,
  },
  {
    name: "an upgrade of an endpoint that is not guarded",
    guard: "upgrades",
    go: (stage) => upgrade(stage, SOCKET_PATH),
    says: { "mcp_guard.decision": "refuse", "mcp_guard.reason": "http_upgrade", "url.path": SOCKET_PATH },
  },
  {
    name: "an upgrade of an outbound listener",
    guard: "outbound",
    go: (stage) => upgrade(stage, SOCKET_PATH),
    says: {
      "mcp_guard.decision": "outbound",
      "http.request.method": "GET",
      "http.request.body.size": HELLO.length,
      // On HTTP/2 the client has 200.
      "http.response.status_code": 101,
      "http.response.body.size": HELLO.length,
      "mcp_guard.ended": "upstream_reset_after_response_started{connection_termination}",
    },
  },
  {
    name: "a client that goes before the end of its body",
    go: leaveInBody,
    says: ({ protocol }) => ({
      ...POSTED,
      "mcp_guard.decision": "none",
      "http.request.body.size": PART_BYTES,
      "http.response.body.size": 0,
      "mcp_guard.ended": GONE[protocol],
    }),
    lacks: [...NOT_REFUSED, "http.response.status_code", "mcp.method.name"],
  },
  {
    name: "a client that goes before the response",
    go: leaveBeforeResponse,
    respond: silent,
    says: ({ protocol }) => ({ ...ALLOWED, "mcp_guard.ended": GONE[protocol] }),
    lacks: [...NOT_REFUSED, "http.response.status_code"],
  },
  {
    name: "a client that goes in the middle of the response",
    go: leaveInResponse,
    respond: streaming,
    says: ({ protocol }) => ({
      ...ALLOWED,
      "http.response.status_code": 200,
      "mcp_guard.response.messages": 1,
      "mcp_guard.ended": GONE[protocol],
    }),
    lacks: NOT_REFUSED,
  },
  {
    name: "a connection that breaks before the response",
    async go(stage) {
      await begin(stage, SAFE);
      await stage.arrived();
      stage.close();
    },
    respond: silent,
    says: { ...ALLOWED, "mcp_guard.ended": "downstream_remote_disconnect" },
  },
  {
    name: "a client that stalls",
    guard: "impatient",
    async go(stage) {
      const request = await stage.open({ framing: "length", bodyBytes: SAFE.length });
      request.send(Buffer.from(SAFE.slice(0, PART_BYTES)));
      await request.answer;
    },
    says: {
      "mcp_guard.decision": "refuse",
      "mcp_guard.reason": "stalled",
      "http.request.body.size": PART_BYTES,
      "http.response.status_code": 408,
    },
    lacks: WHOLE,
  },
  {
    name: "a server that goes before the response",
    go: posted(SAFE),
    respond: (arrival, response) => {
      void arrival.ended.then(() => response.destroy());
    },
    says: { ...ALLOWED, "http.response.status_code": 503 },
    lacks: [...NOT_REFUSED, ...WHOLE],
  },
  {
    name: "a server that resets the connection before the response",
    go: posted(SAFE),
    respond: (arrival, response) => {
      void arrival.ended.then(() => resetConnection(response));
    },
    says: { ...ALLOWED, "http.response.status_code": 503 },
    lacks: [...NOT_REFUSED, ...WHOLE],
  },
  {
    name: "a server that goes in the middle of the response",
    async go(stage) {
      const request = await begin(stage, SAFE);
      await expect.poll(() => String(request.soFar()?.body), PATIENCE).toContain(progress(1));
      (await stage.response()).destroy();
      await request.answer;
    },
    respond: streaming,
    says: ({ upstream }) => ({
      ...ALLOWED,
      "http.response.status_code": 200,
      "mcp_guard.response.messages": 1,
      "mcp_guard.ended": BROKEN[upstream],
    }),
    lacks: NOT_REFUSED,
  },
  {
    name: "a server that cannot be reached",
    guard: "unreachable",
    go: posted(SAFE),
    says: { ...ALLOWED, "http.response.status_code": 503 },
    lacks: [...NOT_REFUSED, ...WHOLE],
  },
  {
    name: "a path without a route",
    guard: "lost",
    go: posted(SAFE),
    // Envoy answers to the headers, which have been released.
    says: { ...POSTED, "mcp_guard.decision": "none", "http.response.status_code": 404 },
    lacks: [...NOT_REFUSED, ...WHOLE, "mcp.method.name"],
  },
  {
    name: "a response of a type that nobody reads",
    go: posted(SAFE),
    respond: answering("<p>hello", 200, "text/html"),
    says: {
      ...CALL,
      "mcp_guard.decision": "refuse",
      "mcp_guard.reason": "response_type",
      "gen_ai.tool.name": "safe",
      "http.response.status_code": 502,
      "rpc.response.status_code": "-32603",
      "error.type": "response_type",
    },
    lacks: WHOLE,
  },
  {
    name: "a response that is cut",
    go: posted(SAFE),
    respond: answering(`{"jsonrpc":"2.0","id":1,"result":{"a":"${"x".repeat(200_000)}",,`),
    says: {
      ...CALL,
      "mcp_guard.decision": "refuse",
      "mcp_guard.reason": "response_invalid",
      "http.response.status_code": 200,
      "error.type": "response_invalid",
      "mcp_guard.ended": "mcp_guard.response_invalid",
    },
    lacks: ["rpc.response.status_code"],
  },
  {
    name: "a response that is there before the request is refused",
    guard: "released",
    async go(stage) {
      const request = await stage.open({ framing: "length", bodyBytes: EVIL.length });
      request.send(Buffer.from(EVIL.slice(0, PART_BYTES)));
      await expect.poll(() => String(request.soFar()?.body), PATIENCE).toContain(progress(1));
      request.end(Buffer.from(EVIL.slice(PART_BYTES)));
      await request.answer;
    },
    respond: (_arrival, response) => beginStream(response),
    says: {
      ...CALL,
      "mcp_guard.decision": "refuse",
      "mcp_guard.reason": "tool_not_listed",
      "http.response.status_code": 200,
      "mcp_guard.response.messages": 1,
      "mcp_guard.ended": "mcp_guard.tool_not_listed",
    },
    lacks: ["rpc.response.status_code"],
  },
  {
    name: "a stream of events",
    async go(stage) {
      const request = await begin(stage, SAFE);
      await expect.poll(() => String(request.soFar()?.body), PATIENCE).toContain(progress(1));
      const response = await stage.response();
      for (let at = 2; at < STREAMED; at++) response.write(progress(at));
      await expect.poll(() => request.soFar()?.body.includes(progress(STREAMED - 1)), PATIENCE).toBe(true);
      await pause(2 * FLUSH_MS);
      expect(stage.lines(), "no record before the end").toBe(0);
      response.end(`data: ${ANSWER}\n\n`);
      await request.answer;
    },
    respond: streaming,
    says: { ...ALLOWED, "http.response.status_code": 200, "mcp_guard.response.messages": STREAMED },
    lacks: [...NOT_REFUSED, ...WHOLE],
  },
  {
    name: "a filter in front that refuses",
    guard: "denied",
    go: posted(SAFE),
    says: {
      "mcp_guard.decision": "none",
      "http.request.body.size": 0,
      "http.response.status_code": 403,
      "http.response.body.size": 0,
      "mcp_guard.ended": "rbac_access_denied_matched_policy[all]",
    },
    lacks: [...NOT_REFUSED, ...NO_REQUEST],
  },
  {
    name: "a server that is too slow for the route",
    guard: "slow",
    go: posted(SAFE),
    respond: silent,
    says: { ...ALLOWED, "http.response.status_code": 504 },
    lacks: [...NOT_REFUSED, ...WHOLE],
  },
  {
    name: "a response that is too slow for the route",
    guard: "slow",
    go: posted(SAFE),
    respond: streaming,
    says: { ...ALLOWED, "http.response.status_code": 200, "mcp_guard.ended": "response_timeout" },
    lacks: NOT_REFUSED,
  },
  {
    name: "a request that Envoy cannot read",
    only: "h1",
    go: unreadable,
    says: {
      "mcp_guard.decision": "none",
      "http.response.status_code": 400,
      "mcp_guard.ended": "http1.invalid_characters",
    },
    lacks: [...NOT_REFUSED, ...NO_REQUEST],
  },
  // Envoy resets the stream before it makes filters for it.
  { name: "a request that Envoy cannot read, and no filter sees", only: "h2", go: unreadable, says: NO_RECORD },
  { name: "a listener without a guard", guard: BARE, go: posted(EVIL), says: NO_RECORD },
];

/** An Envoy with the guards of the ways, and its records. */
export interface AuditRig {
  readonly rig: Rig;
  readonly records: RecordLog;
  /** Goes one way with one guard; returns the lines that it leaves. */
  go(way: Way, protocol: Protocol, guard: string): Promise<string[]>;
  stop(): Promise<void>;
}

/** What `startAuditRig` takes. */
export interface AuditRigOptions {
  readonly driver: EnvoyDriver;
  readonly version?: string;
  readonly upstream?: Protocol;
  /** What the server does with requests of no way. */
  readonly respond?: Respond;
  /** A last change to the bootstrap, in front of the log of records. */
  readonly edit?: (bootstrap: Bootstrap) => void;
}

export async function startAuditRig({ driver, edit, respond, ...options }: AuditRigOptions): Promise<AuditRig> {
  const records = createRecordLog(driver.name);
  const upgrader = await startUpgrader();
  const responders = new Map<string, Respond>();
  const responses = new Map<string, OriginResponse>();
  const usual = answering(ANSWER);
  const release = async () => {
    await upgrader.stop();
    records.remove();
  };
  const rig = await startRig({
    driver,
    ...options,
    guards: GUARDS,
    edit(bootstrap) {
      setUp(bootstrap, upgrader.port);
      edit?.(bootstrap);
      records.add(bootstrap);
    },
    respond(arrival, response) {
      const id = String(arrival.headers["x-request-id"]);
      responses.set(id, response);
      const isOfWay = id.startsWith(WAY_PREFIX);
      (responders.get(id) ?? (isOfWay ? undefined : respond) ?? usual)(arrival, response);
    },
  }).catch(async (error: unknown) => {
    await release();
    throw error;
  });
  const { envoy } = rig;
  let exchanges = 0;
  return {
    rig,
    records,
    async go(way, protocol, guard) {
      // All have the same length: a refusal tells the client this name.
      const id = `${WAY_PREFIX}${String(++exchanges).padStart(4, "0")}`;
      if (way.respond !== undefined) responders.set(id, way.respond);
      const before = records.lines(envoy).length;
      const lines = () => records.lines(envoy).slice(before);
      const connection = await rig.connect(protocol, guard);
      try {
        await way.go({
          ...stageOf(id, protocol, connection),
          arrived: () => expect.poll(() => rig.origin.arrivals(id)[0]?.state, PATIENCE).toBe("complete"),
          async response() {
            await expect.poll(() => responses.has(id), PATIENCE).toBe(true);
            return responses.get(id)!;
          },
          lines: () => lines().length,
        });
        await expect.poll(() => lines().length, { ...PATIENCE, interval: 5 }).toBeGreaterThan(0);
      } finally {
        connection.close();
      }
      return lines();
    },
    async stop() {
      await rig.stop();
      await release();
    },
  };
}

function stageOf(
  id: string,
  protocol: Protocol,
  connection: WireConnection,
): Pick<Stage, "protocol" | "open" | "post" | "close"> {
  const open = ({ headers = JSON_FIELDS, ...head }: Partial<WireHead> = {}) =>
    connection.open({
      method: "POST",
      path: "/mcp",
      framing: "length",
      ...head,
      headers: [...headers, ...named(id)],
    });
  return {
    protocol,
    open: async (head) => open(head),
    async post(body, head) {
      const bytes = Buffer.from(body);
      const request = open({ framing: "length", bodyBytes: bytes.length, ...head });
      request.end(bytes);
      await request.answer;
    },
    close: () => connection.close(),
  };
}

/** What stands around the guards. */
function setUp(bootstrap: Bootstrap, upgraderPort: number): void {
  const routesOf = (guard: string) =>
    connectionManager(listenersOf(bootstrap, [guard])[0]!).route_config.virtual_hosts[0]!.routes as unknown as {
      match: object;
      route: { cluster: string; timeout: string };
    }[];
  // A client that waits for the end of the connection waits no second for it.
  for (const listener of listenersOf(bootstrap)) connectionManager(listener).delayed_close_timeout = "0.05s";
  routesOf("slow")[0]!.route.timeout = ROUTE_TIMEOUT;
  routesOf("unreachable")[0]!.route.cluster = "nobody";
  routesOf("lost")[0]!.match = { prefix: "/other" };
  for (const name of ["upgrades", "outbound"]) {
    const socket = structuredClone(routesOf(name)[0]!);
    socket.route.cluster = "upgrader";
    routesOf(name).unshift({ ...socket, match: { prefix: SOCKET_PATH } });
  }
  for (const listener of listenersOf(bootstrap, ["denied"])) {
    putBeforeGuard(listener, "envoy.filters.http.rbac", {
      "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
      rules: { action: "DENY", policies: { all: { permissions: [{ any: true }], principals: [{ any: true }] } } },
    });
  }
  for (const listener of listenersOf(bootstrap, [BARE])) {
    const manager = connectionManager(listener);
    manager.http_filters = manager.http_filters.filter(({ name }) => name !== "mcp-guard");
  }
  bootstrap.static_resources.clusters.push(
    clusterAt(bootstrap, "upgrader", upgraderPort),
    clusterAt(bootstrap, "nobody", 1),
  );
}

/** A cluster on the machine of the server, on another port, that speaks HTTP/1.1. */
function clusterAt(bootstrap: Bootstrap, name: string, port: number): Cluster {
  const cluster = structuredClone(bootstrap.static_resources.clusters.find((known) => known.name === CLUSTER)!);
  const { address } = cluster.load_assignment.endpoints[0]!.lb_endpoints[0]!.endpoint;
  if ("socket_address" in address) address.socket_address.port_value = port;
  (cluster.load_assignment as unknown as { cluster_name: string }).cluster_name = name;
  const { typed_extension_protocol_options: _, ...plain } = cluster;
  return { ...plain, name };
}

/** A server that grants every upgrade, says back what it hears first, and ends. */
async function startUpgrader(): Promise<{ readonly port: number; stop(): Promise<void> }> {
  const server = createServer();
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
  });
  server.on("upgrade", (_request, socket: Socket) => {
    socket.write("HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n");
    socket.once("data", (bytes: Buffer) => socket.end(bytes));
  });
  server.listen(0, "0.0.0.0");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    async stop() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
