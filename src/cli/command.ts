// What every command gets and gives.
import type { Span } from "../paint.ts";

/** What a command may use of the process that it runs in; tests hand in their own. */
export interface CommandContext {
  /** The way to the user: writes one line to standard output. */
  out(line: string): void;
  /** The same for a line of pieces, on a terminal with colours; absent elsewhere, where such lines go to `out` as plain text. */
  readonly paint?: (spans: readonly Span[]) => void;
  /** Writes one line to standard error: for what the reader of the output must know and the program that reads it must not get. */
  warn(line: string): void;
  /** Shows what is going on, on one line of a terminal that the next call replaces; without a terminal it shows nothing. */
  status(text: string): void;
  readonly env: NodeJS.ProcessEnv;
  /** Aborted when the user (Ctrl-C) or the machine (SIGTERM) wants the command to end. */
  readonly signal: AbortSignal;
}

/** A command: its own arguments in, its exit status out. Errors meant for the user are thrown as `GuardError`. */
export type Command = (args: string[], context: CommandContext) => Promise<number>;
