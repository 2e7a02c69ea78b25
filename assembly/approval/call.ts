// A `tools/call` that a human has to approve, as its text has it: the members of its params that an approval is about, and what this guard
// has put into the round trips of modern clients (MCP 2026-07-28, multi round-trip requests).

import { Token } from "../json/reader";
import { equalsLiteral } from "../memory/bytes";
import {
  findMember,
  isNamed,
  memberFrom,
  nextMember,
  openMembers,
  valueBytes,
  valueFrom,
  valueTo,
  valueToken,
} from "./members";

/** A member in the text: addresses of the quote of its name, of its value, and behind it. All 0 when it is not there. */
@unmanaged
export class Span {
  memberFrom: usize;
  from: usize;
  to: usize;
}

/** What the client says of our request to open the link. */
export const enum Consent {
  None,
  /** It has opened the link. That says nothing about the approval. */
  Accept,
  /** It will not, or anything that is not `accept`. */
  Declined,
}

const SPAN_BYTES: u32 = u32(offsetof<Span>());
/** `params.arguments`, `params.task`, `params.inputResponses`, `params.requestState`, and of the third the member that is ours. */
export const argumentsSpan: Span = changetype<Span>(memory.data(SPAN_BYTES, 4));
export const taskSpan: Span = changetype<Span>(memory.data(SPAN_BYTES, 4));
export const responsesSpan: Span = changetype<Span>(memory.data(SPAN_BYTES, 4));
export const stateSpan: Span = changetype<Span>(memory.data(SPAN_BYTES, 4));
export const oursSpan: Span = changetype<Span>(memory.data(SPAN_BYTES, 4));
/** How many of `inputResponses` are not ours. */
export let otherResponses: u32 = 0;
export let consent: Consent = Consent.None;
/** Whether the client can show its user a link: `_meta[".../clientCapabilities"].elicitation.url` is there. */
export let opensLinks: bool = false;

/** Reads the call whose body is the `bytes` bytes at `address`, which has been accepted. False when it is no call with params. One at a time. */
export function readCall(address: usize, bytes: u32): bool {
  forget(argumentsSpan);
  forget(taskSpan);
  forget(responsesSpan);
  forget(stateSpan);
  forget(oursSpan);
  otherResponses = 0;
  consent = Consent.None;
  opensLinks = false;
  if (!openMembers(address, bytes) || !findMember("params")) return false;
  let metaFrom: usize = 0;
  let metaBytes: u32 = 0;
  if (!openMembers(valueFrom, valueBytes())) return false;
  while (nextMember()) {
    if (isNamed("arguments")) keep(argumentsSpan);
    else if (isNamed("task")) keep(taskSpan);
    else if (isNamed("inputResponses")) keep(responsesSpan);
    else if (isNamed("requestState") && valueToken == Token.String) keep(stateSpan);
    else if (isNamed("_meta")) {
      metaFrom = valueFrom;
      metaBytes = valueBytes();
    }
  }
  if (responsesSpan.from != 0) readResponses();
  opensLinks = metaFrom != 0 && findLinks(metaFrom, metaBytes);
  return true;
}

/** Bytes of a member's value; 0 when it is not there. */
export function spanBytes(span: Span): u32 {
  return u32(span.to - span.from);
}

function forget(span: Span): void {
  span.memberFrom = 0;
  span.from = 0;
  span.to = 0;
}

function keep(span: Span): void {
  span.memberFrom = memberFrom;
  span.from = valueFrom;
  span.to = valueTo;
}

function readResponses(): void {
  if (!openMembers(responsesSpan.from, spanBytes(responsesSpan))) return;
  while (nextMember()) {
    if (isNamed("guard.approval")) keep(oursSpan);
    else otherResponses++;
  }
  if (oursSpan.from == 0) return;
  consent = Consent.Declined;
  if (!openMembers(oursSpan.from, spanBytes(oursSpan)) || !findMember("action")) return;
  if (valueToken == Token.String && equalsLiteral(valueFrom, valueBytes(), '"accept"')) consent = Consent.Accept;
}

function findLinks(metaFrom: usize, metaBytes: u32): bool {
  return (
    openMembers(metaFrom, metaBytes) &&
    findMember("io.modelcontextprotocol/clientCapabilities") &&
    openMembers(valueFrom, valueBytes()) &&
    findMember("elicitation") &&
    openMembers(valueFrom, valueBytes()) &&
    findMember("url") &&
    valueToken == Token.ObjectStart
  );
}
