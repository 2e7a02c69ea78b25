// Calls that wait for the collector (`audit.required`), in a real Envoy. Goal: a call reaches the server whole when its record is acknowledged, and before that
// the server has no complete request, whatever the protocol, the mode and the end of the body; without an acknowledgement it is refused. Method: as in
// collector.test.ts. Each guard has a path of its own at the collector.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { connectionManager, type GuardOptions } from "../../src/envoy/bootstrap.ts";
import { addCluster, type Behaviour, type Collector, startCollector, TAKEN } from "./collector.ts";
import { versionRuns } from "./drivers/drivers.ts";
import { processDriver } from "./drivers/process.ts";
import { createRecordLog, type Json, type RecordLog, recordOf, wholeChains } from "./record-log.ts";
import {
  expectNothingActive,
  guardIn,
  type HeaderMode,
  JSON_FIELDS,
  named,
  PATIENCE,
  PROTOCOLS,
  type Protocol,
  type Rig,
  speakHttp1WithTrailers,
  startRig,
  toolCall,
} from "./rig.ts";
import { verdictOf } from "./verdict.ts";
import { type Answer, inPieces, pause, sendPieces, type WireConnection, type WireRequest } from "./wire.ts";

/** In the processes of the newest version the server speaks HTTP/2. */
const RUNS = versionRuns().map((run) => {
  const upstream: Protocol = run.isNewest && run.driver === processDriver ? "h2" : "h1";
  return { ...run, upstream };
});

const TIMEOUT_MS = 300;
/** For a machine that has other things to do. */
const MARGIN_MS = 2_000;
/** So long the server would have had to get a request that does not wait. */
const GLIMPSE_MS = 30;
const ENDS = ["length", "chunked", "trailers"] as const;
const TRAILERS = [["x-checksum", "0"]] as const;
const AT_ONCE = 50;

/** A guard whose calls wait, with a path of its own at the collector. */
function guard(name: string, otlp: object = {}, policy: object = {}, mode: HeaderMode = "release"): GuardOptions {
  const { audit, ...rest } = policy as { audit?: object };
  const to = {
    cluster: "collector",
    authority: "otel:4318",
    path: `/${name}`,
    flush_ms: 100,
    messages: "none",
    ...otlp,
  };
  const configuration = { tool_allowlist: ["safe"], ...rest, audit: { required: "all", ...audit, otlp: to } };
  return guardIn(mode, configuration, { name, http1Trailers: true });
}

/** The header modes and bodies that go together. */
const FORMS = [
  { mode: "release", body: "whole" },
  { mode: "release", body: "stream" },
  { mode: "hold", body: "whole" },
] as const;
const nameOf = ({ mode, body }: (typeof FORMS)[number]): string => `${mode}-${body}`;

/** Why no acknowledgement comes; `asked` is for how many of two calls the collector is asked: while it is left alone, for none. */
const OBSTACLES: readonly {
  readonly name: string;
  readonly otlp?: object;
  readonly behaviour?: Behaviour;
  readonly asked: number;
}[] = [
  { name: "slow", otlp: { timeout_ms: TIMEOUT_MS }, behaviour: "silent", asked: 1 },
  { name: "overloaded", behaviour: { status: 429 }, asked: 1 },
  { name: "unavailable", behaviour: { status: 503 }, asked: 1 },
  { name: "cut", behaviour: "drop", asked: 1 },
  { name: "rejecting", behaviour: { status: 400 }, asked: 2 },
  { name: "partial", behaviour: { status: 200, rejected: 1 }, asked: 2 },
  { name: "down", otlp: { cluster: "down" }, asked: 0 },
  { name: "hostless", otlp: { cluster: "hostless" }, asked: 0 },
  { name: "unknown", otlp: { cluster: "unknown" }, asked: 0 },
];

const SAFE = toolCall("safe", { text: "x".repeat(200) }, "call-7");
const bytesOf = (text: string): Buffer => Buffer.from(text);

