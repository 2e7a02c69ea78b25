// Calls that wait until a human has approved them (`approval`), turn by turn: asked about at the approval service, let go on with its receipt, once. One
// question opens an approval, polls ask about all that wait, a claim gets the receipt. A request to the service cannot be taken back, so an
// answer that nobody waits for any more is dropped.

import {
  nextPolled,
  openedId,
  openedStatus,
  openPolled,
  polledId,
  polledStatus,
  readClaimed,
  readOpened,
  readRefusal,
  receiptAt,
  receiptBytes,
} from "../approval/answer";
import { CALL_DIGEST_DIGITS } from "../approval/call-digest";
import { Field, fieldAt, fieldBytes } from "../approval/caller";
import { ApprovalStatus, freeHold, Hold, HoldStep } from "../approval/hold";
import { addId, beginIds, endIds, writeClaim } from "../approval/question";
import { approverAt, approverBytes, checkReceipt, ExpectedReceipt } from "../approval/receipt";
import { ID_BYTES } from "../approval/round";
import { BufferId } from "../host/abi";
import { readBuffer, replaceBuffer } from "../host/buffer";
import { answerStatus, continueRequest, NO_CALL, postJson } from "../host/call";
import { now } from "../host/clock";
import { actOn } from "../host/context";
import { landedAt } from "../host/landing";
import { fillRandom } from "../host/random";
import { APPROVAL_ANSWER_BYTES_MAX, APPROVAL_BACKOFF_DOUBLINGS, APPROVAL_TRIES, POLLED_IDS_MAX } from "../limits";
import { Message } from "../mcp/message";
import { encodeBase64Url } from "../memory/base64";
import { appendBytes, appendLiteral, Buffer, emptyBuffer, freeBuffer } from "../memory/buffer";
import { equalBytes, Literal } from "../memory/bytes";
import { Approver } from "../policy/approver";
import { Reason } from "../policy/reason";
import { exportMessage } from "./audit-line";
import { mustWait, wait } from "./collector";
import { Decision } from "./counters";
import { mayEnd } from "./endings";
import { Exchange, grantOf, Stage } from "./exchange";
import { noteApproval, noteApprover } from "./facts";
import { Guard } from "./guard";
import { letGo, ticksIn } from "./held";
import { Inspection } from "./inspection";
import { answerPending, canAnswerWithLink } from "./pending";
import { endReading } from "./reading";
import { refuse } from "./refuse";
import { awaitToken } from "./token-turns";

const NONCE_BYTES: u32 = 16;
const body: Buffer = changetype<Buffer>(memory.data(16, 8));
const path: Buffer = changetype<Buffer>(memory.data(16, 8));
const nonce: usize = memory.data(NONCE_BYTES, 8);
const expected: ExpectedReceipt = changetype<ExpectedReceipt>(memory.data(offsetof<ExpectedReceipt>(), 8));

// --- What is asked ----------------------------------------------------------------------------------------------------

/** Posts `question` to the service; the token, or NO_CALL. */
function post(approver: Approver, endpoint: Literal, question: Buffer): u32 {
  emptyBuffer(path);
  appendBytes(path, approver.pathAt, approver.pathBytes);
  appendLiteral(path, endpoint);
  return postJson(
    approver.clusterAt,
    approver.clusterBytes,
    approver.authorityAt,
    approver.authorityBytes,
    path.at,
    path.length,
    approver.secretAt,
    approver.secretBytes,
    question.at,
    question.length,
    approver.timeoutMs,
  );
}

/** Asks whether the call has an approval. */
export function open(exchange: Exchange, hold: Hold, approver: Approver): void {
  hold.step = HoldStep.Opening;
  hold.call = post(approver, "/open", hold.question);
  if (hold.call == NO_CALL) fail(exchange, hold);
}

/** Asks for the receipt. The nonce is this call's alone, and the same at every try: the service gives the same receipt to it, and to no other one. */
function claim(exchange: Exchange, hold: Hold, approver: Approver): void {
  if (hold.step != HoldStep.Claiming) {
    if (!fillRandom(nonce, NONCE_BYTES)) {
      giveUp(exchange, hold, Reason.Internal);
      return;
    }
    encodeBase64Url(nonce, NONCE_BYTES, hold.nonceAt);
    hold.step = HoldStep.Claiming;
    hold.failures = 0;
  }
  emptyBuffer(body);
  writeClaim(body, hold.idAt, hold.digestAt, hold.nonceAt);
  hold.call = post(approver, "/claim", body);
  if (hold.call == NO_CALL) fail(exchange, hold);
}

