// How exchanges ended, counted. The names are fixed, and a definition takes memory of the host each time, so the counters are
// defined once per VM; all its guards count into the same ones, as all VMs of the proxy do.

import { MetricKind } from "../host/abi";
import { addToMetric, defineMetric, NO_METRIC, recordInMetric } from "../host/metric";
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

/** What else is counted. */
export const enum Count {
  /** Elements, messages and links that were left out of responses or replaced; and elements of lists that stayed. */
  Removed,
  Listed,
  /** Hidden characters that were taken out. */
  Hidden,
  /** Identity headers that did not count. */
  RejectedHeaders,
  /** Bytes of both bodies. */
  RequestBytes,
  ResponseBytes,
  /** Records that were handed to the proxy, and those that it did not take. */
  Records,
  LostRecords,
  /** Records that the collector has acknowledged, and those that it never will. */
  ExportedRecords,
  DroppedRecords,
  /** Requests to the collector that failed. */
  FailedCalls,
  /** Tokens that requests found kept or already asked for, those that were given, and questions to the token endpoint that brought none. */
  CachedTokens,
  MintedTokens,
  FailedTokens,
  Count,
}

/** Metric ids, by Decision, by Reason, and by Count. */
const decisionIds: usize = memory.data(4 * Decision.Count, 4);
const reasonIds: usize = memory.data(4 * Reason.Count, 4);
const countIds: usize = memory.data(4 * Count.Count, 4);
const name: Writer = allocateWriter(128);
let activeId: u32 = NO_METRIC;
let durationId: u32 = NO_METRIC;
let queueId: u32 = NO_METRIC;
let areDefined: bool = false;

/** Defines the metrics, unless that has been done. False when the host refuses one. */
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
  for (let count: u32 = 0; count < u32(Count.Count); count++) {
    clear(name);
    writeLiteral(name, countName(count));
    if (!define(countIds, count)) return false;
  }
  activeId = defineNamed(MetricKind.Gauge, "mcp_guard_exchanges_active");
  durationId = defineNamed(MetricKind.Histogram, "mcp_guard_duration_us");
  queueId = defineNamed(MetricKind.Gauge, "mcp_guard_audit_queue_bytes");
  areDefined = activeId != NO_METRIC && durationId != NO_METRIC && queueId != NO_METRIC;
  return areDefined;
}

function defineNamed(kind: MetricKind, text: Literal): u32 {
  clear(name);
  writeLiteral(name, text);
  return defineMetric(kind, name);
}

/** Adds `amount` to a counter; the host refuses 0. */
export function count(counter: Count, amount: u64): void {
  if (areDefined && amount != 0) addToMetric(idAt(countIds, counter), amount);
}

/** Counts an exchange as under way, or not any more. */
export function countActive(change: i64): void {
  if (areDefined) addToMetric(activeId, change);
}

/** Counts bytes that wait for the collector, or do not any more. */
export function countQueued(change: i64): void {
  if (areDefined && change != 0) addToMetric(queueId, change);
}

/** Counts one exchange that has ended. A verdict has been given by now, and a counter that the host refuses does not change it. */
export function countExchange(decision: Decision, reason: Reason, microseconds: u64): void {
  if (!areDefined) return;
  addToMetric(idAt(decisionIds, decision), 1);
  if (reason != Reason.None) addToMetric(idAt(reasonIds, reason), 1);
  recordInMetric(durationId, microseconds);
}

function countName(counter: Count): Literal {
  switch (counter) {
    case Count.Removed:
      return "mcp_guard_response_removed";
    case Count.Listed:
      return "mcp_guard_response_listed";
    case Count.Hidden:
      return "mcp_guard_response_hidden_characters";
    case Count.RejectedHeaders:
      return "mcp_guard_identity_headers_rejected";
    case Count.RequestBytes:
      return "mcp_guard_request_bytes";
    case Count.ResponseBytes:
      return "mcp_guard_response_bytes";
    case Count.Records:
      return "mcp_guard_audit_records";
    case Count.LostRecords:
      return "mcp_guard_audit_records_lost";
    case Count.ExportedRecords:
      return "mcp_guard_audit_exported";
    case Count.DroppedRecords:
      return "mcp_guard_audit_dropped";
    case Count.FailedCalls:
      return "mcp_guard_audit_calls_failed";
    case Count.CachedTokens:
      return "mcp_guard_token_cached";
    case Count.MintedTokens:
      return "mcp_guard_token_minted";
    default:
      return "mcp_guard_token_failed";
  }
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
