// What is needed to read one response body: the rewriter, for an event stream the reader of events, and what is on its way out. A
// stream has one from its response headers to its end.

import { redacted } from "../audit/redact";
import { JSON_TEXT_BYTES_MAX } from "../limits";
import { appendByte, appendBytes, appendLiteral, Buffer, freeBuffer, initBuffer, ownBytes } from "../memory/buffer";
import { equalsLiteral, startsWithLiteral } from "../memory/bytes";
import { beginSha256, SHA256_BYTES, Sha256 } from "../memory/sha256";
import { AuditBody, Policy } from "../policy/policy";
import { Reason } from "../policy/reason";
import { keptBytesOf } from "../policy/record-room";
import { writeError } from "../rewrite/error-message";
import { canLead, moveReady, readyBytes, takeReady } from "../rewrite/hold";
import {
  beginText,
  createRewriter,
  freeRewriter,
  Rewriter,
  rewriterBytes,
  rewriterHeldBytes,
  TextState,
  Truth,
} from "../rewrite/rewriter";
import { endText, rewrite, spoilText } from "../rewrite/walk";
import {
  EVENT_BLOCK_BYTES,
  EventReader,
  EventStep,
  endEvents,
  initEventReader,
  nextEvent,
  openEvents,
} from "../sse/reader";
import { wholeCharacters, writeLine } from "../sse/writer";
import { exportResponse } from "./audit-line";
import { Exchange, grantOf, isToolCall } from "./exchange";
import { noteAnswer } from "./facts";
import { Guard } from "./guard";

/** Bytes of the data of an `endpoint` event; MCP 2024-11-05 has a path there. */
const ENDPOINT_ROOM: u32 = 2048;

@unmanaged
export class Rewriting {
  guard: Guard;
  exchange: Exchange;
  /** While a text is read; between two events there is none, because streams are mostly silent. */
  rewriter: Rewriter | null;
  events: EventReader;
  /** Goes to the client in this callback: what was held from earlier ones; so many of its bytes as they came; and what stands behind them. */
  head: Buffer;
  unchanged: u32;
  wire: Buffer;
  /** The guard's generation of the policy whose limits it has. */
  generation: u32;
  isEvents: bool;
  /** An event stream that answers to GET, in which an `endpoint` may stand. */
  isGet: bool;
  completesPrompt: bool;
  /** Monitor mode: the client gets the body as it comes. */
  isWatched: bool;
  /** Elements and messages that were left out or replaced, and characters that were taken out. */
  removed: u32;
  hidden: u32;
  /** For the record: messages, elements of lists that stayed, the code of the last error, and what results say of errors. */
  messages: u32;
  listed: u32;
  hasErrorCode: bool;
  errorCode: i64;
  isError: Truth;
  /** How many bytes of an answer are kept for the record, and the first ones of the text at hand. */
  shownMax: u32;
  shown: Buffer;
  /** SHA-256 of the body as it came; null when the policy does not ask for it. */
  hash: Sha256 | null;
  /** Why the stream must be cut; None while it must not. */
  cut: Reason;
  /** JSON bodies: a text was not acceptable, and nothing follows it. */
  isOver: bool;
  /** JSON bodies: whether a text has gone out, and whether a call was left out. */
  hasText: bool;
  hasDenied: bool;
  /** JSON bodies: the last that went out was a text, without white space behind it. */
  isTouching: bool;
  /** JSON bodies: the text before was left out, and the white space behind it is too. */
  isGap: bool;
  /** Whether a part of the data of this event has gone out. */
  hasData: bool;
  /** Bytes of data of this event, and the first of them. */
  dataBytes: u32;
  endpoint: usize;
}

