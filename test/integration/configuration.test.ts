// What Envoy does with a configuration that the filter refuses, at start and at an update, and with many configurations.
// docs/operations.md says the same in words. Envoy gets the filter in its bootstrap, or by discovery (ECDS) from a file,
// which it watches: so it runs as a process here, on the machine that has the file.
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Bootstrap, buildBootstrap, connectionManager, type GuardOptions } from "../../src/envoy/bootstrap.ts";
import { type EnvoyProcess, startEnvoy } from "../../src/envoy/process.ts";
import { projectPath } from "../../src/project.ts";
import { testedVersions } from "../versions.ts";

const GOOD = { tool_allowlist: ["echo"] };
const OTHER = { tool_allowlist: ["other"] };
const BAD = { tool_alowlist: ["echo"] };
/** What the filter says about `BAD`. */
const MISTAKE = 'mcp-guard: configuration refused: configuration: found the unknown member "tool_alowlist"';

const FILTER = "mcp-guard";
const FAILED = `extension_config_discovery.http_filter.${FILTER}.config_fail`;

/** What a client sees of a call, and whether the server saw it. */
interface Outcome {
  status: number;
  reason: string | undefined;
  reached: boolean;
}

const ALLOWED: Outcome = { status: 200, reason: undefined, reached: true };
const REFUSED: Outcome = { status: 200, reason: "tool_not_listed", reached: false };
const EMPTY_500: Outcome = { status: 500, reason: undefined, reached: false };

let server: Server;
let upstreamPort = 0;
/** Requests that the server has seen to their end. The head of a refused one reaches it too (`request_headers: release`). */
let arrived = 0;
let envoy: EnvoyProcess | undefined;
let folder = "";

beforeAll(async () => {
  server = createServer((incoming, response) => {
    incoming.resume().on("end", () => {
      arrived++;
      response.setHeader("content-type", "application/json").end('{"jsonrpc":"2.0","id":7,"result":{"content":[]}}');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  upstreamPort = (server.address() as AddressInfo).port;
});

afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), "mcp-guard-ecds-"));
});

afterEach(async () => {
  await envoy?.stop();
  envoy = undefined;
  rmSync(folder, { recursive: true, force: true });
});

type FailurePolicy = "FAIL_CLOSED" | "FAIL_RELOAD" | "FAIL_OPEN";

