// `mcp-guard run`: Envoy with the guard in front of one MCP server, for trying a policy by hand.
import { existsSync, rmSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import type { TrialPorts } from "../../approval/try/trial.ts";
import type { Exit } from "../../child.ts";
import type { AccessEntry } from "../../envoy/access-log.ts";
import { envoyBinary } from "../../envoy/binary.ts";
import { buildBootstrap, type Upstream } from "../../envoy/bootstrap.ts";
import { filterComplaints, parseFilterLine } from "../../envoy/filter-log.ts";
import { type EnvoyProcess, lastLines, startEnvoy } from "../../envoy/process.ts";
import { DEFAULT_ENVOY_VERSION } from "../../envoy/versions.ts";
import { GuardError } from "../../error.ts";
import { isLoopback } from "../../loopback.ts";
import { entryText, methodTable, openedBy, policyNotes, verdictText } from "../../policy/method-table.ts";
import { projectPath } from "../../project.ts";
import { renderColumns } from "../columns.ts";
import type { Command, CommandContext } from "../command.ts";
import { type DemoServer, startDemoServer } from "../demo-server.ts";
import { checkPortFree, checkReachable, parsePort, parseServerUrl, type ServerUrl } from "../network.ts";
import { type PolicySource, readPolicy } from "../policy-source.ts";
import { isSwitchedOn } from "../switch.ts";
import type { Trial } from "../trial.ts";
import { curlCall } from "../trial-lines.ts";

const USAGE = `usage: mcp-guard run [options]

Starts Envoy with the guard in front of an MCP server and prints the policy in force. Ctrl-C ends it.
Each option can also be given by the environment variable named with it (make run PORT=8080).

  --port <n>               PORT            the guard's port on 127.0.0.1 (10000)
  --admin-port <n>         ADMIN_PORT      Envoy's admin port on 127.0.0.1 (9901)
  --upstream <url>         UPSTREAM        the MCP server, http://host:port/path
                                           (none: a demonstration server is started)
  --allow <a,b>            ALLOW           the tools to allow, separated by commas
  --policy <file>          POLICY          a pluginConfig in YAML or JSON, a WasmPlugin, or a
                                           TrafficExtension
  --envoy-version <v>      ENVOY_VERSION   a pinned Envoy version (${DEFAULT_ENVOY_VERSION})
                           ENVOY           the path of an Envoy binary to use instead
  --wasm <file>            WASM            another build of the filter (build/plugin.wasm)

  --approval               APPROVAL=1      flagged calls wait for a person's approval: starts the approval
                                           service, a provider of sign-ins for trying, and, without
                                           UPSTREAM, a server with branches to delete
  --approval-port <n>      APPROVAL_PORT   the port of the service's pages on 127.0.0.1 (8080)
  --filter-port <n>        FILTER_PORT     the port of the service for the guard (8081)
  --provider-port <n>      PROVIDER_PORT   the port of the provider of sign-ins (8082)

  --on-behalf              OBO=1           the server gets a token of its own for each caller: starts a provider
                                           of tokens for trying (PROVIDER_PORT), and a server that takes no others
`;

/** Where the servers that are started here have their MCP endpoint. */
const MCP_PATH = "/mcp";
const SELF_TEST_PATH = "/mcp-guard/self-test";
const SELF_TEST_TIMEOUT_MS = 5_000;
/** How the filter begins to say that it has not taken its configuration. */
const REFUSED_CONFIGURATION = /configuration refused/;

interface RunOptions {
  port: number;
  adminPort: number;
  upstream: string | undefined;
  allow: string | undefined;
  policy: string | undefined;
  envoyVersion: string;
  wasm: string | undefined;
  /** The ports of a trial of approvals; undefined without one. */
  approval: TrialPorts | undefined;
  /** The provider's port in a trial of the exchange of tokens; undefined without one. */
  onBehalf: number | undefined;
}

/** The server's name at the approval service when it is somebody's own. */
const NAMED_SERVER = "mcp-server";
const BRANCH_SERVER = "branches";

/** The server behind the guard, named by the user or started here. */
interface Server {
  upstream: Upstream;
  path: string;
  label: string;
  /** Replaces the client's Host header. */
  hostRewrite: string | undefined;
  demo: DemoServer | undefined;
}

/** Runs until the signal comes or something that it started ends by itself. */
export const run: Command = async (args, context) => {
  const options = readOptions(args, context.env);
  if (options === undefined) {
    context.out(USAGE);
    return 0;
  }
  // Everything that can be checked is checked before anything is downloaded or started.
  const wasm = path.resolve(options.wasm ?? projectPath("build", "plugin.wasm"));
  if (!existsSync(wasm)) throw new GuardError("ERR_NOT_BUILT", `${wasm} is not there: run make build`);
  // Loaded when they are wanted: they bring the provider and an MCP server with them.
  const approvals = options.approval && (await import("../approval-trial.ts"));
  const exchanges = options.onBehalf && (await import("../on-behalf-trial.ts"));
  const otherwise = options.upstream === undefined ? approvals?.BRANCH_TOOLS : undefined;
  const given = await readPolicy(options.policy, options.allow, otherwise);
  for (const [name, port] of Object.entries(portsOf(options))) await checkPortFree(port, name);
  const named = options.upstream === undefined ? undefined : parseServerUrl(options.upstream);
  if (named !== undefined) await checkReachable(named);
  const binary = await envoyBinary(options.envoyVersion, {
    env: context.env,
    signal: context.signal,
    say: context.out,
  });
  context.signal.throwIfAborted();

  const live = new LiveLines(context);
  let trial: Trial | undefined;
  let server: Server | undefined;
  let envoy: EnvoyProcess | undefined;
  try {
    const say = (line: string) => live.out(line);
    if (approvals) {
      trial = await approvals.startApprovalTrial({ ...approvalOptions(options, options.approval!, named), say });
    } else if (exchanges) {
      const hasOwnPolicy = options.policy !== undefined || options.allow !== undefined;
      const serverUrl = guardUrl(options.port, MCP_PATH);
      const ports = { providerPort: options.onBehalf!, serverUrl, say };
      trial = await exchanges.startExchangeTrial(ports, hasOwnPolicy);
    }
    const policy = trial === undefined ? given : { ...given, value: trial.policy(given.value) };
    context.signal.throwIfAborted();
    server = await chooseServer(named, trial, context.signal);
    envoy = await start(binary, wasm, options, policy, server, trial, live);
    await selfTest(envoy, options.port, policy, trial);
    print(options, policy, server, trial, context);
    live.open();
    return await waitForEnd(envoy, server.demo, trial?.process, context);
  } finally {
    await Promise.all([envoy?.stop(), server?.demo?.stop(), trial?.stop()]);
  }
};

function readOptions(args: string[], env: NodeJS.ProcessEnv): RunOptions | undefined {
  const { values } = parseArgs({
    args,
    options: {
      port: { type: "string" },
      "admin-port": { type: "string" },
      upstream: { type: "string" },
      allow: { type: "string" },
      policy: { type: "string" },
      "envoy-version": { type: "string" },
      wasm: { type: "string" },
      approval: { type: "boolean" },
      "approval-port": { type: "string" },
      "filter-port": { type: "string" },
      "provider-port": { type: "string" },
      "on-behalf": { type: "boolean" },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help) return undefined;
  // An empty variable (make run POLICY=) is taken for an absent one, except ALLOW, where it means: no tool at all.
  const named = (flag: string | undefined, variable: string) => flag ?? (env[variable] || undefined);
  const portOf = (flag: string | undefined, variable: string, otherwise: string) =>
    parsePort(named(flag, variable) ?? otherwise, variable);
  const wantsApproval = values.approval ?? isSwitchedOn(env.APPROVAL);
  const wantsExchange = values["on-behalf"] ?? isSwitchedOn(env.OBO);
  const providerPort = () => portOf(values["provider-port"], "PROVIDER_PORT", "8082");
  const options: RunOptions = {
    port: portOf(values.port, "PORT", "10000"),
    adminPort: portOf(values["admin-port"], "ADMIN_PORT", "9901"),
    upstream: named(values.upstream, "UPSTREAM"),
    allow: values.allow ?? env.ALLOW,
    policy: named(values.policy, "POLICY"),
    envoyVersion: named(values["envoy-version"], "ENVOY_VERSION") ?? DEFAULT_ENVOY_VERSION,
    wasm: named(values.wasm, "WASM"),
    approval: wantsApproval
      ? {
          pages: portOf(values["approval-port"], "APPROVAL_PORT", "8080"),
          filter: portOf(values["filter-port"], "FILTER_PORT", "8081"),
          provider: providerPort(),
        }
      : undefined,
    onBehalf: wantsExchange ? providerPort() : undefined,
  };
  if (wantsExchange && wantsApproval) {
    throw new GuardError("ERR_USAGE", "OBO and APPROVAL are two trials: use one of them");
  }
  if (wantsExchange && options.upstream !== undefined) {
    throw new GuardError(
      "ERR_USAGE",
      "OBO and UPSTREAM: the server of this trial is started here, UPSTREAM has no place",
    );
  }
  const taken = new Map<number, string>();
  for (const [name, port] of Object.entries(portsOf(options))) {
    const other = taken.get(port);
    if (other !== undefined) {
      throw new GuardError("ERR_USAGE", `${other} and ${name} are both ${port}: they must differ`);
    }
    taken.set(port, name);
  }
  return options;
}

/** The ports that will be listened on, by the names of their options. */
function portsOf({ port, adminPort, approval, onBehalf }: RunOptions): Record<string, number> {
  return {
    PORT: port,
    ADMIN_PORT: adminPort,
    ...(approval && {
      APPROVAL_PORT: approval.pages,
      FILTER_PORT: approval.filter,
      PROVIDER_PORT: approval.provider,
    }),
    ...(onBehalf !== undefined && { PROVIDER_PORT: onBehalf }),
  };
}

function approvalOptions({ port }: RunOptions, ports: TrialPorts, named: ServerUrl | undefined) {
  return {
    // Two runs at once have two ports.
    folder: projectPath("build", `approval-${port}`),
    ports,
    serverUrl: guardUrl(port, named?.path ?? MCP_PATH),
    server: named === undefined ? BRANCH_SERVER : NAMED_SERVER,
    withBranches: named === undefined,
  };
}

function guardUrl(port: number, path: string): string {
  return `http://127.0.0.1:${port}${path}`;
}

/** The server behind the guard: the user's, or the trial's, or one that is started here. */
async function chooseServer(
  named: ServerUrl | undefined,
  trial: Trial | undefined,
  signal: AbortSignal,
): Promise<Server> {
  if (named !== undefined) return namedServer(named);
  if (trial?.server === undefined) return startDemo(signal);
  const { socketPath, path, label } = trial.server;
  return { upstream: { socketPath }, path, label, hostRewrite: undefined, demo: undefined };
}

async function startDemo(signal: AbortSignal): Promise<Server> {
  const demo = await startDemoServer(signal);
  return {
    upstream: { socketPath: demo.socketPath },
    path: demo.path,
    label: `${demo.name} (started here)`,
    hostRewrite: undefined,
    demo,
  };
}

function namedServer(url: ServerUrl): Server {
  const host = url.host.includes(":") ? `[${url.host}]` : url.host;
  return {
    upstream: { host: url.host, port: url.port },
    path: url.path,
    label: `http://${host}:${url.port}${url.path}`,
    // A server elsewhere is often found by its Host name. One on this machine gets what the client sent, because that
    // is what its own protection against DNS rebinding has to see.
    hostRewrite: isLoopback(url.host) ? undefined : `${host}:${url.port}`,
    demo: undefined,
  };
}

/** What Envoy and the filter say while they run; kept back until the table has been printed, then shown as it comes. */
class LiveLines {
  private readonly context: CommandContext;
  private early: Set<string> | undefined = new Set();

  constructor(context: CommandContext) {
    this.context = context;
  }

  out(line: string): void {
    // Each thread of Envoy configures the filter for itself: what is said meanwhile is said several times.
    if (this.early === undefined) this.context.out(line);
    else this.early.add(line);
  }

  open(): void {
    for (const line of this.early ?? []) this.context.out(line);
    this.early = undefined;
  }
}

async function start(
  binary: string,
  wasm: string,
  options: RunOptions,
  policy: PolicySource,
  server: Server,
  trial: Trial | undefined,
  live: LiveLines,
): Promise<EnvoyProcess> {
  const bootstrap = buildBootstrap({
    template: "run",
    wasmPath: wasm,
    upstream: server.upstream,
    guards: [
      {
        listenPort: options.port,
        configuration: policy.value,
        // Envoy has to be told that the filter may hold headers; the policy alone says whether it does.
        allowOnHeadersStop: policy.value.request_headers === "hold",
        ...(trial !== undefined && { environment: trial.environment }),
      },
    ],
    adminPort: options.adminPort,
    auditLog: auditLog(options.port),
    ...(server.hostRewrite !== undefined && { hostRewrite: server.hostRewrite }),
  });
  trial?.edit(bootstrap);
  // Of this run alone: a trail that begins in the middle of a chain says nothing to somebody who tries it out.
  rmSync(auditLog(options.port), { force: true });
  try {
    return await startEnvoy({
      bootstrap,
      binary,
      logLevel: "warning",
      componentLogLevel: "wasm:info",
      onLog: (line) => {
        const written = parseFilterLine(line);
        // What the filter says of a refusal stands in the line of the exchange already.
        if (written !== undefined && !/^mcp-guard: refused /.test(written.text)) live.out(written.text);
      },
      onAccess: (entry) => {
        if (entry.path !== SELF_TEST_PATH) live.out(renderExchange(entry));
      },
    });
  } catch (error) {
    const complaints = error instanceof GuardError ? filterComplaints(error.message) : [];
    if (complaints.length === 0) throw error;
    throw refusedPolicy(policy, complaints, error);
  }
}

/** Where the records of a run go: two runs at once have two ports. */
function auditLog(port: number): string {
  return projectPath("build", `audit-${port}.log`);
}

function refusedPolicy(policy: PolicySource, said: readonly string[], cause?: unknown): GuardError {
  const refusals = said.filter((line) => REFUSED_CONFIGURATION.test(line));
  const complaints = refusals.length > 0 ? refusals : said;
  const text = complaints.length > 0 ? complaints.join("\n  ") : "it gave no reason; see Envoy's log";
  return new GuardError("ERR_POLICY", `the filter refuses ${policy.origin}:\n  ${text}`, { cause });
}

/**
 * Proves that the guard is in the path and has taken its policy: half a JSON text must be refused by it. The server never
 * sees this request. In monitor mode the guard refuses nothing, so only its log can be looked at.
 */
async function selfTest(
  envoy: EnvoyProcess,
  port: number,
  policy: PolicySource,
  trial: Trial | undefined,
): Promise<void> {
  if (policy.value.mode === "monitor") {
    const refusals = filterComplaints(envoy.logs()).filter((line) => REFUSED_CONFIGURATION.test(line));
    if (refusals.length > 0) throw refusedPolicy(policy, refusals);
    return;
  }
  const token = await trial?.accessToken();
  // No answer at all is judged below, like a wrong one, by what the access log says.
  await fetch(`http://127.0.0.1:${port}${SELF_TEST_PATH}`, {
    method: "POST",
    headers: { "content-type": "application/json", ...(token !== undefined && { authorization: `Bearer ${token}` }) },
    body: "{",
    signal: AbortSignal.timeout(SELF_TEST_TIMEOUT_MS),
  }).catch(() => {});
  const deadline = performance.now() + SELF_TEST_TIMEOUT_MS;
  for (;;) {
    const entry = envoy.accessLog().find(({ path }) => path === SELF_TEST_PATH);
    const details = entry?.response_code_details ?? "";
    if (entry !== undefined && details.startsWith("mcp_guard.") && details !== "mcp_guard.config_invalid") return;
    if (entry !== undefined || performance.now() > deadline) {
      const complaints = filterComplaints(envoy.logs());
      if (complaints.length > 0) throw refusedPolicy(policy, complaints);
      const found = details === "" ? "no entry in the access log" : details;
      const tail = lastLines(envoy.logs());
      throw new GuardError(
        "ERR_ENVOY_START",
        `the guard did not refuse a broken message (${found}); Envoy's last lines:\n${tail}`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function print(
  options: RunOptions,
  policy: PolicySource,
  server: Server,
  trial: Trial | undefined,
  context: CommandContext,
): void {
  const url = guardUrl(options.port, server.path);
  const rows = methodTable(policy.value).map((row) => [
    row.entries.map(entryText).join(", "),
    verdictText(row),
    row.openedBy.join(", "),
  ]);
  const trail = path.relative(process.cwd(), auditLog(options.port));
  const lines = [
    "",
    `Policy in force (${policy.origin}):`,
    "",
    ...renderColumns(["method", "verdict", "opened by"], rows, [46, 44, 24]),
    "",
    ...policyNotes(policy.value),
    "",
    `The guard listens on  ${url}  (HTTP/1.1 and cleartext HTTP/2)`,
    `in front of           ${server.label}`,
    `Envoy's admin         http://127.0.0.1:${options.adminPort}`,
    `The audit trail       ${trail}`,
    ...(trial?.places ?? []),
    "",
    "To try in another terminal:",
    "",
    ...(trial?.lines(url) ?? callLines(url)),
    "# who asked for what, and what came of it",
    `node build/node/cli/main.js audit show ${trail}`,
    "",
    "Ctrl-C ends everything that was started. Exchanges:",
  ];
  for (const line of lines) context.out(line);
}

function callLines(url: string): string[] {
  const exec = {
    jsonrpc: "2.0",
    id: 1,
    method: "tools/call",
    params: { name: "system_exec", arguments: { cmd: "id" } },
  };
  const hello = {
    jsonrpc: "2.0",
    id: 1,
    method: "initialize",
    params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "curl", version: "1" } },
  };
  return [
    "# the MCP client SDK: lists, an allowed call, refused ones",
    url === "http://127.0.0.1:10000/mcp" ? "make try" : `make try URL=${url}`,
    "# a tool that nobody listed: refused before the server sees it",
    curlCall(url, exec),
    "# the handshake: passes, and the server answers",
    curlCall(url, hello),
  ];
}

function renderExchange(entry: AccessEntry): string {
  const time = entry.start_time.slice(11, 19);
  const verdict = [entry.mcp_decision, entry.mcp_reason].filter((part) => part !== null && part !== "").join(" ");
  const subject = [entry.mcp_method, entry.mcp_tool].filter((part) => part !== null && part !== "").join(" ");
  const request = `${entry.method ?? "-"} ${entry.path ?? "-"} ${entry.response_code}`;
  const member = openedBy(entry.mcp_reason ?? "");
  const hint = member === undefined ? "" : `  (opened by ${member})`;
  const removed = entry.mcp_removed === null ? "" : `  (left out of the answer: ${entry.mcp_removed})`;
  return `${time}  ${request}  ${verdict || "-"}  ${subject || (entry.response_code_details ?? "-")}${hint}${removed}`;
}

async function waitForEnd(
  envoy: EnvoyProcess,
  demo: DemoServer | undefined,
  further: Trial["process"],
  context: CommandContext,
): Promise<number> {
  const asked = new Promise<"asked">((resolve) => {
    if (context.signal.aborted) resolve("asked");
    context.signal.addEventListener("abort", () => resolve("asked"), { once: true });
  });
  const ends: Promise<"asked" | [string, Exit, () => string]>[] = [
    asked,
    envoy.exited.then((exit) => ["Envoy", exit, () => lastLines(envoy.logs())]),
  ];
  if (demo !== undefined) ends.push(demo.exited.then((exit) => [demo.name, exit, demo.lastOutput]));
  if (further !== undefined) ends.push(further.exited.then((exit) => [further.name, exit, further.lastOutput]));
  const end = await Promise.race(ends);
  // Ctrl-C in a terminal reaches all processes at once: a child that ends first then ended because it was asked to.
  if (end !== "asked") await Promise.race([asked, new Promise((resolve) => setTimeout(resolve, 100))]);
  if (context.signal.aborted || end === "asked") {
    context.out("\nended");
    return 0;
  }
  const [what, exit, tail] = end;
  const how = exit.signal === null ? `with status ${exit.code}` : `by ${exit.signal}`;
  throw new GuardError("ERR_ENVOY_EXIT", `${what} has ended by itself (${how}); its last lines:\n${tail()}`);
}
