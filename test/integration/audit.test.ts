// The record of an exchange in a real Envoy. Goal: every HTTP stream leaves one line, however it ends, and as many as Envoy counts streams; it says what
// became of the exchange; the lines of a guard are one whole chain, also with several workers and over updates of the configuration; and no secret is in any
// sink. Method: each way of audit-ways.ts with raw clients, an access log of its own, and the reader of records that `mcp-guard audit verify` is made of.
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Bootstrap, connectionManager } from "../../src/envoy/bootstrap.ts";
import { CANARY, SECRET_ANSWERS, SECRET_BODIES, SECRET_HEADERS } from "../audit/secrets.ts";
import { testedVersions } from "../versions.ts";
import { logAlso, logged } from "./access-log.ts";
import { type AuditRig, message, NO_RECORD, startAuditRig, USUAL_GUARDS, WAYS } from "./audit-ways.ts";
import { versionRuns } from "./drivers/drivers.ts";
import { processDriver } from "./drivers/process.ts";
import type { OriginResponse, Respond } from "./origin.ts";
import { createRecordLog, type RecordLog, recordOf, wholeChains } from "./record-log.ts";
import {
  expectNothingActive,
  guardIn,
  JSON_FIELDS,
  PATIENCE,
  PROTOCOLS,
  type Protocol,
  type Rig,
  startRig,
  toolCall,
} from "./rig.ts";
import { type Answer, type Fields, pause, type WireHead } from "./wire.ts";

/** In the processes of the newest version with an HTTP/2 server too. */
const RUNS = versionRuns().flatMap((run) =>
  PROTOCOLS.filter((upstream) => upstream === "h1" || (run.isNewest && run.driver === processDriver)).map(
    (upstream) => ({ ...run, upstream }),
  ),
);

const STREAMS = "http.guard.downstream_rq_total";
/** Envoy writes its access logs so often. */
const FLUSH_MS = 50;

const HOSTILE = [
  '"},{"mcp_guard.decision":"allow',
  '\\n{"mcp_guard.audit.version":1}',
  "\u0000\u001f\u007f\u0080\u009b",
  "line\r\nbreak\u2028\u2029\u0085",
  "\u202e\u2066\u200b\ufeff\u{e0041}",
  "\u{1f50d}".repeat(200),
  "\n".repeat(5_000),
  "%n%s{{7*7}}%REQ(:PATH)%",
];

/** Bytes for headers and paths: of no UTF-8 sequence, beyond Unicode, quotes, an escape of a terminal. */
const HOSTILE_BYTES = [
  "\u00ff",
  "\u00c3",
  "\u00ed\u00a0\u0080",
  "\u00f4\u0090\u0080\u0080",
  '"},{"',
  "\u001b[2K",
  "x".repeat(5_000),
];

function bodiesWith(text: string): string[] {
  return [
    toolCall(text),
    message("prompts/get", { name: text }),
    message("resources/read", { uri: `file:///srv/${text}` }),
    message("completion/complete", { ref: { type: "ref/prompt", name: text }, argument: { name: "a", value: text } }),
    message(`vendor/${text}`),
    JSON.stringify({ jsonrpc: "2.0", id: text.slice(0, 40), method: "ping" }),
    message("ping", { _meta: { traceparent: text } }),
    text,
  ];
}

const SECRET_PATH = `/secret?key=${CANARY}`;
const SECRET_FIELDS: Fields = [...JSON_FIELDS, ...SECRET_HEADERS];
/** Replaced, and cut. */
const BAD_ANSWERS = [CANARY, `{"jsonrpc":"2.0","id":1,"result":{"a":"${CANARY.repeat(20_000)}",,`];

let answered = 0;
const answerSecretly: Respond = (arrival, response) => {
  void arrival.ended.then(() => {
    const answers = [...SECRET_ANSWERS, ...BAD_ANSWERS];
    const text = answers[answered++ % answers.length]!;
    const type = text === CANARY ? "text/html" : "application/json";
    response.writeHead(200, { "content-type": type, "set-cookie": CANARY, "mcp-session-id": CANARY });
    response.end(text);
  });
};

