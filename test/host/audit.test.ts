// The record of an exchange. Goal: every HTTP stream leaves exactly one, whatever becomes of it; it is one line of ASCII that keeps to its
// schema, whatever is sent; each names the one before; and no secret is in it.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { Ajv2020 } from "ajv/dist/2020.js";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { HeaderPair, HttpStream, PropertyValue } from "../../src/host/index.ts";
import { projectPath } from "../../src/project.ts";
import { CANARY, SECRET_ANSWERS, SECRET_BODIES, SECRET_HEADERS } from "../audit/secrets.ts";
import {
  addPlugin,
  answer,
  type Delivery,
  exchange,
  JSON_HEADERS,
  MODERN_META,
  modernHeaders,
  open,
  send,
  startGuard,
  toolCall,
} from "./guard.ts";

type Json = Record<string, unknown>;

const SCHEMA = JSON.parse(readFileSync(projectPath("schema", "audit-record.schema.json"), "utf8"));
const isRecord = new Ajv2020({ strict: true, strictRequired: false }).compile(SCHEMA);
const ORDER = Object.keys(SCHEMA.properties as object);
const BYTES_MAX = 16 << 10;

/** The text of a stream's record, which has ended: one line of ASCII. */
function lineOf(stream: HttpStream, bytesMax = BYTES_MAX): string {
  const line = stream.filterState.get("mcp_audit");
  expect(line, "a record").toBeDefined();
  expect(line).toMatch(/^[ -~]*$/);
  expect(line!.length).toBeLessThanOrEqual(bytesMax);
  return line!;
}

/** The record, which keeps to the schema and has its members in the schema's order. */
function recordOf(stream: HttpStream, bytesMax = BYTES_MAX): Json {
  const record = JSON.parse(lineOf(stream, bytesMax)) as Json;
  if (!isRecord(record)) throw new Error(`${JSON.stringify(isRecord.errors)}\n${lineOf(stream, bytesMax)}`);
  const members = Object.keys(record);
  expect(members).toEqual(ORDER.filter((name) => members.includes(name)));
  return record;
}

const POLICY = {
  tool_allowlist: ["safe", "delete_repo"],
  prompt_allowlist: ["review"],
  resource_roots: ["file:///srv/"],
  method_allowlist: ["vendor/x"],
};
const message = (method: string, params?: object): string =>
  JSON.stringify({ jsonrpc: "2.0", id: 1, method, ...(params !== undefined && { params }) });

/** One way in which an exchange goes, and what its record says of it. */
interface Way {
  name: string;
  policy?: object;
  options?: { listenerDirection?: 2 };
  go(plugin: Parameters<typeof open>[0]): HttpStream;
  says: Json;
  lacks?: readonly string[];
}

const posted = (delivery: Delivery): Way["go"] => {
  return (plugin) => exchange(plugin, delivery);
};
const HEAD = { ":status": "200", "content-type": "application/json" };
const EVENTS = { ":status": "200", "content-type": "text/event-stream" };
const REQUEST = ["mcp_guard.reason", "error.type", "mcp_guard.ended", "mcp_guard.truncated"];

