// Records for a collector. Goal: each record is sent, in order, until it is acknowledged or counted as dropped; the queue is bounded; a collector
// that is slow, gone or hostile holds up nothing but the calls that must wait for it, and those get an answer.

import { readFileSync } from "node:fs";
import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, test } from "vitest";
import type { HttpStream, Plugin } from "../../src/host/index.ts";
import { projectPath } from "../../src/project.ts";
import {
  answer,
  type Delivery,
  exchange,
  type Guard,
  JSON_HEADERS,
  open,
  send,
  startGuard,
  toolCall,
  verdict,
} from "./guard.ts";

type Json = Record<string, unknown>;

const compile = (name: string) =>
  new Ajv2020({ strict: true, strictRequired: false }).compile(
    JSON.parse(readFileSync(projectPath("schema", name), "utf8")),
  );
const isRecord = compile("audit-record.schema.json");
const isMessage = compile("audit-message.schema.json");

const OTLP = { cluster: "collector", authority: "otel:4318", messages: "none" };
const COLLECTED = { tool_allowlist: ["safe", "delete_it"], approval: { mode: "off" }, audit: { otlp: OTLP } };
const REQUIRED = { ...COLLECTED, audit: { otlp: OTLP, required: "all" } };

const start = (policy: object = COLLECTED, clusters: readonly string[] = ["collector"]): Guard =>
  startGuard(policy, { clusters });

/** The log records of a request to the collector. */
function logsOf(
  body: Buffer,
): { eventName: string; id: string; text: string; record: Json; severityNumber: number; timeUnixNano: string }[] {
  const request = JSON.parse(body.toString("utf8"));
  expect(Object.keys(request)).toEqual(["resourceLogs"]);
  const [resource, ...others] = request.resourceLogs;
  expect(others).toEqual([]);
  expect(resource.resource.attributes).toEqual([{ key: "service.name", value: { stringValue: "mcp-guard" } }]);
  return resource.scopeLogs[0].logRecords.map((log: Json) => {
    const text = (log.body as { stringValue: string }).stringValue;
    const record = JSON.parse(text) as Json;
    const valid = "mcp_guard.audit.version" in record ? isRecord : isMessage;
    if (!valid(record)) throw new Error(`${JSON.stringify(valid.errors)}\n${text}`);
    const [attribute] = log.attributes as [{ key: string; value: { stringValue: string } }];
    expect([attribute.key, attribute.value.stringValue]).toEqual(["event.id", record["event.id"]]);
    return {
      ...(log as { eventName: string; severityNumber: number; timeUnixNano: string }),
      id: attribute.value.stringValue,
      text,
      record,
    };
  });
}

const counted = ({ vm }: Guard, name: string): number => Number(vm.metrics.value(`mcp_guard_audit_${name}`));
const ACCEPT = { status: 200, headers: [["content-type", "application/json"]], body: "{}" } as const;

/** Lets the collector take what comes until nothing waits. */
function drain({ plugin }: Guard): number {
  let requests = 0;
  for (let round = 0; round < 1000 && plugin.tickPeriodMs > 0; round++) {
    plugin.tick();
    for (const call of plugin.httpCalls) {
      requests++;
      call.answer(ACCEPT);
    }
  }
  return requests;
}

