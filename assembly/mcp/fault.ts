// What makes a JSON text no message that we accept. policy/reason.ts gives each its public name.

export const enum Fault {
  None = 0,
  /** The JSON itself is refused: the reader says why. */
  Json,
  /** A member whose name only nearly equals one of the protocol's. */
  NearName,
  /** `jsonrpc` is not the string "2.0" (JSON-RPC 2.0 section 4). */
  JsonrpcVersion,
  /** More than one, or none, of `method`, `result` and `error`. */
  MessageMixed,
  /** `method` is not 1 to METHOD_BYTES_MAX bytes of printable ASCII. */
  MethodInvalid,
  /** `id` is neither a short string nor an integer literal within 2^53-1. */
  IdInvalid,
  /** A method that needs an answer came without an `id`. */
  IdMissing,
  /** A notification came with an `id`. */
  IdUnexpected,
  /** `params`, or one of its members that matters here, has the wrong type, or is missing. */
  ParamsInvalid,
  /** A mirrored header is missing, repeated, or says something else than the body (MCP 2026-07-28, -32020). */
  HeaderMismatch,
  /** `_meta` lacks what every modern request has, or a modern header stands over a legacy body. */
  MetaInvalid,
  /** The signals of the two eras contradict each other. */
  EraMixed,
  /** A modern version that is not the one that we know (-32022). */
  VersionUnsupported,
}
