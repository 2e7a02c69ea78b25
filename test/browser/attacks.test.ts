// What other web pages, and whoever holds one answer of a passkey, can do to a call that waits: nothing. The foreign page stands on the same
// host under another port, so that the browser sends the session's cookie with everything that it makes the browser do (SameSite knows sites, not
// origins): what holds it off is what the service does itself.
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { pause } from "../integration/wire.ts";
import { launchBrowser, openWindow, type Window } from "./browser.ts";
import type { Waiting } from "./guard-side.ts";
import { addPasskey, approve, deny, expectStanding, signIn } from "./person.ts";
import { type Stack, startStack } from "./stack.ts";

const SETTLED_MS = 500;

let browser: Browser;
let stack: Stack;
let foreign: Server;
let foreignUrl: string;
/** What the foreign site answers. */
let foreignPage = "";
let window: Window;

beforeAll(async () => {
  foreign = createServer((_request, response) => {
    response.setHeader("content-type", "text/html; charset=utf-8");
    response.end(`<!doctype html><title>foreign</title>${foreignPage}`);
  });
  foreign.listen(0, "127.0.0.1");
  await once(foreign, "listening");
  foreignUrl = `http://localhost:${(foreign.address() as AddressInfo).port}/`;
  const settings = { OPEN_PER_PRINCIPAL: "100", PER_HOUR: "1000" };
  [browser, stack] = await Promise.all([launchBrowser(), startStack({ settings })]);
});

afterEach(() => window?.close());

afterAll(async () => {
  await browser?.close();
  await stack?.stop();
  foreign.closeAllConnections();
  foreign.close();
});

const pageOf = ({ id }: Waiting) => `${stack.publicUrl}/a/${id}`;
const stateOf = ({ id }: Waiting) => stack.guard.stateOf(id);

/** Alice at a call's page, with a passkey; and the call. */
async function aliceAtHerCall(): Promise<{ page: Page; waiting: Waiting }> {
  const waiting = await stack.guard.open();
  window = await openWindow(browser);
  await signIn(window.page, pageOf(waiting), "alice");
  await addPasskey(window.page);
  return { page: window.page, waiting };
}

/** What the page's own script sends with a POST: the token of the session. */
async function post(page: Page, path: string, body: unknown): Promise<number> {
  const token = await page.locator("body").getAttribute("data-token");
  return page.evaluate(
    async ([target, text, csrf]) => {
      const headers = { "content-type": "application/json", "x-csrf-token": csrf! };
      return (await fetch(target!, { method: "POST", headers, body: text! })).status;
    },
    [path, JSON.stringify(body), token ?? ""],
  );
}

describe("a foreign page", () => {
  test("cannot put the page of a call into a frame, under which somebody would click", async () => {
    const { page, waiting } = await aliceAtHerCall();
    foreignPage = `<iframe src="${pageOf(waiting)}" width="800" height="800"></iframe>`;
    await page.goto(foreignUrl);
    const frame = page.frames().find((other) => other !== page.mainFrame())!;
    await expect.poll(() => frame.url()).toMatch(/^chrome-error:/);
    expect(await frame.getByRole("button").count()).toBe(0);
  });

  test("cannot have a form of its own sent in alice's name", async () => {
    const { page, waiting } = await aliceAtHerCall();
    foreignPage = `<form method="post" action="${pageOf(waiting)}/deny"><input name="reason" value="foreign"><button>Go</button></form>`;
    await page.goto(foreignUrl);
    const [answer] = await Promise.all([
      page.waitForResponse((response) => response.request().method() === "POST"),
      page.getByRole("button", { name: "Go" }).click(),
    ]);
    // The cookie was sent: it is the service that has refused.
    expect((await answer.request().allHeaders()).cookie).toContain("__Host-");
    expect(answer.status()).toBe(403);
    expect(await page.getByRole("heading", { level: 1 }).textContent()).toBe("Not from this page");
    expect(await stateOf(waiting)).toBe("pending");
  });

  test.each([
    ["a simple request with the cookie", "{}", { "content-type": "text/plain" }],
    ["a form's type", "reason=foreign", { "content-type": "application/x-www-form-urlencoded" }],
    ["the type of a script's request", "{}", { "content-type": "application/json", "x-csrf-token": "a".repeat(43) }],
  ])("cannot decide with its script: %s", async (_what, body, headers: Record<string, string>) => {
    const { page, waiting } = await aliceAtHerCall();
    foreignPage = "";
    await page.goto(foreignUrl);
    const statuses = await page.evaluate(
      async ([url, text, sent]) => {
        const all: unknown[] = [];
        for (const path of ["deny", "challenge", "approve"]) {
          const options = { method: "POST", credentials: "include", headers: JSON.parse(text!), body: sent! } as const;
          all.push(
            await fetch(`${url}/${path}`, { ...options, mode: "cors" }).then(
              ({ status }) => status,
              () => "blocked",
            ),
          );
        }
        return all;
      },
      [pageOf(waiting), JSON.stringify(headers), body],
    );
    expect(statuses).toEqual(["blocked", "blocked", "blocked"]);
    expect(await stateOf(waiting)).toBe("pending");
  });

  test("learns nothing about a window of the service that it has opened itself", async () => {
    const { page, waiting } = await aliceAtHerCall();
    foreignPage = "";
    await page.goto(foreignUrl);
    const isCutOff = async (url: string) => {
      await page.evaluate(`globalThis.opened = open(${JSON.stringify(url)})`);
      expect(await page.evaluate("opened === null"), "nothing was opened").toBe(false);
      await pause(SETTLED_MS);
      return page.evaluate("opened.closed");
    };
    expect(await isCutOff(foreignUrl)).toBe(false);
    expect(await isCutOff(pageOf(waiting))).toBe(true);
  });
});

