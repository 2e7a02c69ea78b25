import { BodyBuffer } from "./body-buffer.ts";
import { type HeaderInput, HeaderMap } from "./header-map.ts";
import { HostError } from "./host-error.ts";
import type { LocalReply } from "./local-reply.ts";
import type { Machine } from "./machine.ts";
import type { PluginRoot } from "./plugin.ts";
import type { DownstreamView, UpstreamView } from "./sink.ts";
import { type Side, StreamContext, type StreamOptions } from "./stream-context.ts";

/**
 * One HTTP stream through the filter, driven from both ends: the client sends requests with `request*`, the server
 * answers with `response*`. What Envoy does by itself happens by itself: when the response has ended, however it came
 * about, the stream ends with `proxy_on_log`, `proxy_on_done` and `proxy_on_delete` and further input is dropped.
 */
export class HttpStream {
  readonly #filter: StreamContext;
  #input: Record<Side, "headers" | "body" | "ended"> = { request: "headers", response: "headers" };

  constructor(machine: Machine, root: PluginRoot, options: StreamOptions) {
    this.#filter = new StreamContext(machine, root, options);
  }

  /** The id of the stream's context. */
  get contextId(): number {
    return this.#filter.id;
  }

  get upstream(): UpstreamView {
    return this.#filter.upstream;
  }

  get downstream(): DownstreamView {
    return this.#filter.downstream;
  }

  /** The last local reply that was due: the module's, or one of Envoy's own (413, 500, 503 after a trap). */
  get localReply(): LocalReply | undefined {
    return this.#filter.localReply;
  }

  /** Filter state that the module has set, by name without the prefix `wasm.`; readable after the end as well. */
  get filterState(): ReadonlyMap<string, string> {
    return this.#filter.filterState;
  }

  /** `%RESPONSE_CODE_DETAILS%`. */
  get codeDetails(): string | undefined {
    return this.#filter.codeDetails;
  }

  /** `%RESPONSE_CODE%`: 0 until there is a response, even if it is still held. */
  get responseCode(): number {
    return this.#filter.responseCode;
  }

  /** More of the request is held than the limit allows, so that nothing more is read from the client. */
  get stalled(): boolean {
    return this.#filter.stalled.request;
  }

  /** The stream has ended: `proxy_on_delete` has been called. */
  get finished(): boolean {
    return this.#filter.finished;
  }

  /** Bytes of the request body that Envoy holds for the filter. */
  get heldBytes(): number {
    return this.#filter.decode.heldBytes;
  }

  requestHeaders(headers: HeaderInput, endOfStream: boolean): void {
    this.#expect("request", "headers", endOfStream ? "ended" : "body");
    this.#filter.startRequest(new HeaderMap(headers), endOfStream);
  }

  /**
   * The end of a body mostly comes as a call of its own without bytes: see {@link requestEnd}. The bytes are not copied:
   * the caller must not change them.
   */
  requestBody(bytes: Uint8Array | string, endOfStream: boolean): void {
    this.#expect("request", "body", endOfStream ? "ended" : "body");
    const data = new BodyBuffer(toBytes(bytes));
    this.#filter.receive("request", data.length, () => this.#filter.decode.data(data, endOfStream));
  }

  /** The end of the request as HTTP/1.1 brings it: a body callback without bytes. */
  requestEnd(): void {
    this.requestBody("", true);
  }

  requestTrailers(trailers: HeaderInput): void {
    this.#expect("request", "body", "ended");
    this.#filter.receive("request", 0, () => this.#filter.decode.trailers(new HeaderMap(trailers)));
  }

  /** @throws HostError ERR_DRIVER when the server has not even seen the request headers. */
  responseHeaders(headers: HeaderInput, endOfStream: boolean): void {
    this.#expect("response", "headers", endOfStream ? "ended" : "body");
    if (this.#filter.finished) return;
    if (this.upstream.headers === undefined) throw new HostError("ERR_DRIVER", "the server has not seen the request");
    this.#filter.receive("response", 0, () => this.#filter.startResponse(new HeaderMap(headers), endOfStream));
  }

  responseBody(bytes: Uint8Array | string, endOfStream: boolean): void {
    this.#expect("response", "body", endOfStream ? "ended" : "body");
    const data = new BodyBuffer(toBytes(bytes));
    this.#filter.receive("response", data.length, () => this.#filter.encode.data(data, endOfStream));
  }

  responseTrailers(trailers: HeaderInput): void {
    this.#expect("response", "body", "ended");
    this.#filter.receive("response", 0, () => this.#filter.encode.trailers(new HeaderMap(trailers)));
  }

  /**
   * The client is gone. A stalled HTTP/1.1 stream does not notice when the client had more to send than the socket
   * takes in: the end of the connection stands behind those bytes, and nothing is read from it any more. Such a stream
   * stays until a timeout ends it.
   */
  clientGone(): void {
    this.#filter.clientGone();
  }

  /** Ends the stream if it has not ended: `proxy_on_log`, `proxy_on_done`, `proxy_on_delete`. Safe to call twice. */
  finish(): void {
    this.#filter.finish();
  }

  #expect(side: Side, now: "headers" | "body", next: "body" | "ended"): void {
    if (this.#input[side] !== now) {
      throw new HostError("ERR_DRIVER", `${side} ${now} after ${this.#input[side]}: no peer can send that`);
    }
    this.#input[side] = next;
    if (side === "response" && next === "ended") this.#filter.serverDone = true;
  }
}

function toBytes(input: Uint8Array | string): Uint8Array {
  return typeof input === "string" ? Buffer.from(input, "utf8") : input;
}
