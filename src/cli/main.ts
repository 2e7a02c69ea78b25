#!/usr/bin/env node
// The `mcp-guard` command: dispatch only. Each command is a file of its own, loaded when it is named.
import { writeSync } from "node:fs";
import { systemErrorCode } from "../error.ts";
import { painted, type Span, wantsColor } from "../paint.ts";
import { printable } from "../terminal.ts";
import type { Command } from "./command.ts";
import { describeError, isInterruption } from "./exit-status.ts";

interface Entry {
  summary: string;
  load: () => Promise<Command>;
}

const commands: Readonly<Record<string, Entry>> = {
  run: {
    summary: "start Envoy with the guard in front of an MCP server",
    load: async () => (await import("./commands/run.ts")).run,
  },
  try: {
    summary: "call a running guard with the MCP client SDK and show what it lets through",
    load: async () => (await import("./commands/try.ts")).tryGuard,
  },
  "oci-push": {
    summary: "push the built filter to a container registry, for Istio to load",
    load: async () => (await import("./commands/oci-push.ts")).ociPush,
  },
  "oci-verify": {
    summary: "check that a registry has the built filter, and that Istio would load it",
    load: async () => (await import("./commands/oci-verify.ts")).ociVerify,
  },
  render: {
    summary: "write the Kustomize overlay of one server",
    load: async () => (await import("./commands/render.ts")).render,
  },
  check: {
    summary: "answer the five points of the checklist from manifests and roles",
    load: async () => (await import("./commands/check.ts")).check,
  },
  policy: {
    summary: "look for mistakes in a policy",
    load: async () => (await import("./commands/policy.ts")).policy,
  },
  probe: {
    summary: "say whether a guard is in the path to a URL, with which policy",
    load: async () => (await import("./commands/probe.ts")).probe,
  },
  audit: {
    summary: "verify, show and convert audit records, and propose a policy from them",
    load: async () => (await import("./commands/audit.ts")).audit,
  },
  approval: {
    summary: "compute what an approval was given for, and verify what was exported of approvals",
    load: async () => (await import("./commands/approval.ts")).approval,
  },
};

/** Erases the line and goes back to its beginning (ECMA-48: EL, then a carriage return). */
const ERASE_LINE = "\x1b[2K\r";
/** Where a terminal does not say how wide it is. */
const TERMINAL_COLUMNS = 80;
const STDOUT = 1;
/** How long to wait where somebody has set standard output to say that it is full instead of waiting. */
const FULL_PIPE_WAIT_MS = 5;
/** What a shell gives a command whose output nobody reads any more. */
const BROKEN_PIPE = 141;
let statusShown = false;

/** Waits for the reader: what a slow one has not taken yet would pile up in the memory, and be lost when the process ends. */
function write(line: string): void {
  status("");
  let rest = Buffer.from(`${line}\n`);
  while (rest.length > 0) rest = rest.subarray(writeSome(rest));
}

function out(line: string): void {
  write(printable(line));
}

/** Writes as much as standard output takes. Number of bytes. */
function writeSome(bytes: Uint8Array): number {
  try {
    return writeSync(STDOUT, bytes);
  } catch (error) {
    const code = systemErrorCode(error);
    // The reader has seen enough (head), or is gone: there is nobody left to tell.
    if (code === "EPIPE") process.exit(BROKEN_PIPE);
    if (code !== "EAGAIN") throw error;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)), 0, 0, FULL_PIPE_WAIT_MS);
    return 0;
  }
}

function err(line: string): void {
  status("");
  process.stderr.write(`${printable(line)}\n`);
}

function status(text: string): void {
  if (!process.stderr.isTTY || (text === "" && !statusShown)) return;
  process.stderr.write(`${ERASE_LINE}${printable(text).slice(0, (process.stderr.columns || TERMINAL_COLUMNS) - 1)}`);
  statusShown = text !== "";
}

function usage(): string {
  const lines = Object.entries(commands).map(([name, entry]) => `  ${name.padEnd(12)}${entry.summary}`);
  return ["usage: mcp-guard <command> [options]", "", ...lines, "", "mcp-guard <command> --help tells more."].join(
    "\n",
  );
}

async function main(args: string[]): Promise<number> {
  const [name = "", ...rest] = args;
  const entry = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (entry === undefined) {
    const asked = name === "--help" || name === "help";
    if (!asked && name !== "") err(`mcp-guard: there is no command ${name}`);
    (asked ? out : err)(usage());
    return asked ? 0 : 2;
  }
  const end = new AbortController();
  // Every further Ctrl-C is heard too: the command is already ending what it started, and must get to the end of that.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => end.abort());
  const command = await entry.load();
  try {
    return await command(rest, {
      out,
      ...(wantsColor(process.stdout.isTTY, process.env) && {
        paint: (spans: readonly Span[]) => write(painted(spans)),
      }),
      warn: err,
      status,
      env: process.env,
      signal: end.signal,
    });
  } catch (error) {
    // A command that was in the middle of something says so; for the others Ctrl-C is the way to end them.
    if (end.signal.aborted && !isInterruption(error)) return 0;
    const { status: exitStatus, text } = describeError(error);
    err(`mcp-guard ${name}: ${text}`);
    return exitStatus;
  }
}

process.exit(await main(process.argv.slice(2)));
