// Records on their way to a collector, in a real Envoy. Goal: every record that the access log has arrives, byte for byte and in order, in batches; a
// collector that fails holds up no traffic; and what is lost is counted, and missing where `mcp-guard audit verify` says. Method: raw clients, and a
// collector of the suite that fails as it is told. Each guard has a path of its own there. Calls that wait: collector-required.test.ts.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ChainSummary } from "../../src/audit/chain.ts";
import { verifyTrail } from "../../src/audit/verify.ts";
import { log } from "../audit/memory-log.ts";
import {
  addCluster,
  type Collector,
  countersAfter,
  exportCounters,
  type Log,
  startCollector,
  TAKEN,
} from "./collector.ts";
import { versionRuns } from "./drivers/drivers.ts";
import { ORIGIN_ANSWER } from "./origin.ts";
import { createRecordLog, type RecordLog, recordOf, wholeChains } from "./record-log.ts";
import {
  guardIn,
  JSON_FIELDS,
  named,
  PATIENCE,
  PROTOCOLS,
  type Protocol,
  type Rig,
  startRig,
  toolCall,
} from "./rig.ts";
import { type Answer, pause } from "./wire.ts";

const FLUSH_MS = 100;
const TIMEOUT_MS = 500;
const QUEUE_BYTES = 65_536;
/** Longer than a test waits: what is sent later is still there at the end. */
const FLUSH_MS_MAX = 10_000;
/** Far below `TIMEOUT_MS` and the second after which a batch is sent again: nobody waits for the collector. */
const ANSWER_MS = 450;
const BATCH_BYTES = 256 << 10;
/** Records of more than two batches. */
const MANY = 800;

/** A policy with a path of its own at the collector. */
const policyOf = (path: string, otlp: object = {}): object => ({
  tool_allowlist: ["safe"],
  audit: {
    otlp: { cluster: "collector", authority: "otel:4318", path, flush_ms: FLUSH_MS, messages: "none", ...otlp },
  },
});

/** How a collector fails for a while, and what the filter says of the first time. */
const FAILURES = [
  { name: "gone", says: "status 503" },
  { name: "overloaded", behaviour: { status: 429 }, says: "status 429" },
  { name: "unavailable", behaviour: { status: 503 }, says: "status 503" },
  { name: "cut", behaviour: "drop", says: "status 503" },
  { name: "slow", behaviour: "silent", says: "status 504" },
] as const;

const SAFE = toolCall("safe");
const EVIL = toolCall("evil");
const HOSTILE = toolCall('a"\\\n\u202e');
const EVENTS = [
  { jsonrpc: "2.0", method: "notifications/progress", params: { progressToken: 1, progress: 1 } },
  { jsonrpc: "2.0", id: "x", method: "ping" },
  { jsonrpc: "2.0", id: 1, result: { tools: [{ name: "safe" }, { name: "evil" }] } },
];