describe("a record", () => {
  test("of each exchange is sent on the tick, byte for byte as the access log has it", () => {
    const guard = start();
    const { plugin } = guard;
    const lines = [toolCall("safe"), toolCall("evil"), "[", toolCall('a"\\\n\u202e')].map((body) => {
      const stream = exchange(plugin, { body });
      return stream.filterState.get("mcp_audit");
    });
    expect(plugin.httpCalls).toEqual([]);
    plugin.tick();
    const [call, ...others] = plugin.httpCalls;
    expect(others).toEqual([]);
    expect(call?.cluster).toBe("collector");
    expect(call?.timeoutMs).toBe(5000);
    expect(Object.fromEntries(call?.headers.pairs() ?? [])).toMatchObject({
      ":method": "POST",
      ":path": "/v1/logs",
      ":authority": "otel:4318",
      "content-type": "application/json",
    });
    const logs = logsOf(call!.body);
    expect(logs.map(({ text }) => text)).toEqual(lines);
    expect(logs.map(({ eventName }) => eventName)).toEqual(Array(4).fill("mcp_guard.exchange"));
    expect(logs.map(({ severityNumber }) => severityNumber)).toEqual([9, 13, 13, 13]);
    for (const { timeUnixNano } of logs) expect(BigInt(timeUnixNano)).toBeGreaterThan(1_700_000_000_000_000_000n);
    expect(counted(guard, "queue_bytes")).toBeGreaterThan(4000);
    call!.answer(ACCEPT);
    expect([counted(guard, "exported"), counted(guard, "dropped"), counted(guard, "queue_bytes")]).toEqual([4, 0, 0]);
    plugin.tick();
    expect(plugin.httpCalls).toEqual([]);
    expect(plugin.tickPeriodMs).toBe(0);
  });

  test("is sent without the access log too", () => {
    const { plugin } = start({ ...COLLECTED, audit: { otlp: OTLP, line: "none" } });
    const stream = exchange(plugin, { body: toolCall("safe") });
    expect(stream.filterState.has("mcp_audit")).toBe(false);
    plugin.tick();
    expect(logsOf(plugin.httpCalls[0]!.body)).toHaveLength(1);
  });

  test("goes where the policy says", () => {
    const otlp = { cluster: "outbound|80||c", authority: "c", path: "/otlp/logs", timeout_ms: 250, flush_ms: 200 };
    const { plugin } = start({ ...COLLECTED, audit: { otlp } }, ["outbound|80||c"]);
    exchange(plugin, { body: toolCall("safe") });
    expect(plugin.tickPeriodMs).toBe(200);
    plugin.tick();
    const [call] = plugin.httpCalls;
    expect([call?.cluster, call?.headers.get(":path"), call?.timeoutMs]).toEqual(["outbound|80||c", "/otlp/logs", 250]);
  });

  test("waits while a request is under way, and is in the next one", () => {
    const guard = start();
    const { plugin } = guard;
    exchange(plugin, { body: toolCall("safe") });
    plugin.tick();
    const [first] = plugin.httpCalls;
    exchange(plugin, { body: toolCall("evil") });
    for (let round = 0; round < 5; round++) plugin.tick();
    expect(plugin.httpCalls).toEqual([first]);
    first!.answer(ACCEPT);
    plugin.tick();
    const [second] = plugin.httpCalls;
    expect(logsOf(second!.body).map(({ record }) => record["mcp_guard.chain.sequence"])).toEqual([2]);
  });

  test("of many exchanges go out in batches of a bounded size, in order", () => {
    const guard = start({ ...COLLECTED, audit: { otlp: { ...OTLP, queue_bytes: 8 << 20 } } });
    const { plugin } = guard;
    for (let index = 0; index < 1500; index++) exchange(plugin, { body: toolCall("safe") });
    const sequences: unknown[] = [];
    let requests = 0;
    plugin.tick();
    while (plugin.httpCalls.length > 0 || plugin.tickPeriodMs > 0) {
      for (const call of plugin.httpCalls) {
        requests++;
        expect(call.body.length).toBeLessThan((256 << 10) + 1024);
        sequences.push(...logsOf(call.body).map(({ record }) => record["mcp_guard.chain.sequence"]));
        call.answer(ACCEPT);
      }
      if (plugin.tickPeriodMs > 0) plugin.tick();
    }
    expect(sequences).toEqual(Array.from({ length: 1500 }, (_, index) => index + 1));
    expect(requests).toBeGreaterThan(4);
    expect(counted(guard, "exported")).toBe(1500);
  });
});

