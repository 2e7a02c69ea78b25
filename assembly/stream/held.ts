// The streams of a guard that wait for a verdict, in the order in which they came: a list through their records.

import { setTick } from "../host/context";
import { STALL_MS_DEFAULT } from "../limits";
import { Approver } from "../policy/approver";
import { Collector } from "../policy/collector";
import { Exchange } from "./exchange";
import { Guard } from "./guard";

/** Ticks in `stall_ms`, at least: the watchdog finds a stream at most one of them late. */
const TICKS_PER_STALL: u32 = 4;

/** Puts a stream among those that wait. False when the watchdog cannot be started. */
export function hold(exchange: Exchange): bool {
  const guard = exchange.guard;
  if (exchange.isHeld) return true;
  exchange.progressTick = guard.tick;
  exchange.isHeld = true;
  exchange.previousHeld = guard.lastHeld;
  exchange.nextHeld = null;
  if (guard.lastHeld !== null) guard.lastHeld!.nextHeld = exchange;
  else guard.firstHeld = exchange;
  guard.lastHeld = exchange;
  return guard.isTicking || startTicking(guard);
}

/** Has the guard's ticks come, until one finds nothing to do. False when the host refuses. */
export function startTicking(guard: Guard): bool {
  const policy = guard.policy;
  const stallMs = policy !== null ? policy.stallMs : STALL_MS_DEFAULT;
  const collector: Collector | null = policy !== null ? policy.collector : null;
  const approver: Approver | null = policy !== null ? policy.approver : null;
  guard.tickMs = stallMs / TICKS_PER_STALL;
  if (collector !== null) guard.tickMs = min(guard.tickMs, collector.flushMs);
  if (approver !== null) guard.tickMs = min(guard.tickMs, approver.pollMs);
  guard.ticksPerStall = ticksIn(guard, stallMs);
  guard.isTicking = setTick(guard.tickMs);
  return guard.isTicking;
}

/** Ticks that a time has, rounded up. The guard ticks, or has been told to. */
export function ticksIn(guard: Guard, milliseconds: u32): u32 {
  return (milliseconds + guard.tickMs - 1) / guard.tickMs;
}

/** Takes a stream out of those that wait. */
export function letGo(exchange: Exchange): void {
  if (!exchange.isHeld) return;
  const guard = exchange.guard;
  const before = exchange.previousHeld;
  const after = exchange.nextHeld;
  if (before !== null) before.nextHeld = after;
  else guard.firstHeld = after;
  if (after !== null) after.previousHeld = before;
  else guard.lastHeld = before;
  exchange.isHeld = false;
}