describe.each(versionRuns())("Envoy $version as a $name", ({ driver, version }) => {
  let collector: Collector;
  let other: Collector;
  let records: RecordLog;
  let rig: Rig;

  beforeAll(async () => {
    [collector, other] = [await startCollector(), await startCollector()];
    records = createRecordLog(driver.name);
    rig = await startRig({
      driver,
      version,
      guards: [
        ...["each", "batches", "rejecting"].map((name) => guardIn("release", policyOf(`/${name}`), { name })),
        guardIn(
          "release",
          // The watchdog's look sends what waits too.
          { ...policyOf("/soon", { flush_ms: FLUSH_MS_MAX }), limits: { stall_ms: 4 * FLUSH_MS_MAX } },
          { name: "soon" },
        ),
        guardIn("release", policyOf("/messages", { messages: "all" }), { name: "messages" }),
        guardIn("release", policyOf("/full", { queue_bytes: QUEUE_BYTES }), { name: "full" }),
        ...FAILURES.map(({ name }) => {
          const cluster = name === "gone" ? "other" : "collector";
          return guardIn("release", policyOf(`/${name}`, { cluster, timeout_ms: TIMEOUT_MS }), { name });
        }),
      ],
      edit(bootstrap) {
        addCluster(bootstrap, "collector", collector.port);
        addCluster(bootstrap, "other", other.port);
        records.add(bootstrap);
      },
      respond(arrival, response) {
        void arrival.ended.then(() => {
          const isStream = arrival.path === "/events";
          response.writeHead(200, { "content-type": isStream ? "text/event-stream" : "application/json" });
          response.end(isStream ? EVENTS.map((event) => `data: ${JSON.stringify(event)}\n\n`).join("") : ORIGIN_ANSWER);
        });
      },
    });
  });

  afterAll(async () => {
    await rig?.stop();
    records?.remove();
    await collector?.stop();
    await other?.stop();
  });

  test("a record arrives as the access log has it, under the same event.id", async () => {
    const before = await exportCounters(rig.envoy);
    for (const protocol of PROTOCOLS) {
      for (const body of [SAFE, EVIL, "[", HOSTILE, undefined]) await exchange("each", protocol, body);
      await leaveInBody("each", protocol);
    }
    const logs = await arrived("each", 12);
    expect(logs.map(({ text }) => text)).toEqual(await linesLike(logs));
    expect(logs.map(({ eventId }) => eventId)).toEqual(logs.map(({ record }) => record["event.id"]));
    expect(new Set(logs.map(({ eventId }) => eventId)).size).toBe(12);
    const decisions = logs.slice(0, 6).map(({ record }) => record["mcp_guard.decision"]);
    expect(decisions).toEqual(["allow", "refuse", "refuse", "refuse", "pass", "none"]);
    const severities = logs.slice(0, 6).map(({ severity }) => severity);
    expect(severities).toEqual(["INFO", "WARN", "WARN", "WARN", "INFO", "INFO"]);
    expect(collector.deliveries("/each")[0]?.headers).toMatchObject({
      host: "otel:4318",
      "content-type": "application/json",
    });
    expect(await countersAfter(rig.envoy, before)).toMatchObject({ exported: 12, dropped: 0, callsFailed: 0 });
    await wholeChains(collector.deliveries("/each").map(({ body }) => body));
  });

  test.each(PROTOCOLS)(
    "messages of both sides have records in front of that of their exchange, %s",
    async (protocol) => {
      const before = await exportCounters(rig.envoy);
      const from = collector.logs("/messages").length;
      await exchange("messages", protocol, SAFE, "/events");
      await exchange("messages", protocol, EVIL);
      const logs = (await arrived("messages", from + 7)).slice(from);
      expect(await countersAfter(rig.envoy, before)).toMatchObject({ exported: 7, dropped: 0 });
      expect(
        logs.map(({ name, record }) => [
          name,
          record["mcp_guard.message.number"],
          record["mcp_guard.message.direction"],
          record["jsonrpc.request.id"],
          record["mcp_guard.decision"],
        ]),
      ).toEqual([
        ["message", 1, "client", "1", "allow"],
        ["message", 2, "server", undefined, undefined],
        ["message", 3, "server", "x", undefined],
        ["message", 4, "server", "1", undefined],
        ["exchange", undefined, undefined, "1", "allow"],
        ["message", 1, "client", "1", "refuse"],
        ["exchange", undefined, undefined, "1", "refuse"],
      ]);
      expect(logs[3]?.record).toMatchObject({ "mcp_guard.response.listed": 1, "mcp_guard.response.removed": 1 });
      const ids = logs.map(({ eventId }) => eventId);
      expect(ids).toEqual([...Array(5).fill(ids[0]), ids[5], ids[5]]);
      expect(ids[5]).not.toBe(ids[0]);
      const exchanges = logs.filter(({ name }) => name === "exchange");
      expect(exchanges.map(({ text }) => text)).toEqual((await linesLike(logs)).slice(-2));
    },
  );

  test("many go in batches of a bounded size, in order", async () => {
    const before = await exportCounters(rig.envoy);
    const release = collector.hold("/batches");
    await many("batches", MANY);
    await expect.poll(() => collector.deliveries("/batches").length, PATIENCE).toBe(1);
    release();
    const logs = await arrived("batches", MANY);
    expect(logs.map(({ text }) => text)).toEqual(await linesLike(logs));
    const [chain] = await wholeChains(collector.deliveries("/batches").map(({ body }) => body));
    expect(chain).toMatchObject({ records: MANY, first: 1, last: MANY, missing: 0, duplicates: 0, reordered: 0 });
    const sizes = collector.deliveries("/batches").map(({ body }) => body.length);
    expect(sizes.length).toBeGreaterThan(2);
    expect(sizes.length).toBeLessThan(20);
    expect(Math.max(...sizes)).toBeGreaterThan(BATCH_BYTES / 2);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(BATCH_BYTES + 1024);
    expect(await countersAfter(rig.envoy, before)).toMatchObject({ exported: MANY, dropped: 0, callsFailed: 0 });
  });

  test("a collector that fails for a while is asked again, loses nothing, and holds up nobody", async () => {
    const before = await exportCounters(rig.envoy);
    await other.stop();
    await Promise.all(
      FAILURES.map(async (failure) => {
        const { name } = failure;
        if ("behaviour" in failure) collector.behave(`/${name}`, failure.behaviour);
        for (const protocol of PROTOCOLS) {
          for (const body of [SAFE, EVIL, "["]) await expectUsual(name, protocol, body);
        }
        if (name === "gone")
          await expect
            .poll(async () => (await exportCounters(rig.envoy)).callsFailed, PATIENCE)
            .toBeGreaterThan(before.callsFailed);
        else await expect.poll(() => collector.deliveries(`/${name}`).length, PATIENCE).toBeGreaterThan(0);
        // Behind the failure too.
        await expectUsual(name, "h1", SAFE);
      }),
    );
    // Each guard has found out by now, and says so once.
    await expect
      .poll(() => FAILURES.map(({ says }) => says).filter((says) => !rig.envoy.logs().includes(says)), PATIENCE)
      .toEqual([]);
    await other.restart();
    for (const { name } of FAILURES) collector.behave(`/${name}`, TAKEN);
    for (const { name } of FAILURES) {
      const logs = await arrived(name, 7);
      expect(logs.map(({ text }) => text)).toEqual(await linesLike(logs));
      const deliveries = of(name).deliveries(`/${name}`);
      const [chain] = await wholeChains(deliveries.map(({ body }) => body));
      expect(chain).toMatchObject({ records: 7, missing: 0 });
      // What may have been stored before it failed comes again, as it was.
      if (name !== "gone") expect(chain!.duplicates).toBeGreaterThan(0);
    }
    const { callsFailed, ...counted } = await countersAfter(rig.envoy, before);
    expect(counted).toEqual({ exported: 7 * FAILURES.length, dropped: 0, queueBytes: 0 });
    expect(callsFailed).toBeGreaterThanOrEqual(FAILURES.length);
    const recoveries = () => rig.envoy.logs().split("the collector takes records again").length - 1;
    await expect.poll(recoveries, PATIENCE).toBe(FAILURES.length);
  });

  test("what it rejects is lost, counted, and missing where the trail says", async () => {
    const before = await exportCounters(rig.envoy);
    const path = "/rejecting";
    await many("rejecting", 2);
    await arrived("rejecting", 2);
    collector.behave(path, { status: 400 });
    await many("rejecting", 3);
    await expect.poll(dropped, PATIENCE).toBe(3);
    collector.behave(path, { status: 200, rejected: 1 });
    await many("rejecting", 4);
    const inPart = () => collector.deliveries(path).filter(({ answered }) => answered?.rejected === 1);
    await expect.poll(() => inPart().flatMap(({ logs }) => logs).length, PATIENCE).toBe(4);
    collector.behave(path, TAKEN);
    await many("rejecting", 3);
    const lost = 3 + inPart().length;
    const logs = await arrived("rejecting", 12 - lost);
    const counted = await countersAfter(rig.envoy, before);
    expect(counted).toMatchObject({ exported: 12 - lost, dropped: lost });
    const { missing, gaps } = await verify(logs.map(({ text }) => text));
    expect(missing).toBe(lost);
    expect(gaps[0]).toContain("found record 7, expected 3: 4 missing");

    async function dropped(): Promise<number> {
      return (await exportCounters(rig.envoy)).dropped - before.dropped;
    }
  });

  test("what has no room in the queue is dropped, counted, and missing where the trail says", async () => {
    const before = await exportCounters(rig.envoy);
    const release = collector.hold("/full");
    await many("full", 150);
    const { dropped, queueBytes } = await exportCounters(rig.envoy);
    const lost = dropped - before.dropped;
    expect(lost).toBeGreaterThan(50);
    expect(queueBytes).toBeGreaterThan(QUEUE_BYTES - 2048);
    expect(queueBytes).toBeLessThanOrEqual(QUEUE_BYTES);
    release();
    await arrived("full", 150 - lost);
    expect(await countersAfter(rig.envoy, before)).toMatchObject({ exported: 150 - lost, dropped: lost });
    // The end of a chain shows nothing: the gap is in front of the next record.
    await many("full", 5);
    const logs = await arrived("full", 155 - lost);
    const { missing, gaps } = await verify(logs.map(({ text }) => text));
    expect(missing).toBe(lost);
    expect(gaps).toEqual([`found record 151, expected ${151 - lost}: ${lost} missing`]);
    expect(await countersAfter(rig.envoy, before)).toMatchObject({ exported: 155 - lost, dropped: lost });
  });

  test("a full batch does not wait for others, so that a queue has room for more than its size", async () => {
    const before = await exportCounters(rig.envoy);
    await many("soon", 2 * MANY);
    const sequences = () => collector.logs("/soon").map(({ record }) => record["mcp_guard.chain.sequence"]);
    await expect.poll(() => sequences().length, PATIENCE).toBeGreaterThan(MANY);
    expect(sequences()).toEqual(sequences().map((_, index) => index + 1));
    expect((await exportCounters(rig.envoy)).dropped).toBe(before.dropped);
  });

  test("the access log has all of it, in whole chains", async () => {
    const exchanges = 12 + 4 + MANY + 7 * FAILURES.length + 12 + 155 + 2 * MANY;
    await expect.poll(() => records.lines(rig.envoy).length, PATIENCE).toBe(exchanges);
    const chains = await wholeChains(records.lines(rig.envoy));
    expect(chains).toHaveLength(6 + FAILURES.length);
  });

  function of(guard: string): Collector {
    return guard === "gone" ? other : collector;
  }

  /** Waits until the collector has taken so many records of a guard, and no more. */
  async function arrived(guard: string, count: number): Promise<readonly Log[]> {
    const logs = () => of(guard).logs(`/${guard}`);
    await expect.poll(() => logs().length, PATIENCE).toBeGreaterThanOrEqual(count);
    expect(logs()).toHaveLength(count);
    return logs();
  }

  /** The lines of the access log of the guard that these are from. */
  async function linesLike(logs: readonly Log[]): Promise<string[]> {
    const exchanges = logs.filter(({ name }) => name === "exchange");
    const { "mcp_guard.chain.id": chain, "event.id": last } = exchanges.at(-1)!.record;
    const lines = () => records.lines(rig.envoy).filter((line) => recordOf(line)["mcp_guard.chain.id"] === chain);
    await expect.poll(() => lines().map(recordOf).at(-1)?.["event.id"], PATIENCE).toBe(last);
    return lines();
  }

  /** One exchange on a connection of its own; without a body a GET. */
  async function exchange(
    guard: string,
    protocol: Protocol,
    body?: string,
    path = "/mcp",
  ): Promise<Answer | undefined> {
    const connection = await rig.connect(protocol, guard);
    try {
      const isGet = body === undefined;
      const bytes = Buffer.from(body ?? "");
      const request = connection.open({
        method: isGet ? "GET" : "POST",
        path,
        headers: isGet ? [] : JSON_FIELDS,
        framing: isGet ? "none" : "length",
        bodyBytes: bytes.length,
      });
      if (!isGet) request.end(bytes);
      return await request.answer;
    } finally {
      connection.close();
    }
  }

  /** One exchange whose client gets what it gets with any collector, and as soon. */
  async function expectUsual(guard: string, protocol: Protocol, body: string): Promise<void> {
    const from = performance.now();
    const answer = await exchange(guard, protocol, body);
    expect(answer?.status).toBe(body === "[" ? 400 : 200);
    expect(String(answer?.body)).toContain(body === SAFE ? ORIGIN_ANSWER : '"reason"');
    expect(performance.now() - from).toBeLessThan(ANSWER_MS);
  }

  /** So many exchanges at once, over ten connections. */
  async function many(guard: string, count: number): Promise<void> {
    const connections = Math.min(count, 10);
    await Promise.all(
      Array.from({ length: connections }, async (_, index) => {
        const connection = await rig.connect(PROTOCOLS[index % 2]!, guard);
        const bytes = Buffer.from(SAFE);
        for (let at = index; at < count; at += connections) {
          const head = { method: "POST", path: "/mcp", headers: JSON_FIELDS, framing: "length" } as const;
          const request = connection.open({ ...head, bodyBytes: bytes.length });
          request.end(bytes);
          expect((await request.answer)?.status).toBe(200);
        }
        connection.close();
      }),
    );
  }

  async function leaveInBody(guard: string, protocol: Protocol): Promise<void> {
    const connection = await rig.connect(protocol, guard);
    const request = connection.open({
      method: "POST",
      path: "/mcp",
      headers: [...JSON_FIELDS, ...named("leaves")],
      framing: "length",
      bodyBytes: SAFE.length,
    });
    request.send(Buffer.from(SAFE.slice(0, 20)));
    await pause(50);
    request.disconnect();
    // On HTTP/2 that was the stream alone.
    await pause(20);
    connection.close();
  }
});

/** What `mcp-guard audit verify` says of records that are one chain: nothing but gaps. */
async function verify(lines: readonly string[]): Promise<Pick<ChainSummary, "missing"> & { gaps: string[] }> {
  const gaps: string[] = [];
  const { chains } = await verifyTrail([log(lines)], {
    fromStart: true,
    onFault(fault) {
      expect(fault.kind).toBe("gap");
      gaps.push(fault.text);
    },
  });
  expect(chains).toHaveLength(1);
  return { missing: chains[0]!.missing, gaps };
}
