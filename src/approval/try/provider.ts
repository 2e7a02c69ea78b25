// An OpenID Connect provider for trying the approval of calls and the exchange of tokens: anybody can sign in as anybody. It listens on this
// machine alone, keeps everything in memory, and says on its pages and in its log what it is.
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { createLocalJWKSet } from "jose";
import type {
  ClientMetadata,
  Configuration,
  JWK,
  default as Provider,
  ResourceServer,
  TokenEndpointGrantContext,
} from "oidc-provider";
import {
  addTokenExchange,
  exchangeClient,
  type GrantPlace,
  type TokenExchange,
} from "../../on-behalf/token-exchange.ts";
import { findPerson, PEOPLE, type Person } from "./people.ts";
import { PAGE_POLICY, problemPage, signInPage } from "./provider-pages.ts";

/** How each line of its log begins. */
const LOG_PREFIX = "provider for trying:";
const ALGORITHM = "ES256";
const TOKEN_SECONDS = 3_600;
const SIGN_IN_SECONDS = 600;
const FORM_BYTES_MAX = 1_024;
/** The scope of access tokens for the MCP server. */
const MCP_SCOPE = "mcp";
const IDENTITY_SCOPE = "openid profile email";

/** The client that a command line uses, without a secret and without a browser. */
export const COMMAND_LINE_CLIENT = "mcp-client-for-trying";
/** The grant with which it gets a token for any of the people; no other provider has it (RFC 6749, section 4.5). */
export const PERSON_GRANT = "urn:mcp-guard:grant-type:person-for-trying";
/** Where an MCP client on this machine gets its code, on any port (RFC 8252, section 7.3). */
export const MCP_CLIENT_CALLBACK = "http://127.0.0.1/callback";

/** What the provider has to know. */
export interface ProviderOptions {
  /** The port on 127.0.0.1; 0 lets the kernel choose. */
  port: number;
  /** `aud` of the access tokens: the MCP server's URL (RFC 8707). */
  audience: string;
  /** The approval service; nobody signs in without it. */
  service?: ServiceClient;
  /** Which tokens are exchanged for which others; none without it. */
  exchange?: TokenExchange;
  /** Who there is. Default: `PEOPLE`. */
  people?: readonly Person[];
  /** How long the tokens of people are good. Default: an hour. */
  tokenSeconds?: number;
  /** Receives a line for each sign-in, token and problem. */
  say?: (line: string) => void;
}

/** A running provider. */
export interface TryProvider {
  /** `http://localhost:port`; the browser sees it under this name, which WebAuthn needs of the page that it comes back to. */
  readonly issuer: string;
  /** Its public keys as a JSON Web Key Set, as text. */
  readonly jwks: string;
  /** Where the same stands for others. */
  readonly jwksUri: string;
  /** From now on it signs with a new key. What the old one has signed stays good while that is published, and is worth nothing when it is withdrawn. */
  rotateKey(old: "published" | "withdrawn"): Promise<void>;
  /**
   * An access token for one of the people, as the command line client gets it.
   * @throws Error when the login is not one of theirs.
   */
  accessToken(login: string): Promise<string>;
  stop(): Promise<void>;
}

/** The approval service as a client (OpenID Connect Core, section 9: `client_secret_basic`). */
export interface ServiceClient {
  readonly id: string;
  readonly secret: string;
  /** Where people come back to, exactly. */
  readonly redirectUri: string;
}

