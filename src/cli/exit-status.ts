// Which error ends the command with which status, and what is shown of it.
import { GuardError, type GuardErrorCode } from "../error.ts";

const USAGE = 2;
const FAILURE = 1;
/** What a shell gives a command that Ctrl-C ended. */
const INTERRUPTED = 130;

const statusOf: Readonly<Partial<Record<GuardErrorCode, number>>> = { ERR_USAGE: USAGE, ERR_INTERRUPTED: INTERRUPTED };

/** The exit status and the text for an error that a command has thrown. Only our own mistakes show a stack. */
export function describeError(error: unknown): { status: number; text: string } {
  if (error instanceof GuardError) return { status: statusOf[error.code] ?? FAILURE, text: error.message };
  if (error instanceof TypeError && "code" in error && String(error.code).startsWith("ERR_PARSE_ARGS")) {
    return { status: USAGE, text: error.message };
  }
  return { status: FAILURE, text: error instanceof Error ? (error.stack ?? error.message) : String(error) };
}

/** Whether an error says what an interruption has left undone. */
export function isInterruption(error: unknown): boolean {
  return error instanceof GuardError && error.code === "ERR_INTERRUPTED";
}
