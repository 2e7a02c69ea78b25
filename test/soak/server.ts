// The server of the soak: it answers each request as its kind says, and knows which ones are still open.

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createHttp2Server, type Http2ServerRequest, type Http2ServerResponse } from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import type { Protocol } from "./client.ts";

/** What a kind answers with; HTTP/1.1 and HTTP/2 alike. */
export interface Response {
  writeHead(status: number, headers: Readonly<Record<string, string>>): unknown;
  write(text: string): unknown;
  end(text?: string): unknown;
  /** Cuts the response; on HTTP/1.1 with the connection. */
  destroy(): unknown;
  on(event: "close", listener: () => void): unknown;
}

/** Called when the headers of a request have come; `whole` settles when its body has, and never when it is cut. */
export type Serve = (kind: string, response: Response, whole: Promise<void>) => void;

export interface Server {
  readonly port: number;
  /** Requests that have neither been answered nor taken back. */
  open(): number;
  /** Settles when the request `id` is over; at once when the server never saw it. */
  isOver(id: string): Promise<void>;
  stop(): Promise<void>;
}

export const KIND_HEADER = "x-soak-kind";
export const ID_HEADER = "x-soak-id";

/** Megabytes that may wait in one connection before Node refuses streams: all clients come over one connection of their Envoy. */
const HTTP2_OPTIONS = { maxSessionMemory: 1_000 };

export async function startServer(protocol: Protocol, serve: Serve): Promise<Server> {
  const open = new Map<string, Promise<void>>();
  const sockets = new Set<Socket>();
  const onRequest = (request: IncomingMessage | Http2ServerRequest, response: ServerResponse | Http2ServerResponse) => {
    const id = String(request.headers[ID_HEADER]);
    const over = new Promise<void>((resolve) => response.on("close", resolve)).then(() => void open.delete(id));
    open.set(id, over);
    response.on("error", () => {});
    request.on("error", () => {});
    request.resume();
    const whole = new Promise<void>((resolve) => {
      request.on("end", () => {
        if (request.complete) resolve();
      });
    });
    serve(String(request.headers[KIND_HEADER]), response as Response, whole);
  };
  const server = protocol === "h1" ? createServer(onRequest) : createHttp2Server(HTTP2_OPTIONS, onRequest);
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    open: () => open.size,
    isOver: (id) => open.get(id) ?? Promise.resolve(),
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
