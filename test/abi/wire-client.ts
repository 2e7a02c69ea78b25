import { connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import type { Outcome } from "./row.ts";

/** A client that sends what it is told, frame by frame, and keeps what comes back. */
export interface WireClient {
  body(text: string): void;
  end(): void;
  trailers(trailers: Readonly<Record<string, string>>): void;
  /** Drops the connection (HTTP/1.1) or resets the stream (HTTP/2). */
  disconnect(): void;
  /** Settles when the response has ended or has been cut. */
  readonly ended: Promise<void>;
  response(): Outcome["client"];
  /** Frees the connection. */
  close(): void;
}

export interface WireRequest {
  readonly port: number;
  readonly method: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** On HTTP/1.1 chunked, else as the headers say. */
  readonly chunked: boolean;
  /** The headers end the request. */
  readonly endOfStream: boolean;
  /** Trailers will follow; HTTP/2 has to know before the last frame. */
  readonly hasTrailers: boolean;
}

/** Opens a connection and sends the request's headers: HTTP/1.1 as raw bytes, because the framing matters. */
export function requestHttp1(request: WireRequest): WireClient {
  const socket = connect(request.port, "127.0.0.1");
  socket.setNoDelay(true);
  let received = Buffer.alloc(0);
  let closed = false;
  const ended = new Promise<void>((resolve) => {
    socket.on("data", (bytes) => {
      received = Buffer.concat([received, bytes]);
      if (parseResponse(received, request.method)?.complete) resolve();
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      closed = true;
      resolve();
    });
  });
  const head = [
    `${request.method} /probe HTTP/1.1`,
    "host: probe",
    ...request.headers.map(([name, value]) => `${name}: ${value}`),
    ...(request.chunked ? ["transfer-encoding: chunked"] : []),
  ];
  socket.write(`${head.join("\r\n")}\r\n\r\n`);
  const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`;

  return {
    body: (text) => socket.write(request.chunked ? chunk(text) : text),
    end: () => {
      if (request.chunked) socket.write("0\r\n\r\n");
    },
    trailers: (trailers) => {
      const lines = Object.entries(trailers).map(([name, value]) => `${name}: ${value}\r\n`);
      socket.write(`0\r\n${lines.join("")}\r\n`);
    },
    disconnect: () => socket.destroy(),
    ended,
    response: () => {
      const response = parseResponse(received, request.method);
      if (response === undefined) return "waits";
      const { status, contentType, body, complete } = response;
      return { status, contentType, body, cut: closed && !complete };
    },
    close: () => socket.destroy(),
  };
}

/** The same over cleartext HTTP/2. */
export function requestHttp2(request: WireRequest): WireClient {
  const session = connectHttp2(`http://127.0.0.1:${request.port}`);
  session.on("error", () => {});
  const headers = { ":method": request.method, ":path": "/probe", ...Object.fromEntries(request.headers) };
  const stream = session.request(headers, { endStream: request.endOfStream, waitForTrailers: request.hasTrailers });
  let trailers: Readonly<Record<string, string>> = {};
  let status: number | undefined;
  let contentType = "";
  let body = "";
  let complete = false;
  stream.on("response", (head) => {
    status = head[":status"];
    contentType = head["content-type"] ?? "";
  });
  stream.on("data", (bytes: Buffer) => {
    body += bytes.toString();
  });
  stream.on("end", () => {
    complete = true;
  });
  stream.on("wantTrailers", () => stream.sendTrailers({ ...trailers }));
  const ended = new Promise<void>((resolve) => {
    stream.on("end", resolve);
    stream.on("error", () => {});
    stream.on("close", resolve);
  });

  return {
    body: (text) => stream.write(text),
    end: () => stream.end(),
    trailers: (pairs) => {
      trailers = pairs;
      stream.end();
    },
    // Not close(), which ends the request before it resets the stream.
    disconnect: () => stream.destroy(new Error("the client is gone")),
    ended,
    response: () => (status === undefined ? "waits" : { status, contentType, body, cut: !complete }),
    close: () => session.destroy(),
  };
}

interface Response {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
  readonly complete: boolean;
}

/** As much of an HTTP/1.1 response as has arrived: RFC 9112 section 6 with a length or with chunks. */
function parseResponse(received: Buffer, method: string): Response | undefined {
  const text = received.toString("latin1");
  const headEnd = text.indexOf("\r\n\r\n");
  if (headEnd < 0) return undefined;
  const head = text.slice(0, headEnd);
  const field = (name: string) => new RegExp(`^${name}: *(.*)$`, "im").exec(head)?.[1];
  const status = Number(head.slice(9, 12));
  const contentType = field("content-type") ?? "";
  const rest = text.slice(headEnd + 4);
  if (method === "HEAD") return { status, contentType, body: rest, complete: true };
  if (field("transfer-encoding") === "chunked") return { status, contentType, ...unchunk(rest) };
  const length = Number(field("content-length") ?? 0);
  return { status, contentType, body: rest.slice(0, length), complete: rest.length >= length };
}

function unchunk(text: string): { body: string; complete: boolean } {
  let body = "";
  for (let offset = 0; ; ) {
    const lineEnd = text.indexOf("\r\n", offset);
    if (lineEnd < 0) return { body, complete: false };
    const length = Number.parseInt(text.slice(offset, lineEnd), 16);
    if (length === 0) return { body, complete: true };
    body += text.slice(lineEnd + 2, lineEnd + 2 + length);
    offset = lineEnd + 2 + length + 2;
  }
}
