// A token server as Docker's token authentication describes it: clients ask it for a token, and the registry believes
// what it signs. https://distribution.github.io/distribution/spec/auth/token/ and .../oauth/
import { randomUUID, sign, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";

/** Longer than a test takes. */
const EXPIRES_IN_SECONDS = 300;

export interface TokenServerOptions {
  /** What the registry is told about whose tokens these are, and for whom. */
  readonly issuer: string;
  readonly service: string;
  readonly users: Readonly<Record<string, TokenUser>>;
  /** The P-256 key (PEM) that signs, and its certificate (PEM), which the registry is to trust. */
  readonly key: string;
  readonly certificate: string;
  /** How long a token is good, default 300. Debian's registry takes it for 60 s longer, so -70 is too late at once. */
  readonly expiresInSeconds?: number;
  /** The name that it listens on and that is in its URL, default `127.0.0.1`, which Istio and crane do not ask. */
  readonly host?: string;
  /** Serves over TLS, with the same key and certificate. */
  readonly isTls?: boolean;
}

export interface TokenUser {
  readonly password: string;
  /** What the user may do in every repository, default pull and push. Who does not log in may pull. */
  readonly actions?: readonly string[];
}

/** What a client asked. */
export interface TokenRequest {
  readonly method: string;
  /** How it said who it is. */
  readonly grant: "anonymous" | "basic" | "password" | "refresh_token";
  /** The user, known or not; absent when it is not said. */
  readonly user?: string;
  readonly service: string;
  /** As asked, for example `repository:team/guard:pull,push`. */
  readonly scopes: readonly string[];
  /** The status of the answer. */
  readonly status: number;
}

export interface TokenServer {
  /** The URL for the registry's `realm`. */
  readonly url: string;
  /** All requests so far, in the order of their answers. */
  requests(): readonly TokenRequest[];
  /** An identity token: what a user sends with `grant_type=refresh_token` in place of a password. */
  identityToken(user: string): string;
  stop(): Promise<void>;
}

/** Starts a token server on a free port of this process. */
export async function startTokenServer(options: TokenServerOptions): Promise<TokenServer> {
  const requests: TokenRequest[] = [];
  const identityTokens = new Map<string, string>(Object.keys(options.users).map((user) => [randomUUID(), user]));
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const asked = await read(request);
    if (asked === undefined) {
      response.writeHead(404).end();
      return;
    }
    const { parameters, ...claim } = asked;
    const scopes = parameters.getAll("scope").flatMap((scope) => scope.split(" ").filter((part) => part !== ""));
    const service = parameters.get("service") ?? "";
    const user = claim.grant === "refresh_token" ? identityTokens.get(claim.secret) : claim.user;
    const status = statusOf(options, claim, user, service);
    requests.push({ method: request.method ?? "", grant: claim.grant, ...(user && { user }), service, scopes, status });
    if (status !== 200) {
      refuse(response, status);
      return;
    }
    const expiresIn = options.expiresInSeconds ?? EXPIRES_IN_SECONDS;
    const token = signToken(options, user, scopes, expiresIn);
    // An identity token goes to who asks for one (GET with offline_token, POST with access_type), and logged in.
    const isKept = parameters.get("offline_token") === "true" || parameters.get("access_type") === "offline";
    const refresh = isKept && user !== undefined && { refresh_token: tokenFor(user) };
    const access = request.method === "GET" ? { token, access_token: token } : { access_token: token };
    const body = { ...access, scope: scopes.join(" "), expires_in: expiresIn, ...refresh };
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body));
  };
  const tokenFor = (user: string): string => {
    const found = [...identityTokens].find(([, other]) => other === user)?.[0];
    if (found === undefined) throw new Error(`there is no user ${user}`);
    return found;
  };

  // A client that goes away in the middle gets no answer.
  const listener: RequestListener = (request, response) =>
    void answer(request, response).catch(() => response.destroy());
  const { host = "127.0.0.1", isTls = false } = options;
  const server = isTls
    ? createTlsServer({ key: options.key, cert: options.certificate }, listener)
    : createServer(listener);
  server.listen(0, host);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: `${isTls ? "https" : "http"}://${host}:${port}/token`,
    requests: () => [...requests],
    identityToken: tokenFor,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Who a client says it is, and what shows it. */
