/**
 * The status codes of Proxy-Wasm host calls (ABI 0.2.1 `proxy_status_t`), as the C++ host returns them.
 */
export const Status = {
  Ok: 0,
  NotFound: 1,
  BadArgument: 2,
  SerializationFailure: 3,
  ParseFailure: 4,
  InvalidMemoryAccess: 6,
  Empty: 7,
  CasMismatch: 8,
  InternalFailure: 10,
  Unimplemented: 12,
} as const;

/** One of the values of {@link Status}. */
export type Status = (typeof Status)[keyof typeof Status];

/** The errno values of the WASI functions that the host offers (`wasi_snapshot_preview1`). */
export const Errno = { Success: 0, BadFileDescriptor: 8, Fault: 21, Invalid: 28, NotSupported: 58 } as const;
