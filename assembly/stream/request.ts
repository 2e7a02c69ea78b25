// The request side of an exchange: headers, body, trailers, verdict. A request passes only when its whole body has been
// read and judged; until then Envoy holds it.

import { Action, BufferId, HOLD_WHOLE_BODY, ListenerDirection, MapId } from "../host/abi";
import { readBuffer } from "../host/buffer";
import { removeHeader } from "../host/headers";
import { landedAt } from "../host/landing";
import { integerProperty } from "../host/property";
import { headerCount, removeFromTrailers, removeIdentityHeader } from "../identity/header";
import { findGrant } from "../identity/matching";
import {
  findPrincipal,
  isConflict,
  isHeaderTrusted,
  isHuman,
  isSomebody,
  rejectedHeaders,
} from "../identity/principal";
import { isComplete } from "../json/reader";
import { METHOD_BYTES_MAX, NAME_BYTES_MAX, PIECE_BYTES, REQUEST_ID_BYTES_MAX, TAIL_BYTES_MAX } from "../limits";
import { finishEnvelope } from "../mcp/envelope";
import { Fault } from "../mcp/fault";
import { Kind, Message } from "../mcp/message";
import { Method, methodOf } from "../mcp/method";
import { checkMirror } from "../mcp/mirror";
import { equalsLiteral } from "../memory/bytes";
import { decide } from "../policy/decide";
import { readPiece } from "../policy/findings";
import { Identity } from "../policy/identity";
import { Authorization, Direction, HttpMethod, Mode, Policy, RequestBody, RequestHeaders } from "../policy/policy";
import { Reason, reasonOfFault } from "../policy/reason";
import { forgetSubject } from "../token/subject";
import { askApproval, keepPrincipal, keepTarget, needsApproval } from "./approval";
import { exportMessage } from "./audit-line";
import { mustWait, wait } from "./collector";
import { Count, count, Decision } from "./counters";
import { Exchange, grantOf, methodAt, nameAt, requestIdAt, Stage } from "./exchange";
import { leavesRecord, noteHead, noteIdentity, noteMessage } from "./facts";
import {
  askForWholeResponse,
  asksForUpgrade,
  checkHead,
  checkSource,
  copyMirror,
  hasTokenInQuery,
  headMethod,
  requestIdAt as headRequestIdAt,
  requestIdBytes as headRequestIdBytes,
  isUnguarded,
  readHead,
  wantsMessages,
} from "./head";
import { hold, letGo } from "./held";
import { Inspection } from "./inspection";
import { keepRateKey, takeRate } from "./rate";
import { accountReading, endReading, startReading } from "./reading";
import { refuse } from "./refuse";
import { awaitToken, beginToken, noteBody, waitsForToken } from "./token-turns";

/** `proxy_on_request_headers`: `endOfStream` means that no body will come. */
export function onRequestHeaders(exchange: Exchange, endOfStream: bool): Action {
  const action = judgeHeaders(exchange, endOfStream);
  forgetSubject();
  return action;
}

function judgeHeaders(exchange: Exchange, endOfStream: bool): Action {
  const policy = exchange.guard.policy;
  if (policy === null) {
    refuse(exchange, Reason.ConfigInvalid);
    return Action.HoldHeaders;
  }
  if (policy.direction == Direction.Inbound && isOutbound()) return passOutbound(exchange, policy);
  if (!readHead(policy, policy.mode == Mode.Monitor)) return declineHeaders(exchange, policy, Reason.Internal);
  noteRequestId(exchange);
  if (leavesRecord(policy)) noteHead(exchange);
  if (exchange.isSurplus) return declineHeaders(exchange, policy, Reason.Overloaded);
  exchange.wantsMessages = wantsMessages();
  exchange.isGet = headMethod() == HttpMethod.Get;
  const isExempt = !asksForUpgrade() && isUnguarded(policy);
  let reason = isExempt ? Reason.None : checkRequest(exchange, policy, endOfStream);
  // From here on what has landed of the headers is gone.
  const identity = policy.identity;
  if (identity !== null) {
    const fault = identify(exchange, policy, identity);
    if (reason == Reason.None && (!isExempt || fault == Reason.Internal)) reason = fault;
  }
  if (reason != Reason.None) return declineHeaders(exchange, policy, reason);
  const inspection = exchange.inspection;
  if (policy.approver !== null && inspection !== null) keepPrincipal(inspection, identity !== null);
  if (inspection !== null) keepRateKey(inspection, policy, identity !== null);
  if (isExempt) return pass(exchange, Decision.Unguarded);
  // Monitor mode changes nothing.
  if (policy.mode == Mode.Enforce && !askForWholeResponse()) return declineHeaders(exchange, policy, Reason.Internal);
  if (policy.mode == Mode.Enforce) {
    reason = beginToken(exchange, policy, !endOfStream);
    if (reason != Reason.None) return declineHeaders(exchange, policy, reason);
  }
  if (endOfStream) {
    if (!waitsForToken(exchange)) return pass(exchange, Decision.Pass);
    exchange.stage = Stage.Exchanging;
    return Action.HoldHeaders;
  }
  if (policy.mode == Mode.Monitor) {
    exchange.stage = Stage.Watching;
    return Action.Continue;
  }
  exchange.stage = Stage.Reading;
  if (!hold(exchange)) return declineHeaders(exchange, policy, Reason.Internal);
  return policy.requestHeaders == RequestHeaders.Hold || waitsForToken(exchange) ? Action.HoldHeaders : Action.Continue;
}