describe("a collector that does not take records", () => {
  const later = (status: number): string =>
    `mcp-guard: audit.otlp: the collector takes no records now, status ${status}`;
  const FAILURES = [
    ["that is gone", (plugin: Plugin) => plugin.httpCalls[0]!.refuse(), later(503)],
    ["that does not answer", (plugin: Plugin) => plugin.httpCalls[0]!.timeOut(), later(504)],
    ["that drops the connection", (plugin: Plugin) => plugin.httpCalls[0]!.drop(), later(503)],
    [
      "whose answer is cut",
      (plugin: Plugin) => plugin.httpCalls[0]!.cut(),
      "mcp-guard: audit.otlp: the collector's answer was cut",
    ],
    ["that is overloaded", (plugin: Plugin) => plugin.httpCalls[0]!.answer({ status: 429 }), later(429)],
    ["that is unavailable", (plugin: Plugin) => plugin.httpCalls[0]!.answer({ status: 503 }), later(503)],
  ] as const;

  test.each(FAILURES)("%s is asked again, later and later, and gets the same records", (_how, fail, told) => {
    const guard = start();
    const { vm, plugin } = guard;
    exchange(plugin, { body: toolCall("safe") });
    vm.logs.length = 0;
    const waits: number[] = [];
    plugin.tick();
    for (let round = 0; round < 9; round++) {
      fail(plugin);
      let ticks = 0;
      while (plugin.httpCalls.length === 0) {
        plugin.tick();
        ticks++;
      }
      waits.push(ticks);
    }
    // A tick is a second, and a collector is left alone for about a minute at most.
    expect(waits).toEqual([1, 2, 4, 8, 16, 32, 64, 64, 64]);
    expect(logsOf(plugin.httpCalls[0]!.body)).toHaveLength(1);
    expect([counted(guard, "calls_failed"), counted(guard, "exported"), counted(guard, "dropped")]).toEqual([9, 0, 0]);
    plugin.httpCalls[0]!.answer(ACCEPT);
    expect([counted(guard, "exported"), counted(guard, "queue_bytes")]).toEqual([1, 0]);
    // One line when it fails, one when it is back.
    expect(vm.logs.map(({ level, message }) => [level, message])).toEqual([
      ["warn", told],
      ["info", "mcp-guard: audit.otlp: the collector takes records again"],
    ]);
  });

  test("and no cluster is the same", () => {
    const guard = start(COLLECTED, []);
    exchange(guard.plugin, { body: toolCall("safe") });
    for (let round = 0; round < 10; round++) guard.plugin.tick();
    expect([counted(guard, "calls_failed"), counted(guard, "dropped")]).toEqual([4, 0]);
    expect(guard.vm.logs.filter(({ level }) => level === "warn").map(({ message }) => message)).toEqual([
      expect.stringMatching(/the tool "delete_it"|audit.otlp: there is no such cluster/),
    ]);
  });

  test.each([400, 401, 404, 413, 500, 501])(
    "and says so with %i for good loses the batch, which is counted",
    (status) => {
      const guard = start();
      const { plugin } = guard;
      for (let index = 0; index < 3; index++) exchange(plugin, { body: toolCall("safe") });
      plugin.tick();
      plugin.httpCalls[0]!.answer({ status });
      expect([counted(guard, "dropped"), counted(guard, "exported"), counted(guard, "queue_bytes")]).toEqual([3, 0, 0]);
      exchange(plugin, { body: toolCall("safe") });
      expect(drain(guard)).toBe(1);
      expect(counted(guard, "exported")).toBe(1);
    },
  );

  test("for good is told once, not with each batch", () => {
    const guard = start();
    const { vm, plugin } = guard;
    vm.logs.length = 0;
    const sent = (status: number): void => {
      exchange(plugin, { body: toolCall("safe") });
      plugin.tick();
      plugin.httpCalls[0]!.answer({ status });
    };
    for (const status of [400, 400, 404, 200, 200, 400, 400]) sent(status);
    expect(vm.logs.map(({ level, message }) => [level, message.replace("mcp-guard: audit.otlp: ", "")])).toEqual([
      ["warn", "the collector does not take records, status 400"],
      ["info", "the collector takes records again"],
      ["warn", "the collector does not take records, status 400"],
    ]);
    expect([counted(guard, "dropped"), counted(guard, "exported"), counted(guard, "calls_failed")]).toEqual([5, 2, 5]);
  });

  test.each([
    ['{"partialSuccess":{"rejectedLogRecords":"2","errorMessage":"no"}}', 2],
    ['{ "partialSuccess" : { "rejectedLogRecords" : 1 } }', 1],
    ['{"partialSuccess":{"rejectedLogRecords":"99999999999999999999"}}', 3],
    ['{"partialSuccess":{"rejectedLogRecords":"0"}}', 0],
    ['{"partialSuccess":{}}', 0],
    ["{}", 0],
    ["", 0],
    ["\u0000\u00ff", 0],
    [`${" ".repeat(10_000)}`, 0],
  ] as const)("in part (%s) has %i dropped", (body, dropped) => {
    const guard = start();
    const { plugin } = guard;
    for (let index = 0; index < 3; index++) exchange(plugin, { body: toolCall("safe") });
    plugin.tick();
    plugin.httpCalls[0]!.answer({ status: 200, body });
    expect([counted(guard, "dropped"), counted(guard, "exported")]).toEqual([dropped, 3 - dropped]);
  });

  test("does not let the queue grow: what has no room is dropped, counted, and missing in the chain", () => {
    const guard = start({ ...COLLECTED, audit: { otlp: { ...OTLP, queue_bytes: 65_536 } } });
    const { vm, plugin } = guard;
    const one = (): void => void exchange(plugin, { body: toolCall("safe") });
    for (let index = 0; index < 500; index++) one();
    const dropped = counted(guard, "dropped");
    expect(dropped).toBeGreaterThan(400);
    expect(counted(guard, "queue_bytes")).toBeLessThanOrEqual(65_536);
    const many = (count: number): void => {
      for (let index = 0; index < count; index++) {
        one();
        if (index % 1000 === 0 && plugin.tickPeriodMs > 0) plugin.tick();
        plugin.httpCalls[0]?.refuse();
      }
    };
    many(2_000);
    const before = vm.memoryBytes();
    many(20_000);
    expect(vm.memoryBytes()).toBe(before);
    expect(counted(guard, "queue_bytes")).toBeLessThanOrEqual(65_536);
    drain(guard);
    expect(counted(guard, "queue_bytes")).toBe(0);
    expect(counted(guard, "exported") + counted(guard, "dropped")).toBe(22_500);
  });

  test("an answer that nobody waits for changes nothing", () => {
    const guard = start();
    exchange(guard.plugin, { body: toolCall("safe") });
    guard.plugin.tick();
    const [call] = guard.plugin.httpCalls;
    guard.plugin.stop();
    expect(guard.vm.failed).toBe(false);
    expect(call?.ended).toBe(false);
    expect(counted(guard, "queue_bytes")).toBe(0);
  });
});

