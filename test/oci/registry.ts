// Real registries for the tests, each a process of its own on a free port: open, with passwords, with tokens, over
// TLS, or with a disk that is soon full.
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { closeSync, fstatSync, mkdirSync, mkdtempSync, openSync, readSync, rmSync, writeFileSync } from "node:fs";
import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { tmpdir } from "node:os";
import path from "node:path";
import { startChild } from "../../src/child.ts";
import { lastLines } from "../../src/envoy/process.ts";
import { ProgramUnavailableError } from "../debian-program.ts";
import { registryBinary } from "./registry-binary.ts";

const START_TIMEOUT_MS = 20_000;
const START_POLL_MS = 20;
const LOG_BYTES_MAX = 1 << 20;

export interface RegistryOptions {
  /** Who may push and pull, default everybody. */
  readonly auth?: PasswordAuth | { readonly token: TokenAuth };
  /** Serves over TLS, with this certificate and key (PEM). */
  readonly tls?: { readonly certificate: string; readonly key: string };
  /**
   * The size in bytes of the file system that it stores on, where each file takes whole pages of 4 KiB. On 65,536
   * there is place for a few small blobs; a layer of 100 KB gets 500, "no space left on device", and so does what
   * comes after it.
   */
  readonly storageLimitBytes?: number;
}

/** Names and passwords, for Basic authentication. */
export interface PasswordAuth {
  /** The content of an htpasswd file; bcrypt only. */
  readonly htpasswd: string;
  /** The realm of the challenge, default `Registry Realm`. Istio takes none but an http URL of a public host. */
  readonly realm?: string;
}

/** Tokens of a server of their own, for Bearer authentication. */
export interface TokenAuth {
  /** The URL where a client gets a token. */
  readonly realm: string;
  readonly service: string;
  readonly issuer: string;
  /** The certificates (PEM) of the keys that sign. */
  readonly rootCertBundle: string;
}

/** A registry that runs. */
export interface Registry {
  /** `127.0.0.1:port`. */
  readonly host: string;
  readonly port: number;
  /**
   * The end of its log, 1 MiB at most, stopped or not: its own messages, and for each request a line with method and
   * URI, Debian's with the status too, which may come a moment after the answer.
   */
  log(): string;
  /** The folder where it stores, removed when it stops. */
  readonly storage: string;
  /** Ends it and removes its files. Safe to call twice. */
  stop(): Promise<void>;
}

/**
 * Starts Debian's registry (the reference implementation, 2.8) and waits until it answers.
 * @throws ProgramUnavailableError in one sentence, when this machine has none or cannot limit its storage.
 * @throws Error with the end of its log, when it does not start. Nothing is left running in either case.
 */
