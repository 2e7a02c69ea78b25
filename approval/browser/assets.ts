// The files that pages load: our style, our script, and the browser's half of the WebAuthn library as its package has it.
import { createRequire } from "node:module";
import path from "node:path";
import fastifyStatic from "@fastify/static";
import type { FastifyInstance, FastifyReply } from "fastify";
import { projectPath } from "../../src/project.ts";

/** Registers them below `/assets/`. Whoever has no session may load them: they are the same for everybody. */
export async function addAssets(app: FastifyInstance): Promise<void> {
  const options = {
    index: false,
    // Asked for again after a change of the service, and not sent again without one.
    setHeaders: (reply: FastifyReply) => void reply.header("cache-control", "no-cache"),
    cacheControl: false,
  } as const;
  await app.register(fastifyStatic, {
    ...options,
    root: projectPath("approval", "assets"),
    prefix: "/assets/",
    decorateReply: false,
  });
  await app.register(fastifyStatic, {
    ...options,
    root: webauthnFolder(),
    prefix: "/assets/webauthn/",
    decorateReply: false,
    // Modules alone: the package has types and other things beside them.
    allowedPath: (file: string) => file.endsWith(".js"),
  });
}

function webauthnFolder(): string {
  // The package's own entry for `require` stands beside the folder of its modules.
  const entry = createRequire(import.meta.url).resolve("@simplewebauthn/browser");
  return path.join(path.dirname(entry), "..", "esm");
}