/** Asks about the calls that wait, if it is time: one request, and another round begins when all have been in one. */
function poll(guard: Guard, approver: Approver): void {
  if (guard.poll != NO_CALL || guard.tick < guard.pollTick) return;
  emptyBuffer(body);
  beginIds(body);
  let count: u32 = 0;
  let isWholeRound = true;
  let exchange = guard.firstHeld;
  while (exchange !== null && isWholeRound) {
    const hold = exchange.hold;
    if (hold !== null && hold.step == HoldStep.Pending && hold.pollRound != guard.pollRound) {
      // Known only at the next one: a poll that is just full leaves nobody out.
      isWholeRound = count < POLLED_IDS_MAX;
      if (isWholeRound) {
        hold.pollRound = guard.pollRound;
        addId(body, hold.idAt);
        count++;
      }
    }
    exchange = exchange.nextHeld;
  }
  endIds(body);
  if (isWholeRound) guard.pollRound++;
  guard.pollTick = guard.tick + (isWholeRound ? ticksIn(guard, approver.pollMs) : 1);
  if (count == 0) return;
  guard.poll = post(approver, "/poll", body);
  if (guard.poll == NO_CALL) delayPolls(guard, approver);
}

/** The service does not answer as it should: it is asked less often. */
function delayPolls(guard: Guard, approver: Approver): void {
  guard.pollFailures = min(guard.pollFailures + 1, APPROVAL_BACKOFF_DOUBLINGS);
  guard.pollTick = guard.tick + ticksIn(guard, approver.pollMs << guard.pollFailures);
}

/** A request for this call alone has failed: it is made again later, a few times. A claim may have been heard, so no other call may go on in its place. */
function fail(exchange: Exchange, hold: Hold): void {
  hold.failures++;
  if (hold.failures >= APPROVAL_TRIES) {
    giveUp(exchange, hold, Reason.ApprovalUnavailable);
    return;
  }
  hold.retryTick = exchange.guard.tick + (1 << (hold.failures - 1));
}

// --- From a tick ------------------------------------------------------------------------------------------------------

/** Has each call that waits do what is due, and asks about them. The root context is the effective one, before and after. */
export function tendHolds(guard: Guard): void {
  if (guard.waiting == 0) return;
  let exchange = guard.firstHeld;
  while (exchange !== null) {
    const after = exchange.nextHeld;
    const hold = exchange.hold;
    if (hold !== null && isDue(exchange, hold) && actOn(exchange.contextId)) {
      if (!mayEnd()) break;
      tend(exchange, hold);
    }
    exchange = after;
  }
  actOn(guard.contextId);
  const approver = approverOf(guard);
  if (approver !== null) poll(guard, approver);
}

function isDue(exchange: Exchange, hold: Hold): bool {
  const guard = exchange.guard;
  if (hold.status != ApprovalStatus.None || isOutdated(exchange)) return true;
  // Ticks are counted modulo 2^32.
  if (hold.step == HoldStep.Pending) return i32(guard.tick - hold.untilTick) >= 0;
  return hold.call == NO_CALL && i32(guard.tick - hold.retryTick) >= 0;
}

/**
 * Whether the guard has got another policy since. Who asks was found out under the old one, from headers that are gone, and the digest has its server's name: so
 * the client has to send the call again. Envoy makes a new guard for a new configuration; the ABI lets a host configure the same one again.
 */
function isOutdated(exchange: Exchange): bool {
  const inspection = exchange.inspection;
  return inspection === null || inspection.generation != exchange.guard.generation;
}

/** The guard has another policy: what its service is asked now has nothing to do with what the one before was asked. */
export function forgetPolls(guard: Guard): void {
  guard.poll = NO_CALL;
  guard.pollTick = guard.tick;
  guard.pollFailures = 0;
}

function tend(exchange: Exchange, hold: Hold): void {
  const approver = approverOf(exchange.guard);
  if (approver === null || isOutdated(exchange)) giveUp(exchange, hold, Reason.ApprovalUnavailable);
  else if (hold.status != ApprovalStatus.None) takeStatus(exchange, hold, approver, takeSaid(hold));
  else if (hold.step == HoldStep.Opening) open(exchange, hold, approver);
  else if (hold.step == HoldStep.Claiming) claim(exchange, hold, approver);
  else giveUp(exchange, hold, Reason.ApprovalPending);
}

function takeSaid(hold: Hold): ApprovalStatus {
  const said = hold.status;
  hold.status = ApprovalStatus.None;
  return said;
}

