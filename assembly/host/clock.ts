// The time.

import { Status } from "./abi";
import { proxy_get_current_time_nanoseconds } from "./env";

const resultAt: usize = memory.data(8, 8);

/** Nanoseconds since 1970 in UTC, as the proxy's clock has it; Envoy's counts microseconds. 0 when the host does not tell. */
export function now(): u64 {
  if (proxy_get_current_time_nanoseconds(resultAt) != Status.Ok) return 0;
  return load<u64>(resultAt); // SAFETY: eight bytes of ours.
}
