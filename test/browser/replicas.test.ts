// Two replicas of the service behind one address and one PostgreSQL, and what breaks underneath while a person decides. Goal: nothing that a person has
// begun is lost with a replica, and nothing is approved that the database has not got. Method: real processes, killed and started again in the middle.
import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type PostgresServer, startPostgres } from "../approval/postgres-server.ts";
import { expectAccessible, launchBrowser, openWindow, shoot, type Window } from "./browser.ts";
import { newNonce } from "./guard-side.ts";
import { addPasskey, approve, deny, expectStanding, shownIn, signIn } from "./person.ts";
import { type Stack, startStack } from "./stack.ts";

/** As many guards as claim at the same time. */
const CLAIMS = 12;
const PATIENCE = { timeout: 15_000, interval: 100 } as const;

let browser: Browser;
let postgres: PostgresServer;
let stack: Stack;
let window: Window;

beforeAll(async () => {
  postgres = await startPostgres();
  const settings = { OPEN_PER_PRINCIPAL: "100", PER_HOUR: "1000" };
  [browser, stack] = await Promise.all([
    launchBrowser(),
    startStack({ replicas: 2, databaseUrl: await postgres.createDatabase(), settings }),
  ]);
});

afterEach(() => window?.close());

afterAll(async () => {
  await browser?.close();
  await stack?.stop();
  await postgres?.stop();
});

async function aliceAtHerCall() {
  const waiting = await stack.guard.open();
  window = await openWindow(browser);
  await signIn(window.page, `${stack.publicUrl}/a/${waiting.id}`, "alice");
  await addPasskey(window.page);
  return { page: window.page, waiting };
}

describe("a replica dies", () => {
  test("under an open page: the other one knows the session, and takes the approval; of many claims one counts", async () => {
    const { page, waiting } = await aliceAtHerCall();
    // One after the other, so that the page has lost the one that it was made by, whichever that was.
    await stack.restart(0, "kill");
    await stack.restart(1, "kill");
    await approve(page);
    await expectStanding(page, "approved");
    const answers = await Promise.all(Array.from({ length: CLAIMS }, () => stack.guard.claim(waiting, newNonce())));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(answers.filter(({ status, body }) => status === 409 && body.error === "replayed")).toHaveLength(CLAIMS - 1);
  });

  test("between the question and the answer of the passkey: the other one knows what was asked", async () => {
    const { page, waiting } = await aliceAtHerCall();
    await page.route("**/approve", async (route) => {
      await stack.restart(0, "kill");
      await stack.restart(1, "kill");
      await route.continue();
    });
    await approve(page);
    await expectStanding(page, "approved");
    expect(await stack.guard.stateOf(waiting.id)).toBe("approved");
  });

  test("and the page goes on to learn what others decide", async () => {
    const { page, waiting } = await aliceAtHerCall();
    await stack.restart(0, "stop");
    await stack.restart(1, "stop");
    const other = await openWindow(browser);
    try {
      await signIn(other.page, `${stack.publicUrl}/a/${waiting.id}`, "carol");
      await deny(other.page, "not today");
      await expectStanding(other.page, "denied");
    } finally {
      await other.close();
    }
    await expectStanding(page, "denied");
  });
});

describe("the database is gone for a while", () => {
  test("a page that asks what has changed meanwhile stays as it is, and asks again", async () => {
    const { page, waiting } = await aliceAtHerCall();
    let openStream = () => {};
    const withoutDatabase = new Promise<void>((resolve) => {
      openStream = resolve;
    });
    await page.route("**/events", async (route) => {
      await withoutDatabase;
      await route.fulfill({ contentType: "text/event-stream", body: "retry: 600000\n\n" });
    });
    await page.reload();
    await page.getByLabel("Reason").fill("I was writing this");
    await postgres.kill();
    try {
      const refused = page.waitForResponse((response) => response.url() === page.url() && response.status() === 503);
      openStream();
      await refused;
    } finally {
      await postgres.start();
    }
    const answered = page.waitForResponse((response) => response.url() === page.url() && response.ok());
    await answered;
    expect(await page.getByLabel("Reason").inputValue()).toBe("I was writing this");
    await deny(page, "not today");
    expect(await stack.guard.stateOf(waiting.id)).toBe("denied");
  });

  test("nothing is approved, the page says so, and afterwards the same page approves", async () => {
    const { page, waiting } = await aliceAtHerCall();
    await postgres.kill();
    try {
      await approve(page);
      await expect.poll(() => shownIn(page.getByRole("alert")), PATIENCE).toMatch(/Nothing was approved/);
      await expectAccessible(page);
      await shoot(page, "pending-without-database");
      expect(await stack.guard.claim(waiting)).toMatchObject({ status: 503 });
    } finally {
      await postgres.start();
    }
    await expect.poll(() => stack.guard.stateOf(waiting.id), PATIENCE).toBe("pending");
    await approve(page);
    await expectStanding(page, "approved");
    expect(await stack.guard.claim(waiting)).toMatchObject({ status: 200 });
  });
});
