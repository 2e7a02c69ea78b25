// The exchange of tokens at the provider for trying, over HTTP, with a certified client library and the provider's published keys. Goal: whoever has
// a valid token of a person for the gateway, and may exchange tokens, gets one for a server that is known, with no more in it than was asked for; nobody
// else gets anything, and the answer says why in the way of RFC 8693.
import { setTimeout as pause } from "node:timers/promises";
import {
  createRemoteJWKSet,
  decodeJwt,
  decodeProtectedHeader,
  exportJWK,
  generateKeyPair,
  jwtVerify,
  SignJWT,
} from "jose";
import * as client from "openid-client";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startProvider, type TryProvider } from "../../src/approval/try/provider.ts";
import { ACCESS_TOKEN_TYPE, type ExchangeClient, TOKEN_EXCHANGE } from "../../src/on-behalf/token-exchange.ts";

const GATEWAY = "http://127.0.0.1:10000/mcp";
const BRANCHES = "https://branches.example/mcp";
const BUILDS = "https://builds.example/mcp";
const JWT_TYPE = "urn:ietf:params:oauth:token-type:jwt";
/** With what has to be encoded in a form (RFC 6749, section 2.3.1). */
const SECRET_CLIENT = { id: "gateway:1 & more", secret: "s+/=%3A:& and more" };
const SECONDS = 300;
const FOR_BRANCHES = { subject_token_type: ACCESS_TOKEN_TYPE, audience: BRANCHES };

let provider: TryProvider;
/** An issuer of its own, with the same people and the same servers. */
let stranger: TryProvider;
const clients = new Map<string, client.Configuration>();
const said: string[] = [];

beforeAll(async () => {
  const rsa = await generateKeyPair("RS256");
  const ec = await generateKeyPair("ES256");
  const keyClients = [
    { id: "gateway-rs", publicKey: await exportJWK(rsa.publicKey), alg: "RS256", privateKey: rsa.privateKey },
    { id: "gateway-es", publicKey: await exportJWK(ec.publicKey), alg: "ES256", privateKey: ec.privateKey },
  ] as const;
  const exchange = {
    clients: [
      SECRET_CLIENT,
      ...keyClients.map(
        ({ id, publicKey, alg }): ExchangeClient => ({ id, publicKey: { kty: "", ...publicKey }, alg }),
      ),
    ],
    servers: [
      { audience: BRANCHES, scopes: ["read", "write"] },
      { audience: BUILDS, scopes: ["read"], people: ["alice"] },
    ],
  };
  provider = await startProvider({ port: 0, audience: GATEWAY, exchange, say: (line) => said.push(line) });
  stranger = await startProvider({ port: 0, audience: GATEWAY, exchange });
  clients.set("client_secret_basic", await discover(SECRET_CLIENT.id, client.ClientSecretBasic(SECRET_CLIENT.secret)));
  for (const { id, alg, privateKey } of keyClients) {
    clients.set(`private_key_jwt, ${alg}`, await discover(id, client.PrivateKeyJwt(privateKey)));
  }
});

afterAll(() => Promise.all([provider?.stop(), stranger?.stop()]));

function discover(id: string, authentication: client.ClientAuth): Promise<client.Configuration> {
  return client.discovery(new URL(provider.issuer), id, {}, authentication, {
    execute: [client.allowInsecureRequests],
  });
}

interface TokenAnswer {
  readonly status: number;
  readonly body: { readonly access_token: string; readonly expires_in: number };
}

/** A provider of its own, for as long as `use` takes: its client `gateway` exchanges tokens for one server. */
async function withProvider<T>(
  { audience = BRANCHES, tokenSeconds = 60 },
  use: (own: TryProvider, exchange: (subject_token: string) => Promise<TokenAnswer>) => Promise<T>,
): Promise<T> {
  const exchange = { clients: [{ id: "gateway", secret: "secret" }], servers: [{ audience, scopes: ["read"] }] };
  const own = await startProvider({ port: 0, audience: GATEWAY, tokenSeconds, exchange });
  try {
    return await use(own, async (subject_token) => {
      const form = { ...FOR_BRANCHES, audience, grant_type: TOKEN_EXCHANGE, subject_token };
      const headers = { authorization: `Basic ${Buffer.from("gateway:secret").toString("base64")}` };
      const body = new URLSearchParams(form);
      const response = await fetch(`${own.issuer}/token`, { method: "POST", headers, body });
      return { status: response.status, body: (await response.json()) as TokenAnswer["body"] };
    });
  } finally {
    await own.stop();
  }
}

