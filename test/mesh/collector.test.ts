// Records in a real OpenTelemetry Collector that is killed under load. Goal: no call whose record was not acknowledged reaches the server; what was acknowledged
// is in the store of logs, as far as the collector's configuration allows; and what is lost is counted, and missing where `mcp-guard audit verify` says. Method:
// an Envoy with two workers, clients that do all that clients do, the collector killed and started again twice, and the records counted at four places: made
// (the access log), acknowledged (in front of the collector), stored (behind it), and by the filter's own counters.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ChainSummary, FaultKind } from "../../src/audit/chain.ts";
import { verifyTrail } from "../../src/audit/verify.ts";
import { log } from "../audit/memory-log.ts";
import { addCluster, countersAfter, type ExportCounters, exportCounters } from "../integration/collector.ts";
import { processDriver } from "../integration/drivers/process.ts";
import { answer } from "../integration/origin.ts";
import { createRecordLog, recordOf, wholeChains } from "../integration/record-log.ts";
import {
  expectNothingActive,
  guardIn,
  JSON_FIELDS,
  named,
  PROTOCOLS,
  type Rig,
  startRig,
  toolCall,
} from "../integration/rig.ts";
import { pause, type WireConnection } from "../integration/wire.ts";
import { goTool } from "./go-tools.ts";
import { type Pipeline, startPipeline } from "./otelcol/collector.ts";

// Built before the tests, which have time limits.
const binary = await goTool("otelcol");

const CONNECTIONS = 16;
/** Exchanges before the first end of the collector, between the two, and behind the last one. */
const STEP = 1_000;
/** So long it is gone. The guards ask again after a second. */
const GONE_MS = 500;
const STORE_MS = 10;
/** Records of some fifty exchanges for each worker: far less than is made while the collector is gone. */
const SMALL_QUEUE_BYTES = 65_536;
const TEST_MS_MAX = 90_000;
const LATE = { timeout: 30_000, interval: 50 } as const;

const SAFE = Buffer.from(toolCall("safe"));
const EVIL = Buffer.from(toolCall("evil"));
const MALFORMED = Buffer.from("[");

/** What is done in turn. */
const WAYS = ["safe", "evil", "safe", "malformed", "safe", "aborted", "safe", "evil", "safe", "hasty"] as const;

/** What the store says, and what the guards then get from a collector that acknowledges nothing by itself. */
const STORE_FAILURES = [
  [429, 429],
  [502, 503],
  [503, 503],
  [504, 503],
  ["drop", 503],
  ["silent", 503],
  // For good: the guards give the records up, and count them.
  [400, 400],
  [401, 401],
  [413, 500],
  [500, 500],
] as const;
const REJECTS_ONE = '{"partialSuccess":{"rejectedLogRecords":"1","errorMessage":"no"}}';
const ONE_RECORD = JSON.stringify({
  resourceLogs: [{ scopeLogs: [{ logRecords: [{ body: { stringValue: "a record" } }] }] }],
});

describe("a collector that is synchronous", () => {
  let pipeline: Pipeline;

  beforeAll(async () => {
    pipeline = await startPipeline(binary, "synchronous", 0);
  });

  afterAll(() => pipeline?.stop());

  test.each(STORE_FAILURES)("hands on that the store does not take records: %s is %i", async (says, status) => {
    pipeline.failStore(typeof says === "number" ? { status: says, body: "{}" } : says);
    expect(await pipeline.post(ONE_RECORD)).toBe(status);
  });

  test("does not hand on that the store rejects single records", async () => {
    pipeline.failStore({ status: 200, body: REJECTS_ONE });
    expect(await pipeline.post(ONE_RECORD)).toBe(200);
  });
});

describe("the calls that wait, and a collector that is killed twice", () => {
  test(
    "synchronous: the store has each acknowledged record",
    async () => {
      const run = await underLoad("synchronous", { required: "all" });
      expectRequired(run);
      expect(run.inMemory).toEqual([]);
      expect(run.lost).toEqual([]);
      expect(missingIn(run)).toBe(0);
      report("required, synchronous", run);
    },
    TEST_MS_MAX,
  );

  test(
    "queued: what the collector had in its memory is lost, and nothing else",
    async () => {
      const run = await underLoad("queued", { required: "all" });
      expectRequired(run);
      expect(run.inMemory.length).toBeGreaterThan(0);
      expect(run.lost.filter((key) => !run.inMemory.includes(key))).toEqual([]);
      const lostExchanges = run.lost.filter((key) => key.startsWith("exchange")).length;
      expect(missingIn(run)).toBe(lostExchanges);
      report("required, queued", run);
    },
    TEST_MS_MAX,
  );
});

