// Brings a program of Debian's: the one that an environment variable names, else the installed one, else the one of Debian's package,
// unpacked under `.cache/debian/` without being installed.
import { execFile } from "node:child_process";
import { accessSync, constants, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { atExit } from "../src/at-exit.ts";
import { projectPath } from "../src/project.ts";

const APT_TIMEOUT_MS = 180_000;
const LAST_LINES = 3;

export interface DebianProgram {
  /** The file's name in `/usr/bin`. */
  readonly program: string;
  /** The package that has it. */
  readonly package: string;
  /** The environment variable that names another file. */
  readonly environment: string;
}

/** Why a program is not to be had on this machine. */
export class ProgramUnavailableError extends Error {}

/**
 * The path of a program. Needs no privileges and changes nothing outside the project. Safe to call at the same time as another run.
 * @param say gets a line about what is fetched, default the console.
 * @throws ProgramUnavailableError in one sentence.
 */
export async function debianProgram(wanted: DebianProgram, say: (line: string) => void = console.log): Promise<string> {
  const { program, environment } = wanted;
  const chosen = process.env[environment];
  if (chosen) {
    if (!isExecutable(chosen)) throw new ProgramUnavailableError(`${environment}=${chosen} is not an executable file`);
    return chosen;
  }
  const installed = (process.env.PATH ?? "").split(path.delimiter).map((folder) => path.join(folder, program));
  const found = installed.find(isExecutable);
  if (found !== undefined) return found;

  const folder = projectPath(".cache", "debian");
  const binary = path.join(folder, program);
  if (!existsSync(binary)) await fetchPackage(wanted, folder, binary, say);
  return binary;
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

async function fetchPackage(
  wanted: DebianProgram,
  folder: string,
  binary: string,
  say: (line: string) => void,
): Promise<void> {
  mkdirSync(folder, { recursive: true });
  // Renamed into place at the end: half a binary never has the final name.
  const work = mkdtempSync(path.join(folder, "fetching-"));
  const run = (command: string, args: readonly string[]): Promise<void> => execute(wanted, command, args, work);
  try {
    say(`fetching Debian's package ${wanted.package} with apt into ${path.relative(projectPath(), folder)}`);
    const apt = privateApt(work);
    // The machine's own lists save the update, unless there are none or they name a version that is gone.
    const lists = ["-o", `Dir::State::Lists=${path.join(work, "lists")}`];
    await run("apt-get", [...apt, "download", wanted.package]).catch(async () => {
      // One source of many that does not answer is no reason to give up: the download is what counts.
      await run("apt-get", [...apt, ...lists, "update"]).catch(() => {});
      await run("apt-get", [...apt, ...lists, "download", wanted.package]);
    });
    const archive = (await readdir(work)).find((name) => name.endsWith(".deb"));
    if (archive === undefined) throw new ProgramUnavailableError(`apt-get left no package ${wanted.package}`);
    await run("dpkg-deb", ["-x", archive, "unpacked"]);
    const unpacked = path.join(work, "unpacked", "usr", "bin", wanted.program);
    // A package for another machine is found out here, not in the first test.
    await run(unpacked, ["--version"]);
    renameSync(unpacked, binary);
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
): Promise<void> {
  const env = { ...process.env, LC_ALL: "C" };
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
