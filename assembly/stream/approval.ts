// A call that a human has to approve (`approval`), from its headers to the question for its approval: what is kept of it, what makes it the call that
// it is, and whether there is room for it to wait. approval-turns.ts has what becomes of it.

import {
  argumentsSpan,
  Consent,
  consent,
  opensLinks,
  readCall,
  responsesSpan,
  Span,
  spanBytes,
  stateSpan,
  taskSpan,
} from "../approval/call";
import { addDigestField, beginCallDigest, CALL_DIGEST_DIGITS, endCallDigest } from "../approval/call-digest";
import { Field, fieldAt, fieldBytes, keepField } from "../approval/caller";
import { canonicalise, isEmptyObject } from "../approval/canonical";
import { createHold, freeHold, Hold } from "../approval/hold";
import { addText, beginQuestion, endQuestion } from "../approval/question";
import { appendCarried, hasOurState, Round, restore } from "../approval/round";
import {
  issuerAt,
  issuerBytes,
  principalAt,
  principalBytes,
  Source,
  source,
  workloadAt,
  workloadBytes,
} from "../identity/principal";
import { NAME_BYTES_MAX } from "../limits";
import { isModern, Message } from "../mcp/message";
import { isLatestLegacy } from "../mcp/mirror";
import { Buffer, emptyBuffer, moveHead } from "../memory/buffer";
import { equalsLiteral, Literal } from "../memory/bytes";
import { sipHash } from "../memory/siphash";
import { Approver } from "../policy/approver";
import { textBytesMax } from "../policy/findings";
import { isFlagged } from "../policy/flagged";
import { Grant } from "../policy/grant";
import { Policy } from "../policy/policy";
import { Reason } from "../policy/reason";
import { endHold, open } from "./approval-turns";
import { Exchange, Stage } from "./exchange";
import { Guard } from "./guard";
import { authorityAt, authorityBytes, pathAt, pathBytes } from "./head";
import { hold as holdStream, ticksIn } from "./held";
import { Inspection } from "./inspection";
import { judgeText } from "./judge-text";
import { accountReading } from "./reading";

/** What tells a principal from another in the count of those that wait. */
const PRINCIPAL_DEPTH: u32 = 0;
/** Bytes that a client's next round has more than what it carries: our state's name, mark and id, and the answer to our link. */
const ROUND_BYTES: u32 = 512;
const canonical: Buffer = changetype<Buffer>(memory.data(16, 8));

// --- At the headers ---------------------------------------------------------------------------------------------------

/** Keeps where the request goes, before that is gone; `keepPrincipal` must follow. */
export function keepTarget(inspection: Inspection): void {
  keepField(inspection.caller, authorityAt, authorityBytes);
  keepField(inspection.caller, pathAt, pathBytes);
}

/** Keeps who asks. */
export function keepPrincipal(inspection: Inspection, isKnown: bool): void {
  inspection.hasPrincipal = isKnown && source != Source.None;
  if (!inspection.hasPrincipal) return;
  keepField(inspection.caller, issuerAt, issuerBytes);
  keepField(inspection.caller, principalAt, principalBytes);
  keepField(inspection.caller, workloadAt, workloadBytes);
}

// --- At the verdict ---------------------------------------------------------------------------------------------------

/** Whether a message that may pass needs a human's approval first. */
export function needsApproval(policy: Policy, grant: Grant | null, inspection: Inspection): bool {
  const message = inspection.message;
  if (policy.approver === null) return false;
  if (!equalsLiteral(message.methodAt, message.methodBytes, "tools/call")) return false;
  const bytes = min(message.nameBytes, NAME_BYTES_MAX);
  return inspection.findings.isHinted || isFlagged(policy, grant, message.nameAt, bytes);
}

/** Has a call wait for its approval. None when it does; it is held then. What is known of it has been noted. `canRewrite`: the proxy lets its body be changed. */
export function askApproval(exchange: Exchange, policy: Policy, inspection: Inspection, canRewrite: bool): Reason {
  const approver = policy.approver;
  if (approver === null) return Reason.ApprovalNotConfigured;
  if (!inspection.hasPrincipal) return Reason.HumanRequired;
  const findings = inspection.findings;
  // More than a human could read has not been kept.
  if (findings.text.length != exchange.bodyBytes) return Reason.ArgumentsTooLarge;
  const hold = createHold();
  moveHead(hold.text, findings.text, findings.text.length);
  moveHead(hold.caller, inspection.caller, inspection.caller.length);
  const reason = prepare(exchange, policy, approver, inspection, hold, canRewrite);
  if (reason != Reason.None) {
    freeHold(hold);
    return reason;
  }
  if (!holdStream(exchange)) {
    freeHold(hold);
    return Reason.Internal;
  }
  const guard = exchange.guard;
  guard.waiting++;
  exchange.hold = hold;
  exchange.stage = Stage.Asking;
  if (!accountReading(exchange, policy, inspection)) {
    endHold(exchange);
    return Reason.Overloaded;
  }
  hold.untilTick = guard.tick + ticksIn(guard, approver.holdMs);
  open(exchange, hold, approver);
  return Reason.None;
}

