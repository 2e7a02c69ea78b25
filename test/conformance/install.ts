// The official conformance suite and the MCP Inspector, with a Node that runs them: the packages of package-lock.json, in a
// folder of the project's own cache.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { projectPath } from "../../src/project.ts";

const PINS = projectPath("test", "conformance");
const PIN_FILES = ["package.json", "package-lock.json"] as const;
const INSTALL_TIMEOUT_MS = 240_000;

/** Where the programs are. */
export interface ConformanceTools {
  /** A Node of the version that the others need. */
  readonly node: string;
  /** The suite's program. */
  readonly conformance: string;
  /** The inspector's command line. */
  readonly inspector: string;
}

export interface InstallOptions {
  /** The package manager, default `npm`. */
  readonly command?: string;
  /** The platform as Node names it, default that of this process. */
  readonly platform?: string;
  /** The folder of the installations, default `.cache/conformance`. */
  readonly folder?: string;
  /** Gets a line about what is installed, default the console. */
  readonly say?: (line: string) => void;
}

/** Why the packages are not available on this machine. */
export class ConformanceUnavailableError extends Error {}

/**
 * Installs the packages, unless they are there already, each checked by npm against the lock file. Safe to run at the same
 * time as another run: the folder appears under its name only when it is complete.
 * @throws ConformanceUnavailableError in one sentence, when they cannot be installed here.
 */
export async function installConformance(options: InstallOptions = {}): Promise<ConformanceTools> {
  const { command = "npm", platform = `${process.platform}-${process.arch}`, say = console.log } = options;
  // The Node package is a binary for one platform.
  if (platform !== "linux-x64")
    throw new ConformanceUnavailableError(`the pinned Node is for linux-x64, not ${platform}`);

  const hash = createHash("sha256");
  for (const name of PIN_FILES) hash.update(readFileSync(path.join(PINS, name)));
  const root = options.folder ?? projectPath(".cache", "conformance");
  const folder = path.join(root, hash.digest("hex").slice(0, 16));
  if (!existsSync(folder)) await install(command, folder, say);

  const modules = path.join(folder, "node_modules");
  return {
    node: path.join(modules, "node-22", "bin", "node"),
    conformance: path.join(modules, "@modelcontextprotocol", "conformance", "dist", "index.js"),
    inspector: path.join(modules, "@modelcontextprotocol", "inspector", "clients", "launcher", "build", "index.js"),
  };
}

async function install(command: string, folder: string, say: (line: string) => void): Promise<void> {
  const partial = `${folder}.${process.pid}`;
  say(`installing the packages of test/conformance into ${path.relative(projectPath(), folder)}`);
  mkdirSync(partial, { recursive: true });
  try {
    for (const name of PIN_FILES) copyFileSync(path.join(PINS, name), path.join(partial, name));
    // npm warns about the Node that runs it, which is not the one that runs the packages.
    const npm = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
    await promisify(execFile)(command, npm, { cwd: partial, timeout: INSTALL_TIMEOUT_MS });
    // Another run may have been faster; its folder is as good as this one.
    if (!existsSync(folder)) renameSync(partial, folder);
  } catch (error) {
    const { stderr = "", message } = error as { stderr?: string; message: string };
    const lines = stderr.split("\n").filter((line) => /error/i.test(line));
    throw new ConformanceUnavailableError(`npm cannot install: ${lines[0] ?? message}`);
  } finally {
    rmSync(partial, { recursive: true, force: true });
  }
}
