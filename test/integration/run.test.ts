// `make run` and `make try` as a user has them: the compiled command as a process, a real server, a real Envoy. Every
// case also looks at what is left afterwards, which must be nothing.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer as createHttpServer, type Server } from "node:http";
import { connect } from "node:http2";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { projectPath } from "../../src/project.ts";
import { freePort } from "../free-port.ts";

const MAIN = projectPath("build", "node", "cli", "main.js");
const RUNNING = "Exchanges:";
const execute = promisify(execFile);

let folder: string;
let port: number;
let adminPort: number;
let started: Command | undefined;

beforeAll(() => {
  if (!existsSync(MAIN)) throw new Error(`${MAIN} is not there: run make build`);
});

beforeEach(async () => {
  folder = mkdtempSync(path.join(tmpdir(), "mcp-guard-run-test-"));
  [port, adminPort] = [await freePort(), await freePort()];
});

afterEach(async () => {
  started?.process.kill("SIGKILL");
  for (const pid of started?.everStarted ?? []) if (isRunning(pid)) process.kill(pid, "SIGKILL");
  started = undefined;
  rmSync(folder, { recursive: true, force: true });
});

/** One run of the command. */
interface Command {
  readonly process: ChildProcess;
  /** What it has printed so far, on both streams. */
  output(): string;
  readonly exited: Promise<number | null>;
  /** The processes that it had started when it was last looked at. */
  readonly everStarted: Set<number>;
}

function command(args: string[], env: Record<string, string> = {}): Command {
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { ...process.env, TMPDIR: folder, PORT: String(port), ADMIN_PORT: String(adminPort), ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8");
    stream.on("data", (chunk: string) => {
      text += chunk;
    });
  }
  const exited = new Promise<number | null>((resolve) => child.once("close", resolve));
  started = { process: child, output: () => text, exited, everStarted: new Set() };
  return started;
}

/** Starts `run` and waits until it has printed everything. */
async function running(env: Record<string, string> = {}): Promise<Command> {
  const run = command(["run"], env);
  await expect
    .poll(() => run.output().includes(RUNNING) || run.process.exitCode !== null, { timeout: 25_000 })
    .toBe(true);
  expect(run.output()).toContain(RUNNING);
  for (const pid of descendants(run.process.pid!)) run.everStarted.add(pid);
  return run;
}

/** Runs a command that is expected to end by itself. */
async function ending(
  args: string[],
  env: Record<string, string> = {},
): Promise<{ status: number | null; output: string }> {
  const run = command(args, env);
  const status = await run.exited;
  expectNothingLeft(run);
  return { status, output: run.output() };
}

function expectNothingLeft(run: Command): void {
  expect([...run.everStarted].filter(isRunning), "processes left").toEqual([]);
  const files = readdirSync(folder).filter((name) => name.startsWith("mcp-guard-"));
  expect(files, "files left").toEqual([]);
}

function descendants(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean).map(Number);
  return children.flatMap((child) => [child, ...descendants(child)]);
}

/** Whether a process is there and not just waiting to be collected. */
function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

function policyFile(name: string, text: string): string {
  const file = path.join(folder, name);
  writeFileSync(file, text);
  return file;
}

function callOf(tool: string): string {
  return JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: tool, arguments: {} } });
}

