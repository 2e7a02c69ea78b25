// Brings a program of Debian's, or a folder of programs: the one that an environment variable names, else the installed one, else the one of Debian's
// package, unpacked under `.cache/debian/` without being installed.
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
/** What an environment variable says for the unpacked programs, whatever is installed. */
const UNPACKED = "debian";
/** Libraries of libraries of libraries: more than there are. */
const LIBRARY_LEVELS = 4;
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

/** Programs that Debian keeps out of the PATH, in `/usr/lib/<package>/<version>/bin`, in a package whose name has the version as well. */
export interface DebianFolder {
  /** The package that depends on the one of Debian's own version. */
  readonly package: string;
  /** What has to be in the folder. The last one is asked for its version, and needs all of the libraries. */
  readonly programs: readonly [string, ...string[]];
  /** The environment variable that names another folder; `debian` stands for that of Debian's package, even where another one is installed. */
  readonly environment: string;
}

/** Where such programs are. */
export interface ProgramFolder {
  readonly folder: string;
  /** What has to be in their environment. */
  readonly env: Readonly<Record<string, string>>;
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
      moveTo(folder, unpacked);
    });
  }
  const { file, env, plugins } = daemonIn(folder, wanted);
  return { file, unpacked: { env, plugins } };
}

/** The same for a folder of programs. They find the files of their package from where they stand, wherever that is. */
export async function debianFolder(
  wanted: DebianFolder,
  say: (line: string) => void = console.log,
): Promise<ProgramFolder> {
  const chosen = process.env[wanted.environment];
  if (chosen !== UNPACKED) {
    const known = knownFolder(wanted, chosen);
    if (known !== undefined) return { folder: known, env: {} };
  }
  const folder = path.join(CACHE, `${wanted.package}.unpacked`);
  if (!existsSync(folder)) {
    const program = { ...wanted, program: wanted.programs.at(-1) ?? "" };
    await fetchPackages(program, [wanted.package], say, async (unpacked, run, bring) => {
      const [versioned] = await bring(await dependencies(wanted.package, run, (name) => /-\d+$/.test(name)));
      let parents = [versioned ?? wanted.package];
      for (let level = 0; level < LIBRARY_LEVELS && (await lacksLibraries(unpacked, program, run)); level++) {
        const libraries = await Promise.all(parents.map((name) => dependencies(name, run, isLibrary)));
        parents = await bring([...new Set(libraries.flat())]);
      }
      const { folder: programs, env } = programsIn(unpacked, wanted);
      await run(path.join(programs, program.program), ["--version"], env);
      moveTo(folder, unpacked);
    });
  }
  return programsIn(folder, wanted);
}

/** Packages of a name that a package depends on; the package has been downloaded. */
async function dependencies(name: string, run: Run, isWanted: (name: string) => boolean): Promise<string[]> {
  // The first of alternatives, without versions: `libpq5 (>= 15), libsystemd0 | libelogind0`.
  const field = await run("sh", ["-c", 'dpkg-deb -f "$0"_*.deb Depends', name]);
  return field
    .split(",")
    .map((one) => one.trim().split(/[\s:(|]/)[0] ?? "")
    .filter(isWanted);
}

/** Not the C library: there is one already, and two in a process are none. Nor a compiler for queries, which is large and loaded on demand. */
function isLibrary(name: string): boolean {
  return /^lib(?!c6$|gcc|llvm)|^zlib/.test(name);
}

/** Whether the linker misses something. */
async function lacksLibraries(unpacked: string, wanted: DebianFolder & DebianProgram, run: Run): Promise<boolean> {
  const { folder, env } = programsIn(unpacked, wanted);
  return (await run("ldd", [path.join(folder, wanted.program)], env)).includes("not found");
}

function programsIn(unpacked: string, wanted: DebianFolder): ProgramFolder {
  const [version = ""] = versionsIn(path.join(unpacked, "usr", "lib", wanted.package));
  return {
    folder: path.join(unpacked, "usr", "lib", wanted.package, version, "bin"),
    env: { LD_LIBRARY_PATH: libraryFolders(unpacked).join(path.delimiter) },
  };
}

/** Debian has moved libraries from `/lib` to `/usr/lib`, one after the other. */
function libraryFolders(unpacked: string): string[] {
  return [path.join(unpacked, "usr", "lib"), path.join(unpacked, "lib")].flatMap((folder) =>
    entriesOf(folder)
      .filter((name) => name.includes("-linux-"))
      .map((name) => path.join(folder, name)),
  );
}

/** The folder that is named, or that of the PATH, or the newest of those where Debian has them. */
function knownFolder(wanted: DebianFolder, chosen: string | undefined): string | undefined {
  const isWhole = (folder: string) => wanted.programs.every((name) => isExecutable(path.join(folder, name)));
  if (chosen) {
    if (isWhole(chosen)) return chosen;
    throw new ProgramUnavailableError(
      `${wanted.environment}=${chosen} is no folder with ${wanted.programs.join(" and ")}`,
    );
  }
  const installed = path.join("/usr/lib", wanted.package);
  const debian = versionsIn(installed).map((version) => path.join(installed, version, "bin"));
  return [...(process.env.PATH ?? "").split(path.delimiter), ...debian].find(isWhole);
}

/** Folders that are named by a version, the newest first. */
function versionsIn(folder: string): string[] {
  return entriesOf(folder)
    .filter((name) => /^\d+$/.test(name))
    .sort((left, right) => Number(right) - Number(left));
}

function entriesOf(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder) : [];
}

