// What the policy has found out about the texts of a message while it was read: URIs, prompt names, argument rules. They are
// not kept, so each is judged when the walk through the envelope stops at it, and only the outcome stays.

import { APPROVAL_REST_BYTES, NAME_BYTES_MAX, RECORD_URI_MAX, URI_BYTES_MAX } from "../limits";
import { Entry, Envelope, NO_OFFSET, openPiece, Step, walk } from "../mcp/envelope";
import { Fault } from "../mcp/fault";
import { Kind, Message } from "../mcp/message";
import { appendBytes, Buffer, freeBuffer, initBuffer } from "../memory/buffer";
import { equalsLiteral } from "../memory/bytes";
import { beginSha256, SHA256_BYTES, Sha256, sha256, updateSha256 } from "../memory/sha256";
import { Form } from "../uri/rules";
import { Approver } from "./approver";
import { ARGUMENT_WALK_BYTES, ArgumentWalk, initArgumentWalk, noteArgument, resetArgumentWalk } from "./argument-walk";
import { isFlagged, isHinted } from "./flagged";
import { Grant } from "./grant";
import { Hints } from "./hints";
import { judgePrompt, judgeResource, judgeTemplate, judgeText, judgeValue } from "./judge";
import { AuditBody, AuditLine, Policy } from "./policy";
import { Reason } from "./reason";
import { keptBytesOf } from "./record-room";

@unmanaged
export class Findings {
  /** `params.uri` by the URI rules alone, and as a resource. */
  uriRules: Reason;
  uri: Reason;
  refName: Reason;
  refUri: Reason;
  argumentValue: Reason;
  /** The first resource of a subscription filter that is not allowed. */
  listen: Reason;
  /** The first of the client's own roots that breaks the URI rules. */
  roots: Reason;
  walk: ArgumentWalk;
  /** For the record: which text the message is about, the first of several; None when there is none. */
  subject: Subject;
  /** Its first bytes, SUBJECT_ROOM of them at most, how many it has, and SHA-256 of a URI that could be read whole. */
  subjectAt: usize;
  subjectBytes: u32;
  hasSubjectDigest: bool;
  /** SHA-256 of `params.arguments`, as far as they have come. */
  argumentsHash: Sha256;
  /** Their first bytes, when the policy wants them as text. */
  argumentsText: Buffer;
  /** The text of the message, as long as it may be a call that a human has to approve; and whether it is known that it is none, or too long. */
  text: Buffer;
  isOther: bool;
  /** Under a policy that asks humans: whether the name has been read, and whether by then its server had announced the tool as destructive. */
  isNamed: bool;
  isHinted: bool;
}

/** What a message is about, beside the name in its params. */
export const enum Subject {
  None,
  Uri,
  Prompt,
}

/** Bytes of a subject that are kept: as many as a record can show. */
const SUBJECT_ROOM: u32 = RECORD_URI_MAX;
const DIGEST_BYTES: u32 = 32;

/** Address of the digest. */
export function subjectDigestAt(findings: Findings): usize {
  return findings.subjectAt + SUBJECT_ROOM;
}

/** Bytes of findings with what stands behind them. */
export const FINDINGS_BYTES: u32 =
  ((u32(offsetof<Findings>()) + 7) & ~7) +
  ((ARGUMENT_WALK_BYTES + 7) & ~7) +
  SUBJECT_ROOM +
  DIGEST_BYTES +
  SHA256_BYTES +
  2 * u32(offsetof<Buffer>());

/** Makes findings ready; they have FINDINGS_BYTES, 8-aligned. */
export function initFindings(findings: Findings): void {
  findings.walk = changetype<ArgumentWalk>((changetype<usize>(findings) + offsetof<Findings>() + 7) & ~7);
  initArgumentWalk(findings.walk);
  findings.subjectAt = changetype<usize>(findings.walk) + ((ARGUMENT_WALK_BYTES + 7) & ~7);
  findings.argumentsHash = changetype<Sha256>(subjectDigestAt(findings) + DIGEST_BYTES);
  findings.argumentsText = changetype<Buffer>(subjectDigestAt(findings) + DIGEST_BYTES + SHA256_BYTES);
  initBuffer(findings.argumentsText);
  findings.text = changetype<Buffer>(changetype<usize>(findings.argumentsText) + offsetof<Buffer>());
  initBuffer(findings.text);
  resetFindings(findings);
}

/** Forgets what was found. */
export function resetFindings(findings: Findings): void {
  findings.uriRules = Reason.None;
  findings.uri = Reason.None;
  findings.refName = Reason.None;
  findings.refUri = Reason.None;
  findings.argumentValue = Reason.None;
  findings.listen = Reason.None;
  findings.roots = Reason.None;
  findings.subject = Subject.None;
  findings.subjectBytes = 0;
  findings.hasSubjectDigest = false;
  beginSha256(findings.argumentsHash);
  freeBuffer(findings.argumentsText);
  freeBuffer(findings.text);
  findings.isOther = false;
  findings.isNamed = false;
  findings.isHinted = false;
  resetArgumentWalk(findings.walk);
}

