// What the audit commands read, and their options for it.
import { createReadStream, statSync } from "node:fs";
import { addAbortSignal, type Readable } from "node:stream";
import type { Input, Place } from "../audit/trail.ts";
import { placeText } from "../audit/trail.ts";
import { visible } from "../audit/visible.ts";
import { GuardError, systemErrorCode } from "../error.ts";
import type { CommandContext } from "./command.ts";

/** The options that all of the commands have, for `parseArgs`. */
export const INPUT_OPTIONS = {
  member: { type: "string" },
  help: { type: "boolean", short: "h" },
} as const;

/** What `--help` says of them. */
export const INPUT_USAGE = `  FILE                     a log, or - for the standard input; several are read one after the other
  --member <name>          take records from this member of JSON lines alone`;

/** How much is read at once. */
const READ_BYTES = 256 << 10;

/**
 * The logs that a command line names.
 * @throws GuardError `ERR_USAGE` without any, with - twice, or with a file that is not there.
 */
export function auditInputs(names: readonly string[], signal: AbortSignal): Input[] {
  if (names.length === 0)
    throw new GuardError("ERR_USAGE", "found no FILE, expected one or more logs, or - for the standard input");
  if (names.filter((name) => name === "-").length > 1) {
    throw new GuardError("ERR_USAGE", "found - twice, expected the standard input once");
  }
  for (const name of names) if (name !== "-") checkFile(name);
  return names.map((name) => {
    const shown = name === "-" ? "stdin" : visible(name);
    const open = (): Readable => (name === "-" ? process.stdin : createReadStream(name, { highWaterMark: READ_BYTES }));
    return { name: shown, open: () => readAll(open, shown, signal) };
  });
}

/** Before hours are spent on the files in front of it. */
function checkFile(name: string): void {
  const isFolder = statSync(name, { throwIfNoEntry: false })?.isDirectory();
  if (isFolder === undefined) throw new GuardError("ERR_USAGE", `${visible(name)}: there is no such file`);
  if (isFolder) throw new GuardError("ERR_USAGE", `${visible(name)}: found a folder, expected a file`);
}

async function* readAll(open: () => Readable, name: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  try {
    signal.throwIfAborted();
    for await (const piece of addAbortSignal(signal, open())) yield piece as Uint8Array;
  } catch (error) {
    if (signal.aborted) throw new GuardError("ERR_INTERRUPTED", `interrupted in ${name}`, { cause: error });
    throw new GuardError("ERR_USAGE", `${name}: cannot be read: ${systemErrorCode(error) || String(error)}`, {
      cause: error,
    });
  }
}

/** Records that a command cannot use: how many, and the first of them. */
export class Unusable {
  private count = 0;
  private first = "";

  /** Takes one. */
  add(place: Place, why: string): void {
    if (this.count === 0) this.first = `${placeText(place)}: ${why}`;
    this.count++;
  }

  /** What there is to say of them; undefined when there are none. */
  text(): string | undefined {
    if (this.count === 0) return undefined;
    const records = this.count === 1 ? "1 record" : `${this.count} records`;
    return `${records} could not be used, the first at ${this.first}`;
  }

  /** The exit status of a command, told on standard error unless it is 0: with any of them, what was written is not all that there was. */
  exitStatus(command: string, context: CommandContext): number {
    const text = this.text();
    if (text === undefined) return 0;
    context.warn(`mcp-guard audit ${command}: ${text}`);
    return 1;
  }
}
