// A guard in the Node host that gets another policy while its streams are open. Envoy makes a new guard for a new configuration; the ABI lets a host
// configure the same one again, and here one does.

import { expect } from "vitest";
import { HttpClient } from "../../src/host/http-call.ts";
import type { VmOptions } from "../../src/host/index.ts";
import { Machine } from "../../src/host/machine.ts";
import { PluginRoot } from "../../src/host/plugin.ts";
import { HttpStream } from "../../src/host/stream.ts";
import { BUILDS, type Build, type Guard } from "./guard.ts";

/** A root context whose host delivers a second configuration. */
class ConfiguredAgain extends PluginRoot {
  #next: Uint8Array | undefined;
  readonly #machine: Machine;

  constructor(machine: Machine, client: HttpClient, configuration: Uint8Array) {
    super(machine, client, configuration, {});
    this.#machine = machine;
  }

  configure(policy: object): boolean {
    this.#next = Buffer.from(JSON.stringify(policy));
    const said = this.#machine.invoke(this, "proxy_on_configure", [this.id, this.#next.length], (result) => result);
    this.#next = undefined;
    return said === 1;
  }

  override buffer(id: number): ReturnType<PluginRoot["buffer"]> {
    const PLUGIN_CONFIGURATION = 7;
    return id === PLUGIN_CONFIGURATION && this.#next !== undefined ? this.#next : super.buffer(id);
  }
}

export interface GuardAgain extends Guard {
  readonly machine: Machine;
  configure(next: object): void;
  /** Whether the guard takes that policy. */
  accepts(next: object): boolean;
  /** A callback of a context with two more numbers, and what it gives. */
  callback(name: string, id: number): unknown;
  /** The answer to a call that nobody has made, with nothing to read. */
  strayAnswer(token: number): void;
}

const CLUSTERS = ["approval", "elsewhere"];

/** A guard that can be configured again. */
export function startAgain(policy: object, options: VmOptions & { readonly build?: Build } = {}): GuardAgain {
  const machine = new Machine(new WebAssembly.Module(BUILDS[options.build ?? "release"]), options);
  return addAgain(machine, new HttpClient({ clusters: CLUSTERS, ...options }), policy);
}

/** One more guard of that kind in the same VM. */
export function addAgain(machine: Machine, client: HttpClient, policy: object): GuardAgain {
  const bytes = Buffer.from(JSON.stringify(policy));
  const root = new ConfiguredAgain(machine, client, bytes);
  expect(root.start(bytes.length)).toBe(true);
  const plugin = {
    get httpCalls() {
      return root.httpCalls;
    },
    get tickPeriodMs() {
      return root.tickPeriodMs;
    },
    tick: () => machine.invoke(root, "proxy_on_tick", [root.id], () => undefined),
    openStream: (options: object = {}) => new HttpStream(machine, root, { listenerDirection: 1, ...options }),
    stop: () => root.stop(),
  };
  const vm = { readMemory: () => Buffer.from(machine.memory.read(0, machine.memory.byteLength) ?? []) };
  return {
    vm: vm as never,
    plugin: plugin as never,
    machine,
    configure: (next) => expect(root.configure(next)).toBe(true),
    accepts: (next) => root.configure(next),
    callback: (name, id) => machine.invoke(machine.contexts.get(id)!, name, [id, 0, 1], (result) => result),
    strayAnswer: (token) => {
      machine.invoke(root, "proxy_on_http_call_response", [root.id, token, 0, 0, 0], () => undefined);
    },
  };
}
