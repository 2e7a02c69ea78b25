// The programs written in Go that the tests use: Istio's own code (test/mesh/istio), the OpenTelemetry Collector
// (test/mesh/otelcol), and the tools that people push, copy and sign with. Each is built once, into the project's own cache, with
// Go's module and build caches.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { atExit } from "../../src/at-exit.ts";
import { systemErrorCode } from "../../src/error.ts";
import { projectPath } from "../../src/project.ts";

/** What is installed as it was published. Go checks each against its checksum database, so a version is a pin. */
const PUBLISHED = {
  crane: { source: "github.com/google/go-containerregistry/cmd/crane", version: "v0.22.1" },
  oras: { source: "oras.land/oras/cmd/oras", version: "v1.3.6" },
  cosign: { source: "github.com/sigstore/cosign/v3/cmd/cosign", version: "v3.1.2" },
} as const;

/** What puts a collector together from its parts, and which. */
const BUILDER = { source: "go.opentelemetry.io/collector/cmd/builder", version: "v0.165.0" } as const;
const COLLECTOR_PARTS = projectPath("test", "mesh", "otelcol", "builder.yaml");
/** Where the builder puts its work, by that file. */
const COLLECTOR_SOURCES = "otelcol-sources";

const ISTIO_MODULE = projectPath("test", "mesh", "istio");
const BINARIES = projectPath(".cache", "go", "bin");
/** Without the symbols for a debugger, which nobody reads here and which are a third of each binary. */
const LINK = "-ldflags=-s -w";
const LAST_LINES = 5;

export type GoTool = "istio" | "otelcol" | keyof typeof PUBLISHED;

/** Why there is no such tool on this machine. */
export class GoUnavailableError extends Error {}

/**
 * The path of a tool's binary, which is built unless it is there already; without a build cache that can take minutes.
 * Safe to call at the same time as another run: a binary appears under its name only when it is complete.
 * @param say gets a line about what is built, default the console.
 * @throws GoUnavailableError in one sentence, when there is no Go or the build fails.
 */
export async function goTool(name: GoTool, say: (line: string) => void = console.log): Promise<string> {
  const version = versionOf(name);
  const folder = path.join(BINARIES, `${name}-${version}`);
  const binary = path.join(folder, name);
  if (existsSync(binary)) return binary;

  mkdirSync(BINARIES, { recursive: true });
  const work = mkdtempSync(path.join(BINARIES, "building-"));
  const place = path.relative(projectPath(), binary);
  try {
    await build(name, work, (what) => say(`building ${what} into ${place}`));
    moveInto(work, folder, binary);
    removeOthers(name, folder);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return binary;
}

/**
 * The path of the file with Istio's CRDs, of the version that test/mesh/istio/go.mod names.
 * @throws GoUnavailableError in one sentence, when there is no Go or it cannot bring the module.
 */
export async function istioCrds(): Promise<string> {
  const described = await go("file of Istio's CRDs", ["mod", "download", "-json", "istio.io/istio"]);
  const { Dir: folder } = JSON.parse(described) as { Dir: string };
  return path.join(folder, "manifests", "charts", "base", "files", "crd-all.gen.yaml");
}

/** What the name of a binary's folder ends with: where it changes, the binary is built again. */
function versionOf(name: GoTool): string {
  if (name === "istio") return sourcesHash();
  if (name === "otelcol") return createHash("sha256").update(readFileSync(COLLECTOR_PARTS)).digest("hex").slice(0, 16);
  return PUBLISHED[name].version;
}

/** Has Go put a tool's binary into the folder `work`, under its name. */
async function build(name: GoTool, work: string, say: (what: string) => void): Promise<void> {
  if (name === "istio") {
    say(path.relative(projectPath(), ISTIO_MODULE));
    // Without the version control's stamp the binary depends on its sources alone.
    await go(name, ["build", "-buildvcs=false", LINK, "-o", path.join(work, name), "."], { work });
  } else if (name === "otelcol") {
    say(`the collector of ${path.relative(projectPath(), COLLECTOR_PARTS)}`);
    await go(name, ["install", LINK, `${BUILDER.source}@${BUILDER.version}`], { work, env: { GOBIN: work } });
    const builder = path.join(work, "builder");
    // The parts of a release do not always agree on what they need; Go finds what serves all.
    await command(name, builder, ["--config", COLLECTOR_PARTS, "--skip-strict-versioning"], { work, cwd: work });
    const sources = path.join(work, COLLECTOR_SOURCES);
    renameSync(path.join(sources, name), path.join(work, name));
    rmSync(sources, { recursive: true });
    rmSync(builder);
  } else {
    const { source, version } = PUBLISHED[name];
    say(`${source}@${version}`);
    await go(name, ["install", LINK, `${source}@${version}`], { work, env: { GOBIN: work } });
  }
}

/** What the binary of test/mesh/istio is made of. */
function sourcesHash(): string {
  const hash = createHash("sha256");
  const names = readdirSync(ISTIO_MODULE, { recursive: true, encoding: "utf8" }).sort();
  for (const name of names) {
    const file = path.join(ISTIO_MODULE, name);
    if (statSync(file).isFile()) hash.update(`${name}\0`).update(readFileSync(file)).update("\0");
  }
  return hash.digest("hex").slice(0, 16);
}

/** Builds of other versions or from other sources: each is tens of megabytes, and nothing asks for them again. */
function removeOthers(name: string, folder: string): void {
  for (const other of readdirSync(BINARIES)) {
    const place = path.join(BINARIES, other);
    if (other.startsWith(`${name}-`) && place !== folder) rmSync(place, { recursive: true, force: true });
  }
}

function moveInto(work: string, folder: string, binary: string): void {
  try {
    renameSync(work, folder);
  } catch (error) {
    // Another run was faster: its binary is as good as this one.
    if (!existsSync(binary)) throw error;
  }
}

const run = promisify(execFile);

interface CommandOptions {
  /** Removed if this process ends meanwhile. */
  readonly work?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Default: test/mesh/istio. */
  readonly cwd?: string;
}

/** Runs Go and returns what it prints. */
function go(wanted: string, args: readonly string[], options: CommandOptions = {}): Promise<string> {
  return command(wanted, "go", args, options);
}

/** Runs Go, or a program that runs it, and returns what it prints. */
async function command(
  wanted: string,
  file: string,
  args: readonly string[],
  options: CommandOptions,
): Promise<string> {
  // A workspace around the project would change the versions.
  const env = { ...process.env, GOWORK: "off", ...options.env };
  const running = run(file, [...args], { cwd: options.cwd ?? ISTIO_MODULE, env, maxBuffer: 16 << 20 });
  const forget = atExit(() => {
    running.child.kill("SIGKILL");
    if (options.work !== undefined) rmSync(options.work, { recursive: true, force: true });
  });
  try {
    return (await running).stdout;
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT")
      throw new GoUnavailableError(`go is not found, and without it there is no ${wanted}`);
    // Asked for JSON, Go puts what went wrong there.
    const { stdout = "", stderr = String(error) } = error as { stdout?: string; stderr?: string };
    const last = `${stdout}${stderr}`.trim().split("\n").slice(-LAST_LINES).join("\n  ");
    const failed = [path.basename(file), args[0]].join(" ");
    throw new GoUnavailableError(`there is no ${wanted}, because ${failed} failed:\n  ${last}`, { cause: error });
  } finally {
    forget();
  }
}