/** A rewriting for `exchange` under its guard's policy. Freed with `freeRewriting`. */
export function createRewriting(
  exchange: Exchange,
  policy: Policy,
  isEvents: bool,
  isGet: bool,
  completesPrompt: bool,
): Rewriting {
  const head = (u32(offsetof<Rewriting>()) + 7) & ~7;
  const buffer = (u32(offsetof<Buffer>()) + 7) & ~7;
  const events = isEvents ? (u32(offsetof<EventReader>()) + 7) & ~7 : 0;
  const block = isEvents ? (EVENT_BLOCK_BYTES + 7) & ~7 : 0;
  const endpoint = isEvents && isGet ? ENDPOINT_ROOM : 0;
  const isDigested = policy.auditResponse != AuditBody.None;
  const bytes = head + 3 * buffer + events + block + endpoint + (isDigested ? SHA256_BYTES : 0);
  const at = heap.alloc(bytes);
  memory.fill(at, 0, head + 3 * buffer + events);
  const rewriting = changetype<Rewriting>(at);
  rewriting.guard = exchange.guard;
  rewriting.exchange = exchange;
  rewriting.generation = exchange.guard.generation;
  rewriting.wire = changetype<Buffer>(at + head);
  initBuffer(rewriting.wire);
  rewriting.head = changetype<Buffer>(at + head + buffer);
  initBuffer(rewriting.head);
  rewriting.shown = changetype<Buffer>(at + head + 2 * buffer);
  initBuffer(rewriting.shown);
  const showsAnswer = policy.auditResponse >= AuditBody.Redacted && isToolCall(exchange);
  // One byte more than can be shown says that there is more.
  rewriting.shownMax = showsAnswer ? keptBytesOf(policy) + 1 : 0;
  rewriting.completesPrompt = completesPrompt;
  rewriting.isEvents = isEvents;
  rewriting.isGet = isEvents && isGet;
  if (isEvents) {
    const eventsAt = at + head + 3 * buffer;
    rewriting.events = changetype<EventReader>(eventsAt);
    initEventReader(rewriting.events, eventsAt + events);
    rewriting.endpoint = eventsAt + events + block;
  }
  if (isDigested) {
    rewriting.hash = changetype<Sha256>(at + (bytes - SHA256_BYTES));
    beginSha256(changetype<Sha256>(at + (bytes - SHA256_BYTES)));
  }
  return rewriting;
}

/** Frees a rewriting. */
export function freeRewriting(rewriting: Rewriting): void {
  endUse(rewriting);
  emptyWire(rewriting);
  freeBuffer(rewriting.shown);
  heap.free(changetype<usize>(rewriting));
}

/** Bytes that a rewriting holds now, beside its block, which is as small as the exchange's record. */
export function rewritingBytes(rewriting: Rewriting, policy: Policy): u32 {
  const rewriter = rewriting.rewriter;
  const used = rewriter === null ? 0 : rewriterBytes(policy) + rewriterHeldBytes(rewriter);
  return rewriting.head.capacity + rewriting.wire.capacity + rewriting.shown.capacity + used;
}

/** The rewriter of the text at hand: a spare one of the guard, or a new one. */
function rewriterOf(rewriting: Rewriting, policy: Policy): Rewriter {
  const used = rewriting.rewriter;
  if (used !== null) return used;
  const guard = rewriting.guard;
  let rewriter = guard.spareRewriter;
  if (rewriter !== null) guard.spareRewriter = rewriter.nextSpare;
  else rewriter = createRewriter(policy);
  rewriter.isStrict = rewriting.isEvents;
  rewriter.completesPrompt = rewriting.completesPrompt;
  rewriter.hints = guard.hints;
  rewriter.grant = grantOf(rewriting.exchange);
  rewriting.rewriter = rewriter;
  return rewriter;
}

/** The text has ended: its rewriter goes back to the guard, or is freed when the policy has changed since. */
export function endUse(rewriting: Rewriting): void {
  const rewriter = rewriting.rewriter;
  if (rewriter === null) return;
  rewriting.rewriter = null;
  rewriting.removed += rewriter.removed;
  rewriting.hidden += rewriter.hidden;
  rewriting.messages += rewriter.messages;
  rewriting.listed += rewriter.listed;
  if (rewriter.hasErrorCode) {
    rewriting.hasErrorCode = true;
    rewriting.errorCode = rewriter.errorCode;
  }
  if (rewriter.isError != Truth.Unsaid && rewriting.isError != Truth.Yes) rewriting.isError = rewriter.isError;
  if (rewriter.messages != 0) record(rewriting, rewriter);
  freeBuffer(rewriting.shown);
  const guard = rewriting.guard;
  if (rewriting.generation != guard.generation) {
    freeRewriter(rewriter);
    return;
  }
  beginText(rewriter);
  rewriter.nextSpare = guard.spareRewriter;
  guard.spareRewriter = rewriter;
}

