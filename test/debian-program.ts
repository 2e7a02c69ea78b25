// Brings a program of Debian's: the one that an environment variable names, else the installed one, else the one of Debian's package,
// unpacked under `.cache/debian/` without being installed.
import { execFile } from "node:child_process";
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { readdir } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { atExit } from "../src/at-exit.ts";
import { projectPath } from "../src/project.ts";

const APT_TIMEOUT_MS = 180_000;
const LAST_LINES = 3;
const CACHE = projectPath(".cache", "debian");

export interface DebianProgram {
  /** The file's name in `/usr/bin`. */
  readonly program: string;
  /** The package that has it. */
  readonly package: string;
  /** The environment variable that names another file. */
  readonly environment: string;
}

/** A daemon: a program that needs more of its package than one file, and libraries of other packages. */
export interface DebianDaemon extends DebianProgram {
  /** The packages of its libraries that a machine may lack. */
  readonly libraries: readonly string[];
  /** Arguments with which it says what it is. */
  readonly probe: readonly string[];
}

/** Where a daemon is. */
export interface Daemon {
  readonly file: string;
  /** What has to be in its environment, and where its plug-ins are; absent when it is installed or named, and knows itself. */
  readonly unpacked?: { readonly env: Readonly<Record<string, string>>; readonly plugins: string };
}

/** Why a program is not to be had on this machine. */
export class ProgramUnavailableError extends Error {}

/**
 * The path of a program. Needs no privileges and changes nothing outside the project. Safe to call at the same time as another run.
 * @param say gets a line about what is fetched, default the console.
 * @throws ProgramUnavailableError in one sentence.
 */
export async function debianProgram(wanted: DebianProgram, say: (line: string) => void = console.log): Promise<string> {
  const known = knownProgram(wanted);
  if (known !== undefined) return known;
  const binary = path.join(CACHE, wanted.program);
  if (!existsSync(binary)) {
    await fetchPackages(wanted, [wanted.package], say, async (work, run) => {
      const unpacked = path.join(work, "usr", "bin", wanted.program);
      // A package for another machine is found out here, not in the first test.
      await run(unpacked, ["--version"]);
      renameSync(unpacked, binary);
    });
  }
  return binary;
}

/** The same for a daemon, which is in `/usr/sbin` and keeps its plug-ins in a folder of its name among the libraries. */
export async function debianDaemon(wanted: DebianDaemon, say: (line: string) => void = console.log): Promise<Daemon> {
  const known = knownProgram(wanted, ["/usr/sbin", "/sbin"]);
  if (known !== undefined) return { file: known };
  const folder = path.join(CACHE, `${wanted.package}.unpacked`);
  if (!existsSync(folder)) {
    await fetchPackages(wanted, [wanted.package, ...wanted.libraries], say, async (unpacked, run) => {
      const { file, env } = daemonIn(unpacked, wanted);
      await run(file, wanted.probe, env);
      try {
        renameSync(unpacked, folder);
      } catch (error) {
        // Another run was first.
        if (!existsSync(folder)) throw error;
      }
    });
  }
  const { file, env, plugins } = daemonIn(folder, wanted);
  return { file, unpacked: { env, plugins } };
}

function daemonIn(
  folder: string,
  wanted: DebianDaemon,
): { file: string; env: Record<string, string>; plugins: string } {
  const libraries = path.join(folder, "usr", "lib");
  const triplet = readdirSync(libraries).find((name) => name.includes("-linux-")) ?? "";
  return {
    file: path.join(folder, "usr", "sbin", wanted.program),
    env: { LD_LIBRARY_PATH: path.join(libraries, triplet) },
    plugins: path.join(libraries, triplet, wanted.package),
  };
}

