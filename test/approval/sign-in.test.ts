// Signing in at a real provider. Goal: a session is of the person who has signed in there, in this browser, in answer to this very request, and nobody is
// sent anywhere but to our own pages.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { isReturnPath } from "../../approval/browser/return-path.ts";
import { SESSION_COOKIE } from "../../approval/browser/session.ts";
import { SIGN_IN_COOKIE } from "../../approval/browser/sign-in.ts";
import { sqliteFiles } from "./databases.ts";
import { type PageRig, PUBLIC_URL, signedIn, startPages, Visitor } from "./visitor.ts";

let rig: PageRig;

beforeAll(async () => {
  rig = await startPages();
});

afterAll(() => rig.stop());

beforeEach(() => rig.setClock());

/** The address at the provider to which a sign-in goes. */
async function begin(visitor: Visitor, path = "/sign-in?return=%2F"): Promise<URL> {
  const { statusCode, headers } = await visitor.get(path);
  expect(statusCode).toBe(303);
  return new URL(headers.location ?? "");
}

/** Sign-ins that others have begun. */
function fillSignIns({ settings }: PageRig, count: number, expiresAt: number): Promise<void> {
  const numbers = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count})`;
  const rows = `SELECT CAST(i AS TEXT), 'n', 'v', '/', ${expiresAt} FROM n`;
  return sqliteFiles().attack(settings.database, `INSERT INTO sign_ins ${numbers} ${rows}`);
}

function expectRefused(visitor: Visitor, { statusCode, body }: { statusCode: number; body: string }): void {
  expect(statusCode).toBe(400);
  expect(body).toContain("The sign-in did not work");
  expect(visitor.cookies.has(SESSION_COOKIE)).toBe(false);
}

describe("the way to the provider", () => {
  test("asks for a code, with PKCE, state, nonce and our exact address", async () => {
    const visitor = new Visitor(rig);
    const url = await begin(visitor);
    expect(url.origin).toBe(rig.provider.issuer);
    const query = Object.fromEntries(url.searchParams);
    expect(query).toMatchObject({
      response_type: "code",
      client_id: "approval",
      redirect_uri: `${PUBLIC_URL}/callback`,
      code_challenge_method: "S256",
    });
    expect(query.scope?.split(" ")).toContain("openid");
    for (const name of ["state", "nonce", "code_challenge"])
      expect(query[name]?.length, name).toBeGreaterThanOrEqual(43);
    const again = Object.fromEntries((await begin(visitor)).searchParams);
    for (const name of ["state", "nonce", "code_challenge"]) expect(again[name], name).not.toBe(query[name]);
    expect(SIGN_IN_COOKIE).toMatch(/^__Host-/);
  });

  test("asks for the scopes of the settings", async () => {
    const other = await startPages({ oidc: { ...rig.settings.oidc, scope: "openid profile" } });
    try {
      const scopes = await Promise.all([rig, other].map(async (one) => (await begin(new Visitor(one))).searchParams));
      expect(scopes.map((query) => query.get("scope"))).toEqual(["openid profile email", "openid profile"]);
    } finally {
      await other.stop();
    }
  });

  test("is closed, and nothing is written, when very many are on it, and opens when they are through", async () => {
    const other = await startPages();
    try {
      const visitor = new Visitor(other);
      await begin(visitor);
      const started = other.now();
      await fillSignIns(other, 9_999, started + 600_000);
      const { statusCode, headers, body } = await visitor.get("/sign-in");
      expect([statusCode, headers["retry-after"]]).toEqual([503, "60"]);
      expect(headers.location).toBeUndefined();
      expect(body).toContain("Too many sign-ins");
      // Whoever is on the way already arrives.
      const first = await other.store.takeSignIn("1");
      expect(first).toBeDefined();
      await begin(visitor);
      expect((await visitor.get("/sign-in")).statusCode).toBe(503);
      other.wait(600_001);
      await begin(visitor);
    } finally {
      await other.stop();
    }
  });

  test("asks for credentials once more when they have to be fresh", async () => {
    const visitor = await signedIn(rig, "alice");
    expect((await visitor.get("/sign-in?return=%2Fpasskeys")).headers.location).toBe("/passkeys");
    const url = await begin(visitor, "/sign-in?return=%2Fpasskeys&fresh=1");
    expect(Object.fromEntries(url.searchParams)).toMatchObject({ prompt: "login", max_age: "0" });
  });

  test("begins at the page that somebody wanted, and ends there", async () => {
    const id = await rig.open();
    const visitor = new Visitor(rig);
    const { statusCode, headers } = await visitor.get(`/a/${id}`);
    expect([statusCode, headers.location]).toEqual([303, `/sign-in?return=%2Fa%2F${id}`]);
    const back = await visitor.signIn("alice", { path: headers.location ?? "" });
    expect([back.statusCode, back.headers.location]).toEqual([303, `/a/${id}`]);
    expect((await visitor.get(`/a/${id}`)).statusCode).toBe(200);
  });

  test.each([
    "https://evil.example.com/",
    "//evil.example.com",
    "/\\evil.example.com",
    "/a/../..//evil.example.com",
    "/a/AAAAAAAAAAAAAAAAAAAAAA/../../",
    "/a/AAAAAAAAAAAAAAAAAAAAAA\n",
    "/passkeys?for=AAAAAAAAAAAAAAAAAAAAAA&x",
    "javascript:alert(1)",
    "/sign-out",
    "",
  ])("never leads to %j", async (path) => {
    expect(isReturnPath(path)).toBe(false);
    const back = await new Visitor(rig).signIn("alice", { path: `/sign-in?return=${encodeURIComponent(path)}` });
    expect([back.statusCode, back.headers.location]).toEqual([303, "/"]);
  });
});

describe("the way back", () => {
  test("makes a session of the person who has signed in, without any token in it", async () => {
    const visitor = await signedIn(rig, "bob");
    const { body } = await visitor.get("/");
    expect(body).toContain("Bob");
    expect(body).not.toContain("Alice");
  });

  test("is refused in another browser", async () => {
    const [mallory, victim] = [new Visitor(rig), new Visitor(rig)];
    const back = await mallory.atProvider(await begin(mallory), "bob");
    expectRefused(victim, await victim.get(back.pathname + back.search));
    // One that has begun a sign-in of its own is not fooled either.
    await begin(victim);
    expectRefused(victim, await victim.get(back.pathname + back.search));
  });

  test("works once", async () => {
    const visitor = new Visitor(rig);
    const back = await visitor.atProvider(await begin(visitor), "alice");
    expect((await visitor.get(back.pathname + back.search)).statusCode).toBe(303);
    visitor.cookies.delete(SESSION_COOKIE);
    expectRefused(visitor, await visitor.get(back.pathname + back.search));
  });

  test("is refused when it comes too late", async () => {
    const visitor = new Visitor(rig);
    const back = await visitor.atProvider(await begin(visitor), "alice");
    rig.wait(10 * 60_000 + 1_000);
    expectRefused(visitor, await visitor.get(back.pathname + back.search));
  });

  test.each([
    ["another state", (query: URLSearchParams) => query.set("state", "A".repeat(43))],
    ["no state", (query: URLSearchParams) => query.delete("state")],
    ["two states", (query: URLSearchParams) => query.append("state", query.get("state") ?? "")],
    ["another code", (query: URLSearchParams) => query.set("code", "A".repeat(43))],
    ["two codes", (query: URLSearchParams) => query.append("code", "A".repeat(43))],
    ["another issuer", (query: URLSearchParams) => query.set("iss", "https://other.example.com")],
    ["no issuer, though the provider promises one", (query: URLSearchParams) => query.delete("iss")],
    ["an error", (query: URLSearchParams) => query.set("error", "access_denied")],
  ])("is refused with %s", async (_what, change) => {
    const visitor = new Visitor(rig);
    const callback = (url: URL) => {
      change(url.searchParams);
      return url;
    };
    expectRefused(visitor, await visitor.signIn("alice", { callback }));
  });

  test("is refused with the code of another sign-in of the same browser", async () => {
    const visitor = new Visitor(rig);
    const first = await visitor.atProvider(await begin(visitor), "alice");
    const second = await visitor.atProvider(await begin(visitor), "alice");
    second.searchParams.set("code", first.searchParams.get("code") ?? "");
    expectRefused(visitor, await visitor.get(second.pathname + second.search));
  });

  test("shows nothing of what stands in the address", async () => {
    const { body } = await new Visitor(rig).get("/callback?error=%3Cscript%3Ex&error_description=call+0800&state=x");
    expect(body).not.toMatch(/script>x|0800/);
  });
});

describe("a provider", () => {
  test("that does not answer keeps people out, and lets them in when it is there again", async () => {
    const other = await startPages();
    const { issuer } = other.provider;
    await other.provider.stop();
    const visitor = new Visitor(other);
    const { statusCode, body } = await visitor.get("/sign-in");
    expect(statusCode).toBe(503);
    expect(body).toContain("does not answer");
    const { startProvider } = await import("../../src/approval/try/provider.ts");
    const service = { id: "approval", secret: "of these tests", redirectUri: `${PUBLIC_URL}/callback` };
    const back = await startProvider({ port: Number(new URL(issuer).port), audience: "http://127.0.0.1/mcp", service });
    expect((await visitor.signIn("alice")).statusCode).toBe(303);
    expect((await visitor.get("/")).statusCode).toBe(200);
    await back.stop();
    await other.stop().catch(() => {});
  });

  test("whose document names another issuer is not used", async () => {
    const issuer = rig.provider.issuer.replace("localhost", "127.0.0.1");
    const other = await startPages({ oidc: { ...rig.settings.oidc, issuer } });
    expect((await new Visitor(other).get("/sign-in")).statusCode).toBe(503);
    await other.stop();
  });

  test("that does not know our secret gives nobody a session", async () => {
    const { issuer } = rig.provider;
    const other = await startPages({ oidc: { ...rig.settings.oidc, issuer, clientSecret: "another one" } });
    const visitor = new Visitor(other);
    expectRefused(visitor, await visitor.signIn("alice"));
    await other.stop();
  });
});