/** What differs from an ordinary request for alice; `undefined` leaves a parameter out. */
type Parameters = Readonly<Record<string, string | undefined>>;

async function exchange(parameters: Parameters = {}, by = "client_secret_basic") {
  const all: Parameters = {
    subject_token: await provider.accessToken("alice"),
    ...FOR_BRANCHES,
    ...parameters,
  };
  const form = Object.entries(all).filter((pair): pair is [string, string] => pair[1] !== undefined);
  return client.genericGrantRequest(clients.get(by)!, TOKEN_EXCHANGE, new URLSearchParams(form));
}

async function verified(token: string, audience = BRANCHES) {
  const keys = createRemoteJWKSet(new URL(provider.jwksUri));
  return (await jwtVerify(token, keys, { issuer: provider.issuer, audience, typ: "at+jwt" })).payload;
}

async function ownToken(): Promise<string> {
  return (await client.clientCredentialsGrant(clients.get("client_secret_basic")!)).access_token;
}

describe("an exchange", () => {
  test.each(["client_secret_basic", "private_key_jwt, RS256", "private_key_jwt, ES256"])("by %s", async (by) => {
    const id = clients.get(by)!.clientMetadata().client_id;
    const answer = await exchange({}, by);
    expect(answer).toMatchObject({ token_type: "bearer", issued_token_type: ACCESS_TOKEN_TYPE, scope: "read write" });
    expect(answer.expires_in).toBe(SECONDS);
    const claims = await verified(answer.access_token);
    expect(claims).toMatchObject({ sub: "alice", aud: BRANCHES, client_id: id, act: { sub: id }, scope: "read write" });
    expect(claims.exp! - claims.iat!).toBe(SECONDS);
    expect(claims.jti).toBeTypeOf("string");
    expect(said).toContain(`provider for trying: ${id} has exchanged a token of alice for one for ${BRANCHES}`);
  });

  test("for a narrower scope gives no more than that", async () => {
    const answer = await exchange({ scope: "read" });
    expect(answer.scope).toBe("read");
    expect(await verified(answer.access_token)).toMatchObject({ scope: "read" });
  });

  test.each<[string, Parameters]>([
    ["resource", { audience: undefined, resource: BRANCHES }],
    ["both names", { resource: BRANCHES }],
  ])("for a server by %s", async (_what, parameters) => {
    expect(await verified((await exchange(parameters)).access_token)).toMatchObject({ aud: BRANCHES });
  });

  test("of and for tokens of the type jwt", async () => {
    const answer = await exchange({ subject_token_type: JWT_TYPE, requested_token_type: JWT_TYPE });
    expect(answer.issued_token_type).toBe(JWT_TYPE);
    expect(await verified(answer.access_token)).toMatchObject({ sub: "alice" });
  });

  test("with an actor says who that is", async () => {
    const answer = await exchange(
      { actor_token: await ownToken(), actor_token_type: ACCESS_TOKEN_TYPE },
      "private_key_jwt, ES256",
    );
    const claims = await verified(answer.access_token);
    expect(claims).toMatchObject({ client_id: "gateway-es", act: { sub: SECRET_CLIENT.id } });
  });

  test("of what was exchanged before says who has acted, the last one outside", async () => {
    const token = await withProvider({ audience: GATEWAY }, async (own, exchange) => {
      const first = await exchange(await own.accessToken("alice"));
      return (await exchange(first.body.access_token)).body.access_token;
    });
    expect(decodeJwt(token)).toMatchObject({ sub: "alice", act: { sub: "gateway", act: { sub: "gateway" } } });
  });

  test("does not outlive the token that it comes from", async () => {
    const { expires_in } = await withProvider({ tokenSeconds: 60 }, async (own, exchange) => {
      return (await exchange(await own.accessToken("alice"))).body;
    });
    expect(expires_in).toBeGreaterThan(0);
    expect(expires_in).toBeLessThanOrEqual(60);
  });
});

