// The rewriter of one JSON text: its memory, the output, and the frames of the open containers.
//
//   text:    | gone out | held: from the start of the first undecided container ................ | not read |
//   output:             ^ 0                                                      length ^

import { freeReader, initReader, JsonReader, readerBlockBytes, readerHeldBytes, resetReader } from "../json/reader";
import { DEPTH_MAX, ID_BYTES_MAX, URI_BYTES_MAX } from "../limits";
import { ServerMember } from "../mcp/server-member";
import { ServerPlace } from "../mcp/server-place";
import { appendLent, Buffer, emptyBuffer, freeBuffer, initBuffer } from "../memory/buffer";
import { Grant } from "../policy/grant";
import { Hints } from "../policy/hints";
import { Policy } from "../policy/policy";
import { Reason } from "../policy/reason";
import { writeError } from "./error-message";
import { Frame, GONE } from "./frame";

/** What becomes of a scalar value that is not copied. */
export const enum Instead {
  Nothing,
  /** `"private"`. */
  Private,
  /** A number up to TTL_MS_MAX. */
  Ttl,
  /** `[]`, where a list was expected. */
  EmptyList,
}

/** Room for the code of an error: whole numbers of up to ten digits, with a sign. */
export const CODE_ROOM: u32 = 11;
/** Room for what is captured: `ttlMs`, the id with its quotes, any other text. */
export const TTL_ROOM: u32 = 24;
export const ID_ROOM: u32 = ID_BYTES_MAX + 2;
export const TEXT_ROOM: u32 = URI_BYTES_MAX;
/** `holdAt` when nothing is held for its own sake. */
export const NO_HOLD: u32 = u32.MAX_VALUE;

/** `dropDepth` of a message that becomes an error: no container has it. */
export const DISCARDING: u32 = DEPTH_MAX + 2;

/** What has been said, if anything. */
export const enum Truth {
  Unsaid,
  No,
  Yes,
}

/** How a text ends. */
export const enum TextState {
  /** More of it must come. */
  Open,
  /** Its root value has ended; what stands behind it has not been read. */
  Complete,
  /** It is not acceptable, and nothing of it that is not out will go out. */
  Failed,
  /** The same, but a part has gone out: the stream must be cut. */
  Cut,
}

@unmanaged
export class Rewriter {
  /** Next among those that nobody uses. */
  nextSpare: Rewriter | null;
  reader: JsonReader;
  /** What has been read and not gone out. */
  out: Buffer;
  /** Records { from u32, to u32, slot u32 } of the elements of the one list of tools or prompts that is open. */
  elements: Buffer;
  /** One byte per slot of the list's set of names: how many elements have it, up to 2. */
  seen: Buffer;
  frames: usize;
  /** Captured: the text at hand, and the message's id. */
  text: usize;
  idAt: usize;
  idBytes: u32;

  state: TextState;
  /** The root was a number or a word, and what follows it is not known yet. */
  awaitsEnd: bool;
  /** Why the text failed, or must be cut. */
  failure: Reason;
  /** Whether a part of the text has gone out. */
  hasGone: bool;
  /** Offset in the text up to which it has been copied or left out. */
  copied: u32;
  /** Depth of the container that is being left out; 0 when none is. */
  dropDepth: u32;
  /** Depth of the announcement that the reader is in; 0 when it is in none. */
  announcedDepth: u32;
  /** Where a text that is judged at its end begins in the output; NO_HOLD when there is none. */
  holdAt: u32;
  member: ServerMember;
  instead: Instead;
  /** Whether a part of the value that is not copied has been left out already. */
  isReplacing: bool;
  /** Depth of the message; 2 inside a batch. */
  messageDepth: u32;

  // --- The message. ---
  hasResult: bool;
  hasParams: bool;
  isJsonrpcGood: bool;
  /** Why it becomes an error when it ends; None when it does not. */
  discarded: Reason;
  /** Whether a call of this text was left out. */
  hasDenied: bool;

