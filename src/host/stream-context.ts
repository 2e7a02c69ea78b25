import { BodyBuffer } from "./body-buffer.ts";
import type { Context, NamedBuffer } from "./context.ts";
import type { HeaderMap } from "./header-map.ts";
import { HostError } from "./host-error.ts";
import type { HttpCallRequest } from "./http-call.ts";
import { type DataStatus, type HeadersStatus, Iteration, type TrailersStatus } from "./iteration.ts";
import { type LocalReply, ownReply, replyHeaders } from "./local-reply.ts";
import type { Machine } from "./machine.ts";
import type { PluginRoot } from "./plugin.ts";
import { memberOf, type PropertyValue } from "./properties.ts";
import { Sink } from "./sink.ts";
import { Status } from "./status.ts";

export interface StreamOptions {
  /** 1 inbound, 2 outbound: the attribute `xds.listener_direction`. */
  readonly listenerDirection?: 1 | 2;
  /** Further attributes by their dotted path, for example `source.address`. */
  readonly properties?: Readonly<Record<string, PropertyValue>>;
  /** How many bytes Envoy holds per direction, in bytes; Envoy's default is 1 MiB. Above it streams stall or end. */
  readonly requestBufferLimit?: number;
  /** `allow_on_headers_stop_iteration`: whether a headers callback that returns 1 still gets the body. Default false. */
  readonly headersStop?: boolean;
  /** The client's protocol. Only HTTP/2 notices a client that is gone while reading is stopped. Default `h1`. */
  readonly protocol?: "h1" | "h2";
}

/** Which end of the stream: the client's requests or the server's responses. */
export type Side = "request" | "response";

const DEFAULT_BUFFER_LIMIT_BYTES = 1024 * 1024;
/**
 * What the kernel takes in for a connection that nobody reads. The order of magnitude of Linux on loopback: 40 KB are
 * taken, 8 MB are not.
 */
const SOCKET_BYTES = 128 * 1024;
const BUFFER = { Request: 0, Response: 1 } as const;
const MAP = { RequestHeaders: 0, RequestTrailers: 1, ResponseHeaders: 2, ResponseTrailers: 3 } as const;
const HEADERS_STATUS: readonly HeadersStatus[] = ["continue", "stop", "continue", "stopAllBuffer", "stopAllWatermark"];
const DATA_STATUS: readonly DataStatus[] = ["continue", "stopBuffer", "stopWatermark", "stopNoBuffer"];

/**
 * The stream as the module sees it: Envoy's `Context` (extensions/common/wasm/context.cc) and what of the filter
 * manager is not the iteration itself.
 */
export class StreamContext implements Context {
  readonly id: number;
  inAccessLog = false;
  finished = false;
  codeDetails: string | undefined;
  responseCode = 0;
  /** The server has sent the end of its response. */
  serverDone = false;
  localReply: LocalReply | undefined;
  readonly filterState = new Map<string, string>();
  /** Nothing is read from this side while it is true; what comes waits. */
  readonly stalled: Record<Side, boolean> = { request: false, response: false };
  readonly decode: Iteration;
  readonly encode: Iteration;
  readonly upstream = new Sink();
  readonly downstream = new Sink();

  readonly #machine: Machine;
  readonly #root: PluginRoot;
  readonly #options: StreamOptions;
  readonly #waiting: Record<Side, (() => void)[]> = { request: [], response: [] };
  /** What the client has sent since reading stopped, in bytes. */
  #unreadBytes = 0;
  #requestHeaders: HeaderMap | undefined;
  #responseHeaders: HeaderMap | undefined;
  #responseTrailers: HeaderMap | undefined;
  #preparedReply: (() => void) | undefined;
  #vmFailureAnswered = false;
  /** Maps that the module can reach at this moment; Envoy drops them when a callback returns Continue. */
  readonly #reachable = new Map<number, HeaderMap>();
  /** The buffer of the body callback that runs, or that has returned 2 or 3: then its memory is gone. */
  readonly #bodies = new Map<number, BodyBuffer | "freed">();
  /** The body callback that runs has been told that the message ends. */
  #endOfStream = false;

