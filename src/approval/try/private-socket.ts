// A Unix socket that nobody else can enter, for a server behind a guard: no port by which somebody walks around it.
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import type { Server } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { atExit } from "../../at-exit.ts";

/** Where a server listens. */
export interface PrivateSocket {
  readonly path: string;
  /** Cuts every connection, and removes the socket. */
  close(): Promise<void>;
}

/** Has a server listen on a socket of its own. It is removed too when the process ends without closing it. */
export async function listenPrivately(server: Server): Promise<PrivateSocket> {
  // It is the proxy that ends connections: one that the server closes while a request is on its way costs that request.
  server.keepAliveTimeout = 0;
  const folder = mkdtempSync(path.join(tmpdir(), "mcp-guard-server-"));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  const forget = atExit(remove);
  const socketPath = path.join(folder, "mcp.sock");
  server.listen(socketPath);
  await once(server, "listening");
  return {
    path: socketPath,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      forget();
      remove();
    },
  };
}
