import { type HeaderInput, HeaderMap, type HeaderPair } from "./header-map.ts";
import { HostError } from "./host-error.ts";
import { ownReply, replyHeaders } from "./local-reply.ts";
import { Status } from "./status.ts";

/** The clusters that modules of a VM can call. */
export interface ClusterOptions {
  /** The clusters that exist. A call to another one is refused with BadArgument. Default: none. */
  readonly clusters?: readonly string[];
  /**
   * Clusters that exist and cannot take a request at the moment, because they have no healthy host (a name that is not
   * resolved yet) or because a circuit breaker is open. A call is refused with InternalFailure and never calls back.
   */
  readonly fullClusters?: readonly string[];
}

/** What `proxy_http_call` asks for. */
export interface HttpCallRequest {
  readonly cluster: string;
  readonly headers: readonly HeaderPair[];
  readonly body: Uint8Array;
  readonly trailers: readonly HeaderPair[];
  /** Signed; 0 is no timeout. */
  readonly timeoutMs: number;
}

/** How a server answers a call. */
export interface HttpCallAnswer {
  readonly status: number;
  /** Without `:status`. Nothing is added, neither a length nor Envoy's `x-envoy-upstream-service-time`. */
  readonly headers?: HeaderInput;
  readonly body?: Uint8Array | string;
  readonly trailers?: HeaderInput;
}

/** A response while the module's callback can read it. */
export interface HttpCallResponse {
  readonly headers: HeaderMap;
  readonly body: Uint8Array;
  readonly trailers: HeaderMap | undefined;
}

/** A call that is under way, from the side of the server that it goes to. It ends once. */
export class HttpCall {
  readonly token: number;
  readonly cluster: string;
  /** As the module gave them, and the length of a body. Envoy sends a few of its own besides. */
  readonly headers: HeaderMap;
  readonly body: Buffer;
  readonly trailers: HeaderMap | undefined;
  /** 0 is no timeout: the call waits for ever. */
  readonly timeoutMs: number;
  /** It has ended in one of the ways below. A call that is cancelled has not. */
  ended = false;

  readonly #settle: (call: HttpCall, response: HttpCallResponse | undefined) => void;

  constructor(
    token: number,
    request: HttpCallRequest,
    headers: HeaderMap,
    settle: (call: HttpCall, response: HttpCallResponse | undefined) => void,
  ) {
    this.token = token;
    this.cluster = request.cluster;
    this.headers = headers;
    this.body = Buffer.from(request.body);
    this.trailers = request.trailers.length === 0 ? undefined : new HeaderMap(request.trailers);
    this.timeoutMs = request.timeoutMs;
    this.#settle = settle;
  }

  /** The server answers. @throws HostError ERR_DRIVER, as the other ways do, when the call has ended before. */
  answer({ status, headers = [], body = "", trailers }: HttpCallAnswer): void {
    const all = new HeaderMap(headers);
    all.add(":status", String(status));
    this.#end({
      headers: all,
      body: typeof body === "string" ? Buffer.from(body, "utf8") : body,
      trailers: trailers === undefined ? undefined : new HeaderMap(trailers),
    });
  }

  /** No answer has begun before the timeout: the module gets a 504. @throws HostError ERR_DRIVER without a timeout. */
  timeOut(): void {
    if (this.timeoutMs === 0) throw new HostError("ERR_DRIVER", "a call without a timeout waits for ever");
    this.#reply(504, "upstream request timeout");
  }

  /** The server cannot be reached: the module gets a 503, here with the text of 1.40.0. */
  refuse(): void {
    this.#reply(503, `${CONNECT_ERROR} remote connection failure`);
  }

  /** The server closes the connection before it answers: the module gets a 503, with another text. */
  drop(): void {
    this.#reply(503, `${CONNECT_ERROR} connection termination`);
  }

  /**
   * An answer has begun and is cut, runs into the timeout or is longer than Envoy holds (32 MiB): the module's callback
   * gets zeros only, and there is nothing to read.
   */
  cut(): void {
    this.#end(undefined);
  }

  #end(response: HttpCallResponse | undefined): void {
    if (this.ended) throw new HostError("ERR_DRIVER", `HTTP call ${this.token} has ended before`);
    this.ended = true;
    this.#settle(this, response);
  }

  #reply(status: number, text: string): void {
    const reply = ownReply(status, "", text);
    this.#end({ headers: replyHeaders(reply), body: reply.body, trailers: undefined });
  }
}

const CONNECT_ERROR = "upstream connect error or disconnect/reset before headers. reset reason:";
const REQUIRED = [":path", ":method", ":authority"];
/** Low bits of a token say what kind of call it is; 0 is HTTP. */
const TOKEN_STEP = 4;

/** Envoy's `Context::httpCall` (1.40.0, extensions/common/wasm/context.cc) as far as it is one for a whole VM. */
export class HttpClient {
  readonly #options: ClusterOptions;
  #lastToken = 0;

  constructor(options: ClusterOptions) {
    this.#options = options;
  }

  /** A new call, or the status with which it is refused; a refused call has token 0. */
  start(
    request: HttpCallRequest,
    settle: (call: HttpCall, response: HttpCallResponse | undefined) => void,
  ): HttpCall | Status {
    const { clusters = [], fullClusters = [] } = this.#options;
    if (request.timeoutMs < 0) return Status.BadArgument;
    const isFull = fullClusters.includes(request.cluster);
    if (!isFull && !clusters.includes(request.cluster)) return Status.BadArgument;
    const headers = new HeaderMap(request.headers);
    if (REQUIRED.some((name) => headers.get(name) === undefined)) return Status.BadArgument;
    if (request.body.length > 0) headers.replace("content-length", String(request.body.length));
    // A call that fails at once has used up its token, and its failure is not told a second time by a callback.
    this.#lastToken += TOKEN_STEP;
    return isFull ? Status.InternalFailure : new HttpCall(this.#lastToken, request, headers, settle);
  }
}
