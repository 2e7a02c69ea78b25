// What people do on the pages, by what they see there: names of buttons and links, not the page's insides.
import type { Locator, Page } from "playwright-core";
import { expect } from "vitest";

/** What the heading of a call's page says, by where the call stands. */
export const HEADINGS = {
  pending: "Approve this call?",
  approved: "Approved",
  denied: "Denied",
  expired: "Expired",
  claimed: "Approved and sent",
} as const;
export type Standing = keyof typeof HEADINGS;

/** The button that only somebody with a passkey and a script gets. */
export const APPROVE = "Approve with passkey";

/** Opens a page of the service and signs in on the way, as one of the people of the provider for trying. */
export async function signIn(page: Page, url: string, login: string): Promise<void> {
  await page.goto(url);
  await chooseAccount(page, login);
  await page.waitForURL((address) => address.origin === new URL(url).origin);
}

/** Says at the provider who one is. */
export async function chooseAccount(page: Page, login: string): Promise<void> {
  await page.getByRole("button", { name: `(${login}` }).click();
}

/** Adds a passkey and comes back to the page of a call, from which one is led there by somebody's first. */
export async function addPasskey(page: Page): Promise<void> {
  const call = page.url();
  const first = page.getByRole("main").getByRole("link", { name: "Add a passkey" });
  const isFirst = (await first.count()) > 0;
  await (isFirst ? first : page.getByRole("link", { name: "Passkeys", exact: true })).click();
  await page.getByLabel("Name").fill("Laptop");
  const before = await page.getByRole("region", { name: "Yours" }).getByRole("listitem").count();
  await page.getByRole("button", { name: "Add a passkey" }).click();
  if (!isFirst) {
    await page.getByRole("heading", { name: `Yours (${before + 1})` }).waitFor();
    await page.goto(call);
  }
  // The script of the page has come, too: the button is its.
  await page.getByRole("button", { name: APPROVE }).waitFor();
}

export async function approve(page: Page): Promise<void> {
  await page.getByRole("button", { name: APPROVE }).click();
}

export async function deny(page: Page, reason = ""): Promise<void> {
  await page.getByLabel("Reason").fill(reason);
  await page.getByRole("button", { name: "Deny" }).click();
}

/** Waits until the page says where the call stands, without being loaded again by the test. */
export async function expectStanding(page: Page, standing: Standing): Promise<void> {
  await page.getByRole("heading", { level: 1, name: HEADINGS[standing], exact: true }).waitFor();
  // One heading: a page that has changed shows nothing of what it said before.
  expect(await page.getByRole("heading", { level: 1 }).allTextContents()).toEqual([HEADINGS[standing]]);
}

/** The text that a person sees there: nothing that is hidden or folded up. */
export function shownIn(place: Locator): Promise<string> {
  // biome-ignore lint/performance/useDomNodeTextContent: what is rendered is what counts
  return place.innerText();
}