const WAYS: Way[] = [
  {
    name: "a call of a listed tool",
    go: posted({ body: toolCall("safe"), path: "/mcp?session=1" }),
    says: {
      "mcp_guard.decision": "allow",
      "mcp_guard.mode": "enforce",
      "mcp_guard.rule": "tool_allowlist",
      "http.request.method": "POST",
      "url.path": "/mcp",
      "mcp.method.name": "tools/call",
      "mcp_guard.era": "legacy",
      "jsonrpc.request.id": "1",
      "gen_ai.operation.name": "execute_tool",
      "gen_ai.tool.name": "safe",
      "http.request.body.size": Buffer.byteLength(toolCall("safe")),
      "http.response.status_code": 200,
      "http.response.body.size": 36,
      "mcp_guard.response.messages": 1,
    },
    lacks: [...REQUEST, "rpc.response.status_code", "mcp_guard.result.is_error", "mcp_guard.response.listed"],
  },
  {
    name: "a call of another tool",
    go: posted({ body: toolCall("evil") }),
    says: {
      "mcp_guard.decision": "refuse",
      "mcp_guard.reason": "tool_not_listed",
      "mcp_guard.rule": "tool_allowlist",
      "gen_ai.tool.name": "evil",
      "http.response.status_code": 200,
      "rpc.response.status_code": "-32602",
      "error.type": "tool_not_listed",
    },
    lacks: ["mcp_guard.ended", "mcp_guard.result.is_error"],
  },
  {
    name: "a call that is refused with a tool's result",
    policy: { ...POLICY, refusal: "tool_error" },
    go: posted({ body: toolCall("evil") }),
    says: { "mcp_guard.result.is_error": true, "error.type": "tool_not_listed", "http.response.status_code": 200 },
    lacks: ["rpc.response.status_code"],
  },
  {
    name: "a call that is refused with 403",
    policy: { ...POLICY, refusal: "http_403" },
    go: posted({ body: toolCall("evil") }),
    says: { "rpc.response.status_code": "-32602", "http.response.status_code": 403 },
  },
  {
    name: "a call that a human would have to approve",
    go: posted({ body: toolCall("delete_repo") }),
    says: { "mcp_guard.reason": "approval_not_configured", "mcp_guard.rule": "approval" },
  },
  {
    name: "a prompt",
    go: posted({ body: message("prompts/get", { name: "review" }) }),
    says: { "gen_ai.prompt.name": "review", "mcp_guard.rule": "prompt_allowlist", "mcp_guard.decision": "allow" },
    lacks: ["gen_ai.tool.name", "gen_ai.operation.name"],
  },
  {
    name: "a completion for a prompt",
    go: posted({
      body: message("completion/complete", {
        ref: { type: "ref/prompt", name: "review" },
        argument: { name: "a", value: "v" },
      }),
    }),
    says: { "gen_ai.prompt.name": "review", "mcp_guard.rule": "prompt_allowlist" },
  },
  {
    name: "a completion for a resource",
    go: posted({
      body: message("completion/complete", {
        ref: { type: "ref/resource", uri: "file:///srv/{name}" },
        argument: { name: "name", value: "v" },
      }),
    }),
    says: { "mcp.resource.uri": "file:///srv/{name}", "mcp_guard.rule": "resource_roots" },
  },
  {
    name: "a resource",
    go: posted({ body: message("resources/read", { uri: "file:///srv/a" }) }),
    says: {
      "mcp.resource.uri": "file:///srv/a",
      "mcp_guard.resource.uri.sha256": sha256("file:///srv/a"),
      "mcp_guard.rule": "resource_roots",
    },
    lacks: ["gen_ai.tool.name", "gen_ai.prompt.name"],
  },
  {
    name: "a URI that climbs",
    go: posted({ body: message("resources/read", { uri: "file:///srv/%2e%2E/etc" }) }),
    says: {
      "mcp_guard.reason": "uri_traversal",
      "mcp.resource.uri": "file:///srv/../etc",
      "mcp_guard.resource.uri.sha256": sha256("file:///srv/%2e%2E/etc"),
    },
  },
  {
    name: "a subscription",
    go: posted({
      body: message("subscriptions/listen", {
        notifications: { resourceSubscriptions: ["file:///srv/a", "file:///srv/b"] },
      }),
    }),
    says: { "mcp.resource.uri": "file:///srv/a", "mcp_guard.decision": "allow" },
  },
  {
    name: "a method that the policy lists",
    go: posted({ body: message("vendor/x") }),
    says: { "mcp.method.name": "vendor/x", "mcp_guard.rule": "method_allowlist" },
  },
  {
    name: "a method that is always open",
    go: posted({ body: message("ping") }),
    says: { "mcp.method.name": "ping", "mcp_guard.decision": "allow" },
    lacks: ["mcp_guard.rule"],
  },
  {
    name: "a task",
    policy: { ...POLICY, tasks: "allow" },
    go: posted({ body: message("tasks/get", { taskId: "t" }) }),
    says: { "mcp_guard.rule": "tasks" },
  },
  {
    name: "a modern call",
    go: posted({
      headers: modernHeaders("tools/call", "safe"),
      body: message("tools/call", {
        name: "safe",
        _meta: { ...MODERN_META, traceparent: "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01" },
      }),
    }),
    says: {
      "mcp_guard.era": "modern",
      "mcp.protocol.version": "2026-07-28",
      "mcp_guard.meta.trace_id": "0af7651916cd43dd8448eb211c80319c",
      "mcp_guard.meta.span_id": "00f067aa0ba902b7",
    },
    lacks: ["trace_id", "span_id"],
  },
  {
    name: "a notification",
    go: posted({ body: '{"jsonrpc":"2.0","method":"notifications/initialized"}' }),
    says: { "mcp.method.name": "notifications/initialized", "mcp_guard.decision": "allow" },
    lacks: ["jsonrpc.request.id"],
  },
  {
    name: "a client's response",
    go: posted({ body: '{"jsonrpc":"2.0","id":"x","result":{}}' }),
    says: { "jsonrpc.request.id": "x", "mcp_guard.decision": "allow" },
    lacks: ["mcp.method.name", "mcp_guard.era"],
  },
  {
    name: "a batch",
    go: posted({ body: `[${toolCall("safe")}]` }),
    says: { "mcp_guard.reason": "batch", "http.response.status_code": 400, "rpc.response.status_code": "-32600" },
    lacks: ["mcp.method.name", "mcp_guard.rule"],
  },
  {
    name: "a body that is no JSON",
    go: posted({ body: "\u0000\u0001" }),
    says: { "mcp_guard.reason": "json_syntax", "error.type": "json_syntax", "http.request.body.size": 2 },
  },
  {
    name: "a body with a fault behind the method",
    go: posted({ body: '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"safe","name":"evil"}}' }),
    says: { "mcp_guard.reason": "json_duplicate_member", "mcp.method.name": "tools/call", "gen_ai.tool.name": "safe" },
  },
  {
    name: "a body that is too large",
    policy: { ...POLICY, limits: { body_bytes: 10 } },
    go: posted({ body: toolCall("safe") }),
    says: { "mcp_guard.reason": "body_too_large", "http.response.status_code": 413 },
  },
  {
    name: "an upgrade",
    go: (plugin) => open(plugin, { headers: [["upgrade", "websocket"]], method: "GET" }),
    says: { "mcp_guard.reason": "http_upgrade", "http.request.method": "GET" },
  },
  {
    name: "another HTTP method",
    go: (plugin) => open(plugin, { method: "PROPFIND", headers: [], end: "headers" }),
    says: { "mcp_guard.reason": "http_method", "http.request.method": "PROPFIND", "http.response.status_code": 405 },
  },
  {
    name: "a GET",
    go: posted({ method: "GET", headers: [], end: "headers" }),
    says: { "mcp_guard.decision": "pass", "http.request.method": "GET", "http.response.status_code": 200 },
    lacks: REQUEST,
  },
  {
    name: "an endpoint that is not guarded",
    policy: { ...POLICY, unguarded: [{ methods: ["POST"], path: "/hook" }] },
    go: posted({ path: "/hook", body: "secret=1", headers: [] }),
    says: {
      "mcp_guard.decision": "unguarded",
      "mcp_guard.rule": "unguarded",
      "url.path": "/hook",
      "http.request.body.size": 8,
      "http.response.status_code": 200,
    },
  },
  {
    name: "an outbound listener",
    options: { listenerDirection: 2 },
    go: posted({ path: "/repos?token=1", body: "x" }),
    says: { "mcp_guard.decision": "outbound", "url.path": "/repos", "http.response.status_code": 200 },
    lacks: ["mcp.method.name"],
  },
  {
    name: "monitor mode",
    policy: { ...POLICY, mode: "monitor" },
    go: posted({ body: toolCall("evil") }),
    says: {
      "mcp_guard.decision": "would_refuse",
      "mcp_guard.reason": "tool_not_listed",
      "mcp_guard.mode": "monitor",
      "mcp_guard.rule": "tool_allowlist",
      "http.response.status_code": 200,
    },
    lacks: ["error.type", "rpc.response.status_code"],
  },
  {
    name: "monitor mode with a body over the cap",
    policy: { ...POLICY, mode: "monitor", limits: { body_bytes: 10 } },
    go: posted({ body: toolCall("safe") }),
    says: { "mcp_guard.decision": "not_read", "mcp_guard.reason": "body_too_large" },
  },
  {
    name: "monitor mode with a response that would not pass",
    policy: { ...POLICY, mode: "monitor" },
    go(plugin) {
      const stream = send(plugin, { body: toolCall("safe") });
      stream.responseHeaders({ ":status": "200", "content-type": "text/html" }, false);
      stream.responseBody("<p>", true);
      return stream;
    },
    says: { "mcp_guard.decision": "would_refuse", "mcp_guard.reason": "response_type", "http.response.body.size": 3 },
  },
  {
    name: "a client that goes before the end of its body",
    go(plugin) {
      const stream = open(plugin);
      stream.requestBody('{"jsonrpc"', false);
      stream.clientGone();
      return stream;
    },
    says: {
      "mcp_guard.decision": "none",
      "http.request.body.size": 10,
      "mcp_guard.ended": "downstream_remote_disconnect",
    },
    lacks: ["http.response.status_code", "mcp_guard.reason"],
  },
  {
    name: "a client that goes before the response",
    go(plugin) {
      const stream = send(plugin, { body: toolCall("safe") });
      stream.clientGone();
      return stream;
    },
    says: { "mcp_guard.decision": "allow", "mcp_guard.ended": "downstream_remote_disconnect" },
    lacks: ["http.response.status_code"],
  },
  {
    name: "a client that goes in the middle of the response",
    go(plugin) {
      const stream = send(plugin, { body: toolCall("safe") });
      stream.responseHeaders(EVENTS, false);
      stream.responseBody('data: {"jsonrpc":"2.0","id":1,"result":{}}\n\n', false);
      stream.clientGone();
      return stream;
    },
    says: {
      "http.response.status_code": 200,
      "mcp_guard.response.messages": 1,
      "mcp_guard.ended": "downstream_remote_disconnect",
    },
  },
  {
    name: "a response without a body",
    go(plugin) {
      const stream = send(plugin, { body: '{"jsonrpc":"2.0","method":"notifications/initialized"}' });
      stream.responseHeaders({ ":status": "202" }, true);
      return stream;
    },
    says: { "http.response.status_code": 202, "http.response.body.size": 0 },
    lacks: ["mcp_guard.response.messages", "mcp_guard.ended"],
  },
  {
    name: "a response with trailers",
    go(plugin) {
      const stream = send(plugin, { body: toolCall("safe") });
      stream.responseHeaders(HEAD, false);
      stream.responseBody('{"jsonrpc":"2.0","id":1,"result":{}}', false);
      stream.responseTrailers([["grpc-status", "0"]]);
      return stream;
    },
    says: { "http.response.status_code": 200, "mcp_guard.response.messages": 1 },
    lacks: ["mcp_guard.ended"],
  },
  {
    name: "a response of a type that nobody reads",
    go(plugin) {
      const stream = send(plugin, { body: toolCall("safe") });
      stream.responseHeaders({ ":status": "200", "content-type": "text/html" }, false);
      return stream;
    },
    says: {
      "mcp_guard.decision": "refuse",
      "mcp_guard.reason": "response_type",
      "http.response.status_code": 502,
      "http.response.body.size": 154,
    },
    lacks: ["mcp_guard.ended"],
  },
  {
    name: "a response that is cut",
    go(plugin) {
      const stream = send(plugin, { body: toolCall("safe") });
      stream.responseHeaders(HEAD, false);
      stream.responseBody(`{"jsonrpc":"2.0","id":1,"result":{"a":"${"x".repeat(200_000)}`, false);
      stream.responseBody('",,', false);
      return stream;
    },
    says: {
      "mcp_guard.decision": "refuse",
      "mcp_guard.reason": "response_invalid",
      "http.response.status_code": 200,
      "mcp_guard.ended": "mcp_guard.response_invalid",
    },
    lacks: ["rpc.response.status_code"],
  },
  {
    name: "a server's error",
    go(plugin) {
      const stream = send(plugin, { body: toolCall("safe") });
      stream.responseHeaders(HEAD, false);
      stream.responseBody('{"jsonrpc":"2.0","id":1,"error":{"code":-32002,"message":"no","data":{}}}', true);
      return stream;
    },
    says: { "mcp_guard.decision": "allow", "rpc.response.status_code": "-32002", "error.type": "-32002" },
  },
  {
    name: "a tool's error",
    go(plugin) {
      const stream = send(plugin, { body: toolCall("safe") });
      stream.responseHeaders(HEAD, false);
      stream.responseBody('{"jsonrpc":"2.0","id":1,"result":{"content":[],"isError":true}}', true);
      return stream;
    },
    says: { "mcp_guard.result.is_error": true, "error.type": "tool_error" },
    lacks: ["rpc.response.status_code"],
  },
  {
    name: "a server's call that talks of errors",
    go(plugin) {
      const stream = send(plugin, { body: toolCall("safe") });
      stream.responseHeaders(EVENTS, false);
      stream.responseBody('data: {"jsonrpc":"2.0","method":"notifications/x","params":{"isError":true}}\n\n', false);
      stream.responseBody(
        'data: {"jsonrpc":"2.0","method":"notifications/message","params":{"isError":true}}\n\n',
        true,
      );
      return stream;
    },
    says: { "mcp_guard.response.messages": 2 },
    lacks: ["mcp_guard.result.is_error", "error.type"],
  },
  {
    name: "a tool's success",
    go(plugin) {
      const stream = send(plugin, { body: toolCall("safe") });
      stream.responseHeaders(HEAD, false);
      stream.responseBody('{"jsonrpc":"2.0","id":1,"result":{"isError":false,"content":[{"isError":true}]}}', true);
      return stream;
    },
    says: { "mcp_guard.result.is_error": false },
    lacks: ["error.type"],
  },
  {
    name: "a list",
    go(plugin) {
      const stream = send(plugin, { body: message("tools/list") });
      stream.responseHeaders(HEAD, false);
      const tools = ["safe", "evil", "delete_repo", "worse"].map((name) => ({ name, description: "d\u200b" }));
      stream.responseBody(JSON.stringify({ jsonrpc: "2.0", id: 1, result: { tools } }), true);
      return stream;
    },
    says: {
      "mcp_guard.response.listed": 2,
      "mcp_guard.response.removed": 2,
      "mcp_guard.response.hidden_characters": 2,
      "mcp_guard.response.messages": 1,
    },
  },
  {
    name: "a stream of events",
    go(plugin) {
      const stream = send(plugin, { body: toolCall("safe") });
      stream.responseHeaders(EVENTS, false);
      for (let index = 0; index < 5; index++) {
        stream.responseBody('data: {"jsonrpc":"2.0","method":"notifications/progress","params":{}}\n\n', false);
      }
      stream.responseBody('data: {"jsonrpc":"2.0","id":2,"error":{"code":-1,"message":""}}\n\n', false);
      stream.responseBody('data: {"jsonrpc":"2.0","id":1,"result":{"isError":true}}\n\n', false);
      stream.responseBody('data: {"jsonrpc":"2.0","id":3,"result":{"isError":false}}\n\n', true);
      return stream;
    },
    says: {
      "mcp_guard.response.messages": 8,
      "rpc.response.status_code": "-1",
      "mcp_guard.result.is_error": true,
      "error.type": "tool_error",
    },
  },
];

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

