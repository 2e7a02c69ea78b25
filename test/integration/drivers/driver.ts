// The seam between the suites and Envoy: what a running Envoy offers, wherever it runs.
import type { AccessEntry } from "../../../src/envoy/access-log.ts";
import type { Bootstrap, GuardOptions } from "../../../src/envoy/bootstrap.ts";

/** What a suite asks for. */
export interface StartOptions {
  /** A pinned Envoy version, default the newest. */
  version?: string;
  /** The compiled filter on this machine, default `build/plugin.wasm`. */
  wasm?: string;
  /** The port of the server behind the guard, on this machine. It must listen on 0.0.0.0: containers reach it from outside. */
  upstreamPort: number;
  /** The guards; each is a listener of its own. */
  guards: readonly GuardOptions[];
  /** Number of worker threads, default 1. */
  concurrency?: number;
  /** A last change to the bootstrap, for what the options do not name. */
  edit?: (bootstrap: Bootstrap) => void;
}

/** A running Envoy. */
export interface RunningEnvoy {
  /** The version that it says it has. */
  readonly version: string;
  /** `http://host:port` of a guard, the only or first one when none is named. */
  url(guard?: string): string;
  readonly adminUrl: string;
  /** Envoy's log so far, the filter's lines included. A container's comes through its engine, a moment later, so poll (`expectLogged`). */
  logs(): string;
  /** The exchanges logged so far. Envoy flushes every 50 ms, so poll for the one that you wait for. */
  accessLog(): AccessEntry[];
  /** Counters and gauges whose name matches the regular expression (RE2 syntax), by name. */
  stats(filter?: string): Promise<Map<string, number>>;
  /** Ends it; nothing of it is left. Safe to call twice. */
  stop(): Promise<void>;
}

/** One way of running Envoy. */
export interface EnvoyDriver {
  readonly name: string;
  /** Starts one and waits until it is ready; rejects with its last log lines when it does not come up. */
  start(options: StartOptions): Promise<RunningEnvoy>;
}
