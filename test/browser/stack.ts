// The approval service as it runs for others: one or more replicas as processes behind one port, a database, and a provider of sign-ins.
// With a guard: a real Envoy with the filter and its token check, and an MCP server that notes what has come through.
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import {
  SECRET_VARIABLE,
  SERVICE_CLUSTER,
  SERVICE_PATH,
  TOKEN_PROVIDER,
  withApproval,
} from "../../src/approval/try/guard-policy.ts";
import { APPROVER_GROUP } from "../../src/approval/try/people.ts";
import { startProvider, type TryProvider } from "../../src/approval/try/provider.ts";
import {
  createSigningKey,
  type ServiceProcess,
  type SigningKey,
  startService,
} from "../../src/approval/try/service-process.ts";
import { buildBootstrap, type Upstream } from "../../src/envoy/bootstrap.ts";
import { addLocalCluster } from "../../src/envoy/local-cluster.ts";
import { type EnvoyProcess, startEnvoy } from "../../src/envoy/process.ts";
import { requireTokens } from "../../src/envoy/token-check.ts";
import { projectPath } from "../../src/project.ts";
import { freePort } from "../free-port.ts";
import { startBalancer } from "./balancer.ts";
import { type GuardSide, guardSide } from "./guard-side.ts";

const CLIENT = { id: "approval-service", secret: "a secret of these tests alone, of no use" };
const FILTER_SECRET = "another-secret-of-these-tests-0123456789";
/** Tokens are for the server under this name, whatever port the guard has. */
const AUDIENCE = "http://127.0.0.1/mcp";

export interface StackOptions {
  /** Default 1. */
  replicas?: number;
  /** The URL of a PostgreSQL database; an SQLite file of the stack's own without it. */
  databaseUrl?: string;
  /** Further settings of the service, for example `PENDING_SECONDS`. */
  settings?: Readonly<Record<string, string>>;
}

/** A running service and what belongs to it. */
export interface Stack {
  /** Where people find it. */
  readonly publicUrl: string;
  readonly filterPort: number;
  readonly filterSecret: string;
  readonly provider: TryProvider;
  readonly signingKey: SigningKey;
  /** What a guard says to it. */
  readonly guard: GuardSide;
  readonly replicas: readonly ServiceProcess[];
  /** What all replicas have logged so far. */
  logs(): string;
  /** Ends a replica in order, or in the middle of what it does, and starts it again with the same settings. */
  restart(index: number, how: "stop" | "kill"): Promise<void>;
  stop(): Promise<void>;
}

export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const ends: (() => unknown)[] = [];
  const stop = async () => {
    for (const end of ends.splice(0).reverse()) await end();
  };
  try {
    const folder = mkdtempSync(path.join(tmpdir(), "mcp-guard-stack-"));
    ends.push(() => rmSync(folder, { recursive: true, force: true }));
    const pages = await startBalancer();
    ends.push(pages.stop);
    const filter = await startBalancer();
    ends.push(filter.stop);
    const publicUrl = `http://localhost:${pages.port}`;
    const provider = await startProvider({
      port: 0,
      audience: AUDIENCE,
      service: { ...CLIENT, redirectUri: `${publicUrl}/callback` },
    });
    ends.push(provider.stop);
    const signingKey = createSigningKey(folder);
    const database =
      options.databaseUrl === undefined ? { file: path.join(folder, "approval.db") } : { url: options.databaseUrl };
    const places: { port: number; filterPort: number; logFile: string }[] = [];
    for (let index = 0; index < (options.replicas ?? 1); index++) {
      const [port, filterPort] = [await freePort(), await freePort()];
      places.push({ port, filterPort, logFile: path.join(folder, `service-${index}.log`) });
    }
    const start = (index: number): Promise<ServiceProcess> =>
      startService({
        publicUrl,
        ...places[index]!,
        database,
        signingKey,
        filterSecret: FILTER_SECRET,
        issuer: provider.issuer,
        client: CLIENT,
        approverGroup: APPROVER_GROUP,
        ...(options.settings !== undefined && { settings: options.settings }),
      });
    const replicas: ServiceProcess[] = [];
    ends.push(() => Promise.all(replicas.map((replica) => replica.stop())));
    for (const index of places.keys()) replicas.push(await start(index));
    pages.setTargets(places.map(({ port }) => port));
    filter.setTargets(places.map(({ filterPort }) => filterPort));
    return {
      publicUrl,
      filterPort: filter.port,
      filterSecret: FILTER_SECRET,
      provider,
      signingKey,
      guard: guardSide(`http://127.0.0.1:${filter.port}${SERVICE_PATH}`, FILTER_SECRET, provider.issuer),
      replicas,
      logs: () => places.map(({ logFile }) => readFileSync(logFile, "utf8")).join(""),
      async restart(index, how) {
        await replicas[index]![how]();
        replicas[index] = await start(index);
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

export interface GuardOptions {
  /** Members that the policy has besides, or instead. */
  policy?: object;
  /** Members of the policy's `approval` that differ. */
  approval?: object;
}

/** A guard in front of an MCP server. */
export interface Guard {
  readonly url: string;
  readonly envoy: EnvoyProcess;
  /** Posts one message of MCP as an agent that works for `login`; without one, without a token. */
  post(message: string, login?: string, signal?: AbortSignal): Promise<Response>;
  stop(): Promise<void>;
}

/** Puts a guard in front of a server, and has it ask the stack's service. Tokens are checked before it. */
export async function startGuard(stack: Stack, upstream: Upstream, options: GuardOptions = {}): Promise<Guard> {
  const wasmPath = projectPath("build", "plugin.wasm");
  if (!existsSync(wasmPath)) throw new Error(`${wasmPath} is not there: run make build`);
  const parts = { ...stack, server: "branches", issuer: stack.provider.issuer };
  const policy = withApproval({ tool_allowlist: ["list_branches", "delete_branch"], ...options.policy }, parts);
  const approval = { ...(policy as { approval?: object }).approval, ...options.approval };
  const environment = { values: { [SECRET_VARIABLE]: stack.filterSecret } };
  const bootstrap = buildBootstrap({
    template: "test",
    wasmPath,
    upstream,
    guards: [{ configuration: { ...policy, approval }, environment }],
  });
  requireTokens(bootstrap, {
    provider: TOKEN_PROVIDER,
    issuer: stack.provider.issuer,
    audience: AUDIENCE,
    jwks: stack.provider.jwks,
  });
  addLocalCluster(bootstrap, SERVICE_CLUSTER, stack.filterPort);
  const envoy = await startEnvoy({ bootstrap });
  const url = `http://127.0.0.1:${envoy.ports.get("guard")}/mcp`;
  return {
    url,
    envoy,
    async post(message, login, signal) {
      const headers = {
        "content-type": "application/json",
        accept: "application/json, text/event-stream",
        ...(login !== undefined && { authorization: `Bearer ${await stack.provider.accessToken(login)}` }),
      };
      return fetch(url, { method: "POST", headers, body: message, ...(signal !== undefined && { signal }) });
    },
    stop: envoy.stop,
  };
}
