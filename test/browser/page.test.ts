// The page on which a person decides, in a real browser with a passkey device. Goal: what is approved is what the page has shown, by whom it
// says, once; what was denied or has run out stays that way; and everybody can use it. Method: the service as a process, the provider for trying, and
// the service's part for guards called as a guard calls it. Nothing here looks into the database.
import { createPublicKey } from "node:crypto";
import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { verifyReceipt } from "../../src/approval/receipt.ts";
import {
  expectAccessible,
  launchBrowser,
  openWindow,
  type Scheme,
  shoot,
  WIDTHS,
  type Width,
  type Window,
  type WindowOptions,
} from "./browser.ts";
import type { Waiting } from "./guard-side.ts";
import { APPROVE, addPasskey, approve, chooseAccount, deny, expectStanding, shownIn, signIn } from "./person.ts";
import { type Stack, startStack } from "./stack.ts";

/** The shortest that the service allows. */
const PENDING_SECONDS = 10;

let browser: Browser;
let stack: Stack;
const windows: Window[] = [];
/** A service whose calls run out soon, and a page of it, which is open while the tests run. */
let short: Stack;
let runningOut: Window;
let runsOut: Waiting;

beforeAll(async () => {
  // As many calls as these tests make: how many one person may have is tested elsewhere.
  const settings = { OPEN_PER_PRINCIPAL: "100", PER_HOUR: "1000" };
  [browser, stack, short] = await Promise.all([
    launchBrowser(),
    startStack({ settings }),
    startStack({ settings: { PENDING_SECONDS: String(PENDING_SECONDS) } }),
  ]);
  runsOut = await short.guard.open();
  runningOut = await openWindow(browser);
  await signIn(runningOut.page, `${short.publicUrl}/a/${runsOut.id}`, "alice");
  await addPasskey(runningOut.page);
});

afterEach(async () => {
  await Promise.all(windows.splice(0).map((window) => window.close()));
});

afterAll(async () => {
  await browser?.close();
  await stack?.stop();
  await short?.stop();
});

async function newWindow(options?: WindowOptions): Promise<Window> {
  const window = await openWindow(browser, options);
  windows.push(window);
  return window;
}

const pageOf = ({ id }: { id: string }) => `${stack.publicUrl}/a/${id}`;

/** A window of somebody who is at a call's page and has a passkey. */
async function readyToApprove(waiting: { id: string }, login = "alice"): Promise<Window> {
  const window = await newWindow();
  await signIn(window.page, pageOf(waiting), login);
  await addPasskey(window.page);
  return window;
}

/** That a page is accessible in both schemes and at both widths; with pictures of each. */
async function expectAccessibleEverywhere({ page }: Window, name: string): Promise<void> {
  for (const scheme of ["light", "dark"] satisfies Scheme[]) {
    for (const width of Object.keys(WIDTHS) as Width[]) {
      await page.emulateMedia({ colorScheme: scheme });
      await page.setViewportSize(WIDTHS[width]);
      await expectAccessible(page);
      await shoot(page, `${name}-${scheme}-${width}`);
    }
  }
}

