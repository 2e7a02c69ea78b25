// One guard: a root context with the policy that it was configured with, its metrics, and the streams that it holds. All
// state hangs here and goes with it, because two guards of different servers can share one VM.

import { MetricKind } from "../host/abi";
import { addToMetric, defineMetric, NO_METRIC } from "../host/metric";
import { GUARDS_MAX } from "../limits";
import { Literal } from "../memory/bytes";
import { allocateWriter, clear, Writer, writeHex, writeLiteral } from "../memory/writer";
import { freePolicy, Policy } from "../policy/policy";
import { infoOf, Reason } from "../policy/reason";
import { Exchange } from "./exchange";
import { freeInspection, Inspection } from "./inspection";

/** What became of a request, for counters and access logs. */
export const enum Decision {
  /** The client or the upstream went away before there was a verdict. */
  None,
  /** Judged and let through. */
  Allow,
  /** Refused. */
  Refuse,
  /** Monitor mode: would have been refused. */
  WouldRefuse,
  /** Monitor mode: could not be judged, because it was too large or the guard too busy. */
  NotRead,
  /** No body to judge: GET, HEAD, DELETE, OPTIONS. */
  Pass,
  /** An endpoint of `unguarded`. */
  Unguarded,
  /** An outbound listener. */
  Outbound,
  Count,
}

@unmanaged
export class Guard {
  next: Guard | null;
  contextId: u32;
  /** Null until a configuration has been accepted: then every request is refused. */
  policy: Policy | null;
  /** How many policies there have been: an inspection made for an older one is not used again. */
  generation: u32;
  /** Streams that wait for a verdict, oldest first. */
  firstHeld: Exchange | null;
  lastHeld: Exchange | null;
  /** Ticks so far. The watchdog counts ticks, so that no stream costs a call to the clock. */
  tick: u32;
  isTicking: bool;
  /** Bytes that undecided requests hold: bodies in Envoy, and our records. */
  inFlightBytes: u64;
  /** Inspections that nobody uses. */
  spare: Inspection | null;
  /** Metric ids, by Decision, then by Reason; NO_METRIC until configured. */
  decisionMetrics: usize;
  reasonMetrics: usize;
  infoMetric: u32;
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
  guard.infoMetric = NO_METRIC;
  guard.decisionMetrics = heap.alloc(usize(Decision.Count) << 2);
  guard.reasonMetrics = heap.alloc(usize(Reason.Count) << 2);
  memory.fill(guard.decisionMetrics, 0xff, usize(Decision.Count) << 2);
  memory.fill(guard.reasonMetrics, 0xff, usize(Reason.Count) << 2);
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
  heap.free(guard.decisionMetrics);
  heap.free(guard.reasonMetrics);
  heap.free(changetype<usize>(guard));
}

/**
 * Gives `guard` its policy, which it then owns, and counts it in `mcp_guard_info` under its digest. False when the host
 * refuses the gauge.
 */
export function setPolicy(guard: Guard, policy: Policy | null, digest: u64): bool {
  let counted: bool = true;
  if (guard.infoMetric != NO_METRIC) {
    counted = addToMetric(guard.infoMetric, -1);
    guard.infoMetric = NO_METRIC;
  }
  let inspection = guard.spare;
  while (inspection !== null) {
    // An inspection has the size that its policy's limits ask for.
    const after = inspection.nextSpare;
    freeInspection(inspection);
    inspection = after;
  }
  guard.spare = null;
  guard.generation++;
  const old = guard.policy;
  if (old !== null) freePolicy(old);
  guard.policy = policy;
  if (policy === null) return counted;
  clear(line);
  writeLiteral(line, "mcp_guard_info.policy.");
  writeHex(line, digest, 16);
  guard.infoMetric = defineMetric(MetricKind.Gauge, line);
  return guard.infoMetric != NO_METRIC && addToMetric(guard.infoMetric, 1);
}

/** Defines the counters, whose names are fixed here. False when the host refuses one. */
export function defineCounters(guard: Guard): bool {
  for (let decision: u32 = 0; decision < u32(Decision.Count); decision++) {
    clear(line);
    writeLiteral(line, "mcp_guard_decision_");
    writeLiteral(line, decisionName(decision));
    if (!defineCounter(guard.decisionMetrics, decision)) return false;
  }
  for (let reason: u32 = 1; reason < u32(Reason.Count); reason++) {
    clear(line);
    writeLiteral(line, "mcp_guard_reason_");
    writeLiteral(line, infoOf(reason).name);
    if (!defineCounter(guard.reasonMetrics, reason)) return false;
  }
  return true;
}

function defineCounter(ids: usize, index: u32): bool {
  const id = defineMetric(MetricKind.Counter, line);
  store<u32>(ids + (usize(index) << 2), id); // SAFETY: index is below the Count that sized the array.
  return id != NO_METRIC;
}

/** Counts one exchange. */
export function countExchange(guard: Guard, decision: Decision, reason: Reason): void {
  countOne(guard.decisionMetrics, decision);
  if (reason != Reason.None) countOne(guard.reasonMetrics, reason);
}

function countOne(ids: usize, index: u32): void {
  const id = load<u32>(ids + (usize(index) << 2)); // SAFETY: index is below the Count that sized the array.
  // A verdict has been given by now, and a counter that the host refuses does not change it.
  if (id != NO_METRIC) addToMetric(id, 1);
}

/** The public name of a decision. */
export function decisionName(decision: Decision): Literal {
  switch (decision) {
    case Decision.Allow:
      return "allow";
    case Decision.Refuse:
      return "refuse";
    case Decision.WouldRefuse:
      return "would_refuse";
    case Decision.NotRead:
      return "not_read";
    case Decision.Pass:
      return "pass";
    case Decision.Unguarded:
      return "unguarded";
    case Decision.Outbound:
      return "outbound";
    default:
      return "none";
  }
}
