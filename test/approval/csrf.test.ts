// Requests that other sites make through somebody's browser. Goal: a POST does something only when one of our own pages has made it, in this session.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { SESSION_COOKIE } from "../../approval/browser/session.ts";
import { type PageRig, PUBLIC_URL, signedIn, startPages, type Visitor } from "./visitor.ts";

let rig: PageRig;
let alice: Visitor;
let id: string;

beforeAll(async () => {
  rig = await startPages();
});

afterAll(() => rig.stop());

beforeEach(async () => {
  alice = await signedIn(rig, "alice");
  id = await rig.open();
});

afterEach(async () => {
  expect(await rig.store.approval(id)).toMatchObject({ state: "pending" });
});

const POSTS = [
  "/a/:id/challenge",
  "/a/:id/approve",
  "/a/:id/deny",
  "/passkeys/options",
  "/passkeys/verify",
  "/passkeys/remove",
  "/sign-out",
];

/** A POST with this browser's cookie, and the headers that are given and no others. */
async function post(
  visitor: Visitor,
  route: string,
  headers: Record<string, string>,
  fields: Record<string, string> = {},
) {
  const cookie = `${SESSION_COOKIE}=${visitor.cookies.get(SESSION_COOKIE)}`;
  const response = await rig.app.inject({
    method: "POST",
    url: route.replace(":id", id),
    headers: { cookie, accept: "application/json", "content-type": "application/x-www-form-urlencoded", ...headers },
    payload: new URLSearchParams(fields).toString(),
  });
  return { status: response.statusCode, error: response.json<{ error: string }>().error };
}

describe.each(POSTS)("%s", (route) => {
  test.each([
    ["from another site", { origin: "https://evil.example.com", "sec-fetch-site": "cross-site" }],
    ["from another site, by a browser that says only one thing", { origin: "https://evil.example.com" }],
    ["from another site, by a browser that says only the other", { "sec-fetch-site": "cross-site" }],
    ["from a neighbour in the same domain", { origin: "https://www.example.com", "sec-fetch-site": "same-site" }],
    ["from another port", { origin: `${PUBLIC_URL}:8443`, "sec-fetch-site": "same-site" }],
    ["over plain HTTP", { origin: PUBLIC_URL.replace("https", "http"), "sec-fetch-site": "cross-site" }],
    ["from a sandboxed frame", { origin: "null", "sec-fetch-site": "cross-site" }],
    ["from a sandboxed frame of our own", { origin: "null", "sec-fetch-site": "same-origin" }],
    ["typed by the person", { "sec-fetch-site": "none" }],
    ["without a word about where it is from", {}],
  ])("is refused %s, even with the token", async (_what, headers) => {
    const token = await alice.token();
    expect(await post(alice, route, headers as Record<string, string>, { csrf: token })).toEqual({
      status: 403,
      error: "cross_site",
    });
  });

  test("is refused from our own page without the token of the session", async () => {
    const own = { origin: PUBLIC_URL, "sec-fetch-site": "same-origin" };
    const other = await signedIn(rig, "alice");
    const tokens = [undefined, "", "AAAA", await other.token(), alice.cookies.get(SESSION_COOKIE) ?? ""];
    for (const token of tokens) {
      const fields: Record<string, string> = token === undefined ? {} : { csrf: token };
      expect(await post(alice, route, own, fields)).toEqual({ status: 403, error: "token" });
      if (token === undefined) continue;
      expect(await post(alice, route, { ...own, "x-csrf-token": token })).toEqual({ status: 403, error: "token" });
    }
  });
});

describe("a form of our own page", () => {
  test.each([
    ["with both headers", { origin: PUBLIC_URL, "sec-fetch-site": "same-origin" }],
    ["of a browser without Fetch Metadata", { origin: PUBLIC_URL }],
  ])("is taken %s", async (_what, headers) => {
    const other = await rig.open();
    const { statusCode } = await rig.app.inject({
      method: "POST",
      url: `/a/${other}/deny`,
      headers: {
        cookie: `${SESSION_COOKIE}=${alice.cookies.get(SESSION_COOKIE)}`,
        "content-type": "application/x-www-form-urlencoded",
        ...headers,
      },
      payload: new URLSearchParams({ csrf: await alice.token(), reason: "" }).toString(),
    });
    expect(statusCode).toBe(303);
    expect(await rig.store.approval(other)).toMatchObject({ state: "denied" });
  });

  test("with the token twice is not understood", async () => {
    const own = {
      origin: PUBLIC_URL,
      "sec-fetch-site": "same-origin",
      "content-type": "application/x-www-form-urlencoded",
    };
    const token = await alice.token();
    const { statusCode } = await rig.app.inject({
      method: "POST",
      url: `/a/${id}/deny`,
      headers: { cookie: `${SESSION_COOKIE}=${alice.cookies.get(SESSION_COOKIE)}`, ...own },
      payload: `csrf=${token}&csrf=${token}`,
    });
    expect(statusCode).toBe(403);
  });
});

describe("a GET", () => {
  test("of anything with a session decides nothing and signs nobody out", async () => {
    for (const path of [
      `/a/${id}`,
      `/a/${id}/deny`,
      `/a/${id}/approve`,
      `/a/${id}/challenge`,
      "/sign-out",
      "/passkeys/options",
    ]) {
      await alice.get(path, { "sec-fetch-site": "cross-site", "sec-purpose": "prefetch" });
    }
    expect((await alice.get("/")).statusCode).toBe(200);
  });
});
