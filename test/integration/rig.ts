// One Envoy with its guards and the server behind them, as the suites of this folder use it.
import { expect } from "vitest";
import { connectionManager, type GuardOptions } from "../../src/envoy/bootstrap.ts";
import type { EnvoyDriver, RunningEnvoy, StartOptions } from "./drivers/driver.ts";
import { drivers } from "./drivers/drivers.ts";
import { connectHttp1 } from "./http1-wire.ts";
import { connectHttp2 } from "./http2-wire.ts";
import { type Origin, type Respond, startOrigin } from "./origin.ts";
import type { ClientTls, Fields, WireConnection } from "./wire.ts";

export type Protocol = "h1" | "h2";
export const PROTOCOLS: readonly Protocol[] = ["h1", "h2"];

/** The two header modes, each as it is meant to be run: what is configured, and what Envoy is told. */
const HEADER_MODES = {
  release: { configuration: {}, allowOnHeadersStop: false },
  hold: { configuration: { request_headers: "hold" }, allowOnHeadersStop: true },
} as const;
export type HeaderMode = keyof typeof HEADER_MODES;
export const HEADER_MODE_NAMES: readonly HeaderMode[] = ["release", "hold"];

/** How long a suite waits for what is only a matter of time, on a machine that has other things to do. */
export const PATIENCE = { timeout: 15_000, interval: 20 } as const;

export const CLUSTER = "mcp_server";
export const JSON_FIELDS: Fields = [
  ["content-type", "application/json"],
  ["accept", "application/json, text/event-stream"],
];

/** A guard in one of the header modes. */
export function guardIn(mode: HeaderMode, configuration: object, options: GuardOptions = {}): GuardOptions {
  const { configuration: own, allowOnHeadersStop } = HEADER_MODES[mode];
  return { configuration: { ...own, ...configuration }, allowOnHeadersStop, ...options };
}

/** What a suite asks for. */
export interface RigOptions extends Omit<StartOptions, "upstreamPort"> {
  /** Default: the first of the chosen drivers, which is the process. */
  driver?: EnvoyDriver;
  /** What the server speaks, and so what Envoy speaks to it. Default HTTP/1.1. */
  upstream?: Protocol;
  respond?: Respond;
}

export interface Rig {
  readonly envoy: RunningEnvoy;
  readonly origin: Origin;
  /**
   * A raw connection to a guard, the first one when none is named; with `tls` over TLS (mutual-tls.ts).
   * @throws Error when the TLS handshake fails, for example because the guard refuses the client's certificate.
   */
  connect(protocol: Protocol, guard?: string, tls?: ClientTls): Promise<WireConnection>;
  stop(): Promise<void>;
}

export async function startRig(options: RigOptions): Promise<Rig> {
  const { driver = drivers[0]!, upstream = "h1", respond, edit, ...start } = options;
  const origin = await startOrigin(upstream, respond);
  try {
    const envoy = await driver.start({
      ...start,
      upstreamPort: origin.port,
      edit(bootstrap) {
        if (upstream === "h2") for (const cluster of bootstrap.static_resources.clusters) speakHttp2(cluster);
        // The suites name each request, and Envoy must not choose another name.
        for (const listener of bootstrap.static_resources.listeners) {
          connectionManager(listener).preserve_external_request_id = true;
        }
        edit?.(bootstrap);
      },
    });
    return {
      envoy,
      origin,
      connect: (protocol, guard, tls) =>
        protocol === "h1" ? connectHttp1(envoy.url(guard), tls) : connectHttp2(envoy.url(guard), tls),
      async stop() {
        await envoy.stop();
        await origin.stop();
      },
    };
  } catch (error) {
    await origin.stop();
    throw error;
  }
}

/** Waits until no request is under way any more, neither at the listeners nor at the server. */
export async function expectNothingActive(rig: Rig, timeoutMs: number = PATIENCE.timeout): Promise<void> {
  const active = async () => {
    const stats = await rig.envoy.stats(
      `^(http\\.guard\\.downstream_rq_active|cluster\\.${CLUSTER}\\.upstream_rq_active)$`,
    );
    return Object.fromEntries(stats);
  };
  await expect
    .poll(active, { ...PATIENCE, timeout: timeoutMs })
    .toEqual({ "http.guard.downstream_rq_active": 0, [`cluster.${CLUSTER}.upstream_rq_active`]: 0 });
}

/** Waits until Envoy's log has a text, or a line that matches. */
export async function expectLogged(envoy: RunningEnvoy, said: string | RegExp): Promise<void> {
  await expect.poll(() => envoy.logs(), PATIENCE).toMatch(said);
}

/** A `tools/call` as text. */
export function toolCall(tool: string, toolArguments: object = {}, id: number | string = 1): string {
  return JSON.stringify({ jsonrpc: "2.0", id, method: "tools/call", params: { name: tool, arguments: toolArguments } });
}

/** `x-request-id` for one request: by it the answer, the server's view and the access log are brought together. */
export function named(requestId: string): Fields {
  return [["x-request-id", requestId]];
}

/** Has Envoy speak HTTP/2 to a server. */
export function speakHttp2(cluster: Record<string, unknown>): void {
  speak(cluster, { http2_protocol_options: {} });
}

/** Has Envoy speak HTTP/1.1 to a server, with trailers: it drops what stands behind the body unless a server is said to want it. */
export function speakHttp1WithTrailers(cluster: Record<string, unknown>): void {
  speak(cluster, { http_protocol_options: { enable_trailers: true } });
}

function speak(cluster: Record<string, unknown>, protocol: object): void {
  cluster.typed_extension_protocol_options = {
    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
      "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
      explicit_http_config: protocol,
    },
  };
}