test.each(WAYS.map((way) => [way.name, way] as const))("%s", (_name, { policy = POLICY, options, go, says, lacks }) => {
  const { plugin } = startGuard(policy, options ?? {});
  const stream = go(plugin);
  const record = recordOf(stream);
  expect(record).toMatchObject(says);
  expect((lacks ?? []).filter((member) => member in record)).toEqual([]);
});

test("each way leaves its records in one chain of a guard", () => {
  for (const policy of new Set(WAYS.map((way) => way.policy ?? POLICY))) {
    const { plugin } = startGuard(policy);
    const ways = WAYS.filter((way) => (way.policy ?? POLICY) === policy && way.options === undefined);
    expectChain([...ways, ...ways].map(({ go }) => lineOf(go(plugin))));
  }
});

/** Whether these lines are the records of one chain, from its beginning. */
function expectChain(lines: readonly string[]): void {
  let previous = "0".repeat(64);
  const first = JSON.parse(lines[0]!) as Json;
  lines.forEach((line, index) => {
    const record = JSON.parse(line) as Json;
    expect(record["mcp_guard.chain.id"]).toBe(first["mcp_guard.chain.id"]);
    expect(record["mcp_guard.chain.sequence"]).toBe(index + 1);
    expect(record["mcp_guard.chain.previous"]).toBe(previous);
    previous = sha256(line);
  });
}

describe("the chain", () => {
  test("has the order in which exchanges end, and their names that in which they begin", () => {
    const { plugin } = startGuard(POLICY);
    const streams = [1, 2, 3].map(() => open(plugin));
    const ended = [streams[2]!, streams[0]!, streams[1]!];
    for (const stream of ended) stream.clientGone();
    expectChain(ended.map((stream) => lineOf(stream)));
    const id = recordOf(streams[0]!)["mcp_guard.chain.id"];
    expect(streams.map((stream) => recordOf(stream)["event.id"])).toEqual([1, 2, 3].map((number) => `${id}.${number}`));
  });

  test("is one for each guard, and for each VM", () => {
    const { vm, plugin } = startGuard(POLICY);
    const other = addPlugin(vm, POLICY);
    const chains = [plugin, other, startGuard(POLICY).plugin].map((guard) => {
      const lines = [1, 2].map(() => lineOf(exchange(guard, { body: toolCall("safe") })));
      expectChain(lines);
      return (JSON.parse(lines[0]!) as Json)["mcp_guard.chain.id"];
    });
    expect(new Set(chains).size).toBe(3);
  });

  test("tells of a record that the proxy did not take", () => {
    const { vm, plugin } = startGuard(POLICY);
    const first = lineOf(exchange(plugin, { body: toolCall("safe") }));
    const lost = open(plugin);
    vm.failAll("proxy_set_property", 2);
    lost.clientGone();
    vm.clearFaults();
    expect(lost.filterState.has("mcp_audit")).toBe(false);
    const third = recordOf(exchange(plugin, { body: toolCall("safe") }));
    expect(third["mcp_guard.chain.sequence"]).toBe(3);
    expect(third["mcp_guard.chain.previous"]).not.toBe(sha256(first));
  });

  test("does not begin without random numbers, and begins when there are some", () => {
    const { vm, plugin } = startGuard(POLICY);
    vm.failNext("random_get", 1);
    expect(exchange(plugin, { body: toolCall("safe") }).filterState.has("mcp_audit")).toBe(false);
    expectChain([lineOf(exchange(plugin, { body: toolCall("safe") }))]);
  });
});

