// A person in front of a browser: a window of its own, with nothing of the others', and a passkey device that no test has to press.
import { mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { type Browser, type BrowserContext, type CDPSession, chromium, type Page } from "playwright-core";
import { expect } from "vitest";
import { projectPath } from "../../src/project.ts";
import { findChromium } from "./chromium.ts";

const ACTION_TIMEOUT_MS = 10_000;
const SHOTS = projectPath("test", "browser", "shots");

/** The two widths that are looked at. */
export const WIDTHS = { phone: { width: 360, height: 740 }, desktop: { width: 1280, height: 860 } } as const;
export type Width = keyof typeof WIDTHS;
export type Scheme = "light" | "dark";

export interface WindowOptions {
  width?: Width;
  scheme?: Scheme;
  /** Default: true. */
  javaScript?: boolean;
  /** Default: true; false is a browser without any passkey device. */
  passkeys?: boolean;
}

/** One person's window. */
export interface Window {
  readonly page: Page;
  readonly context: BrowserContext;
  /** What the page has written to the console as an error, what it has thrown, and what its policy has blocked. */
  readonly complaints: readonly string[];
  /** Whether the device recognises its owner from now on: the finger, the face, the PIN. */
  recogniseOwner(does: boolean): Promise<void>;
  /** How many passkeys the device has. */
  passkeys(): Promise<number>;
  close(): Promise<void>;
}

/** Starts the browser. The flags make it neither laxer nor stricter than the one that people have. */
export async function launchBrowser(): Promise<Browser> {
  const { executable, env } = await findChromium();
  return chromium.launch({
    executablePath: executable,
    env: { ...process.env, ...env } as Record<string, string>,
    // Chromium has no sandbox for root, which is what tests in containers are.
    args: [...(process.getuid?.() === 0 ? ["--no-sandbox"] : []), "--disable-gpu", "--font-render-hinting=none"],
  });
}

/** Opens a window with its own cookies and its own passkey device. */
export async function openWindow(browser: Browser, options: WindowOptions = {}): Promise<Window> {
  const { width = "desktop", scheme = "light", javaScript = true, passkeys = true } = options;
  const context = await browser.newContext({
    viewport: WIDTHS[width],
    colorScheme: scheme,
    javaScriptEnabled: javaScript,
    reducedMotion: "reduce",
  });
  context.setDefaultTimeout(ACTION_TIMEOUT_MS);
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(message.text());
  });
  const session = await context.newCDPSession(page);
  const device = passkeys ? await addDevice(session) : undefined;
  const deviceId = () => {
    if (device === undefined) throw new Error("this window has no passkey device");
    return device;
  };
  return {
    page,
    context,
    complaints,
    async recogniseOwner(does) {
      await session.send("WebAuthn.setUserVerified", { authenticatorId: deviceId(), isUserVerified: does });
    },
    async passkeys() {
      return (await session.send("WebAuthn.getCredentials", { authenticatorId: deviceId() })).credentials.length;
    },
    close: () => context.close(),
  };
}

/** A device inside the computer, like a fingerprint reader (Chrome DevTools Protocol, domain WebAuthn). */
async function addDevice(session: CDPSession): Promise<string> {
  await session.send("WebAuthn.enable");
  const { authenticatorId } = await session.send("WebAuthn.addVirtualAuthenticator", {
    options: {
      protocol: "ctap2",
      ctap2Version: "ctap2_1",
      transport: "internal",
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  });
  return authenticatorId;
}

/** Keeps a picture of the whole page under `test/browser/shots/`, for people to look at. */
export async function shoot(page: Page, name: string): Promise<void> {
  mkdirSync(SHOTS, { recursive: true });
  await page.screenshot({ path: path.join(SHOTS, `${name}.png`), fullPage: true });
}

/** That axe finds nothing on the page, and that nothing of it lies outside of the window's width. */
export async function expectAccessible(page: Page): Promise<void> {
  // Through the debugger: the page's own policy lets no foreign script in.
  await page.evaluate(axeSource());
  const violations = await page.evaluate(async () => {
    const { axe } = globalThis as unknown as { axe: { run(): Promise<{ violations: AxeViolation[] }> } };
    return (await axe.run()).violations.map(
      ({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html)}`,
    );
  });
  expect(violations, `what axe finds at ${page.url()}`).toEqual([]);
  const overflow = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth");
  expect(overflow, "pixels by which the page is wider than the window").toBe(0);
}

interface AxeViolation {
  id: string;
  help: string;
  nodes: { html: string }[];
}

let axe: string | undefined;

function axeSource(): string {
  axe ??= (createRequire(import.meta.url)("axe-core") as { source: string }).source;
  return axe;
}