  constructor(machine: Machine, root: PluginRoot, options: StreamOptions) {
    this.#machine = machine;
    this.#root = root;
    this.#options = options;
    this.id = machine.nextContextId();
    const limit = options.requestBufferLimit ?? DEFAULT_BUFFER_LIMIT_BYTES;
    this.decode = new Iteration(this.#requestEnds(), limit);
    this.encode = new Iteration(this.#responseEnds(), limit);
  }

  startRequest(headers: HeaderMap, endOfStream: boolean): void {
    this.#requestHeaders = headers;
    this.#machine.contexts.set(this.id, this);
    this.#invoke("proxy_on_context_create", [this.id, this.#root.id]);
    this.decode.headers(headers, endOfStream);
  }

  startResponse(headers: HeaderMap, endOfStream: boolean): void {
    this.codeDetails ??= "via_upstream";
    this.responseCode = Number(headers.get(":status"));
    this.#responseHeaders = headers;
    this.encode.headers(headers, endOfStream);
  }

  /** Input of a peer: dropped after the end, kept back while nothing is read from that side. */
  receive(side: Side, bytes: number, deliver: () => void): void {
    if (this.finished) return;
    if (!this.stalled[side]) {
      deliver();
      return;
    }
    this.#waiting[side].push(deliver);
    if (side === "request") this.#unreadBytes += bytes;
  }

  clientGone(): void {
    const h2 = this.#options.protocol === "h2";
    if (this.finished || (this.stalled.request && !h2 && this.#unreadBytes > SOCKET_BYTES)) return;
    this.codeDetails = h2 ? "http2.remote_reset" : "downstream_remote_disconnect";
    this.downstream.reset = true;
    this.#end();
  }

  finish(): void {
    if (this.finished) return;
    this.finished = true;
    if (this.#requestHeaders === undefined) return;
    this.inAccessLog = true;
    this.#invoke("proxy_on_log", [this.id]);
    this.inAccessLog = false;
    this.#invoke("proxy_on_done", [this.id]);
    this.#invoke("proxy_on_delete", [this.id]);
    this.#machine.contexts.delete(this.id);
  }

  // What the module asks for.

  headerMap(id: number, writing: boolean): HeaderMap | undefined {
    if (id > MAP.ResponseTrailers) return this.#root.headerMap(id, writing);
    if (this.inAccessLog && !writing) {
      if (id === MAP.RequestHeaders) return this.#requestHeaders;
      if (id === MAP.ResponseHeaders) return this.#responseHeaders;
      return id === MAP.ResponseTrailers ? this.#responseTrailers : undefined;
    }
    const isTrailers = id === MAP.RequestTrailers || id === MAP.ResponseTrailers;
    if (writing && isTrailers && !this.#reachable.has(id) && this.#endOfStream && this.#bodies.size > 0) {
      throw new HostError("ERR_HOST_CALL", "adding trailers to a message without them is not modelled by this host");
    }
    return this.#reachable.get(id);
  }

  buffer(id: number): NamedBuffer | undefined {
    if (id !== BUFFER.Request && id !== BUFFER.Response) return this.#root.buffer(id);
    const iteration = id === BUFFER.Request ? this.decode : this.encode;
    const body = this.#bodies.get(id);
    if (body instanceof BodyBuffer) return body;
    if (iteration.heldWhileBuffering !== undefined) return iteration.heldWhileBuffering;
    if (body === "freed") {
      throw new HostError("ERR_HOST_CALL", "body read between two body callbacks: Envoy would read freed memory");
    }
    return undefined;
  }

  property(path: readonly string[]): PropertyValue | undefined {
    const dotted = path.join(".");
    const { properties } = this.#options;
    const given = properties?.[dotted] ?? memberOf(properties?.[path.slice(0, -1).join(".")], path.at(-1) ?? "");
    if (given !== undefined) return given;
    const headers = this.inAccessLog ? this.#requestHeaders : this.#reachable.get(MAP.RequestHeaders);
    if (path[0] === "request" && path[1] === "headers") return joined(headers?.getAll(path[2] ?? ""));
    switch (dotted) {
      case "xds.listener_direction":
        return BigInt(this.#options.listenerDirection ?? 1);
      case "request.path":
        return headers?.get(":path");
      case "request.method":
        return headers?.get(":method");
      case "request.host":
        return headers?.get(":authority");
      case "request.scheme":
        return headers?.get(":scheme");
      case "request.id":
        return headers?.get("x-request-id");
      case "response.code":
        return this.responseCode === 0 ? undefined : BigInt(this.responseCode);
      case "response.code_details":
        return this.codeDetails;
    }
    if (path.length > 1) return undefined;
    return this.filterState.get(dotted) ?? this.#root.property(path);
  }

  setProperty(name: string, value: Uint8Array): Status {
    this.filterState.set(name, Buffer.from(value).toString("utf8"));
    return Status.Ok;
  }

  continueStream(type: number): Status {
    if (type === 3) return Status.Unimplemented;
    if (type === 2) return Status.Ok;
    const iteration = type === 0 ? this.decode : this.encode;
    this.#machine.defer(() => {
      if (!this.finished) iteration.resume();
    });
    // Envoy forgets its pointers to the request, also when it is the response that goes on.
    this.#reachable.delete(MAP.RequestHeaders);
    this.#reachable.delete(MAP.RequestTrailers);
    this.#bodies.delete(BUFFER.Request);
    return Status.Ok;
  }

  closeStream(type: number): Status {
    if (type > 1) return Status.Ok;
    this.codeDetails ??= "wasm_close_stream";
    this.#machine.defer(() => this.#reset());
    return Status.Ok;
  }

  sendLocalReply(reply: LocalReply): void {
    this.#machine.defer(() => this.#localReply(reply));
  }

  httpCall(request: HttpCallRequest) {
    return this.#root.httpCall(request);
  }

  setTickPeriod(milliseconds: number): void {
    this.#root.setTickPeriod(milliseconds);
  }

  done(): Status {
    return this.#root.done();
  }

  // Local replies: DownstreamFilterManager::sendLocalReply.

  #localReply(reply: LocalReply): void {
    // The first reply of a callback is the one that is sent.
    if (this.finished || this.#preparedReply !== undefined) return;
    this.decode.stopped = true;
    if (this.encode.inCallback) this.encode.stopped = true;
    this.codeDetails = reply.details;
    this.localReply = reply;
    if (this.#responseHeaders === undefined) {
      // Nothing of a response exists yet: the reply takes the way of a response, through the module's own callbacks.
      const send = () => this.#replyThroughFilter(reply);
      if (this.decode.inCallback) this.#preparedReply = send;
      else send();
    } else if (this.downstream.headers === undefined) {
      this.responseCode = reply.status;
      this.#replyDirectly(reply);
    } else {
      this.#reset();
    }
  }

  #replyThroughFilter(reply: LocalReply): void {
    const headers = replyHeaders(reply);
    const body = this.#replyBody(reply);
    this.responseCode = reply.status;
    this.#responseHeaders = headers;
    this.encode.headers(headers, body.length === 0);
    if (body.length > 0 && !this.finished) this.encode.data(new BodyBuffer(body), true);
  }

  #replyDirectly(reply: LocalReply): void {
    const body = this.#replyBody(reply);
    this.encode.stopped = true;
    this.#responseHeaders = replyHeaders(reply);
    this.downstream.headers = this.#responseHeaders;
    this.downstream.append(body);
    this.downstream.ended = true;
    this.#end();
  }

  /** An answer to HEAD has no body. */
  #replyBody(reply: LocalReply): Uint8Array {
    return this.#requestHeaders?.get(":method") === "HEAD" ? new Uint8Array() : reply.body;
  }

  #reset(): void {
    if (this.finished) return;
    this.downstream.reset = true;
    this.#end();
  }

