// The one Envoy of the benchmark: a listener for each way to treat a request, all of them on the same worker thread and in front of the same
// server.
import { readdirSync, readFileSync } from "node:fs";
import {
  type Bootstrap,
  buildBootstrap,
  type Cluster,
  connectionManager,
  type Listener,
} from "../../src/envoy/bootstrap.ts";
import { type EnvoyProcess, startEnvoy } from "../../src/envoy/process.ts";
import { projectPath } from "../../src/project.ts";
import { LISTED } from "./inputs.ts";

export const BODY_BYTES_MAX = 4_194_304;
/** Without records: what they cost has a table of its own. */
const BARE = { audit: { line: "none" } };
const POLICY = { tool_allowlist: LISTED, limits: { body_bytes: 2_000_000 }, ...BARE };
const DIGESTS = { line: "json", arguments: "digest", response: "digest" };
const some = (count: number): string[] => ["safe", ...Array.from({ length: count - 1 }, (_, index) => `tool_${index}`)];

/** What each listener does, in the words of the report. */
export const VARIANTS = {
  none: "no filter",
  "none again": "the same once more: what differs between these two is noise",
  native: "`envoy.filters.http.mcp` (REJECT_NO_MCP, duplicate keys refused) with an RBAC allowlist of tools",
  floor: "a Wasm filter that has the body held, copies it into its memory, and lets it go",
  "floor, responses": "the same, and it copies each piece of the response",
  guard: "this filter, `request_headers: release`, `request_body: whole`, `audit.line: none`",
  "guard, headers held": "the same with `request_headers: hold`",
  "guard, streaming": "the same with `request_body: stream`",
  "guard, records": "the same with a record of each exchange, which no access log writes",
  "guard, digests": "the same with digests of arguments and response in it",
  "guard, 2 tools": "a policy that lists 2 tools",
  "guard, 200 tools": "200 tools",
  "guard, 16384 tools": "16,384 tools, the most that a policy takes",
} as const;
export type Variant = keyof typeof VARIANTS;

const POLICIES: Partial<Record<Variant, object>> = {
  guard: POLICY,
  "guard, headers held": { ...POLICY, request_headers: "hold" },
  "guard, streaming": { ...POLICY, request_body: "stream" },
  "guard, records": { ...POLICY, audit: { line: "json" } },
  "guard, digests": { ...POLICY, audit: DIGESTS },
  "guard, 2 tools": { tool_allowlist: some(2), ...BARE },
  "guard, 200 tools": { tool_allowlist: some(200), ...BARE },
  "guard, 16384 tools": { tool_allowlist: some(16_384), ...BARE },
};

const FLOORS: Partial<Record<Variant, string>> = {
  floor: "bench-floor.wasm",
  "floor, responses": "bench-floor-responses.wasm",
};

export interface BenchProxy<V extends string = Variant> {
  readonly envoy: EnvoyProcess;
  port(variant: V): number;
  /** Nanoseconds that the worker thread has been on a CPU. */
  workerNanoseconds(): number;
}

export function startProxy(upstreamPort: number): Promise<BenchProxy> {
  return startWorker(bootstrapFor(upstreamPort));
}

/** Starts an Envoy with one worker, whose listeners are the variants. */
export async function startWorker<V extends string>(bootstrap: Bootstrap): Promise<BenchProxy<V>> {
  const envoy = await startEnvoy({ bootstrap, concurrency: 1, componentLogLevel: "wasm:warn" });
  const tasks = `/proc/${envoy.pid}/task`;
  const workers = readdirSync(tasks).filter((task) => /^wrk:/.test(readFileSync(`${tasks}/${task}/comm`, "utf8")));
  if (workers.length !== 1) throw new Error(`Envoy has ${workers.length} worker threads, expected 1`);
  return {
    envoy,
    port: (variant) => envoy.ports.get(variant)!,
    workerNanoseconds: () => Number(readFileSync(`${tasks}/${workers[0]}/schedstat`, "utf8").split(" ")[0]),
  };
}

function bootstrapFor(upstreamPort: number): Bootstrap {
  const variants = Object.keys(VARIANTS) as Variant[];
  const bootstrap = buildBootstrap({
    template: "test",
    wasmPath: projectPath("build", "plugin.wasm"),
    upstream: { host: "127.0.0.1", port: upstreamPort },
    guards: variants.map((name) => ({
      name,
      listenPort: 0,
      perConnectionBufferLimitBytes: BODY_BYTES_MAX,
      allowOnHeadersStop: name === "guard, headers held",
      configuration: POLICIES[name] ?? {},
    })),
  });
  for (const listener of bootstrap.static_resources.listeners) {
    makeBare(listener);
    const manager = connectionManager(listener);
    const router = manager.http_filters.at(-1)!;
    const name = listener.name as Variant;
    if (name in POLICIES) continue;
    const guard = manager.http_filters[0]!;
    const floor = FLOORS[name];
    if (floor !== undefined) guard.typed_config.config.vm_config.code.local.filename = projectPath("build", floor);
    const filters = name === "native" ? nativeFilters() : floor === undefined ? [] : [guard];
    manager.http_filters = [...filters, router] as typeof manager.http_filters;
  }
  for (const cluster of bootstrap.static_resources.clusters) openWide(cluster);
  return bootstrap;
}

/** Leaves out what Envoy does for each request beside its filters. */
export function makeBare(listener: Listener): void {
  const manager = connectionManager(listener);
  manager.access_log = [];
  manager.generate_request_id = false;
  Object.assign(manager.http_filters.at(-1)!.typed_config, { suppress_envoy_headers: true });
}

/** Has a cluster take what the benchmark sends. */
export function openWide(cluster: Cluster): void {
  cluster.per_connection_buffer_limit_bytes = BODY_BYTES_MAX;
  cluster.circuit_breakers = {
    thresholds: [{ max_connections: 10_000, max_pending_requests: 10_000, max_requests: 10_000 }],
  };
}

/** Envoy's own MCP filter, as strict as it can be set, and the RBAC filter that goes by what it found. */
function nativeFilters(): object[] {
  const found = (path: string[], value: object) => ({
    sourced_metadata: {
      metadata_matcher: { filter: "envoy.filters.http.mcp", path: path.map((key) => ({ key })), value },
    },
  });
  const one = (texts: readonly string[]) => ({
    or_match: { value_matchers: texts.map((exact) => ({ string_match: { exact } })) },
  });
  const call = found(["method"], { string_match: { exact: "tools/call" } });
  return [
    {
      name: "envoy.filters.http.mcp",
      typed_config: {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.mcp.v3.Mcp",
        traffic_mode: "REJECT_NO_MCP",
        max_request_body_size: BODY_BYTES_MAX,
        reject_duplicate_keys: true,
        request_storage_mode: "DYNAMIC_METADATA",
      },
    },
    {
      name: "envoy.filters.http.rbac",
      typed_config: {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
        rules: {
          action: "ALLOW",
          policies: {
            methods: {
              permissions: [found(["method"], one(["initialize", "ping", "tools/list"]))],
              principals: [{ any: true }],
            },
            tools: {
              permissions: [{ and_rules: { rules: [call, found(["params", "name"], one(LISTED))] } }],
              principals: [{ any: true }],
            },
          },
        },
      },
    },
  ];
}
