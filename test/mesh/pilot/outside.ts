// Servers outside of the mesh, as a test has them on its own machine.
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { TLSSocket } from "node:tls";
import type { KeyedCertificate } from "../../integration/certificates.ts";

export interface Outside {
  readonly port: number;
  /** The names that clients have asked for in their handshakes, in order. */
  readonly asked: readonly string[];
  stop(): Promise<void>;
}

/** Starts a server that answers every request over TLS with `body`. */
export async function startOutside(certificate: KeyedCertificate, body: string): Promise<Outside> {
  const asked: string[] = [];
  const server = createServer({ cert: certificate.certificate, key: certificate.key }, (_request, response) => {
    response.end(body);
  });
  server.on("secureConnection", (socket: TLSSocket) => asked.push(String(socket.servername)));
  server.on("tlsClientError", () => {});
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    asked,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
