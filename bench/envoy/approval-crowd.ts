// A thousand calls that wait in one worker: what the worker takes for the polls about them, and its memory after round upon round of them. The
// guard and the service have the limits that they have by themselves; so each round has callers of its own.
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from "node:http2";
import type { AddressInfo } from "node:net";
import { SECRET_VARIABLE, SERVICE_CLUSTER, TOKEN_PROVIDER, withApproval } from "../../src/approval/try/guard-policy.ts";
import { type Bootstrap, buildBootstrap } from "../../src/envoy/bootstrap.ts";
import { addLocalCluster } from "../../src/envoy/local-cluster.ts";
import type { EnvoyProcess } from "../../src/envoy/process.ts";
import { requireTokens } from "../../src/envoy/token-check.ts";
import { projectPath } from "../../src/project.ts";
import { type Stack, startStack } from "../../test/browser/stack.ts";
import { createIssuer, type Issuer } from "../../test/integration/tokens.ts";
import { makeBare, openWide, startWorker } from "./proxy.ts";

/** `approval.waiting` by default. */
const CROWD = 1_000;
/** The service opens no more for one person at a time. */
const CALLS_PER_PERSON = 5;
const CALLS_PER_CONNECTION = 100;
const AUDIENCE = "http://127.0.0.1/mcp";
const TOOL = "delete_branch";
const HOLD_SECONDS = 20;
/** Polls come every second. */
const WINDOW_MS = 5_000;
const END_MS = 30_000;

/** One round: a thousand calls came, waited and ended. */
export interface CrowdRound {
  readonly end: "their clients left" | "their time was over";
  /** Milliseconds until all were open at the service. */
  readonly openedMs: number;
  /** CPU milliseconds of the worker for each second in which all of them waited. */
  readonly cpuMsPerSecond: number;
  /** Questions to the service for each of these seconds. */
  readonly pollsPerSecond: number;
  /** Resident MiB of Envoy while they waited, and when they were gone. */
  readonly waitingMib: number;
  readonly goneMib: number;
}

export interface Crowd {
  readonly calls: number;
  readonly pollMs: number;
  /** The same as of the rounds, of an Envoy in which nothing waits. */
  readonly idle: { readonly cpuMsPerSecond: number; readonly pollsPerSecond: number; readonly mib: number };
  readonly rounds: readonly CrowdRound[];
}

/** Has a thousand calls wait, round after round. */
export async function measureCrowd(rounds: number): Promise<Crowd> {
  const stack = await startStack({ settings: { LOG_LEVEL: "warn" } });
  try {
    const issuer = await createIssuer("https://issuer.example");
    const server = await startServer();
    const proxy = await startWorker<"guard">(bootstrapFor(stack, issuer, server.port));
    const worker = { ...proxy, memoryMib: () => residentMib(proxy.envoy.pid) };
    try {
      /** What the worker does for a while, for each second of it. */
      const watch = async () => {
        const [start, asked] = [worker.workerNanoseconds(), await requestsToService(worker.envoy)];
        await pause(WINDOW_MS);
        const seconds = WINDOW_MS / 1_000;
        return {
          cpuMsPerSecond: (worker.workerNanoseconds() - start) / 1e6 / seconds,
          pollsPerSecond: ((await requestsToService(worker.envoy)) - asked) / seconds,
        };
      };
      // The first call brings the worker's VM to life.
      await end(
        await openCalls(proxy.port("guard"), issuer, "warm", CALLS_PER_PERSON),
        worker.envoy,
        "their clients left",
      );
      const idle = { ...(await watch()), mib: worker.memoryMib() };
      const done: CrowdRound[] = [];
      for (let round = 0; round < rounds; round++) {
        const how = round % 2 === 0 ? "their clients left" : "their time was over";
        const start = performance.now();
        const opened = (await openedCount(stack)) + CROWD;
        const calls = await openCalls(proxy.port("guard"), issuer, `round-${round}`, CROWD);
        await until(async () => (await openedCount(stack)) >= opened, "the calls are not open at the service");
        const openedMs = performance.now() - start;
        // The last answers of the service are on their way.
        await pause(500);
        const watched = await watch();
        const waitingMib = worker.memoryMib();
        await end(calls, worker.envoy, how);
        done.push({ end: how, openedMs, ...watched, waitingMib, goneMib: worker.memoryMib() });
        console.log(
          `${CROWD} wait: ${watched.cpuMsPerSecond.toFixed(1)} ms of CPU and ${watched.pollsPerSecond.toFixed(1)} polls a second, ${waitingMib.toFixed(1)} MiB; gone: ${done.at(-1)!.goneMib.toFixed(1)} MiB`,
        );
      }
      if (server.calls() > 0) throw new Error(`${server.calls()} calls have gone on without an approval`);
      if (/Uncaught|wasm_fail/.test(worker.envoy.logs())) throw new Error("the filter has failed");
      return { calls: CROWD, pollMs: 1_000, idle, rounds: done };
    } finally {
      await proxy.envoy.stop();
      server.stop();
    }
  } finally {
    await stack.stop();
  }
}

