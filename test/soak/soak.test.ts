// The soak: mixed exchanges through real Envoys for SOAK_SECONDS, among them clients and servers that go away. Goal: what every
// client gets is right to the end, memory is flat, the server is told at once when a client has gone, and nothing is left
// open. Method: an Envoy for each protocol of the server, in it a guard for each header mode, and for each of these clients
// of both protocols. `make soak` runs it, and writes bench/results/soak.md when it ran for the whole time.

import { readFileSync, writeFileSync } from "node:fs";
import { arch, cpus, platform } from "node:os";
import { afterAll, beforeAll, expect, test } from "vitest";
import { fetchVersion } from "../../src/envoy/admin.ts";
import { type Bootstrap, buildBootstrap, connectionManager } from "../../src/envoy/bootstrap.ts";
import { type EnvoyProcess, startEnvoy } from "../../src/envoy/process.ts";
import { projectPath } from "../../src/project.ts";
import { seedFromEnvironment } from "../fuzz/samples.ts";
import { CLUSTER, guardIn, HEADER_MODE_NAMES, PATIENCE, speakHttp2 } from "../integration/rig.ts";
import { type Client, createClient, PROTOCOLS, type Protocol } from "./client.ts";
import { DEAD_COLLECTOR, KINDS, type Kind, POLICY } from "./kinds.ts";
import { type Memory, markdown, median, type Results } from "./report.ts";
import { ID_HEADER, KIND_HEADER, type Server, startServer } from "./server.ts";

const SECONDS_DEFAULT = 600;
const seconds = Number(process.env.SOAK_SECONDS ?? "") || SECONDS_DEFAULT;
const seed = seedFromEnvironment("SOAK_SEED");
const SAMPLE_MS = Math.min(2_000, (seconds * 1000) / 60);
/** Workers for each client: of short exchanges, and of streams. */
const SHORT_WORKERS = 2;
const STREAM_WORKERS = 4;
/** A client that has left is told to the server within this time, on a machine that has other things to do. */
const TOLD_MS = 1_000;
/** How much more memory the last quarter may have than the second: a leak of one record per exchange is far above it. */
const GROWTH_MAX = 1.05;

interface Bench {
  readonly upstream: Protocol;
  readonly server: Server;
  readonly envoy: EnvoyProcess;
  readonly memory: Memory[];
}

const benches: Bench[] = [];
const counts = new Map(KINDS.map(({ name }) => [name, 0]));
const told: number[] = [];
const problems: string[] = [];
let version = "";

beforeAll(async () => {
  for (const upstream of PROTOCOLS) {
    const server = await startServer(upstream, (kind, response, whole) => {
      KINDS.find(({ name }) => name === kind)?.serve(response, whole);
    });
    const envoy = await startEnvoy({ bootstrap: bootstrapFor(upstream, server.port), concurrency: 1 });
    version = await fetchVersion(envoy.adminUrl);
    benches.push({ upstream, server, envoy, memory: [] });
  }
});

afterAll(async () => {
  for (const { envoy, server } of benches) {
    await envoy.stop();
    await server.stop();
  }
});

function bootstrapFor(upstream: Protocol, port: number): Bootstrap {
  const bootstrap = buildBootstrap({
    template: "test",
    wasmPath: projectPath("build", "plugin.wasm"),
    upstream: { host: "127.0.0.1", port },
    guards: HEADER_MODE_NAMES.map((mode) => guardIn(mode, POLICY, { name: mode, listenPort: 0 })),
  });
  const [server] = bootstrap.static_resources.clusters;
  const dead = structuredClone(server!);
  // Port 9, "discard": no machine has that service any more.
  dead.load_assignment.endpoints[0]!.lb_endpoints[0]!.endpoint.address = {
    socket_address: { address: "127.0.0.1", port_value: 9 },
  };
  // Hundreds of thousands of lines that nobody reads would be kept here.
  for (const listener of bootstrap.static_resources.listeners) {
    const manager = connectionManager(listener);
    manager.access_log = [];
    // Node's server leaves a connection on which more than 33 streams are reset each second (nghttp2's limit), and so many clients
    // leave here. What comes in that moment it has not begun to serve (RFC 9113 section 8.7).
    for (const { route } of manager.route_config.virtual_hosts.flatMap(({ routes }) => routes)) {
      Object.assign(route, { retry_policy: { retry_on: "refused-stream", num_retries: 2 } });
    }
  }
  if (upstream === "h2") for (const cluster of bootstrap.static_resources.clusters) speakHttp2(cluster);
  const cluster_name = DEAD_COLLECTOR;
  bootstrap.static_resources.clusters.push({
    ...dead,
    name: cluster_name,
    load_assignment: { ...dead.load_assignment, cluster_name } as never,
  });
  return bootstrap;
}

/** Numbers of [0, 1) that repeat with the seed (mulberry32). */
function randomFrom(start: number): () => number {
  let state = start >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let value = Math.imul(state ^ (state >>> 15), state | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return ((value ^ (value >>> 14)) >>> 0) / 4_294_967_296;
  };
}

