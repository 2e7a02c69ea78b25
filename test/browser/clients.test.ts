// The official MCP clients in front of a call that has to be approved: each learns of the link in the form that it knows, and gets the server's answer
// once alice has approved the call there. Real Envoy, real service, real browser, and the servers of the same generation.
import {
  type CallToolRequest,
  Client as ModernClient,
  StreamableHTTPClientTransport as ModernTransport,
  ProtocolError,
} from "@modelcontextprotocol/client";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { UrlElicitationRequiredError } from "@modelcontextprotocol/sdk/types.js";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type BranchServer, startBranchServer } from "../../src/approval/try/branch-server.ts";
import { startModern } from "../integration/mcp-servers.ts";
import { launchBrowser, openWindow, type Window } from "./browser.ts";
import { approve, expectStanding, signIn } from "./person.ts";
import { type Guard, type Stack, startGuard, startStack } from "./stack.ts";

const INFO = { name: "mcp-guard-test", version: "1.0.0" };
const TIMEOUT_MS = 30_000;
const LINK = /http:\/\/localhost:\d+\/a\/[\w-]{22}/;

let browser: Browser;
let stack: Stack;
let modern: Awaited<ReturnType<typeof startModern>>;
let branches: BranchServer;
/** One in front of each server; the last one tells clients of 2025-11-25 in their own way. */
let modernGuard: Guard;
let legacyGuard: Guard;
let elicitingGuard: Guard;
let window: Window;
let calls = 0;

beforeAll(async () => {
  const settings = { OPEN_PER_PRINCIPAL: "100", PER_HOUR: "1000" };
  [browser, stack, modern, branches] = await Promise.all([
    launchBrowser(),
    startStack({ settings }),
    startModern(),
    startBranchServer(),
  ]);
  const approval = { hold_seconds: 2 };
  [modernGuard, legacyGuard, elicitingGuard] = await Promise.all([
    startGuard(stack, { host: "127.0.0.1", port: modern.port }, { approval }),
    startGuard(stack, branches, { approval }),
    startGuard(stack, branches, { approval: { ...approval, legacy_carrier: "url_elicitation" } }),
  ]);
  window = await openWindow(browser);
  await signIn(window.page, `${stack.publicUrl}/passkeys`, "alice");
  await window.page.getByRole("button", { name: "Add a passkey" }).click();
  await window.page.getByRole("heading", { name: "Yours (1)" }).waitFor();
});

afterAll(async () => {
  await browser?.close();
  await Promise.all([modernGuard, legacyGuard, elicitingGuard].map((guard) => guard?.stop()));
  await Promise.all([modern?.stop(), branches?.stop(), stack?.stop()]);
});

/** A call that no other test makes. */
const newCall = () => ({ name: "delete_branch", arguments: { branch: `feature/${++calls}` } });

async function approveAt(link: string): Promise<void> {
  await window.page.goto(link);
  await approve(window.page);
  await window.page.getByRole("heading", { name: /^Approved/ }).waitFor();
}

async function headers(): Promise<{ headers: Record<string, string> }> {
  return { headers: { authorization: `Bearer ${await stack.provider.accessToken("alice")}` } };
}

/** A client of 2026-07-28. @param onLink is called with a link that it is to show; absent, it says that it can show none. */
async function connectModern(onLink?: (link: string) => "accept" | "decline" | "cancel"): Promise<ModernClient> {
  const capabilities = onLink === undefined ? {} : { elicitation: { url: {} } };
  const client = new ModernClient(INFO, { capabilities, versionNegotiation: { mode: { pin: "2026-07-28" } } });
  if (onLink !== undefined) {
    client.setRequestHandler("elicitation/create", ({ params }) => ({
      action: onLink(String(Reflect.get(params, "url"))),
    }));
  }
  await client.connect(new ModernTransport(new URL(modernGuard.url), { requestInit: await headers() }));
  return client;
}