export async function startRegistry(options: RegistryOptions = {}): Promise<Registry> {
  const binary = await registryBinary();
  const folder = mkdtempSync(path.join(tmpdir(), "mcp-guard-registry-"));
  try {
    const storage = path.join(folder, "storage");
    mkdirSync(storage);
    const serve = [binary, "serve", writeConfiguration(folder, storage, options)];
    const [command = "", ...args] =
      options.storageLimitBytes === undefined ? serve : onSmallDisk(serve, storage, options.storageLimitBytes);
    const server = await startServer({
      name: "docker-registry",
      command,
      args,
      folder,
      listening: /msg="listening on 127\.0\.0\.1:(\d+)/,
      isTls: options.tls !== undefined,
    });
    // The small file system is mounted for the registry alone, and is seen through its process.
    const seen = options.storageLimitBytes === undefined ? storage : path.join(`/proc/${server.pid}/root`, storage);
    return { ...server, storage: seen };
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}

function writeConfiguration(folder: string, storage: string, { auth, tls }: RegistryOptions): string {
  const file = (name: string, content: string): string => {
    writeFileSync(path.join(folder, name), content, { mode: 0o600 });
    return path.join(folder, name);
  };
  const configuration = {
    version: "0.1",
    log: { level: "info", formatter: "text", accesslog: { disabled: false } },
    storage: { filesystem: { rootdirectory: storage }, delete: { enabled: true } },
    http: {
      addr: "127.0.0.1:0",
      secret: randomBytes(16).toString("hex"),
      ...(tls && { tls: { certificate: file("tls.crt", tls.certificate), key: file("tls.key", tls.key) } }),
    },
    ...(auth && { auth: "token" in auth ? tokenAuth(auth.token, file) : passwordAuth(auth, file) }),
  };
  // JSON is YAML.
  return file("config.yml", JSON.stringify(configuration, null, 2));
}

function passwordAuth({ htpasswd, realm = "Registry Realm" }: PasswordAuth, file: WriteFile): object {
  return { htpasswd: { realm, path: file("htpasswd", htpasswd) } };
}

function tokenAuth({ realm, service, issuer, rootCertBundle }: TokenAuth, file: WriteFile): object {
  return { token: { realm, service, issuer, rootcertbundle: file("token.crt", rootCertBundle) } };
}

type WriteFile = (name: string, content: string) => string;

/** The command that runs another with a new file system of a size in bytes over a folder, which nobody else sees. */
function onSmallDisk(command: readonly string[], folder: string, bytes: number): readonly string[] {
  const own = process.getuid?.() === 0 ? ["unshare", "--mount"] : ["unshare", "--map-root-user", "--mount"];
  const inside = (script: string) => [...own, "sh", "-c", script, "sh", String(bytes), folder];
  const mount = 'mount -t tmpfs -o "size=$1" tmpfs "$2"';
  const [program = "", ...args] = inside(mount);
  const { status, stderr, error } = spawnSync(program, args, { encoding: "utf8" });
  if (status !== 0) {
    const reason = error?.message ?? stderr.trim();
    throw new ProgramUnavailableError(`this machine does not let a process mount a file system of its own: ${reason}`);
  }
  return [...inside(`${mount} && shift 2 && exec "$@"`), ...command];
}

/** A registry's program to start. */
export interface ServerProgram {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** The folder of its files, its log among them; removed when it ends. */
  readonly folder: string;
  /** The line of its log that has the port, in group 1. */
  readonly listening: RegExp;
  readonly isTls: boolean;
}

/**
 * Starts a registry's program and waits until `/v2/` answers.
 * @throws Error with the end of its log, when it ends or does not answer within 20 s. Nothing is left running then.
 */
export async function startServer(
  program: ServerProgram,
): Promise<Omit<Registry, "storage"> & { readonly pid: number }> {
  const logFile = path.join(program.folder, "log");
  const output = openSync(logFile, "a");
  // Variables of this name are configuration to Debian's registry and would change what a test starts.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("REGISTRY_")));
  const child = await startChild(program.command, program.args, {
    stdio: ["ignore", output, output],
    env,
    ownFolder: program.folder,
  })
    .catch((error: unknown) => {
      rmSync(program.folder, { recursive: true, force: true });
      throw new Error(`${program.name} could not be started: ${String(error)}`, { cause: error });
    })
    .finally(() => closeSync(output));
  let kept: string | undefined;
  const log = () => kept ?? endOf(logFile);
  const cleaned = child.exited.then(() => {
    kept = endOf(logFile);
    rmSync(program.folder, { recursive: true, force: true });
  });
  const stop = async () => {
    await child.stop();
    await cleaned;
  };

  const deadline = performance.now() + START_TIMEOUT_MS;
  while (child.running() && performance.now() < deadline) {
    const port = Number(program.listening.exec(log())?.[1]);
    if (port > 0 && (await answers(port, program.isTls))) {
      return { pid: child.pid, host: `127.0.0.1:${port}`, port, log, stop };
    }
    await new Promise((resolve) => setTimeout(resolve, START_POLL_MS));
  }
  await stop();
  throw new Error(`${program.name} did not start; its last lines:\n${lastLines(log())}`);
}

/** The last bytes of a file. */
function endOf(file: string): string {
  const handle = openSync(file, "r");
  const { size } = fstatSync(handle);
  const bytes = Buffer.alloc(Math.min(size, LOG_BYTES_MAX));
  const read = readSync(handle, bytes, 0, bytes.length, size - bytes.length);
  closeSync(handle);
  return bytes.toString("utf8", 0, read);
}

/** Whether a registry answers, be it that one has to log in. */
function answers(port: number, isTls: boolean): Promise<boolean> {
  return new Promise((resolve) => {
    const options = { host: "127.0.0.1", port, path: "/v2/", timeout: 1_000, agent: false };
    // Whose certificate it is does not matter for whether it is up.
    const request = isTls ? requestHttps({ ...options, rejectUnauthorized: false }) : requestHttp(options);
    request.once("response", (response) => {
      response.resume();
      resolve(response.statusCode === 200 || response.statusCode === 401);
    });
    request.once("timeout", () => request.destroy());
    request.once("error", () => resolve(false));
    request.once("close", () => resolve(false));
    request.end();
  });
}