/** A text with a message has ended: its own record, and what the exchange's will show of it. */
function record(rewriting: Rewriting, rewriter: Rewriter): void {
  const guard = rewriting.guard;
  const shown = rewriting.shown;
  const policy = guard.policy;
  // What was kept under an earlier policy is not this one's to show.
  const isShown = rewriting.generation == guard.generation && rewriter.hasResult && shown.length != 0;
  const text = isShown && policy !== null ? redacted(policy.redactedResponse, shown.at, shown.length) : null;
  if (text !== null) noteAnswer(rewriting.exchange, text);
  exportResponse(rewriting.exchange, rewriter, text);
}

/** Keeps the beginning of a text for the record. */
function show(rewriting: Rewriting, address: usize, bytes: u32): void {
  const shown = rewriting.shown;
  if (shown.length < rewriting.shownMax) appendBytes(shown, address, min(bytes, rewriting.shownMax - shown.length));
}

/**
 * Reads the next `bytes` bytes of the body at `address`; what may go out of it is added to `wire`, which may borrow them from there: they stay
 * until the wire has been emptied, or `keepWire` has been called.
 */
export function rewritePiece(rewriting: Rewriting, policy: Policy, address: usize, bytes: u32): void {
  if (rewriting.cut != Reason.None || rewriting.isOver) return;
  if (rewriting.isEvents) readEvents(rewriting, policy, address, bytes);
  else readTexts(rewriting, policy, address, bytes);
  const rewriter = rewriting.rewriter;
  if (rewriter !== null) ownBytes(rewriter.out);
}

/**
 * `more` bytes have come for a text that is too large to be held with them: what is held of it goes out in front of them, if nothing in it
 * is undecided. So they need not be copied behind it.
 */
export function leadHeld(rewriting: Rewriting, more: u32): void {
  const rewriter = rewriting.rewriter;
  if (rewriting.isEvents || rewriter === null || !canLead(rewriter, more)) return;
  moveReady(rewriter, rewriter.out.length, rewriting.head);
  rewriting.hasText = true;
  rewriting.isTouching = true;
}

/** What is on its way out outlasts the piece that it was read from. */
export function keepWire(rewriting: Rewriting): void {
  ownBytes(rewriting.wire);
}

/** Says that the body has ended. */
export function endRewriting(rewriting: Rewriting, policy: Policy): void {
  if (rewriting.cut != Reason.None || rewriting.isOver) return;
  if (rewriting.isEvents) {
    if (endEvents(rewriting.events)) endEvent(rewriting, policy);
    return;
  }
  const rewriter = rewriting.rewriter;
  if (rewriter !== null) {
    endText(rewriter);
    settleText(rewriting, rewriter);
  }
  // Whoever waits for an answer must not get an empty body.
  if (!rewriting.hasText && rewriting.hasDenied && rewriting.cut == Reason.None) {
    writeError(rewriting.wire, Reason.ServerRequestDenied, 0, 0);
  }
}

/** Whether the body may end here: with trailers there is no later moment to write to it. */
export function isAtEnd(rewriting: Rewriting): bool {
  return rewriting.isOver || rewriting.isEvents || rewriting.rewriter === null;
}

// --- JSON: one text after the other. ---

function readTexts(rewriting: Rewriting, policy: Policy, address: usize, bytes: u32): void {
  let read: u32 = 0;
  while (read < bytes) {
    if (rewriting.rewriter === null) {
      // White space between two texts belongs to neither, and a reader of lines waits for it.
      const blank = spaceBytes(address + read, bytes - read);
      if (!rewriting.isGap && blank != 0) {
        appendBytes(rewriting.wire, address + read, blank);
        rewriting.isTouching = false;
      }
      read += blank;
      if (read == bytes) return;
      rewriting.isGap = false;
    }
    const rewriter = rewriterOf(rewriting, policy);
    const used = rewrite(rewriter, policy, address + read, bytes - read);
    show(rewriting, address + read, used);
    read += used;
    settleText(rewriting, rewriter);
    if (rewriting.cut != Reason.None || rewriting.isOver) return;
  }
}

