// The browser's side of the service: pages, sign-in, passkeys, decisions. No route here knows an agent's token, and none of the guards' API is here.
import cookie from "@fastify/cookie";
import formbody from "@fastify/formbody";
import type { FastifyError, FastifyInstance } from "fastify";
import { StoreUnavailableError } from "../store/store.ts";
import { addApprove } from "./approve.ts";
import { addAssets } from "./assets.ts";
import type { BrowserContext } from "./context.ts";
import { addDeny } from "./deny.ts";
import { addEvents } from "./events.ts";
import { addGate } from "./gate.ts";
import { addSecurityHeaders } from "./headers.ts";
import { addLists } from "./lists.ts";
import { addPasskeys } from "./passkeys.ts";
import { refuse } from "./refusal.ts";
import { addSignIn, addSignOut } from "./sign-in.ts";

/** Adds all pages and routes of the browser's side to `app`. */
export async function registerBrowser(app: FastifyInstance, context: BrowserContext): Promise<void> {
  addSecurityHeaders(app, new URL(context.settings.publicUrl));
  app.setNotFoundHandler((request, reply) => refuse(request, reply, "not_found"));
  app.setErrorHandler((error: FastifyError, request, reply) => {
    if (error instanceof StoreUnavailableError) {
      context.metrics.databaseErrors.inc();
      request.log.error({ err: error }, "the database does not answer");
      return refuse(request, reply, "unavailable");
    }
    if ((error.statusCode ?? 500) < 500) return refuse(request, reply, "malformed");
    request.log.error({ err: error }, "a request has failed");
    return refuse(request, reply, "internal");
  });
  await app.register(cookie);
  await app.register(formbody);
  await addAssets(app);
  addSignIn(app, context);
  await app.register(async (behindGate) => {
    addGate(behindGate, context);
    addSignOut(behindGate, context);
    addLists(behindGate, context);
    addApprove(behindGate, context);
    addDeny(behindGate, context);
    addPasskeys(behindGate, context);
    addEvents(behindGate, context);
  });
}