describe("nothing is exchanged", () => {
  const refusals: [string, string, () => Parameters | Promise<Parameters>][] = [
    ["for a server that is not known", "invalid_target", () => ({ audience: "https://elsewhere.example/mcp" })],
    ["for the gateway itself", "invalid_target", () => ({ audience: GATEWAY })],
    ["for no server", "invalid_target", () => ({ audience: undefined })],
    ["for two servers", "invalid_target", () => ({ resource: BUILDS })],
    ["for a scope that the server does not have", "invalid_scope", () => ({ scope: "read admin" })],
    ["for another type", "invalid_request", () => ({ requested_token_type: "urn:ietf:params:oauth:token-type:saml2" })],
    ["without a token", "invalid_request", () => ({ subject_token: undefined })],
    ["without the token's type", "invalid_request", () => ({ subject_token_type: undefined })],
    [
      "of a type that there is not",
      "invalid_request",
      () => ({ subject_token_type: "urn:ietf:params:oauth:token-type:id_token" }),
    ],
    [
      "of a token of another issuer",
      "invalid_request",
      async () => ({ subject_token: await stranger.accessToken("alice") }),
    ],
    ["of a token that somebody else has signed", "invalid_request", async () => ({ subject_token: await forged() })],
    ["of a token for the server", "invalid_request", async () => ({ subject_token: (await exchange()).access_token })],
    ["of the token of a client", "invalid_request", async () => ({ subject_token: await ownToken() })],
    ["of what is no token", "invalid_request", () => ({ subject_token: "abc" })],
    [
      "for somebody whom the server does not take",
      "invalid_request",
      async () => ({ audience: BUILDS, subject_token: await provider.accessToken("bob") }),
    ],
    ["with an actor's type alone", "invalid_request", () => ({ actor_token_type: ACCESS_TOKEN_TYPE })],
    ["with an actor without type", "invalid_request", async () => ({ actor_token: await ownToken() })],
    [
      "with an actor of another issuer",
      "invalid_request",
      async () => ({ actor_token: await stranger.accessToken("alice"), actor_token_type: ACCESS_TOKEN_TYPE }),
    ],
  ];
  test.each(refusals)("%s: %s", async (_what, error, parameters) => {
    await expect(exchange(await parameters())).rejects.toMatchObject({ status: 400, error });
  });

  test("of a token that has ended", async () => {
    const { status, body } = await withProvider({ tokenSeconds: 1 }, async (own, exchange) => {
      const token = await own.accessToken("alice");
      await pause(2_000);
      return exchange(token);
    });
    expect(status).toBe(400);
    expect(body).toMatchObject({
      error: "invalid_request",
      error_description: "subject_token is not valid: ERR_JWT_EXPIRED",
    });
  });

  test.each([
    ["with a wrong secret", SECRET_CLIENT.id, () => client.ClientSecretBasic("another secret"), 401],
    ["with an assertion by another key", "gateway-es", anotherKey, 401],
    ["by the command line's client", "mcp-client-for-trying", () => client.None(), 400],
  ])("%s", async (_what, id, authentication, status) => {
    const config = await discover(id, await authentication());
    const form = { ...FOR_BRANCHES, subject_token: await provider.accessToken("alice") };
    await expect(client.genericGrantRequest(config, TOKEN_EXCHANGE, form)).rejects.toMatchObject({ status });
  });

  async function anotherKey(): Promise<client.ClientAuth> {
    return client.PrivateKeyJwt((await generateKeyPair("ES256")).privateKey);
  }

  /** With the header and the claims of a good one. */
  async function forged(): Promise<string> {
    const good = await provider.accessToken("alice");
    const { privateKey } = await generateKeyPair("ES256");
    return new SignJWT(await verified(good, GATEWAY))
      .setProtectedHeader({ ...decodeProtectedHeader(good), alg: "ES256" })
      .sign(privateKey);
  }
});

// Behind all others: what they hold is of the first key.
describe("a new key", () => {
  test("signs from now on; what the old one has signed is good while that is published", async () => {
    const old = await provider.accessToken("alice");
    await provider.rotateKey("published");
    const answer = await exchange({ subject_token: old });
    expect(decodeProtectedHeader(answer.access_token).kid).not.toBe(decodeProtectedHeader(old).kid);
    expect(await verified(answer.access_token)).toMatchObject({ sub: "alice" });
    expect(await verified(old, GATEWAY)).toMatchObject({ sub: "alice" });

    await provider.rotateKey("withdrawn");
    await expect(exchange({ subject_token: old })).rejects.toMatchObject({ error: "invalid_request" });
    await expect(verified(answer.access_token)).rejects.toMatchObject({ code: "ERR_JWKS_NO_MATCHING_KEY" });
    expect(await verified((await exchange()).access_token)).toMatchObject({ sub: "alice" });
  });
});
