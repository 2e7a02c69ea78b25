// Child processes that do not outlive this one.
import { type SpawnOptions, spawn } from "node:child_process";
import { rmSync } from "node:fs";
import { atExit } from "./at-exit.ts";

/** How a process ended: its exit status, or the signal that ended it. */
export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** A started process. */
export interface Child {
  readonly pid: number;
  /** Settles when the process has ended; never rejects. */
  readonly exited: Promise<Exit>;
  /** Whether it still runs. */
  running(): boolean;
  /** Ends it: SIGTERM, and SIGKILL when it has not gone after `graceMs` milliseconds (5,000). Safe to call twice. */
  stop(graceMs?: number): Promise<void>;
}

/** What `startChild` takes beside what `spawn` takes. */
export interface ChildOptions extends SpawnOptions {
  /** A folder to remove when this process ends before the child: nobody is left then to do it. */
  ownFolder?: string;
}

/**
 * Starts a process that ends with this one.
 * @throws whatever `spawn` reports, for example `ENOENT` for a command that does not exist.
 */
export async function startChild(command: string, args: readonly string[], options: ChildOptions): Promise<Child> {
  const { ownFolder, ...spawnOptions } = options;
  const child = spawn(command, args, spawnOptions);
  const forget = atExit(() => {
    child.kill("SIGKILL");
    if (ownFolder !== undefined) rmSync(ownFolder, { recursive: true, force: true });
  });
  const exited = new Promise<Exit>((resolve) => {
    child.once("exit", (code, signal) => {
      forget();
      resolve({ code, signal });
    });
  });
  await new Promise<void>((resolve, reject) => {
    child.once("spawn", resolve);
    child.once("error", (error) => {
      forget();
      reject(error);
    });
  });
  const running = () => child.exitCode === null && child.signalCode === null;
  return {
    pid: child.pid!,
    exited,
    running,
    async stop(graceMs = 5_000) {
      if (!running()) return;
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), graceMs);
      await exited;
      clearTimeout(timer);
    },
  };
}