function approverOf(guard: Guard): Approver | null {
  const policy = guard.policy;
  return policy !== null ? policy.approver : null;
}

// --- What is answered -------------------------------------------------------------------------------------------------

/** `proxy_on_http_call_response`: the answer to request `token`, with `bodyBytes` bytes of body. */
export function onApprovalAnswer(guard: Guard, token: u32, bodyBytes: u32): void {
  const approver = approverOf(guard);
  if (guard.poll == token) {
    guard.poll = NO_CALL;
    if (approver !== null) takePolled(guard, approver, answered(bodyBytes));
  } else {
    const exchange = askerOf(guard, token);
    if (exchange === null) return;
    const hold = exchange.hold;
    if (hold === null) return;
    hold.call = NO_CALL;
    const status = answered(bodyBytes);
    if (!actOn(exchange.contextId)) return;
    if (approver === null || isOutdated(exchange)) giveUp(exchange, hold, Reason.ApprovalUnavailable);
    else if (hold.step == HoldStep.Opening) takeOpened(exchange, hold, approver, status);
    else takeClaimed(exchange, hold, approver, status);
  }
  emptyBuffer(body);
  actOn(guard.contextId);
}

/** Reads the answer at hand into `body`; its status, 0 when it has none or is larger than any that is expected. */
function answered(bodyBytes: u32): u32 {
  const status = answerStatus();
  emptyBuffer(body);
  if (bodyBytes > APPROVAL_ANSWER_BYTES_MAX) return 0;
  if (bodyBytes == 0) return status;
  if (!readBuffer(BufferId.CallResponseBody, 0, bodyBytes)) return 0;
  appendBytes(body, landedAt(), bodyBytes);
  return status;
}

function askerOf(guard: Guard, token: u32): Exchange | null {
  let exchange = guard.firstHeld;
  while (exchange !== null) {
    const hold = exchange.hold;
    if (hold !== null && hold.call == token) return exchange;
    exchange = exchange.nextHeld;
  }
  return null;
}

function takeOpened(exchange: Exchange, hold: Hold, approver: Approver, status: u32): void {
  if (status == 429 || status == 413) {
    giveUp(exchange, hold, status == 429 ? Reason.ApprovalLimit : Reason.ArgumentsTooLarge);
    return;
  }
  if (status != 200 || !readOpened(body.at, body.length)) {
    if (isLasting(status)) giveUp(exchange, hold, Reason.ApprovalUnavailable);
    else fail(exchange, hold);
    return;
  }
  // It is not opened again, and its question is as long as the call.
  freeBuffer(hold.question);
  hold.hasId = true;
  memory.copy(hold.idAt, openedId, ID_BYTES);
  noteApproval(exchange, hold.idAt, ID_BYTES);
  takeStatus(exchange, hold, approver, openedStatus);
}

/** Whether the service would say the same again. */
function isLasting(status: u32): bool {
  return status >= 400 && status < 500 && status != 408;
}

/** What has been said of a call's approval, when its request is open or in a poll. */
function takeStatus(exchange: Exchange, hold: Hold, approver: Approver, status: ApprovalStatus): void {
  switch (status) {
    case ApprovalStatus.Pending: {
      hold.step = HoldStep.Pending;
      // A modern client shows the link at once, and waits in its next round.
      const isAtOnce = approver.holdMs == 0 || (!hold.isRound && canAnswerWithLink(hold));
      if (isAtOnce) giveUp(exchange, hold, Reason.ApprovalPending);
      return;
    }
    case ApprovalStatus.Approved:
      claim(exchange, hold, approver);
      return;
    default:
      giveUp(exchange, hold, reasonOf(status));
  }
}

function reasonOf(status: ApprovalStatus): Reason {
  switch (status) {
    case ApprovalStatus.Denied:
      return Reason.ApprovalDenied;
    case ApprovalStatus.Claimed:
      return Reason.ApprovalReplayed;
    default:
      return Reason.ApprovalExpired;
  }
}

function takePolled(guard: Guard, approver: Approver, status: u32): void {
  if (status != 200 || !openPolled(body.at, body.length)) {
    delayPolls(guard, approver);
    return;
  }
  guard.pollFailures = 0;
  // First all is read, then acted upon: both use the same places for texts.
  while (nextPolled()) {
    if (polledStatus != ApprovalStatus.Pending) markPolled(guard, polledId, polledStatus);
  }
  let exchange = guard.firstHeld;
  while (exchange !== null) {
    const after = exchange.nextHeld;
    const hold = exchange.hold;
    if (hold !== null && hold.status != ApprovalStatus.None && actOn(exchange.contextId)) {
      if (!mayEnd()) break;
      tend(exchange, hold);
    }
    exchange = after;
  }
}

