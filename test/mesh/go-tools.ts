// The programs written in Go that the tests of the artefact use: Istio's own code (test/mesh/istio), and the tools that
// people push, copy and sign with. Each is built once, into the project's own cache, with Go's module and build caches.
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

const ISTIO_MODULE = projectPath("test", "mesh", "istio");
const BINARIES = projectPath(".cache", "go", "bin");
/** Without the symbols for a debugger, which nobody reads here and which are a third of each binary. */
const LINK = "-ldflags=-s -w";
const LAST_LINES = 5;

export type GoTool = "istio" | keyof typeof PUBLISHED;

/** Why there is no such tool on this machine. */
export class GoUnavailableError extends Error {}

/**
 * The path of a tool's binary, which is built unless it is there already; without a build cache that can take minutes.
 * Safe to call at the same time as another run: a binary appears under its name only when it is complete.
 * @param say gets a line about what is built, default the console.
 * @throws GoUnavailableError in one sentence, when there is no Go or the build fails.
 */
export async function goTool(name: GoTool, say: (line: string) => void = console.log): Promise<string> {
  const version = name === "istio" ? sourcesHash() : PUBLISHED[name].version;
  const folder = path.join(BINARIES, `${name}-${version}`);
  const binary = path.join(folder, name);
  if (existsSync(binary)) return binary;

  mkdirSync(BINARIES, { recursive: true });
  const work = mkdtempSync(path.join(BINARIES, "building-"));
  const place = path.relative(projectPath(), binary);
  try {
    if (name === "istio") {
      say(`building ${path.relative(projectPath(), ISTIO_MODULE)} into ${place}`);
      // Without the version control's stamp the binary depends on its sources alone.
      await go(name, ["build", "-buildvcs=false", LINK, "-o", path.join(work, name), "."], { work });
    } else {
      const { source } = PUBLISHED[name];
      say(`building ${source}@${version} into ${place}`);
      await go(name, ["install", LINK, `${source}@${version}`], { work, env: { GOBIN: work } });
    }
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

/** Runs Go in test/mesh/istio and returns what it prints. If this process ends meanwhile, `work` is removed. */
async function go(
  wanted: string,
  args: readonly string[],
  options: { readonly work?: string; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<string> {
  // A workspace around the project would change the versions.
  const env = { ...process.env, GOWORK: "off", ...options.env };
  const running = run("go", [...args], { cwd: ISTIO_MODULE, env, maxBuffer: 16 << 20 });
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
    throw new GoUnavailableError(`there is no ${wanted}, because go ${args[0]} failed:\n  ${last}`, { cause: error });
  } finally {
    forget();
  }
}