/** Starts the provider. @throws Error (`EADDRINUSE`) when the port is taken. */
export async function startProvider(options: ProviderOptions): Promise<TryProvider> {
  const say = (line: string) => options.say?.(`${LOG_PREFIX} ${line}`);
  /** The first one signs. */
  let keys = [newKey()];
  let answer: (request: IncomingMessage, response: ServerResponse) => void = (_request, response) => {
    response.writeHead(503).end();
  };
  const server = createServer((request, response) => answer(request, response));
  // A proxy asks it too, and keeps its connections: one that is closed while a question is on its way costs that question.
  server.keepAliveTimeout = 0;
  server.listen(options.port, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const issuer = `http://localhost:${port}`;
  const names = new Set([`localhost:${port}`, `127.0.0.1:${port}`]);

  const answerFrom = async () => {
    const provider = await createProvider(issuer, keys, { ...options, say });
    const callback = provider.callback();
    answer = (request, response) => {
      response.setHeader("content-security-policy", PAGE_POLICY);
      response.setHeader("referrer-policy", "no-referrer");
      // A web page whose name has been pointed at this machine (DNS rebinding) comes with its own name.
      if (!names.has(request.headers.host ?? "")) response.writeHead(421).end();
      else if (request.url?.startsWith("/sign-in/")) void signIn(provider, request, response, options.people, say);
      else callback(request, response);
    };
    provider.on("authorization.success", (ctx) => say(`${ctx.oidc.account?.accountId} is signed in`));
    provider.on("grant.success", (ctx) => say(`a token for ${ctx.oidc.client?.clientId}`));
    provider.on("server_error", (_ctx, error) => say(`error: ${error.message}`));
  };
  await answerFrom();

  return {
    issuer,
    get jwks() {
      return publicSet(keys);
    },
    jwksUri: `${issuer}/jwks`,
    async rotateKey(old) {
      keys = [newKey(), ...(old === "published" ? keys : [])];
      // The package takes its keys once: another one of it answers from now on, with the same memory.
      await answerFrom();
    },
    async accessToken(login) {
      const form = { grant_type: PERSON_GRANT, client_id: COMMAND_LINE_CLIENT, login };
      const response = await fetch(`${issuer}/token`, { method: "POST", body: new URLSearchParams(form) });
      const body = (await response.json()) as { access_token?: string; error_description?: string };
      if (body.access_token === undefined) throw new Error(`no token for ${login}: ${body.error_description}`);
      return body.access_token;
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

interface KeyPair {
  readonly publicKey: JWK;
  readonly privateKey: JWK;
}

/** A key of this run alone: tokens of an earlier one are worth nothing. */
function newKey(): KeyPair {
  const pair = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const marks = { kid: randomBytes(8).toString("hex"), alg: ALGORITHM, use: "sig" } as const;
  const jwk = (key: typeof pair.privateKey) => ({ ...key.export({ format: "jwk" }), ...marks }) as JWK;
  return { publicKey: jwk(pair.publicKey), privateKey: jwk(pair.privateKey) };
}

function publicSet(keys: readonly KeyPair[]): string {
  return JSON.stringify({ keys: keys.map(({ publicKey }) => publicKey) });
}

async function createProvider(
  issuer: string,
  keys: readonly KeyPair[],
  { audience, service, exchange, people, tokenSeconds = TOKEN_SECONDS, say = () => {} }: ProviderOptions,
): Promise<Provider> {
  const { default: ProviderClass, errors, interactionPolicy } = await quietly(() => import("oidc-provider"));
  // Who signs in is asked each time: somebody who tries it out wants to be alice now and carol then.
  const policy = interactionPolicy.base();
  const { Check, Prompt } = interactionPolicy;
  policy.clear();
  policy.add(
    new Prompt(
      { name: "login", requestable: true },
      new Check(
        "who",
        "somebody has to say who signs in",
        "login_required",
        (ctx) => ctx.oidc.result?.login === undefined,
      ),
    ),
  );
  const resource: ResourceServer = {
    scope: MCP_SCOPE,
    audience,
    accessTokenFormat: "jwt",
    jwt: { sign: { alg: ALGORITHM } },
  };
  const claimsBesides = new WeakMap<object, Record<string, unknown>>();
  const configuration: Configuration = {
    jwks: { keys: keys.map(({ privateKey }) => privateKey) },
    cookies: { keys: [randomBytes(32).toString("base64url")] },
    clients: [
      ...(service === undefined ? [] : [serviceClient(service)]),
      ...(exchange?.clients ?? []).map((client) => exchangeClient(client, ALGORITHM)),
      {
        client_id: COMMAND_LINE_CLIENT,
        application_type: "native",
        token_endpoint_auth_method: "none",
        grant_types: ["authorization_code", PERSON_GRANT],
        response_types: ["code"],
        redirect_uris: [MCP_CLIENT_CALLBACK],
        id_token_signed_response_alg: ALGORITHM,
      },
    ],
    // The claims stand in the ID token, as most providers have it that put groups there.
    claims: { openid: ["sub", "groups"], profile: ["name"], email: ["email", "email_verified"] },
    conformIdTokenClaims: false,
    scopes: ["openid", "profile", "email"],
    pkce: { required: () => true },
    ttl: {
      AccessToken: tokenSeconds,
      AuthorizationCode: 60,
      Grant: TOKEN_SECONDS,
      IdToken: TOKEN_SECONDS,
      Interaction: SIGN_IN_SECONDS,
      Session: TOKEN_SECONDS,
    },
    findAccount(_ctx, id) {
      const person = findPerson(id, people);
      return person && { accountId: person.sub, claims: () => ({ ...person }) };
    },
    // Nobody is asked whether the service may know who they are: there is nothing to know.
    async loadExistingGrant(ctx) {
      const { client, session } = ctx.oidc;
      const grant = new ctx.oidc.provider.Grant({ clientId: client!.clientId, accountId: session!.accountId! });
      grant.addOIDCScope(IDENTITY_SCOPE);
      grant.addResourceScope(audience, MCP_SCOPE);
      await grant.save();
      return grant;
    },
    interactions: { policy, url: (_ctx, { uid }) => `/sign-in/${uid}` },
    extraTokenClaims: (_ctx, token) => claimsBesides.get(token),
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: exchange !== undefined },
      resourceIndicators: {
        enabled: true,
        // The service signs people in; all others get tokens for the server.
        defaultResource: (_ctx, client) => (client.clientId === service?.id ? [] : audience),
        useGrantedResource: () => true,
        getResourceServerInfo(_ctx, indicator) {
          if (indicator !== audience) throw new errors.InvalidTarget();
          return resource;
        },
      },
    },
    renderError(ctx, out) {
      ctx.type = "html";
      ctx.body = problemPage("That did not work", out.error_description ?? out.error);
    },
  };
  const provider = await quietly(async () => new ProviderClass(issuer, configuration));
  provider.registerGrantType<{ login?: string }>(PERSON_GRANT, (ctx) => grantPerson(ctx, resource), ["login"]);
  if (exchange !== undefined) {
    const place: GrantPlace = {
      provider,
      errors,
      audience,
      keys: createLocalJWKSet(JSON.parse(publicSet(keys))),
      algorithm: ALGORITHM,
      isKnown: (sub) => findPerson(sub, people) !== undefined,
      claims: claimsBesides,
      say,
    };
    addTokenExchange(place, exchange.servers);
  }
  return provider;

  /** The token endpoint's answer to somebody who says who they are. */
  async function grantPerson(
    ctx: TokenEndpointGrantContext<{ login?: string }>,
    target: ResourceServer,
  ): Promise<void> {
    const person = findPerson(ctx.oidc.params.login, people);
    if (person === undefined) throw new errors.InvalidGrant("there is nobody of this login");
    const { client } = ctx.oidc;
    const grant = new provider.Grant({ accountId: person.sub, clientId: client.clientId });
    grant.addResourceScope(audience, MCP_SCOPE);
    const grantId = await grant.save();
    const token = new provider.AccessToken({
      accountId: person.sub,
      client,
      grantId,
      gty: PERSON_GRANT,
      scope: MCP_SCOPE,
      resourceServer: new provider.ResourceServer(audience, target),
    });
    ctx.body = { access_token: await token.save(), expires_in: tokenSeconds, token_type: "Bearer", scope: MCP_SCOPE };
  }
}

function serviceClient({ id, secret, redirectUri }: ServiceClient): ClientMetadata {
  return {
    client_id: id,
    client_secret: secret,
    redirect_uris: [redirectUri],
    grant_types: ["authorization_code"],
    response_types: ["code"],
    id_token_signed_response_alg: ALGORITHM,
    // The service lets nobody add a passkey whose sign-in is old.
    require_auth_time: true,
  };
}

/** Shows who can sign in, and takes the answer. */
async function signIn(
  provider: Provider,
  request: IncomingMessage,
  response: ServerResponse,
  people: readonly Person[] = PEOPLE,
  say: (line: string) => void,
): Promise<void> {
  const page = (status: number, text: string) =>
    response.writeHead(status, { "content-type": "text/html; charset=utf-8", "cache-control": "no-store" }).end(text);
  try {
    // The browser's cookie has to belong to this sign-in.
    await provider.interactionDetails(request, response);
    if (request.method === "GET") return void page(200, signInPage(people));
    const person = findPerson(new URLSearchParams(await bodyOf(request)).get("login"), people);
    if (person === undefined) return void page(400, problemPage("Who?", "There is nobody of this login."));
    await provider.interactionFinished(request, response, { login: { accountId: person.sub } });
  } catch (error) {
    say(`a sign-in failed: ${String(error)}`);
    page(400, problemPage("That did not work", "This sign-in has ended. Go back to the page that you came from."));
  }
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const piece of request) {
    text += String(piece);
    if (text.length > FORM_BYTES_MAX) throw new Error(`a form of more than ${FORM_BYTES_MAX} characters`);
  }
  return text;
}

/**
 * The package writes to the console that Node 20 is old for it and that its memory is no database. The first is tested here, the
 * second is meant.
 */
async function quietly<T>(work: () => Promise<T>): Promise<T> {
  const { info, warn } = console;
  console.info = () => {};
  console.warn = () => {};
  try {
    return await work();
  } finally {
    Object.assign(console, { info, warn });
  }
}
