// The collector of the suites: it takes log records as an OpenTelemetry collector does (OTLP/HTTP in JSON), keeps each request, and fails as it is told.
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { Ajv2020 } from "ajv/dist/2020.js";
import { expect } from "vitest";
import type { Bootstrap, Cluster } from "../../src/envoy/bootstrap.ts";
import { projectPath } from "../../src/project.ts";
import type { RunningEnvoy } from "./drivers/driver.ts";
import { type Json, recordOf } from "./record-log.ts";
import { CLUSTER, PATIENCE } from "./rig.ts";

const isMessage = new Ajv2020({ strict: true, strictRequired: false }).compile(
  JSON.parse(readFileSync(projectPath("schema", "audit-message.schema.json"), "utf8")),
);

/** One log record of a request, checked against its schema. */
export interface Log {
  readonly name: "exchange" | "message";
  readonly severity: string;
  /** Its attribute `event.id`, which is that of the record. */
  readonly eventId: string;
  /** The record as it was written. */
  readonly text: string;
  readonly record: Json;
}

/** One request. */
export interface Delivery {
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
  readonly logs: readonly Log[];
  /** What it was answered; absent until then, and when it was not. */
  answered?: Reply;
}

/** An answer: the first `rejected` records of a request that is taken are not. */
export interface Reply {
  readonly status: number;
  readonly rejected?: number;
}

/** `silent` never answers, `drop` closes the connection. */
export type Behaviour = Reply | "silent" | "drop" | Promise<Reply>;

export const TAKEN: Reply = { status: 200 };

export interface Collector {
  readonly port: number;
  /** What comes to a path is answered so from now on; until then it is taken. */
  behave(path: string, behaviour: Behaviour | ((delivery: Delivery) => Behaviour)): void;
  /** Lets the requests to a path wait, until the returned function is called. */
  hold(path: string): (reply?: Reply) => void;
  /** The requests to a path so far, in order. */
  deliveries(path: string): readonly Delivery[];
  /** The records of a path that were taken, in order. */
  logs(path: string): readonly Log[];
  /** Goes: its connections are cut, and nobody listens any more. */
  stop(): Promise<void>;
  /** Comes back, on the same port. */
  restart(): Promise<void>;
}

/** Starts a collector on a free port of every interface, so that containers reach it. */
export async function startCollector(): Promise<Collector> {
  const deliveries = new Map<string, Delivery[]>();
  const behaviours = new Map<string, Behaviour | ((delivery: Delivery) => Behaviour)>();
  const sockets = new Set<Socket>();
  const of = (path: string): Delivery[] => {
    const known = deliveries.get(path) ?? [];
    deliveries.set(path, known);
    return known;
  };
  const onRequest = async (request: IncomingMessage, response: ServerResponse) => {
    const delivery = await deliveryOf(request);
    if (delivery === undefined) return;
    of(delivery.path).push(delivery);
    const told = behaviours.get(delivery.path) ?? TAKEN;
    const behaviour = await (typeof told === "function" ? told(delivery) : told);
    if (behaviour === "silent") return;
    if (behaviour === "drop" || response.destroyed) {
      response.destroy();
      return;
    }
    delivery.answered = behaviour;
    const { status, rejected } = behaviour;
    const partialSuccess = { rejectedLogRecords: String(rejected), errorMessage: "no" };
    response.writeHead(status, { "content-type": "application/json" });
    response.end(JSON.stringify(rejected === undefined ? {} : { partialSuccess }));
  };
  const listen = async (port: number): Promise<Server> => {
    const server = createServer((request, response) => void onRequest(request, response));
    // It is Envoy that ends connections: one that the server closes while a request is on its way costs that request.
    server.keepAliveTimeout = 0;
    server.on("connection", (socket: Socket) => {
      sockets.add(socket);
      socket.on("close", () => sockets.delete(socket));
      socket.on("error", () => {});
    });
    await new Promise<void>((resolve, reject) => server.once("error", reject).listen(port, "0.0.0.0", resolve));
    return server;
  };

  let server = await listen(0);
  const { port } = server.address() as AddressInfo;
  return {
    port,
    behave: (path, behaviour) => void behaviours.set(path, behaviour),
    hold(path) {
      let release: (reply: Reply) => void = () => {};
      behaviours.set(path, new Promise<Reply>((resolve) => (release = resolve)));
      return (reply = TAKEN) => {
        behaviours.delete(path);
        release(reply);
      };
    },
    deliveries: of,
    logs: (path) =>
      of(path).flatMap(({ logs, answered }) => (answered?.status === 200 ? logs.slice(answered.rejected ?? 0) : [])),
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
    async restart() {
      server = await listen(port);
    },
  };
}

