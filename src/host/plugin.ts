import type { Context, NamedBuffer } from "./context.ts";
import type { HeaderMap } from "./header-map.ts";
import { HostError } from "./host-error.ts";
import type { HttpCall, HttpCallRequest, HttpCallResponse, HttpClient } from "./http-call.ts";
import type { Machine } from "./machine.ts";
import type { PropertyValue } from "./properties.ts";
import { Status } from "./status.ts";
import { HttpStream } from "./stream.ts";
import type { StreamOptions } from "./stream-context.ts";

export interface PluginOptions {
  /** The name in Envoy's configuration; the attribute `plugin_name`. */
  readonly pluginName?: string;
  readonly rootId?: string;
}

const BUFFER = { HttpCallResponse: 4, VmConfiguration: 6, PluginConfiguration: 7 } as const;
const MAP = { HttpCallResponseHeaders: 6, HttpCallResponseTrailers: 7 } as const;

/** One configuration of the module: its root context. Several can live in one VM. */
export class Plugin {
  /** What `proxy_on_vm_start` and `proxy_on_configure` said. Envoy rejects the configuration when it is false. */
  readonly accepted: boolean;

  readonly #machine: Machine;
  readonly #root: PluginRoot;
  readonly #streamDefaults: StreamOptions;
  #stopped = false;

  /** Creates the root context and calls `proxy_on_context_create`, `proxy_on_vm_start` and `proxy_on_configure`. */
  constructor(
    machine: Machine,
    client: HttpClient,
    configuration: Uint8Array,
    options: PluginOptions,
    streamDefaults: StreamOptions,
  ) {
    this.#machine = machine;
    this.#streamDefaults = streamDefaults;
    this.#root = new PluginRoot(machine, client, configuration, options);
    this.accepted = this.#root.start(configuration.length);
  }

  /** The id of the root context. */
  get rootContextId(): number {
    return this.#root.id;
  }

  /** What the module last set with `proxy_set_tick_period_milliseconds`; 0 is no timer. */
  get tickPeriodMs(): number {
    return this.#root.tickPeriodMs;
  }

  /** The HTTP calls that are under way, oldest first. A call leaves the list when it ends. */
  get httpCalls(): readonly HttpCall[] {
    return this.#root.httpCalls;
  }

  /** Lets the timer fire once. @throws HostError ERR_DRIVER when the module has set no period. */
  tick(): void {
    if (this.tickPeriodMs === 0) throw new HostError("ERR_DRIVER", "tick without a tick period: Envoy has no timer");
    this.#machine.invoke(this.#root, "proxy_on_tick", [this.#root.id], () => undefined);
  }