test("no records are made when the policy says so", () => {
  const { vm, plugin } = startGuard({ ...POLICY, audit: { line: "none" } });
  for (const { go } of WAYS.filter((way) => way.policy === undefined && way.options === undefined)) {
    expect(go(plugin).filterState.has("mcp_audit")).toBe(false);
  }
  // The keys of the hashes, and no chain.
  expect(vm.calls.random_get).toBe(1);
});

describe("time", () => {
  test.each([
    [0n, "1970-01-01T00:00:00.000000Z"],
    [951_782_399_999_999_999n, "2000-02-28T23:59:59.999999Z"],
    [951_782_400_000_001_000n, "2000-02-29T00:00:00.000001Z"],
    [1_709_164_800_000_000_000n, "2024-02-29T00:00:00.000000Z"],
    [1_795_132_800_123_456_789n, "2026-11-20T00:00:00.123456Z"],
    [4_107_542_399_000_000_000n, "2100-02-28T23:59:59.000000Z"],
    [4_107_542_400_000_000_000n, "2100-03-01T00:00:00.000000Z"],
    [253_402_300_799_999_999_000n % (1n << 63n), undefined],
  ])("%s ns", (now, written) => {
    const { plugin } = startGuard(POLICY, { now: () => now });
    const expected = written ?? new Date(Number(now / 1_000_000n)).toISOString().slice(0, 23);
    expect(String(recordOf(exchange(plugin, { body: toolCall("safe") })).time)).toContain(expected);
  });

  test("any time is what the calendar of this runtime says", () => {
    let at = 0n;
    const { plugin } = startGuard(POLICY, { now: () => at });
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: (1n << 63n) - 1n }), (time) => {
        at = time;
        const written = String(recordOf(exchange(plugin, { body: toolCall("safe") })).time);
        const micros = String((time / 1000n) % 1000n).padStart(3, "0");
        expect(written).toBe(new Date(Number(time / 1_000_000n)).toISOString().replace("Z", `${micros}Z`));
      }),
      { numRuns: 500 },
    );
  });

  test("counts what the guard worked, and how long the server took", () => {
    let at = 1_000_000_000_000n;
    const { plugin } = startGuard(POLICY, {
      // Each look at the clock is seven microseconds later.
      now: () => {
        at += 7_000n;
        return at;
      },
    });
    const stream = send(plugin, { body: toolCall("safe") });
    at += 5_000_000n;
    answer(stream);
    const record = recordOf(stream);
    // Headers, body, its end, and the same of the response but for the separate end.
    expect(record["mcp_guard.duration.guard_us"]).toBe(5 * 7);
    expect(record["mcp_guard.duration.server_us"]).toBe(5_007);
    expect(record["mcp_guard.duration.total_us"]).toBe(5_000 + 10 * 7);
  });

  test("of a server that was not asked is not there", () => {
    let at = 1_000_000_000_000n;
    const { plugin } = startGuard(POLICY, {
      now: () => {
        at += 7_000n;
        return at;
      },
    });
    const record = recordOf(exchange(plugin, { body: toolCall("evil") }));
    expect(record).not.toHaveProperty(["mcp_guard.duration.server_us"]);
  });

  test("that runs backwards makes no negative duration", () => {
    let at = 1_000_000_000_000n;
    const { plugin } = startGuard(POLICY, {
      now: () => {
        at -= 1_000_000n;
        return at;
      },
    });
    const record = recordOf(exchange(plugin, { body: toolCall("safe") }));
    expect(record["mcp_guard.duration.guard_us"]).toBe(0);
    expect(record["mcp_guard.duration.total_us"]).toBe(0);
    expect(record).not.toHaveProperty(["mcp_guard.duration.server_us"]);
  });
});

describe("who asks", () => {
  const GATEWAY = "spiffe://cluster.local/ns/gateway/sa/ai-gateway";
  const JWT = "metadata.filter_metadata.envoy.filters.http.jwt_authn.p";
  const { plugin } = startGuard({
    ...POLICY,
    identity: {
      jwt: [{ provider: "p", issuer: "https://idp.example", claim: "sub" }],
      header: { name: "User-Identity", trusted_gateways: [GATEWAY] },
    },
  });
  const asked = (properties: Record<string, PropertyValue>, headers: readonly HeaderPair[] = []): Json => {
    const delivery = { body: toolCall("safe"), headers: [...JSON_HEADERS, ...headers], stream: { properties } };
    const record = recordOf(exchange(plugin, delivery));
    const members = Object.entries(record).filter(([name]) => /user|workload|identity/.test(name));
    return Object.fromEntries(members.map(([name, value]) => [name.replace("mcp_guard.", ""), value]));
  };
  const peer = { "connection.uri_san_peer_certificate": GATEWAY };

  test("a token, with those who act for it", () => {
    const token = { [`${JWT}.iss`]: "https://idp.example", [`${JWT}.sub`]: "alice" };
    const alice = { "user.id": "alice", "user.issuer": "https://idp.example", "user.source": "jwt" };
    expect(asked(token)).toEqual(alice);
    const acts = (count: number) =>
      Object.fromEntries(
        Array.from({ length: count }, (_, index) => [`${JWT}${".act".repeat(index + 1)}.sub`, `agent ${index}`]),
      );
    expect(asked({ ...token, ...acts(1) })).toEqual({ ...alice, "user.act": ["agent 0"] });
    expect(asked({ ...token, ...acts(6), ...peer })).toEqual({
      ...alice,
      "user.act": ["agent 0", "agent 1", "agent 2", "agent 3"],
      workload: GATEWAY,
    });
    expect(asked(token)).toEqual(alice);
  });

  test("a gateway's word", () => {
    expect(asked(peer, [["user-identity", "b\u00c3\u00b6b"]])).toEqual({
      "user.id": "böb",
      "user.issuer": GATEWAY,
      "user.source": "header",
      workload: GATEWAY,
    });
  });

  test("a workload, and a header that does not count", () => {
    expect(asked(peer)).toEqual({
      "user.id": GATEWAY,
      "user.issuer": "spiffe://cluster.local",
      "user.source": "peer",
      workload: GATEWAY,
    });
    expect(asked({}, [["user-identity", "mallory"]])).toEqual({ "identity.headers_rejected": 1 });
  });

  test("a contradiction", () => {
    const token = { [`${JWT}.iss`]: "https://idp.example", [`${JWT}.sub`]: "alice" };
    const record = asked({ ...token, ...peer }, [["user-identity", "bob"]]);
    expect(record).toMatchObject({ "user.id": "alice", "user.source": "jwt", workload: GATEWAY });
  });
});