/** Makes the hold ready: the call as it will go on, its digest, the question. */
function prepare(
  exchange: Exchange,
  policy: Policy,
  approver: Approver,
  inspection: Inspection,
  hold: Hold,
  canRewrite: bool,
): Reason {
  const message = inspection.message;
  const text = hold.text;
  if (!readCall(text.at, text.length)) return Reason.Internal;
  hold.isRound = hasOurState();
  hold.opensLinks = opensLinks && isModern(message);
  hold.hasUrlElicitation = isLatestLegacy(inspection.mirror);
  if (consent == Consent.Declined) return Reason.ApprovalDenied;
  const round = restore(text.at, text.length);
  if (round == Round.Broken) return Reason.ParamsInvalid;
  if (round == Round.Restored) {
    if (!canRewrite) return Reason.Internal;
    hold.isRestored = true;
    // What has been put back has not been read yet.
    const reason = judgeText(exchange, policy, inspection, text);
    if (reason != Reason.None) return reason;
    if (!readCall(text.at, text.length)) return Reason.Internal;
  }
  if (spanBytes(argumentsSpan) + spanBytes(taskSpan) + spanBytes(responsesSpan) > approver.argumentsBytesMax) {
    return Reason.ArgumentsTooLarge;
  }
  hold.principalHash = hashPrincipal(hold.caller);
  if (isCrowded(exchange.guard, approver, hold.principalHash)) return Reason.ApprovalLimit;
  if (!compose(approver, message, hold)) return Reason.Internal;
  return hold.opensLinks && !canComeBack(policy, approver, hold) ? Reason.ArgumentsTooLarge : Reason.None;
}

/** Of issuer and principal, which stand one behind the other: a name means nothing without who gave it. */
function hashPrincipal(caller: Buffer): u64 {
  const from = fieldAt(caller, Field.Issuer);
  const to = fieldAt(caller, Field.Principal) + fieldBytes(caller, Field.Principal);
  return sipHash(from, u32(to - from), PRINCIPAL_DEPTH);
}

/** Whether the client's next round can be read whole, which carries the server's state and answers a third longer. A later round is as long as the one before. */
function canComeBack(policy: Policy, approver: Approver, hold: Hold): bool {
  if (hold.isRound) return true;
  const stays = hold.text.length - spanBytes(stateSpan) - spanBytes(responsesSpan);
  return stays + hold.carried.length + ROUND_BYTES <= min(textBytesMax(approver), policy.bodyBytesMax);
}

/** Whether as many calls wait as may, in all or of this principal. */
function isCrowded(guard: Guard, approver: Approver, principal: u64): bool {
  if (guard.waiting >= approver.waitingMax) return true;
  let count: u32 = 0;
  let exchange = guard.firstHeld;
  while (exchange !== null) {
    const hold = exchange.hold;
    if (hold !== null && hold.principalHash == principal) count++;
    exchange = exchange.nextHeld;
  }
  return count >= approver.waitingPerPrincipalMax;
}

/** Writes digest and question (schema/canonical-arguments.md). */
function compose(approver: Approver, message: Message, hold: Hold): bool {
  const caller = hold.caller;
  const question = hold.question;
  beginCallDigest();
  beginQuestion(question);
  add(question, "server", approver.serverAt, approver.serverBytes);
  add(question, "authority", fieldAt(caller, Field.Authority), fieldBytes(caller, Field.Authority));
  add(question, "path", fieldAt(caller, Field.Path), fieldBytes(caller, Field.Path));
  add(question, "issuer", fieldAt(caller, Field.Issuer), fieldBytes(caller, Field.Issuer));
  add(question, "principal", fieldAt(caller, Field.Principal), fieldBytes(caller, Field.Principal));
  add(question, "method", message.methodAt, message.methodBytes);
  add(question, "tool", message.nameAt, message.nameBytes);
  if (!addCanonical(question, "arguments", argumentsSpan, "")) return false;
  if (!addCanonical(question, "task", taskSpan, "")) return false;
  if (!addCanonical(question, "input_responses", responsesSpan, "guard.approval")) return false;
  appendCarried(hold.carried, canonical);
  memory.copy(hold.digestAt, endCallDigest(), CALL_DIGEST_DIGITS);
  addText(question, "digest", hold.digestAt, CALL_DIGEST_DIGITS);
  // Whom the human sees besides: a call is the same through whichever workload it comes.
  addText(question, "workload", fieldAt(caller, Field.Workload), fieldBytes(caller, Field.Workload));
  endQuestion(question);
  return true;
}

/** Adds a field of the digest, in the order of its parts, to it and to the question. */
function add(question: Buffer, name: Literal, at: usize, bytes: u32): void {
  addDigestField(at, bytes);
  addText(question, name, at, bytes);
}

/** Adds the canonical text of a value; nothing when it is not there, or when nothing but our own member was in it. */
function addCanonical(question: Buffer, name: Literal, span: Span, without: Literal): bool {
  emptyBuffer(canonical);
  if (span.from != 0 && !canonicalise(span.from, spanBytes(span), without, canonical)) return false;
  if (without.length != 0 && isEmptyObject(canonical.at, canonical.length)) emptyBuffer(canonical);
  add(question, name, canonical.at, canonical.length);
  return true;
}
