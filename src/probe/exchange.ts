// One HTTP exchange of the probe: bounded in time and bytes, without redirects, and with a sentence for each way to fail.
import type { Readable } from "node:stream";
import { type Dispatcher, request } from "undici";
import { firstMessage } from "./event-stream.ts";
import type { FindingName } from "./findings.ts";

/** How much of an answer is read: a refusal has less than one KiB. */
export const ANSWER_BYTES_MAX = 256 << 10;

/** What is sent. */
export interface Sent {
  readonly method: "GET" | "POST";
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** An answer, as far as it was read. */
export interface Answer {
  readonly kind: "answer";
  readonly status: number;
  /** The media type in small letters, without parameters; empty when there is none. */
  readonly type: string;
  /** Where a redirect points to, without its query; empty when there is none. */
  readonly location: string;
  /** The `server` header; empty when there is none. */
  readonly server: string;
  /** The text: of an event stream the data of the first event that has some. */
  readonly text: string;
  /** `bytes`: there is more than ANSWER_BYTES_MAX. `time`: its end did not come, or not in time. */
  readonly cut: "" | "bytes" | "time";
}

/** No answer. */
export interface Failure {
  readonly kind: "failure";
  /** A stable name for programs. */
  readonly name: FindingName;
  /** What is to be known, as the end of a sentence that begins with the host. */
  readonly text: string;
}

/**
 * Sends one request and reads its answer.
 * @param signal ends it; an abort after its headers have come leaves what was read until then.
 */
export async function exchange(sent: Sent, dispatcher: Dispatcher, signal: AbortSignal): Promise<Answer | Failure> {
  try {
    const response = await request(sent.url, {
      dispatcher,
      method: sent.method,
      headers: sent.headers,
      signal,
      headersTimeout: 0,
      bodyTimeout: 0,
      ...(sent.body !== undefined && { body: sent.body }),
    });
    const header = (name: string) => [response.headers[name] ?? []].flat()[0] ?? "";
    const type = (header("content-type").split(";")[0] ?? "").trim().toLowerCase();
    const { text, cut } = await readText(response.body, type === "text/event-stream", signal);
    const location = locationOf(header("location"), sent.url);
    return { kind: "answer", status: response.statusCode, type, location, server: header("server"), text, cut };
  } catch (error) {
    return failureOf(error, signal);
  }
}

async function readText(
  body: Readable,
  isEventStream: boolean,
  signal: AbortSignal,
): Promise<Pick<Answer, "text" | "cut">> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  let cut: Answer["cut"] = "";
  const textSoFar = () => Buffer.concat(chunks).toString("utf8");
  try {
    for await (const chunk of body) {
      const piece = (chunk as Buffer).subarray(0, ANSWER_BYTES_MAX - bytes);
      chunks.push(piece);
      bytes += piece.length;
      if (piece.length < (chunk as Buffer).length || bytes === ANSWER_BYTES_MAX) {
        cut = "bytes";
        break;
      }
      // A stream that stays open after its message would take all the time that there is.
      if (isEventStream && firstMessage(textSoFar()) !== undefined) break;
    }
  } catch (error) {
    // What came before the connection broke counts; a server that is cut in the middle has answered.
    if (!signal.aborted && bytes === 0) throw error;
    cut = "time";
  }
  body.destroy();
  return { text: isEventStream ? (firstMessage(textSoFar()) ?? "") : textSoFar(), cut };
}

/** Without query and fragment: they may hold what nobody should see. */
function locationOf(text: string, base: URL): string {
  if (text === "" || !URL.canParse(text, base.href)) return "";
  const { origin, protocol, host, pathname } = new URL(text, base);
  return `${origin === "null" ? `${protocol}//${host}` : origin}${pathname}`;
}

const NOT_TLS = "does not speak TLS: try http instead of https";

/** What the codes of Node and undici mean. */
const FAILURES: Readonly<Record<string, readonly [Failure["name"], string]>> = {
  ECONNREFUSED: ["refused_connection", "refuses connections: nothing listens there"],
  ENOTFOUND: ["no_host", "is no name that can be resolved"],
  EAI_AGAIN: ["no_host", "cannot be resolved now: the name service does not answer"],
  EHOSTUNREACH: ["unreachable", "cannot be reached: there is no way to that host"],
  ENETUNREACH: ["unreachable", "cannot be reached: there is no way to that network"],
  ETIMEDOUT: ["timeout", "does not answer to the connection"],
  UND_ERR_CONNECT_TIMEOUT: ["timeout", "does not answer to the connection"],
  ECONNRESET: ["reset", "closed the connection without an answer"],
  EPIPE: ["reset", "closed the connection without an answer"],
  UND_ERR_SOCKET: ["reset", "closed the connection without an answer"],
  CERT_HAS_EXPIRED: ["tls", "has a certificate that has expired"],
  ERR_TLS_CERT_ALTNAME_INVALID: ["tls", "has a certificate for another name"],
  EPROTO: ["not_tls", NOT_TLS],
  ERR_SSL_WRONG_VERSION_NUMBER: ["not_tls", NOT_TLS],
  ERR_SSL_PACKET_LENGTH_TOO_LONG: ["not_tls", NOT_TLS],
  UND_ERR_HEADERS_OVERFLOW: ["not_http", "answers with headers that are longer than is read"],
};

/** Codes of Node for a chain that does not end at an authority it knows. */
const UNTRUSTED = /^(?:DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_\w+)$/;

function failureOf(error: unknown, signal: AbortSignal): Failure {
  if (signal.aborted) return { kind: "failure", name: "timeout", text: "did not answer in time" };
  const code = codeOf(error);
  if (UNTRUSTED.test(code)) {
    const text = "has a certificate that is not trusted: NODE_EXTRA_CA_CERTS=ca.pem names a further authority";
    return { kind: "failure", name: "tls", text };
  }
  if (error instanceof Error && error.name === "HTTPParserError")
    return { kind: "failure", name: "not_http", text: "answers with something that is no HTTP" };
  if (/^ERR_SSL_\w*ALERT/.test(code)) {
    const text = `refuses the TLS handshake (${code}): it may want a certificate of its client`;
    return { kind: "failure", name: "tls", text };
  }
  if (/^ERR_(?:SSL|TLS)_/.test(code) && FAILURES[code] === undefined) {
    return { kind: "failure", name: "tls", text: `has a fault in its TLS (${code})` };
  }
  const [name, text] = FAILURES[code] ?? ["reset", `cannot be asked: ${code || String(error)}`];
  return { kind: "failure", name, text };
}

/** The code of an error or of what it stands for: undici wraps, and Node joins the errors of several addresses. */
function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return "";
  if ("code" in error && typeof error.code === "string") return error.code;
  if (error instanceof AggregateError) return codeOf(error.errors[0]);
  return codeOf(error.cause);
}
