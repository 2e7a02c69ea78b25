// The whole way of a call that has to be approved: an agent with alice's token, a real Envoy with the guard, the service, alice's browser, and the MCP
// server. Goal: the server gets the call that alice has seen, byte for byte and once, and no other; whatever is missing on the way, it gets nothing.
import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type BranchServer, startBranchServer } from "../../src/approval/try/branch-server.ts";
import { launchBrowser, openWindow, type Window } from "./browser.ts";
import { approve, deny, expectStanding, signIn } from "./person.ts";
import { type Guard, type Stack, startGuard, startStack } from "./stack.ts";

const PATIENCE = { timeout: 15_000, interval: 50 } as const;
const LINK = /http:\/\/localhost:\d+\/a\/[\w-]{22}/;
/** Long enough that nothing which is held here is given up while a browser is at work. */
const HOLD_SECONDS = 60;

let browser: Browser;
let stack: Stack;
let server: BranchServer;
/** Two guards in front of the server: one holds a call for as long as a test takes, the other hardly at all. */
let patient: Guard;
let hasty: Guard;
let window: Window;
let calls = 0;

beforeAll(async () => {
  const settings = { OPEN_PER_PRINCIPAL: "100", PER_HOUR: "1000" };
  [browser, stack, server] = await Promise.all([launchBrowser(), startStack({ settings }), startBranchServer()]);
  [patient, hasty] = await Promise.all([
    startGuard(stack, server, { approval: { hold_seconds: HOLD_SECONDS } }),
    startGuard(stack, server, { approval: { hold_seconds: 1 } }),
  ]);
  window = await openWindow(browser);
  await signIn(window.page, `${stack.publicUrl}/passkeys`, "alice");
  await window.page.getByRole("button", { name: "Add a passkey" }).click();
  await window.page.getByRole("heading", { name: "Yours (1)" }).waitFor();
});

afterEach(() => {
  for (const guard of [patient, hasty]) expect(guard.envoy.logs()).not.toMatch(/RuntimeError|wasm trap|Uncaught/i);
});

afterAll(async () => {
  await browser?.close();
  await patient?.stop();
  await hasty?.stop();
  await server?.stop();
  await stack?.stop();
});

/** The text of a call that no other test makes, with spaces and numbers as no serialiser would write them. */
function newCall(branch = `feature/${++calls}`): string {
  return `{ "jsonrpc" : "2.0", "id": ${calls + 1000}, "method":"tools/call",\n "params": {"arguments": {"depth":1.50, "branch": "${branch}" }, "name":"delete_branch"} }`;
}

/** The bodies of the calls that have reached the server, as they came. */
const arrived = () => server.calls.map(({ body }) => body);

/** Alice goes to her list and opens the call with this text on its page. */
async function openCall(text: string): Promise<void> {
  const { page } = window;
  const branch = /"branch": "([^"]+)"/.exec(text)![1]!;
  const waiting = page.getByRole("region", { name: /^Waiting/ });
  const load = async () => {
    await page.goto(`${stack.publicUrl}/`);
    return waiting.getByRole("link").count();
  };
  await expect.poll(load, PATIENCE).toBeGreaterThan(0);
  for (let index = 0; ; index++) {
    const link = waiting.getByRole("link").nth(index);
    expect(await link.count(), `a call about ${branch}`).toBe(1);
    await link.click();
    const shown = page.getByText(branch, { exact: true });
    await page.getByRole("heading", { name: "Arguments" }).waitFor();
    if ((await shown.count()) > 0) return;
    await page.goBack();
  }
}

interface Refusal {
  id: unknown;
  error: { data: { reason: string } };
}

const reasonIn = async (response: Response) => ((await response.json()) as Refusal).error.data.reason;

