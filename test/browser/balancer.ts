// A port in front of the replicas of a service, like a Kubernetes Service: each new connection goes to the next replica that takes it.
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export interface Balancer {
  readonly port: number;
  /** Where connections go from now on; those that are open stay where they are. */
  setTargets(ports: readonly number[]): void;
  stop(): Promise<void>;
}

export async function startBalancer(): Promise<Balancer> {
  let targets: readonly number[] = [];
  let next = 0;
  const sockets = new Set<Socket>();
  const keep = (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    // The other side of the pair learns of it by its end.
    socket.on("error", () => {});
  };
  /** Tries each replica once, beginning with the next one. */
  const join = (client: Socket, attempts: number): void => {
    const port = targets[next++ % Math.max(targets.length, 1)];
    if (port === undefined || attempts === 0) {
      client.destroy();
      return;
    }
    const server = connect({ host: "127.0.0.1", port });
    keep(server);
    const refused = () => join(client, attempts - 1);
    server.once("error", refused);
    server.once("connect", () => {
      server.off("error", refused);
      client.pipe(server).pipe(client);
      client.once("close", () => server.destroy());
      server.once("close", () => client.destroy());
    });
  };
  const server = createServer((client) => {
    keep(client);
    join(client, targets.length);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    setTargets(ports) {
      targets = ports;
    },
    async stop() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