describe("the answer of a passkey", () => {
  test("is good for the one call that it was asked about, and once", async () => {
    const { page, waiting } = await aliceAtHerCall();
    const other = await stack.guard.open();
    // On its way to the service somebody takes it, and it does not arrive.
    let taken: unknown;
    await page.route("**/approve", async (route) => {
      taken = route.request().postDataJSON();
      await route.abort();
    });
    await approve(page);
    await expect.poll(() => taken, { timeout: 10_000 }).toBeDefined();
    await page.unroute("**/approve");
    expect(await post(page, `/a/${other.id}/approve`, taken)).toBe(409);
    expect(await stateOf(other)).toBe("pending");
    // The question was used up by the attempt: not even the right call takes the answer now.
    expect(await post(page, `/a/${waiting.id}/approve`, taken)).toBe(409);
    expect(await stateOf(waiting)).toBe("pending");
  });

  test("is good for nobody else, whose session sends it", async () => {
    const { page, waiting } = await aliceAtHerCall();
    let taken: unknown;
    await page.route("**/approve", async (route) => {
      taken = route.request().postDataJSON();
      await route.abort();
    });
    await approve(page);
    await expect.poll(() => taken, { timeout: 10_000 }).toBeDefined();
    const carol = await openWindow(browser);
    try {
      await signIn(carol.page, pageOf(waiting), "carol");
      expect(await post(carol.page, `/a/${waiting.id}/approve`, taken)).toBe(409);
    } finally {
      await carol.close();
    }
    expect(await stateOf(waiting)).toBe("pending");
  });

  test("is needed: without one the page's own script approves nothing", async () => {
    const { page, waiting } = await aliceAtHerCall();
    expect(await post(page, `/a/${waiting.id}/approve`, {})).toBe(400);
    expect(await stateOf(waiting)).toBe("pending");
  });
});

describe("a decision", () => {
  test("stands: who comes later, with a page from before, changes nothing", async () => {
    const { page, waiting } = await aliceAtHerCall();
    const carol = await openWindow(browser, { javaScript: false });
    try {
      await signIn(carol.page, pageOf(waiting), "carol");
      await approve(page);
      await expectStanding(page, "approved");
      await deny(carol.page, "too late");
      expect(await carol.page.getByRole("heading", { level: 1 }).textContent()).toBe("Too late");
    } finally {
      await carol.close();
    }
    expect(await stateOf(waiting)).toBe("approved");
  });

  test("is made by no request that only looks", async () => {
    const { page, waiting } = await aliceAtHerCall();
    for (const path of ["", "/approve", "/deny", "/challenge", "/call.json"]) {
      await page.goto(`${pageOf(waiting)}${path}`, { waitUntil: "commit" }).catch(() => {});
      await page.request.fetch(`${pageOf(waiting)}${path}`, { method: "HEAD" });
    }
    await pause(SETTLED_MS);
    expect(await stateOf(waiting)).toBe("pending");
  });

  test("is not made by the token of an agent, whatever it is sent to", async () => {
    const waiting = await stack.guard.open();
    const token = await stack.provider.accessToken("alice");
    const targets = [
      ...["challenge", "approve", "deny"].map((path) => `${pageOf(waiting)}/${path}`),
      ...["options", "verify", "remove"].map((path) => `${stack.publicUrl}/passkeys/${path}`),
    ];
    for (const url of targets) {
      const response = await fetch(url, {
        method: "POST",
        headers: {
          authorization: `Bearer ${token}`,
          "content-type": "application/json",
          origin: stack.publicUrl,
          "sec-fetch-site": "same-origin",
        },
        body: "{}",
      });
      expect(response.status, url).toBe(401);
    }
    for (const path of ["", `a/${waiting.id}`, `a/${waiting.id}/call.json`, "passkeys", "events"]) {
      const response = await fetch(`${stack.publicUrl}/${path}`, {
        headers: { authorization: `Bearer ${token}`, accept: "text/html" },
        redirect: "manual",
      });
      expect([303, 401], path).toContain(response.status);
      expect(await response.text()).not.toContain(waiting.fields.tool);
    }
    const filterUrl = `http://127.0.0.1:${stack.filterPort}/v1`;
    for (const [path, body] of [
      ["open", { ...waiting.fields }],
      ["poll", { ids: [waiting.id] }],
      ["claim", { id: waiting.id, digest: waiting.digest, nonce: "n".repeat(22) }],
    ] as const) {
      const response = await fetch(`${filterUrl}/${path}`, {
        method: "POST",
        headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
        body: JSON.stringify(body),
      });
      expect(response.status, path).toBe(401);
    }
    expect(await stateOf(waiting)).toBe("pending");
  });
});