/** None when the head may pass; then everything is ready to read the body, if one comes. */
function checkRequest(exchange: Exchange, policy: Policy, endOfStream: bool): Reason {
  if (asksForUpgrade()) return Reason.HttpUpgrade;
  let reason = checkSource(policy);
  if (reason == Reason.None) reason = checkHead(policy, endOfStream);
  const takesTokens = policy.authorization != Authorization.Pass && policy.mode == Mode.Enforce;
  if (reason == Reason.None && takesTokens && hasTokenInQuery()) reason = Reason.TokenInvalid;
  if (reason != Reason.None || endOfStream) return reason;
  if (!startReading(exchange, policy)) return Reason.Overloaded;
  const inspection = exchange.inspection;
  if (inspection === null) return Reason.Internal;
  copyMirror(inspection.mirror);
  if (policy.approver !== null) keepTarget(inspection);
  return accountReading(exchange, policy, inspection) ? Reason.None : Reason.Overloaded;
}

/** Finds out who asks, and takes out of the request who only says so. Monitor mode changes nothing. */
function identify(exchange: Exchange, policy: Policy, identity: Identity): Reason {
  findPrincipal(identity);
  exchange.hasHuman = isHuman();
  exchange.hasPrincipal = isSomebody();
  const rules = policy.rules;
  if (rules !== null) exchange.grant = findGrant(identity, rules, exchange.guard.generation);
  if (leavesRecord(policy)) noteIdentity(exchange);
  count(Count.RejectedHeaders, rejectedHeaders);
  const isLeft = isHeaderTrusted || headerCount == 0 || policy.mode == Mode.Monitor;
  if (!isLeft && !removeIdentityHeader(identity)) return Reason.Internal;
  return isConflict ? Reason.IdentityConflict : Reason.None;
}

/** `proxy_on_request_body`: `bytes` bytes are new, because every call before has returned Continue or HoldBody. */
export function onRequestBody(exchange: Exchange, bytes: u32, endOfStream: bool): Action {
  const policy = exchange.guard.policy;
  const inspection = exchange.inspection;
  if (exchange.stage == Stage.Passed) return Action.Continue;
  if (exchange.stage == Stage.Asking) return held(exchange);
  if (isDecided(exchange)) return Action.HoldBody;
  noteBody(exchange);
  if (policy === null || inspection === null) {
    refuse(exchange, Reason.Internal);
    return Action.HoldBody;
  }
  exchange.guard.hasSeenHeldBody = true;
  const isTail = isComplete(inspection.reader);
  exchange.progressTick = exchange.guard.tick;
  if (isOfEarlierPolicy(exchange, inspection)) {
    return decline(exchange, policy, Reason.Internal) ? Action.HoldBody : Action.Continue;
  }
  const reason = readPart(exchange, policy, inspection, bytes, isTail);
  if (reason != Reason.None) return decline(exchange, policy, reason) ? Action.HoldBody : Action.Continue;
  if (endOfStream) return conclude(exchange, policy, inspection, true) ? Action.Continue : held(exchange);
  if (exchange.stage == Stage.Watching) return Action.Continue;
  if (policy.requestBody == RequestBody.Stream) {
    // The callback that has the end of the root value is held, and all that follow: what went before is no JSON text.
    if (!isComplete(inspection.reader) && !waitsForToken(exchange)) return letFlow(exchange, policy, inspection);
    if (!hold(exchange)) return decline(exchange, policy, Reason.Internal) ? Action.HoldBody : Action.Continue;
  }
  return Action.HoldBody;
}

/** Whether there is a verdict, and what still comes of the request waits for more than that. */
function isDecided(exchange: Exchange): bool {
  const stage = exchange.stage;
  return stage == Stage.Refused || stage == Stage.Waiting || stage == Stage.Exchanging;
}

