// The buckets of one guard, and its clock. They are full when its policy comes, and go with it: each worker has its own.

import { NameSet, slotOf } from "../policy/name-set";
import { Rate, RateLimit } from "../policy/rate-limit";
import { Bucket, refill, take, waitFor } from "./bucket";
import { claimSlot, createPrincipals, findSlot, noteTaken, Principals, Slot } from "./principals";

@unmanaged
export class Rates {
  /** Of the policy, which lives longer. */
  perPrincipal: Rate | null;
  perTool: Rate | null;
  tools: NameSet;
  /** Null when there is no limit per principal. */
  principals: Principals | null;
  /** Of all requests that name nobody; null as above. */
  nobody: Bucket | null;
  /** A bucket for each slot of `tools`, and one behind them for a tool that has none; 0 when there is no limit per tool. */
  toolsAt: usize;
  /** Nanoseconds that have passed, and what the host's clock said last. */
  time: u64;
  clock: u64;
}

/** Full buckets for a policy with this limit and these tools. Freed with `freeRates`, before the policy. */
export function createRates(limit: RateLimit, tools: NameSet): Rates {
  const rates = changetype<Rates>(allocateZeros(offsetof<Rates>()));
  rates.perPrincipal = limit.perPrincipal;
  rates.perTool = limit.perTool;
  rates.tools = tools;
  if (limit.perPrincipal !== null) {
    rates.principals = createPrincipals();
    rates.nobody = changetype<Bucket>(allocateZeros(offsetof<Bucket>()));
  }
  if (limit.perTool !== null) rates.toolsAt = allocateZeros((usize(tools.slotCount) + 1) * offsetof<Bucket>());
  return rates;
}

/** Frees them. */
export function freeRates(rates: Rates): void {
  const principals = rates.principals;
  if (principals !== null) heap.free(changetype<usize>(principals));
  const nobody = rates.nobody;
  if (nobody !== null) heap.free(changetype<usize>(nobody));
  if (rates.toolsAt != 0) heap.free(rates.toolsAt);
  heap.free(changetype<usize>(rates));
}

/**
 * Takes what one message needs: 0 when it was there, else the nanoseconds until it is, and nothing is taken.
 * @param clock what the host's clock says, 0 when it says nothing.
 * @param key address of the principal's key (principals.ts); 0 when nobody is named.
 * @param toolBytes bytes of the name of the tool that is called, at `toolAt`; 0 when none is.
 */
export function takeTokens(rates: Rates, clock: u64, key: usize, toolAt: usize, toolBytes: u32): u64 {
  passTime(rates, clock);
  const perPrincipal = rates.perPrincipal;
  const perTool = rates.perTool;
  const principals = rates.principals;
  let slot: Slot | null = null;
  let own: Bucket | null = rates.nobody;
  if (key != 0 && principals !== null) {
    slot = findSlot(principals, key);
    // Without a slot the bucket is full; one that gives nothing now takes no slot either.
    own = slot;
  }
  const tool: Bucket | null = toolBytes != 0 && perTool !== null ? bucketOfTool(rates, toolAt, toolBytes) : null;
  const wait = max(waitIn(own, perPrincipal, rates.time), waitIn(tool, perTool, rates.time));
  if (wait != 0) return wait;
  if (key != 0 && slot === null && principals !== null) {
    slot = claimSlot(principals, key, rates.time);
    own = slot;
  }
  if (own !== null && perPrincipal !== null) take(own, perPrincipal);
  if (slot !== null && principals !== null && perPrincipal !== null) noteTaken(principals, slot, perPrincipal);
  if (tool !== null && perTool !== null) take(tool, perTool);
  return 0;
}

/** Nanoseconds until a bucket has a token; 0 when it has one, or there is none to ask. */
function waitIn(bucket: Bucket | null, rate: Rate | null, time: u64): u64 {
  if (bucket === null || rate === null) return 0;
  refill(bucket, rate, time);
  return waitFor(bucket, rate);
}

function bucketOfTool(rates: Rates, name: usize, bytes: u32): Bucket {
  // At most `slotCount`, for which there is a bucket too.
  const slot = slotOf(rates.tools, name, bytes);
  return changetype<Bucket>(rates.toolsAt + usize(slot) * offsetof<Bucket>());
}

/** A clock that goes back, or says nothing, has stood still: nobody gets anything for it, and nobody waits until it has caught up. */
function passTime(rates: Rates, clock: u64): void {
  if (clock == 0) return;
  if (clock > rates.clock) rates.time += clock - rates.clock;
  rates.clock = clock;
}

function allocateZeros(bytes: usize): usize {
  const at = heap.alloc(bytes);
  memory.fill(at, 0, bytes);
  return at;
}