describe.each(RUNS)("Envoy $version as a $name, an $upstream server", ({ driver, version, upstream }) => {
  let audit: AuditRig;

  beforeAll(async () => {
    audit = await startAuditRig({
      driver,
      version,
      upstream,
      respond: answerSecretly,
      // A query may hold a secret, and this log is the suite's own.
      edit: (bootstrap) => logAlso(bootstrap, { path: "%PATH(NQ)%" }),
    });
  });

  afterAll(() => audit?.stop());

  describe.each(PROTOCOLS)("an %s client", (protocol) => {
    const rows = WAYS.filter(({ only }) => only === undefined || only === protocol).flatMap((way) =>
      (way.guard === undefined ? USUAL_GUARDS : [way.guard]).map((guard) => [way.name, guard, way] as const),
    );

    test.each(rows)("%s (%s)", async (_name, guard, way) => {
      const lines = await audit.go(way, protocol, guard);
      expect(lines).toHaveLength(1);
      const says = typeof way.says === "function" ? way.says({ protocol, upstream }) : way.says;
      if (says === NO_RECORD) {
        expect(lines).toEqual([NO_RECORD]);
        return;
      }
      const record = recordOf(lines[0]!);
      expect(record).toMatchObject(says);
      expect((way.lacks ?? []).filter((member) => member in record)).toEqual([]);
    });

    test.each(HOSTILE.map((text) => [JSON.stringify(text).slice(0, 40), text] as const))(
      "hostile texts are on one line each: %s",
      async (_name, text) => {
        const bodies = bodiesWith(text);
        const records = (await linesOf(bodies.map((body) => ({ body })))).map(recordOf);
        expect(records).toHaveLength(bodies.length);
        // The beginning of the name, as many whole characters as have room.
        const names = records.flatMap((record) => record["gen_ai.tool.name"] ?? []);
        expect(names).toHaveLength(1);
        expect(text.startsWith(String(names[0]))).toBe(true);
      },
    );

    test("hostile bytes in headers are on one line each", async () => {
      const requests = HOSTILE_BYTES.flatMap((bytes) => {
        const headers: Fields = [...JSON_FIELDS, ["x-request-id", bytes], ["traceparent", bytes]];
        const paths = [`/${bytes}`, "/mcp"].map((path) => ({ body: toolCall("safe"), headers, path }));
        return [...paths, { body: toolCall("safe"), path: `/${bytes}` }];
      });
      const lines = await linesOf(requests);
      expect(lines).toHaveLength(requests.length);
      for (const line of lines.filter((one) => one !== NO_RECORD)) recordOf(line);
      // What Envoy itself does not let through, no filter has seen on HTTP/2.
      if (protocol === "h1") expect(lines).not.toContain(NO_RECORD);
    });

    test.each(["released", "held", "monitor", "outbound"])("no secret is in any sink: %s", async (guard) => {
      const repeated = SECRET_BODIES.flatMap((body) => [body, body, body]);
      const requests = [...repeated, undefined].map((body) => ({ body, headers: SECRET_FIELDS, path: SECRET_PATH }));
      expect((await linesOf(requests, guard)).map(recordOf)).toHaveLength(requests.length);
      const { envoy } = audit.rig;
      const pages = ["/stats", "/stats/prometheus"].map(async (page) => (await fetch(envoy.adminUrl + page)).text());
      const sinks = {
        records: audit.records.lines(envoy).join("\n"),
        log: envoy.logs(),
        access: JSON.stringify(envoy.accessLog()),
        stats: (await Promise.all(pages)).join("\n"),
      };
      for (const [name, text] of Object.entries(sinks)) {
        expect(text.length, name).toBeGreaterThan(0);
        expect(text.includes(CANARY), name).toBe(false);
      }
    });

    /** Sends requests, each on a connection of its own; returns the lines that they leave. */
    async function linesOf(requests: readonly Sent[], guard = "released"): Promise<string[]> {
      const { rig, records } = audit;
      const before = records.lines(rig.envoy).length;
      for (const sent of requests) await send(rig, protocol, sent, guard);
      const lines = () => records.lines(rig.envoy).slice(before);
      await expect.poll(() => lines().length, PATIENCE).toBeGreaterThanOrEqual(requests.length);
      return lines();
    }
  });

  test("there are as many lines as streams, and the chains are whole", async () => {
    const { rig, records } = audit;
    await expectNothingActive(rig);
    const streams = (await rig.envoy.stats(`^${STREAMS}$`)).get(STREAMS)!;
    await expect.poll(() => records.lines(rig.envoy).length, PATIENCE).toBe(streams);
    await pause(2 * FLUSH_MS);
    const lines = records.lines(rig.envoy);
    expect(lines).toHaveLength(streams);
    const guarded = lines.filter((line) => line !== NO_RECORD);
    const chains = await wholeChains(guarded);
    // The filter's own account: every exchange has one decision.
    const decisions = [...(await rig.envoy.stats("mcp_guard_decision_")).values()];
    expect(decisions.reduce((sum, count) => sum + count, 0)).toBe(guarded.length);
    // Listeners with one configuration share a guard; on older releases not those of two directions.
    const policies = new Set(guarded.map((line) => recordOf(line)["mcp_guard.policy"])).size;
    expect([policies, policies + 1]).toContain(chains.length);
  });
});

