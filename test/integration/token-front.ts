// A way to a provider of tokens that can be slow, broken or gone, whatever the provider does; it counts who comes by.
import { once } from "node:events";
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** What becomes of a request: it is passed on, never answered, cut, or answered here. */
export type Behaviour = "pass" | "silence" | "cut" | { readonly status: number; readonly body: string };

export interface TokenFront {
  readonly port: number;
  /** The requests so far. */
  readonly requests: readonly { readonly method: string; readonly path: string; readonly body: string }[];
  behave(how: Behaviour): void;
  /** Nobody listens any more. */
  leave(): Promise<void>;
  /** The end of that, at the same port. */
  comeBack(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts one in front of the provider at a port of this machine. */
export async function startTokenFront(providerPort: number): Promise<TokenFront> {
  const requests: { method: string; path: string; body: string }[] = [];
  let behaviour: Behaviour = "pass";

  const onRequest = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const parts: Buffer[] = [];
    for await (const part of incoming) parts.push(part as Buffer);
    const body = Buffer.concat(parts);
    requests.push({ method: incoming.method ?? "", path: incoming.url ?? "", body: body.toString() });
    if (behaviour === "silence") return;
    if (behaviour === "cut") return void response.destroy();
    if (behaviour === "pass") return pass(incoming, body, response);
    response.writeHead(behaviour.status, { "content-type": "application/json" }).end(behaviour.body);
  };
  const pass = async (incoming: IncomingMessage, body: Buffer, response: ServerResponse): Promise<void> => {
    // As it came, the name of the host too: the provider answers under its own alone.
    const { method, url: path, rawHeaders: headers } = incoming;
    const outgoing = request({ host: "127.0.0.1", port: providerPort, method, path, headers, agent: false });
    outgoing.end(body);
    const [answer] = (await once(outgoing, "response")) as [IncomingMessage];
    response.writeHead(answer.statusCode ?? 502, answer.rawHeaders);
    answer.pipe(response);
  };
  const listen = async (port: number): Promise<Server> => {
    const server = createServer((incoming, response) => {
      onRequest(incoming, response).catch(() => response.destroy());
    });
    // As the provider has it.
    server.keepAliveTimeout = 0;
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
    return server;
  };
  let server = await listen(0);
  const { port } = server.address() as AddressInfo;
  const leave = async () => {
    if (!server.listening) return;
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return {
    port,
    requests,
    behave(how) {
      behaviour = how;
    },
    leave,
    async comeBack() {
      server = await listen(port);
    },
    stop: leave,
  };
}