describe("make run without a server of the user's", () => {
  test("prints the policy, lets the MCP client use listed tools only, and ends on SIGTERM with nothing left", async () => {
    const run = await running();
    expect(run.everStarted.size).toBe(2);
    expect(run.output()).toContain("Policy in force (the default policy)");
    expect(run.output()).toMatch(/tools\/call +by list: echo, get-sum +tool_allowlist/);

    const url = `http://127.0.0.1:${port}/mcp`;
    expect(run.output()).toContain(`make try URL=${url}`);
    const { stdout: table } = await execute(process.execPath, [MAIN, "try", url]);
    expect(table).toMatch(/^tools\/call echo +allowed +Echo: hello$/m);
    expect(table).toMatch(/^tools\/call get-sum +allowed +The sum of 2 and 3 is 5\.$/m);
    expect(table).toMatch(/^tools\/list +allowed +2 tools$/m);
    expect(table).toMatch(/^tools\/call system_exec +refused +tool_not_listed \(-32602\)$/m);
    expect(table).toMatch(/^prompts\/get example +refused +prompt_not_listed \(-32602\)$/m);
    expect(table).toMatch(/^resources\/read .*refused +resource_not_listed \(-32602\)$/m);
    await expect.poll(run.output).toMatch(/POST \/mcp 200 {2}refuse tool_not_listed {2}tools\/call system_exec/);

    run.process.kill("SIGTERM");
    expect(await run.exited).toBe(0);
    expectNothingLeft(run);
  });

  test("prints commands that work when they are pasted into a shell", async () => {
    const run = await running();
    const lines = run
      .output()
      .split("\n")
      .filter((line) => line.startsWith("curl "));
    expect(lines).toHaveLength(2);
    const [refused, passed] = await Promise.all(lines.map((line) => execute("bash", ["-c", line])));
    expect(JSON.parse(refused!.stdout)).toMatchObject({ id: 1, error: { data: { reason: "tool_not_listed" } } });
    expect(passed!.stdout).toContain('"serverInfo"');
    const shown = run.output().match(/^node .* audit show .*$/m)?.[0] ?? "";
    await expect
      .poll(async () => (await execute("bash", ["-c", shown], { cwd: projectPath() })).stdout, { timeout: 10_000 })
      // Records stand in the order in which exchanges end, and nobody waits here for the one or the other.
      .toMatch(/^(?=[\s\S]* refuse tool_not_listed .* tools\/call system_exec )(?=[\s\S]* allow .* initialize )/);
    await execute("bash", ["-c", shown.replace("show", "verify --from-start")], { cwd: projectPath() });
  });

  test("speaks cleartext HTTP/2 on the same port", async () => {
    await running();
    const session = connect(`http://127.0.0.1:${port}`);
    const request = session.request({ ":method": "POST", ":path": "/mcp", "content-type": "application/json" });
    request.end(callOf("system_exec"));
    let text = "";
    for await (const chunk of request) text += String(chunk);
    session.close();
    expect(JSON.parse(text)).toMatchObject({ error: { data: { reason: "tool_not_listed" } } });
  });

  test("ends on Ctrl-C, which a terminal sends to all its processes at once", async () => {
    const run = await running();
    for (const pid of [...run.everStarted, run.process.pid!]) process.kill(pid, "SIGINT");
    expect(await run.exited).toBe(0);
    expect(run.output()).not.toContain("by itself");
    expectNothingLeft(run);
  });

  test.each([
    ["Envoy", "envoy"],
    ["@modelcontextprotocol/server-everything", "node"],
  ])("ends with status 1 and says so when %s dies", async (name, program) => {
    const run = await running();
    const victim = [...run.everStarted].find((pid) => readFileSync(`/proc/${pid}/comm`, "utf8").trim() === program);
    process.kill(victim!, "SIGKILL");
    expect(await run.exited).toBe(1);
    expect(run.output()).toContain(`${name} has ended by itself (by SIGKILL)`);
    expectNothingLeft(run);
  });
});