/** For `RigOptions.edit`: a cluster on the machine of the server, on another port; without a port it has no host. */
export function addCluster(bootstrap: Bootstrap, name: string, port?: number): void {
  const { clusters } = bootstrap.static_resources;
  const cluster = structuredClone(clusters.find((known) => known.name === CLUSTER)!);
  const { endpoints } = cluster.load_assignment;
  const { address } = endpoints[0]!.lb_endpoints[0]!.endpoint;
  if ("socket_address" in address && port !== undefined) address.socket_address.port_value = port;
  const { typed_extension_protocol_options: _, ...plain } = cluster as Cluster & Record<string, unknown>;
  const load_assignment = { cluster_name: name, endpoints: port === undefined ? [] : endpoints };
  clusters.push({ ...plain, name, load_assignment });
}

/** The filter's counters of what goes to collectors, without their common prefix. */
export async function exportCounters(envoy: RunningEnvoy): Promise<ExportCounters> {
  const prefix = "wasmcustom.mcp_guard_audit_";
  const stats = await envoy.stats(`^${prefix.replace(".", "\\.")}`);
  const of = (name: string): number => stats.get(prefix + name) ?? Number.NaN;
  return {
    exported: of("exported"),
    dropped: of("dropped"),
    callsFailed: of("calls_failed"),
    queueBytes: of("queue_bytes"),
  };
}

export interface ExportCounters {
  readonly exported: number;
  readonly dropped: number;
  readonly callsFailed: number;
  readonly queueBytes: number;
}

/** Waits until nothing waits for a collector any more, and returns what was counted since `before`. */
export async function countersAfter(envoy: RunningEnvoy, before: ExportCounters): Promise<ExportCounters> {
  await expect.poll(async () => (await exportCounters(envoy)).queueBytes, PATIENCE).toBe(0);
  const now = await exportCounters(envoy);
  return {
    exported: now.exported - before.exported,
    dropped: now.dropped - before.dropped,
    callsFailed: now.callsFailed - before.callsFailed,
    queueBytes: now.queueBytes,
  };
}

/** A request with its body; undefined when it was cut. */
async function deliveryOf(request: IncomingMessage): Promise<Delivery | undefined> {
  const parts: Buffer[] = [];
  try {
    for await (const part of request) parts.push(part as Buffer);
  } catch {
    return undefined;
  }
  const body = Buffer.concat(parts).toString("utf8");
  return { path: request.url ?? "", headers: request.headers, body, logs: logsOf(body) };
}

/** The log records of a request (opentelemetry-proto, ExportLogsServiceRequest). */
export function logsOf(body: string): Log[] {
  const { resourceLogs } = JSON.parse(body) as Otlp;
  return resourceLogs.flatMap(({ scopeLogs }) =>
    scopeLogs.flatMap(({ logRecords }) =>
      logRecords.map(({ eventName, severityText, attributes, body: { stringValue: text } }) => {
        const name = eventName === "mcp_guard.message" ? "message" : "exchange";
        const record = name === "exchange" ? recordOf(text) : (JSON.parse(text) as Json);
        if (name === "message" && !isMessage(record)) throw new Error(JSON.stringify(isMessage.errors));
        const eventId = attributes.find(({ key }) => key === "event.id")?.value.stringValue ?? "none";
        return { name, severity: severityText, eventId, text, record };
      }),
    ),
  );
}

interface Otlp {
  readonly resourceLogs: readonly {
    readonly scopeLogs: readonly {
      readonly logRecords: readonly {
        readonly eventName: string;
        readonly severityText: string;
        readonly attributes: readonly { readonly key: string; readonly value: { readonly stringValue: string } }[];
        readonly body: { readonly stringValue: string };
      }[];
    }[];
  }[];
}