/** The one that is named or installed. */
function knownProgram({ program, environment }: DebianProgram, folders: readonly string[] = []): string | undefined {
  const chosen = process.env[environment];
  if (chosen) {
    if (!isExecutable(chosen)) throw new ProgramUnavailableError(`${environment}=${chosen} is not an executable file`);
    return chosen;
  }
  const searched = [...(process.env.PATH ?? "").split(path.delimiter), ...folders];
  return searched.map((folder) => path.join(folder, program)).find(isExecutable);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

type Run = (command: string, args: readonly string[], env?: Readonly<Record<string, string>>) => Promise<void>;

/** Unpacks packages into one folder, and hands it out. What is not moved away then is removed. */
async function fetchPackages(
  wanted: DebianProgram,
  packages: readonly string[],
  say: (line: string) => void,
  use: (unpacked: string, run: Run) => Promise<void>,
): Promise<void> {
  mkdirSync(CACHE, { recursive: true });
  // Renamed into place at the end: half a binary never has the final name.
  const work = mkdtempSync(path.join(CACHE, "fetching-"));
  const run: Run = (command, args, env) => execute(wanted, command, args, work, env);
  try {
    say(`fetching Debian's package ${packages.join(", ")} with apt into ${path.relative(projectPath(), CACHE)}`);
    const apt = privateApt(work);
    // The machine's own lists save the update, unless there are none or they name a version that is gone.
    const lists = ["-o", `Dir::State::Lists=${path.join(work, "lists")}`];
    await run("apt-get", [...apt, "download", ...packages]).catch(async () => {
      // One source of many that does not answer is no reason to give up: the download is what counts.
      await run("apt-get", [...apt, ...lists, "update"]).catch(() => {});
      await run("apt-get", [...apt, ...lists, "download", ...packages]);
    });
    const archives = (await readdir(work)).filter((name) => name.endsWith(".deb"));
    if (archives.length < packages.length)
      throw new ProgramUnavailableError(`apt-get left no package ${wanted.package}`);
    for (const archive of archives) await run("dpkg-deb", ["-x", archive, "unpacked"]);
    await use(path.join(work, "unpacked"), run);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Arguments that keep apt from writing anywhere but in a folder of its own, which needs no privileges then. */
function privateApt(work: string): readonly string[] {
  const configuration = path.join(work, "apt.conf");
  mkdirSync(path.join(work, "lists", "partial"), { recursive: true });
  mkdirSync(path.join(work, "cache", "archives", "partial"), { recursive: true });
  const lines = [
    `Dir::Cache "${path.join(work, "cache")}";`,
    `Dir::Log "${work}";`,
    // Started by root, apt would change to a user that cannot write here.
    'APT::Sandbox::User "";',
    'Acquire::Languages "none";',
    'Acquire::Retries "1";',
    // What the machine does after an update of its own lists.
    "#clear APT::Update::Pre-Invoke;",
    "#clear APT::Update::Post-Invoke;",
    "#clear APT::Update::Post-Invoke-Success;",
  ];
  writeFileSync(configuration, `${lines.join("\n")}\n`);
  return ["-c", configuration, "-qq"];
}

const start = promisify(execFile);

/** Runs a command in a folder, which is removed if this process ends meanwhile. */
async function execute(
  { program, environment }: DebianProgram,
  command: string,
  args: readonly string[],
  folder: string,
  more: Readonly<Record<string, string>> = {},
): Promise<void> {
  const env = { ...process.env, LC_ALL: "C", ...more };
  const running = start(command, [...args], { cwd: folder, env, timeout: APT_TIMEOUT_MS, maxBuffer: 16 << 20 });
  const forget = atExit(() => {
    running.child.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  });
  try {
    await running;
  } catch (error) {
    const output = error instanceof Error && "stderr" in error ? String(error.stderr).trim() : "";
    const last = output === "" ? String(error) : output.split("\n").slice(-LAST_LINES).join(" ");
    const remedy = `install it, or set ${environment}`;
    throw new ProgramUnavailableError(`there is no ${program}, and ${command} cannot bring it (${last}): ${remedy}`, {
      cause: error,
    });
  } finally {
    forget();
  }
}
