// The provider for trying, over HTTP, with a certified client library and its own sign-in page. Goal: tokens that a service and a proxy
// can check like anybody else's, for nobody but the people who are there, on this machine alone, and no page that does not say what it is.
import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import { createLocalJWKSet, jwtVerify } from "jose";
import * as client from "openid-client";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  COMMAND_LINE_CLIENT,
  MCP_CLIENT_CALLBACK,
  startProvider,
  type TryProvider,
} from "../../src/approval/try/provider.ts";

const AUDIENCE = "http://127.0.0.1:10000/mcp";
const SERVICE = { id: "approval", secret: "of this test", redirectUri: "http://localhost:8080/callback" };
const MARK = "for trying only";

let provider: TryProvider;
const said: string[] = [];

beforeAll(async () => {
  provider = await startProvider({ port: 0, audience: AUDIENCE, service: SERVICE, say: (line) => said.push(line) });
});

afterAll(() => provider.stop());

async function verified(token: string) {
  return jwtVerify(token, createLocalJWKSet(JSON.parse(provider.jwks)), { issuer: provider.issuer });
}

/** Follows a sign-in from page to page like a browser, with its cookies, until it comes to an address of somebody else. */
async function signIn(start: URL, login: string): Promise<{ end: URL; pages: string[] }> {
  const cookies = new Map<string, string>();
  const pages: string[] = [];
  let url = start;
  let form: string | undefined;
  for (let hops = 0; hops < 10; hops++) {
    const response = await fetch(url, {
      redirect: "manual",
      headers: { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join("; ") },
      ...(form !== undefined && { method: "POST", body: new URLSearchParams({ login: form }) }),
    });
    form = undefined;
    for (const cookie of response.headers.getSetCookie()) {
      const [pair = ""] = cookie.split(";");
      cookies.set(pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1));
    }
    const location = response.headers.get("location");
    if (location !== null) {
      url = new URL(location, url);
      if (url.origin !== provider.issuer) return { end: url, pages };
      continue;
    }
    pages.push(await response.text());
    if (!response.ok || pages.length > 1) return { end: url, pages };
    form = login;
  }
  throw new Error("a sign-in that does not end");
}

async function discover(id: string, secret?: string): Promise<client.Configuration> {
  const metadata = { id_token_signed_response_alg: "ES256" };
  const authentication = secret === undefined ? client.None() : client.ClientSecretBasic(secret);
  return client.discovery(new URL(provider.issuer), id, metadata, authentication, {
    execute: [client.allowInsecureRequests],
  });
}

describe("a token without a browser", () => {
  test("names the person, the server that it is for, and ends within an hour", async () => {
    const { payload, protectedHeader } = await verified(await provider.accessToken("bob"));
    expect(payload).toMatchObject({ sub: "bob", aud: AUDIENCE, client_id: COMMAND_LINE_CLIENT });
    expect(payload.exp! - payload.iat!).toBe(3_600);
    expect(protectedHeader).toMatchObject({ alg: "ES256", typ: "at+jwt" });
  });

  test("is not to be had for somebody who is not there", async () => {
    await expect(provider.accessToken("mallory")).rejects.toThrow("no token for mallory");
  });

  test("is not to be had by the service, which has another way in", async () => {
    const form = { grant_type: "urn:mcp-guard:grant-type:person-for-trying", login: "alice" };
    const basic = Buffer.from(`${SERVICE.id}:${encodeURIComponent(SERVICE.secret)}`).toString("base64");
    const response = await fetch(`${provider.issuer}/token`, {
      method: "POST",
      headers: { authorization: `Basic ${basic}` },
      body: new URLSearchParams(form),
    });
    expect(response.status).toBe(400);
    expect(await response.text()).not.toContain("access_token");
  });
});

