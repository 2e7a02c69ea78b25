// Runs one Envoy as an ordinary child process.
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { type Exit, startChild } from "../child.ts";
import { GuardError } from "../error.ts";
import { type AccessEntry, parseAccessLine } from "./access-log.ts";
import { fetchListenerPorts, fetchStats } from "./admin.ts";
import { envoyBinary } from "./binary.ts";
import { tailLines } from "./tail.ts";

const READY_TIMEOUT_MS = 20_000;
const READY_POLL_MS = 20;
const LAST_LINES = 20;

/** What `startEnvoy` takes. */
export interface EnvoyOptions {
  /** The bootstrap, as an object or as YAML or JSON text. Ports of 0 are chosen by the kernel; see `ports`. */
  bootstrap: object | string;
  /** A pinned version; default `DEFAULT_ENVOY_VERSION`. */
  version?: string;
  /** A binary to use instead of `envoyBinary(version)`. */
  binary?: string;
  /** Envoy's `--log-level`, default `info`. */
  logLevel?: string;
  /** Envoy's `--component-log-level`, default `wasm:debug`. */
  componentLogLevel?: string;
  /** Number of worker threads, default 1. */
  concurrency?: number;
  /** Called for each line of Envoy's log as it is written. */
  onLog?: (line: string) => void;
  /** Called for each exchange as it is logged. */
  onAccess?: (entry: AccessEntry) => void;
}

/** A running Envoy. */
export interface EnvoyProcess {
  readonly pid: number;
  /** The port of each TCP listener, by listener name. */
  readonly ports: ReadonlyMap<string, number>;
  /** `http://host:port` of the admin interface. */
  readonly adminUrl: string;
  /** All of Envoy's own log so far, the filter's lines included. */
  logs(): string;
  /** The exchanges logged so far; Envoy flushes every 50 ms. */
  accessLog(): AccessEntry[];
  /** Counters and gauges whose name matches the regular expression (RE2 syntax), by name. */
  stats(filter?: string): Promise<Map<string, number>>;
  /** Ends it and removes its files. Safe to call twice. */
  stop(): Promise<void>;
  /** Settles when the process has ended, asked to or not; never rejects. */
  readonly exited: Promise<Exit>;
}

/**
 * Starts an Envoy and waits until it answers `/ready`.
 * @throws GuardError `ERR_ENVOY_START` with the last lines of its log when it ends or is not ready within 20 s, and
 * `ERR_ENVOY_BINARY` when there is none to start. Nothing is left running in either case.
 */
export async function startEnvoy(options: EnvoyOptions): Promise<EnvoyProcess> {
  const binary = options.binary ?? (await envoyBinary(options.version));
  const folder = mkdtempSync(path.join(tmpdir(), "mcp-guard-envoy-"));
  const file = (name: string) => path.join(folder, name);
  // JSON is YAML, so one file name serves both.
  const text = typeof options.bootstrap === "string" ? options.bootstrap : JSON.stringify(options.bootstrap, null, 2);
  writeFileSync(file("bootstrap.yaml"), text);

  // Files, not pipes: Node's pipes are sockets, and Envoy opens /dev/stdout by name for its access log, which fails on
  // a socket (ENXIO). The files also keep the log readable after the process has ended.
  const stdout = openSync(file("access.log"), "a");
  const stderr = openSync(file("envoy.log"), "a");
  const args = [
    ["--config-path", file("bootstrap.yaml")],
    ["--log-level", options.logLevel ?? "info"],
    ["--component-log-level", options.componentLogLevel ?? "wasm:debug"],
    ["--concurrency", String(options.concurrency ?? 1)],
    ["--admin-address-path", file("admin")],
    ["--file-flush-interval-msec", "50"],
    // Hot restart would tie all Envoys of one machine together by a shared base id.
    ["--disable-hot-restart"],
  ].flat();
  const child = await startChild(binary, args, { stdio: ["ignore", stdout, stderr], ownFolder: folder }).catch(
    (error: unknown) => {
      rmSync(folder, { recursive: true, force: true });
      throw new GuardError("ERR_ENVOY_START", `${binary} could not be started: ${String(error)}`, { cause: error });
    },
  );
  closeSync(stdout);
  closeSync(stderr);
  const tails = [
    ...(options.onLog ? [tailLines(file("envoy.log"), options.onLog)] : []),
    ...(options.onAccess ? [tailLines(file("access.log"), forwardAccess(options.onAccess))] : []),
  ];
  let kept: { logs: string; access: string } | undefined;
  const cleaned = child.exited.then((exit) => {
    for (const tail of tails) tail.stop();
    kept = { logs: readFileSync(file("envoy.log"), "utf8"), access: readFileSync(file("access.log"), "utf8") };
    rmSync(folder, { recursive: true, force: true });
    return exit;
  });
  const stop = async () => {
    await child.stop();
    await cleaned;
  };
  const logs = () => kept?.logs ?? readFileSync(file("envoy.log"), "utf8");

  try {
    const adminUrl = await waitUntilReady(file("admin"), child.running);
    // What was said during the start has been handed out when the caller gets the running Envoy.
    for (const tail of tails) tail.read();
    return {
      pid: child.pid,
      ports: await fetchListenerPorts(adminUrl),
      adminUrl,
      logs,
      accessLog() {
        const log = kept?.access ?? readFileSync(file("access.log"), "utf8");
        return log.split("\n").flatMap((line) => parseAccessLine(line) ?? []);
      },
      stats: (filter) => fetchStats(adminUrl, filter),
      stop,
      exited: cleaned,
    };
  } catch (error) {
    await stop();
    throw new GuardError("ERR_ENVOY_START", `${String(error)}; its last lines:\n${lastLines(logs())}`, {
      cause: error,
    });
  }
}

function forwardAccess(onAccess: (entry: AccessEntry) => void): (line: string) => void {
  return (line) => {
    const entry = parseAccessLine(line);
    if (entry !== undefined) onAccess(entry);
  };
}

async function waitUntilReady(adminFile: string, running: () => boolean): Promise<string> {
  const deadline = performance.now() + READY_TIMEOUT_MS;
  while (performance.now() < deadline) {
    if (!running()) throw new EnvoyNotReady("Envoy ended before it was ready");
    const address = readIfThere(adminFile);
    if (address !== "" && (await isReady(`http://${address}`))) return `http://${address}`;
    await new Promise((resolve) => setTimeout(resolve, READY_POLL_MS));
  }
  throw new EnvoyNotReady(`Envoy was not ready after ${READY_TIMEOUT_MS / 1000} s`);
}

class EnvoyNotReady extends Error {
  override toString(): string {
    return this.message;
  }
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, "utf8").trim();
  } catch {
    return "";
  }
}

async function isReady(adminUrl: string): Promise<boolean> {
  try {
    return (await fetch(`${adminUrl}/ready`, { signal: AbortSignal.timeout(1_000) })).ok;
  } catch {
    return false;
  }
}

/** The end of a log, for a message about an Envoy that did not come up. */
export function lastLines(log: string): string {
  return log.trimEnd().split("\n").slice(-LAST_LINES).join("\n");
}
