// Python packages for tests: what a file of requirements pins, in a folder of the project's own cache, so that the machine's Python stays as it is.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { projectPath } from "../../src/project.ts";

const INSTALL_TIMEOUT_MS = 240_000;
const OLDEST_PYTHON = [3, 10] as const;

export interface PythonEnvironment {
  /** The interpreter. */
  readonly command: string;
  /** What the interpreter needs in its environment to find the packages. */
  readonly env: Readonly<Record<string, string>>;
}

/** Packages that belong together. */
export interface PythonPackages {
  /** What they are, for people. */
  readonly what: string;
  /** The package that the others are there for, as the requirements name it: its version is in the folder's name. */
  readonly package: string;
  /** The file that pins them, all of them. */
  readonly requirements: string;
}

export interface PythonOptions {
  /** The interpreter, default `PYTHON` of the environment or else `python3`. */
  readonly command?: string;
  /** Gets a line about what is installed, default the console. */
  readonly say?: (line: string) => void;
}

/** Why they cannot be had on this machine. */
export class PythonUnavailableError extends Error {}

/**
 * Installs the packages, unless they are there already, and says what it installs. Safe to run twice, and at the same time as another
 * run: the folder appears under its name only when it is complete.
 * @throws PythonUnavailableError in one sentence, when there is no suitable Python or pip cannot install.
 */
export function providePythonPackages(packages: PythonPackages, options: PythonOptions = {}): PythonEnvironment {
  const { command = process.env.PYTHON ?? "python3", say = console.log } = options;
  const version = versionOf(command);
  const requirements = readFileSync(packages.requirements, "utf8");
  const pin = requirements.split("\n").find((line) => line.startsWith(`${packages.package}==`));
  if (pin === undefined) throw new Error(`${packages.requirements} does not pin ${packages.package}`);

  const folder = projectPath(".cache", "python", pin.replace("==", "-"));
  const stamp = path.join(folder, ".installed");
  // Compiled packages are for one Python, so another one installs anew.
  const wanted = `${version.join(".")} ${createHash("sha256").update(requirements).digest("hex")}\n`;
  if (!existsSync(stamp) || readFileSync(stamp, "utf8") !== wanted) install(packages, command, folder, wanted, say);
  return { command, env: { PYTHONPATH: folder, PYTHONDONTWRITEBYTECODE: "1", PYTHONNOUSERSITE: "1" } };
}

function versionOf(command: string): readonly number[] {
  const script = "import sys; print(*sys.version_info[:2])";
  const { status, stdout, error } = spawnSync(command, ["-c", script], { encoding: "utf8" });
  if (error !== undefined || status !== 0) throw new PythonUnavailableError(`${command} does not run`);
  const [major = 0, minor = 0] = stdout.trim().split(" ").map(Number);
  const [oldestMajor, oldestMinor] = OLDEST_PYTHON;
  if (major !== oldestMajor || minor < oldestMinor) {
    throw new PythonUnavailableError(`Python ${OLDEST_PYTHON.join(".")} or later is needed, found ${major}.${minor}`);
  }
  return [major, minor];
}

function install(
  { what, requirements }: PythonPackages,
  command: string,
  folder: string,
  stamp: string,
  say: (line: string) => void,
): void {
  const partial = `${folder}.${process.pid}`;
  say(
    `installing ${what} (${path.relative(projectPath(), requirements)}) into ${path.relative(projectPath(), folder)}`,
  );
  mkdirSync(path.dirname(folder), { recursive: true });
  try {
    const pip = [
      "-m",
      "pip",
      "install",
      "--no-deps",
      "--only-binary",
      ":all:",
      "--disable-pip-version-check",
      "--quiet",
    ];
    const { status, stderr, error } = spawnSync(command, [...pip, "--target", partial, "--requirement", requirements], {
      encoding: "utf8",
      timeout: INSTALL_TIMEOUT_MS,
    });
    if (error !== undefined || status !== 0) {
      const lines = (stderr ?? "").split("\n").filter((line) => /error/i.test(line));
      throw new PythonUnavailableError(`pip cannot install: ${lines[0] ?? error?.message ?? `exit status ${status}`}`);
    }
    writeFileSync(path.join(partial, ".installed"), stamp);
    rmSync(folder, { recursive: true, force: true });
    renameSync(partial, folder);
  } finally {
    rmSync(partial, { recursive: true, force: true });
  }
}
