// One guard: a root context with the policy that it was configured with and the streams that it holds. All
// state hangs here and goes with it, because two guards of different servers can share one VM.

import { Chain, createChain, freeChain } from "../audit/chain";
import { freeQueue, Queue, waitingBytes } from "../audit/queue";
import { MetricKind } from "../host/abi";
import { NO_CALL } from "../host/call";
import { addToMetric, defineMetric, NO_METRIC } from "../host/metric";
import { GUARDS_MAX } from "../limits";
import { allocateWriter, clear, Writer, writeHex, writeLiteral } from "../memory/writer";
import { createHints, freeHints, Hints } from "../policy/hints";
import { freePolicy, Policy } from "../policy/policy";
import { createRates, freeRates, Rates } from "../rate/rates";
import { freeRewriter, Rewriter } from "../rewrite/rewriter";
import { freeTokens, Tokens } from "../token/flight";
import { loseFlight } from "../token/turn";
import { countQueued } from "./counters";
import { Exchange } from "./exchange";
import { freeInspection, Inspection } from "./inspection";

@unmanaged
export class Guard {
  next: Guard | null;
  contextId: u32;
  /** Null until a configuration has been accepted: then every request is refused. */
  policy: Policy | null;
  /** Whether a body has ever come while headers were held: then the proxy is set up for it. */
  hasSeenHeldBody: bool;
  /** The digest of the policy. */
  digest: u64;
  /** How many policies there have been: an inspection made for an older one is not used again. */
  generation: u32;
  /** Streams that wait for a verdict, oldest first. */
  firstHeld: Exchange | null;
  lastHeld: Exchange | null;
  /** Ticks so far. The watchdog counts ticks, so that no stream costs a call to the clock. */
  tick: u32;
  isTicking: bool;
  /** Whether the next tick comes early, for streams that a callback has left (endings.ts). */
  isHurried: bool;
  /** Bytes that undecided requests hold: bodies in Envoy, and our records. */
  inFlightBytes: u64;
  /** Inspections that nobody uses, and rewriters. */
  spare: Inspection | null;
  spareRewriter: Rewriter | null;
  /** Milliseconds of a tick, and how many of them a stream may make no progress. */
  tickMs: u32;
  ticksPerStall: u32;
  /** Records for the collector; null until there is one. */
  queue: Queue | null;
  /** The request to the collector that is under way; NO_CALL when none is. */
  call: u32;
  /** How often in a row the collector did not take a batch, and the tick before which it is not asked again. */
  failures: u32;
  retryTick: u32;
  /** What its server has said of the policy's tools; null when that counts for nothing, because the policy asks nobody. */
  hints: Hints | null;
  /** Calls that wait for a human's approval. */
  waiting: u32;
  /** The poll that is under way, NO_CALL when none is; the tick before which there is no other, how often in a row it has failed, and its round. */
  poll: u32;
  pollTick: u32;
  pollFailures: u32;
  pollRound: u32;
  /** The tokens of its callers, under a policy that exchanges them; null until there is one. */
  tokens: Tokens | null;
  /** The records up to which calls that wait go on, or else are refused. */
  resumeUpTo: u64;
  refuseUpTo: u64;
  /** Whether the last batch that it answered was refused for good. */
  isRejected: bool;
  /** Buckets of its policy's limits; null when it has none. */
  rates: Rates | null;
  /** Addresses of the counters of its tools, by their slot in the policy's set; 0 when none are counted. */
  toolCounters: usize;
  /** Of its records. */
  chain: Chain;
  /** The gauge of its policy, NO_METRIC until configured, and whether the guard is counted in it. */
  infoMetric: u32;
  isCounted: bool;
}

let first: Guard | null = null;
let count: u32 = 0;
const line: Writer = allocateWriter(128);

/** The guard of root context `contextId`, or null. */
export function guardOf(contextId: u32): Guard | null {
  let guard = first;
  while (guard !== null) {
    if (guard.contextId == contextId) return guard;
    guard = guard.next;
  }
  return null;
}