/** What `send` sends: without a body a GET. */
interface Sent {
  readonly body: string | undefined;
  readonly headers?: Fields;
  readonly path?: string;
}

async function send(
  rig: Rig,
  protocol: Protocol,
  { body, headers = JSON_FIELDS, path = "/mcp" }: Sent,
  guard?: string,
): Promise<Answer | undefined> {
  const connection = await rig.connect(protocol, guard);
  try {
    const bytes = Buffer.from(body ?? "");
    const head: WireHead =
      body === undefined
        ? { method: "GET", path, headers, framing: "none" }
        : { method: "POST", path, headers, framing: "length", bodyBytes: bytes.length };
    const request = connection.open(head);
    if (body !== undefined) request.end(bytes);
    return await request.answer;
  } finally {
    connection.close();
  }
}

test("the record of a response that is replaced has the size of the reply", async () => {
  const audit = await startAuditRig({ driver: processDriver });
  try {
    const way = WAYS.find(({ name }) => name === "a response of a type that nobody reads")!;
    const record = recordOf((await audit.go(way, "h1", "released"))[0]!);
    const entry = await logged(audit.rig.envoy, String(record["http.request.id"]));
    expect(record["http.response.body.size"]).toBe(entry.bytes_sent);
  } finally {
    await audit.stop();
  }
});

test.each(testedVersions())("Envoy %s: with two workers there are two chains, each whole", async (version) => {
  const records = createRecordLog(processDriver.name);
  const rig = await startRig({
    driver: processDriver,
    version,
    concurrency: 2,
    guards: [guardIn("release", { tool_allowlist: ["safe"] })],
    edit(bootstrap) {
      // Else one worker may take all connections.
      bootstrap.static_resources.listeners[0]!.connection_balance_config = { exact_balance: {} };
      records.add(bootstrap);
    },
  });
  try {
    const connections = 20;
    const each = 10;
    await Promise.all(
      Array.from({ length: connections }, async (_, index) => {
        const connection = await rig.connect(PROTOCOLS[index % 2]!);
        for (let at = 0; at < each; at++) {
          const body = Buffer.from(toolCall(at % 2 === 0 ? "safe" : "evil"));
          const head = { method: "POST", path: "/mcp", headers: JSON_FIELDS, framing: "length" } as const;
          const request = connection.open({ ...head, bodyBytes: body.length });
          request.end(body);
          expect((await request.answer)?.status).toBe(200);
        }
        connection.close();
      }),
    );
    await expect.poll(() => records.lines(rig.envoy).length, PATIENCE).toBe(connections * each);
    const chains = await wholeChains(records.lines(rig.envoy));
    expect(chains).toHaveLength(2);
    expect(chains.map(({ records: count }) => count).sort()).toEqual([100, 100]);
  } finally {
    await rig.stop();
    records.remove();
  }
});