describe("a call that waits", () => {
  test("goes to the server when alice has approved it: as it came, once, and the agent gets its answer", async () => {
    const before = arrived().length;
    const text = newCall();
    const answer = patient.post(text, "alice");
    await openCall(text);
    expect(arrived()).toHaveLength(before);
    await approve(window.page);
    const response = await answer;
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({ id: JSON.parse(text).id, result: { content: [{ type: "text" }] } });
    expect(arrived().slice(before)).toEqual([text]);
    await expectStanding(window.page, "claimed");
  });

  test("never reaches it when she has denied it", async () => {
    const before = arrived().length;
    const text = newCall();
    const answer = patient.post(text, "alice");
    await openCall(text);
    await deny(window.page, "not that one");
    expect(await reasonIn(await answer)).toBe("approval_denied");
    expect(arrived()).toHaveLength(before);
  });

  test("waits again when anything about it is different", async () => {
    const before = arrived().length;
    const text = newCall();
    await hasty.post(text, "alice");
    await openCall(text);
    await approve(window.page);
    await expectStanding(window.page, "approved");
    for (const [other, login] of [
      [text.replace("1.50", "1.5"), "alice"],
      [text.replace('"branch"', '"force":true,"branch"'), "alice"],
      [text, "bob"],
    ] as const) {
      expect(await (await hasty.post(other, login)).text()).toMatch(LINK);
    }
    expect(arrived()).toHaveLength(before);
    // Spaces and the order of members are not what alice has decided about.
    const same = `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"delete_branch","arguments":{"branch":"feature/${calls}","depth":1.50}}}`;
    expect(await (await hasty.post(same, "alice")).json()).toMatchObject({ id: 7, result: {} });
    expect(arrived().slice(before)).toEqual([same]);
    // Used up: the very same text waits for another approval.
    expect(await (await hasty.post(same, "alice")).text()).toMatch(LINK);
    expect(arrived()).toHaveLength(before + 1);
  });
});

describe("a call whose time at the guard is over", () => {
  test("comes back with a link; the same call goes through after it has been approved there", async () => {
    const before = arrived().length;
    const text = newCall();
    const result = (await (await hasty.post(text, "alice")).json()) as {
      result: { isError: boolean; content: { text: string }[] };
    };
    expect(result.result.isError).toBe(true);
    const link = LINK.exec(result.result.content[0]!.text)![0];
    expect(arrived()).toHaveLength(before);
    await window.page.goto(link);
    await approve(window.page);
    await expectStanding(window.page, "approved");
    expect(await (await hasty.post(text, "alice")).json()).toMatchObject({ result: { content: [{}] } });
    expect(arrived().slice(before)).toEqual([text]);
  });

  test("when the agent has hung up, does not reach the server by itself; asked for again, it does, once", async () => {
    const before = arrived().length;
    const text = newCall();
    const gone = new AbortController();
    const lost = patient.post(text, "alice", gone.signal).catch(() => "lost");
    await openCall(text);
    gone.abort();
    expect(await lost).toBe("lost");
    await approve(window.page);
    await expectStanding(window.page, "approved");
    // Several polls later still nobody has taken it.
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    expect(arrived()).toHaveLength(before);
    expect(await (await patient.post(text, "alice")).json()).toMatchObject({ result: {} });
    expect(arrived().slice(before)).toEqual([text]);
  });
});

describe("a call that nobody can approve", () => {
  test("of somebody without a token does not get as far as the guard", async () => {
    expect((await patient.post(newCall())).status).toBe(401);
  });

  test("is refused while the service is down, and waits again when it is back", async () => {
    const before = arrived().length;
    await stack.replicas[0]!.kill();
    try {
      expect(await reasonIn(await hasty.post(newCall(), "alice"))).toBe("approval_unavailable");
    } finally {
      await stack.restart(0, "stop");
    }
    await expect.poll(async () => (await hasty.post(newCall(), "alice")).text(), PATIENCE).toMatch(LINK);
    expect(arrived()).toHaveLength(before);
  });

  test("is not what a call of another tool is: that passes at once", async () => {
    const list = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list_branches"}}';
    expect(await (await patient.post(list, "alice")).json()).toMatchObject({ result: {} });
  });
});

describe("a replica that is ended in the middle", () => {
  test("does not lose the call that is held: another approval of it is not needed", async () => {
    const before = arrived().length;
    const text = newCall();
    const answer = patient.post(text, "alice");
    await openCall(text);
    await stack.restart(0, "kill");
    await window.page.reload();
    await approve(window.page);
    expect(await (await answer).json()).toMatchObject({ result: {} });
    expect(arrived().slice(before)).toEqual([text]);
  });
});
