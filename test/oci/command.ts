// The compiled command in a process of its own, as make starts it.
import { type ChildProcess, spawn } from "node:child_process";
import { projectPath } from "../../src/project.ts";

export interface CommandResult {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly out: string;
  readonly err: string;
}

export interface RunningCommand {
  readonly child: ChildProcess;
  readonly ended: Promise<CommandResult>;
}

/**
 * Starts `mcp-guard` with these arguments.
 * @param env is all of its environment but PATH: nothing of the machine's own credentials or proxies gets in.
 */
export function startCommand(args: readonly string[], env: NodeJS.ProcessEnv = {}): RunningCommand {
  const child = spawn(process.execPath, [projectPath("build", "node", "cli", "main.js"), ...args], {
    env: { PATH: process.env.PATH, HOME: "/nonexistent", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let out = "";
  let err = "";
  child.stdout.on("data", (chunk: Buffer) => {
    out += chunk.toString();
  });
  child.stderr.on("data", (chunk: Buffer) => {
    err += chunk.toString();
  });
  const ended = new Promise<CommandResult>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (status, signal) => resolve({ status, signal, out, err }));
  });
  return { child, ended };
}

/** Runs `mcp-guard` to its end. */
export function runCommand(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<CommandResult> {
  return startCommand(args, env).ended;
}
