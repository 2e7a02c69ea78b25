#!/usr/bin/env node
// The `mcp-guard` command: dispatch only. Each command is a file of its own, loaded when it is named.
import type { Command } from "./command.ts";
import { describeError } from "./exit-status.ts";

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
};

function out(line: string): void {
  process.stdout.write(`${line}\n`);
}

function err(line: string): void {
  process.stderr.write(`${line}\n`);
}

function usage(): string {
  const lines = Object.entries(commands).map(([name, entry]) => `  ${name.padEnd(6)}${entry.summary}`);
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
    return await command(rest, { out, env: process.env, signal: end.signal });
  } catch (error) {
    if (end.signal.aborted) return 0;
    const { status, text } = describeError(error);
    err(`mcp-guard ${name}: ${text}`);
    return status;
  }
}

process.exit(await main(process.argv.slice(2)));
