// Whether a POST was meant by the person in front of the browser, and not made by another site through it. Two independent defences: what the
// browser says about where the request comes from, and a token that only our own pages have.
import type { FastifyRequest } from "fastify";
import { type BrowserSession, isEqual } from "./session.ts";

/** The header in which our script sends the token. */
const TOKEN_HEADER = "x-csrf-token";
/** The field in which our forms send it. */
const TOKEN_FIELD = "csrf";

/**
 * Whether a request comes from one of our own pages. Browsers set both headers themselves, and no page can change them: `Sec-Fetch-Site` must
 * be `same-origin` (Fetch Metadata section 2.3) and `Origin` ours (RFC 6454 section 7); a browser that sends neither is not trusted.
 */
export function isFromOwnPage(request: FastifyRequest, publicUrl: string): boolean {
  const site = request.headers["sec-fetch-site"];
  const origin = request.headers.origin;
  if (site === undefined && origin === undefined) return false;
  return (site === undefined || site === "same-origin") && (origin === undefined || origin === publicUrl);
}

/** Whether a request has the token of the session, in the header or in the form. */
export function hasToken(request: FastifyRequest, session: BrowserSession): boolean {
  const header = request.headers[TOKEN_HEADER];
  const body: unknown = request.body;
  const field =
    typeof body === "object" && body !== null && Object.hasOwn(body, TOKEN_FIELD)
      ? (body as Record<string, unknown>)[TOKEN_FIELD]
      : undefined;
  const token = header ?? field;
  return typeof token === "string" && isEqual(token, session.csrfToken);
}