describe("a call that must wait", () => {
  const called = (plugin: Plugin, delivery: Delivery = {}): HttpStream =>
    send(plugin, { body: toolCall("safe"), ...delivery });
  const ENDS = ["separate", "merged", "trailers"] as const;

  test.each(ENDS)("goes on when its record is acknowledged (%s end)", (end) => {
    const guard = start(REQUIRED);
    const { plugin } = guard;
    const stream = called(plugin, { end });
    expect([stream.finished, stream.upstream.ended, stream.upstream.body().length]).toEqual([false, false, 0]);
    const [call] = plugin.httpCalls;
    const [log, ...others] = logsOf(call!.body);
    expect(others).toEqual([]);
    expect(log?.record).toMatchObject({
      "mcp_guard.message.version": 1,
      "mcp_guard.message.number": 1,
      "mcp_guard.message.direction": "client",
      "mcp_guard.decision": "allow",
      "gen_ai.tool.name": "safe",
      "http.request.body.size": toolCall("safe").length,
    });
    call!.answer(ACCEPT);
    expect([stream.upstream.ended, stream.upstream.body().toString()]).toEqual([true, toolCall("safe")]);
    answer(stream);
    expect(verdict(stream, toolCall("safe"))).toBe("allow");
    const record = JSON.parse(stream.filterState.get("mcp_audit")!) as Json;
    expect(record["event.id"]).toBe(log?.id);
    drain(guard);
    expect([counted(guard, "exported"), counted(guard, "dropped")]).toEqual([2, 0]);
  });

  test("in a stream of its body keeps back its end", () => {
    const guard = start({ ...REQUIRED, request_body: "stream" });
    const stream = called(guard.plugin, { cuts: [10, 20], end: "separate" });
    expect(stream.upstream.ended).toBe(false);
    expect(stream.upstream.body().length).toBeLessThan(toolCall("safe").length);
    guard.plugin.httpCalls[0]!.answer(ACCEPT);
    answer(stream);
    expect(verdict(stream, toolCall("safe"))).toBe("allow");
  });

  test("with held headers goes on with them", () => {
    const guard = start({ ...REQUIRED, request_headers: "hold" });
    const stream = called(guard.plugin, { stream: { headersStop: true } });
    expect(stream.upstream.headers).toBeUndefined();
    guard.plugin.httpCalls[0]!.answer(ACCEPT);
    answer(stream);
    expect(verdict(stream, toolCall("safe"))).toBe("allow");
  });

  test.each([
    ["is gone", (plugin: Plugin) => plugin.httpCalls[0]!.refuse()],
    ["does not answer", (plugin: Plugin) => plugin.httpCalls[0]!.timeOut()],
    ["answers with nothing", (plugin: Plugin) => plugin.httpCalls[0]!.cut()],
    ["is overloaded", (plugin: Plugin) => plugin.httpCalls[0]!.answer({ status: 429 })],
    ["has an error", (plugin: Plugin) => plugin.httpCalls[0]!.answer({ status: 500 })],
    ["redirects", (plugin: Plugin) => plugin.httpCalls[0]!.answer({ status: 302 })],
    [
      "takes only a part",
      (plugin: Plugin) =>
        plugin.httpCalls[0]!.answer({ status: 200, body: '{"partialSuccess":{"rejectedLogRecords":"1"}}' }),
    ],
  ] as const)("is refused when the collector %s", (_how, fail) => {
    const { plugin } = start(REQUIRED);
    const streams = [called(plugin)];
    fail(plugin);
    expect(streams.map((stream) => verdict(stream))).toEqual(["refuse audit_unavailable 503"]);
    expect(JSON.parse(Buffer.from(streams[0]!.localReply!.body).toString())).toMatchObject({
      id: 1,
      error: { code: -32603 },
    });
  });

  test("is refused when there is no such cluster, without a trip", () => {
    const { plugin } = start(REQUIRED, []);
    expect(verdict(called(plugin))).toBe("refuse audit_unavailable 503");
  });

  test("is refused at once while the collector is left alone, and served when it is back", () => {
    const guard = start(REQUIRED);
    const { plugin } = guard;
    called(plugin);
    plugin.httpCalls[0]!.refuse();
    expect(verdict(called(plugin))).toBe("refuse audit_unavailable 503");
    expect(plugin.httpCalls).toEqual([]);
    plugin.tick();
    plugin.httpCalls[0]!.answer(ACCEPT);
    const stream = called(plugin);
    plugin.httpCalls[0]!.answer(ACCEPT);
    answer(stream);
    expect(verdict(stream, toolCall("safe"))).toBe("allow");
  });

  test("is refused when the queue has no room for its record", () => {
    const guard = start({ ...REQUIRED, audit: { otlp: { ...OTLP, queue_bytes: 65_536 }, required: "all" } });
    const streams: HttpStream[] = [];
    while (streams.at(-1)?.finished !== true) streams.push(called(guard.plugin));
    expect(verdict(streams.at(-1)!)).toBe("refuse audit_unavailable 503");
    expect(streams.length).toBeGreaterThan(40);
    // Those that wait are served.
    for (let round = 0; round < 10 && guard.plugin.httpCalls.length > 0; round++)
      guard.plugin.httpCalls[0]!.answer(ACCEPT);
    drain(guard);
    for (const stream of streams.slice(0, -1)) {
      answer(stream);
      expect(verdict(stream, toolCall("safe"))).toBe("allow");
    }
  });

  test("waits for its own record: others before it in a batch that is under way do not do", () => {
    const { plugin } = start(REQUIRED);
    const first = called(plugin);
    const [firstCall] = plugin.httpCalls;
    const second = called(plugin);
    firstCall!.answer(ACCEPT);
    expect([first.upstream.ended, second.upstream.ended]).toEqual([true, false]);
    const [secondCall] = plugin.httpCalls;
    secondCall!.answer(ACCEPT);
    expect(second.upstream.ended).toBe(true);
  });

  test("is not answered twice when its client goes meanwhile", () => {
    const guard = start(REQUIRED);
    const { vm, plugin } = guard;
    const gone = called(plugin);
    const other = called(plugin);
    gone.clientGone();
    expect(JSON.parse(gone.filterState.get("mcp_audit")!)).toMatchObject({
      "mcp_guard.decision": "none",
      "mcp_guard.ended": "downstream_remote_disconnect",
    });
    plugin.httpCalls[0]!.answer(ACCEPT);
    plugin.httpCalls[0]!.refuse();
    expect(verdict(other)).toBe("refuse audit_unavailable 503");
    expect(vm.failed).toBe(false);
  });

  test("is found by the watchdog when the proxy forgets the request", () => {
    const { plugin } = start({ ...REQUIRED, limits: { stall_ms: 1000 } });
    const stream = called(plugin);
    for (let tick = 0; tick < 8 && !stream.finished; tick++) plugin.tick();
    expect(verdict(stream)).toBe("refuse audit_unavailable 503");
  });

  test("is refused when the proxy does not let it go on", () => {
    const { vm, plugin } = start(REQUIRED);
    const stream = called(plugin);
    vm.failNext("proxy_continue_stream", 2);
    plugin.httpCalls[0]!.answer(ACCEPT);
    expect(verdict(stream)).toBe("refuse internal 500");
  });

  test("is one that passes: what is refused is refused at once", () => {
    const { plugin } = start(REQUIRED);
    expect(verdict(called(plugin, { body: toolCall("evil") }))).toBe("refuse tool_not_listed 200");
    expect(verdict(called(plugin, { body: "[" }))).toBe("refuse batch 400");
    expect(plugin.httpCalls).toEqual([]);
  });

  test("is a flagged one with required: approval", () => {
    const { plugin } = start({ ...COLLECTED, audit: { otlp: OTLP, required: "approval" } });
    expect(called(plugin).upstream.ended).toBe(true);
    const list = called(plugin, {
      body: '{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"name":"delete_it"}}',
    });
    expect(list.upstream.ended).toBe(true);
    const flagged = called(plugin, { body: toolCall("delete_it") });
    expect(flagged.upstream.ended).toBe(false);
    const calls = plugin.httpCalls;
    calls.at(-1)!.answer(ACCEPT);
    expect(flagged.upstream.ended).toBe(true);
  });

  test("does not wait in monitor mode, and nothing waits without the member", () => {
    for (const policy of [{ ...REQUIRED, mode: "monitor" }, COLLECTED]) {
      expect(called(start(policy).plugin).upstream.ended).toBe(true);
    }
  });

  test("does not take more memory than it gives back", () => {
    const guard = start(REQUIRED);
    const { vm, plugin } = guard;
    const round = (): void => {
      const streams = Array.from({ length: 20 }, () => called(plugin));
      while (plugin.httpCalls.length > 0) plugin.httpCalls[0]!.answer(ACCEPT);
      for (const stream of streams) answer(stream);
    };
    for (let index = 0; index < 50; index++) round();
    const before = vm.memoryBytes();
    for (let index = 0; index < 500; index++) {
      round();
      if (plugin.tickPeriodMs > 0) plugin.tick();
      plugin.httpCalls[0]?.answer(ACCEPT);
    }
    expect(vm.memoryBytes()).toBe(before);
    expect(vm.contextCount()).toBe(1);
  });
});