  // --- What the caller sets. ---
  /** The texts are events: what is no JSON-RPC message is left out. */
  isStrict: bool;
  /** The exchange completes an argument of a prompt: values are no parts of URIs. */
  completesPrompt: bool;
  /** Where to note what is said of tools; null when it counts for nothing. INVARIANT: they are those of the policy that it is called with. */
  hints: Hints | null;
  /** What the rules give to the one who gets the text. INVARIANT: as above. */
  grant: Grant | null;
  /** Of this text: elements and messages that were left out or replaced, and characters that were taken out. */
  removed: u32;
  hidden: u32;
  /** Of this text, for the record: messages, elements of lists that stayed, the code of the last error, and what results say of errors. */
  messages: u32;
  listed: u32;
  hasErrorCode: bool;
  errorCode: i64;
  isError: Truth;
}

const FRAMES_BYTES: u32 = u32(offsetof<Frame>()) * (DEPTH_MAX + 1);
const CAPTURED_BYTES: u32 = TEXT_ROOM + ID_ROOM;

/** Bytes of the block of a rewriter for the limits of `policy`. */
export function rewriterBytes(policy: Policy): u32 {
  const heads = u32(offsetof<Rewriter>() + offsetof<JsonReader>() + 3 * offsetof<Buffer>()) + 64;
  return heads + ((readerBlockBytes(policy.json) + 7) & ~7) + FRAMES_BYTES + CAPTURED_BYTES;
}

/** Bytes that a rewriter holds beside its block. */
export function rewriterHeldBytes(rewriter: Rewriter): u32 {
  const buffers = rewriter.out.capacity + rewriter.elements.capacity + rewriter.seen.capacity;
  return buffers + readerHeldBytes(rewriter.reader);
}

/** Makes a rewriter for the limits of `policy`. Freed with `freeRewriter`. */
export function createRewriter(policy: Policy): Rewriter {
  const readerBytes = (readerBlockBytes(policy.json) + 7) & ~7;
  let at = heap.alloc(rewriterBytes(policy));
  const rewriter = changetype<Rewriter>(at);
  rewriter.nextSpare = null;
  at = aligned(at + offsetof<Rewriter>());
  rewriter.reader = changetype<JsonReader>(at);
  at = aligned(at + offsetof<JsonReader>());
  rewriter.out = changetype<Buffer>(at);
  at = aligned(at + offsetof<Buffer>());
  rewriter.elements = changetype<Buffer>(at);
  at = aligned(at + offsetof<Buffer>());
  rewriter.seen = changetype<Buffer>(at);
  at = aligned(at + offsetof<Buffer>());
  initBuffer(rewriter.out);
  initBuffer(rewriter.elements);
  initBuffer(rewriter.seen);
  initReader(rewriter.reader, at, policy.json);
  rewriter.reader.anyRoot = true;
  at += readerBytes;
  rewriter.frames = at;
  at += FRAMES_BYTES;
  rewriter.text = at;
  rewriter.idAt = at + TEXT_ROOM;
  rewriter.isStrict = false;
  rewriter.completesPrompt = false;
  rewriter.hints = null;
  rewriter.grant = null;
  beginText(rewriter);
  return rewriter;
}

function aligned(at: usize): usize {
  return (at + 7) & ~7;
}

/** Frees a rewriter. */
export function freeRewriter(rewriter: Rewriter): void {
  freeReader(rewriter.reader);
  freeBuffer(rewriter.out);
  freeBuffer(rewriter.elements);
  freeBuffer(rewriter.seen);
  heap.free(changetype<usize>(rewriter));
}