async function connectLegacy(guard: Guard): Promise<Client> {
  const client = new Client(INFO, { capabilities: { elicitation: { url: {} } } });
  await client.connect(new StreamableHTTPClientTransport(new URL(guard.url), { requestInit: await headers() }));
  return client;
}

const callModern = (client: ModernClient, call: ReturnType<typeof newCall>) =>
  client.callTool(call as CallToolRequest["params"], { timeout: TIMEOUT_MS });
const callLegacy = (client: Client, call: ReturnType<typeof newCall>) =>
  client.callTool(call, undefined, { timeout: TIMEOUT_MS });
const textOf = (result: object) => JSON.stringify(result);

describe("the client of 2026-07-28", () => {
  test("shows the link, waits without asking again, and gets the answer of the one call that was forwarded", async () => {
    const before = modern.called.length;
    const links: string[] = [];
    let approved: Promise<void> | undefined;
    const client = await connectModern((link) => {
      links.push(link);
      approved = approveAt(link);
      return "accept";
    });
    try {
      const result = await callModern(client, newCall());
      expect(textOf(result)).toContain(`delete_branch {\\"branch\\":\\"feature/${calls}\\"}`);
      await approved;
      await expectStanding(window.page, "claimed");
      expect(links).toEqual([expect.stringMatching(LINK)]);
      expect(modern.called.slice(before).filter((call) => call.startsWith("tools/call"))).toEqual([
        "tools/call delete_branch",
      ]);
    } finally {
      await client.close();
    }
  });

  test.each(["decline", "cancel"] as const)(
    "gets a refusal when its user answers the question with %s",
    async (action) => {
      const before = modern.called.length;
      const client = await connectModern(() => action);
      try {
        const error = await callModern(client, newCall()).catch((thrown: unknown) => thrown);
        expect(error).toBeInstanceOf(ProtocolError);
        expect((error as ProtocolError).data).toMatchObject({ reason: "approval_denied" });
        expect(modern.called.slice(before)).not.toContain("tools/call delete_branch");
      } finally {
        await client.close();
      }
    },
  );

  test("reads the link in the result of the tool when it cannot show any, and may call again", async () => {
    const before = modern.called.length;
    const client = await connectModern();
    const call = newCall();
    try {
      const waiting = await callModern(client, call);
      expect(waiting.isError).toBe(true);
      expect(modern.called.slice(before)).not.toContain("tools/call delete_branch");
      await approveAt(LINK.exec(textOf(waiting))![0]);
      expect((await callModern(client, call)).isError).not.toBe(true);
      expect(modern.called.slice(before).filter((one) => one === "tools/call delete_branch")).toHaveLength(1);
    } finally {
      await client.close();
    }
  });
});

describe("a client of 2025-11-25", () => {
  test("reads the link in the result of the tool, and may call again", async () => {
    const before = branches.calls.length;
    const client = await connectLegacy(legacyGuard);
    const call = newCall();
    try {
      const waiting = await callLegacy(client, call);
      expect(waiting.isError).toBe(true);
      expect(branches.calls).toHaveLength(before);
      await approveAt(LINK.exec(textOf(waiting))![0]);
      expect(textOf(await callLegacy(client, call))).toContain("feature/");
      expect(branches.calls).toHaveLength(before + 1);
    } finally {
      await client.close();
    }
  });

  test("is told which page to show, where the policy says that clients can, and may call again", async () => {
    const before = branches.calls.length;
    const client = await connectLegacy(elicitingGuard);
    const call = newCall();
    try {
      const error = await callLegacy(client, call).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(UrlElicitationRequiredError);
      const [elicitation] = (error as UrlElicitationRequiredError).elicitations;
      expect(elicitation).toMatchObject({ mode: "url", url: expect.stringMatching(LINK) });
      expect(elicitation!.url.endsWith(`/a/${elicitation!.elicitationId}`)).toBe(true);
      expect(branches.calls).toHaveLength(before);
      await approveAt(elicitation!.url);
      await callLegacy(client, call);
      expect(branches.calls).toHaveLength(before + 1);
    } finally {
      await client.close();
    }
  });
});