/** How a body waits: so that it can be replaced when it is not the one that goes on. */
function held(exchange: Exchange): Action {
  const hold = exchange.hold;
  return hold !== null && hold.isRestored ? HOLD_WHOLE_BODY : Action.HoldBody;
}

/** Lets go on what has come so far. From then on the server may keep the request waiting, which is no stall of ours. */
export function letFlow(exchange: Exchange, policy: Policy, inspection: Inspection): Action {
  letGo(exchange);
  exchange.heldBytes = 0;
  accountReading(exchange, policy, inspection);
  return Action.Continue;
}

/** `proxy_on_request_trailers`: the body has ended, without any body call having said so. */
export function onRequestTrailers(exchange: Exchange): Action {
  const policy = exchange.guard.policy;
  const inspection = exchange.inspection;
  if (policy !== null && !cleanTrailers(exchange, policy)) return declineHeaders(exchange, policy, Reason.Internal);
  if (exchange.stage == Stage.Passed) return Action.Continue;
  if (isDecided(exchange) || exchange.stage == Stage.Asking) return Action.HoldHeaders;
  if (policy === null || inspection === null) {
    refuse(exchange, Reason.Internal);
    return Action.HoldHeaders;
  }
  if (isOfEarlierPolicy(exchange, inspection)) return declineHeaders(exchange, policy, Reason.Internal);
  return conclude(exchange, policy, inspection, false) ? Action.Continue : Action.HoldHeaders;
}

/** Takes tokens and identity headers out of the trailers, where none has any business. False when the host refuses. */
function cleanTrailers(exchange: Exchange, policy: Policy): bool {
  if (isExchanged(exchange, policy) && !removeHeader(MapId.RequestTrailers, "authorization")) return false;
  const identity = policy.identity;
  if (identity === null || identity.headerBytes == 0 || exchange.decision == Decision.Outbound) return true;
  const found = removeFromTrailers(identity, policy.mode == Mode.Monitor);
  if (found > 0) count(Count.RejectedHeaders, found);
  return found >= 0;
}

/** Whether no token of the caller's goes on to the server. */
function isExchanged(exchange: Exchange, policy: Policy): bool {
  if (policy.authorization == Authorization.Pass || policy.mode == Mode.Monitor) return false;
  return exchange.decision != Decision.Outbound && exchange.decision != Decision.Unguarded;
}

/**
 * Before an exchange is recorded: a message that was watched as it passed, and whose end nobody has told, because the server had
 * all of it and answered first, is judged by what has been read. One that is incomplete stays without a decision.
 */
export function settle(exchange: Exchange): void {
  const policy = exchange.guard.policy;
  const inspection = exchange.inspection;
  if (exchange.stage != Stage.Watching || policy === null || inspection === null) return;
  if (!isOfEarlierPolicy(exchange, inspection) && isComplete(inspection.reader)) {
    conclude(exchange, policy, inspection, false);
  }
}

/**
 * Whether the guard got another policy after this stream's headers: what was prepared and found under the one must not be judged
 * under the other. Envoy makes a new guard for a new configuration; the ABI lets a host configure the same one again.
 */
function isOfEarlierPolicy(exchange: Exchange, inspection: Inspection): bool {
  return inspection.generation != exchange.guard.generation;
}

/** Reads the bytes that are new. The first fault ends it: nothing that follows can make the message acceptable. */
function readPart(exchange: Exchange, policy: Policy, inspection: Inspection, bytes: u32, isTail: bool): Reason {
  // In the very call that crosses it: above Envoy's own limit an HTTP/1.1 stream would stall instead of being refused.
  if (bytes > policy.bodyBytesMax - exchange.bodyBytes) return Reason.BodyTooLarge;
  exchange.bodyBytes += bytes;
  if (exchange.stage == Stage.Reading) exchange.heldBytes += bytes;
  if (isTail && policy.requestBody == RequestBody.Stream) {
    exchange.tailBytes += bytes;
    if (exchange.tailBytes > TAIL_BYTES_MAX) return Reason.BodyTooLarge;
  }
  let start: u32 = 0;
  while (start < bytes) {
    const piece = min(bytes - start, PIECE_BYTES);
    if (!readBuffer(BufferId.RequestBody, start, piece)) return Reason.Internal;
    const hints = exchange.guard.hints;
    const fault = readPiece(
      policy,
      grantOf(exchange),
      hints,
      inspection.envelope,
      inspection.findings,
      landedAt(),
      piece,
    );
    if (fault != Fault.None) return reasonOfFault(fault, inspection.reader.error);
    start += piece;
  }
  return accountReading(exchange, policy, inspection) ? Reason.None : Reason.Overloaded;
}

