/** What kind of thing a {@link HostError} reports. */
export type HostErrorCode =
  /** The module cannot be loaded: Envoy would refuse it as well. */
  | "ERR_MODULE"
  /** The module made a host call that is undefined behaviour in Envoy, or that this host does not model. */
  | "ERR_HOST_CALL"
  /** The test or the program that drives the host did something that no client, upstream or Envoy can do. */
  | "ERR_DRIVER";

/**
 * A mistake that must not pass silently. It travels through the module's frames to the caller of the stream method
 * and never counts as a trap of the module.
 */
export class HostError extends Error {
  readonly code: HostErrorCode;

  constructor(code: HostErrorCode, message: string) {
    super(message);
    this.name = "HostError";
    this.code = code;
  }
}
