// The watchdog. A wrong `request_headers`, or an Envoy buffer limit below `limits.body_bytes`, makes Envoy stop a stream
// without a word: then the tick finds it and answers for it.

import { actOn, setTick } from "../host/context";
import { RequestHeaders } from "../policy/policy";
import { Reason } from "../policy/reason";
import { tendHolds } from "./approval-turns";
import { flush } from "./collector";
import { beginEndings, endEndings, mayEnd, wasHurried } from "./endings";
import { Exchange, Stage } from "./exchange";
import { hasRecords } from "./export";
import { countGuard, Guard } from "./guard";
import { refuse } from "./refuse";
import { hasFlights, tendTokens, waitsForToken } from "./token-turns";

/** One tick of `guard`: refuses what has made no progress, and stops ticking when nothing waits. */
export function watch(guard: Guard): void {
  beginEndings();
  if (!wasHurried(guard)) guard.tick++;
  countGuard(guard);
  let exchange = guard.firstHeld;
  while (exchange !== null) {
    const after = exchange.nextHeld;
    // The first tick after progress comes at any moment of its period, so it does not count.
    const isStalled = guard.tick - exchange.progressTick > guard.ticksPerStall;
    // A human takes longer, and such a call has an end of its own; so has a question for a token.
    if (isStalled && exchange.stage != Stage.Asking && !waitsForToken(exchange)) giveUp(exchange);
    exchange = after;
  }
  tendTokens(guard);
  tendHolds(guard);
  flush(guard);
  endEndings(guard);
  if (guard.firstHeld === null && !hasRecords(guard) && !hasFlights(guard) && setTick(0)) guard.isTicking = false;
}

function giveUp(exchange: Exchange): void {
  // A stream that the host no longer knows is deleted by it; nothing passes meanwhile.
  if (!actOn(exchange.contextId) || !mayEnd()) return;
  if (exchange.stage == Stage.Refused) refuse(exchange, exchange.reason);
  else if (exchange.stage == Stage.Waiting) refuse(exchange, Reason.AuditUnavailable);
  else refuse(exchange, isBlind(exchange) ? Reason.HeadersMode : Reason.Stalled);
}

/** Whether headers are held and no body has ever come with them: without the flag for it, Envoy holds back the body too. */
function isBlind(exchange: Exchange): bool {
  const guard = exchange.guard;
  const policy = guard.policy;
  return !guard.hasSeenHeldBody && policy !== null && policy.requestHeaders == RequestHeaders.Hold;
}
