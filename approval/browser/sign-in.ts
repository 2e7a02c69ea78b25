// Sign-in with OpenID Connect: the authorization code flow (RFC 6749 section 4.1) with PKCE (RFC 7636), state, nonce and the issuer's own name in its
// answer (RFC 9207). What the provider said ends up in a session, and no token is kept.
import { randomBytes } from "node:crypto";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import * as client from "openid-client";
import { APPROVER_BYTES_MAX, approverText } from "../../src/approval/receipt.ts";
import { signedOutPage } from "../pages/message-page.ts";
import type { Settings } from "../settings.ts";
import type { SignIn } from "../store/store.ts";
import type { BrowserContext } from "./context.ts";
import { lazyProvider, type Provider } from "./provider.ts";
import { refuse } from "./refusal.ts";
import { isReturnPath } from "./return-path.ts";
import { COOKIE_ATTRIBUTES, endSession, hashOf, SESSION_MS, sessionOf, startSession } from "./session.ts";

/** Binds a sign-in to the browser that began it: without it, somebody could make a browser end up in an account that is not its user's. */
export const SIGN_IN_COOKIE = "__Host-mcp-guard-sign-in";

/** How long people may take at the provider. */
const SIGN_IN_MS = 10 * 60_000;
const KEY_BYTES = 32;
/** A HEAD would use the answer of the provider up, and give nothing for it. */
const WITHOUT_HEAD = { exposeHeadRoute: false } as const;
const BROWSER_KEY = /^[\w-]{43}$/;
/** Told to whoever comes when too many are signing in, in seconds. */
const RETRY_SECONDS = "60";

/** What is kept of an ID token beside the claims that the settings name. */
const CLAIMS_KEPT = ["iss", "sub", "name", "preferred_username", "email", "email_verified"];

/** Registers the routes of sign-in and sign-out that need no session. */
export function addSignIn(app: FastifyInstance, context: BrowserContext): void {
  const provider = lazyProvider(context.settings.oidc, context.clock);

  app.get<{ Querystring: { return?: unknown; fresh?: unknown } }>("/sign-in", WITHOUT_HEAD, async (request, reply) => {
    const { return: wanted, fresh } = request.query;
    const returnPath = typeof wanted === "string" && isReturnPath(wanted) ? wanted : "/";
    const isFresh = fresh === "1";
    if (!isFresh && (await sessionOf(request, reply, context)) !== undefined) return reply.redirect(returnPath, 303);
    const configuration = await reach(provider, request);
    if (configuration === undefined) return refuse(request, reply, "provider");
    const address = await begin(request, reply, context, configuration, { returnPath, isFresh });
    if (address === undefined) return refuse(request, reply.header("retry-after", RETRY_SECONDS), "crowded");
    return reply.redirect(address, 303);
  });

  app.get<{ Querystring: { state?: unknown } }>("/callback", WITHOUT_HEAD, async (request, reply) => {
    const { state } = request.query;
    const browserKey = request.cookies[SIGN_IN_COOKIE] ?? "";
    if (typeof state !== "string" || !BROWSER_KEY.test(browserKey)) return refuse(request, reply, "sign_in");
    const signIn = await context.store.takeSignIn(stateHash(state, browserKey));
    if (signIn === undefined) return refuse(request, reply, "sign_in");
    const configuration = await reach(provider, request);
    if (configuration === undefined) return refuse(request, reply, "provider");
    const claims = await redeem(request, configuration, context.settings, signIn, state);
    if (claims === undefined) return refuse(request, reply, "sign_in");
    const user = { issuer: claims.iss, subject: claims.sub };
    // The guard takes no longer one in a receipt.
    if (Buffer.byteLength(approverText(user)) > APPROVER_BYTES_MAX) return refuse(request, reply, "sign_in");
    const kept = pick(claims, context.settings);
    const signedInAt = typeof claims.auth_time === "number" ? claims.auth_time * 1_000 : 0;
    await startSession(request, reply, context, { user, claims: kept, signedInAt });
    return reply.redirect(signIn.returnPath, 303);
  });

  app.get("/signed-out", async (_request, reply) => {
    return reply.type("text/html; charset=utf-8").send(signedOutPage().text);
  });
}

