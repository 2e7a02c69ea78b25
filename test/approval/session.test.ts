// Sessions. Goal: a session begins with a sign-in and with nothing else, its id cannot be chosen, guessed or read from the database, and it ends in time.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { IDLE_MS, isFresh, SESSION_COOKIE, SESSION_MS } from "../../approval/browser/session.ts";
import { type PageRig, PUBLIC_URL, signedIn, startPages, Visitor } from "./visitor.ts";

let rig: PageRig;

beforeAll(async () => {
  rig = await startPages();
});

afterAll(() => rig.stop());

beforeEach(() => rig.setClock());

async function isSignedIn(visitor: Visitor): Promise<boolean> {
  return (await visitor.get("/")).statusCode === 200;
}

function cookieOf(visitor: Visitor): string {
  return visitor.cookies.get(SESSION_COOKIE) ?? "";
}

/** A browser with this cookie and nothing else. */
function holderOf(cookie: string): Visitor {
  const visitor = new Visitor(rig);
  visitor.cookies.set(SESSION_COOKIE, cookie);
  return visitor;
}

describe("the cookie", () => {
  test("is for this host, for secure connections, and out of reach for scripts", async () => {
    const response = await new Visitor(rig).signIn("alice");
    const line =
      [response.headers["set-cookie"] ?? []].flat().find((one) => one.startsWith(`${SESSION_COOKIE}=`)) ?? "";
    expect(SESSION_COOKIE).toMatch(/^__Host-/);
    const attributes = line.split("; ").slice(1);
    expect(attributes.sort()).toEqual(["HttpOnly", "Path=/", "SameSite=Lax", "Secure"]);
  });

  test("has an id of which the database has only a hash", async () => {
    const visitor = await signedIn(rig, "alice");
    const [id = ""] = cookieOf(visitor).split(".");
    expect(Buffer.from(id, "base64url")).toHaveLength(32);
    expect(await rig.store.session(id)).toBeUndefined();
  });

  test.each([
    ["another id", (cookie: string) => cookie.replace(/^.{5}/, "AAAAA")],
    [
      "a later time",
      (cookie: string) => cookie.replace(/\.[^.]+\./, `.${Math.floor(Date.now() / 1_000 + 60).toString(36)}.`),
    ],
    ["another seal", (cookie: string) => `${cookie.slice(0, -6)}AAAAAA`],
    ["no seal", (cookie: string) => cookie.split(".").slice(0, 2).join(".")],
    ["the id alone", (cookie: string) => cookie.split(".")[0] ?? ""],
    ["nothing", () => ""],
  ])("with %s is nobody's", async (_what, change) => {
    const visitor = await signedIn(rig, "alice");
    expect(await isSignedIn(holderOf(cookieOf(visitor)))).toBe(true);
    expect(await isSignedIn(holderOf(change(cookieOf(visitor))))).toBe(false);
  });

  test("cannot be sealed with the token that stands in the pages", async () => {
    const visitor = await signedIn(rig, "alice");
    const [id] = cookieOf(visitor).split(".");
    for (const text of ["form", "csrf", "seen"]) {
      expect(await isSignedIn(holderOf(`${id}.${text}.${await visitor.token()}`))).toBe(false);
    }
  });
});

describe("a sign-in", () => {
  test("gives a new id, whatever the browser had before", async () => {
    const planted = `${"A".repeat(43)}.1.${"A".repeat(43)}`;
    const visitor = holderOf(planted);
    await visitor.signIn("alice");
    expect(cookieOf(visitor)).not.toContain("A".repeat(43));
    expect(await isSignedIn(visitor)).toBe(true);
    expect(await isSignedIn(holderOf(planted))).toBe(false);
  });

  test("ends the session that the browser had", async () => {
    const visitor = await signedIn(rig, "alice");
    const before = cookieOf(visitor);
    await visitor.signIn("alice", { path: "/sign-in?return=%2F&fresh=1" });
    expect(cookieOf(visitor)).not.toBe(before);
    expect(await isSignedIn(visitor)).toBe(true);
    expect(await isSignedIn(holderOf(before))).toBe(false);
  });
});

