// The server behind the guard: it keeps each request that arrives, complete or cut, with the exact bytes of its body.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createHttp2Server, type Http2ServerRequest, type Http2ServerResponse } from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import type { Fields } from "./wire.ts";

/** What the origin answers unless a suite says otherwise. */
export const ORIGIN_ANSWER = '{"jsonrpc":"2.0","id":1,"result":{"origin":true}}';

/** One request as it reached the server. */
export interface Arrival {
  readonly method: string;
  readonly path: string;
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** The header fields as they came, in order; on HTTP/2 with the pseudo-headers. */
  readonly fields: Fields;
  /** The body so far. */
  body(): Buffer;
  trailers: Readonly<Record<string, string | string[] | undefined>>;
  /** `open` while more may come, `cut` when the proxy has taken the request back. */
  state: "open" | "complete" | "cut";
  /** Settles when the state is no longer `open`. */
  readonly ended: Promise<void>;
}

/** What a suite answers with; HTTP/1.1 and HTTP/2 alike. */
export interface OriginResponse {
  writeHead(status: number, headers: Readonly<Record<string, string | string[]>>): unknown;
  write(text: string): unknown;
  end(text?: string): unknown;
  addTrailers(trailers: Readonly<Record<string, string>>): unknown;
  /** Cuts the response; on HTTP/1.1 with the connection. */
  destroy(): unknown;
  on(event: "close", listener: () => void): unknown;
}

export interface Origin {
  readonly protocol: "h1" | "h2";
  readonly port: number;
  /** The requests with this `x-request-id`, in order. */
  arrivals(requestId: string): readonly Arrival[];
  /** All requests, in order. */
  all(): readonly Arrival[];
  stop(): Promise<void>;
}

/** Called with each request when its headers have come. */
export type Respond = (arrival: Arrival, response: OriginResponse) => void;

/** Starts a server on a free port of every interface, so that containers reach it. */
export async function startOrigin(protocol: "h1" | "h2" = "h1", respond: Respond = answerAtTheEnd): Promise<Origin> {
  const arrivals: Arrival[] = [];
  const sockets = new Set<Socket>();
  const onRequest = (request: IncomingMessage | Http2ServerRequest, response: ServerResponse | Http2ServerResponse) => {
    const arrival = arrivalOf(request);
    arrivals.push(arrival);
    response.on("error", () => {});
    respond(arrival, response as OriginResponse);
  };
  // It is Envoy that ends connections: one that the server closes while a request is on its way costs that request.
  const server = protocol === "h1" ? createServer({ keepAliveTimeout: 0 }, onRequest) : createHttp2Server(onRequest);
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, "0.0.0.0", resolve));
  return {
    protocol,
    port: (server.address() as AddressInfo).port,
    arrivals: (requestId) => arrivals.filter(({ headers }) => headers["x-request-id"] === requestId),
    all: () => arrivals,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

function answerAtTheEnd(arrival: Arrival, response: OriginResponse): void {
  void arrival.ended.then(() => {
    if (arrival.state === "complete") answer(response);
  });
}

/** Sends `ORIGIN_ANSWER`. */
export function answer(response: OriginResponse): void {
  response.writeHead(200, { "content-type": "application/json" });
  response.end(ORIGIN_ANSWER);
}

function arrivalOf(request: IncomingMessage | Http2ServerRequest): Arrival {
  const parts: Buffer[] = [];
  let settle = () => {};
  const arrival: Arrival = {
    method: request.method ?? "",
    path: request.url ?? "",
    headers: request.headers,
    fields: pairsOf(request.rawHeaders),
    body: () => Buffer.concat(parts),
    trailers: {},
    state: "open",
    ended: new Promise<void>((resolve) => {
      settle = resolve;
    }),
  };
  const become = (state: "complete" | "cut") => {
    if (arrival.state !== "open") return;
    arrival.state = state;
    arrival.trailers = { ...request.trailers };
    settle();
  };
  // Behind an answer of its own an HTTP/2 server is not told that the client has reset the stream: then the declared
  // length says whether the request was complete (RFC 9113 section 8.1.1).
  const isWhole = () => {
    const declared = request.headers["content-length"];
    const isShort = declared !== undefined && arrival.body().length < Number(declared);
    return request.complete && !request.aborted && !isShort;
  };
  request.on("data", (bytes: Buffer) => parts.push(bytes));
  request.on("end", () => become(isWhole() ? "complete" : "cut"));
  request.on("close", () => become(isWhole() ? "complete" : "cut"));
  request.on("aborted", () => become("cut"));
  request.on("error", () => become("cut"));
  return arrival;
}

/** Names and values that stand one after the other. */
function pairsOf(raw: readonly string[]): Fields {
  return raw.flatMap((name, index) => (index % 2 === 0 ? [[name, raw[index + 1] ?? ""] as const] : []));
}
