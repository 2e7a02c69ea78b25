import { randomBytes } from "node:crypto";
import { instantiateSync } from "@assemblyscript/loader";
import type { Context } from "./context.ts";
import { Faults } from "./faults.ts";
import { GuestMemory } from "./guest-memory.ts";
import { HostError } from "./host-error.ts";
import { envFunctions, type HostState, wasiFunctions } from "./imports.ts";
import { Metrics } from "./metrics.ts";

/** The log levels of the ABI, in order of their numbers. */
const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "critical"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** One line that the module logged. */
export interface LogLine {
  readonly level: LogLevel;
  readonly message: string;
}

export interface MachineOptions {
  /** The wall clock in nanoseconds since 1970. */
  readonly now?: () => bigint;
  /** Must return exactly as many bytes as asked for. */
  readonly random?: (bytes: number) => Uint8Array;
  /** Lines below are dropped, and `proxy_get_log_level` returns it. Default: trace. */
  readonly logLevel?: LogLevel;
  /** The environment variables of the VM (`vm_config.environment_variables`). Default: none. */
  readonly environment?: Readonly<Record<string, string>>;
}

type Export = (...args: number[]) => number | undefined;
type HostFunction = (...args: never[]) => number;

/** The faults of the module's allocator are set under this name, whichever of the two names the module exports. */
export const ALLOCATOR = "proxy_on_memory_allocate";

/**
 * One Wasm instance with the rules of calling it: contexts, the effective context, host calls that take effect after
 * the callback, traps. It knows nothing of HTTP; plugins and streams drive it.
 */
export class Machine implements HostState {
  readonly memory: GuestMemory;
  readonly metrics = new Metrics();
  readonly faults = new Faults();
  readonly logs: LogLine[] = [];
  readonly logLevel: number;
  readonly environment: Readonly<Record<string, string>>;
  /** How often each host function was called. */
  readonly calls: Record<string, number> = {};
  /** Every live context by its id. */
  readonly contexts = new Map<number, Context>();
  /** The trap that ended this VM. */
  failure: Error | undefined;

  readonly #options: MachineOptions;
  readonly #exports: Readonly<Record<string, Export>>;
  #starting = false;
  #current: Context | undefined;
  #effectiveId = 0;
  #iterationStopped = false;
  #deferred: (() => void)[] = [];
  #lastContextId = 0;

  /** Instantiates and calls `_initialize`. @throws HostError when the start fails. */
  constructor(module: WebAssembly.Module, options: MachineOptions) {
    this.#options = options;
    this.logLevel = LOG_LEVELS.indexOf(options.logLevel ?? "trace");
    this.environment = options.environment ?? {};
    this.memory = new GuestMemory(
      () => this.#exports.memory as unknown as WebAssembly.Memory,
      (bytes) => this.#allocate(bytes),
    );
    const wasi = this.#watched(wasiFunctions(this));
    // Envoy ignores proc_exit except for a log line: the module runs on.
    const wasiModule = { ...wasi, proc_exit: () => {} };
    const { instance } = instantiateSync(module, {
      env: this.#watched(envFunctions(this)),
      wasi_snapshot_preview1: wasiModule,
      wasi_unstable: wasiModule,
    });
    this.#exports = instance.exports as Record<string, Export>;
    this.#start();
  }

  /** Whether the module exports a callback. */
  has(name: string): boolean {
    return this.#exports[name] !== undefined;
  }

  /** A number that no context has had before. */
  nextContextId(): number {
    return ++this.#lastContextId;
  }

  /**
   * Calls a callback of the module on behalf of a context, and then does what the callback has asked for. A trap ends
   * the VM. Does nothing when the module has no such callback or the VM has failed.
   * @returns what `convert` makes of the callback's return value (undefined when there was none), before the deferred
   * work is done: `stopped` says that a local reply was asked for, which overrules the return value.
   */
  invoke<T>(context: Context, name: string, args: readonly number[], convert: (result: number, stopped: boolean) => T) {
    if (this.failure !== undefined || !this.has(name)) return undefined;
    const result = this.#call(context, name, args);
    const converted = result === undefined ? undefined : convert(result, this.#iterationStopped);
    this.#iterationStopped = false;
    while (this.#deferred.length > 0) this.#deferred.shift()!();
    return converted;
  }

  /** Puts work off until the callback that runs has returned. */
  defer(work: () => void): void {
    this.#deferred.push(work);
  }

  context(): Context {
    if (this.#starting) throw new WebAssembly.RuntimeError("restricted_callback");
    if (this.#current === undefined) {
      throw new HostError("ERR_HOST_CALL", "host call without a context: Envoy would crash");
    }
    return (this.#effectiveId === 0 ? undefined : this.contexts.get(this.#effectiveId)) ?? this.#current;
  }

  setEffectiveContext(id: number): boolean {
    if (id !== 0 && !this.contexts.has(id)) return false;
    this.#effectiveId = id;
    return true;
  }

  stopIteration(): void {
    this.#iterationStopped = true;
  }

  log(level: number, message: string): void {
    if (level >= this.logLevel) this.logs.push({ level: LOG_LEVELS[level]!, message });
  }

  now(): bigint {
    return this.#options.now?.() ?? BigInt(Date.now()) * 1_000_000n;
  }

  random(bytes: number): Uint8Array {
    return this.#options.random?.(bytes) ?? randomBytes(bytes);
  }

  /** `_initialize` may log and use WASI; every other host call is a trap there. */
  #start(): void {
    if (!this.has("_initialize")) return;
    this.#starting = true;
    try {
      this.#exports._initialize!();
    } catch (error) {
      if (error instanceof HostError) throw error;
      throw new HostError("ERR_MODULE", `_initialize failed: ${(error as Error).message}`);
    } finally {
      this.#starting = false;
    }
  }

  #call(context: Context, name: string, args: readonly number[]): number | undefined {
    const outer = { current: this.#current, effectiveId: this.#effectiveId };
    this.#current = context;
    this.#effectiveId = 0;
    try {
      return this.#exports[name]!(...args) ?? 0;
    } catch (error) {
      if (!isTrap(error)) throw error;
      this.failure = error;
      return undefined;
    } finally {
      this.#current = outer.current;
      this.#effectiveId = outer.effectiveId;
    }
  }

  #allocate(bytes: number): number {
    const fault = this.faults.take(ALLOCATOR);
    if (fault !== undefined) return fault;
    const allocate = this.#exports.malloc ?? this.#exports.proxy_on_memory_allocate;
    return allocate!(bytes) ?? 0;
  }

  /** Counts the calls, makes them fail on demand, and restricts them to their phase. */
  #watched(functions: Readonly<Record<string, HostFunction>>): Record<string, HostFunction> {
    const watched = Object.entries(functions).map(([name, work]): [string, HostFunction] => [
      name,
      (...args) => {
        this.calls[name] = (this.calls[name] ?? 0) + 1;
        if (!this.#starting) this.context();
        else if (name.startsWith("proxy_") && name !== "proxy_log") {
          throw new WebAssembly.RuntimeError(`restricted_callback: ${name}`);
        }
        return this.faults.take(name) ?? work(...args);
      },
    ]);
    return Object.fromEntries(watched);
  }
}

/** A trap of the module, stack overflow included, as opposed to an error of this host. */
function isTrap(error: unknown): error is Error {
  return error instanceof WebAssembly.RuntimeError || error instanceof RangeError;
}