/** Registers the sign-out, which belongs behind the gate: no other site can sign anybody out. */
export function addSignOut(app: FastifyInstance, context: BrowserContext): void {
  app.post("/sign-out", async (request, reply) => {
    await endSession(request, reply, context);
    return reply.redirect("/signed-out", 303);
  });
}

/** Notes a sign-in and gives the address at the provider where it goes on; undefined when too many are under way. */
async function begin(
  request: FastifyRequest,
  reply: FastifyReply,
  { store, settings, clock }: BrowserContext,
  configuration: client.Configuration,
  { returnPath, isFresh }: { readonly returnPath: string; readonly isFresh: boolean },
): Promise<string | undefined> {
  // One key for all tabs of a browser, so that two of them can sign in at once.
  const cookie = request.cookies[SIGN_IN_COOKIE] ?? "";
  const browserKey = BROWSER_KEY.test(cookie) ? cookie : randomBytes(KEY_BYTES).toString("base64url");
  const state = client.randomState();
  const nonce = client.randomNonce();
  const verifier = client.randomPKCECodeVerifier();
  const expiresAt = clock() + SIGN_IN_MS;
  const signIn = { stateHash: stateHash(state, browserKey), nonce, verifier, returnPath, expiresAt };
  if (!(await store.addSignIn(signIn))) return undefined;
  reply.setCookie(SIGN_IN_COOKIE, browserKey, { ...COOKIE_ATTRIBUTES, maxAge: SIGN_IN_MS / 1_000 });
  const url = client.buildAuthorizationUrl(configuration, {
    redirect_uri: redirectUri(settings),
    scope: settings.oidc.scope,
    code_challenge: await client.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
    state,
    nonce,
    // Makes the provider say when it last asked for credentials (`auth_time`, OpenID Connect Core section 2).
    ...(isFresh ? { prompt: "login", max_age: "0" } : { max_age: String(SESSION_MS / 1_000) }),
  });
  return url.href;
}

/** Turns the code into claims. Undefined for whatever is not exactly the answer to this sign-in. */
async function redeem(
  request: FastifyRequest,
  configuration: client.Configuration,
  settings: Settings,
  signIn: SignIn,
  state: string,
): Promise<client.IDToken | undefined> {
  // The address that the provider was told, whatever a proxy made of the one in this request.
  const address = new URL(redirectUri(settings));
  address.search = new URL(request.url, settings.publicUrl).search;
  try {
    const tokens = await client.authorizationCodeGrant(configuration, address, {
      pkceCodeVerifier: signIn.verifier,
      expectedState: state,
      expectedNonce: signIn.nonce,
      idTokenExpected: true,
    });
    return tokens.claims();
  } catch (error) {
    // Not the whole error: there are codes and claims in it. And not onto the page: whoever made the link may have chosen it.
    request.log.info({ why: sentenceOf(error) }, "a sign-in was not completed");
    return undefined;
  }
}

async function reach(provider: Provider, request: FastifyRequest): Promise<client.Configuration | undefined> {
  try {
    return await provider();
  } catch (error) {
    request.log.error({ why: sentenceOf(error) }, "the OpenID Connect provider cannot be used");
    return undefined;
  }
}

/** What an error says, with its cause and nothing that hangs on either. */
function sentenceOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}

/** The claims that are needed later, and no others: what is not kept cannot leak. */
function pick(claims: client.IDToken, { principals, approverGroups }: Settings): Record<string, unknown> {
  const names = new Set([...CLAIMS_KEPT, ...[...principals, ...approverGroups].map(({ claim }) => claim)]);
  return Object.fromEntries(Object.entries(claims).filter(([name]) => names.has(name)));
}

function redirectUri({ publicUrl }: Settings): string {
  return `${publicUrl}/callback`;
}

/** A sign-in is found by both: the state that came back through the provider, and the key of the browser that began. */
function stateHash(state: string, browserKey: string): string {
  return hashOf(`${state}.${browserKey}`);
}