describe("a sign-in", () => {
  test.each([
    ["alice", []],
    ["carol", ["mcp-approvers"]],
  ])("of %s at the service gives an ID token with who it is and when", async (login, groups) => {
    const config = await discover(SERVICE.id, SERVICE.secret);
    const verifier = client.randomPKCECodeVerifier();
    const checks = { state: client.randomState(), nonce: client.randomNonce() };
    const start = client.buildAuthorizationUrl(config, {
      redirect_uri: SERVICE.redirectUri,
      scope: "openid profile email",
      code_challenge: await client.calculatePKCECodeChallenge(verifier),
      code_challenge_method: "S256",
      ...checks,
    });
    const before = Math.floor(Date.now() / 1000);
    const { end, pages } = await signIn(start, login);
    expect(pages).toHaveLength(1);
    expect(pages[0]).toContain(MARK);
    const tokens = await client.authorizationCodeGrant(config, end, {
      pkceCodeVerifier: verifier,
      expectedState: checks.state,
      expectedNonce: checks.nonce,
    });
    const claims = tokens.claims()!;
    expect(claims).toMatchObject({ sub: login, email: `${login}@example.com`, email_verified: true, groups });
    expect(claims.auth_time).toBeGreaterThanOrEqual(before);
    expect(said).toContain(`provider for trying: ${login} is signed in`);
  });

  test("of somebody who is not there ends on a page that says so", async () => {
    const config = await discover(SERVICE.id, SERVICE.secret);
    const start = client.buildAuthorizationUrl(config, {
      redirect_uri: SERVICE.redirectUri,
      scope: "openid",
      code_challenge: await client.calculatePKCECodeChallenge(client.randomPKCECodeVerifier()),
      code_challenge_method: "S256",
    });
    const { end, pages } = await signIn(start, "mallory");
    expect(end.origin).toBe(provider.issuer);
    expect(pages[1]).toContain("There is nobody of this login.");
    expect(pages[1]).toContain(MARK);
  });

  test("of an MCP client gives an access token for the server", async () => {
    const config = await discover(COMMAND_LINE_CLIENT);
    const verifier = client.randomPKCECodeVerifier();
    const redirect = MCP_CLIENT_CALLBACK.replace("127.0.0.1", "127.0.0.1:43210");
    const start = client.buildAuthorizationUrl(config, {
      redirect_uri: redirect,
      scope: "mcp",
      resource: AUDIENCE,
      code_challenge: await client.calculatePKCECodeChallenge(verifier),
      code_challenge_method: "S256",
    });
    const { end } = await signIn(start, "alice");
    const tokens = await client.authorizationCodeGrant(config, end, { pkceCodeVerifier: verifier });
    const { payload } = await verified(tokens.access_token);
    expect(payload).toMatchObject({ sub: "alice", aud: AUDIENCE });
  });

  test.each([
    ["without PKCE", {}],
    ["that would come back elsewhere", { redirect_uri: "http://localhost:8080/other" }],
  ])("%s is refused", async (_what, parameters: Record<string, string>) => {
    const pkce = "redirect_uri" in parameters ? { code_challenge: "a".repeat(43), code_challenge_method: "S256" } : {};
    const url = new URL(`${provider.issuer}/auth`);
    const all = { client_id: SERVICE.id, response_type: "code", scope: "openid", redirect_uri: SERVICE.redirectUri };
    url.search = new URLSearchParams({ ...all, ...pkce, ...parameters }).toString();
    const { end, pages } = await signIn(url, "alice");
    expect(end.searchParams.get("code")).toBeNull();
    expect([...pages, end.searchParams.get("error")].join()).toMatch(/redirect_uri|invalid_request/);
  });
});

describe("the provider", () => {
  test("listens on one address of this machine", async () => {
    const other = new Promise((resolve, reject) => {
      const socket = connect({ host: "127.0.0.2", port: Number(new URL(provider.issuer).port) }, () => {
        socket.destroy();
        resolve("connected");
      });
      socket.once("error", reject);
    });
    await expect(other).rejects.toMatchObject({ code: "ECONNREFUSED" });
  });

  test("answers under its own name alone", async () => {
    const { port } = new URL(provider.issuer);
    const status = (host: string) =>
      new Promise((resolve, reject) => {
        const request = httpRequest({ host: "127.0.0.1", port, path: "/jwks", headers: { host } }, (response) => {
          response.resume();
          resolve(response.statusCode);
        });
        request.once("error", reject);
        request.end();
      });
    expect(await status(`localhost:${port}`)).toBe(200);
    expect(await status(`evil.example:${port}`)).toBe(421);
    expect(await status("localhost")).toBe(421);
  });

  test("shows no private part of its key", async () => {
    const published = (await (await fetch(`${provider.issuer}/jwks`)).json()) as { keys: object[] };
    expect(published.keys).toHaveLength(1);
    expect(JSON.stringify(published) + provider.jwks).not.toContain('"d"');
  });
});
