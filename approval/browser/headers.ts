// The headers of every answer to a browser: what a page may load, who may frame it, what it tells others.
import type { FastifyInstance } from "fastify";

/**
 * Only our own files, no inline script or style, no frames in either direction (clickjacking), no base that moves links, and forms only to us.
 * A form never ends at the sign-in provider: what needs a session answers a POST with a page, not with a redirect, because browsers
 * hold redirects of forms to `form-action` as well. Trusted Types: no script of these pages may make markup from text.
 */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join("; ");

const HEADERS: Readonly<Record<string, string>> = {
  "content-security-policy": CONTENT_SECURITY_POLICY,
  "x-frame-options": "DENY",
  "x-content-type-options": "nosniff",
  // `no-referrer` would make the `Origin` of our own forms `null` (Fetch, section 3.2), which csrf.ts reads. Other origins get nothing
  // with this one either.
  "referrer-policy": "same-origin",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "origin-agent-cluster": "?1",
  "permissions-policy":
    "publickey-credentials-get=(self), publickey-credentials-create=(self), camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
  // Pages have what a call would do; neither a disk nor a proxy keeps them.
  "cache-control": "no-store",
};

/** RFC 6797: one year. */
const STRICT_TRANSPORT_SECURITY = "max-age=31536000";

/**
 * Puts the headers on every answer of `app`, errors and unknown paths included.
 * @param publicUrl where browsers find the service; with https they are told to stay there
 */
export function addSecurityHeaders(app: FastifyInstance, publicUrl: URL): void {
  app.addHook("onRequest", async (_request, reply) => {
    reply.headers(HEADERS);
    if (publicUrl.protocol === "https:") reply.header("strict-transport-security", STRICT_TRANSPORT_SECURITY);
  });
}
