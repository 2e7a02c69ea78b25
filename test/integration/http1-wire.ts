// The raw HTTP/1.1 client.
import type { Answer, ClientTls, Fields, WireConnection, WireHead, WireRequest } from "./wire.ts";
import { HOST_DEFAULT, openSocket } from "./wire.ts";

/** Connects to `http://host:port`, with `tls` over TLS. @throws Error when the TLS handshake fails. */
export async function connectHttp1(url: string, tls?: ClientTls): Promise<WireConnection> {
  const socket = await openSocket(url, tls);
  const waiting: Waiting[] = [];
  let received = Buffer.alloc(0);
  let isClosed = false;

  /** Hands what has arrived to the requests in their order (RFC 9112 section 9.3.2). */
  const deliver = () => {
    for (let first = waiting[0]; first !== undefined; first = waiting[0]) {
      const parsed = parseResponse(received, first.method, isClosed);
      first.answer = parsed?.answer;
      if (!isClosed && !(parsed?.isComplete ?? false)) return;
      received = received.subarray(parsed?.bytes ?? 0);
      waiting.shift();
      first.settle(first.answer);
    }
  };
  socket.on("data", (bytes: Buffer) => {
    received = Buffer.concat([received, bytes]);
    deliver();
  });
  socket.on("close", () => {
    isClosed = true;
    deliver();
  });

  return {
    open(head) {
      const entry: Waiting = { method: head.method, answer: undefined, settle: () => {} };
      const answer = new Promise<Answer | undefined>((settle) => {
        entry.settle = settle;
      });
      waiting.push(entry);
      socket.write(headText(head), "latin1");
      if (isClosed) deliver();
      return requestOn(head, (data) => socket.write(data), {
        disconnect: () => socket.destroy(),
        soFar: () => entry.answer,
        answer,
      });
    },
    isClosed: () => isClosed,
    close: () => socket.destroy(),
  };
}

/** The bytes of a request's head. */
export function headText(head: WireHead): string {
  const declares = head.headers.some(([name]) => name.toLowerCase() === "content-length");
  const framing: Fields =
    head.framing === "chunked"
      ? [["transfer-encoding", "chunked"]]
      : head.framing === "length" && !declares
        ? [["content-length", String(head.bodyBytes ?? 0)]]
        : [];
  const namesHost = head.headers.some(([name]) => name.toLowerCase() === "host");
  const host: Fields = namesHost ? [] : [["host", HOST_DEFAULT]];
  const lines = [...host, ...head.headers, ...framing].map(([name, value]) => `${name}: ${value}`);
  return `${head.method} ${head.path} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`;
}

interface Waiting {
  readonly method: string;
  answer: Answer | undefined;
  settle: (answer: Answer | undefined) => void;
}

function requestOn(
  head: WireHead,
  write: (data: Uint8Array | string) => void,
  rest: Pick<WireRequest, "disconnect" | "soFar" | "answer">,
): WireRequest {
  const isChunked = head.framing === "chunked";
  const send = (bytes: Uint8Array) => {
    if (bytes.length === 0) return;
    write(
      isChunked ? Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from("\r\n")]) : bytes,
    );
  };
  return {
    send,
    end(last) {
      if (last !== undefined) send(last);
      if (isChunked) write("0\r\n\r\n");
    },
    trailers(fields) {
      write(`0\r\n${fields.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`);
    },
    ...rest,
  };
}

interface Parsed {
  readonly answer: Answer;
  readonly isComplete: boolean;
  /** Of the response, as far as it has come. */
  readonly bytes: number;
}

/** The response at the beginning of `received` (RFC 9112 section 6.3); undefined before its head is there. */
function parseResponse(received: Buffer, method: string, isClosed: boolean): Parsed | undefined {
  const headEnd = received.indexOf("\r\n\r\n");
  if (headEnd < 0) return undefined;
  const [statusLine = "", ...lines] = received.subarray(0, headEnd).toString("latin1").split("\r\n");
  const status = Number(statusLine.split(" ")[1]);
  const start = headEnd + 4;
  if (status === 100) return parseResponse(received.subarray(start), method, isClosed);
  const fields = lines.map(fieldOf);
  const headers = new Map(fields.map(([name, value]) => [name.toLowerCase(), value]));
  const of = (body: Buffer, isComplete: boolean, bytes: number, trailers: Fields = []): Parsed => ({
    answer: { status, headers, fields, body, trailers, isCut: isClosed && !isComplete },
    isComplete,
    bytes,
  });
  const rest = received.subarray(start);
  if (method === "HEAD" || status === 204 || status === 304 || status === 101) return of(Buffer.alloc(0), true, start);
  if (headers.get("transfer-encoding") === "chunked") {
    const { body, bytes, trailers } = unchunk(rest);
    return of(body, bytes !== undefined, start + (bytes ?? rest.length), trailers);
  }
  const declared = headers.get("content-length");
  if (declared === undefined) return of(rest, isClosed, received.length);
  const length = Number(declared);
  return of(rest.subarray(0, length), rest.length >= length, start + Math.min(rest.length, length));
}

function fieldOf(line: string): Fields[number] {
  return [line.split(":", 1)[0]!, line.slice(line.indexOf(":") + 1).trim()];
}

/** The body that has come in chunks; `bytes` is their length with the last one and the trailers, once they are there. */
function unchunk(encoded: Buffer): { body: Buffer; bytes: number | undefined; trailers: Fields } {
  const parts: Buffer[] = [];
  for (let at = 0; ; ) {
    const lineEnd = encoded.indexOf("\r\n", at);
    if (lineEnd < 0) return { body: Buffer.concat(parts), bytes: undefined, trailers: [] };
    const length = Number.parseInt(encoded.subarray(at, lineEnd).toString("latin1"), 16);
    if (length === 0) {
      const end = encoded.indexOf("\r\n\r\n", lineEnd);
      const lines = encoded.subarray(lineEnd + 2, Math.max(end, lineEnd + 2)).toString("latin1");
      const trailers = lines === "" ? [] : lines.split("\r\n").map(fieldOf);
      return { body: Buffer.concat(parts), bytes: end < 0 ? undefined : end + 4, trailers };
    }
    parts.push(encoded.subarray(lineEnd + 2, lineEnd + 2 + length));
    at = lineEnd + 2 + length + 2;
  }
}
