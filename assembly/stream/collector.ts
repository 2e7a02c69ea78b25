// Calls that wait until the collector has acknowledged their record (`audit.required`), and what its answers mean to them.

import { continueRequest } from "../host/call";
import { now } from "../host/clock";
import { actOn } from "../host/context";
import { NAME_BYTES_MAX } from "../limits";
import { Message } from "../mcp/message";
import { equalsLiteral } from "../memory/bytes";
import { isFlagged } from "../policy/flagged";
import { AuditRequired, Mode, Policy } from "../policy/policy";
import { Reason } from "../policy/reason";
import { exportMessage, exportRequest } from "./audit-line";
import { Decision } from "./counters";
import { Exchange, Stage } from "./exchange";
import { Answer, hasFullBatch, isBackingOff, sendBatch, takeAnswer } from "./export";
import { Guard } from "./guard";
import { hold, letGo } from "./held";
import { endReading } from "./reading";
import { refuse } from "./refuse";

/** Whether a message that may pass has to wait until its record is safe. */
export function mustWait(policy: Policy, message: Message): bool {
  if (policy.mode == Mode.Monitor) return false;
  if (policy.auditRequired == AuditRequired.All) return true;
  if (policy.auditRequired == AuditRequired.None) return false;
  if (!equalsLiteral(message.methodAt, message.methodBytes, "tools/call")) return false;
  return isFlagged(policy, message.nameAt, min(message.nameBytes, NAME_BYTES_MAX));
}

/** Has the request wait, or refuses it when it cannot; either way it is held. What is known of it has been noted. */
export function wait(exchange: Exchange): void {
  const guard = exchange.guard;
  const reason = queueRequest(exchange);
  if (reason != Reason.None) {
    refuse(exchange, reason);
    exportMessage(exchange);
  } else if (!sendBatch(guard)) {
    refuseWaiting(guard, u64.MAX_VALUE);
    actOn(exchange.contextId);
  }
}

/** Puts the record of the request into the queue, and the request among those that wait. A reason when one of the two cannot be. */
function queueRequest(exchange: Exchange): Reason {
  const guard = exchange.guard;
  // As long as nobody answers there, a call need not hang to find out.
  if (isBackingOff(guard)) return Reason.AuditUnavailable;
  exchange.decision = Decision.Allow;
  const isQueued = exportRequest(exchange);
  exchange.decision = Decision.None;
  const queue = guard.queue;
  if (!isQueued || queue === null) return Reason.AuditUnavailable;
  if (!hold(exchange)) return Reason.Internal;
  exchange.progressTick = guard.tick;
  exchange.awaited = queue.taken;
  exchange.stage = Stage.Waiting;
  return Reason.None;
}

/** From a tick: sends what waits. */
export function flush(guard: Guard): void {
  if (!sendBatch(guard)) endWaiting(guard, u64.MAX_VALUE);
}

/** `proxy_on_http_call_response`: the answer to request `token`, with `bodyBytes` bytes of body. */
export function onCollectorAnswer(guard: Guard, token: u32, bodyBytes: u32): void {
  const answer = takeAnswer(guard, token, bodyBytes);
  const queue = guard.queue;
  if (answer == Answer.None || queue === null) return;
  if (answer == Answer.Acknowledged) {
    resumeWaiting(guard, queue.gone);
    actOn(guard.contextId);
  } else {
    // Of a batch that failed nothing is gone, but nobody shall wait for another try.
    endWaiting(guard, answer == Answer.Rejected ? queue.gone : u64.MAX_VALUE);
  }
  if ((hasWaiting(guard) || hasFullBatch(guard)) && !sendBatch(guard)) endWaiting(guard, u64.MAX_VALUE);
}

function endWaiting(guard: Guard, upTo: u64): void {
  refuseWaiting(guard, upTo);
  actOn(guard.contextId);
}

function hasWaiting(guard: Guard): bool {
  let exchange = guard.firstHeld;
  while (exchange !== null) {
    if (exchange.stage == Stage.Waiting) return true;
    exchange = exchange.nextHeld;
  }
  return false;
}

/** Lets go on the requests whose records are among the first `upTo`. */
function resumeWaiting(guard: Guard, upTo: u64): void {
  let exchange = guard.firstHeld;
  while (exchange !== null) {
    const after = exchange.nextHeld;
    if (exchange.stage == Stage.Waiting && exchange.awaited <= upTo && actOn(exchange.contextId)) resume(exchange);
    exchange = after;
  }
}

function resume(exchange: Exchange): void {
  if (!continueRequest()) {
    refuse(exchange, Reason.Internal);
    return;
  }
  letGo(exchange);
  endReading(exchange);
  exchange.stage = Stage.Passed;
  exchange.decision = Decision.Allow;
  exchange.decidedAt = now();
}

/** Refuses the requests whose records are among the first `upTo`. */
function refuseWaiting(guard: Guard, upTo: u64): void {
  let exchange = guard.firstHeld;
  while (exchange !== null) {
    const after = exchange.nextHeld;
    if (exchange.stage == Stage.Waiting && exchange.awaited <= upTo && actOn(exchange.contextId)) {
      refuse(exchange, Reason.AuditUnavailable);
    }
    exchange = after;
  }
}
