// `make run OBO=1` as somebody has it who tries it out: the compiled command, the commands that it prints, pasted into a shell, and what they are said to show.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { SERVER_AUDIENCE } from "../../src/on-behalf/trial.ts";
import { projectPath } from "../../src/project.ts";
import { freePort } from "../free-port.ts";

const MAIN = projectPath("build", "node", "cli", "main.js");
const PATIENCE = { timeout: 25_000, interval: 50 } as const;
const PORTS = ["PORT", "ADMIN_PORT", "PROVIDER_PORT"] as const;
const execute = promisify(execFile);

let folder: string;
let ports: Record<string, string>;
let started: ChildProcess | undefined;

beforeEach(async () => {
  if (!existsSync(MAIN)) throw new Error(`${MAIN} is not there: run make build`);
  folder = mkdtempSync(path.join(tmpdir(), "mcp-guard-run-test-"));
  ports = Object.fromEntries(await Promise.all(PORTS.map(async (name) => [name, String(await freePort())])));
});

afterEach(() => {
  started?.kill("SIGKILL");
  started = undefined;
  rmSync(folder, { recursive: true, force: true });
  rmSync(projectPath("build", `audit-${ports.PORT}.log`), { force: true });
});

/** Starts `run` with the variables that `make` would pass on. */
function run(variables: Record<string, string> = {}) {
  const child = spawn(process.execPath, [MAIN, "run"], {
    env: { ...process.env, TMPDIR: folder, OBO: "1", ...ports, ...variables },
    stdio: ["ignore", "pipe", "pipe"],
  });
  started = child;
  let text = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
    });
  }
  return { output: () => text, child, exited: once(child, "close").then(([code]) => code as number | null) };
}

async function running(variables: Record<string, string> = {}) {
  const command = run(variables);
  await expect
    .poll(() => command.output().includes("Exchanges:") || command.child.exitCode !== null, PATIENCE)
    .toBe(true);
  expect(command.output()).toContain("Exchanges:");
  return command;
}

describe("a trial of the exchange of tokens", () => {
  test("prints commands that show two users with other tools and other tokens, and one trail that names both", async () => {
    const command = await running();
    expect(command.output()).toContain("FOR TRYING ONLY");
    const lines = command.output().split("\n");
    const shown: Record<string, unknown[]> = {};
    for (const login of ["alice", "bob"]) {
      const start = lines.findIndex((line) => line.startsWith(`${login.toUpperCase()}=`));
      const calls = lines.slice(start + 1, start + 4);
      expect(
        calls.every((line) => line.startsWith("curl ")),
        calls.join("\n"),
      ).toBe(true);
      // One shell for all of them, as in a terminal; each answer on a line of its own.
      const script = [lines[start], ...calls.flatMap((line) => [line, "echo"])].join("\n");
      const { stdout } = await execute("bash", ["-c", script]);
      shown[login] = stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as unknown);
    }
    const whoIs = (answer: unknown) => {
      const { result } = answer as { result: { content: { text: string }[] } };
      return JSON.parse(result.content[0]!.text) as unknown;
    };
    const act = { sub: "mcp-guard" };
    const names = (answer: unknown) =>
      (answer as { result: { tools: { name: string }[] } }).result.tools.map(({ name }) => name);
    expect(whoIs(shown.alice![0])).toMatchObject({ sub: "alice", aud: SERVER_AUDIENCE, act });
    expect(whoIs(shown.bob![0])).toMatchObject({ sub: "bob", aud: SERVER_AUDIENCE, act });
    expect(names(shown.alice![1])).toEqual(["whoami", "list_branches", "create_branch", "delete_branch"]);
    expect(names(shown.bob![1])).toEqual(["whoami", "list_branches", "create_branch"]);
    expect(shown.alice![2]).toMatchObject({ result: { content: [{ text: "old-experiment is deleted" }] } });
    expect(shown.bob![2]).toMatchObject({ error: { data: { reason: "tool_not_listed" } } });
    expect(command.output()).toContain("the server got a call of delete_branch with a token of alice");
    expect(command.output()).not.toContain("a call of delete_branch with a token of bob");

    const show = lines.find((line) => /^node .* audit show /.test(line)) ?? "";
    await expect
      .poll(async () => (await execute("bash", ["-c", show], { cwd: projectPath() })).stdout, PATIENCE)
      .toMatch(/^(?=[\s\S]* allow .*alice.*delete_branch)(?=[\s\S]* refuse tool_not_listed .*bob.*delete_branch)/);
    await execute("bash", ["-c", show.replace("show", "verify --from-start")], { cwd: projectPath() });

    command.child.kill("SIGINT");
    expect(await command.exited).toBe(0);
    expect(readdirSync(folder).filter((name) => name.startsWith("mcp-guard-"))).toEqual([]);
  });

  test("takes a policy of the user's own, which says alone who may do what", async () => {
    const command = await running({ ALLOW: "list_branches" });
    expect(command.output()).toMatch(/by list: list_branches *\|? *tool_allowlist|by list: list_branches\s/);
    expect(command.output()).not.toContain("create_branch");
    command.child.kill("SIGINT");
    expect(await command.exited).toBe(0);
  });

  test.each([
    [{ APPROVAL: "1" }, "OBO and APPROVAL are two trials"],
    [{ UPSTREAM: "http://127.0.0.1:1/mcp" }, "OBO and UPSTREAM"],
    [{ PROVIDER_PORT: "10000", PORT: "10000" }, "PORT and PROVIDER_PORT are both 10000"],
  ])("says that %j do not go together (status 2)", async (variables, message) => {
    const command = run(variables as Record<string, string>);
    expect(await command.exited).toBe(2);
    expect(command.output()).toContain(message);
  });
});