/** The body has ended: the verdict. True when the request passes. `isInBody`: a body callback has said so, which can have the body replaced later. */
function conclude(exchange: Exchange, policy: Policy, inspection: Inspection, isInBody: bool): bool {
  let fault = finishEnvelope(inspection.envelope);
  if (fault == Fault.None) fault = checkMirror(inspection.message, inspection.mirror);
  const grant = grantOf(exchange);
  let reason =
    fault == Fault.None
      ? decide(policy, grant, inspection.message, inspection.findings, exchange.hasHuman, exchange.hasPrincipal)
      : reasonOfFault(fault, inspection.reader.error);
  if (reason == Reason.None) reason = takeRate(exchange, inspection);
  const asks = reason == Reason.None && needsApproval(policy, grant, inspection);
  if (asks && policy.mode == Mode.Monitor) reason = Reason.ApprovalPending;
  if (reason != Reason.None) return !decline(exchange, policy, reason);
  noteInspection(exchange, policy, inspection);
  exchange.completesPrompt = completesPrompt(inspection.message);
  if (asks) {
    reason = askApproval(exchange, policy, inspection, isInBody);
    if (reason != Reason.None) {
      refuse(exchange, reason);
      exportMessage(exchange);
    }
    return false;
  }
  if (awaitToken(exchange, policy, !isInBody)) return false;
  if (mustWait(policy, grant, inspection)) {
    wait(exchange);
    return false;
  }
  letGo(exchange);
  endReading(exchange);
  pass(exchange, Decision.Allow);
  exportMessage(exchange);
  return true;
}

/** Whether the answer's values are for an argument of a prompt, and so no parts of URIs. */
function completesPrompt(message: Message): bool {
  if (methodOf(message.methodAt, min(message.methodBytes, METHOD_BYTES_MAX)) != Method.Complete) return false;
  return message.refTypeKind == Kind.Good && equalsLiteral(message.refTypeAt, message.refTypeBytes, "ref/prompt");
}

/** Refuses, or in monitor mode notes that it would have. True when the request is refused. */
function decline(exchange: Exchange, policy: Policy, reason: Reason): bool {
  const inspection = exchange.inspection;
  if (inspection !== null) noteInspection(exchange, policy, inspection);
  if (policy.mode == Mode.Enforce) {
    refuse(exchange, reason);
    if (inspection !== null) exportMessage(exchange);
    return true;
  }
  const wasRead = reason != Reason.BodyTooLarge && reason != Reason.Overloaded;
  exchange.reason = reason;
  letGo(exchange);
  endReading(exchange);
  pass(exchange, wasRead ? Decision.WouldRefuse : Decision.NotRead);
  if (inspection !== null) exportMessage(exchange);
  return false;
}

function declineHeaders(exchange: Exchange, policy: Policy, reason: Reason): Action {
  return decline(exchange, policy, reason) ? Action.HoldHeaders : Action.Continue;
}

function pass(exchange: Exchange, decision: Decision): Action {
  exchange.stage = Stage.Passed;
  exchange.decision = decision;
  return Action.Continue;
}

/** Nothing is changed or judged, and what the client of this proxy asks for is recorded. */
function passOutbound(exchange: Exchange, policy: Policy): Action {
  if (leavesRecord(policy) && readHead(policy, true)) {
    noteRequestId(exchange);
    noteHead(exchange);
  }
  return pass(exchange, Decision.Outbound);
}

/**
 * Istio inserts a WasmPlugin without `match` on outbound listeners too: there the workload is the client. Asked for each stream: Envoy has
 * one plugin for two listeners with one configuration, whatever their direction.
 */
function isOutbound(): bool {
  return integerProperty("xds", "listener_direction", 0) == u64(ListenerDirection.Outbound);
}

function noteRequestId(exchange: Exchange): void {
  if (headRequestIdBytes == 0 || headRequestIdBytes > REQUEST_ID_BYTES_MAX) return;
  exchange.requestIdBytes = headRequestIdBytes;
  memory.copy(requestIdAt(exchange), headRequestIdAt, headRequestIdBytes);
}

/** Keeps what is known of the message: method and name for the refusal and the access log, the rest for the record. */
function noteInspection(exchange: Exchange, policy: Policy, inspection: Inspection): void {
  const message = inspection.message;
  if (leavesRecord(policy)) noteMessage(exchange, policy, inspection);
  if (message.methodKind == Kind.Good) {
    exchange.methodBytes = min(message.methodBytes, METHOD_BYTES_MAX);
    memory.copy(methodAt(exchange), message.methodAt, exchange.methodBytes);
  }
  if (message.nameKind == Kind.Good) {
    exchange.nameBytes = min(message.nameBytes, NAME_BYTES_MAX);
    memory.copy(nameAt(exchange), message.nameAt, exchange.nameBytes);
  }
}