async function exchange(bench: Bench, client: Client, kind: Kind, id: string, random: () => number): Promise<void> {
  const call = client.open(kind.method, {
    ...(kind.method === "POST" && { "content-type": "application/json" }),
    accept: "application/json, text/event-stream",
    [KIND_HEADER]: kind.name,
    [ID_HEADER]: id,
  });
  if (kind.act === undefined) call.end(kind.body);
  else await kind.act(call, random);
  const outcome = await call.outcome;
  const left = performance.now();
  const isOver = await Promise.race([
    bench.server.isOver(id).then(() => true),
    new Promise<false>((resolve) => setTimeout(resolve, 10 * TOLD_MS, false)),
  ]);
  told.push(performance.now() - left);
  if (!isOver) problems.push(`${kind.name}: still open at the server ${10 * TOLD_MS} ms after its end at the client`);
  const problem = kind.problem?.(outcome);
  if (problem !== undefined) problems.push(`${kind.name} (${id}): ${problem}`);
  counts.set(kind.name, counts.get(kind.name)! + 1);
}

/** One exchange after the other until the time is over, or too much is wrong. */
async function work(bench: Bench, client: Client, kinds: readonly Kind[], name: string, end: number): Promise<void> {
  const random = randomFrom(seed + [...name].reduce((sum, letter) => sum * 31 + letter.charCodeAt(0), 7));
  for (let count = 0; performance.now() < end && problems.length < 10; count++) {
    await exchange(bench, client, kinds[Math.floor(random() * kinds.length)]!, `${name}.${count}`, random);
  }
}

function residentBytes(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) * 1024;
}

async function sample(end: number): Promise<void> {
  while (performance.now() < end) {
    for (const { envoy, memory } of benches) memory.push({ at: performance.now(), bytes: residentBytes(envoy.pid) });
    await new Promise((resolve) => setTimeout(resolve, SAMPLE_MS));
  }
}

/** The median of the samples of one quarter of the time, 0 to 3. */
function quarter(memory: readonly Memory[], index: number): number {
  const size = memory.length / 4;
  return median(memory.slice(Math.floor(index * size), Math.floor((index + 1) * size)).map(({ bytes }) => bytes));
}

test("mixed exchanges, clients and servers that go away", { timeout: seconds * 1000 + 120_000 }, async () => {
  console.log(`SOAK_SEED=${seed} SOAK_SECONDS=${seconds}`);
  const end = performance.now() + seconds * 1000;
  const clients: Client[] = [];
  const workers = benches.flatMap((bench) =>
    HEADER_MODE_NAMES.flatMap((mode) =>
      PROTOCOLS.flatMap((protocol) => {
        const client = createClient(protocol, `http://127.0.0.1:${bench.envoy.ports.get(mode)}/mcp`);
        clients.push(client);
        return Array.from({ length: SHORT_WORKERS + STREAM_WORKERS }, (_, index) => {
          const kinds = KINDS.filter(({ isStream }) => (isStream === true) === index >= SHORT_WORKERS);
          return work(bench, client, kinds, `${bench.upstream}.${mode}.${protocol}.${index}`, end);
        });
      }),
    ),
  );
  await Promise.all([...workers, sample(end)]);
  for (const client of clients) client.close();

  expect(problems).toEqual([]);
  for (const [kind, count] of counts) expect(count, kind).toBeGreaterThan(0);
  for (const { server, envoy } of benches) {
    await expect.poll(() => server.open(), PATIENCE).toBe(0);
    const gauges = async () =>
      Object.fromEntries(
        await envoy.stats(`^(http\\.guard\\.downstream_rq_active|cluster\\.${CLUSTER}\\.upstream_rq_active)$`),
      );
    await expect
      .poll(gauges, PATIENCE)
      .toEqual({ "http.guard.downstream_rq_active": 0, [`cluster.${CLUSTER}.upstream_rq_active`]: 0 });
    expect(envoy.logs()).not.toMatch(/\[(?:error|critical)\]/);
    const trail = await envoy.stats("^wasmcustom\\.mcp_guard_audit_");
    const of = (name: string): number => trail.get(`wasmcustom.mcp_guard_audit_${name}`) ?? Number.NaN;
    expect(of("exported"), "records that a dead collector has taken").toBe(0);
    expect(of("calls_failed")).toBeGreaterThan(0);
    expect(of("queue_bytes"), "a queue for each header mode").toBeLessThanOrEqual(2 << 20);
    // A record for each message besides; what is not counted as dropped waits.
    expect(of("dropped")).toBeGreaterThan(of("records") - (2 << 20) / 500);
    expect(of("records_lost")).toBe(0);
  }

  const results: Results = {
    machine: `${cpus()[0]?.model ?? "unknown"}, ${cpus().length} cores, ${platform()} ${arch()}, Node ${process.versions.node}, Envoy ${version}`,
    seconds,
    counts: [...counts],
    told,
    memory: benches.map(({ upstream, memory }) => ({
      upstream,
      quarters: [0, 1, 2, 3].map((index) => quarter(memory, index)),
    })),
  };
  const page = markdown(results);
  console.log(page);
  if (seconds >= SECONDS_DEFAULT) writeFileSync(projectPath("bench", "results", "soak.md"), page);
  for (const { upstream, quarters } of results.memory) {
    expect(quarters[3]! / quarters[1]!, `memory of the Envoy with an ${upstream} server`).toBeLessThan(GROWTH_MAX);
  }
  const late = [...told].sort((one, other) => one - other)[Math.floor(told.length * 0.999)]!;
  expect(late, "999 of 1000 are over at the server").toBeLessThan(TOLD_MS);
});
