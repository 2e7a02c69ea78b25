// A connection between a client and a registry that a test can watch, break and hold.
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export interface WireTap {
  /** `127.0.0.1:port`, to be used in place of the registry's. */
  readonly host: string;
  /** What clients have sent so far, as Latin-1. */
  sent(): string;
  /** Settles when the wire has been broken or held. */
  readonly reached: Promise<void>;
  stop(): Promise<void>;
}

export interface WireTapOptions {
  /** The port of the registry on 127.0.0.1. */
  readonly to: number;
  /** After how many bytes from clients, over all connections, something happens; once. */
  readonly afterBytes: number;
  /** `break`: that connection ends. `hold`: nothing more gets through on it. */
  readonly happens: "break" | "hold";
}

/** Listens on a free port of 127.0.0.1 and passes everything on, until it is to do something else. */
export async function startWireTap({ to, afterBytes, happens }: WireTapOptions): Promise<WireTap> {
  const chunks: Buffer[] = [];
  const sockets = new Set<Socket>();
  let left = afterBytes;
  let reach = () => {};
  const reached = new Promise<void>((resolve) => {
    reach = resolve;
  });
  const server = createServer((client) => {
    const registry = connect(to, "127.0.0.1");
    for (const socket of [client, registry]) {
      sockets.add(socket);
      socket.on("error", () => {}); // either side may end a connection as it likes
      socket.on("close", () => sockets.delete(socket));
    }
    registry.pipe(client);
    client.on("close", () => registry.destroy());
    client.on("data", (chunk: Buffer) => {
      const passed = left > 0 ? chunk.subarray(0, left) : chunk;
      const limited = left > 0 && passed.length === left;
      chunks.push(passed);
      registry.write(passed, () => {
        if (limited && happens === "break") client.destroy();
      });
      if (left > 0) left -= passed.length;
      if (!limited) return;
      left = -1; // what happens here happens once
      if (happens === "hold") client.pause();
      reach();
    });
    client.on("end", () => registry.end());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    sent: () => Buffer.concat(chunks).toString("latin1"),
    reached,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