describe.each(testedVersions())("Envoy %s, a configuration update while streams run", (version) => {
  const OPEN = 4;
  let folder: string;
  let records: RecordLog;
  let rig: Rig;
  /** The responses that are under way. */
  const streams: OriginResponse[] = [];
  let publish: (configuration: object) => void;

  beforeAll(async () => {
    folder = mkdtempSync(path.join(tmpdir(), "mcp-guard-audit-"));
    records = createRecordLog(processDriver.name);
    rig = await startRig({
      driver: processDriver,
      version,
      guards: [guardIn("release", { tool_allowlist: ["first"] })],
      edit(bootstrap) {
        publish = discover(bootstrap, path.join(folder, "guard.json"));
        publish({ tool_allowlist: ["first"] });
        records.add(bootstrap);
      },
      respond(arrival, response) {
        void arrival.ended.then(() => {
          if (arrival.path !== "/stream") return response.writeHead(202, {}) && response.end();
          response.writeHead(200, { "content-type": "text/event-stream" });
          response.write('data: {"jsonrpc":"2.0","method":"notifications/progress","params":{}}\n\n');
          streams.push(response);
        });
      },
    });
  });

  afterAll(async () => {
    await rig?.stop();
    records?.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  test.each(PROTOCOLS)("leaves two whole chains, %s", async (protocol) => {
    const [first, second] = [`first-${protocol}`, `second-${protocol}`];
    publish({ tool_allowlist: [first] });
    await expect.poll(() => isAllowed(first), PATIENCE).toBe(true);
    const before = records.lines(rig.envoy).length;

    const answers = Array.from({ length: OPEN }, () => send(rig, protocol, { body: toolCall(first), path: "/stream" }));
    await expect.poll(() => streams.length, PATIENCE).toBe(OPEN);
    publish({ tool_allowlist: [second] });
    await expect.poll(() => isAllowed(second), PATIENCE).toBe(true);
    for (const stream of streams.splice(0)) stream.end('data: {"jsonrpc":"2.0","id":1,"result":{}}\n\n');
    await Promise.all(answers);
    expect(await isAllowed(second)).toBe(true);
    expect(await isAllowed(first)).toBe(false);
    await expectNothingActive(rig);
    const total = (await rig.envoy.stats(`^${STREAMS}$`)).get(STREAMS)!;
    await expect.poll(() => records.lines(rig.envoy).length, PATIENCE).toBe(total);

    const lines = records.lines(rig.envoy);
    const chains = await wholeChains(lines);
    const streamed = lines
      .slice(before)
      .map(recordOf)
      .filter((record) => record["url.path"] === "/stream");
    expect(streamed).toHaveLength(OPEN);
    const only = (member: string) => [...new Set(streamed.map((record) => record[member]))];
    expect(only("mcp_guard.decision")).toEqual(["allow"]);
    expect(only("mcp_guard.response.messages")).toEqual([2]);
    // They end in the chain of the guard with which they began, behind records of the one that has followed it.
    const last = recordOf(lines.at(-1)!);
    expect(only("mcp_guard.policy")).not.toEqual([last["mcp_guard.policy"]]);
    expect(only("mcp_guard.chain.id")).not.toEqual([last["mcp_guard.chain.id"]]);
    expect(chains.map(({ chain }) => chain)).toEqual(expect.arrayContaining(only("mcp_guard.chain.id")));
    expect(chains).toHaveLength(new Set(lines.map((line) => recordOf(line)["mcp_guard.policy"])).size);
  });

  async function isAllowed(tool: string): Promise<boolean> {
    return (await send(rig, "h1", { body: toolCall(tool) }))?.status === 202;
  }
});

/** Has Envoy discover its guard in a file; returns what puts a configuration there: a rename, because Envoy watches for moved files. */
function discover(bootstrap: Bootstrap, file: string): (configuration: object) => void {
  bootstrap.node = { id: "test", cluster: "test" };
  const filters = connectionManager(bootstrap.static_resources.listeners[0]!).http_filters as { name: string }[];
  const index = filters.findIndex(({ name }) => name === "mcp-guard");
  const guard = structuredClone(filters[index]) as { name: string; typed_config: object };
  filters[index] = {
    name: guard.name,
    config_discovery: {
      config_source: { path_config_source: { path: file }, initial_fetch_timeout: "1s" },
      type_urls: ["type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm"],
    },
  } as { name: string };
  return (configuration) => {
    const typed = structuredClone(guard.typed_config) as { config: { configuration: { value: string } } };
    typed.config.configuration.value = JSON.stringify(configuration);
    const resource = {
      "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
      name: guard.name,
      typed_config: typed,
    };
    writeFileSync(`${file}.new`, JSON.stringify({ version_info: String(performance.now()), resources: [resource] }));
    renameSync(`${file}.new`, file);
  };
}