describe("the end", () => {
  test("comes with the sign-out, for every copy of the cookie", async () => {
    const visitor = await signedIn(rig, "alice");
    const copy = holderOf(cookieOf(visitor));
    const { statusCode, headers } = await visitor.form("/sign-out");
    expect([statusCode, headers.location]).toEqual([303, "/signed-out"]);
    expect(visitor.cookies.has(SESSION_COOKIE)).toBe(false);
    expect(await isSignedIn(copy)).toBe(false);
  });

  test("comes when nobody was there for half an hour", async () => {
    const used = await signedIn(rig, "alice");
    const unused = holderOf(cookieOf(used));
    const idle = new Visitor(rig);
    idle.cookies.set(SESSION_COOKIE, cookieOf(used));
    rig.wait(IDLE_MS / 2);
    expect(await isSignedIn(used)).toBe(true);
    rig.wait(IDLE_MS / 2 + 1_000);
    // The browser that was used in between has a newer cookie of the same session.
    expect(await isSignedIn(used)).toBe(true);
    expect(await isSignedIn(unused)).toBe(false);
    rig.wait(IDLE_MS + 1_000);
    expect(await isSignedIn(used)).toBe(false);
  });

  test("comes after a working day, however busy it was", async () => {
    const visitor = await signedIn(rig, "alice");
    const steps = Math.floor(SESSION_MS / (IDLE_MS / 2)) - 1;
    for (let step = 0; step < steps; step++) {
      rig.wait(IDLE_MS / 2);
      expect(await isSignedIn(visitor)).toBe(true);
    }
    rig.wait(IDLE_MS / 2 + 1_000);
    expect(await isSignedIn(visitor)).toBe(false);
  });
});

describe("a sign-in of a moment ago", () => {
  const session = {
    idHash: "",
    user: { issuer: "", subject: "" },
    issuer: "",
    claims: {},
    csrfToken: "",
    expiresAt: 0,
  };
  const now = 1_800_000_000_000;

  test.each([
    ["now", now, true],
    ["less than five minutes ago", now - 299_000, true],
    ["five minutes ago", now - 300_000, false],
    ["by a clock that is a little ahead", now + 30_000, true],
    ["in the future", now + 120_000, false],
    ["at a time that the provider did not say", 0, false],
  ])("is one %s", (_what, signedInAt, expected) => {
    expect(isFresh({ ...session, signedInAt }, now)).toBe(expected);
  });
});

describe("an agent's token", () => {
  /** Every route of the browser's side that is not a file, as it was registered. */
  const ROUTES = [
    ["GET", "/"],
    ["GET", "/a/:id"],
    ["GET", "/a/:id/call.json"],
    ["POST", "/a/:id/challenge"],
    ["POST", "/a/:id/approve"],
    ["POST", "/a/:id/deny"],
    ["GET", "/passkeys"],
    ["POST", "/passkeys/options"],
    ["POST", "/passkeys/verify"],
    ["POST", "/passkeys/remove"],
    ["GET", "/events"],
    ["POST", "/sign-out"],
  ] as const;
  const OPEN_ROUTES = ["GET /sign-in", "GET /callback", "GET /signed-out", "GET /healthz", "GET /readyz"];

  test.each(ROUTES)("opens nothing: %s %s", async (method, route) => {
    const id = await rig.open();
    const token = await rig.provider.accessToken("alice");
    const url = route.replace(":id", id);
    const payload = method === "POST" ? { payload: {} } : {};
    for (const accept of ["text/html", "application/json"]) {
      const headers = { authorization: `Bearer ${token}`, origin: PUBLIC_URL, "sec-fetch-site": "same-origin", accept };
      const { statusCode, headers: answered, body } = await rig.app.inject({ method, url, headers, ...payload });
      expect([303, 401]).toContain(statusCode);
      if (statusCode === 303) expect(answered.location).toMatch(/^\/sign-in\?return=/);
      expect(answered["set-cookie"]).toBeUndefined();
      expect(body).not.toContain("delete_repository");
    }
    expect(await rig.store.approval(id)).toMatchObject({ state: "pending" });
  });

  test("was tried on every route that there is", () => {
    const tried = new Set([...ROUTES.map(([method, route]) => `${method} ${route}`), ...OPEN_ROUTES]);
    // One line per node of the tree of paths; a node's own part stands behind those of the nodes above it. What ends with a star is files.
    const found: string[] = [];
    const stack: string[] = [];
    for (const line of rig.app.printRoutes({ commonPrefix: false }).split("\n")) {
      const match = /^([│├└─\s]*)(\S+)(?: \((.+)\))?$/u.exec(line);
      if (match === null) continue;
      const [, indent = "", part = "", methods = ""] = match;
      stack.length = Math.max(0, indent.length / 4 - 1);
      stack.push(part);
      for (const method of methods.split(", "))
        if (/^(GET|POST|PUT|PATCH|DELETE)$/.test(method)) found.push(`${method} ${stack.join("")}`);
    }
    expect(found.length).toBeGreaterThanOrEqual(ROUTES.length);
    expect(found.filter((route) => !route.endsWith("*") && !tried.has(route))).toEqual([]);
    expect([...tried].filter((route) => !found.includes(route))).toEqual([]);
  });
});