/** The server behind the guard: it gets the heads of calls, and would count those that come whole. */
async function startServer(): Promise<{ readonly port: number; calls(): number; stop(): void }> {
  let calls = 0;
  const server = createServer((request, response) => {
    request.on("error", () => {});
    request.resume().on("end", () => {
      calls++;
      response.end();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    calls: () => calls,
    stop() {
      server.close();
      server.closeAllConnections();
    },
  };
}

function bootstrapFor(stack: Stack, issuer: Issuer, upstreamPort: number): Bootstrap {
  const policy = withApproval(
    { tool_allowlist: [TOOL], approval: { hold_seconds: HOLD_SECONDS } },
    { ...stack, server: "bench", issuer: issuer.name },
  );
  const bootstrap = buildBootstrap({
    template: "test",
    wasmPath: projectPath("build", "plugin.wasm"),
    upstream: { host: "127.0.0.1", port: upstreamPort },
    guards: [
      { listenPort: 0, configuration: policy, environment: { values: { [SECRET_VARIABLE]: stack.filterSecret } } },
    ],
  });
  for (const listener of bootstrap.static_resources.listeners) makeBare(listener);
  requireTokens(bootstrap, { provider: TOKEN_PROVIDER, issuer: issuer.name, audience: AUDIENCE, jwks: issuer.jwks });
  addLocalCluster(bootstrap, SERVICE_CLUSTER, stack.filterPort);
  for (const cluster of bootstrap.static_resources.clusters) openWide(cluster);
  return bootstrap;
}

interface Calls {
  readonly sessions: readonly ClientHttp2Session[];
  readonly streams: readonly ClientHttp2Stream[];
  /** What each was answered; settles with its end. */
  readonly answers: readonly Promise<string>[];
}

/** Sends `count` calls, few for each of many people. */
async function openCalls(port: number, issuer: Issuer, label: string, count: number): Promise<Calls> {
  const sessions: ClientHttp2Session[] = [];
  const streams: ClientHttp2Stream[] = [];
  const answers: Promise<string>[] = [];
  let token = "";
  for (let index = 0; index < count; index++) {
    if (index % CALLS_PER_PERSON === 0) token = await issuer.sign({ sub: `${label}-${index}`, aud: AUDIENCE });
    if (index % CALLS_PER_CONNECTION === 0) {
      const session = connect(`http://127.0.0.1:${port}`);
      session.on("error", () => {});
      await once(session, "connect");
      sessions.push(session);
    }
    const stream = sessions.at(-1)!.request({
      ":method": "POST",
      ":path": "/mcp",
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      authorization: `Bearer ${token}`,
    });
    let text = "";
    stream.setEncoding("utf8");
    stream.on("data", (data: string) => {
      text += data;
    });
    stream.on("error", () => {});
    answers.push(once(stream, "close").then(() => text));
    const params = { name: TOOL, arguments: { branch: `${label}/${index}`, force: true } };
    stream.end(JSON.stringify({ jsonrpc: "2.0", id: index, method: "tools/call", params }));
    streams.push(stream);
  }
  return { sessions, streams, answers };
}

/** Ends calls that wait, or waits until the guard does; none of them is under way afterwards. */
async function end(calls: Calls, envoy: EnvoyProcess, how: CrowdRound["end"]): Promise<void> {
  if (how === "their clients left") for (const stream of calls.streams) stream.close(constants.NGHTTP2_CANCEL);
  const texts = await Promise.all(calls.answers);
  const linked = texts.filter((text) => text.includes("/a/")).length;
  if (linked !== (how === "their clients left" ? 0 : texts.length)) {
    throw new Error(
      `${linked} of ${texts.length} calls were answered with a link: ${texts.find((text) => !text.includes("/a/"))}`,
    );
  }
  for (const session of calls.sessions) session.destroy();
  await until(
    async () => (await numberOf(envoy, "http.guard.downstream_rq_active")) === 0,
    "calls are still under way",
  );
}

async function numberOf(envoy: EnvoyProcess, name: string): Promise<number | undefined> {
  return (await envoy.stats(`^${name}$`)).get(name);
}

async function requestsToService(envoy: EnvoyProcess): Promise<number> {
  return (await numberOf(envoy, `cluster.${SERVICE_CLUSTER}.upstream_rq_total`)) ?? 0;
}

/** How many approvals the service has opened. */
async function openedCount(stack: Stack): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${stack.filterPort}/metrics`);
  const found = /^mcp_guard_approval_opened_total\{outcome="new"\} (\d+)$/m.exec(await response.text());
  if (found === null) throw new Error("the service does not say how many approvals it has opened");
  return Number(found[1]);
}

async function until(isSo: () => Promise<boolean>, otherwise: string): Promise<void> {
  const deadline = performance.now() + END_MS;
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`after ${END_MS / 1_000} s ${otherwise}`);
    await pause(100);
  }
}

function residentMib(pid: number): number {
  const found = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  return Number(found?.[1]) / 1_024;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
