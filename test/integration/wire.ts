// A client that sends what it is told, piece by piece: ordinary clients choose their own framing, join writes, and correct
// what a test wants to send wrong. What is the same for HTTP/1.1 (http1-wire.ts) and HTTP/2 (http2-wire.ts).
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { KeyedCertificate } from "./certificates.ts";

export type Fields = readonly (readonly [name: string, value: string])[];

export interface WireHead {
  readonly method: string;
  readonly path: string;
  /** In order, as written; what the framing needs is added, and `host` unless it is there. */
  readonly headers: Fields;
  /**
   * `length`: a declared length, which is added unless `headers` has one. `chunked`: none is declared. `none`: the
   * headers end the request.
   */
  readonly framing: "length" | "chunked" | "none";
  /** Bytes of the body that will be sent, for `length`. */
  readonly bodyBytes?: number;
}

/** What the client got. */
export interface Answer {
  readonly status: number;
  /** By lower-case name; of a repeated field the last. */
  readonly headers: ReadonlyMap<string, string>;
  /** The header fields as they came, in order; on HTTP/2 with `:status`. */
  readonly fields: Fields;
  readonly trailers: Fields;
  readonly body: Buffer;
  /** The connection or the stream went away before the response had ended. */
  readonly isCut: boolean;
}

/** One request under way. */
export interface WireRequest {
  /** One write, and on HTTP/1.1 chunked one chunk, on HTTP/2 one DATA frame (16,384 bytes at most in each). */
  send(bytes: Uint8Array): void;
  /** Ends the body; on HTTP/2 with an empty DATA frame, or with the bytes in the same frame. */
  end(last?: Uint8Array): void;
  /** Ends the request with trailers. */
  trailers(fields: Fields): void;
  /** Closes the connection (HTTP/1.1) or resets the stream (HTTP/2), whatever is under way. */
  disconnect(): void;
  /** The response so far; absent before its headers have come. */
  soFar(): Answer | undefined;
  /** Settles when the response has ended or was cut; undefined when there was none. */
  readonly answer: Promise<Answer | undefined>;
}

/** One connection. */
export interface WireConnection {
  /** Sends the headers of a request. On HTTP/1.1 a second one may be sent before the first has been answered. */
  open(head: WireHead): WireRequest;
  /** Whether the other side has closed it. */
  isClosed(): boolean;
  close(): void;
}

/** What a client brings to a connection over TLS. */
export interface ClientTls {
  /** The authority that the server's certificate has to come from, PEM. */
  readonly authority: string;
  /** The client's own certificate; without one it shows none. */
  readonly own?: KeyedCertificate;
}

/** The host that a request asks when its headers do not say. */
export const HOST_DEFAULT = "guarded";

/**
 * Connects to `http://host:port` with every write going out by itself; with `tls` over TLS, each write in a record of its own.
 * @throws Error when the TLS handshake fails; for HTTP/2 a certificate of the client that is refused shows only later.
 */
export async function openSocket(
  url: string,
  tls?: ClientTls,
  protocol: "http/1.1" | "h2" = "http/1.1",
): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const socket = tls === undefined ? connect(Number(port), hostname) : handshake(hostname, Number(port), tls, protocol);
  socket.setNoDelay(true);
  await once(socket, tls === undefined ? "connect" : "secureConnect");
  // A refusal while the body is still being sent ends in a reset; the answer tells what came of it.
  socket.on("error", () => {});
  return socket;
}

function handshake(host: string, port: number, { authority, own }: ClientTls, protocol: "http/1.1" | "h2"): Socket {
  return connectTls({
    host,
    port,
    // The server is known by this name wherever it runs (certificates.ts).
    servername: "localhost",
    ca: authority,
    ALPNProtocols: [protocol],
    // In TLS 1.3 a client is ready before the server has looked at its certificate. An HTTP/2 server says by its settings
    // that it has, an HTTP/1.1 server says nothing.
    maxVersion: protocol === "h2" ? "TLSv1.3" : "TLSv1.2",
    ...(own && { cert: own.certificate, key: own.key }),
  });
}

/** Sends a whole body in pieces, and ends the request as `end` says. */
export async function sendPieces(
  request: WireRequest,
  pieces: Iterable<Uint8Array>,
  end: { readonly trailers?: Fields | undefined; readonly pauseMs?: number | undefined } = {},
): Promise<void> {
  for (const piece of pieces) {
    request.send(piece);
    // Without a pause the kernel joins writes, and the proxy reads them at once.
    if (end.pauseMs !== undefined) await pause(end.pauseMs);
  }
  if (end.trailers !== undefined) request.trailers(end.trailers);
  else request.end();
}

/** Pieces of `size` bytes. */
export function* inPieces(body: Uint8Array, size: number): Generator<Uint8Array> {
  for (let at = 0; at < body.length; at += size) yield body.subarray(at, at + size);
}

/** Waits; 0 milliseconds is one turn of the event loop. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => (ms === 0 ? setImmediate(resolve) : setTimeout(resolve, ms)));
}
