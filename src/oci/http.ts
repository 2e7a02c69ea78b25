// HTTP as a registry client needs it: bounded answers, timeouts, proxies of the environment, and errors that say what to do.
import { Readable } from "node:stream";
import { Agent, type Dispatcher, EnvHttpProxyAgent, interceptors, request } from "undici";
import { GuardError } from "../error.ts";
import { isLoopback } from "../loopback.ts";

const CONNECT_TIMEOUT_MS = 10_000;
/** A registry may move an uploaded blob to its store before it answers. */
const ANSWER_TIMEOUT_MS = 60_000;
const REDIRECTS_MAX = 5;
/** Pieces in which a body is sent, so that progress can be seen. */
const PIECE_BYTES = 64 << 10;
/** Answers that are not content: errors, tokens. */
const ANSWER_BYTES_MAX = 1 << 20;

export interface HttpRequest {
  readonly method: "GET" | "HEAD" | "POST" | "PUT";
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /** The largest answer that is read, bytes; 1 MiB unless set. */
  readonly answerBytesMax?: number;
  /** Hears how many bytes of the body have been handed to the connection. */
  readonly onSent?: (bytes: number) => void;
}

export interface HttpAnswer {
  readonly status: number;
  /** A header's value; several fields of one name are joined by ", ". */
  header(name: string): string | undefined;
  readonly body: Buffer;
}

/** A connection that failed, before or after the request was sent. */
export class ConnectionError extends GuardError {
  /** Whether another attempt can be expected to do better. */
  readonly transient: boolean;

  constructor(message: string, transient: boolean, cause: unknown) {
    super("ERR_REGISTRY", message, { cause });
    this.transient = transient;
  }
}

/** Keeps its connections until `close`. */
export class HttpClient {
  readonly #signal: AbortSignal;
  readonly #direct = new Agent({ connect: { timeout: CONNECT_TIMEOUT_MS } });
  readonly #proxied: Dispatcher;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
    this.#proxied = new EnvHttpProxyAgent({ connect: { timeout: CONNECT_TIMEOUT_MS } });
  }

  /**
   * Sends one request and reads its whole answer. Redirects are followed for GET and HEAD (a registry's blobs often lie in
   * a store of their own); the Authorization header does not go to another origin with them.
   * @throws ConnectionError, or GuardError `ERR_REGISTRY` for an answer that is too large.
   */
  async send(httpRequest: HttpRequest): Promise<HttpAnswer> {
    const { method, url, headers = {}, body, onSent } = httpRequest;
    try {
      const response = await request(url, {
        method,
        headers: { ...headers, ...(body !== undefined && { "content-length": String(body.length) }) },
        ...(body !== undefined && { body: Readable.from(pieces(body, onSent)) }),
        dispatcher: this.#dispatcher(method, url),
        signal: this.#signal,
        headersTimeout: ANSWER_TIMEOUT_MS,
        bodyTimeout: ANSWER_TIMEOUT_MS,
      });
      const limit = httpRequest.answerBytesMax ?? ANSWER_BYTES_MAX;
      return {
        status: response.statusCode,
        header: (name) => [response.headers[name] ?? []].flat().join(", ") || undefined,
        body: await readBounded(response.body, limit, url),
      };
    } catch (error) {
      if (error instanceof GuardError || this.#signal.aborted) throw error;
      throw connectionError(error, url);
    }
  }

  async close(): Promise<void> {
    await Promise.all([this.#direct.destroy(), this.#proxied.destroy()]);
  }

  #dispatcher(method: string, url: URL): Dispatcher {
    // As with Docker, a proxy of the environment is never asked for this machine itself.
    const dispatcher = isLoopback(url.hostname) ? this.#direct : this.#proxied;
    if (method !== "GET" && method !== "HEAD") return dispatcher;
    return dispatcher.compose(interceptors.redirect({ maxRedirections: REDIRECTS_MAX }));
  }
}

async function* pieces(body: Uint8Array, onSent?: (bytes: number) => void): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < body.length; at += PIECE_BYTES) {
    yield body.subarray(at, at + PIECE_BYTES);
    onSent?.(Math.min(at + PIECE_BYTES, body.length));
  }
}

async function readBounded(body: AsyncIterable<Buffer>, limit: number, url: URL): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > limit) throw new GuardError("ERR_REGISTRY", `${url.host} answered with more than ${limit} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

const FINAL_CODES: Readonly<Record<string, string>> = {
  ENOTFOUND: "there is no host of this name",
  ECONNREFUSED: "nothing listens there (connection refused)",
  EPROTO: "it does not speak TLS. PLAIN_HTTP=1 allows plain HTTP; credentials and module then travel in the open",
  ERR_SSL_WRONG_VERSION_NUMBER:
    "it does not speak TLS. PLAIN_HTTP=1 allows plain HTTP; credentials and module then travel in the open",
  ERR_SSL_PACKET_LENGTH_TOO_LONG:
    "it does not speak TLS. PLAIN_HTTP=1 allows plain HTTP; credentials and module then travel in the open",
  CERT_HAS_EXPIRED: "its certificate has expired",
  ERR_TLS_CERT_ALTNAME_INVALID: "its certificate is for another name",
};

const TRANSIENT_CODES = new Set([
  "ECONNRESET",
  "EPIPE",
  "ETIMEDOUT",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "UND_ERR_SOCKET",
  "UND_ERR_CONNECT_TIMEOUT",
  "UND_ERR_HEADERS_TIMEOUT",
  "UND_ERR_BODY_TIMEOUT",
]);

/** Codes of Node for a chain that does not end at an authority it knows. */
const UNTRUSTED = /^(?:DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_\w+)$/;

function connectionError(error: unknown, url: URL): ConnectionError {
  const code = codeOf(error);
  const known = UNTRUSTED.test(code)
    ? "its certificate is not trusted. NODE_EXTRA_CA_CERTS=/path/ca.pem names a further authority"
    : FINAL_CODES[code];
  const why = known ?? `the connection failed (${code || (error instanceof Error ? error.message : String(error))})`;
  return new ConnectionError(`${url.host}: ${why}`, TRANSIENT_CODES.has(code), error);
}

/** The code of an error or of what it stands for: undici wraps, and Node joins the errors of several addresses. */
function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return "";
  if ("code" in error && typeof error.code === "string") return error.code;
  if (error instanceof AggregateError) return codeOf(error.errors[0]);
  return codeOf(error.cause);
}