test(
  "without calls that wait: what the queue drops is counted, and missing in the store",
  async () => {
    const run = await underLoad("synchronous", { queueBytes: SMALL_QUEUE_BYTES });
    expect(run.lost).toEqual([]);
    expect(run.counters.dropped).toBeGreaterThan(0);
    expect(run.counters.exported + run.counters.dropped).toBe(run.exchanges);
    expect(run.pipeline.acknowledged.count).toBe(run.counters.exported);
    expect(run.pipeline.stored.byKey.size).toBe(run.counters.exported);
    // No later record shows a gap at the end of a chain: only the access log knows of those.
    expect(missingIn(run) + missingAtEnds(run)).toBe(run.counters.dropped);
    report("not required, small queue", run);
  },
  TEST_MS_MAX,
);

interface Run {
  readonly pipeline: Pipeline;
  /** Requests of the clients, each of which has its line in the access log. */
  readonly exchanges: number;
  /** Calls of which the server has got the whole body, and those among them that it got before their record was acknowledged. */
  readonly served: readonly string[];
  readonly early: readonly string[];
  /** Calls that were refused because their record could not be had acknowledged. */
  readonly refused: number;
  readonly counters: ExportCounters;
  /** What the collector had acknowledged and not handed on when it was killed, both times together; by `keyOf`. */
  readonly inMemory: readonly string[];
  /** What it has acknowledged and the store never got. */
  readonly lost: readonly string[];
  /** What `mcp-guard audit verify` says of the store, and of the access log. */
  readonly chains: readonly ChainSummary[];
  readonly logged: readonly ChainSummary[];
}

/** Has clients make exchanges while the collector is killed and started again twice. */
async function underLoad(
  configuration: "synchronous" | "queued",
  { required = "none", queueBytes = 4 << 20 }: { required?: string; queueBytes?: number },
): Promise<Run> {
  const records = createRecordLog(processDriver.name);
  const pipeline = await startPipeline(binary, configuration, STORE_MS);
  const served: string[] = [];
  const early: string[] = [];
  const otlp = {
    cluster: "collector",
    authority: "otel:4318",
    flush_ms: 100,
    messages: "none",
    queue_bytes: queueBytes,
  };
  const rig = await startRig({
    driver: processDriver,
    concurrency: 2,
    guards: [guardIn("release", { tool_allowlist: ["safe"], audit: { otlp, required } })],
    edit(bootstrap) {
      // Else one worker may take all connections.
      bootstrap.static_resources.listeners[0]!.connection_balance_config = { exact_balance: {} };
      addCluster(bootstrap, "collector", pipeline.port);
      records.add(bootstrap);
    },
    respond(arrival, response) {
      void arrival.ended.then(() => {
        if (arrival.state !== "complete") return;
        const id = String(arrival.headers["x-request-id"]);
        served.push(id);
        if (!pipeline.acknowledgedRequests.has(id)) early.push(id);
        answer(response);
      });
    },
  });
  try {
    const before = await exportCounters(rig.envoy);
    const load = startLoad(rig);
    let inMemory: readonly string[] = [];
    for (let round = 0; round < 2; round++) {
      await load.made(STEP);
      await pipeline.kill();
      // What was lost the first time is among it the second time.
      inMemory = pipeline.outstanding();
      await pause(GONE_MS);
      await pipeline.start();
      const acknowledged = pipeline.acknowledged.count;
      await expect.poll(() => pipeline.acknowledged.count, LATE).toBeGreaterThan(acknowledged);
    }
    await load.made(STEP);
    const { exchanges, refused } = await load.end();
    await expectNothingActive(rig);
    const counters = await countersAfter(rig.envoy, before);
    // The store gets what was acknowledged, but what was lost.
    let lost: string[] = [];
    for (let quiet = -1; quiet !== lost.length; ) {
      quiet = lost.length;
      await pause(500);
      lost = pipeline.outstanding();
    }
    await expect.poll(() => records.lines(rig.envoy).length, LATE).toBe(exchanges);
    const logged = await wholeChains(records.lines(rig.envoy));
    expect(logged).toHaveLength(2);
    // What the store has is what the access log has.
    const lines = new Set(records.lines(rig.envoy));
    const foreign = [...pipeline.stored.byKey.values()].filter(
      ({ name, text }) => name === "exchange" && !lines.has(text),
    );
    expect(foreign).toEqual([]);
    const refusedByRecord = records
      .lines(rig.envoy)
      .filter((line) => recordOf(line)["mcp_guard.reason"] === "audit_unavailable");
    // Clients that have gone do not hear of it.
    expect(refusedByRecord.length).toBeGreaterThanOrEqual(refused);
    return {
      pipeline,
      exchanges,
      served,
      early,
      refused,
      counters,
      inMemory,
      lost,
      chains: await verifiedGaps(pipeline.stored.bodies),
      logged,
    };
  } finally {
    await rig.stop();
    await pipeline.stop();
    records.remove();
  }
}

