// A registry that does what a test tells it to: the answers that no real one can be made to give. Everything that a real
// registry can do is tested with a real one (registry.ts).
import { createServer, type IncomingHttpHeaders, type RequestListener } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";

export interface SeenRequest {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface ScriptedAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
  /** Ends the connection without an answer. */
  readonly hangUp?: boolean;
}

export interface ScriptedRegistry {
  /** `127.0.0.1:port`. */
  readonly host: string;
  readonly seen: readonly SeenRequest[];
  stop(): Promise<void>;
}

/**
 * Starts a server on a free port of 127.0.0.1 that answers each request with what `script` returns for it.
 * @param tls a certificate and its key (PEM), for a server over TLS.
 */
export async function startScriptedRegistry(
  script: (request: SeenRequest, index: number) => ScriptedAnswer,
  tls?: { certificate: string; key: string },
): Promise<ScriptedRegistry> {
  const seen: SeenRequest[] = [];
  const listener: RequestListener = (request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("error", () => {}); // a client that hangs up is the client's business
    request.on("end", () => {
      const { method = "", url: target = "", headers } = request;
      const entry = { method, target, headers, body: Buffer.concat(chunks) };
      seen.push(entry);
      const answer = script(entry, seen.length - 1);
      if (answer.hangUp) return request.socket.destroy();
      response.writeHead(answer.status, answer.headers);
      response.end(answer.body);
    });
  };
  const server =
    tls === undefined ? createServer(listener) : createTlsServer({ cert: tls.certificate, key: tls.key }, listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
