// The one error class of the command and its library: a stable code for programs, a sentence for people.

/** What went wrong, as a stable name. `src/cli/exit-status.ts` maps each to an exit status. */
export type GuardErrorCode =
  | "ERR_USAGE"
  | "ERR_NOT_BUILT"
  | "ERR_POLICY"
  | "ERR_PORT"
  | "ERR_UPSTREAM"
  | "ERR_ENVOY_BINARY"
  | "ERR_ENVOY_START"
  | "ERR_ENVOY_EXIT"
  | "ERR_ENGINE"
  | "ERR_UNGUARDED"
  | "ERR_REGISTRY"
  | "ERR_CREDENTIALS"
  | "ERR_NOT_LOADABLE"
  | "ERR_OTHER_MODULE"
  | "ERR_TAG"
  | "ERR_INTERRUPTED";

/** An error that is meant to be read: its message says what is wrong and what to do, and needs no stack trace. */
export class GuardError extends Error {
  readonly code: GuardErrorCode;

  constructor(code: GuardErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "GuardError";
    this.code = code;
  }
}

/** The `code` of a system error (`ENOENT`, `ECONNREFUSED`), or an empty string for anything else. */
export function systemErrorCode(error: unknown): string {
  if (!(error instanceof Error) || !("code" in error)) return "";
  return typeof error.code === "string" ? error.code : "";
}