describe.each(RUNS)("Envoy $version as a $name, an $upstream server", ({ driver, version, upstream }) => {
  let collector: Collector;
  let gone: Collector;
  let records: RecordLog;
  let rig: Rig;
  let calls = 0;
  const refusals: string[] = [];

  beforeAll(async () => {
    [collector, gone] = [await startCollector(), await startCollector()];
    records = createRecordLog(driver.name);
    rig = await startRig({
      driver,
      version,
      upstream,
      guards: [
        ...FORMS.map((form) => guard(nameOf(form), {}, { request_body: form.body }, form.mode)),
        ...OBSTACLES.flatMap(({ name, otlp }) => PROTOCOLS.map((protocol) => guard(`${name}-${protocol}`, otlp))),
        guard("refused-stream", {}, { request_body: "stream" }),
        ...["left", "shared", "order"].map((name) => guard(name)),
        guard("crowded", { queue_bytes: 65_536 }),
        guard("back", { cluster: "gone" }),
        guard(
          "flagged",
          {},
          {
            tool_allowlist: ["safe", "delete_it"],
            approval: { mode: "off" },
            audit: { required: "approval" },
          },
        ),
      ],
      edit(bootstrap) {
        // The server must be told of trailers too.
        const [server] = bootstrap.static_resources.clusters;
        if (upstream === "h1") speakHttp1WithTrailers(server!);
        addCluster(bootstrap, "collector", collector.port);
        addCluster(bootstrap, "gone", gone.port);
        addCluster(bootstrap, "down", 1);
        addCluster(bootstrap, "hostless");
        for (const listener of bootstrap.static_resources.listeners) {
          connectionManager(listener).delayed_close_timeout = "0.05s";
        }
        records.add(bootstrap);
      },
    });
    for (const { name, behaviour } of OBSTACLES) {
      for (const protocol of PROTOCOLS) if (behaviour) collector.behave(`/${name}-${protocol}`, behaviour);
    }
  });

  afterAll(async () => {
    await rig?.stop();
    records?.remove();
    await collector?.stop();
    await gone?.stop();
  });

  describe.each(FORMS)("request_headers: $mode, request_body: $body", (form) => {
    const { mode, body } = form;
    const name = nameOf(form);
    test.each(PROTOCOLS.flatMap((protocol) => ENDS.map((end) => [protocol, end] as const)))(
      "%s with the end %s: goes on whole with the acknowledgement, and no sooner",
      async (protocol, end) => {
        const release = collector.hold(`/${name}`);
        const before = collector.deliveries(`/${name}`).length;
        const call = await begin(name, protocol, SAFE, end);
        await expect.poll(() => collector.deliveries(`/${name}`).length, PATIENCE).toBe(before + 1);
        const delivery = collector.deliveries(`/${name}`)[before]!;
        await pause(GLIMPSE_MS);

        const early = rig.origin.arrivals(call.id);
        if (mode === "hold" && body === "whole") expect(early).toEqual([]);
        expect(early.filter(({ state }) => state !== "open")).toEqual([]);
        for (const arrival of early) {
          expect(arrival.body().length).toBeLessThan(body === "whole" ? 1 : SAFE.length);
          expect(SAFE.startsWith(arrival.body().toString())).toBe(true);
        }
        expect(call.request.soFar()).toBeUndefined();
        const log = delivery.logs.at(-1)!;
        expect(log.name).toBe("message");
        expect(log.record).toMatchObject({
          "mcp_guard.message.number": 1,
          "mcp_guard.message.direction": "client",
          "mcp_guard.decision": "allow",
          "jsonrpc.request.id": "call-7",
          "gen_ai.tool.name": "safe",
          "http.request.body.size": SAFE.length,
        });

        release();
        expect(await call.verdict()).toBe("allow");
        const [arrival] = rig.origin.arrivals(call.id);
        expect(arrival?.trailers["x-checksum"]).toBe(end === "trailers" ? "0" : undefined);
        const record = await recorded(call.id);
        expect([record["event.id"], record["mcp_guard.decision"]]).toEqual([log.eventId, "allow"]);
        const exchange = () =>
          collector.logs(`/${name}`).find(({ name: kind, eventId }) => kind === "exchange" && eventId === log.eventId);
        await expect.poll(exchange, PATIENCE).toBeDefined();
        expect(exchange()?.record).toEqual(record);
      },
    );
  });

  describe.each(OBSTACLES)("a collector that is $name", (obstacle) => {
    test.each(PROTOCOLS)("has a call refused, %s", async (protocol) => {
      const name = `${obstacle.name}-${protocol}`;
      const first = await refused(name, protocol);
      if (obstacle.name === "slow") expect(first).toBeGreaterThanOrEqual(TIMEOUT_MS - 50);
      expect(first).toBeLessThan(TIMEOUT_MS + MARGIN_MS);
      await refused(name, protocol);
      const logs = collector.deliveries(`/${name}`).flatMap((delivery) => delivery.logs);
      const asked = logs.filter((log) => log.name === "message").map(({ eventId }) => eventId);
      expect(new Set(asked).size).toBe(obstacle.asked);
      // What does not pass needs no record.
      const call = await begin(name, protocol, toolCall("evil"), "length");
      expect(await call.verdict()).toBe("refuse 200 tool_not_listed");
    });
  });

  test.each(PROTOCOLS)("a stream of a body is cut when no acknowledgement comes, %s", async (protocol) => {
    collector.behave("/refused-stream", { status: 400 });
    const call = await begin("refused-stream", protocol, SAFE, "chunked");
    expect((await call.answer)?.status).toBe(503);
    expect(String((await call.answer)?.body)).toContain('"audit_unavailable"');
    const arrivals = () => rig.origin.arrivals(call.id);
    await expect.poll(() => arrivals().map(({ state }) => state), PATIENCE).toEqual(["cut"]);
    expect(arrivals()[0]!.body().length).toBeLessThan(SAFE.length);
    call.close();
  });

  test.each(PROTOCOLS)("a client that goes while it waits takes its call along, and no other, %s", async (protocol) => {
    const release = collector.hold("/left");
    const before = collector.deliveries("/left").length;
    const call = await begin("left", protocol, SAFE, "length");
    await expect.poll(() => collector.deliveries("/left").length, PATIENCE).toBe(before + 1);
    const next = await begin("left", protocol, SAFE, "length");
    await pause(GLIMPSE_MS);
    call.request.disconnect();
    const record = await recorded(call.id);
    expect(record).toMatchObject({ "mcp_guard.decision": "none", "mcp.method.name": "tools/call" });
    expect(record["mcp_guard.ended"]).toBe(protocol === "h1" ? "downstream_remote_disconnect" : "http2.remote_reset");
    release();
    expect(await next.verdict()).toBe("allow");
    expect(rig.origin.arrivals(call.id).filter(({ state }) => state === "complete")).toEqual([]);
    call.close();
    await expectNothingActive(rig);
  });

  test("calls at once share requests to the collector", async () => {
    collector.behave("/shared", async () => {
      await pause(20);
      return TAKEN;
    });
    const begun = await Promise.all(
      Array.from({ length: AT_ONCE }, (_, index) => begin("shared", PROTOCOLS[index % 2]!, SAFE, "length")),
    );
    const verdicts = await Promise.all(begun.map((call) => call.verdict()));
    expect(verdicts).toEqual(Array(AT_ONCE).fill("allow"));
    const deliveries = collector.deliveries("/shared");
    const messages = () => deliveries.flatMap(({ logs }) => logs).filter(({ name }) => name === "message");
    expect(new Set(messages().map(({ eventId }) => eventId)).size).toBe(AT_ONCE);
    const withMessages = deliveries.filter(({ logs }) => logs.some(({ name }) => name === "message"));
    expect(withMessages.length).toBeLessThan(AT_ONCE / 2);
  });

  test("calls that find no room in the queue are refused at once, those that wait are served", async () => {
    const release = collector.hold("/crowded");
    const begun = await Promise.all(
      Array.from({ length: 2 * AT_ONCE }, (_, index) => begin("crowded", PROTOCOLS[index % 2]!, SAFE, "length")),
    );
    const answered = () => begun.filter((call) => call.request.soFar() !== undefined);
    await pause(GLIMPSE_MS);
    await expect.poll(() => answered().length, PATIENCE).toBeGreaterThan(0);
    const early = answered();
    expect(await Promise.all(early.map((call) => call.verdict()))).toEqual(
      Array(early.length).fill("refuse 503 audit_unavailable"),
    );
    refusals.push(...early.map(({ id }) => id));
    release();
    const rest = begun.filter((call) => !early.includes(call));
    expect(rest.length).toBeGreaterThan(AT_ONCE / 2);
    expect(await Promise.all(rest.map((call) => call.verdict()))).toEqual(Array(rest.length).fill("allow"));
  });

  test("each waits for its own record: the acknowledgement of a batch that has left without it is none", async () => {
    const [releaseFirst, before] = [collector.hold("/order"), collector.deliveries("/order").length];
    const first = await begin("order", "h1", SAFE, "length");
    await expect.poll(() => collector.deliveries("/order").length, PATIENCE).toBe(before + 1);
    const second = await begin("order", "h2", SAFE, "length");
    await pause(GLIMPSE_MS);
    releaseFirst();
    const releaseSecond = collector.hold("/order");
    expect(await first.verdict()).toBe("allow");
    await expect.poll(() => collector.deliveries("/order").length, PATIENCE).toBe(before + 2);
    await pause(GLIMPSE_MS);
    expect(rig.origin.arrivals(second.id).filter(({ state }) => state !== "open")).toEqual([]);
    releaseSecond();
    expect(await second.verdict()).toBe("allow");
  });

  test("calls are served again when a collector that was gone is back", async () => {
    await serves();
    await gone.stop();
    await refused("back", "h1");
    // As long as it is left alone, nobody waits to find out.
    expect(await refused("back", "h2")).toBeLessThan(TIMEOUT_MS + MARGIN_MS);
    await gone.restart();
    await expect
      .poll(
        () =>
          gone
            .deliveries("/back")
            .flatMap(({ logs }) => logs)
            .filter(isRefusal).length,
        PATIENCE,
      )
      .toBe(2);
    await serves();

    async function serves(): Promise<void> {
      for (const protocol of PROTOCOLS) {
        const call = await begin("back", protocol, SAFE, "length");
        expect(await call.verdict()).toBe("allow");
      }
    }
  });

  test.each(PROTOCOLS)(
    "with required: approval the calls of flagged tools wait, and no others, %s",
    async (protocol) => {
      const release = collector.hold("/flagged");
      const list = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list", params: { name: "delete_it" } });
      for (const body of [SAFE, list]) {
        const call = await begin("flagged", protocol, body, "length");
        expect(await call.verdict()).toBe("allow");
      }
      const flagged = await begin("flagged", protocol, toolCall("delete_it"), "length");
      const isThere = ({ record }: { record: Json }) =>
        record["gen_ai.tool.name"] === "delete_it" && "mcp_guard.message.version" in record;
      await pause(GLIMPSE_MS);
      expect(flagged.request.soFar()).toBeUndefined();
      expect(rig.origin.arrivals(flagged.id).filter(({ state }) => state !== "open")).toEqual([]);
      release();
      expect(await flagged.verdict()).toBe("allow");
      expect(collector.logs("/flagged").filter(isThere).length).toBe(protocol === "h1" ? 1 : 2);
    },
  );

  test("the access log has all of it, in whole chains", async () => {
    await expectNothingActive(rig);
    await expect.poll(() => records.lines(rig.envoy).length, PATIENCE).toBe(calls);
    for (const id of refusals) {
      expect(await recorded(id)).toMatchObject({
        "mcp_guard.decision": "refuse",
        "mcp_guard.reason": "audit_unavailable",
        "gen_ai.tool.name": "safe",
        "http.response.status_code": 503,
      });
    }
    const chains = await wholeChains(records.lines(rig.envoy));
    expect(chains.reduce((sum, chain) => sum + chain.records, 0)).toBe(calls);
  });

  interface Call {
    readonly id: string;
    readonly request: WireRequest;
    readonly answer: Promise<Answer | undefined>;
    /** What became of it, when the answer has come; closes the connection. */
    verdict(): Promise<string>;
    close(): void;
  }

  /** Sends a call on a connection of its own, in pieces. */
  async function begin(name: string, protocol: Protocol, text: string, end: (typeof ENDS)[number]): Promise<Call> {
    const connection: WireConnection = await rig.connect(protocol, name);
    const id = `call-${++calls}`;
    const body = bytesOf(text);
    const framing = end === "length" ? "length" : "chunked";
    const request = connection.open({
      method: "POST",
      path: "/mcp",
      headers: [...JSON_FIELDS, ...named(id)],
      framing,
      bodyBytes: body.length,
    });
    await sendPieces(request, inPieces(body, Math.ceil(body.length / 3)), {
      pauseMs: 1,
      trailers: end === "trailers" ? TRAILERS : undefined,
    });
    const mode = name.startsWith("hold") ? "hold" : "release";
    return {
      id,
      request,
      answer: request.answer,
      async verdict() {
        const answer = await request.answer;
        connection.close();
        return verdictOf(rig.origin, id, mode, body, answer);
      },
      close: () => connection.close(),
    };
  }

  /** Sends a call that is refused, as the client and the server see it; returns after how many milliseconds. */
  async function refused(name: string, protocol: Protocol): Promise<number> {
    const from = performance.now();
    const call = await begin(name, protocol, SAFE, "length");
    const answer = await call.answer;
    const ms = performance.now() - from;
    expect(await call.verdict()).toBe("refuse 503 audit_unavailable");
    expect(JSON.parse(String(answer?.body))).toMatchObject({ id: "call-7", error: { code: -32603 } });
    refusals.push(call.id);
    return ms;
  }

  /** The record of a call in the access log. */
  async function recorded(id: string): Promise<Json> {
    const find = () => records.lines(rig.envoy).find((line) => line.includes(`"http.request.id":"${id}"`));
    await expect.poll(find, PATIENCE).toBeDefined();
    return recordOf(find()!);
  }
});

function isRefusal({ name, record }: { name: string; record: Json }): boolean {
  return name === "exchange" && record["mcp_guard.reason"] === "audit_unavailable";
}
