// Contexts and time.

import { Status } from "./abi";
import { proxy_set_effective_context, proxy_set_tick_period_milliseconds } from "./env";

/** Makes the following host calls concern the stream `context`. False when it is gone. */
export function actOn(context: u32): bool {
  return proxy_set_effective_context(context) == Status.Ok;
}

/** Has `proxy_on_tick` called every `milliseconds`; 0 ends it. False when the host refuses. */
export function setTick(milliseconds: u32): bool {
  return proxy_set_tick_period_milliseconds(milliseconds) == Status.Ok;
}
