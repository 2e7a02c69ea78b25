// The one way in for everything that needs somebody who is signed in. Routes that are registered behind it cannot forget it.
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { BrowserContext } from "./context.ts";
import { hasToken, isFromOwnPage } from "./csrf.ts";
import { refuse, wantsPage } from "./refusal.ts";
import { isReturnPath, signInPath } from "./return-path.ts";
import { type BrowserSession, sessionOf } from "./session.ts";

const sessions = new WeakMap<FastifyRequest, BrowserSession>();

/**
 * Lets only requests with a session through to the routes of `app`, and a POST only when it comes from our own page with the session's token.
 * Nothing else signs anybody in: an `Authorization` header is not read anywhere.
 */
export function addGate(app: FastifyInstance, context: BrowserContext): void {
  // Before validation, so that strangers learn nothing about what a route expects; behind the parsing of the body, where a form has its token.
  app.addHook("preValidation", async (request, reply) => {
    const isRead = request.method === "GET" || request.method === "HEAD";
    if (!isRead && !isFromOwnPage(request, context.settings.publicUrl)) return refuse(request, reply, "cross_site");
    const session = await sessionOf(request, reply, context);
    if (session === undefined) {
      // A form is answered with a page: its redirects would be held to `form-action`, and what was typed is gone either way.
      if (!isRead || !wantsPage(request)) return refuse(request, reply, "signed_out");
      return reply.redirect(signInPath(isReturnPath(request.url) ? request.url : "/"), 303);
    }
    if (!isRead && !hasToken(request, session)) return refuse(request, reply, "token");
    sessions.set(request, session);
    return undefined;
  });
}

/** The session of a request that has come through the gate. */
export function sessionBehindGate(request: FastifyRequest): BrowserSession {
  const session = sessions.get(request);
  if (session === undefined) throw new Error(`the route ${request.url} is not behind the gate`);
  return session;
}
