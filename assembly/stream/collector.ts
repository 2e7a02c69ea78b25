// Calls that wait until the collector has acknowledged their record (`audit.required`), and what its answers mean to them.

import { continueRequest } from "../host/call";
import { now } from "../host/clock";
import { actOn } from "../host/context";
import { NAME_BYTES_MAX } from "../limits";
import { equalsLiteral } from "../memory/bytes";
import { isFlagged } from "../policy/flagged";
import { Grant } from "../policy/grant";
import { AuditRequired, Mode, Policy } from "../policy/policy";
import { Reason } from "../policy/reason";
import { exportMessage, exportRequest } from "./audit-line";
import { Decision } from "./counters";
import { mayEnd } from "./endings";
import { Exchange, Stage } from "./exchange";
import { Answer, hasFullBatch, isBackingOff, sendBatch, takeAnswer } from "./export";
import { Guard } from "./guard";
import { hold, letGo } from "./held";
import { Inspection } from "./inspection";
import { endReading } from "./reading";
import { refuse } from "./refuse";

/** Whether a message that may pass has to wait until its record is safe. */
export function mustWait(policy: Policy, grant: Grant | null, inspection: Inspection): bool {
  const message = inspection.message;
  if (policy.mode == Mode.Monitor) return false;
  if (policy.auditRequired == AuditRequired.All) return true;
  if (policy.auditRequired == AuditRequired.None) return false;
  if (!equalsLiteral(message.methodAt, message.methodBytes, "tools/call")) return false;
  const bytes = min(message.nameBytes, NAME_BYTES_MAX);
  return inspection.findings.isHinted || isFlagged(policy, grant, message.nameAt, bytes);
}

/** Has the request wait, or refuses it when it cannot; either way it is held. What is known of it has been noted. */
export function wait(exchange: Exchange): void {
  const guard = exchange.guard;
  const reason = queueRequest(exchange);
  if (reason != Reason.None) {
    refuse(exchange, reason);
    exportMessage(exchange);
  } else if (!sendBatch(guard)) {
    refuseUpTo(guard, u64.MAX_VALUE);
    refuse(exchange, Reason.AuditUnavailable);
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

/** From a tick: ends what an answer has left, and sends what waits. */
export function flush(guard: Guard): void {
  if (!sendBatch(guard)) refuseUpTo(guard, u64.MAX_VALUE);
  endWaiting(guard);
}

/** Whether request `token` went to the collector. */
export function isCollectorAnswer(guard: Guard, token: u32): bool {
  return guard.call == token;
}

/** `proxy_on_http_call_response`: the answer to request `token`, with `bodyBytes` bytes of body. */
export function onCollectorAnswer(guard: Guard, token: u32, bodyBytes: u32): void {
  const answer = takeAnswer(guard, token, bodyBytes);
  const queue = guard.queue;
  if (answer == Answer.None || queue === null) return;
  if (answer == Answer.Acknowledged) guard.resumeUpTo = queue.gone;
  // Of a batch that failed nothing is gone, but nobody shall wait for another try.
  else refuseUpTo(guard, answer == Answer.Rejected ? queue.gone : u64.MAX_VALUE);
  endWaiting(guard);
  if ((hasWaiting(guard) || hasFullBatch(guard)) && !sendBatch(guard)) {
    refuseUpTo(guard, u64.MAX_VALUE);
    endWaiting(guard);
  }
}

/** Has the requests whose records are among the first `upTo` of those so far refused, but for those that may go on. */
function refuseUpTo(guard: Guard, upTo: u64): void {
  const queue = guard.queue;
  if (queue !== null) guard.refuseUpTo = min(upTo, queue.taken);
}

function hasWaiting(guard: Guard): bool {
  let exchange = guard.firstHeld;
  while (exchange !== null) {
    if (exchange.stage == Stage.Waiting) return true;
    exchange = exchange.nextHeld;
  }
  return false;
}

/** Lets go on what has been acknowledged, and refuses what will not be; as much of it as may end in one callback. */
function endWaiting(guard: Guard): void {
  let exchange = guard.firstHeld;
  while (exchange !== null) {
    const after = exchange.nextHeld;
    if (exchange.stage == Stage.Waiting) {
      const mayGoOn = exchange.awaited <= guard.resumeUpTo;
      if ((mayGoOn || exchange.awaited <= guard.refuseUpTo) && actOn(exchange.contextId)) {
        if (!mayEnd()) break;
        if (mayGoOn) resume(exchange);
        else refuse(exchange, Reason.AuditUnavailable);
      }
    }
    exchange = after;
  }
  actOn(guard.contextId);
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
