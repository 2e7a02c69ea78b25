// `make bench-refusals`: what refusals do to the connections between Envoy and its server. A refusal after the head has gone on breaks a
// request off there; servers and their protocols take that differently. Writes bench/results/refusals.md.
import { type ChildProcess, fork, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import os from "node:os";
import { fetchVersion } from "../../src/envoy/admin.ts";
import { type Bootstrap, buildBootstrap, connectionManager } from "../../src/envoy/bootstrap.ts";
import { type EnvoyProcess, startEnvoy } from "../../src/envoy/process.ts";
import { projectPath } from "../../src/project.ts";
import { SHAPES, SMALL } from "./inputs.ts";
import { type Load, openLoad, type Protocol } from "./load.ts";

const SECONDS = 8;
const REFUSED_CONNECTIONS = 8;
const STREAMED_BYTES = 100_000;

const SERVERS = {
  Node: () => {
    const server = fork(new URL("upstream-both.js", import.meta.url));
    return { server, port: once(server, "message").then(([message]) => message as Record<Protocol, number>) };
  },
  Go: () => {
    const server = spawn(projectPath("build", "bench-go-server"), { stdio: ["ignore", "pipe", "inherit"] });
    const port = once(server.stdout!, "data").then(([data]) => Number(String(data)));
    return { server: server as ChildProcess, port: port.then((one) => ({ h1: one, h2: one })) };
  },
} as const;

const MODES = {
  release: { configuration: {}, body: SMALL("evil") },
  hold: { configuration: { request_headers: "hold" }, body: SMALL("evil") },
  stream: { configuration: { request_body: "stream" }, body: SHAPES["small members"]("evil", STREAMED_BYTES) },
} as const;

const RETRIES = {
  "no retry": undefined,
  "retry refused streams": { retry_on: "refused-stream", num_retries: 2 },
} as const;

const rows: string[][] = [];
let version = "";
for (const [name, start] of Object.entries(SERVERS)) {
  const { server, port } = start();
  try {
    const ports = await port;
    for (const upstream of ["h1", "h2"] as const) {
      for (const mode of Object.keys(MODES) as (keyof typeof MODES)[]) {
        for (const retry of Object.keys(RETRIES) as (keyof typeof RETRIES)[]) {
          if (upstream === "h1" && retry !== "no retry") continue;
          const row = await measure(ports[upstream], upstream, mode, retry);
          rows.push([name, upstream === "h1" ? "HTTP/1.1" : "HTTP/2", mode, retry, ...row]);
          console.log(rows.at(-1)!.join(", "));
        }
      }
    }
  } finally {
    server.kill();
  }
}
const head = [
  "server",
  "protocol to it",
  "mode",
  "Envoy's route",
  "refusals a second",
  "connections to the server, for 1,000 refusals",
  "answered 503 instead",
  "listed calls a second",
  "of them failed",
];
writeFileSync(
  projectPath("bench", "results", "refusals.md"),
  `# Refusals and the connections behind them

Written by \`make bench-refusals\`; do not edit. ${os.cpus()[0]?.model}, ${os.availableParallelism()} cores, Node ${process.versions.node}, Envoy ${version}.

For ${SECONDS} seconds ${REFUSED_CONNECTIONS} connections send calls that are refused, one after the other (with \`stream\` of ${STREAMED_BYTES} bytes each, else of 200), while one connection sends listed calls to the same server.

${[head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n")}
`,
);

async function measure(
  port: number,
  upstream: Protocol,
  mode: keyof typeof MODES,
  retry: keyof typeof RETRIES,
): Promise<string[]> {
  const { configuration, body } = MODES[mode];
  const policy = { tool_allowlist: ["safe"], ...configuration };
  const envoy = await startEnvoy({
    bootstrap: bootstrapFor(port, upstream, policy, RETRIES[retry]),
    concurrency: 1,
    componentLogLevel: "wasm:warn",
  });
  try {
    version = await fetchVersion(envoy.adminUrl);
    const listener = envoy.ports.get("guard")!;
    const open = (calls: Buffer) => openLoad(listener, "h1", 1, { path: "/mcp", body: calls });
    const refused = await Promise.all(Array.from({ length: REFUSED_CONNECTIONS }, () => open(body)));
    const listed = await open(SMALL("safe"));
    const before = await opened(envoy);
    const end = performance.now() + SECONDS * 1_000;
    /** Sends until the time is over; how many were answered with 200, as refusals by policy are too, and how many were not. */
    const send = async (load: Load): Promise<{ good: number; failed: number }> => {
      let [good, failed] = [0, 0];
      while (performance.now() < end) {
        if ((await load.once()).status === 200) good++;
        else failed++;
      }
      load.close();
      return { good, failed };
    };
    const [allowed, ...refusals] = await Promise.all([listed, ...refused].map(send));
    const requests = refusals.reduce((sum, { good }) => sum + good, 0);
    const lost = refusals.reduce((sum, { failed }) => sum + failed, 0);
    const connections = (await opened(envoy)) - before;
    return [
      (requests / SECONDS).toFixed(0),
      ((connections * 1_000) / requests).toFixed(1),
      String(lost),
      (allowed!.good / SECONDS).toFixed(0),
      String(allowed!.failed),
    ];
  } finally {
    await envoy.stop();
  }
}

async function opened(envoy: EnvoyProcess): Promise<number> {
  return (await envoy.stats("^cluster.mcp_server.upstream_cx_total$")).values().next().value ?? 0;
}

function bootstrapFor(port: number, upstream: Protocol, configuration: object, retry: object | undefined): Bootstrap {
  const bootstrap = buildBootstrap({
    template: "test",
    wasmPath: projectPath("build", "plugin.wasm"),
    upstream: { host: "127.0.0.1", port },
    guards: [{ listenPort: 0, configuration, allowOnHeadersStop: "request_headers" in configuration }],
  });
  for (const listener of bootstrap.static_resources.listeners) {
    const manager = connectionManager(listener);
    manager.access_log = [];
    for (const { route } of manager.route_config.virtual_hosts.flatMap(({ routes }) => routes)) {
      Object.assign(route, retry === undefined ? {} : { retry_policy: retry });
    }
  }
  for (const cluster of bootstrap.static_resources.clusters) {
    if (upstream === "h1") continue;
    cluster.typed_extension_protocol_options = {
      "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        explicit_http_config: { http2_protocol_options: {} },
      },
    };
  }
  return bootstrap;
}