/** Notes what is said of an id for each call that waits for it: identical calls have one. */
function markPolled(guard: Guard, id: usize, status: ApprovalStatus): void {
  let exchange = guard.firstHeld;
  while (exchange !== null) {
    const hold = exchange.hold;
    if (hold !== null && hold.step == HoldStep.Pending && equalBytes(hold.idAt, id, ID_BYTES)) hold.status = status;
    exchange = exchange.nextHeld;
  }
}

function takeClaimed(exchange: Exchange, hold: Hold, approver: Approver, status: u32): void {
  if (status == 409) {
    const said = readRefusal(body.at, body.length);
    if (said == ApprovalStatus.None) giveUp(exchange, hold, Reason.ApprovalMismatch);
    else takeStatus(exchange, hold, approver, said == ApprovalStatus.Approved ? ApprovalStatus.None : said);
    return;
  }
  if (status != 200) {
    if (isLasting(status)) giveUp(exchange, hold, Reason.ApprovalUnavailable);
    else fail(exchange, hold);
    return;
  }
  if (!readClaimed(body.at, body.length)) {
    giveUp(exchange, hold, Reason.ApprovalSignature);
    return;
  }
  const inspection = exchange.inspection;
  if (inspection === null) {
    giveUp(exchange, hold, Reason.Internal);
    return;
  }
  expect(hold, approver, inspection.message);
  const reason = checkReceipt(approver, receiptAt, receiptBytes, expected, now() / 1_000_000_000);
  if (reason != Reason.None) giveUp(exchange, hold, reason);
  else goOn(exchange, hold, inspection);
}

function expect(hold: Hold, approver: Approver, message: Message): void {
  expected.idAt = hold.idAt;
  expected.idBytes = ID_BYTES;
  expected.nonceAt = hold.nonceAt;
  expected.nonceBytes = ID_BYTES;
  expected.digestAt = hold.digestAt;
  expected.digestBytes = CALL_DIGEST_DIGITS;
  expected.serverAt = approver.serverAt;
  expected.serverBytes = approver.serverBytes;
  expected.issuerAt = fieldAt(hold.caller, Field.Issuer);
  expected.issuerBytes = fieldBytes(hold.caller, Field.Issuer);
  expected.principalAt = fieldAt(hold.caller, Field.Principal);
  expected.principalBytes = fieldBytes(hold.caller, Field.Principal);
  expected.toolAt = message.nameAt;
  expected.toolBytes = message.nameBytes;
}

// --- How it ends ------------------------------------------------------------------------------------------------------

/** The receipt is good: the call goes on, or waits for its record first. */
function goOn(exchange: Exchange, hold: Hold, inspection: Inspection): void {
  const policy = exchange.guard.policy;
  noteApprover(exchange, approverAt, approverBytes);
  if (policy === null) {
    giveUp(exchange, hold, Reason.ConfigInvalid);
    return;
  }
  if (hold.isRestored && !replaceBuffer(BufferId.RequestBody, exchange.bodyBytes, hold.text.at, hold.text.length)) {
    giveUp(exchange, hold, Reason.Internal);
    return;
  }
  endHold(exchange);
  if (awaitToken(exchange, policy, false)) return;
  if (mustWait(policy, grantOf(exchange), inspection)) {
    wait(exchange);
    return;
  }
  if (!continueRequest()) {
    refuse(exchange, Reason.Internal);
    return;
  }
  letGo(exchange);
  exchange.stage = Stage.Passed;
  exchange.decision = Decision.Allow;
  exchange.decidedAt = now();
  exportMessage(exchange);
  endReading(exchange);
}

/** The call does not go on: its client is told why, or where its user can approve it. */
function giveUp(exchange: Exchange, hold: Hold, reason: Reason): void {
  const policy = exchange.guard.policy;
  const approver: Approver | null = policy !== null ? policy.approver : null;
  if (reason == Reason.ApprovalPending && approver !== null) answerPending(exchange, hold, approver);
  else refuse(exchange, reason);
  exportMessage(exchange);
  endHold(exchange);
}

/** Frees what a call that waits has; not before nothing of it is needed any more. */
export function endHold(exchange: Exchange): void {
  const hold = exchange.hold;
  if (hold === null) return;
  exchange.hold = null;
  exchange.guard.waiting--;
  freeHold(hold);
}
