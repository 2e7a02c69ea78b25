// Whether the service lives, and whether it can work.
import type { FastifyInstance } from "fastify";
import type { Store } from "./store/store.ts";

/**
 * Adds `GET /healthz` (the process answers: do not restart it) and `GET /readyz` (the database answers: send it requests).
 * Neither needs anybody to say who they are, and neither tells anything else.
 */
export function addHealth(app: FastifyInstance, store: Store): void {
  // Probes come every few seconds, and nobody wants to read that they did.
  const options = { logLevel: "silent", schema: { hide: true } } as const;
  app.get("/healthz", options, async (_request, reply) => reply.type("text/plain").send("ok\n"));
  app.get("/readyz", options, async (_request, reply) => {
    try {
      await store.check();
      return reply.type("text/plain").send("ok\n");
    } catch {
      return reply.code(503).type("text/plain").send("the database does not answer\n");
    }
  });
}