describe("trace context", () => {
  const { plugin } = startGuard(POLICY);
  const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
  const SPAN = "00f067aa0ba902b7";
  const traced = (...values: string[]) => {
    const headers = [...JSON_HEADERS, ...values.map((value) => ["traceparent", value] as const)];
    const record = recordOf(exchange(plugin, { headers, body: toolCall("safe") }));
    return [record.trace_id, record.span_id];
  };

  test.each([
    `00-${TRACE}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}-00`,
    `cc-${TRACE}-${SPAN}-01-more`,
    `01-${TRACE}-${SPAN}-ff`,
  ])("%s is taken", (value) => {
    expect(traced(value)).toEqual([TRACE, SPAN]);
  });

  test.each([
    "",
    `00-${TRACE}-${SPAN}-0`,
    `00-${TRACE}-${SPAN}-01-more`,
    `01-${TRACE}-${SPAN}-01x`,
    `ff-${TRACE}-${SPAN}-01`,
    `0g-${TRACE}-${SPAN}-01`,
    `00-${TRACE.toUpperCase()}-${SPAN}-01`,
    `00-${"0".repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${"0".repeat(16)}-01`,
    `00_${TRACE}-${SPAN}-01`,
    `00-${TRACE}_${SPAN}-01`,
    `00-${TRACE}-${SPAN}_01`,
    `00-${TRACE}-${SPAN}-0x`,
    `00-${TRACE.slice(1)}"-${SPAN}-01`,
    `00-${TRACE}-${SPAN.slice(1)}"-01`,
  ])("%s is not", (value) => {
    expect(traced(value)).toEqual([undefined, undefined]);
  });

  test("of two headers neither counts", () => {
    const value = `00-${TRACE}-${SPAN}-01`;
    expect(traced(value, value)).toEqual([undefined, undefined]);
    expect(traced(value, value, value)).toEqual([undefined, undefined]);
  });
});

describe("a URI", () => {
  const { plugin } = startGuard(POLICY);
  const written = (uri: string) =>
    recordOf(exchange(plugin, { body: message("resources/read", { uri }) }))["mcp.resource.uri"];

  test.each([
    ["file:///srv/a", "file:///srv/a"],
    ["FILE:///srv/A", "file:///srv/A"],
    ["HTTPS://User:Secret@Host.Example:8443/Path", "https://host.example:8443/Path"],
    ["https://a@b@Host/p", "https://host/p"],
    ["https://host/p?token=secret#part", "https://host/p"],
    ["https://host?token=secret", "https://host"],
    ["https://user:secret@?x", "https://"],
    ["file:///a%2fb%2Fc", "file:///a%2Fb%2Fc"],
    ["file:///%61%7E%2d%5f%2E", "file:///a~-_."],
    ["file:///%", "file:///%"],
    ["file:///%4", "file:///%4"],
    ["file:///%zz%e4", "file:///%zz%E4"],
    ["file:///a/../b", "file:///a/../b"],
    ["urn:Example:A", "urn:Example:A"],
    ["Mailto:a@b", "mailto:a@b"],
    ["no uri", "no uri"],
    ["/p/a:b", "/p/a:b"],
    ["a%3Ab", "a%3Ab"],
    ["#", ""],
    ["file:///\u202eä", "file:///\u202eä"],
  ])("%s is written as %s", (uri, normal) => {
    expect(written(uri)).toBe(normal);
  });

  test("that is long is cut, and has its digest as long as it was read", () => {
    for (const bytes of [1024, 1025, 4096, 4097]) {
      const uri = `file:///srv/${"a".repeat(bytes - 12)}`;
      const record = recordOf(exchange(plugin, { body: message("resources/read", { uri }) }));
      expect(record["mcp.resource.uri"]).toBe(uri.slice(0, 1024));
      expect(record["mcp_guard.resource.uri.sha256"]).toBe(bytes > 4096 ? undefined : sha256(uri));
      expect(record["mcp_guard.truncated"]).toBe(bytes > 1024 ? true : undefined);
    }
  });
});

describe("hostile texts", () => {
  const HOSTILE = [
    '"},{"mcp_guard.decision":"allow',
    "\\",
    "\u0000\u001f\u007f\u0080\u009b",
    "line\r\nbreak\u2028\u2029\u0085",
    "\u202e\u2066\u200b\ufeff\u{e0041}",
    "🔍".repeat(200),
    "\n".repeat(5000),
    "x".repeat(5000),
    "%n%s{{7*7}}$" + "{jndi:x}",
  ];

  test.each(HOSTILE.map((text) => [JSON.stringify(text).slice(0, 40), text] as const))("%s", (_name, text) => {
    const { plugin } = startGuard({ ...POLICY, method_allowlist: ["vendor/x"] });
    const utf8 = Buffer.from(text, "utf8").toString("latin1");
    const bodies = [
      toolCall(text),
      message("prompts/get", { name: text }),
      message("resources/read", { uri: `file:///srv/${text}` }),
      message("resources/read", { uri: text }),
      message("completion/complete", { ref: { type: "ref/prompt", name: text }, argument: { name: "a", value: text } }),
      message(`vendor/x${text}`),
      JSON.stringify({ jsonrpc: "2.0", id: text.slice(0, 40), method: "ping" }),
      message("ping", { _meta: { traceparent: text } }),
      text,
    ];
    for (const body of bodies) {
      const headers: HeaderPair[] = [...JSON_HEADERS, ["x-request-id", utf8], ["traceparent", utf8]];
      const stream = exchange(plugin, { body, headers, path: `/${utf8}`, method: "POST" });
      const record = recordOf(stream);
      if (body === bodies[0]) {
        // The beginning of the name, as many whole characters as have room.
        expect(text.startsWith(String(record["gen_ai.tool.name"]))).toBe(true);
        expect(lineOf(stream)).toContain('"mcp_guard.decision":"refuse"');
      }
    }
  });

  test("names of more than 256 bytes are cut, and the record says so", () => {
    const { plugin } = startGuard(POLICY);
    for (const bytes of [256, 257]) {
      const record = recordOf(exchange(plugin, { body: toolCall("n".repeat(bytes)) }));
      expect(record["gen_ai.tool.name"]).toBe("n".repeat(256));
      expect(record["mcp_guard.truncated"]).toBe(bytes > 256 ? true : undefined);
    }
  });

  test("bytes that are no UTF-8 in headers", () => {
    const { plugin } = startGuard(POLICY);
    for (const bytes of ["\u00ff", "\u00c3", "\u00ed\u00a0\u0080", "\u00f4\u0090\u0080\u0080"]) {
      const headers: HeaderPair[] = [...JSON_HEADERS, ["x-request-id", bytes]];
      const record = recordOf(exchange(plugin, { body: toolCall("safe"), headers, path: `/${bytes}` }));
      expect(String(record["http.request.id"]).length).toBeGreaterThan(0);
    }
  });

  test.each([BYTES_MAX, 20_001, 65_536])("everything at its longest stays below a record's %i bytes", (bytesMax) => {
    const long = "\u0001".repeat(256);
    const JWT = "metadata.filter_metadata.envoy.filters.http.jwt_authn.p";
    const text = "\u{10ffff}".repeat(64);
    const { plugin } = startGuard({
      ...POLICY,
      mode: "monitor",
      identity: { jwt: [{ provider: "p", issuer: "\u{10ffff}".repeat(64), claim: "sub" }] },
      audit: { arguments: "full", response: "full", record_bytes: bytesMax },
    });
    const properties = {
      "connection.uri_san_peer_certificate": text.repeat(2),
      [`${JWT}.iss`]: text,
      [`${JWT}.sub`]: text,
      ...Object.fromEntries([1, 2, 3, 4].map((depth) => [`${JWT}${".act".repeat(depth)}.sub`, text])),
    };
    const headers: HeaderPair[] = [...JSON_HEADERS, ["x-request-id", long], ["traceparent", long]];
    const body = JSON.stringify({
      jsonrpc: "2.0",
      id: "\u{10ffff}".repeat(64),
      method: "tools/call",
      params: { arguments: { a: "\u{10ffff}".repeat(5000) }, name: long, uri: `x:${"\u{10ffff}".repeat(1000)}` },
    });
    const stream = send(plugin, { body, headers, path: `/${long}${long}`, method: "POST", stream: { properties } });
    stream.responseHeaders(HEAD, false);
    const result = { a: "\u{10ffff}".repeat(5000), isError: true };
    stream.responseBody(JSON.stringify({ jsonrpc: "2.0", id: 1, result }), true);
    expect(recordOf(stream, bytesMax)).toMatchObject({ "mcp_guard.truncated": true });
    expect(lineOf(stream, bytesMax).length).toBeGreaterThan(bytesMax / 2);
  });
});