describe.each(testedVersions())("Envoy %s", (version) => {
  describe.each(["FAIL_CLOSED", "FAIL_RELOAD", "FAIL_OPEN"] as const)("with %s", (failurePolicy) => {
    test("does not start with a refused configuration in its bootstrap, and says what is wrong", async () => {
      const starting = startEnvoy({ bootstrap: withPolicy(staticBootstrap(BAD), failurePolicy), version });
      const error = await starting.then(
        (started) => started.stop().then(() => undefined),
        (reason: Error) => reason,
      );
      expect(error?.message).toContain(MISTAKE);
      expect(error?.message).toContain("Plugin configured to fail closed failed to load");
    });

    test("answers every request with an empty 500 until discovery has brought a good configuration", async () => {
      publish(BAD, failurePolicy);
      await start(version);
      await counted(FAILED, 1);
      // The name by which deploy/observability/ asks for it.
      const page = await (await fetch(`${envoy?.adminUrl}/stats/prometheus`)).text();
      expect(page).toMatch(/^envoy_extension_config_discovery_http_filter_mcp_guard_config_fail\{\} 1$/m);
      expect(envoy?.logs()).toContain(MISTAKE);
      for (const tool of ["echo", "system_exec"]) expect(await call(tool)).toEqual(EMPTY_500);
      const get = await fetch(url(), { method: "GET" });
      expect([get.status, await get.text()]).toEqual([500, ""]);
      expect(arrived).toBe(0);

      publish(GOOD, failurePolicy);
      await settled("echo", ALLOWED);
      expect(await call("system_exec")).toEqual(REFUSED);
    });

    test("keeps the policy in force when an update is refused, and takes the next good one", async () => {
      publish(GOOD, failurePolicy);
      await start(version);
      expect(await call("echo")).toEqual(ALLOWED);

      publish(BAD, failurePolicy);
      await counted(FAILED, 1);
      expect(envoy?.logs()).toContain(MISTAKE);
      for (let again = 0; again < 10; again++) {
        expect(await call("echo")).toEqual(ALLOWED);
        expect(await call("other")).toEqual(REFUSED);
      }

      publish(OTHER, failurePolicy);
      await settled("other", ALLOWED);
      expect(await call("echo")).toEqual(REFUSED);
    });
  });

  test("keeps the lists of two guards apart that share one module", async () => {
    const guards = [
      { name: "first", configuration: GOOD },
      { name: "second", configuration: { ...OTHER, refusal: "http_403" } },
    ];
    envoy = await startEnvoy({ bootstrap: bootstrap(guards), version, concurrency: 2 });
    for (let again = 0; again < 10; again++) {
      expect(await call("echo", url("first"))).toEqual(ALLOWED);
      expect(await call("other", url("first"))).toEqual(REFUSED);
      expect(await call("echo", url("second"))).toEqual({ ...REFUSED, status: 403 });
      expect(await call("other", url("second"))).toEqual(ALLOWED);
    }
    expect(await infoGauges(), "each policy is counted by itself").toHaveLength(2);
  });

  test("judges a request by the policy under which it began, whatever comes meanwhile", async () => {
    publish(GOOD, "FAIL_CLOSED");
    await start(version);
    const body = JSON.stringify(message("echo"));
    const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
    const open = request(url(), { method: "POST", headers });
    const answer = new Promise<IncomingMessage>((resolve, reject) =>
      open.once("response", resolve).once("error", reject),
    );
    open.write(body.slice(0, 10));
    await counted("http.guard.downstream_rq_active", 1);
    publish(OTHER, "FAIL_CLOSED");
    await settled("other", ALLOWED);
    open.end(body.slice(10));
    const response = await answer;
    response.resume();
    expect(response.statusCode).toBe(200);
    expect(await call("echo"), "the new policy").toEqual(REFUSED);
    await expect.poll(() => allowedTools(), { timeout: 5_000 }).toContain("echo");
  });

  test("still answers for a request that stalls when its policy is gone", async () => {
    publish({ ...GOOD, limits: { stall_ms: 1_000 } }, "FAIL_CLOSED");
    await start(version);
    const headers = { "content-type": "application/json", "content-length": 100 };
    const open = request(url(), { method: "POST", headers });
    const answer = new Promise<IncomingMessage>((resolve, reject) =>
      open.once("response", resolve).once("error", reject),
    );
    open.write("{");
    await counted("http.guard.downstream_rq_active", 1);
    publish(OTHER, "FAIL_CLOSED");
    await settled("other", ALLOWED);
    const response = await answer;
    response.resume();
    expect(response.statusCode).toBe(408);
    open.destroy();
    await counted("http.guard.downstream_rq_active", 0);
  });

  test("takes 200 configurations one after the other, serves after each of them, and holds no more memory", async () => {
    publish(toolList(0), "FAIL_CLOSED");
    await start(version);
    const machines = await activeMachines();
    const update = async (round: number): Promise<void> => {
      publish(toolList(round), "FAIL_CLOSED");
      await settled(`only_${round}`, ALLOWED);
      expect(await call(`only_${round - 1}`)).toEqual(REFUSED);
    };

    for (let round = 1; round <= 50; round++) await update(round);
    const before = residentBytes();
    for (let round = 51; round <= 200; round++) await update(round);
    const grown = residentBytes() - before;

    expect(grown).toBeLessThan(MEMORY_TOLERANCE_BYTES);
    expect(await activeMachines(), "one VM for the main thread and one for each worker").toBe(machines);
    // A guard counts itself with its first tick. Envoy has one copy for the main thread and one for the worker.
    await expect
      .poll(async () => (await infoGauges()).map(([, count]) => count).filter((count) => count !== 0), {
        message: "the policy in force, and no earlier one",
        timeout: 10_000,
      })
      .toEqual([2]);
  }, 120_000);
});

/** The lists of the 150 configurations that are measured would take 20 MiB if each stayed in both VMs. */
const MEMORY_TOLERANCE_BYTES = 10 << 20;

/** A policy with a list of 64 KiB in which one name is its own. */
function toolList(round: number): object {
  const filling = Array.from({ length: 1024 }, (_, index) => `tool_${round}_${index}`.padEnd(64, "x"));
  return { tool_allowlist: [`only_${round}`, ...filling] };
}