describe("make run with the user's own", () => {
  test("UPSTREAM and ALLOW: only the listed call arrives there", async () => {
    const arrived: string[] = [];
    const server = createHttpServer((request, response) => {
      let body = "";
      request.setEncoding("utf8");
      request.on("data", (chunk: string) => {
        body += chunk;
      });
      // Of a refused call the headers arrive and then the connection ends: only a complete request counts.
      request.on("end", () => {
        arrived.push(`${request.url} ${body}`);
        response.setHeader("content-type", "application/json").end('{"jsonrpc":"2.0","id":1,"result":{}}');
      });
    });
    try {
      const upstream = `http://127.0.0.1:${await listening(server)}/rpc`;
      const run = await running({ UPSTREAM: upstream, ALLOW: "search_code, get_pull_request" });
      expect(run.everStarted.size).toBe(1);
      expect(run.output()).toContain(`in front of           ${upstream}`);
      expect(run.output()).toMatch(/by list: search_code, get_pull_request/);
      const post = async (tool: string) => {
        const headers = { "content-type": "application/json" };
        const response = await fetch(`http://127.0.0.1:${port}/rpc`, { method: "POST", headers, body: callOf(tool) });
        return response.json();
      };
      expect(await post("search_code")).toEqual({ jsonrpc: "2.0", id: 1, result: {} });
      expect(await post("echo")).toMatchObject({ error: { data: { reason: "tool_not_listed" } } });
      expect(arrived).toEqual([`/rpc ${callOf("search_code")}`]);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });

  test.each([
    ["examples/standard/mcp-tool-guard.yaml", /by list: search_code, get_pull_request/],
    ["deploy/istio/base/guard.yaml", /by list: search_code, get_pull_request/],
    ["deploy/istio/rendered/traffic-extension.yaml", /by list: search_code, get_pull_request/],
    ["deploy/istio/components/traffic-extension/copy/guard.yaml", /tools\/call +refused +tool_allowlist/],
  ])("POLICY: %s is taken as it is", async (file, tools) => {
    const run = await running({ POLICY: projectPath(...file.split("/")) });
    expect(run.output()).toMatch(tools);
  });
});

describe("make run says what is wrong and starts nothing:", () => {
  test.each([["PORT"], ["ADMIN_PORT"]])("%s is occupied", async (option) => {
    const server = createHttpServer();
    const occupied = await listening(server);
    try {
      const { status, output } = await ending(["run"], { [option]: String(occupied) });
      expect(output).toBe(
        `mcp-guard run: port ${occupied} is already in use: choose another one with ${option}=<port>\n`,
      );
      expect(status).toBe(1);
    } finally {
      server.close();
    }
  });

  test("nothing listens at UPSTREAM", async () => {
    const { status, output } = await ending(["run"], { UPSTREAM: "http://127.0.0.1:1/mcp" });
    expect(output).toBe("mcp-guard run: UPSTREAM: 127.0.0.1 port 1: nothing listens there (connection refused)\n");
    expect(status).toBe(1);
  });

  test.each([
    ["http://no-such-host.invalid/mcp", "there is no host named no-such-host.invalid"],
    ["127.0.0.1", "this is no URL; expected http://host:port/path"],
    ["https://127.0.0.1:1/mcp", "https: is not supported"],
    ["http://user:secret@127.0.0.1:1/mcp", "a user name or password has no place here"],
  ])("UPSTREAM is %s", async (upstream, message) => {
    const { status, output } = await ending(["run"], { UPSTREAM: upstream });
    expect(output).toContain(message);
    expect(status).toBe(1);
  });

  test("POLICY is not there", async () => {
    const { status, output } = await ending(["run"], { POLICY: "/no/such/policy.yaml" });
    expect(output).toBe("mcp-guard run: POLICY=/no/such/policy.yaml: there is no such file\n");
    expect(status).toBe(1);
  });

  test.each([
    ["policy.yaml", "mode: enforce\ntool_allowlist: [echo\n", /: line 3, column 1: /],
    ["policy.json", '{\n  "tool_allowlist": ["echo",,]\n}\n', /: line 2, column 29: /],
    [
      "policy.yaml",
      "tool_allowlist: [echo]\ntool_allowlist: [get-env]\n",
      /: line 2, column 1: Map keys must be unique/,
    ],
    ["policy.yaml", "- echo\n", /: expected an object with a tool_allowlist, found a list/],
    ["policy.yaml", "", /: expected an object with a tool_allowlist, found nothing/],
    [
      "policy.yaml",
      "kind: Service\n---\nkind: Sidecar\n",
      /: found 0 of 2 objects with a policy, expected one WasmPlugin/,
    ],
    [
      "policy.yaml",
      "kind: WasmPlugin\n---\nkind: TrafficExtension\n",
      /: found 2 of 2 objects with a policy, expected one/,
    ],
    ["policy.yaml", "kind: Service\n---\nkind: [\n", /: line 4, column 1: /],
    ["policy.yaml", "kind: WasmPlugin\nspec: {}\n", /: the WasmPlugin has no spec.pluginConfig/],
    ["policy.yaml", "kind: TrafficExtension\nspec:\n", /: the TrafficExtension has no spec.wasm.pluginConfig/],
  ])("POLICY is a %s that says %j", async (name, text, message) => {
    const { status, output } = await ending(["run"], { POLICY: policyFile(name, text) });
    expect(output).toMatch(message);
    expect(status).toBe(1);
  });

  test("the filter refuses the policy; its own words are shown", async () => {
    const { status, output } = await ending(["run"], { POLICY: policyFile("policy.yaml", "tool_allow: [echo]\n") });
    expect(output).toMatch(/^mcp-guard run: the filter refuses .*policy\.yaml:\n {2}.*tool_allow/);
    expect(status).toBe(1);
  });

  test("ENVOY is not there", async () => {
    const { status, output } = await ending(["run"], { ENVOY: "/no/such/envoy" });
    expect(output).toBe("mcp-guard run: ENVOY=/no/such/envoy: /no/such/envoy does not exist\n");
    expect(status).toBe(1);
  });

  test.each([
    [{ ALLOW: "echo", POLICY: "policy.yaml" }, "ALLOW and POLICY both name a policy"],
    [{ PORT: "http" }, "PORT=http: expected a port number"],
    [{ PORT: "10000", ADMIN_PORT: "10000" }, "PORT and ADMIN_PORT are both 10000"],
  ])("%j contradict themselves (status 2)", async (env, message) => {
    const { status, output } = await ending(["run"], env as Record<string, string>);
    expect(output).toContain(message);
    expect(status).toBe(2);
  });
});

describe("make try", () => {
  test("says how to start a guard where none answers", async () => {
    const url = `http://127.0.0.1:${port}/mcp`;
    const { status, output } = await ending(["try", url]);
    expect(output).toBe(`mcp-guard try: nothing answers at ${url}: start it with make run\n`);
    expect(status).toBe(1);
  });

  test("fails when the shadow tool gets through", async () => {
    const allowed = JSON.stringify({ tool_allowlist: ["echo", "system_exec"] });
    await running({ POLICY: policyFile("policy.json", allowed) });
    const attempt = execute(process.execPath, [MAIN, "try", `http://127.0.0.1:${port}/mcp`]);
    await expect(attempt).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining("system_exec was not refused"),
    });
  });
});