interface Claim {
  readonly grant: TokenRequest["grant"];
  readonly user?: string;
  readonly secret: string;
}

/** What a request asks; undefined when it is for something else than a token. */
async function read(request: IncomingMessage): Promise<(Claim & { parameters: URLSearchParams }) | undefined> {
  const { pathname, searchParams } = new URL(request.url ?? "", "http://token");
  if (pathname !== "/token") return undefined;
  if (request.method === "GET") return { ...basicClaim(request.headers.authorization), parameters: searchParams };
  if (request.method !== "POST") return undefined;
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  const parameters = new URLSearchParams(Buffer.concat(parts).toString());
  const value = (name: string): string => parameters.get(name) ?? "";
  if (value("grant_type") === "refresh_token") {
    return { grant: "refresh_token", secret: value("refresh_token"), parameters };
  }
  if (value("grant_type") !== "password") return undefined;
  return { grant: "password", user: value("username"), secret: value("password"), parameters };
}

function basicClaim(authorization: string | undefined): Claim {
  const credentials = /^basic (.+)$/i.exec(authorization ?? "")?.[1];
  if (credentials === undefined) return { grant: "anonymous", secret: "" };
  // A password may have colons, a name may not.
  const [user = "", ...secret] = Buffer.from(credentials, "base64").toString().split(":");
  return { grant: "basic", user, secret: secret.join(":") };
}

function statusOf(options: TokenServerOptions, claim: Claim, user: string | undefined, service: string): number {
  if (service !== options.service) return 400;
  if (claim.grant === "anonymous") return 200;
  if (claim.grant === "refresh_token") return user === undefined ? 401 : 200;
  return user !== undefined && passwordOf(options, user) === claim.secret ? 200 : 401;
}

function passwordOf({ users }: TokenServerOptions, user: string): string | undefined {
  return Object.hasOwn(users, user) ? users[user]?.password : undefined;
}

function refuse(response: ServerResponse, status: number): void {
  const details = status === 401 ? "incorrect username or password" : "unknown service";
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify({ details }));
}

/** A JSON Web Token for what the user may do of what was asked; asking for more is no error. */
function signToken(
  options: TokenServerOptions,
  user: string | undefined,
  scopes: readonly string[],
  expiresInSeconds: number,
): string {
  const allowed = user === undefined ? ["pull"] : (options.users[user]?.actions ?? ["pull", "push"]);
  const now = Math.floor(Date.now() / 1_000);
  const claims = {
    iss: options.issuer,
    sub: user ?? "",
    aud: options.service,
    exp: now + expiresInSeconds,
    nbf: now - 60,
    iat: now,
    jti: randomUUID(),
    access: scopes.map((scope) => accessTo(scope, allowed)),
  };
  // The certificate itself says whose key it is; the registry follows it to one that it trusts.
  const certificate = new X509Certificate(options.certificate).raw.toString("base64");
  const signed = [{ typ: "JWT", alg: "ES256", x5c: [certificate] }, claims].map(encode).join(".");
  // RFC 7518 section 3.4: both numbers of the signature side by side, not in DER.
  const signature = sign("sha256", Buffer.from(signed), { key: options.key, dsaEncoding: "ieee-p1363" });
  return `${signed}.${signature.toString("base64url")}`;
}

/** `type:name:action,...`, where a name may have colons. */
function accessTo(scope: string, allowed: readonly string[]): { type: string; name: string; actions: string[] } {
  const [type = "", ...rest] = scope.split(":");
  const actions = (rest.pop() ?? "").split(",").filter((action) => allowed.includes(action));
  return { type, name: rest.join(":"), actions };
}

function encode(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString("base64url");
}
