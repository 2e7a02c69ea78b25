// Who may use the API of the guards: guards. Not people, whose session means nothing here, and not agents, whose tokens mean nothing here.
import { createHash, timingSafeEqual } from "node:crypto";
import type { FastifyInstance } from "fastify";
import type { ServiceContext } from "../context.ts";
import { refuse } from "./refusal.ts";

/** RFC 6750, section 2.1; the scheme's case does not matter (RFC 9110, section 11.1). */
const BEARER = /^bearer +([A-Za-z0-9\-._~+/]+=*)$/i;
/** What browsers send and no guard does. A page that somebody has open must not be able to ask in their name. */
const BROWSER_HEADERS = ["cookie", "origin", "sec-fetch-site"] as const;

/** Refuses every request of `app` that no guard has sent, before its body is read. */
export function addFilterGate(app: FastifyInstance, { settings, metrics }: ServiceContext): void {
  const { secrets, mesh } = settings.filter;
  // The settings do not allow it; a mistake there must not open this door.
  if (secrets.length === 0 && !mesh) throw new Error("the API of the guards has no protection");
  const known = secrets.map(fingerprint);
  app.addHook("onRequest", async (request, reply) => {
    const { authorization } = request.headers;
    const isBrowser = BROWSER_HEADERS.some((name) => request.headers[name] !== undefined);
    // Where the mesh alone decides, guards send no token: one that comes all the same is somebody else's.
    const isGuard = known.length === 0 ? authorization === undefined : isSecret(authorization, known);
    if (isGuard && !isBrowser) return undefined;
    metrics.strangers.inc();
    request.log.warn({ isBrowser }, "not a guard");
    return refuse(reply.header("www-authenticate", "Bearer"), 401, "unauthorized");
  });
}

/** Compares with all secrets, whether one has matched or not, and with hashes, which have one length: the time says nothing. */
function isSecret(authorization: string | undefined, known: readonly Buffer[]): boolean {
  const given = fingerprint(BEARER.exec(authorization ?? "")?.[1] ?? "");
  return known.map((secret) => timingSafeEqual(secret, given)).includes(true);
}

function fingerprint(secret: string): Buffer {
  return createHash("sha256").update(secret).digest();
}
