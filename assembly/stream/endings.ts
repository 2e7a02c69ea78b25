// How many streams a root context ends within one callback. The host sends a reply, or lets a request go on, when the callback is over, and runs our callbacks for
// its response before it comes to the next one: each inside the one before. Envoy 1.40.0: with 400 of them the stack of V8 is full, which ends the VM
// for all streams; with 200 it is not. What is left over is for a tick that comes at once.

import { setTick } from "../host/context";
import { ENDINGS_MAX, HURRY_MS } from "../limits";
import { Guard } from "./guard";

let endings: u32 = 0;
let areLeft: bool = false;

/** To be called at the beginning of a callback of a root context. */
export function beginEndings(): void {
  endings = 0;
  areLeft = false;
}

/** Whether one more stream may end or go on in this callback; if not, whoever asks leaves it as it is, and finds it again from a tick. */
export function mayEnd(): bool {
  if (endings < ENDINGS_MAX) {
    endings++;
    return true;
  }
  areLeft = true;
  return false;
}

/** To be called at the end of such a callback: has a tick come at once when streams are left. */
export function endEndings(guard: Guard): void {
  if (areLeft) hurry(guard);
}

/** Has a tick come at once. Should the host refuse, what it is for waits for the next one. */
export function hurry(guard: Guard): void {
  if (setTick(HURRY_MS)) guard.isHurried = true;
}

/** Whether this tick is one of those, which count for no time; the next one comes when it is due. */
export function wasHurried(guard: Guard): bool {
  if (!guard.isHurried) return false;
  // Should the host refuse, the next tick is as early as this one, and counts as little.
  guard.isHurried = !setTick(guard.tickMs);
  return true;
}