/** After a step of the rewriter: what is ready goes out, and a text that is complete makes room for the next. */
function settleText(rewriting: Rewriting, rewriter: Rewriter): void {
  if (rewriter.state == TextState.Cut) {
    rewriting.cut = rewriter.failure;
    return;
  }
  const ready = readyBytes(rewriter);
  if (ready != 0) {
    rewriting.hasText = true;
    rewriting.isTouching = true;
  } else if (rewriter.state == TextState.Complete && !rewriter.hasGone) {
    // Its neighbours must not become one text, nor its line an empty one.
    if (rewriting.isTouching) appendByte(rewriting.wire, 0x0a);
    rewriting.isTouching = false;
    rewriting.isGap = true;
  }
  if (rewriter.hasDenied) rewriting.hasDenied = true;
  moveReady(rewriter, ready, rewriting.wire);
  if (rewriter.state == TextState.Failed) rewriting.isOver = true;
  if (rewriter.state != TextState.Open) endUse(rewriting);
  // The offsets of a text are 32 bits wide.
  else if (rewriter.copied > JSON_TEXT_BYTES_MAX) rewriting.cut = Reason.ResponseTooLarge;
}

// --- Event streams (HTML standard, section 9.2). ---

const LF: usize = memory.data<u8>([0x0a]);

function readEvents(rewriting: Rewriting, policy: Policy, address: usize, bytes: u32): void {
  const events = rewriting.events;
  openEvents(events, address, bytes);
  while (rewriting.cut == Reason.None) {
    switch (nextEvent(events)) {
      case EventStep.NeedMore:
        return;
      case EventStep.Data:
        readData(rewriting, policy, events.runAt, events.runBytes);
        break;
      case EventStep.DataLine:
        readData(rewriting, policy, LF, 1);
        break;
      case EventStep.Comment:
        // Inside an event it would end up in the middle of what is not written yet.
        if (!rewriting.hasData && rewriting.dataBytes == 0) appendLiteral(rewriting.wire, ":\n\n");
        break;
      default:
        endEvent(rewriting, policy);
        break;
    }
  }
}

function readData(rewriting: Rewriting, policy: Policy, address: usize, bytes: u32): void {
  const rewriter = rewriterOf(rewriting, policy);
  if (rewriting.isGet && rewriting.dataBytes < ENDPOINT_ROOM) {
    memory.copy(rewriting.endpoint + rewriting.dataBytes, address, min(bytes, ENDPOINT_ROOM - rewriting.dataBytes));
  }
  if (bytes > policy.eventBytesMax - rewriting.dataBytes) {
    rewriting.cut = Reason.ResponseTooLarge;
    return;
  }
  rewriting.dataBytes += bytes;
  const read = rewriter.state == TextState.Complete ? 0 : rewrite(rewriter, policy, address, bytes);
  show(rewriting, address, read);
  // Behind the root value nothing but white space may stand.
  if (rewriter.state == TextState.Complete && spaceBytes(address + read, bytes - read) != bytes - read)
    spoilText(rewriter);
  if (rewriter.state == TextState.Cut) rewriting.cut = rewriter.failure;
  else if (rewriter.state == TextState.Open)
    writeData(rewriting, rewriter, wholeCharacters(rewriter.out.at, readyBytes(rewriter)));
}

/** How many of the `bytes` bytes at `address` are white space in front of all else (RFC 8259, section 2). */
function spaceBytes(address: usize, bytes: u32): u32 {
  for (let i: u32 = 0; i < bytes; i++) {
    const byte = u32(load<u8>(address + i)); // SAFETY: i < bytes, the caller's range.
    if (byte != 0x20 && byte != 0x0a && byte != 0x0d && byte != 0x09) return i;
  }
  return bytes;
}