describe("records of messages", () => {
  const MESSAGES = { ...COLLECTED, audit: { otlp: { cluster: "collector", authority: "otel:4318" } } };
  const EVENTS = { ":status": "200", "content-type": "text/event-stream" };

  test("of both sides come in order, with the name of their exchange", () => {
    const { plugin } = start(MESSAGES);
    const stream = send(plugin, { body: toolCall("safe") });
    stream.responseHeaders(EVENTS, false);
    stream.responseBody('data: {"jsonrpc":"2.0","method":"notifications/progress","params":{}}\n\n', false);
    stream.responseBody('data: {"jsonrpc":"2.0","id":"x","error":{"code":-5,"message":"m"}}\n\n', false);
    stream.responseBody(
      'data: {"jsonrpc":"2.0","id":1,"result":{"isError":true,"tools":[{"name":"safe"},{"name":"evil"}]}}\n\n',
      true,
    );
    plugin.tick();
    const logs = logsOf(plugin.httpCalls[0]!.body);
    expect(logs.map(({ eventName }) => eventName.replace("mcp_guard.", ""))).toEqual([
      ...Array(4).fill("message"),
      "exchange",
    ]);
    expect(new Set(logs.map(({ id }) => id)).size).toBe(1);
    expect(logs.map(({ record }) => record["mcp_guard.message.number"])).toEqual([1, 2, 3, 4, undefined]);
    expect(logs.map(({ record }) => record["mcp_guard.message.direction"])).toEqual([
      "client",
      "server",
      "server",
      "server",
      undefined,
    ]);
    expect(logs[2]?.record).toMatchObject({ "jsonrpc.request.id": "x", "rpc.response.status_code": "-5" });
    expect(logs[3]?.record).toMatchObject({
      "jsonrpc.request.id": "1",
      "mcp_guard.result.is_error": true,
      "mcp_guard.response.listed": 1,
      "mcp_guard.response.removed": 1,
    });
  });

  test("are there for what was refused, and for what could only be watched", () => {
    const of = (policy: object, body: string) => {
      const { plugin } = start(policy);
      exchange(plugin, { body });
      plugin.tick();
      return logsOf(plugin.httpCalls[0]!.body).map(({ record }) => [
        record["mcp_guard.decision"],
        record["mcp_guard.reason"],
      ]);
    };
    const refused = ["refuse", "tool_not_listed"];
    expect(of(MESSAGES, toolCall("evil"))).toEqual([refused, refused]);
    expect(of({ ...MESSAGES, mode: "monitor" }, toolCall("evil"))[0]).toEqual(["would_refuse", "tool_not_listed"]);
    expect(of(MESSAGES, "[")).toEqual([
      ["refuse", "batch"],
      ["refuse", "batch"],
    ]);
  });

  test("are not there for an exchange without a message", () => {
    const { plugin } = start(MESSAGES);
    open(plugin, { method: "GET", headers: [], end: "headers" }).clientGone();
    open(plugin, { headers: JSON_HEADERS }).clientGone();
    plugin.tick();
    expect(logsOf(plugin.httpCalls[0]!.body).map(({ eventName }) => eventName)).toEqual([
      "mcp_guard.exchange",
      "mcp_guard.exchange",
    ]);
  });
});

test("without a collector nothing is queued and no request is made", () => {
  const { vm, plugin } = startGuard({ tool_allowlist: ["safe"] }, { clusters: ["collector"] });
  exchange(plugin, { body: toolCall("safe") });
  expect(plugin.tickPeriodMs).toBeGreaterThan(0);
  while (plugin.tickPeriodMs > 0) plugin.tick();
  expect(vm.calls.proxy_http_call).toBeUndefined();
});