describe("a call's page", () => {
  test("lets alice sign in, add a passkey and approve what it shows; the receipt is for that call and names her", async () => {
    const waiting = await stack.guard.open({ arguments: '{ "force": true, "branch": "feature/pinned" }' });
    const window = await newWindow();
    const { page } = window;
    await page.goto(pageOf(waiting));
    expect(new URL(page.url()).origin).toBe(stack.provider.issuer);
    await expectAccessibleEverywhere(window, "provider");
    await chooseAccount(page, "alice");
    await page.waitForURL(pageOf(waiting));

    await expectStanding(page, "pending");
    const main = await shownIn(page.getByRole("main"));
    for (const shown of ["delete_branch", "branches", "alice", "(you)", "planner", "feature/pinned"]) {
      expect(main).toContain(shown);
    }
    await expectAccessibleEverywhere(window, "pending-without-passkey");
    await page.getByRole("link", { name: "Add a passkey" }).click();
    await expectAccessibleEverywhere(window, "add-passkey");
    await page.goBack();
    await addPasskey(page);
    expect(await window.passkeys()).toBe(1);
    await expectAccessibleEverywhere(window, "pending");
    expect(await stack.guard.stateOf(waiting.id)).toBe("pending");

    await approve(page);
    await expectStanding(page, "approved");
    await expectAccessibleEverywhere(window, "approved");
    expect(await stack.guard.stateOf(waiting.id)).toBe("approved");

    const { status, body } = await stack.guard.claim(waiting);
    expect(status).toBe(200);
    const key = createPublicKey({
      key: Buffer.from(stack.signingKey.spki, "base64"),
      format: "der",
      type: "spki",
    });
    const verified = await verifyReceipt(String(body.receipt), new Map([[stack.signingKey.kid, key]]));
    expect(verified).toMatchObject({
      receipt: {
        id: waiting.id,
        digest: waiting.digest,
        tool: "delete_branch",
        principal: "alice",
        approver: `${stack.provider.issuer}#alice`,
      },
    });
    // The page learns of it by itself.
    await expectStanding(page, "claimed");
    await expectAccessibleEverywhere(window, "claimed");
    expect(await stack.guard.claim(waiting)).toMatchObject({ status: 409, body: { error: "replayed" } });
    expect(window.complaints).toEqual([]);
  });

  test("lets her deny with a reason; then there is nothing to claim", async () => {
    const waiting = await stack.guard.open();
    const window = await newWindow();
    await signIn(window.page, pageOf(waiting), "alice");
    await deny(window.page, "not <b>this</b> branch");
    await expectStanding(window.page, "denied");
    expect(await shownIn(window.page.getByRole("main"))).toContain("not <b>this</b> branch");
    await expectAccessibleEverywhere(window, "denied");
    expect(await stack.guard.stateOf(waiting.id)).toBe("denied");
    expect(await stack.guard.claim(waiting)).toMatchObject({ status: 409, body: { error: "denied" } });
    expect(window.complaints).toEqual([]);
  });

  test("approves once when the button is clicked twice", async () => {
    const waiting = await stack.guard.open();
    const { page } = await readyToApprove(waiting);
    await page.getByRole("button", { name: APPROVE }).dblclick();
    await expectStanding(page, "approved");
    await page.reload();
    const record = await page.getByRole("region", { name: "Record" }).getByRole("listitem").allInnerTexts();
    expect(record.filter((line) => line.includes("Approved by"))).toHaveLength(1);
  });

  test("approves nothing when the device does not recognise its owner", async () => {
    const waiting = await stack.guard.open();
    const window = await readyToApprove(waiting);
    await window.recogniseOwner(false);
    await approve(window.page);
    await expect.poll(() => shownIn(window.page.getByRole("alert")), { timeout: 10_000 }).not.toBe("");
    await shoot(window.page, "pending-not-recognised");
    expect(await stack.guard.stateOf(waiting.id)).toBe("pending");
    await window.recogniseOwner(true);
    await approve(window.page);
    await expectStanding(window.page, "approved");
  });

  test("shows invisible and turning characters as marks, and long values whole", async () => {
    const long = "x".repeat(5_000);
    const text = JSON.stringify({ branch: "main\u202egnp.exe", zero: "a\u200bb", long, amount: "0" }).replace(
      '"0"',
      "1.0E+2",
    );
    const window = await newWindow();
    await signIn(window.page, pageOf(await stack.guard.open({ arguments: text })), "alice");
    const shown = await shownIn(window.page.getByRole("region", { name: "Arguments" }).first());
    for (const mark of ["U+202E", "U+200B", "1.0E+2"]) expect(shown).toContain(mark);
    expect(shown).not.toContain("\u202e");
    expect(shown).not.toContain("\u200b");
    // Folded, but there: nothing is left out of the document.
    expect(await window.page.getByRole("main").textContent()).toContain(long);
    await expectAccessibleEverywhere(window, "pending-odd-arguments");
  });

  test("works without script as far as it can: everything is there, and a call can be denied", async () => {
    const waiting = await stack.guard.open();
    const { page } = await newWindow({ javaScript: false });
    await signIn(page, pageOf(waiting), "alice");
    await expectStanding(page, "pending");
    await shoot(page, "pending-without-script");
    expect(await page.getByRole("button", { name: "Approve" }).count()).toBe(0);
    await deny(page);
    await expectStanding(page, "denied");
    expect(await stack.guard.stateOf(waiting.id)).toBe("denied");
  });
});