/** What holds of calls that wait with any collector. */
function expectRequired(run: Run): void {
  const { pipeline, served, early, counters } = run;
  expect(early).toEqual([]);
  expect(served.length).toBeGreaterThan(STEP);
  expect(served.filter((id) => !pipeline.acknowledgedRequests.has(id))).toEqual([]);
  expect(run.refused).toBeGreaterThan(0);
  expect(counters.dropped).toBe(0);
  expect(pipeline.acknowledged.count).toBe(counters.exported);
  // The record of each exchange follows in the end.
  const exchanges = [...pipeline.acknowledged.byKey.values()].filter(({ name }) => name === "exchange").length;
  expect(exchanges).toBe(run.exchanges);
}

function missingIn({ chains }: Run): number {
  return chains.reduce((sum, { missing }) => sum + missing, 0);
}

/** What the store misses behind the last record that it has of each chain. */
function missingAtEnds({ chains, logged }: Run): number {
  return logged.reduce((sum, { chain, last }) => {
    const stored = chains.find((one) => one.chain === chain);
    return sum + last - (stored?.last ?? 0);
  }, 0);
}

/** The chains of the store, which has nothing but gaps. */
async function verifiedGaps(bodies: readonly string[]): Promise<readonly ChainSummary[]> {
  const kinds = new Set<FaultKind>();
  const { chains } = await verifyTrail([log(bodies)], { fromStart: true, onFault: ({ kind }) => kinds.add(kind) });
  expect([...kinds].filter((kind) => kind !== "gap")).toEqual([]);
  expect(chains).toHaveLength(2);
  return chains;
}

function report(what: string, run: Run): void {
  const { pipeline, counters } = run;
  console.log(
    [
      `${what}: exchanges ${run.exchanges}, served ${run.served.length}, refused audit_unavailable ${run.refused}`,
      `exported ${counters.exported}, dropped ${counters.dropped}, calls failed ${counters.callsFailed}`,
      `acknowledged ${pipeline.acknowledged.byKey.size}, stored ${pipeline.stored.byKey.size} (${pipeline.stored.count} with repetitions)`,
      `in memory at the kills ${run.inMemory.length}, lost ${run.lost.length}, gaps of verify ${missingIn(run)}`,
    ].join("; "),
  );
}

interface Load {
  /** Waits until so many more exchanges have been begun. */
  made(count: number): Promise<void>;
  /** Has all clients end; the exchanges that they have made, and those of them that were refused for want of a record. */
  end(): Promise<{ exchanges: number; refused: number }>;
}

function closed(connection: WireConnection): undefined {
  connection.close();
}

/** Clients that make exchanges, each one after the other, until they are told to end. */
function startLoad(rig: Rig): Load {
  let exchanges = 0;
  let refused = 0;
  let isEnding = false;
  const client = async (index: number) => {
    const protocol = PROTOCOLS[index % 2]!;
    let connection: WireConnection | undefined;
    while (!isEnding) {
      if (connection === undefined || connection.isClosed()) connection = await rig.connect(protocol);
      const turn = exchanges++;
      const way = WAYS[turn % WAYS.length]!;
      const body = way === "evil" ? EVIL : way === "malformed" ? MALFORMED : SAFE;
      const headers = [...JSON_FIELDS, ...named(`load-${turn}`)];
      const request = connection.open({
        method: "POST",
        path: "/mcp",
        headers,
        framing: "length",
        bodyBytes: body.length,
      });
      if (way === "aborted" || way === "hasty") {
        // The one leaves in the middle of its body, the other behind it.
        request.send(way === "aborted" ? body.subarray(0, 40) : body);
        if (way === "hasty") request.end();
        await pause(1);
        request.disconnect();
        if (protocol === "h1") connection = closed(connection);
        continue;
      }
      request.end(body);
      const got = await request.answer;
      if (got === undefined || got.isCut) throw new Error(`no answer to exchange ${turn}`);
      // A body that is refused before its end has been read leaves nothing for another request.
      if (got.headers.get("connection") === "close") connection = closed(connection);
      const isWanting = got.status === 503;
      if (isWanting) {
        expect(String(got.body)).toContain("audit_unavailable");
        refused++;
        // Whoever is told to come again does not come at once.
        await pause(20);
      } else {
        expect(got.status).toBe(way === "malformed" ? 400 : 200);
      }
    }
    connection?.close();
  };
  const clients = Promise.all(Array.from({ length: CONNECTIONS }, (_, index) => client(index)));
  return {
    async made(count) {
      const target = exchanges + count;
      await Promise.race([clients, expect.poll(() => exchanges, LATE).toBeGreaterThanOrEqual(target)]);
    },
    async end() {
      isEnding = true;
      await clients;
      return { exchanges, refused };
    },
  };
}
