// What this guard puts into a modern client's round trips, and takes out of its call again before the server sees it.
//
// A client keeps one `requestState` and sends only the answers to the last questions. So ours carries what the call had of the server's
// own: its state, and the answers to its questions. Nothing in it is believed: the id is looked up anew, what is put back must be one string and
// one object as this guard writes them, so that no other member comes with them, and the call is read and judged again like any other text.
//
//   requestState:  mg1.<id>.<the server's state, base64url>.<inputResponses without ours, base64url>
//
// The call keeps its length: what is put back stands in place of our state, which is longer, and the rest is white space (RFC 8259 section
// 2). The Content-Length may have gone to the server long before.

import { isSpace } from "../json/scan";
import { base64UrlBytes, decodeBase64Url, encodeBase64Url, isBase64Url, NOT_BASE64URL } from "../memory/base64";
import { appendByte, appendBytes, appendLiteral, appendZeros, Buffer, emptyBuffer } from "../memory/buffer";
import { equalBytes, startsWithLiteral } from "../memory/bytes";
import { otherResponses, oursSpan, responsesSpan, Span, spanBytes, stateSpan } from "./call";
import { canonicalise } from "./canonical";

/** Characters of an approval's id: 128 bits in base64url. */
export const ID_BYTES: u32 = 22;
const MARK_BYTES: u32 = 4;

/** What has been found in a call. */
export const enum Round {
  /** Nothing of ours. */
  None,
  /** It has been taken out, and what was carried has been put back. */
  Restored,
  /** It says that it is ours, and cannot be. */
  Broken,
}

/** Whether the state of the call at hand is ours (call.ts). Another spelling of the same string is a server's. */
export function hasOurState(): bool {
  return stateSpan.from != 0 && startsWithLiteral(stateSpan.from, spanBytes(stateSpan), '"mg1.');
}

const put: Buffer = changetype<Buffer>(memory.data(16, 8));
const canonical: Buffer = changetype<Buffer>(memory.data(16, 8));

/** Takes what is ours out of the call at hand, in the text whose `bytes` bytes at `address` have been read by `readCall`. */
export function restore(address: usize, bytes: u32): Round {
  const isOurs = hasOurState();
  if (!isOurs && oursSpan.from == 0) return Round.None;
  emptyBuffer(put);
  if (isOurs && !composePut()) return Round.Broken;
  const end = address + bytes;
  if (responsesSpan.from != 0 && otherResponses == 0 && (isOurs || oursSpan.from != 0)) {
    blankMember(responsesSpan, address, end);
  } else if (oursSpan.from != 0) {
    blankMember(oursSpan, address, end);
  }
  if (!isOurs) return Round.Restored;
  if (put.length == 0) {
    blankMember(stateSpan, address, end);
    return Round.Restored;
  }
  const room = u32(stateSpan.to - stateSpan.memberFrom);
  if (put.length > room) return Round.Broken;
  memory.copy(stateSpan.memberFrom, put.at, put.length);
  memory.fill(stateSpan.memberFrom + put.length, 0x20, room - put.length);
  return Round.Restored;
}

/** Writes the members that our state carries. False when it is none of ours. */
function composePut(): bool {
  const from = stateSpan.from + 1 + MARK_BYTES;
  const end = stateSpan.to - 1;
  if (from + ID_BYTES + 2 > end || !isBase64Url(from, ID_BYTES)) return false;
  const state = from + ID_BYTES + 1;
  let point = state;
  // SAFETY: point < end, inside the string.
  while (point < end && u32(load<u8>(point)) != 0x2e) point++;
  if (point == end || u32(load<u8>(state - 1)) != 0x2e) return false; // SAFETY: `state` lies inside the string.
  const responses = point + 1;
  if (responses != end) {
    // A client that answers the server's questions again answers them twice.
    if (otherResponses != 0) return false;
    appendLiteral(put, '"inputResponses":');
    const before = put.length;
    if (!putBack(responses, u32(end - responses))) return false;
    if (!areResponses(put.at + before, put.length - before)) return false;
  }
  if (point == state) return true;
  if (put.length != 0) appendByte(put, 0x2c);
  appendLiteral(put, '"requestState":"');
  const before = put.length;
  if (!putBack(state, u32(point - state)) || !isState(put.at + before, put.length - before)) return false;
  appendByte(put, 0x22);
  return true;
}

/** Appends what the `bytes` characters at `address` carry; false when they carry nothing. */
function putBack(address: usize, bytes: u32): bool {
  const length = put.length;
  appendZeros(put, bytes);
  const decoded = decodeBase64Url(address, bytes, put.at + length);
  if (decoded == NOT_BASE64URL) return false;
  put.length = length + u32(decoded);
  return true;
}

/** Whether what was carried is one value as `appendCarried` got it: canonical, and without our own member, which no digest has. That it is an object is seen later. */
function areResponses(address: usize, bytes: u32): bool {
  emptyBuffer(canonical);
  return (
    canonicalise(address, bytes, "guard.approval", canonical) &&
    canonical.length == bytes &&
    equalBytes(canonical.at, address, bytes)
  );
}

/** Whether what was carried stays inside the string that it is put into, and is no state of ours again. That its escapes are good is read later. */
function isState(address: usize, bytes: u32): bool {
  for (let i: u32 = 0; i < bytes; i++) {
    const byte = u32(load<u8>(address + i)); // SAFETY: i < bytes, the caller's range.
    if (byte == 0x22) return false;
    // Whatever is escaped does not end the string, and must be there: the quote behind it would be.
    if (byte == 0x5c && ++i == bytes) return false;
  }
  return !startsWithLiteral(address, bytes, "mg1.");
}

/** Makes white space of a member and of one comma beside it. */
function blankMember(span: Span, start: usize, end: usize): void {
  memory.fill(span.memberFrom, 0x20, span.to - span.memberFrom);
  let at = span.to;
  // SAFETY: every load lies in the text, start <= at < end.
  while (at < end && isSpace(u32(load<u8>(at)))) at++;
  if (at < end && u32(load<u8>(at)) == 0x2c) {
    store<u8>(at, 0x20); // SAFETY: as above.
    return;
  }
  at = span.memberFrom;
  while (at > start && isSpace(u32(load<u8>(at - 1)))) at--;
  // SAFETY: at > start.
  if (at > start && u32(load<u8>(at - 1)) == 0x2c) store<u8>(at - 1, 0x20);
}

/** Appends the part of our state that carries the server's: of the call at hand, from which ours has been taken out. `responses` is canonical. */
export function appendCarried(to: Buffer, responses: Buffer): void {
  appendByte(to, 0x2e);
  if (stateSpan.from != 0) carry(to, stateSpan.from + 1, spanBytes(stateSpan) - 2);
  appendByte(to, 0x2e);
  carry(to, responses.at, responses.length);
}

function carry(to: Buffer, address: usize, bytes: u32): void {
  const length = to.length;
  appendZeros(to, base64UrlBytes(bytes));
  encodeBase64Url(address, bytes, to.at + length);
}

/** Appends the mark and the id of our state. */
export function appendMark(to: Buffer, id: usize): void {
  appendLiteral(to, "mg1.");
  appendBytes(to, id, ID_BYTES);
}