/** Gives something its final place, unless another run was first. */
function moveTo(place: string, unpacked: string): void {
  try {
    renameSync(unpacked, place);
  } catch (error) {
    if (!existsSync(place)) throw error;
  }
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

/** Gives what the command has written. */
type Run = (command: string, args: readonly string[], env?: Readonly<Record<string, string>>) => Promise<string>;
/** Downloads packages and unpacks them beside the others; gives their names. */
type Bring = (packages: readonly string[]) => Promise<string[]>;

/** Unpacks packages into one folder, and hands it out, with a way to bring more of them. What is not moved away then is removed. */
async function fetchPackages(
  wanted: DebianProgram,
  packages: readonly string[],
  say: (line: string) => void,
  use: (unpacked: string, run: Run, bring: Bring) => Promise<void>,
): Promise<void> {
  mkdirSync(CACHE, { recursive: true });
  // Renamed into place at the end: half a binary never has the final name.
  const work = mkdtempSync(path.join(CACHE, "fetching-"));
  const run: Run = (command, args, env) => execute(wanted, command, args, work, env);
  try {
    const apt = privateApt(work);
    const brought = new Set<string>();
    const bring: Bring = async (wantedNames) => {
      const names = wantedNames.filter((name) => !brought.has(name));
      if (names.length === 0) return [];
      say(`fetching Debian's package ${names.join(", ")} with apt into ${path.relative(projectPath(), CACHE)}`);
      // The machine's own lists save the update, unless there are none or they name a version that is gone.
      const lists = ["-o", `Dir::State::Lists=${path.join(work, "lists")}`];
      await run("apt-get", [...apt, "download", ...names]).catch(async () => {
        // One source of many that does not answer is no reason to give up: the download is what counts.
        await run("apt-get", [...apt, ...lists, "update"]).catch(() => {});
        await run("apt-get", [...apt, ...lists, "download", ...names]);
      });
      const archives = (await readdir(work)).filter((name) => names.some((one) => name.startsWith(`${one}_`)));
      if (archives.length < names.length)
        throw new ProgramUnavailableError(`apt-get left no package ${wanted.package}`);
      for (const archive of archives) await run("dpkg-deb", ["-x", archive, "unpacked"]);
      for (const name of names) brought.add(name);
      return names;
    };
    await bring(packages);
    await use(path.join(work, "unpacked"), run, bring);
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
): Promise<string> {
  const env = { ...process.env, LC_ALL: "C", ...more };
  const running = start(command, [...args], { cwd: folder, env, timeout: APT_TIMEOUT_MS, maxBuffer: 16 << 20 });
  const forget = atExit(() => {
    running.child.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  });
  try {
    return (await running).stdout;
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