describe("somebody else's call", () => {
  test("is not there for bob, who has no part in it", async () => {
    const waiting = await stack.guard.open();
    const window = await newWindow();
    await signIn(window.page, pageOf(waiting), "bob");
    expect(await shownIn(window.page.getByRole("main"))).not.toContain("delete_branch");
    await expectAccessibleEverywhere(window, "not-found");
    await window.page.goto(`${stack.publicUrl}/`);
    expect(await shownIn(window.page.getByRole("main"))).not.toContain("delete_branch");
  });

  test("is approved by carol, a member of the group, and the receipt names her", async () => {
    const waiting = await stack.guard.open();
    const window = await readyToApprove(waiting, "carol");
    expect(await shownIn(window.page.getByRole("main"))).toContain("This is not your own call.");
    await expectAccessibleEverywhere(window, "pending-of-another");
    await approve(window.page);
    await expectStanding(window.page, "approved");
    const { body } = await stack.guard.claim(waiting);
    const payload = JSON.parse(Buffer.from(String(body.receipt).split(".")[1]!, "base64url").toString());
    expect(payload).toMatchObject({ principal: "alice", approver: `${stack.provider.issuer}#carol` });
  });
});

describe("the list", () => {
  test("shows what waits and what was, and learns of a new call by itself", async () => {
    const window = await newWindow();
    await signIn(window.page, `${stack.publicUrl}/`, "bob");
    await expectAccessibleEverywhere(window, "list-empty");
    const waiting = await stack.guard.open({ principal: "bob" });
    await window.page.getByRole("link", { name: /delete_branch/ }).click();
    await deny(window.page);
    await expectStanding(window.page, "denied");
    expect(await stack.guard.stateOf(waiting.id)).toBe("denied");
    await stack.guard.open({ principal: "bob", tool: "update_branch" });
    await window.page.getByRole("link", { name: "Calls", exact: true }).click();
    await window.page.getByRole("link", { name: /update_branch/ }).waitFor();
    await expectAccessibleEverywhere(window, "list");
  });

  test("has a call that came while the page was still loading", async () => {
    const window = await newWindow();
    const { page } = window;
    await signIn(page, `${stack.publicUrl}/`, "bob");
    await page.getByRole("heading", { name: "Calls" }).waitFor();
    // The page has been made, and does not listen yet.
    await page.route("**/events*", async (route) => {
      await stack.guard.open({ principal: "bob", tool: "execute_query" });
      await route.continue();
    });
    await page.reload();
    await page.getByRole("link", { name: /execute_query/ }).waitFor();
  });

  test("is for nobody who has signed out", async () => {
    const { page } = await newWindow();
    await signIn(page, `${stack.publicUrl}/`, "alice");
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByRole("heading", { name: "You are signed out" }).waitFor();
    await page.goto(`${stack.publicUrl}/`);
    expect(new URL(page.url()).origin).toBe(stack.provider.issuer);
  });

  test("leads to the sign-in when somebody who has signed out elsewhere still looks at it, and something happens", async () => {
    const { page } = await newWindow();
    await signIn(page, `${stack.publicUrl}/`, "bob");
    await page.getByRole("heading", { name: "Calls" }).waitFor();
    const other = await page.context().newPage();
    await other.goto(`${stack.publicUrl}/`);
    await other.getByRole("button", { name: "Sign out" }).click();
    await other.getByRole("heading", { name: "You are signed out" }).waitFor();
    await stack.guard.open({ principal: "bob", tool: "execute_query" });
    await page.waitForURL((address) => address.origin === stack.provider.issuer);
  });
});

describe("time", () => {
  test("runs out on the page, which says so by itself; then nobody can approve", async () => {
    await expect.poll(() => short.guard.stateOf(runsOut.id), { timeout: 15_000, interval: 250 }).toBe("expired");
    await expectStanding(runningOut.page, "expired");
    await expectAccessibleEverywhere(runningOut, "expired");
    expect(await runningOut.page.getByRole("button", { name: APPROVE }).count()).toBe(0);
    expect(await short.guard.claim(runsOut)).toMatchObject({ status: 409, body: { error: "expired" } });
  });
});