function bootstrap(guards: readonly GuardOptions[]): Bootstrap {
  const upstream = { host: "127.0.0.1", port: upstreamPort };
  return buildBootstrap({ template: "test", wasmPath: projectPath("build", "plugin.wasm"), upstream, guards });
}

function staticBootstrap(configuration: object): Bootstrap {
  return bootstrap([{ configuration }]);
}

function guardFilter(whole: Bootstrap): { name: string; typed_config: { config: { failure_policy: string } } } {
  const filters = connectionManager(whole.static_resources.listeners[0]!).http_filters;
  return filters.find(({ name }) => name === FILTER)!;
}

function withPolicy(whole: Bootstrap, failurePolicy: FailurePolicy): Bootstrap {
  guardFilter(whole).typed_config.config.failure_policy = failurePolicy;
  return whole;
}

/** Starts an Envoy that discovers its guard in the folder of this test. */
async function start(version: string): Promise<void> {
  const whole = staticBootstrap(GOOD);
  const discovery = {
    config_source: { path_config_source: { path: discoveryFile() }, initial_fetch_timeout: "1s" },
    type_urls: ["type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm"],
  };
  const filters: object[] = connectionManager(whole.static_resources.listeners[0]!).http_filters;
  filters.splice(
    filters.findIndex((filter) => "name" in filter && filter.name === FILTER),
    1,
    { name: FILTER, config_discovery: discovery },
  );
  envoy = await startEnvoy({ bootstrap: { node: { id: "test", cluster: "test" }, ...whole }, version });
  arrived = 0;
}

function discoveryFile(): string {
  return path.join(folder, "guard.json");
}

/** Gives Envoy another configuration: a rename, because Envoy watches for moved files and would read half of a written one. */
function publish(configuration: object, failurePolicy: FailurePolicy): void {
  const { typed_config } = guardFilter(withPolicy(staticBootstrap(configuration), failurePolicy));
  const extension = {
    "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
    name: FILTER,
    typed_config,
  };
  const file = `${discoveryFile()}.new`;
  writeFileSync(file, JSON.stringify({ version_info: String(performance.now()), resources: [extension] }));
  renameSync(file, discoveryFile());
}

function message(tool: string): object {
  return { jsonrpc: "2.0", id: 7, method: "tools/call", params: { name: tool, arguments: {} } };
}

/** The tools whose calls the access log has as allowed, one name for each call. */
function allowedTools(): (string | null)[] {
  const allowed = envoy?.accessLog().filter(({ mcp_decision }) => mcp_decision === "allow") ?? [];
  return allowed.map(({ mcp_tool }) => mcp_tool);
}

/** Calls a tool. */
async function call(tool: string, origin = url()): Promise<Outcome> {
  const before = arrived;
  const body = JSON.stringify(message(tool));
  const response = await fetch(origin, { method: "POST", headers: { "content-type": "application/json" }, body });
  const text = await response.text();
  const answer = text === "" ? {} : JSON.parse(text);
  return { status: response.status, reason: answer.error?.data?.reason, reached: arrived > before };
}

/** Waits until a call has the outcome that the configuration just published gives it. */
async function settled(tool: string, outcome: Outcome): Promise<void> {
  await expect.poll(() => call(tool), { timeout: 10_000, interval: 10 }).toEqual(outcome);
}

async function counted(counter: string, value: number): Promise<void> {
  await expect
    .poll(async () => (await envoy?.stats(`^${counter}$`))?.get(counter), { timeout: 10_000, interval: 20 })
    .toBe(value);
}

function url(guard = "guard"): string {
  return `http://127.0.0.1:${envoy?.ports.get(guard)}/mcp`;
}

async function infoGauges(): Promise<[string, number][]> {
  return [...((await envoy?.stats("mcp_guard_info")) ?? [])];
}

async function activeMachines(): Promise<number | undefined> {
  return (await envoy?.stats("^wasm.envoy.wasm.runtime.v8.active$"))?.get("wasm.envoy.wasm.runtime.v8.active");
}

/** Resident memory of Envoy (proc(5), VmRSS). */
function residentBytes(): number {
  const status = readFileSync(`/proc/${envoy?.pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
}
