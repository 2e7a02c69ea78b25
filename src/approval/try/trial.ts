// Everything that a guard needs to have calls approved on one machine: the provider of sign-ins, the service, and a server with something to lose.
import { randomBytes } from "node:crypto";
import { mkdirSync, rmSync } from "node:fs";
import path from "node:path";
import type { Exit } from "../../child.ts";
import type { Bootstrap } from "../../envoy/bootstrap.ts";
import { addLocalCluster } from "../../envoy/local-cluster.ts";
import { requireTokens } from "../../envoy/token-check.ts";
import { type BranchServer, startBranchServer } from "./branch-server.ts";
import { type PolicyParts, SECRET_VARIABLE, SERVICE_CLUSTER, TOKEN_PROVIDER } from "./guard-policy.ts";
import { APPROVER_GROUP } from "./people.ts";
import { startProvider, type TryProvider } from "./provider.ts";
import { createSigningKey, type ServiceProcess, startService } from "./service-process.ts";

export { BRANCH_TOOLS } from "./branch-server.ts";

const OWNER_ONLY = 0o700;
const SECRET_BYTES = 32;

/** Ports on 127.0.0.1. */
export interface TrialPorts {
  /** Of the service's pages. */
  pages: number;
  /** Of the service's part for guards. */
  filter: number;
  /** Of the provider of sign-ins. */
  provider: number;
}

/** What a trial is started with. */
export interface TrialOptions {
  /** Its own folder: the database, which a second trial goes on with, the signing key, and the log of the service. */
  folder: string;
  ports: TrialPorts;
  /** The URL of the guarded server, for which tokens are issued. */
  serverUrl: string;
  /** The id under which the service knows it. */
  server: string;
  /** Whether to start the server with branches too; otherwise the guarded one is somebody's own. */
  withBranches: boolean;
  /** Receives the lines of the provider, and one for each call that has reached the branches. */
  say: (line: string) => void;
}

/** A running trial. */
export interface Trial {
  readonly provider: TryProvider;
  readonly branches: BranchServer | undefined;
  /** Where people find the service. */
  readonly publicUrl: string;
  /** Its own folder. */
  readonly folder: string;
  /** For the policy of the guard. */
  readonly policyParts: PolicyParts;
  /** For the guard's filter: the secret, by which the service knows it. */
  readonly environment: { values: Record<string, string> };
  /** Puts the token check and the service into the bootstrap of an Envoy. */
  edit(bootstrap: Bootstrap): void;
  /** Settles when the service has ended, asked to or not; never rejects. */
  readonly exited: Promise<Exit>;
  /** The end of the service's log. */
  lastOutput(): string;
  stop(): Promise<void>;
}

/**
 * Starts a trial.
 * @throws GuardError as `startService` does, or Error when a port is taken. Nothing is left running then.
 */
export async function startTrial(options: TrialOptions): Promise<Trial> {
  const { folder, ports, serverUrl, say } = options;
  mkdirSync(folder, { recursive: true, mode: OWNER_ONLY });
  const file = (name: string) => path.join(folder, name);
  const publicUrl = `http://localhost:${ports.pages}`;
  const client = { id: "approval-service", secret: newSecret() };
  const filterSecret = newSecret();
  const signingKey = createSigningKey(folder);
  // Of this run alone: the service adds to it.
  rmSync(file("service.log"), { force: true });

  const stops: (() => Promise<void>)[] = [];
  const stop = async () => {
    for (const end of stops.splice(0).reverse()) await end();
  };
  try {
    const provider = await startProvider({
      port: ports.provider,
      audience: serverUrl,
      service: { ...client, redirectUri: `${publicUrl}/callback` },
      say,
    });
    stops.push(provider.stop);
    const service: ServiceProcess = await startService({
      publicUrl,
      port: ports.pages,
      filterPort: ports.filter,
      database: { file: file("approval.db") },
      signingKey,
      filterSecret,
      issuer: provider.issuer,
      client,
      approverGroup: APPROVER_GROUP,
      logFile: file("service.log"),
    });
    stops.push(service.stop);
    const branches = options.withBranches
      ? await startBranchServer(({ tool }) => say(`the server got a call of ${tool}`))
      : undefined;
    if (branches !== undefined) stops.push(branches.stop);
    return {
      provider,
      branches,
      publicUrl,
      folder,
      policyParts: { server: options.server, publicUrl, filterPort: ports.filter, signingKey, issuer: provider.issuer },
      environment: { values: { [SECRET_VARIABLE]: filterSecret } },
      edit(bootstrap) {
        requireTokens(bootstrap, {
          provider: TOKEN_PROVIDER,
          issuer: provider.issuer,
          audience: serverUrl,
          jwks: provider.jwks,
        });
        addLocalCluster(bootstrap, SERVICE_CLUSTER, ports.filter);
      },
      exited: service.exited,
      lastOutput: service.lastOutput,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** A secret of this run alone. */
function newSecret(): string {
  return randomBytes(SECRET_BYTES).toString("base64url");
}
