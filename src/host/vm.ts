import { checkModule, ENV_FUNCTIONS, WASI_FUNCTIONS } from "./abi.ts";
import { HostError } from "./host-error.ts";
import { type ClusterOptions, HttpClient } from "./http-call.ts";
import { ALLOCATOR, type LogLine, Machine, type MachineOptions } from "./machine.ts";
import type { Metrics } from "./metrics.ts";
import { Plugin, type PluginOptions } from "./plugin.ts";
import type { StreamOptions } from "./stream-context.ts";

/** Settings of a VM, and the defaults of the streams in it. */
export interface VmOptions extends MachineOptions, ClusterOptions {
  /** 1 inbound, 2 outbound: the attribute `xds.listener_direction` of every stream. Default 1. */
  readonly listenerDirection?: 1 | 2;
}

/**
 * A Proxy-Wasm module in a VM that behaves as one worker thread of Envoy 1.40.0 (the table in `test/abi` runs on both,
 * and on 1.37.0, 1.38.2 and 1.39.3 where the measurements name them). One VM is one Wasm instance; plugins with the
 * same module share it, as they do in Envoy when they have the same `vm_id`.
 */
export class Vm {
  readonly #machine: Machine;
  readonly #client: HttpClient;
  readonly #streamDefaults: StreamOptions;

  /**
   * Checks a module as Envoy does, instantiates it and calls `_initialize`. The bytes are compiled once, however many
   * VMs are loaded from them; the caller must not change them.
   * @throws HostError ERR_MODULE when Envoy would refuse the module.
   */
  static load(module: Uint8Array, options: VmOptions = {}): Vm {
    return new Vm(new Machine(compile(module), options), options);
  }

  private constructor(machine: Machine, options: VmOptions) {
    this.#machine = machine;
    this.#client = new HttpClient(options);
    this.#streamDefaults = { listenerDirection: options.listenerDirection ?? 1 };
  }

  /** Starts a plugin with its configuration; look at `accepted` afterwards. */
  startPlugin(configuration: string | Uint8Array, options: PluginOptions = {}): Plugin {
    const bytes = typeof configuration === "string" ? Buffer.from(configuration, "utf8") : configuration;
    return new Plugin(this.#machine, this.#client, bytes, options, this.#streamDefaults);
  }

  /** What the module has logged, in order. The caller may empty the array. */
  get logs(): LogLine[] {
    return this.#machine.logs;
  }

  get metrics(): Metrics {
    return this.#machine.metrics;
  }

  /** How often each host function was called since the VM was loaded. */
  get calls(): Readonly<Record<string, number>> {
    return this.#machine.calls;
  }

  /** True after a trap: from then on a stream gets 503 `wasm_fail_stream` (failure policy FAIL_CLOSED) when a callback of it is due. */
  get failed(): boolean {
    return this.#machine.failure !== undefined;
  }

  /** The trap. */
  get failure(): Error | undefined {
    return this.#machine.failure;
  }

  /** Size of the module's linear memory in bytes; it never shrinks. */
  memoryBytes(): number {
    return this.#machine.memory.byteLength;
  }

  /** A copy of the module's linear memory: what it still has of secrets can be searched for in it. */
  readMemory(): Buffer {
    return Buffer.from(this.#machine.memory.read(0, this.memoryBytes()) ?? []);
  }

  /** Number of live contexts, roots included: what is left after all streams have ended is a leak of the host. */
  contextCount(): number {
    return this.#machine.contexts.size;
  }

  /**
   * Makes one call of a host function return `status` instead of working, after `after` further calls that work.
   * @throws HostError ERR_DRIVER when there is no such host function.
   */
  failNext(importName: string, status: number, options: { readonly after?: number } = {}): void {
    checkImportName(importName);
    this.#machine.faults.next(importName, status, options.after ?? 0);
  }

  /** Makes every call of a host function return `status`. */
  failAll(importName: string, status: number): void {
    checkImportName(importName);
    this.#machine.faults.always(importName, status);
  }

  /**
   * Makes the module's allocator return 0 for one allocation of the host: the host call that needed it then returns
   * InvalidMemoryAccess (6).
   */
  failNextAllocation(options: { readonly after?: number } = {}): void {
    this.#machine.faults.next(ALLOCATOR, 0, options.after ?? 0);
  }

  /** Ends all faults. */
  clearFaults(): void {
    this.#machine.faults.clear();
  }
}

/** Compiled modules by their bytes. */
const compiled = new WeakMap<Uint8Array, WebAssembly.Module>();

function compile(binary: Uint8Array): WebAssembly.Module {
  const known = compiled.get(binary);
  if (known !== undefined) return known;
  if (!WebAssembly.validate(binary)) {
    throw new HostError("ERR_MODULE", "Failed to parse corrupted Wasm module");
  }
  checkModule(binary);
  const module = new WebAssembly.Module(binary);
  compiled.set(binary, module);
  return module;
}

function checkImportName(name: string): void {
  if (name in ENV_FUNCTIONS || name in WASI_FUNCTIONS) return;
  throw new HostError("ERR_DRIVER", `no host function is called ${name}`);
}
