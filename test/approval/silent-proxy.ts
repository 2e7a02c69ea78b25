// A way to a database that can go silent without being cut: packets are lost, and nobody is told.
import { connect, createServer, type Socket } from "node:net";

export interface SilentProxy {
  /** The database's URL through the proxy. */
  readonly url: string;
  /** From now on nothing comes through, and new connections are taken and not answered. */
  silence(): void;
  /** Cuts what is silent, and lets new connections through. */
  speak(): void;
  stop(): Promise<void>;
}

export async function startSilentProxy(database: URL): Promise<SilentProxy> {
  const sockets = new Set<Socket>();
  let silent = false;
  const cut = () => {
    for (const socket of sockets) socket.destroy();
    sockets.clear();
  };
  const server = createServer((client) => {
    sockets.add(client);
    client.on("error", () => {});
    if (silent) return;
    const upstream = connect(Number(database.port), database.hostname);
    sockets.add(upstream);
    upstream.on("error", () => client.destroy());
    const pass = (from: Socket, to: Socket) => {
      from.on("data", (bytes) => {
        if (!silent) to.write(bytes);
      });
      from.on("close", () => to.destroy());
    };
    pass(client, upstream);
    pass(upstream, client);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const url = new URL(database);
  url.port = String(typeof address === "object" && address !== null ? address.port : 0);
  return {
    url: url.href,
    silence() {
      silent = true;
    },
    speak() {
      silent = false;
      cut();
    },
    async stop() {
      cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