/** Makes a rewriter ready for another text; what it has put out of the one before must have been taken. */
export function beginText(rewriter: Rewriter): void {
  resetReader(rewriter.reader);
  emptyBuffer(rewriter.out);
  emptyBuffer(rewriter.elements);
  rewriter.state = TextState.Open;
  rewriter.awaitsEnd = false;
  rewriter.failure = Reason.None;
  rewriter.hasGone = false;
  rewriter.copied = 0;
  rewriter.dropDepth = 0;
  rewriter.announcedDepth = 0;
  rewriter.holdAt = NO_HOLD;
  rewriter.member = ServerMember.Unknown;
  rewriter.instead = Instead.Nothing;
  rewriter.isReplacing = false;
  rewriter.messageDepth = 1;
  rewriter.removed = 0;
  rewriter.hidden = 0;
  rewriter.messages = 0;
  rewriter.listed = 0;
  rewriter.hasErrorCode = false;
  rewriter.isError = Truth.Unsaid;
  rewriter.hasDenied = false;
  beginMessage(rewriter);
  const root = frameAt(rewriter, 0);
  memory.fill(changetype<usize>(root), 0, offsetof<Frame>());
  setReport(rewriter);
}

/** Forgets the message before. */
export function beginMessage(rewriter: Rewriter): void {
  rewriter.idBytes = 0;
  rewriter.hasResult = false;
  rewriter.hasParams = false;
  rewriter.isJsonrpcGood = false;
  rewriter.discarded = Reason.None;
}

/** The frame of the container at `depth`, at most DEPTH_MAX; 0 is outside the root. */
export function frameAt(rewriter: Rewriter, depth: u32): Frame {
  return changetype<Frame>(rewriter.frames + usize(depth) * offsetof<Frame>());
}

/** How deep the frames are those of open containers: of what is not looked into the reader tells the outermost alone. */
export function liveDepth(rewriter: Rewriter): u32 {
  const reader = rewriter.reader;
  return reader.reportDepth < reader.depth ? reader.reportDepth + 1 : reader.depth;
}

/** The reader reports what stands in containers that are looked into, and of the others that they begin and end. */
export function setReport(rewriter: Rewriter): void {
  const reader = rewriter.reader;
  const depth = reader.depth;
  if (rewriter.dropDepth != 0) {
    reader.reportDepth = rewriter.dropDepth == DISCARDING ? rewriter.messageDepth : rewriter.dropDepth - 1;
  } else if (depth == 0) {
    reader.reportDepth = u32.MAX_VALUE;
  } else {
    reader.reportDepth = frameAt(rewriter, depth).place == ServerPlace.None ? depth - 1 : depth;
  }
}

/** Takes the text up to `offset` over into the output, unless it is being left out. The output borrows it from the chunk, as far as it can. */
export function copyTo(rewriter: Rewriter, offset: u32): void {
  const reader = rewriter.reader;
  if (offset <= rewriter.copied) return;
  if (rewriter.dropDepth == 0) {
    const from = max(rewriter.copied, reader.chunkOffset);
    appendLent(rewriter.out, reader.chunk + (from - reader.chunkOffset), offset - from);
  }
  rewriter.copied = offset;
}

/** Takes the output back to `at`. False, and the text is cut, when that has gone out. */
export function truncate(rewriter: Rewriter, at: u32, reason: Reason = Reason.ResponseInvalid): bool {
  if (at == GONE) {
    rewriter.state = TextState.Cut;
    rewriter.failure = reason;
    return false;
  }
  rewriter.out.length = at;
  return true;
}

/** The text is not acceptable, and nothing that follows can change that. */
export function fail(rewriter: Rewriter, reason: Reason): void {
  rewriter.failure = reason;
  if (rewriter.hasGone) {
    rewriter.state = TextState.Cut;
    return;
  }
  emptyBuffer(rewriter.out);
  rewriter.removed++;
  rewriter.state = TextState.Failed;
  if (rewriter.isStrict) return;
  // The id of a message before this one is none of its.
  const depth = rewriter.messageDepth;
  if (liveDepth(rewriter) < depth || frameAt(rewriter, depth).place != ServerPlace.Message) rewriter.idBytes = 0;
  appendError(rewriter, reason);
}

/** Appends an error with the id of the message at hand, if it has been read. */
export function appendError(rewriter: Rewriter, reason: Reason): void {
  writeError(rewriter.out, reason, rewriter.idAt, rewriter.idBytes);
}
