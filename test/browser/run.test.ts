// `make run APPROVAL=1` and `make try APPROVAL=1` as somebody has them who tries it out: the compiled command, what it says to do, and a browser that
// does it. Afterwards nothing is left of it.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { projectPath } from "../../src/project.ts";
import { freePort } from "../free-port.ts";
import { launchBrowser, openWindow } from "./browser.ts";
import { addPasskey, approve, deny, expectStanding, signIn } from "./person.ts";

const MAIN = projectPath("build", "node", "cli", "main.js");
const RUNNING = "Exchanges:";
const PATIENCE = { timeout: 25_000, interval: 50 } as const;
const PORTS = ["PORT", "ADMIN_PORT", "APPROVAL_PORT", "FILTER_PORT", "PROVIDER_PORT"] as const;

let browser: Browser;
let folder: string;
let ports: Record<(typeof PORTS)[number], string>;
const started: ChildProcess[] = [];

beforeAll(async () => {
  if (!existsSync(MAIN)) throw new Error(`${MAIN} is not there: run make build`);
  browser = await launchBrowser();
});

beforeEach(async () => {
  folder = mkdtempSync(path.join(tmpdir(), "mcp-guard-run-test-"));
  const free = await Promise.all(PORTS.map(freePort));
  ports = Object.fromEntries(PORTS.map((name, index) => [name, String(free[index])])) as typeof ports;
});

afterEach(() => {
  for (const child of started.splice(0)) child.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
  rmSync(trialFolder(), { recursive: true, force: true });
  rmSync(projectPath("build", `audit-${ports.PORT}.log`), { force: true });
});

afterAll(() => browser?.close());

const trialFolder = () => projectPath("build", `approval-${ports.PORT}`);
const pages = () => `http://localhost:${ports.APPROVAL_PORT}`;

interface Command {
  readonly process: ChildProcess;
  output(): string;
  readonly exited: Promise<number | null>;
}

/** Starts the command with the variables that `make` would pass on. */
function command(args: string[], variables: Record<string, string> = {}): Command {
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { ...process.env, TMPDIR: folder, APPROVAL: "1", ...ports, ...variables },
    stdio: ["ignore", "pipe", "pipe"],
  });
  started.push(child);
  let text = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
    });
  }
  return { process: child, output: () => text, exited: once(child, "close").then(([code]) => code as number | null) };
}

async function running(): Promise<Command> {
  const run = command(["run"]);
  await expect.poll(() => run.output().includes(RUNNING) || run.process.exitCode !== null, PATIENCE).toBe(true);
  expect(run.output()).toContain(RUNNING);
  return run;
}

/** What `run` says to type. */
function tryCommand(run: Command): Command {
  const line = /^make try (APPROVAL=1 .*)$/m.exec(run.output())![1]!;
  const variables = Object.fromEntries(line.split(" ").map((pair) => pair.split(/=(.*)/, 2) as [string, string]));
  return command(["try"], variables);
}

function descendants(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean).map(Number);
  return children.flatMap((child) => [child, ...descendants(child)]);
}

function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

describe("a trial of approvals", () => {
  test("says what to do; done, the call waits, is approved, and deletes the branch; Ctrl-C leaves nothing", async () => {
    const run = await running();
    const children = descendants(run.process.pid!);
    expect(children, "Envoy and the service").toHaveLength(2);
    expect(run.output()).toContain(`1. open ${pages()}/ in a browser, sign in as alice`);
    expect(run.output()).toContain("FOR TRYING ONLY");
    expect(run.output()).toMatch(/^provider for trying: /m);

    const attempt = tryCommand(run);
    await expect.poll(attempt.output, PATIENCE).toMatch(/delete_branch .* waits for alice: open /);
    const { page, close } = await openWindow(browser);
    try {
      await signIn(page, `${pages()}/`, "alice");
      await page.getByRole("link", { name: /delete_branch/ }).click();
      expect(run.output()).not.toContain("the server got a call of delete_branch");
      await addPasskey(page);
      await approve(page);
      expect(await attempt.exited).toBe(0);
      expect(attempt.output()).toMatch(/delete_branch (trial-\w+): \1 is deleted/);
      await expectStanding(page, "claimed");

      const second = tryCommand(run);
      await page.goto(`${pages()}/`);
      await page
        .getByRole("region", { name: /^Waiting/ })
        .getByRole("link", { name: /delete_branch/ })
        .click();
      await deny(page);
      expect(await second.exited).toBe(0);
      expect(second.output()).toContain("approval_denied");
      expect(run.output().match(/the server got a call of delete_branch/g)).toHaveLength(1);
    } finally {
      await close();
    }
    for (const pid of [...children, run.process.pid!]) process.kill(pid, "SIGINT");
    expect(await run.exited).toBe(0);
    expect(run.output()).not.toContain("by itself");
    expect(children.filter(isRunning)).toEqual([]);
    expect(readdirSync(folder).filter((name) => name.startsWith("mcp-guard-"))).toEqual([]);
  });

  test("can be run again: whoever had a passkey still has it, and what signs receipts is new", async () => {
    const key = () => readFileSync(path.join(trialFolder(), "signing-key.pem"), "utf8");
    const { page, close } = await openWindow(browser);
    try {
      const run = await running();
      const first = key();
      await signIn(page, `${pages()}/passkeys`, "alice");
      await page.getByRole("button", { name: "Add a passkey" }).click();
      await page.getByRole("heading", { name: "Yours (1)" }).waitFor();
      run.process.kill("SIGTERM");
      expect(await run.exited).toBe(0);
      const again = await running();
      await page.goto(`${pages()}/passkeys`);
      await page.getByRole("heading", { name: "Yours (1)" }).waitFor();
      expect(key()).not.toBe(first);
      again.process.kill("SIGTERM");
      expect(await again.exited).toBe(0);
    } finally {
      await close();
    }
  });

  test("ends with status 1 and says so when the service dies", async () => {
    const run = await running();
    const service = descendants(run.process.pid!).find(
      (pid) => readFileSync(`/proc/${pid}/comm`, "utf8").trim() !== "envoy",
    )!;
    process.kill(service, "SIGKILL");
    expect(await run.exited).toBe(1);
    expect(run.output()).toContain("the approval service has ended by itself (by SIGKILL)");
  });

  test.each(PORTS)("says so when %s is taken, and starts nothing", async (name) => {
    const server = createServer();
    server.listen(Number(ports[name]), "127.0.0.1");
    await once(server, "listening");
    try {
      const run = command(["run"]);
      expect(await run.exited).toBe(1);
      expect(run.output()).toBe(
        `mcp-guard run: port ${ports[name]} is already in use: choose another one with ${name}=<port>\n`,
      );
      expect(existsSync(trialFolder())).toBe(false);
    } finally {
      server.close();
    }
  });

  test("says which two ports are the same", async () => {
    const run = command(["run"], { PROVIDER_PORT: ports.APPROVAL_PORT });
    expect(await run.exited).toBe(2);
    expect(run.output()).toContain(`APPROVAL_PORT and PROVIDER_PORT are both ${ports.APPROVAL_PORT}`);
  });

  test("says how to start one where none answers", async () => {
    const url = `http://127.0.0.1:${ports.PORT}/mcp`;
    const attempt = command(["try", url]);
    expect(await attempt.exited).toBe(1);
    expect(attempt.output()).toBe(`mcp-guard try: nothing answers at ${url}: start it with make run APPROVAL=1\n`);
  });
});
