// Where the credentials for a registry come from: the environment, or Docker's configuration file and its helpers.
import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import path from "node:path";
import { GuardError, systemErrorCode } from "../error.ts";

/** What is sent to a registry, or to its token server. */
export type Credentials =
  | { readonly kind: "password"; readonly username: string; readonly password: string; readonly origin: string }
  /** An OAuth 2 refresh token (`identitytoken`), which only a token server takes. */
  | { readonly kind: "identity"; readonly token: string; readonly origin: string }
  /** A token that is sent as it is (`registrytoken`). */
  | { readonly kind: "bearer"; readonly token: string; readonly origin: string };

/** The key of Docker Hub in the configuration file, from the times of the first registry. */
const DOCKER_HUB_KEY = "https://index.docker.io/v1/";
const HELPER_NAME = /^[A-Za-z0-9._-]+$/;
const HELPER_TIMEOUT_MS = 30_000;
const HELPER_OUTPUT_BYTES_MAX = 1 << 20;
/** What helpers print when they have nothing (docker-credential-helpers, `credentials/error.go`). */
const HELPER_HAS_NONE = "credentials not found in native keychain";
/** The user name by which a helper says that the secret is an identity token. */
const TOKEN_USERNAME = "<token>";

interface DockerAuth {
  auth?: string;
  username?: string;
  password?: string;
  identitytoken?: string;
  registrytoken?: string;
}

interface DockerConfig {
  auths?: Record<string, DockerAuth>;
  credHelpers?: Record<string, string>;
  credsStore?: string;
}

/** The path of Docker's configuration file. */
export function dockerConfigFile(env: NodeJS.ProcessEnv): string {
  return path.join(env.DOCKER_CONFIG || path.join(env.HOME || homedir(), ".docker"), "config.json");
}

/**
 * The credentials for a registry, or `undefined` where there are none. `OCI_USERNAME` and `OCI_PASSWORD` come first, then,
 * as Docker does it, the helper for this registry, the helper for all, and the file's own entry.
 * @param registry the host as references name it, with its port.
 * @throws GuardError `ERR_CREDENTIALS` when a source is there and cannot be used: none is passed over in silence.
 */
export async function findCredentials(registry: string, env: NodeJS.ProcessEnv): Promise<Credentials | undefined> {
  const { OCI_USERNAME: username, OCI_PASSWORD: password } = env;
  if (username && password) return { kind: "password", username, password, origin: "OCI_USERNAME and OCI_PASSWORD" };
  if (username || password) {
    const [set, missing] = username ? ["OCI_USERNAME", "OCI_PASSWORD"] : ["OCI_PASSWORD", "OCI_USERNAME"];
    throw problem(`${set} is set and ${missing} is not: set both, or none`);
  }
  const file = dockerConfigFile(env);
  const config = await readConfig(file);
  const key = registry === "docker.io" ? DOCKER_HUB_KEY : registry;
  const helper = ownEntry(config.credHelpers, key) ?? config.credsStore;
  const kept = helper ? await askHelper(helper, key, env) : undefined;
  return kept ?? readEntry(config, key, file);
}

async function readConfig(file: string): Promise<DockerConfig> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return {};
    throw problem(`${file} cannot be read: ${String(error)}`, error);
  }
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  } catch (error) {
    throw problem(`${file} is no JSON: ${String(error)}`, error);
  }
  throw problem(`${file}: expected a JSON object`);
}

/** The entry of a registry. Its key is a host, or in older files a URL with one. */
function readEntry(config: DockerConfig, key: string, file: string): Credentials | undefined {
  const auth =
    ownEntry(config.auths, key) ??
    Object.entries(config.auths ?? {}).find(([name]) => hostOf(name) === hostOf(key))?.[1];
  if (auth === undefined) return undefined;
  const origin = file;
  if (auth.registrytoken) return { kind: "bearer", token: auth.registrytoken, origin };
  if (auth.identitytoken) return { kind: "identity", token: auth.identitytoken, origin };
  if (auth.username && auth.password) {
    return { kind: "password", username: auth.username, password: auth.password, origin };
  }
  if (!auth.auth) return undefined; // `docker login` with a helper leaves an empty entry behind
  const text = Buffer.from(auth.auth, "base64").toString();
  const colon = text.indexOf(":");
  if (colon < 1) throw problem(`${file}: auths["${key}"].auth is not the base64 of user:password`);
  return { kind: "password", username: text.slice(0, colon), password: text.slice(colon + 1), origin };
}

/** Runs `docker-credential-<name> get`, which reads the registry from its input and answers in JSON. */
async function askHelper(name: string, key: string, env: NodeJS.ProcessEnv): Promise<Credentials | undefined> {
  const program = `docker-credential-${name}`;
  if (!HELPER_NAME.test(name))
    throw problem(`Docker's configuration names the credential helper "${name}", which is no name`);
  const { status, stdout, stderr } = await runHelper(program, key, env);
  if (status !== 0) {
    if (stdout.includes(HELPER_HAS_NONE)) return undefined;
    throw problem(
      `${program} get ended with ${status}: ${(stdout.trim() || stderr.trim() || "no output").slice(0, 500)}`,
    );
  }
  try {
    const { Username: username, Secret: secret } = JSON.parse(stdout) as { Username?: unknown; Secret?: unknown };
    if (typeof username === "string" && typeof secret === "string") {
      if (username === TOKEN_USERNAME) return { kind: "identity", token: secret, origin: program };
      return { kind: "password", username, password: secret, origin: program };
    }
  } catch {
    // told below; the output itself may hold the secret and is not shown
  }
  throw problem(`${program} get did not answer with JSON that has Username and Secret`);
}

interface HelperResult {
  status: number | string;
  stdout: string;
  stderr: string;
}

function runHelper(program: string, input: string, env: NodeJS.ProcessEnv): Promise<HelperResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, ["get"], { env, stdio: ["pipe", "pipe", "pipe"], timeout: HELPER_TIMEOUT_MS });
    let stdout = "";
    let stderr = "";
    const keep = (text: string, chunk: Buffer) => (text + chunk.toString()).slice(0, HELPER_OUTPUT_BYTES_MAX);
    child.stdout.on("data", (chunk: Buffer) => {
      stdout = keep(stdout, chunk);
    });
    child.stderr.on("data", (chunk: Buffer) => {
      stderr = keep(stderr, chunk);
    });
    child.stdin.on("error", () => {}); // a helper may end without reading; its status says so
    child.once("error", (error) => {
      const why = systemErrorCode(error) === "ENOENT" ? "is not on the PATH" : String(error);
      reject(problem(`Docker's configuration names a credential helper, and ${program} ${why}`, error));
    });
    child.once("close", (code, signal) => resolve({ status: code ?? signal ?? "an unknown status", stdout, stderr }));
    child.stdin.end(input);
  });
}

/** A configuration file is data: `constructor` is no registry. */
function ownEntry<T>(record: Record<string, T> | undefined, key: string): T | undefined {
  return record !== undefined && Object.hasOwn(record, key) ? record[key] : undefined;
}

function hostOf(key: string): string {
  return key.replace(/^https?:\/\//, "").replace(/\/.*$/, "");
}

function problem(message: string, cause?: unknown): GuardError {
  return new GuardError("ERR_CREDENTIALS", message, cause === undefined ? undefined : { cause });
}
