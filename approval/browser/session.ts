// Who is signed in. The browser has a random id in a cookie, the database its hash and what the provider said; nothing else counts, least of
// all a bearer token.
import { createHash, createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { Viewer } from "../pages/layout.ts";
import type { User } from "../store/store.ts";
import type { SignedIn } from "./approver.ts";
import type { BrowserContext } from "./context.ts";

/**
 * RFC 6265bis section 4.1.3.2: with this prefix a browser takes the cookie only from us, over a connection that nobody reads, for this very
 * host. Browsers count http://localhost among those.
 */
export const SESSION_COOKIE = "__Host-mcp-guard-session";

/** One working day: after that the provider is asked again, and with it who is still in which group. */
export const SESSION_MS = 8 * 3_600_000;
/** A session that nobody uses for so long is over. */
export const IDLE_MS = 30 * 60_000;
/** The cookie is written anew when its time is older than this, not with every answer. */
const RENEWAL_MS = 60_000;
/** How young the provider's own sign-in has to be where a passkey is added or removed. */
const FRESH_MS = 5 * 60_000;
/** A provider's clock may run ahead of ours by so much. A sign-in in the future is none. */
const CLOCK_SKEW_MS = 60_000;

const ID_BYTES = 32;
const COOKIE = /^([\w-]{43})\.([0-9a-z]{1,9})\.([\w-]{43})$/;

/** Attributes of our cookies. `Lax`: the link to an approval comes from another site, and the provider sends people back from its own. */
export const COOKIE_ATTRIBUTES = { path: "/", secure: true, httpOnly: true, sameSite: "lax" } as const;

/** Somebody who is signed in. */
export interface BrowserSession extends SignedIn {
  readonly idHash: string;
  readonly user: User;
  /** When the provider last asked for credentials, in milliseconds; 0 when it did not say. */
  readonly signedInAt: number;
  /** Stands in every form, and comes back with every POST. */
  readonly csrfToken: string;
  /** When the session ends whatever happens. */
  readonly expiresAt: number;
}

/**
 * Begins a session and gives the browser its cookie. The id is always new: one that was there before the sign-in, whoever put it there, never
 * becomes a session (session fixation), and the session that the browser had ends.
 */
export async function startSession(
  request: FastifyRequest,
  reply: FastifyReply,
  { store, clock }: BrowserContext,
  person: { readonly user: User; readonly claims: Readonly<Record<string, unknown>>; readonly signedInAt: number },
): Promise<void> {
  await endSession(request, reply, { store });
  const id = randomBytes(ID_BYTES).toString("base64url");
  const csrfSecret = randomBytes(ID_BYTES).toString("base64url");
  const now = clock();
  await store.addSession({
    issuer: person.user.issuer,
    subject: person.user.subject,
    idHash: hashOf(id),
    claims: JSON.stringify(person.claims),
    signedInAt: person.signedInAt,
    csrfSecret,
    expiresAt: now + SESSION_MS,
  });
  reply.setCookie(SESSION_COOKIE, cookieValue(id, now, csrfSecret), COOKIE_ATTRIBUTES);
}

/** The session of a request, or undefined when it has none that is alive. */
export async function sessionOf(
  request: FastifyRequest,
  reply: FastifyReply,
  { store, clock }: BrowserContext,
): Promise<BrowserSession | undefined> {
  const cookie = COOKIE.exec(request.cookies[SESSION_COOKIE] ?? "");
  if (cookie === null) return undefined;
  const [, id = "", seen = "", proof = ""] = cookie;
  const session = await store.session(hashOf(id));
  if (session === undefined) return undefined;
  const now = clock();
  // When the browser was here last stands in the cookie, sealed with a secret of the session: so any replica knows it, and none has to write
  // to the database for it. A copy of the cookie from an old backup is as idle as it was then.
  if (!isEqual(proof, seal(session.csrfSecret, `seen ${seen}`))) return undefined;
  const seenAt = Number.parseInt(seen, 36) * 1_000;
  if (now - seenAt >= IDLE_MS) return undefined;
  if (now - seenAt >= RENEWAL_MS && !reply.sent) {
    reply.setCookie(SESSION_COOKIE, cookieValue(id, now, session.csrfSecret), COOKIE_ATTRIBUTES);
  }
  return {
    idHash: session.idHash,
    user: { issuer: session.issuer, subject: session.subject },
    issuer: session.issuer,
    claims: JSON.parse(session.claims) as Record<string, unknown>,
    signedInAt: session.signedInAt,
    csrfToken: seal(session.csrfSecret, "form"),
    expiresAt: session.expiresAt,
  };
}

/** Ends the session of a request, if it has one, and takes the cookie away. */
export async function endSession(
  request: FastifyRequest,
  reply: FastifyReply,
  { store }: Pick<BrowserContext, "store">,
): Promise<void> {
  const id = COOKIE.exec(request.cookies[SESSION_COOKIE] ?? "")?.[1];
  if (id !== undefined) await store.removeSession(hashOf(id));
  reply.clearCookie(SESSION_COOKIE, COOKIE_ATTRIBUTES);
}

/** Whether the provider asked for credentials a moment ago, which adding and removing passkeys needs. */
export function isFresh(session: BrowserSession, now: number): boolean {
  const age = now - session.signedInAt;
  return age < FRESH_MS && age > -CLOCK_SKEW_MS;
}

/** What the person is called on the page: the first of these claims that is there, else the provider's id. */
export function displayName(session: BrowserSession): string {
  for (const name of ["name", "preferred_username", "email"]) {
    const value = Object.hasOwn(session.claims, name) ? session.claims[name] : undefined;
    if (typeof value === "string" && value !== "") return value;
  }
  return session.user.subject;
}

/** What a page is told about whoever looks at it. */
export function viewerOf(session: BrowserSession): Viewer {
  return { name: displayName(session), csrfToken: session.csrfToken };
}

/** SHA-256 of an id, base64url: what the database has of it. */
export function hashOf(id: string): string {
  return createHash("sha256").update(id).digest("base64url");
}

/** Compares two texts in a time that says nothing about where they differ. */
export function isEqual(one: string, other: string): boolean {
  const [a, b] = [createHash("sha256").update(one).digest(), createHash("sha256").update(other).digest()];
  return timingSafeEqual(a, b);
}

function cookieValue(id: string, now: number, secret: string): string {
  const seen = Math.floor(now / 1_000).toString(36);
  return `${id}.${seen}.${seal(secret, `seen ${seen}`)}`;
}

function seal(secret: string, text: string): string {
  return createHmac("sha256", secret).update(text).digest("base64url");
}