describe("digests", () => {
  const { plugin } = startGuard({ ...POLICY, audit: { arguments: "digest", response: "digest" } });
  const PARAMS = [
    ['"name":"safe","arguments":', ' {"a":[{"arguments":{}}],"b":"}"} ', ',"task":null'],
    ['"arguments":', "{}", ',"name":"safe"'],
    [
      '"_meta":{"arguments":{"x":1}},"arguments":',
      '{"\u00fc":{"deep":[[[{}]]]}}',
      ',"name":"safe","ref":{"arguments":{}}',
    ],
    ['"name":"safe","arguments":', `{"long":"${"x".repeat(300_000)}"}`, ""],
  ] as const;

  test.each(PARAMS)("of arguments behind %s", (before, text, after) => {
    const body = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{${before}${text}${after}}}`;
    const cuts =
      body.length < 1000 ? Array.from({ length: body.length - 1 }, (_, index) => [index + 1]) : [[], [150_000]];
    for (const where of [[], ...cuts, Array.from({ length: 40 }, (_, index) => index + 20)]) {
      const record = recordOf(exchange(plugin, { body, cuts: where }));
      expect(record["mcp_guard.decision"]).toBe(after.includes("task") ? "refuse" : "allow");
      expect(record["mcp_guard.arguments.sha256"]).toBe(sha256(text.trim()));
    }
  });

  test("of arguments into which rules look are the same", () => {
    const rules = [{ tool: "safe", pointer: "/a/0/b", rule: "path" }];
    const { plugin: looking } = startGuard({ ...POLICY, argument_rules: rules, audit: { arguments: "digest" } });
    const text = '{"a":[{"b":"x"}],"c":{"d":[1,2]}}';
    const body = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"safe","arguments":${text},"x":{}}}`;
    for (let cut = 1; cut < body.length; cut++) {
      const record = recordOf(exchange(looking, { body, cuts: [cut] }));
      expect(record["mcp_guard.arguments.sha256"]).toBe(sha256(text));
    }
  });

  test("are not there for arguments that are missing, of another type, or cut", () => {
    for (const params of ['{"name":"safe"}', '{"name":"safe","arguments":[1]}', '{"name":"safe","arguments":{"a":']) {
      const body = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":${params}`;
      const whole = params.endsWith("}") ? `${body}}` : body;
      expect(recordOf(exchange(plugin, { body: whole }))).not.toHaveProperty(["mcp_guard.arguments.sha256"]);
    }
    const without = startGuard(POLICY).plugin;
    expect(
      recordOf(exchange(without, { body: message("tools/call", { name: "safe", arguments: {} }) })),
    ).not.toHaveProperty(["mcp_guard.arguments.sha256"]);
  });

  test("one request's arguments are not in the next one's", () => {
    const call = (text: object) => message("tools/call", { name: "safe", arguments: text });
    for (const value of [{ a: 1 }, {}, { a: 1 }]) {
      const record = recordOf(exchange(plugin, { body: call(value) }));
      expect(record["mcp_guard.arguments.sha256"]).toBe(sha256(JSON.stringify(value)));
    }
  });

  test("of a response are of what the server sent", () => {
    const tools = ["safe", "evil"].map((name) => ({ name }));
    const text = JSON.stringify({ jsonrpc: "2.0", id: 1, result: { tools } });
    for (const cut of [0, 1, 30, text.length - 1]) {
      const stream = send(plugin, { body: message("tools/list") });
      stream.responseHeaders(HEAD, false);
      if (cut !== 0) stream.responseBody(text.slice(0, cut), false);
      stream.responseBody(text.slice(cut), true);
      expect(stream.downstream.body().toString()).not.toContain("evil");
      expect(recordOf(stream)["mcp_guard.response.sha256"]).toBe(sha256(text));
    }
    const events = send(plugin, { body: message("tools/list") });
    events.responseHeaders(EVENTS, false);
    events.responseBody(`data: ${text}\n\n`, false);
    events.clientGone();
    expect(recordOf(events)["mcp_guard.response.sha256"]).toBe(sha256(`data: ${text}\n\n`));
  });

  test("of a response are not there when none was read", () => {
    const silent = send(plugin, { body: message("ping") });
    silent.clientGone();
    expect(recordOf(silent)).not.toHaveProperty(["mcp_guard.response.sha256"]);
    expect(recordOf(exchange(plugin, { body: toolCall("evil") }))).not.toHaveProperty(["mcp_guard.response.sha256"]);
  });
});

