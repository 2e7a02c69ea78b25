// The buckets of a guard, for tests that look at them from inside. Compiled with the options of the release build.

// For the compiler, which is told to call it.
import "../../../assembly/host/abort";

import { setHashKey } from "../../../assembly/memory/siphash";
import { addName, allocateNameSet, freeNameSet, NameSet } from "../../../assembly/policy/name-set";
import { allocateRateLimit, createRate, freeRateLimit, RateLimit } from "../../../assembly/policy/rate-limit";
import { createRates, freeRates, Rates, takeTokens } from "../../../assembly/rate/rates";

/** Room for the tools of one set. */
const TOOLS: u32 = 64;
const TOOLS_BYTES: u32 = 1024;

let limit: RateLimit = allocateRateLimit();
let tools: NameSet = allocateNameSet(TOOLS, TOOLS_BYTES);
let rates: Rates = createRates(limit, tools);

/** A block of `bytes` bytes for the caller's input. */
export function allocate(bytes: u32): usize {
  return heap.alloc(bytes);
}

/** Sets the key of the hashes. */
export function setKey(first: u64, second: u64): void {
  setHashKey(first, second);
}

/** Forgets all that was before: no limit, and no tools. */
export function reset(): void {
  freeRates(rates);
  freeRateLimit(limit);
  freeNameSet(tools);
  limit = allocateRateLimit();
  tools = allocateNameSet(TOOLS, TOOLS_BYTES);
  rates = createRates(limit, tools);
}

export function limitPrincipals(requests: u32, seconds: u32, burst: u32): void {
  limit.perPrincipal = createRate(requests, seconds, burst);
}

export function limitTools(requests: u32, seconds: u32, burst: u32): void {
  limit.perTool = createRate(requests, seconds, burst);
}

export function addTool(address: usize, bytes: u32): bool {
  return addName(tools, address, bytes);
}

/** Full buckets for the limits and the tools that were given since `reset`. */
export function start(): void {
  freeRates(rates);
  rates = createRates(limit, tools);
}

export function take(clock: u64, key: usize, toolAt: usize, toolBytes: u32): u64 {
  return takeTokens(rates, clock, key, toolAt, toolBytes);
}
