// The two servers of the service: one for guards, one for people. They share nothing but the store: a route on one port cannot be reached through the
// other, whatever a proxy in front of them does.
import swagger from "@fastify/swagger";
import Fastify, { type FastifyInstance, type FastifyServerOptions } from "fastify";
import { registerBrowser } from "./browser/register.ts";
import type { ServiceContext } from "./context.ts";
import { answerErrors } from "./filter-api/refusal.ts";
import { registerFilterApi } from "./filter-api/register.ts";
import { addHealth } from "./health.ts";
import type { LogLevel } from "./settings.ts";
import type { ReceiptSigner } from "./signing.ts";

/** `arguments_bytes` of the guard (64 KiB) as a JSON string of JSON (each byte at most doubled), and as much again for the other fields. */
const FILTER_BODY_BYTES_MAX = 256 << 10;
/** A form, or what an authenticator has signed. */
const BROWSER_BODY_BYTES_MAX = 64 << 10;
const REQUEST_TIMEOUT_MS = 10_000;
/** Longer than the hour after which Envoy gives up an idle connection: the side that sends requests is the one to close, so that none is lost. */
const KEEP_ALIVE_MS = 65 * 60_000;

/**
 * Makes the server of the guards: the API, its OpenAPI document, metrics and health. It does not listen yet.
 * @param log where lines go, standard output unless it is given.
 */
export async function buildFilterServer(
  context: ServiceContext,
  signer: ReceiptSigner,
  log?: NodeJS.WritableStream,
): Promise<FastifyInstance> {
  const app = Fastify({
    ...optionsOf(context.settings.logLevel, log),
    bodyLimit: FILTER_BODY_BYTES_MAX,
    // The guard's own id of the request, so that its records and these lines can be read together.
    requestIdHeader: "x-request-id",
  });
  const { store, metrics } = context;
  countRequests(app, context);
  endConnections(app);
  answerErrors(app, metrics);
  await app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: "Approval service: the API of the guards",
        description: "For guards alone: there is no way to approve anything here.",
        version: "1",
      },
      components: { securitySchemes: { guard: { type: "http", scheme: "bearer" } } },
      security: [{ guard: [] }],
    },
  });
  await registerFilterApi(app, context, signer);
  const hidden = { schema: { hide: true } } as const;
  app.get("/openapi.json", hidden, async () => app.swagger());
  app.get("/metrics", { ...hidden, logLevel: "silent" }, async (_request, reply) =>
    reply.type(metrics.registry.contentType).send(await metrics.registry.metrics()),
  );
  addHealth(app, store);
  return app;
}

/**
 * Makes the server of the pages. It does not listen yet.
 * @param log where lines go, standard output unless it is given.
 */
export async function buildBrowserServer(
  context: ServiceContext,
  log?: NodeJS.WritableStream,
): Promise<FastifyInstance> {
  const app = Fastify({ ...optionsOf(context.settings.logLevel, log), bodyLimit: BROWSER_BODY_BYTES_MAX });
  countRequests(app, context);
  endConnections(app);
  addHealth(app, context.store);
  await registerBrowser(app, context);
  return app;
}

function optionsOf(level: LogLevel, stream: NodeJS.WritableStream | undefined): FastifyServerOptions {
  return {
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    // Connections that nobody is using end with the server; requests that are under way are answered first.
    forceCloseConnections: "idle",
    // What is not described is an error, and is not made fit: a guard of another version must be noticed.
    ajv: { customOptions: { removeAdditional: false, coerceTypes: false, useDefaults: false } },
    logger: {
      level,
      ...(stream === undefined ? {} : { stream }),
      serializers: {
        // Without the query: a sign-in comes back with its code there.
        req: (request) => ({ method: request.method, path: request.url?.split("?")[0] }),
      },
    },
  };
}

function countRequests(app: FastifyInstance, { metrics }: ServiceContext): void {
  app.addHook("onResponse", async (request, reply) => {
    // The pattern, not the path: there are as many paths as approvals.
    const route = request.routeOptions.url ?? "none";
    metrics.requests.observe({ route, status: String(reply.statusCode) }, reply.elapsedTime / 1_000);
  });
}

/**
 * Ends a connection with the answer to the last request on it, once the server is told to end: kept alive, it would be waited for. (Those that are idle at
 * that moment Fastify ends itself.)
 */
function endConnections(app: FastifyInstance): void {
  let closing = false;
  app.addHook("preClose", async () => {
    closing = true;
  });
  app.addHook("onSend", async (_request, reply) => {
    if (closing) reply.header("connection", "close");
  });
}
