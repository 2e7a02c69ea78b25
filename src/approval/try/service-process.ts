// The approval service as a process of its own, the way it runs everywhere: told by its environment, and by nothing else.
import { createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes } from "node:crypto";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { type Child, startChild } from "../../child.ts";
import { lastLines } from "../../envoy/process.ts";
import { GuardError } from "../../error.ts";
import { projectPath } from "../../project.ts";

const START_TIMEOUT_MS = 20_000;
const START_POLL_MS = 50;
/** Longer than the service gives the requests that are under way. */
const STOP_GRACE_MS = 12_000;
const ANSWER_TIMEOUT_MS = 1_000;
const OWNER_ONLY = 0o600;

/** The key that signs receipts, as the service reads it and as the guard's policy names it. */
export interface SigningKey {
  /** PKCS #8, PEM; only its owner can read it. */
  readonly file: string;
  readonly kid: string;
  /** The public half: base64 of the DER SubjectPublicKeyInfo (RFC 5280, section 4.1). */
  readonly spki: string;
}

/** Makes a signing key and writes it into a folder, over one that is there. */
export function createSigningKey(folder: string): SigningKey {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const file = path.join(folder, "signing-key.pem");
  mkdirSync(folder, { recursive: true });
  writeFileSync(file, privateKey.export({ type: "pkcs8", format: "pem" }), { mode: OWNER_ONLY });
  const spki = createPublicKey(createPrivateKey(readFileSync(file))).export({ type: "spki", format: "der" });
  return { file, kid: `trying-${randomBytes(4).toString("hex")}`, spki: spki.toString("base64") };
}

/** What a service is started with. */
export interface ServiceOptions {
  /** Where people find it, without a slash at the end. */
  publicUrl: string;
  /** The port of the pages, on 127.0.0.1. */
  port: number;
  /** The port of the guards, on 127.0.0.1. */
  filterPort: number;
  /** The file of an SQLite database, or the URL of a PostgreSQL one. */
  database: { file: string } | { url: string };
  signingKey: SigningKey;
  /** The secret of the guards. */
  filterSecret: string;
  /** The provider of sign-ins; calls of its issuer are approved by whoever it calls so. */
  issuer: string;
  client: { readonly id: string; readonly secret: string };
  /** The members of which group may approve the calls of others; none when absent. */
  approverGroup?: string;
  /** Where it writes what it logs. */
  logFile: string;
  /** Further settings, for example `PENDING_SECONDS`. */
  settings?: Readonly<Record<string, string>>;
}

/** A running service. */
export interface ServiceProcess {
  readonly pid: number;
  readonly exited: Child["exited"];
  /** The end of its log. */
  lastOutput(): string;
  /** Ends it like an orchestrator does: it finishes what it has begun. */
  stop(): Promise<void>;
  /** Ends it in the middle of whatever it does. */
  kill(): Promise<void>;
}

/**
 * Starts the service that `make build` has compiled, and waits until both of its ports say that they are ready.
 * @throws GuardError `ERR_NOT_BUILT`, or `ERR_ENVOY_START` with the end of its log when it does not come up. Nothing is left running then.
 */
export async function startService(options: ServiceOptions): Promise<ServiceProcess> {
  const program = projectPath("build", "approval", "approval", "main.js");
  if (!existsSync(program)) throw new GuardError("ERR_NOT_BUILT", `${program} is not there: run make build`);
  mkdirSync(path.dirname(options.logFile), { recursive: true });
  const log = openSync(options.logFile, "a", OWNER_ONLY);
  const child = await startChild(process.execPath, [program], {
    stdio: ["ignore", log, log],
    // Nothing of the user's environment: a variable of the same name would be a setting.
    env: environmentOf(options),
  });
  closeSync(log);
  const lastOutput = () => lastLines(readFileSync(options.logFile, "utf8"));
  const deadline = performance.now() + START_TIMEOUT_MS;
  while (!(await isReady(options.port)) || !(await isReady(options.filterPort))) {
    if (!child.running() || performance.now() > deadline) {
      await child.stop();
      throw new GuardError("ERR_ENVOY_START", `the approval service did not start; its last lines:\n${lastOutput()}`);
    }
    await new Promise((resolve) => setTimeout(resolve, START_POLL_MS));
  }
  return {
    pid: child.pid,
    exited: child.exited,
    lastOutput,
    stop: () => child.stop(STOP_GRACE_MS),
    kill: () => child.stop(0),
  };
}

function environmentOf(options: ServiceOptions): NodeJS.ProcessEnv {
  const database =
    "url" in options.database ? { DATABASE_URL: options.database.url } : { DATABASE_FILE: options.database.file };
  return {
    ...database,
    HOST: "127.0.0.1",
    PORT: String(options.port),
    FILTER_PORT: String(options.filterPort),
    PUBLIC_URL: options.publicUrl,
    SIGNING_KEY_FILE: options.signingKey.file,
    SIGNING_KEY_ID: options.signingKey.kid,
    FILTER_SECRET: options.filterSecret,
    OIDC_ISSUER: options.issuer,
    OIDC_CLIENT_ID: options.client.id,
    OIDC_CLIENT_SECRET: options.client.secret,
    PRINCIPALS: JSON.stringify([{ issuer: options.issuer, claim: "sub" }]),
    ...(options.approverGroup !== undefined && {
      APPROVER_GROUPS: JSON.stringify([{ claim: "groups", value: options.approverGroup }]),
    }),
    ...options.settings,
  };
}

async function isReady(port: number): Promise<boolean> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/readyz`, { signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) });
    return response.ok;
  } catch {
    return false;
  }
}