  /** A new stream. Its context is created with its request headers. @throws HostError ERR_DRIVER if not accepted. */
  openStream(options: StreamOptions = {}): HttpStream {
    if (!this.accepted) throw new HostError("ERR_DRIVER", "the configuration was refused: Envoy has no such filter");
    if (this.#stopped) throw new HostError("ERR_DRIVER", "the plugin is stopped");
    return new HttpStream(this.#machine, this.#root, { ...this.#streamDefaults, ...options });
  }

  /** Ends the plugin, as at a configuration update: `proxy_on_done`, then `proxy_on_delete` when the module is done. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#root.stop();
  }
}

/** The root context of a plugin. */
export class PluginRoot implements Context {
  readonly id: number;
  readonly inAccessLog = false;
  tickPeriodMs = 0;
  httpCalls: readonly HttpCall[] = [];
  readonly #machine: Machine;
  readonly #client: HttpClient;
  readonly #configuration: Uint8Array;
  readonly #options: PluginOptions;
  #configuring = false;
  #waitsForDone = false;
  #deleted = false;
  /** Of the callback that runs. */
  #response: HttpCallResponse | undefined;

  constructor(machine: Machine, client: HttpClient, configuration: Uint8Array, options: PluginOptions) {
    this.#machine = machine;
    this.#client = client;
    this.#configuration = configuration;
    this.#options = options;
    this.id = machine.nextContextId();
    machine.contexts.set(this.id, this);
  }

  start(configurationBytes: number): boolean {
    const { id } = this;
    this.#configuring = true;
    this.#invoke("proxy_on_context_create", [id, 0]);
    const started = this.#invoke("proxy_on_vm_start", [id, 0]) ?? 1;
    const configured = started && (this.#invoke("proxy_on_configure", [id, configurationBytes]) ?? 1);
    this.#configuring = false;
    return configured !== 0 && this.#machine.failure === undefined;
  }

  stop(): void {
    this.#waitsForDone = this.#invoke("proxy_on_done", [this.id]) === 0;
    if (!this.#waitsForDone) this.#delete();
  }

  done(): Status {
    if (!this.#waitsForDone) return Status.NotFound;
    this.#waitsForDone = false;
    this.#machine.defer(() => this.#delete());
    return Status.Ok;
  }

  setTickPeriod(milliseconds: number): void {
    this.tickPeriodMs = milliseconds;
  }

  /** A response to a call can be read and not written, and has no size that can be asked for. */
  headerMap(id: number, writing: boolean): HeaderMap | undefined {
    if (writing) return undefined;
    if (id === MAP.HttpCallResponseHeaders) return this.#response?.headers;
    return id === MAP.HttpCallResponseTrailers ? this.#response?.trailers : undefined;
  }

  /** The configuration can be read only while it is delivered, a response only in its callback. */
  buffer(id: number): NamedBuffer | undefined {
    if (id === BUFFER.PluginConfiguration && this.#configuring) return this.#configuration;
    if (id === BUFFER.HttpCallResponse) return this.#response?.body;
    return id === BUFFER.VmConfiguration ? new Uint8Array() : undefined;
  }

  property(path: readonly string[]): PropertyValue | undefined {
    if (path.length !== 1) return undefined;
    if (path[0] === "plugin_name") return this.#options.pluginName ?? "";
    return path[0] === "plugin_root_id" ? (this.#options.rootId ?? "") : undefined;
  }

  /** There is no stream whose filter state could be written. */
  setProperty(): Status {
    return Status.NotFound;
  }

  /** Without a stream these three do nothing, with status Ok. */
  continueStream(type: number): Status {
    return type === 3 ? Status.Unimplemented : Status.Ok;
  }

  closeStream(): Status {
    return Status.Ok;
  }

  sendLocalReply(): void {}

  httpCall(request: HttpCallRequest) {
    const call = this.#client.start(request, (ended, response) => this.#endCall(ended, response));
    if (typeof call === "number") return { status: call, token: 0 };
    this.httpCalls = [...this.httpCalls, call];
    return { status: Status.Ok, token: call.token };
  }

  /** An undefined response is a failure: the callback gets zeros. */
  #endCall(call: HttpCall, response: HttpCallResponse | undefined): void {
    // The calls of a root context that is gone are cancelled: what the server does is not seen any more.
    if (this.#deleted) return;
    this.httpCalls = this.httpCalls.filter((other) => other !== call);
    if (this.#machine.failure !== undefined || !this.#machine.has("proxy_on_http_call_response")) return;
    this.#response = response;
    // Before whatever the callback puts off: the response cannot be read in the callbacks of a stream that it resumes.
    this.#machine.defer(() => {
      this.#response = undefined;
    });
    const sizes = [response?.headers.size ?? 0, response?.body.length ?? 0, response?.trailers?.size ?? 0];
    this.#invoke("proxy_on_http_call_response", [this.id, call.token, ...sizes]);
  }

  #delete(): void {
    this.#invoke("proxy_on_delete", [this.id]);
    this.#deleted = true;
    this.httpCalls = [];
    this.#machine.contexts.delete(this.id);
  }

  #invoke(name: string, args: readonly number[]): number | undefined {
    return this.#machine.invoke(this, name, args, (result) => result);
  }
}
