// A real OpenTelemetry Collector between what records the guards' requests to it and a store of logs: what it has acknowledged and what the store has can
// be held against each other, also when it is killed.
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { type Child, startChild } from "../../../src/child.ts";
import { projectPath } from "../../../src/project.ts";
import { type Log, logsOf } from "../../integration/collector.ts";
import { pause } from "../../integration/wire.ts";

const READY_TIMEOUT_MS = 10_000;
const READY_POLL_MS = 20;

/** Log records as they came, and which came first under each name. */
export interface Records {
  /** The bodies of the requests, each of which is a line of JSON. */
  readonly bodies: readonly string[];
  /** By `keyOf`. */
  readonly byKey: ReadonlyMap<string, Log>;
  /** How many came, those counted that came twice. */
  readonly count: number;
}

/** What a log record is known by: its exchange, and which of its messages it is of. */
export function keyOf({ name, eventId, record }: Log): string {
  return `${name} ${eventId} ${record["mcp_guard.message.number"] ?? ""}`;
}

export type StoreFailure = "drop" | "silent" | { readonly status: number; readonly body: string };

export interface Pipeline {
  /** Where the guards send their records. */
  readonly port: number;
  /** What the collector has acknowledged, noted before the guards hear of it. */
  readonly acknowledged: Records;
  /** The names of the HTTP requests whose message has an acknowledged record. */
  readonly acknowledgedRequests: ReadonlySet<string>;
  /** What the store has. */
  readonly stored: Records;
  /** What the collector has acknowledged and the store does not have, by `keyOf`. */
  outstanding(): string[];
  /** Has the store answer so from now on, and keep nothing; `drop` closes the connection, `silent` never answers. */
  failStore(how: StoreFailure): void;
  /** Sends the collector a request past what records them; returns the status of its answer. */
  post(body: string): Promise<number | undefined>;
  /** Ends the collector at once. What it had not handed on by then is outstanding. */
  kill(): Promise<void>;
  /** Starts it again. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Starts a collector.
 * @param configuration a file of this folder, without its extension.
 * @param storeMs how long the store takes for a request.
 */
export async function startPipeline(binary: string, configuration: string, storeMs: number): Promise<Pipeline> {
  const stored = createRecords();
  const acknowledged = createRecords();
  const acknowledgedRequests = new Set<string>();
  let failure: StoreFailure | undefined;
  const store = await serve(async (incoming, response) => {
    const body = await bodyOf(incoming);
    if (failure === "silent") return;
    if (failure === "drop") {
      response.destroy();
      return;
    }
    if (failure !== undefined) {
      response.writeHead(failure.status, { "content-type": "application/json" });
      response.end(failure.body);
      return;
    }
    stored.add(body);
    await pause(storeMs);
    response.writeHead(200, { "content-type": "application/json" });
    response.end("{}");
  });
  let collector: Collector | undefined;
  const recorder = await serve(async (incoming, response) => {
    const body = await bodyOf(incoming);
    const reply = collector === undefined ? undefined : await collector.post(incoming.url ?? "", body);
    if (reply === undefined) {
      response.destroy();
      return;
    }
    if (reply.status === 200) {
      if (reply.body.includes("rejectedLogRecords"))
        throw new Error(`the collector has rejected records: ${reply.body}`);
      for (const { name, record } of acknowledged.add(body)) {
        if (name === "message") acknowledgedRequests.add(String(record["http.request.id"]));
      }
    }
    response.writeHead(reply.status, { "content-type": "application/json" });
    response.end(reply.body);
  });
  const start = async () => {
    collector = await startCollector(binary, configuration, `http://127.0.0.1:${store.port}/v1/logs`);
  };
  const end = async (signal: "SIGKILL" | "SIGTERM") => {
    const ended = collector;
    collector = undefined;
    await ended?.end(signal);
  };
  await start();
  return {
    port: recorder.port,
    acknowledged,
    acknowledgedRequests,
    stored,
    start,
    failStore(how) {
      failure = how;
    },
    post: async (body) => (await collector?.post("/v1/logs", body))?.status,
    outstanding: () => [...acknowledged.byKey.keys()].filter((key) => !stored.byKey.has(key)),
    async kill() {
      await end("SIGKILL");
      // What had left it before arrives.
      await pause(2 * storeMs);
    },
    async stop() {
      await end("SIGTERM");
      await recorder.stop();
      await store.stop();
    },
  };
}

interface Collector {
  /** Posts JSON; undefined when no answer comes. */
  post(path: string, body: string): Promise<{ status: number; body: string } | undefined>;
  end(signal: "SIGKILL" | "SIGTERM"): Promise<void>;
}

async function startCollector(binary: string, configuration: string, sinkUrl: string): Promise<Collector> {
  const folder = mkdtempSync(path.join(tmpdir(), "mcp-guard-otelcol-"));
  const logFile = path.join(folder, "otelcol.log");
  const log = openSync(logFile, "a");
  const file = projectPath("test", "mesh", "otelcol", `${configuration}.yaml`);
  const child = await startChild(binary, ["--config", file], {
    stdio: ["ignore", log, log],
    env: { ...process.env, SINK_URL: sinkUrl },
    ownFolder: folder,
  }).catch((error: unknown) => {
    rmSync(folder, { recursive: true });
    throw error;
  });
  closeSync(log);
  const port = await portOf(child, logFile);
  const agent = new Agent({ keepAlive: true });
  return {
    post: (url, body) => post(agent, port, url, body),
    async end(signal) {
      if (child.running()) process.kill(child.pid, signal);
      await child.exited;
      agent.destroy();
      rmSync(folder, { recursive: true });
    },
  };
}

/** The port that a collector has got, when it takes records. */
async function portOf(child: Child, logFile: string): Promise<number> {
  const until = performance.now() + READY_TIMEOUT_MS;
  for (;;) {
    const log = readFileSync(logFile, "utf8");
    const port = /"endpoint": "127\.0\.0\.1:(\d+)"/.exec(log)?.[1];
    if (port !== undefined && log.includes("Everything is ready")) return Number(port);
    if (!child.running() || performance.now() > until) {
      await child.stop();
      throw new Error(`the collector did not start:\n${log}`);
    }
    await pause(READY_POLL_MS);
  }
}

function post(
  agent: Agent,
  port: number,
  url: string,
  body: string,
): Promise<{ status: number; body: string } | undefined> {
  return new Promise((resolve) => {
    const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
    const sent = request({ agent, host: "127.0.0.1", port, path: url, method: "POST", headers }, (response) => {
      bodyOf(response).then(
        (text) => resolve({ status: response.statusCode ?? 0, body: text }),
        () => resolve(undefined),
      );
    });
    sent.on("error", () => resolve(undefined));
    sent.end(body);
  });
}

async function bodyOf(message: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of message) parts.push(part as Buffer);
  return Buffer.concat(parts).toString("utf8");
}

interface GrowingRecords extends Records {
  add(body: string): readonly Log[];
}

function createRecords(): GrowingRecords {
  const bodies: string[] = [];
  const byKey = new Map<string, Log>();
  let count = 0;
  return {
    bodies,
    byKey,
    get count() {
      return count;
    },
    add(body) {
      const logs = logsOf(body);
      bodies.push(body);
      count += logs.length;
      for (const log of logs) {
        const known = byKey.get(keyOf(log));
        if (known === undefined) byKey.set(keyOf(log), log);
        else if (known.text !== log.text) throw new Error(`two records under one name:\n${known.text}\n${log.text}`);
      }
      return logs;
    },
  };
}

/** A server of the test on a free port. */
async function serve(
  handle: (request: IncomingMessage, response: ServerResponse) => Promise<void>,
): Promise<{ readonly port: number; stop(): Promise<void> }> {
  const sockets = new Set<Socket>();
  const server = createServer((incoming, response) => {
    // A request that is cut has nothing to say.
    incoming.on("error", () => {});
    handle(incoming, response).catch((error: unknown) => {
      if (!incoming.complete) return;
      response.destroy();
      throw error;
    });
  });
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