/** The event has ended: it goes out, or is left out. */
function endEvent(rewriting: Rewriting, policy: Policy): void {
  const events = rewriting.events;
  if (!events.hasData || rewriting.dataBytes == 0) {
    // A priming event, or one that only says where to resume.
    if (events.hasId || events.hasRetry) {
      writeFields(rewriting);
      if (events.hasData) appendLiteral(rewriting.wire, "data: \n");
      appendByte(rewriting.wire, 0x0a);
    }
  } else if (isEndpoint(rewriting)) {
    writeFields(rewriting);
    appendLiteral(rewriting.wire, "data: ");
    appendBytes(rewriting.wire, rewriting.endpoint, rewriting.dataBytes);
    appendLiteral(rewriting.wire, "\n\n");
  } else if (isNamedEndpoint(events)) {
    // No client reads a message under this name.
    if (rewriting.hasData) rewriting.cut = Reason.ResponseInvalid;
    rewriting.removed++;
  } else {
    const rewriter = rewriterOf(rewriting, policy);
    endText(rewriter);
    if (rewriter.state == TextState.Cut) {
      rewriting.cut = rewriter.failure;
      return;
    }
    const ready = readyBytes(rewriter);
    if (ready != 0 || rewriting.hasData) {
      if (!rewriting.hasData) writeFields(rewriting);
      const isLate = rewriting.hasData;
      writeData(rewriting, rewriter, ready);
      appendByte(rewriting.wire, 0x0a);
      if (isLate) writeFields(rewriting);
      appendByte(rewriting.wire, 0x0a);
    }
  }
  endUse(rewriting);
  rewriting.hasData = false;
  rewriting.dataBytes = 0;
}

/** `event`, `id` and `retry`, as far as the event has them. */
function writeFields(rewriting: Rewriting): void {
  const events = rewriting.events;
  const wire = rewriting.wire;
  if (events.hasName) {
    appendLiteral(wire, "event: ");
    appendBytes(wire, events.nameAt, events.nameBytes);
    appendByte(wire, 0x0a);
  }
  if (events.hasId) {
    appendLiteral(wire, "id: ");
    appendBytes(wire, events.idAt, events.idBytes);
    appendByte(wire, 0x0a);
  }
  if (events.hasRetry) {
    appendLiteral(wire, "retry: ");
    appendBytes(wire, events.retryAt, events.retryBytes);
    appendByte(wire, 0x0a);
  }
}

/** Writes the first `bytes` bytes of the rewriter's output as a part of the one line of data. */
function writeData(rewriting: Rewriting, rewriter: Rewriter, bytes: u32): void {
  if (bytes == 0) return;
  if (!rewriting.hasData) appendLiteral(rewriting.wire, "data: ");
  rewriting.hasData = true;
  writeLine(rewriting.wire, rewriter.out.at, bytes);
  takeReady(rewriter, bytes);
}

function isNamedEndpoint(events: EventReader): bool {
  return events.hasName && equalsLiteral(events.nameAt, events.nameBytes, "endpoint");
}

/** The first event of the HTTP+SSE transport says where the client is to POST. */
function isEndpoint(rewriting: Rewriting): bool {
  const events = rewriting.events;
  if (!rewriting.isGet || !isNamedEndpoint(events)) return false;
  const at = rewriting.endpoint;
  const bytes = rewriting.dataBytes;
  if (bytes > ENDPOINT_ROOM) return false;
  for (let i: u32 = 0; i < bytes; i++) {
    const byte = u32(load<u8>(at + i)); // SAFETY: i < bytes <= ENDPOINT_ROOM.
    if (byte <= 0x20 || byte >= 0x7f) return false;
  }
  return (
    startsWithLiteral(at, bytes, "/") ||
    startsWithLiteral(at, bytes, "http://") ||
    startsWithLiteral(at, bytes, "https://")
  );
}

/** What was on its way is out. Its blocks go too: most streams are silent most of the time. */
export function emptyWire(rewriting: Rewriting): void {
  freeBuffer(rewriting.head);
  freeBuffer(rewriting.wire);
  rewriting.unchanged = 0;
}