  /** The response is over. What the server has of the exchange is cut unless it is complete in both directions. */
  #end(): void {
    this.upstream.reset = this.upstream.headers !== undefined && !(this.upstream.ended && this.serverDone);
    this.finish();
  }

  // The VM.

  #invoke(name: string, args: readonly number[]): void {
    this.#machine.invoke(this, name, args, () => undefined);
  }

  /** Failure policy FAIL_CLOSED. A stream that is held when another one traps hears of it at its next callback only. */
  #failStream(): void {
    if (this.#vmFailureAnswered || this.finished) return;
    this.#vmFailureAnswered = true;
    this.#localReply({ status: 503, details: "wasm_fail_stream", headers: [], body: new Uint8Array() });
  }

  /** Calls a headers, body or trailers callback. A missing callback continues; a failed VM answers and stops. */
  #callback<T>(name: string, args: readonly number[], continued: T, stopped: T, toStatus: (result: number) => T): T {
    if (this.#machine.failure === undefined && !this.#machine.has(name)) return continued;
    const convert = (result: number, replied: boolean) => (replied ? stopped : toStatus(result >>> 0));
    const status = this.#machine.invoke(this, name, [this.id, ...args], convert);
    if (this.#machine.failure !== undefined) this.#failStream();
    return status ?? stopped;
  }

  #headersCallback(name: string, mapId: number, headers: HeaderMap, endOfStream: boolean): HeadersStatus {
    this.#reachable.set(mapId, headers);
    const status = this.#callback<HeadersStatus>(
      name,
      [headers.size, Number(endOfStream)],
      "continue",
      "stopAllWatermark",
      (result) => {
        if (result === 1 && !this.#options.headersStop) return "stopAllWatermark";
        return HEADERS_STATUS[result] ?? "stopAllWatermark";
      },
    );
    if (status === "continue") this.#reachable.delete(mapId);
    return status;
  }

  #dataCallback(name: string, bufferId: number, data: BodyBuffer, endOfStream: boolean): DataStatus {
    this.#bodies.set(bufferId, data);
    this.#endOfStream = endOfStream;
    const status = this.#callback<DataStatus>(
      name,
      [data.length, Number(endOfStream)],
      "continue",
      "stopNoBuffer",
      (result) => DATA_STATUS[result] ?? "stopNoBuffer",
    );
    if (status === "continue") this.#bodies.delete(bufferId);
    else this.#bodies.set(bufferId, "freed");
    return status;
  }

  #trailersCallback(name: string, mapId: number, trailers: HeaderMap): TrailersStatus {
    this.#reachable.set(mapId, trailers);
    const toStatus = (result: number): TrailersStatus => (result === 0 ? "continue" : "stop");
    const status = this.#callback<TrailersStatus>(name, [trailers.size], "continue", "stop", toStatus);
    if (status === "continue") this.#reachable.delete(mapId);
    return status;
  }

  // The ends of the two iterations.

  #requestEnds() {
    return {
      filterHeaders: (headers: HeaderMap, end: boolean) =>
        this.#headersCallback("proxy_on_request_headers", MAP.RequestHeaders, headers, end),
      filterData: (data: BodyBuffer, end: boolean) =>
        this.#dataCallback("proxy_on_request_body", BUFFER.Request, data, end),
      filterTrailers: (trailers: HeaderMap) =>
        this.#trailersCallback("proxy_on_request_trailers", MAP.RequestTrailers, trailers),
      ...this.upstream.passes(
        () => {},
        () => {},
      ),
      overLimit: (streaming: boolean) => {
        if (streaming) this.stalled.request = true;
        else this.#localReply(ownReply(413, "request_payload_too_large", "Payload Too Large"));
      },
      belowLimit: () => this.#flow("request"),
      aborted: () => {
        const send = this.#preparedReply;
        this.#preparedReply = undefined;
        send?.();
      },
    };
  }

  #responseEnds() {
    return {
      filterHeaders: (headers: HeaderMap, end: boolean) =>
        this.#vmFailureAnswered
          ? "continue"
          : this.#headersCallback("proxy_on_response_headers", MAP.ResponseHeaders, headers, end),
      filterData: (data: BodyBuffer, end: boolean) =>
        this.#vmFailureAnswered ? "continue" : this.#dataCallback("proxy_on_response_body", BUFFER.Response, data, end),
      filterTrailers: (trailers: HeaderMap) => {
        this.#responseTrailers = trailers;
        if (this.#vmFailureAnswered) return "continue";
        return this.#trailersCallback("proxy_on_response_trailers", MAP.ResponseTrailers, trailers);
      },
      ...this.downstream.passes(
        (headers) => {
          this.responseCode = Number(headers.get(":status"));
        },
        () => this.#end(),
      ),
      overLimit: (streaming: boolean) => {
        if (streaming) this.stalled.response = true;
        else this.#localReply(ownReply(500, "response_payload_too_large", "Internal Server Error"));
      },
      belowLimit: () => this.#flow("response"),
      aborted: () => {},
    } as const;
  }

  /** Reads on: delivers what has waited, until that is over the limit again. */
  #flow(side: Side): void {
    this.stalled[side] = false;
    if (side === "request") this.#unreadBytes = 0;
    while (!this.stalled[side] && !this.finished && this.#waiting[side].length > 0) this.#waiting[side].shift()!();
  }
}

function joined(values: readonly string[] | undefined): string | undefined {
  return values === undefined || values.length === 0 ? undefined : values.join(",");
}