/** A new guard without a policy; null when the VM has too many. */
export function createGuard(contextId: u32): Guard | null {
  if (count == GUARDS_MAX) return null;
  const guard = changetype<Guard>(heap.alloc(offsetof<Guard>()));
  memory.fill(changetype<usize>(guard), 0, offsetof<Guard>());
  guard.contextId = contextId;
  guard.chain = createChain();
  guard.infoMetric = NO_METRIC;
  guard.call = NO_CALL;
  guard.poll = NO_CALL;
  // That of a call which has been in no poll is 0.
  guard.pollRound = 1;
  guard.next = first;
  first = guard;
  count++;
  return guard;
}

/** Frees a guard. Its streams are gone: the host deletes them before their root context. */
export function deleteGuard(guard: Guard): void {
  if (first === guard) {
    first = guard.next;
  } else {
    let before = first;
    while (before !== null && before.next !== guard) before = before.next;
    if (before !== null) before.next = guard.next;
  }
  count--;
  setPolicy(guard, null, 0);
  freeChain(guard.chain);
  const queue = guard.queue;
  if (queue !== null) {
    countQueued(-i64(waitingBytes(queue)));
    freeQueue(queue);
  }
  heap.free(changetype<usize>(guard));
}

/**
 * Gives `guard` its policy, which it then owns. False when the host refuses the gauge under whose name, with the policy's digest, the
 * guard will be counted.
 */
export function setPolicy(guard: Guard, policy: Policy | null, digest: u64): bool {
  if (guard.isCounted) addToMetric(guard.infoMetric, -1);
  guard.isCounted = false;
  guard.infoMetric = NO_METRIC;
  let inspection = guard.spare;
  while (inspection !== null) {
    // An inspection has the size that its policy's limits ask for.
    const after = inspection.nextSpare;
    freeInspection(inspection);
    inspection = after;
  }
  guard.spare = null;
  let rewriter = guard.spareRewriter;
  while (rewriter !== null) {
    const after = rewriter.nextSpare;
    freeRewriter(rewriter);
    rewriter = after;
  }
  guard.spareRewriter = null;
  guard.generation++;
  if (guard.toolCounters != 0) heap.free(guard.toolCounters);
  guard.toolCounters = 0;
  const rates = guard.rates;
  if (rates !== null) freeRates(rates);
  guard.rates = null;
  const old = guard.policy;
  if (old !== null) freePolicy(old);
  const hints = guard.hints;
  if (hints !== null) freeHints(hints);
  guard.hints = null;
  const tokens = guard.tokens;
  if (tokens !== null) {
    // Those who wait for one find out at the next tick.
    loseFlights(guard);
    freeTokens(tokens);
  }
  guard.tokens = null;
  guard.policy = policy;
  guard.digest = digest;
  if (policy === null) return true;
  const tools = policy.allTools;
  if (policy.approver !== null && tools !== null) guard.hints = createHints(tools);
  const limit = policy.rateLimit;
  if (limit !== null && tools !== null) guard.rates = createRates(limit, tools);
  clear(line);
  writeLiteral(line, "mcp_guard_info.policy.");
  writeHex(line, digest, 16);
  guard.infoMetric = defineMetric(MetricKind.Gauge, line);
  return guard.infoMetric != NO_METRIC;
}

function loseFlights(guard: Guard): void {
  let exchange = guard.firstHeld;
  while (exchange !== null) {
    const turn = exchange.turn;
    if (turn !== null) loseFlight(turn);
    exchange = exchange.nextHeld;
  }
}

/**
 * Counts the guard in the gauge of its policy. Called from its first tick and not when it is configured: Envoy tries a configuration
 * in a VM that it drops without a word, and that one would be counted for ever. So the gauge says how many VMs enforce the policy.
 */
export function countGuard(guard: Guard): void {
  if (guard.isCounted || guard.infoMetric == NO_METRIC) return;
  guard.isCounted = addToMetric(guard.infoMetric, 1);
}
