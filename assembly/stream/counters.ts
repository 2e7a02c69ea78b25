// How exchanges ended, counted. The names are fixed, and a definition takes memory of the host each time, so the counters are
// defined once per VM; all its guards count into the same ones, as all VMs of the proxy do.

import { MetricKind } from "../host/abi";
import { addToMetric, defineMetric, NO_METRIC } from "../host/metric";
import { Literal } from "../memory/bytes";
import { allocateWriter, clear, Writer, writeLiteral } from "../memory/writer";
import { infoOf, Reason } from "../policy/reason";

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

/** Metric ids, by Decision, and by Reason. */
const decisionIds: usize = memory.data(4 * Decision.Count, 4);
const reasonIds: usize = memory.data(4 * Reason.Count, 4);
const name: Writer = allocateWriter(128);
let removedId: u32 = NO_METRIC;
let hiddenId: u32 = NO_METRIC;
let rejectedHeadersId: u32 = NO_METRIC;
let areDefined: bool = false;

/** Defines the counters, unless that has been done. False when the host refuses one. */
export function defineCounters(): bool {
  if (areDefined) return true;
  for (let decision: u32 = 0; decision < u32(Decision.Count); decision++) {
    clear(name);
    writeLiteral(name, "mcp_guard_decision_");
    writeLiteral(name, decisionName(decision));
    if (!define(decisionIds, decision)) return false;
  }
  for (let reason: u32 = 1; reason < u32(Reason.Count); reason++) {
    clear(name);
    writeLiteral(name, "mcp_guard_reason_");
    writeLiteral(name, infoOf(reason).name);
    if (!define(reasonIds, reason)) return false;
  }
  removedId = defineNamed("mcp_guard_response_removed");
  hiddenId = defineNamed("mcp_guard_response_hidden_characters");
  rejectedHeadersId = defineNamed("mcp_guard_identity_headers_rejected");
  areDefined = removedId != NO_METRIC && hiddenId != NO_METRIC && rejectedHeadersId != NO_METRIC;
  return areDefined;
}

/** Counts what was left out of one response. */
export function countResponse(removed: u32, hidden: u32): void {
  if (!areDefined) return;
  if (removed != 0) addToMetric(removedId, removed);
  if (hidden != 0) addToMetric(hiddenId, hidden);
}

/** Counts identity headers that do not count. */
export function countRejectedHeaders(count: u32): void {
  if (areDefined) addToMetric(rejectedHeadersId, count);
}

function defineNamed(text: Literal): u32 {
  clear(name);
  writeLiteral(name, text);
  return defineMetric(MetricKind.Counter, name);
}

/** Counts one exchange. A verdict has been given by now, and a counter that the host refuses does not change it. */
export function countExchange(decision: Decision, reason: Reason): void {
  if (!areDefined) return;
  addToMetric(idAt(decisionIds, decision), 1);
  if (reason != Reason.None) addToMetric(idAt(reasonIds, reason), 1);
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

function define(ids: usize, index: u32): bool {
  const id = defineMetric(MetricKind.Counter, name);
  store<u32>(ids + (usize(index) << 2), id); // SAFETY: index is below the Count that sized the array.
  return id != NO_METRIC;
}

function idAt(ids: usize, index: u32): u32 {
  return load<u32>(ids + (usize(index) << 2)); // SAFETY: index is below the Count that sized the array.
}