describe("arguments as text", () => {
  const textOf = (audit: object, text: string, cuts: readonly number[] = []): unknown => {
    const { plugin } = startGuard({ ...POLICY, audit });
    const body = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"safe","arguments":${text}}}`;
    const start = body.indexOf(text);
    const record = recordOf(exchange(plugin, { body, cuts: cuts.map((cut) => start + cut) }));
    expect(record["mcp_guard.decision"]).toBe("allow");
    expect(record["mcp_guard.arguments.sha256"]).toBe(sha256(text));
    return record["gen_ai.tool.call.arguments"];
  };
  const redacted = (redact: readonly string[], text: string, cuts: readonly number[] = []) =>
    textOf({ arguments: "redacted", redact }, text, cuts);
  const R = '"[redacted]"';

  test("in full are what the client sent", () => {
    for (const text of ["{}", '{ "a" : [ 1 , "\\u00fc" ] }', '{"ü":"\u202e\\n"}'])
      expect(textOf({ arguments: "full" }, text)).toBe(text);
    expect(textOf({ arguments: "digest" }, "{}")).toBeUndefined();
  });

  test.each([
    [["/a"], '{"a":1}', `{"a":${R}}`],
    [["/a"], '{"a":"x","b":"y"}', `{"a":${R},"b":"y"}`],
    [["/a"], '{"b":{"a":"x"},"c":["a"]}', '{"b":{"a":"x"},"c":["a"]}'],
    [["/a"], '{"a":{"b":[{"c":1}]},"d":2}', `{"a":${R},"d":2}`],
    [["/a"], '{"a":[[],{}],"d":[{"a":1}]}', `{"a":${R},"d":[{"a":1}]}`],
    [["/a", "/b"], '{"b":true,"a":null}', `{"b":${R},"a":${R}}`],
    [["/a/b"], '{"a":{"b":-1.5e3,"c":1},"b":2}', `{"a":{"b":${R},"c":1},"b":2}`],
    [["/a/-"], '{"a":["x",["y"],{}],"b":["z"]}', `{"a":[${R},${R},${R}],"b":["z"]}`],
    [["/a/1"], '{"a":["x","y","z"]}', `{"a":["x",${R},"z"]}`],
    [["/a/-/b"], '{"a":[{"b":1},{"c":{"b":2}},{"b":3}]}', `{"a":[{"b":${R}},{"c":{"b":2}},{"b":${R}}]}`],
    [["/a/-/0"], '{"a":[["s",1],["t"],[]],"b":[["u"]]}', `{"a":[[${R},1],[${R}],[]],"b":[["u"]]}`],
    [["/a~1b"], '{"a/b":1,"a":{"b":2}}', `{"a/b":${R},"a":{"b":2}}`],
    [["/a"], '{"\\u0061":"x"}', `{"\\u0061":${R}}`],
    [["/a"], '{"A":"x","a ":"y"}', '{"A":"x","a ":"y"}'],
    [["/"], '{"":"x","a":1}', `{"":${R},"a":1}`],
    [["/a", "/a/b"], '{"a":{"b":"x"}}', `{"a":${R}}`],
    [["/a/b", "/c/d"], '{"c":{"b":1,"d":2},"a":{"d":3,"b":4}}', `{"c":{"b":1,"d":${R}},"a":{"d":3,"b":${R}}}`],
  ] as const)("without %j: %s", (pointers, text, expected) => {
    expect(redacted(pointers, text)).toBe(expected);
    for (let cut = 1; cut < text.length; cut++) expect(redacted(pointers, text, [cut])).toBe(expected);
  });

  test("are those of a reference implementation, whatever they are", () => {
    const { plugin } = startGuard({
      ...POLICY,
      audit: { arguments: "redacted", redact: ["/a", "/b/-/a", "/c/0", "/c/b/-", "/b/1/c"] },
    });
    const key = fc.constantFrom("a", "b", "c", "d");
    const value = fc.letrec((tie) => ({
      node: fc.oneof(
        { depthSize: "small" },
        fc.constantFrom<unknown>(0, -1.5, "", "s", '"', true, null, "\u{1f50d}"),
        fc.array(tie("node"), { maxLength: 4 }),
        fc.dictionary(key, tie("node"), { maxKeys: 4, noNullPrototype: true }),
      ),
    })).node;
    const without = (node: unknown, path: string): unknown => {
      if (/^(\/a|\/b\/\d+\/a|\/c\/0|\/c\/b\/\d+|\/b\/1\/c)$/.test(path) || /^\/b\/\[\d+\]\/a$/.test(path))
        return "[redacted]";
      if (Array.isArray(node)) return node.map((item, index) => without(item, `${path}/${index}`));
      if (typeof node !== "object" || node === null) return node;
      return Object.fromEntries(Object.entries(node).map(([name, inner]) => [name, without(inner, `${path}/${name}`)]));
    };
    fc.assert(
      fc.property(fc.dictionary(key, value, { noNullPrototype: true }), fc.nat(4), (object, space) => {
        const text = JSON.stringify(object, undefined, space);
        fc.pre(text.length < 2_000);
        const body = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"safe","arguments":${text}}}`;
        const record = recordOf(exchange(plugin, { body }));
        expect(JSON.parse(String(record["gen_ai.tool.call.arguments"]))).toEqual(without(object, ""));
      }),
      { numRuns: 1000 },
    );
  });

  test("that are long are cut, without a byte of what is left out", () => {
    const secret = "s3cr3t".repeat(3000);
    for (const [text, begin] of [
      [`{"a":"${"x".repeat(20_000)}","b":"${secret}"}`, '{"a":"xxx'],
      [`{"b":"${secret}","a":1}`, `{"b":${R}`],
      [`{"b":{"c":["${secret}"]},"a":1}`, `{"b":${R}`],
      [`{"c":[1,"${secret}"]}`, `{"c":[${R},${R}`],
      [`{"a":"${"x".repeat(8_180)}","b":"${secret}"}`, '{"a":"xxx'],
      [`{"a":"${"x".repeat(8_175)}","b":"${secret}"}`, '{"a":"xxx'],
      [`{"a":"${"\u0001".repeat(0)}${"\\n".repeat(4000)}","b":"${secret}"}`, '{"a":"'],
    ] as const) {
      const { plugin } = startGuard({ ...POLICY, audit: { arguments: "redacted", redact: ["/b", "/c/-"] } });
      const body = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"safe","arguments":${text}}}`;
      const stream = exchange(plugin, { body, cuts: [5000, 9000] });
      const record = recordOf(stream);
      expect(record["mcp_guard.truncated"]).toBe(true);
      expect(String(record["gen_ai.tool.call.arguments"])).toMatch(
        new RegExp(`^${begin.replace(/[[\]{}()]/g, "\\$&")}`),
      );
      expect(lineOf(stream)).not.toContain("s3c");
    }
  });

  test("of a message with a fault are as far as they came, without what is left out", () => {
    const { plugin } = startGuard({ ...POLICY, audit: { arguments: "redacted", redact: ["/b"] } });
    for (const [text, shown] of [
      ['{"b":"s3cr3t","b":1}', `{"b":${R}`],
      ['{"b":"s3cr3t\u0001"}', undefined],
      ['{"a":1,"b":"s3cr3t', `{"a":1,"b":${R}`],
      ['{"a":1,"b":{"c":"s3cr3t"', `{"a":1,"b":${R}`],
      ['{"a":1,"b":["s3cr3t",}', undefined],
    ] as const) {
      const body = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"safe","arguments":${text}`;
      const stream = exchange(plugin, { body });
      const record = recordOf(stream);
      expect(lineOf(stream)).not.toContain("s3c");
      expect(record["mcp_guard.truncated"]).toBe(true);
      if (shown !== undefined) expect(record["gen_ai.tool.call.arguments"]).toBe(shown);
    }
  });

  test("do not take more memory than they give back", () => {
    const { vm, plugin } = startGuard({ ...POLICY, audit: { arguments: "full" } });
    const body = message("tools/call", { name: "safe", arguments: { a: "x".repeat(20_000) } });
    for (let index = 0; index < 200; index++) exchange(plugin, { body });
    const before = vm.memoryBytes();
    for (let index = 0; index < 3000; index++) exchange(plugin, { body });
    expect(vm.memoryBytes()).toBe(before);
  });
});