/** Reads the next `bytes` bytes of the body at `address`. A fault is final. `hints`: what servers have said of their tools, if it counts; `grant`: what the rules give to the one who asks. */
export function readPiece(
  policy: Policy,
  grant: Grant | null,
  hints: Hints | null,
  envelope: Envelope,
  findings: Findings,
  address: usize,
  bytes: u32,
): Fault {
  const fault = judgePiece(policy, grant, envelope, findings, address, bytes);
  if (policy.auditArguments != AuditBody.None && envelope.argumentsFrom != NO_OFFSET) {
    takeArguments(policy, envelope, findings, address, bytes);
  }
  const approver = policy.approver;
  if (approver !== null) {
    if (hints !== null && !findings.isNamed) noteHint(policy, grant, hints, envelope.message, findings);
    if (!findings.isOther) takeText(policy, grant, approver, envelope.message, findings, address, bytes);
  }
  return fault;
}

/** Looks the name up as soon as it has been read, once: a hint that comes while the call is under way finds its text gone. */
function noteHint(policy: Policy, grant: Grant | null, hints: Hints, message: Message, findings: Findings): void {
  if (message.nameKind == Kind.Absent) return;
  findings.isNamed = true;
  findings.isHinted = isHinted(policy, grant, hints, message.nameAt, min(message.nameBytes, NAME_BYTES_MAX));
}

/** Bytes of a message that are kept: what is reviewed may come with white space, or carried by a modern client for us, a third longer than it was. */
export function textBytesMax(approver: Approver): u32 {
  return 3 * approver.argumentsBytesMax + APPROVAL_REST_BYTES;
}

/** Keeps the piece, unless the message cannot be a call that a human has to approve: its arguments may stand before its name. */
function takeText(
  policy: Policy,
  grant: Grant | null,
  approver: Approver,
  message: Message,
  findings: Findings,
  address: usize,
  bytes: u32,
): void {
  const isOther =
    (message.methodKind != Kind.Absent && !equalsLiteral(message.methodAt, message.methodBytes, "tools/call")) ||
    (message.nameKind != Kind.Absent &&
      !findings.isHinted &&
      !isFlagged(policy, grant, message.nameAt, min(message.nameBytes, NAME_BYTES_MAX)));
  const text = findings.text;
  if (isOther || bytes > textBytesMax(approver) - text.length) {
    findings.isOther = true;
    freeBuffer(text);
  } else {
    appendBytes(text, address, bytes);
  }
}

/** Takes what the piece has of the arguments. */
function takeArguments(policy: Policy, envelope: Envelope, findings: Findings, address: usize, bytes: u32): void {
  const offset = envelope.reader.chunkOffset;
  const from = max(envelope.argumentsFrom, offset);
  const to = min(envelope.argumentsTo, offset + bytes);
  if (from >= to) return;
  updateSha256(findings.argumentsHash, address + (from - offset), to - from);
  if (policy.auditArguments == AuditBody.Digest) return;
  const text = findings.argumentsText;
  const most = keptBytesOf(policy);
  // It may have been more under an earlier policy.
  if (text.length < most) appendBytes(text, address + (from - offset), min(to - from, most - text.length));
}

function judgePiece(
  policy: Policy,
  grant: Grant | null,
  envelope: Envelope,
  findings: Findings,
  address: usize,
  bytes: u32,
): Fault {
  openPiece(envelope, address, bytes);
  while (true) {
    switch (walk(envelope)) {
      case Step.NeedMore:
        return Fault.None;
      case Step.Json:
        return Fault.Json;
      case Step.NearName:
        return Fault.NearName;
      case Step.Entry:
        noteEntry(policy, grant, envelope, findings);
        break;
      default:
        noteArgument(policy, findings.walk, envelope);
        break;
    }
  }
}

function noteEntry(policy: Policy, grant: Grant | null, envelope: Envelope, findings: Findings): void {
  const at = envelope.entryAt;
  const bytes = envelope.entryBytes;
  switch (envelope.entry) {
    case Entry.Uri:
      findings.uriRules = judgeText(policy, at, bytes, Form.Uri);
      findings.uri = judgeResource(policy, grant, at, bytes);
      noteSubject(policy, findings, Subject.Uri, at, bytes);
      break;
    case Entry.RefName:
      findings.refName = judgePrompt(policy, grant, at, bytes);
      noteSubject(policy, findings, Subject.Prompt, at, bytes);
      break;
    case Entry.RefUri:
      findings.refUri = judgeTemplate(policy, grant, at, bytes);
      noteSubject(policy, findings, Subject.Uri, at, bytes);
      break;
    case Entry.ArgumentValue:
      if (findings.argumentValue == Reason.None) findings.argumentValue = judgeValue(policy, at, bytes);
      break;
    case Entry.ListenUri:
      if (findings.listen == Reason.None) findings.listen = judgeResource(policy, grant, at, bytes);
      noteSubject(policy, findings, Subject.Uri, at, bytes);
      break;
    case Entry.RootUri:
      if (findings.roots == Reason.None) findings.roots = judgeText(policy, at, bytes, Form.Uri);
      break;
    default:
      break;
  }
}

/** Keeps what a record says of a text. Of a longer one than URI_BYTES_MAX the end is not here, so that it has no digest. */
function noteSubject(policy: Policy, findings: Findings, subject: Subject, address: usize, bytes: u32): void {
  if (findings.subject != Subject.None) return;
  if (policy.auditLine == AuditLine.None && policy.collector === null) return;
  findings.subject = subject;
  findings.subjectBytes = bytes;
  memory.copy(findings.subjectAt, address, min(bytes, SUBJECT_ROOM));
  if (subject != Subject.Uri || bytes > URI_BYTES_MAX) return;
  findings.hasSubjectDigest = true;
  memory.copy(subjectDigestAt(findings), sha256(address, bytes), DIGEST_BYTES);
}