describe("answers as text", () => {
  const R = '"[redacted]"';
  const call = (audit: object, respond: (stream: HttpStream) => void, body = toolCall("safe")): Json => {
    const { plugin } = startGuard({ ...POLICY, audit });
    const stream = send(plugin, { body });
    respond(stream);
    return recordOf(stream);
  };
  const answered = (audit: object, text: string, cut = 0): unknown =>
    call(audit, (stream) => {
      stream.responseHeaders(HEAD, false);
      if (cut !== 0) stream.responseBody(text.slice(0, cut), false);
      stream.responseBody(text.slice(cut), true);
    })["gen_ai.tool.call.result"];
  const RESULT =
    '{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"a"},{"text":"b"}],"isError":false}}';

  test("in full are what the server sent", () => {
    expect(answered({ response: "full" }, RESULT)).toBe(RESULT);
    expect(answered({ response: "digest" }, RESULT)).toBeUndefined();
    const error = '{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"m"}}';
    expect(answered({ response: "full" }, error)).toBe(error);
  });

  test("without what pointers name, at every cut", () => {
    const audit = { response: "redacted", redact_response: ["/result/content/-/text"] };
    const expected = RESULT.replace('"a"', R).replace('"b"', R);
    for (let cut = 0; cut < RESULT.length; cut++) expect(answered(audit, RESULT, cut)).toBe(expected);
  });

  test("and arguments each have half of what a record has room for", () => {
    for (const [bytes, room] of [
      [undefined, 4096],
      [20_000, 5904],
      [65_536, 28_672],
    ] as const) {
      const audit = { arguments: "full", response: "full", ...(bytes !== undefined && { record_bytes: bytes }) };
      const { plugin } = startGuard({ ...POLICY, audit });
      for (const more of [0, 1]) {
        const filled = (text: string): string =>
          text.replace("@", "x".repeat(room + more - text.length - (text.match(/"/g)!.length * 5 - 1)));
        const [given, answer] = [filled('{"a":"@"}'), filled('{"jsonrpc":"2.0","id":1,"result":{"a":"@"}}')];
        const body = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"safe","arguments":${given}}}`;
        const stream = send(plugin, { body });
        stream.responseHeaders(HEAD, false);
        stream.responseBody(answer, true);
        const record = recordOf(stream, bytes);
        expect(record["gen_ai.tool.call.arguments"] === given).toBe(more === 0);
        expect(record["gen_ai.tool.call.result"] === answer).toBe(more === 0);
        expect(record["mcp_guard.truncated"]).toBe(more === 0 ? undefined : true);
      }
    }
  });

  test("never have the state that a client brings back", () => {
    const text = '{"jsonrpc":"2.0","id":1,"result":{"requestState":"s3cr3t","content":[]}}';
    for (const audit of [{ response: "full" }, { response: "redacted", redact_response: ["/result/x"] }]) {
      expect(answered(audit, text)).toBe(text.replace('"s3cr3t"', R));
    }
  });

  test("in a list of messages are each without what pointers name, at every cut", () => {
    const audit = { response: "redacted", redact_response: ["/result/content/-/text", "/0/id"] };
    const without = RESULT.replace('"a"', R).replace('"b"', R);
    for (const [text, expected] of [
      [`[${RESULT}]`, `[${without}]`],
      [`[ ${RESULT} ,\n${RESULT}]`, `[ ${without} ,\n${without}]`],
      [`[1,"a",{},${RESULT}]`, `[1,"a",{},${without}]`],
      // A list in the list is no message, and a value like any other.
      [`[[${RESULT}],${RESULT}]`, `[[${RESULT.replace('"id":1', `"id":${R}`)}],${without}]`],
    ] as const) {
      for (let cut = 0; cut < text.length; cut++) expect(answered(audit, text, cut)).toBe(expected);
    }
    const state = '[{"jsonrpc":"2.0","id":1,"result":{"requestState":"s3cr3t"}}]';
    expect(answered({ response: "full" }, state)).toBe(state.replace('"s3cr3t"', R));
  });

  test("of a stream are the first answer's, and each message has its own for a collector", () => {
    const audit = { response: "full", otlp: { cluster: "collector", authority: "c" } };
    const { plugin } = startGuard({ ...POLICY, audit }, { clusters: ["collector"] });
    const stream = send(plugin, { body: toolCall("safe") });
    stream.responseHeaders(EVENTS, false);
    stream.responseBody('data: {"jsonrpc":"2.0","method":"notifications/progress","params":{"s":1}}\n\n', false);
    stream.responseBody('data: {"jsonrpc":"2.0",\ndata: "id":1,"result":{"n":1}}\n\n', false);
    stream.responseBody('data: {"jsonrpc":"2.0","id":2,"result":{"n":2}}\n\n', true);
    expect(recordOf(stream)["gen_ai.tool.call.result"]).toBe('{"jsonrpc":"2.0",\n"id":1,"result":{"n":1}}');
    plugin.tick();
    const logs = JSON.parse(plugin.httpCalls[0]!.body.toString()).resourceLogs[0].scopeLogs[0].logRecords;
    const texts = logs.map(
      (log: { body: { stringValue: string } }) => JSON.parse(log.body.stringValue)["gen_ai.tool.call.result"],
    );
    expect(texts).toEqual([
      undefined,
      undefined,
      '{"jsonrpc":"2.0",\n"id":1,"result":{"n":1}}',
      '{"jsonrpc":"2.0","id":2,"result":{"n":2}}',
      '{"jsonrpc":"2.0",\n"id":1,"result":{"n":1}}',
    ]);
  });

  test("are those of calls of tools alone", () => {
    const list = '{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}';
    const record = call(
      { response: "full" },
      (stream) => {
        stream.responseHeaders(HEAD, false);
        stream.responseBody(list, true);
      },
      message("tools/list"),
    );
    expect(record).not.toHaveProperty(["gen_ai.tool.call.result"]);
    expect(record["mcp_guard.response.sha256"]).toBe(sha256(list));
  });

  test("that are long are cut, without a byte of what is left out, and take no memory", () => {
    const { vm, plugin } = startGuard({ ...POLICY, audit: { response: "redacted", redact_response: ["/result/b"] } });
    const text = `{"jsonrpc":"2.0","id":1,"result":{"a":"${"x".repeat(8_000)}","b":"${"s3cr3t".repeat(5000)}"}}`;
    const one = (): void => {
      const stream = send(plugin, { body: toolCall("safe") });
      stream.responseHeaders(HEAD, false);
      for (let at = 0; at < text.length; at += 3000) stream.responseBody(text.slice(at, at + 3000), false);
      stream.responseBody("", true);
      const record = recordOf(stream);
      expect(record["mcp_guard.truncated"]).toBe(true);
      expect(String(record["gen_ai.tool.call.result"])).toMatch(/^\{"jsonrpc":"2.0","id":1,"result":\{"a":"xxx/);
      expect(lineOf(stream)).not.toContain("s3c");
    };
    for (let round = 0; round < 50; round++) one();
    const before = vm.memoryBytes();
    for (let round = 0; round < 500; round++) one();
    expect(vm.memoryBytes()).toBe(before);
  });
});

describe("secrets", () => {
  const headers: HeaderPair[] = [...JSON_HEADERS, ...SECRET_HEADERS];

  test.each(["enforce", "monitor"])("are in no sink in %s mode", (mode) => {
    const { vm, plugin } = startGuard({
      ...POLICY,
      mode,
      identity: { jwt: [{ provider: "p", issuer: "i", claim: "sub" }] },
    });
    const properties = {
      "metadata.filter_metadata.envoy.filters.http.jwt_authn.p.iss": "i",
      "metadata.filter_metadata.envoy.filters.http.jwt_authn.p.sub": "alice",
      "metadata.filter_metadata.envoy.filters.http.jwt_authn.p.email": CANARY,
    };
    for (const body of SECRET_BODIES) {
      for (const text of SECRET_ANSWERS) {
        const stream = send(plugin, { body, headers, path: `/mcp?key=${CANARY}`, stream: { properties } });
        if (stream.upstream.ended) {
          stream.responseHeaders(
            [
              [":status", "200"],
              ["content-type", "application/json"],
              ["set-cookie", CANARY],
            ],
            false,
          );
          stream.responseBody(text, true);
        }
        expect(recordOf(stream)).not.toHaveProperty(["mcp_guard.ended"]);
        for (const [name, value] of stream.filterState) expect([name, value.includes(CANARY)]).toEqual([name, false]);
      }
    }
    expect(vm.logs.filter((line) => line.message.includes(CANARY))).toEqual([]);
    expect(vm.metrics.names().filter((name) => name.includes(CANARY))).toEqual([]);
  });
});
