// The rewriter: JSON texts of a server in, cut anywhere; what a client may see of them out (docs/responses.md). It drives the
// JSON reader, copies the bytes as they came, and leaves out what the policy does not list. What is not decided yet is held; all else goes out, so memory
// is bounded by what is held, not by the text.
//
//   text:    | gone out | held: from the start of the first undecided container ................ | not read |
//   output:             ^ 0                                                      length ^

import { JsonError } from "../json/error";
import {
  captureRaw,
  captureText,
  finish,
  freeReader,
  initReader,
  isInsideToken,
  JsonReader,
  next,
  openChunk,
  readerBlockBytes,
  readerHeldBytes,
  resetReader,
  Token,
} from "../json/reader";
import { DEPTH_MAX, ID_BYTES_MAX, METHOD_BYTES_MAX, NAME_BYTES_MAX, STAGED_BYTES, URI_BYTES_MAX } from "../limits";
import { ServerCall, serverCallOf } from "../mcp/server-call";
import { ServerMember, serverMemberOf } from "../mcp/server-member";
import { isAnnouncement, isNamed, isRebuilt, ServerPlace } from "../mcp/server-place";
import { placeIn } from "../mcp/server-shape";
import {
  appendByte,
  appendBytes,
  appendLiteral,
  appendZeros,
  Buffer,
  dropHead,
  emptyBuffer,
  freeBuffer,
  initBuffer,
} from "../memory/buffer";
import { equalsLiteral } from "../memory/bytes";
import { hasHidden, hiddenFound, stripHidden } from "../memory/hidden";
import { Frame, GONE, Judged } from "./frame";
import { judgeIcon, judgeLink, judgeResource, judgeTemplate, judgeValue } from "./judge";
import { hasName, NameSet, slotOf } from "./name-set";
import { HiddenText, Policy } from "./policy";
import { infoOf, Reason } from "./reason";

/** What becomes of a scalar value that is not copied. */
const enum Instead {
  Nothing,
  /** `"private"`. */
  Private,
  /** A number up to TTL_MS_MAX. */
  Ttl,
  /** `[]`, where a list was expected. */
  EmptyList,
}

/** The longest time that a client may keep a list which is filtered for it (MCP 2026-07-28, caching). */
const TTL_MS_MAX: u32 = 60_000;
const TTL_ROOM: u32 = 24;
const ID_ROOM: u32 = ID_BYTES_MAX + 2;
const TEXT_ROOM: u32 = URI_BYTES_MAX;
const NO_HOLD: u32 = u32.MAX_VALUE;

/** How a text ends. */
export const enum TextState {
  /** More of it must come. */
  Open,
  /** Its root value has ended; `text` bytes behind it are not read. */
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
  /** Why the text failed, or must be cut. */
  failure: Reason;
  /** Whether a part of the text has gone out. */
  hasGone: bool;
  /** Offset in the text up to which it has been copied or left out. */
  copied: u32;
  /** Depth of the container that is being left out; 0 when none is. */
  dropDepth: u32;
  /** Depth of the element inside which every member name is looked at; 0 when none is. */
  insideDepth: u32;
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
  /** Of this text: elements and messages that were left out or replaced, and characters that were taken out. */
  removed: u32;
  hidden: u32;
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
  rewriter.failure = Reason.None;
  rewriter.hasGone = false;
  rewriter.copied = 0;
  rewriter.dropDepth = 0;
  rewriter.insideDepth = 0;
  rewriter.holdAt = NO_HOLD;
  rewriter.member = ServerMember.Unknown;
  rewriter.instead = Instead.Nothing;
  rewriter.isReplacing = false;
  rewriter.messageDepth = 1;
  rewriter.removed = 0;
  rewriter.hidden = 0;
  rewriter.hasDenied = false;
  beginMessage(rewriter);
  const root = frameAt(rewriter, 0);
  memory.fill(changetype<usize>(root), 0, offsetof<Frame>());
  setReport(rewriter);
}

/** Whether nothing of the text has been read but white space. */
export function isTextEmpty(rewriter: Rewriter): bool {
  return rewriter.state == TextState.Open && rewriter.reader.depth == 0 && !isInsideToken(rewriter.reader);
}

/**
 * Reads the next `bytes` bytes of the text at `address`; gives how many it took, all of them unless the root value has ended before. What
 * may go out then is `readyBytes`.
 */
export function rewrite(rewriter: Rewriter, policy: Policy, address: usize, bytes: u32): u32 {
  if (rewriter.state != TextState.Open) return bytes;
  const reader = rewriter.reader;
  openChunk(reader, address, bytes);
  while (true) {
    captureElement(rewriter);
    const token = next(reader);
    if (token == Token.NeedMore) {
      endChunk(rewriter, bytes);
      boundHeld(rewriter, policy);
      return bytes;
    }
    if (token == Token.Failed) {
      fail(rewriter, Reason.ResponseInvalid);
      return bytes;
    }
    noteToken(rewriter, policy, token);
    if (rewriter.state != TextState.Open) return bytes;
    if (reader.depth == 0 && token != Token.ObjectStart && token != Token.ArrayStart) {
      rewriter.state = TextState.Complete;
      return u32(reader.cursor - address);
    }
  }
}

/** Says that the text has ended. */
export function endText(rewriter: Rewriter): void {
  if (rewriter.state != TextState.Open) return;
  if (finish(rewriter.reader) != JsonError.None) {
    fail(rewriter, Reason.ResponseInvalid);
    return;
  }
  // A number at the root ends with the text; of a body all of it has been copied.
  if (rewriter.isStrict) rewriter.removed++;
  rewriter.state = TextState.Complete;
}

/** Says that something but white space follows a text that was complete: it was not one text. */
export function spoilText(rewriter: Rewriter): void {
  fail(rewriter, Reason.ResponseInvalid);
}

/** How many bytes of the output may go out now. */
export function readyBytes(rewriter: Rewriter): u32 {
  const length = rewriter.out.length;
  if (rewriter.state != TextState.Open) return length;
  // A message that fits is held whole, so that a fault in it can still become an error.
  if (length < STAGED_BYTES) return 0;
  return min(length, heldFrom(rewriter));
}

/** Says that the first `bytes` bytes of the output have gone out. */
export function takeReady(rewriter: Rewriter, bytes: u32): void {
  if (bytes == 0) return;
  rewriter.hasGone = true;
  dropHead(rewriter.out, bytes);
  const depth = liveDepth(rewriter);
  for (let level: u32 = 0; level <= depth; level++) {
    const frame = frameAt(rewriter, level);
    if (frame.at != GONE) frame.at = frame.at < bytes ? GONE : frame.at - bytes;
    if (frame.elementAt != GONE) frame.elementAt = frame.elementAt < bytes ? GONE : frame.elementAt - bytes;
  }
  if (rewriter.holdAt != NO_HOLD) rewriter.holdAt -= bytes;
  shiftElements(rewriter, bytes);
}

// --- Tokens. ---

/** A string that is an element of a list of values is captured too. */
function captureElement(rewriter: Rewriter): void {
  const reader = rewriter.reader;
  if (reader.depth == 0 || liveDepth(rewriter) < reader.depth || isInsideToken(reader)) return;
  if (frameAt(rewriter, reader.depth).place == ServerPlace.Values) captureText(reader, rewriter.text, TEXT_ROOM);
}

function noteToken(rewriter: Rewriter, policy: Policy, token: Token): void {
  switch (token) {
    case Token.ObjectStart:
    case Token.ArrayStart:
      enter(rewriter, policy, token == Token.ObjectStart);
      break;
    case Token.ObjectEnd:
    case Token.ArrayEnd:
      leave(rewriter, policy);
      break;
    case Token.Key:
      noteKey(rewriter);
      break;
    default:
      noteScalar(rewriter, policy, token);
      break;
  }
  if (rewriter.state == TextState.Open) setReport(rewriter);
}

/** Into the container that has just begun. */
function enter(rewriter: Rewriter, policy: Policy, isObject: bool): void {
  const reader = rewriter.reader;
  const depth = reader.depth;
  const parent = frameAt(rewriter, depth - 1);
  const frame = frameAt(rewriter, depth);
  const place = placeOf(rewriter, parent, isObject);
  const isElement = depth > 1 && isRebuilt(parent.place) && rewriter.dropDepth == 0;
  if (depth == 1 && rewriter.isStrict) rewriter.copied = reader.tokenStart; // see endChunk
  if (isElement) {
    beginElement(rewriter, parent, reader.tokenStart);
  } else {
    copyTo(rewriter, reader.tokenStart);
  }
  memory.fill(changetype<usize>(frame), 0, offsetof<Frame>());
  frame.place = place;
  // What stands in front of the root belongs to it.
  frame.at = isElement ? parent.elementAt : depth == 1 ? 0 : rewriter.out.length;
  frame.elementAt = GONE;
  if (place == ServerPlace.Message) {
    rewriter.messageDepth = depth;
    beginMessage(rewriter);
  }
  if (place == ServerPlace.Result)
    frame.isOfCall = rewriter.member == ServerMember.Params || (parent.place == ServerPlace.Result && parent.isOfCall);
  const isReplaced = rewriter.instead != Instead.Nothing;
  noteWrongKind(rewriter, parent);
  if (rewriter.state != TextState.Open) return;
  if (rewriter.dropDepth == 0) {
    if (place == ServerPlace.Dropped) {
      if (parent.place == ServerPlace.ContentsList) {
        deny(rewriter, Reason.ResourceNotListed);
        if (rewriter.dropDepth != 0 || rewriter.state != TextState.Open) return;
      }
      if (isElement) rewriter.removed++;
      if (isElement && !truncate(rewriter, frame.at)) return;
      rewriter.dropDepth = depth;
    } else if (isRebuilt(place)) {
      copyTo(rewriter, reader.tokenEnd);
      frame.at = rewriter.out.length;
      if (isNamed(place)) beginNames(rewriter, policy, place);
    }
    if (isAnnouncement(place)) rewriter.insideDepth = depth;
  }
  if (!isReplaced || place != ServerPlace.Dropped) rewriter.instead = Instead.Nothing;
  rewriter.member = ServerMember.Unknown;
}

/** A container stands where a text was expected, or one of contents. */
function noteWrongKind(rewriter: Rewriter, parent: Frame): void {
  if (rewriter.dropDepth != 0) return;
  switch (rewriter.member) {
    case ServerMember.Instructions:
      rewriter.holdAt = NO_HOLD;
      break;
    case ServerMember.Method:
      parent.hasMethod = true;
      parent.isMethodGood = false;
      if (parent.place == ServerPlace.Message && rewriter.hasResult) discard(rewriter, Reason.ResponseInvalid);
      break;
    case ServerMember.Url:
      if (parent.isOfCall) scopeOf(rewriter).isUrlBad = true;
      break;
    case ServerMember.Uri:
      if (parent.isOfCall) scopeOf(rewriter).isUriBad = true;
      break;
    case ServerMember.ResourceUri:
      if (rewriter.insideDepth != 0) dropElement(rewriter, rewriter.insideDepth);
      break;
    default:
      break;
  }
}

/** What a container is, by where it stands. */
function placeOf(rewriter: Rewriter, parent: Frame, isObject: bool): ServerPlace {
  if (rewriter.dropDepth != 0) return ServerPlace.None;
  if (rewriter.reader.depth == 1) return isObject ? ServerPlace.Message : ServerPlace.Batch;
  // A value that is not copied is left out with all that is in it, unless it is the list that was expected there.
  const place = placeIn(parent.place, rewriter.member, isObject);
  if (place != ServerPlace.None) return place;
  // No client reads lists of lists as messages, but foreign JSON may have them.
  if (parent.place == ServerPlace.Batch && !rewriter.isStrict) return ServerPlace.Batch;
  if (isRebuilt(parent.place)) return ServerPlace.Dropped;
  if (rewriter.instead == Instead.EmptyList || rewriter.instead == Instead.Private) return ServerPlace.Dropped;
  return rewriter.insideDepth != 0 ? ServerPlace.Inside : ServerPlace.None;
}

/** Out of the container that has just ended. */
function leave(rewriter: Rewriter, policy: Policy): void {
  const reader = rewriter.reader;
  const depth = reader.depth + 1;
  const frame = frameAt(rewriter, depth);
  if (rewriter.insideDepth == depth) rewriter.insideDepth = 0;
  if (rewriter.dropDepth != 0) {
    if (rewriter.dropDepth == depth) endDropped(rewriter, frame);
    else if (frame.place == ServerPlace.Message) endMessage(rewriter, policy, frame);
    return;
  }
  if (isRebuilt(frame.place)) {
    if (isNamed(frame.place)) endNames(rewriter, frame);
    // Between the last element and here stand separators only.
    rewriter.copied = reader.tokenStart;
  }
  copyTo(rewriter, reader.tokenEnd);
  switch (frame.place) {
    case ServerPlace.Message:
      endMessage(rewriter, policy, frame);
      return;
    case ServerPlace.Batch:
      if (depth != 1) break;
      // A list without a message is no message.
      if (frame.kept == 0 && (rewriter.isStrict || rewriter.hasDenied) && truncate(rewriter, 0)) rewriter.removed++;
      return;
    case ServerPlace.InputRequest:
      if (frame.isDenied || !isCallAllowed(policy, frame)) dropElement(rewriter, depth);
      break;
    case ServerPlace.Tool:
    case ServerPlace.Prompt:
    case ServerPlace.Resource:
    case ServerPlace.Template:
      if (frame.judged != Judged.Kept || !showText(rewriter, policy, frame)) dropElement(rewriter, depth);
      break;
    case ServerPlace.Task:
      if (!policy.tasksAllowed) dropElement(rewriter, depth);
      break;
    case ServerPlace.Icon:
    case ServerPlace.Elicitation:
      if (frame.judged != Judged.Kept) dropElement(rewriter, depth);
      break;
    case ServerPlace.Contents:
      if (frame.judged != Judged.Kept) deny(rewriter, Reason.ResourceNotListed);
      break;
    case ServerPlace.Block:
      if (frame.isLink && !frame.isLinkGood) replaceBlock(rewriter, depth);
      break;
    default:
      break;
  }
  if (rewriter.state == TextState.Open && rewriter.dropDepth == 0) keepElement(rewriter, frame);
}

/** After a value that stays: if it is an element, so does that. */
function keepElement(rewriter: Rewriter, frame: Frame): void {
  const parent = frameAt(rewriter, rewriter.reader.depth);
  if (!isRebuilt(parent.place) || !parent.isInElement) return;
  parent.isInElement = false;
  parent.kept++;
  if (isNamed(parent.place)) noteName(rewriter, parent, frame.slot);
}

function noteKey(rewriter: Rewriter): void {
  const reader = rewriter.reader;
  const frame = frameAt(rewriter, reader.depth);
  if (frame.place == ServerPlace.InputRequests) {
    beginElement(rewriter, frame, reader.tokenStart);
    return;
  }
  if (rewriter.insideDepth != 0 && hasHidden(reader.keyAt, reader.textBytes)) {
    rewriter.hidden++;
    dropElement(rewriter, rewriter.insideDepth);
    return;
  }
  if (rewriter.dropDepth != 0 && rewriter.discarded == Reason.None) return;
  const member = serverMemberOf(frame.place, reader.keyAt, reader.textBytes);
  if (member == ServerMember.Near) {
    noteNear(rewriter, frame.place);
    return;
  }
  rewriter.member = member;
  rewriter.instead = Instead.Nothing;
  rewriter.isReplacing = false;
  prepare(rewriter, frame, member);
}

/** A name that only nearly is one of ours: some readers would take it for that. */
function noteNear(rewriter: Rewriter, place: ServerPlace): void {
  const reader = rewriter.reader;
  if (place == ServerPlace.Message || place == ServerPlace.Result) {
    const scope = scopeDepth(rewriter);
    if (scope == rewriter.messageDepth) discard(rewriter, Reason.ResponseInvalid);
    else dropElement(rewriter, scope);
    return;
  }
  if (rewriter.insideDepth != 0) {
    dropElement(rewriter, rewriter.insideDepth);
    return;
  }
  // The nearest container that is an element; where there is none, the message.
  for (let depth = reader.depth; depth > rewriter.messageDepth; depth--) {
    const frame = frameAt(rewriter, depth);
    if (frame.place == ServerPlace.Contents) break;
    if (frame.place == ServerPlace.Block) {
      replaceBlock(rewriter, depth);
      return;
    }
    if (isRebuilt(frameAt(rewriter, depth - 1).place)) {
      dropElement(rewriter, depth);
      return;
    }
  }
  discard(rewriter, Reason.ResponseInvalid);
}

/** Has the value of a member captured, or replaced. */
function prepare(rewriter: Rewriter, frame: Frame, member: ServerMember): void {
  const reader = rewriter.reader;
  switch (member) {
    case ServerMember.Id:
      captureRaw(reader, rewriter.idAt, ID_ROOM);
      break;
    case ServerMember.Method:
    case ServerMember.Jsonrpc:
    case ServerMember.Name:
    case ServerMember.Uri:
    case ServerMember.UriTemplate:
    case ServerMember.Src:
    case ServerMember.Url:
    case ServerMember.Type:
    case ServerMember.ResourceUri:
      captureText(reader, rewriter.text, TEXT_ROOM);
      break;
    case ServerMember.TtlMs:
      rewriter.instead = Instead.Ttl;
      captureRaw(reader, rewriter.text, TTL_ROOM);
      break;
    case ServerMember.CacheScope:
      rewriter.instead = Instead.Private;
      break;
    case ServerMember.Tools:
    case ServerMember.Prompts:
    case ServerMember.Resources:
    case ServerMember.Templates:
    case ServerMember.Tasks:
    case ServerMember.Contents:
    case ServerMember.Values:
    case ServerMember.Elicitations:
      rewriter.instead = Instead.EmptyList;
      break;
    case ServerMember.Icons:
    case ServerMember.Messages:
    case ServerMember.InputRequests:
      rewriter.instead = Instead.EmptyList;
      break;
    case ServerMember.Content:
      if (frame.place == ServerPlace.Result) rewriter.instead = Instead.EmptyList;
      break;
    case ServerMember.Instructions:
      // From behind the member's name: what stands between is white space and the colon.
      copyTo(rewriter, reader.tokenEnd);
      rewriter.holdAt = rewriter.out.length;
      break;
    case ServerMember.Result:
    case ServerMember.Error:
      if (frame.place == ServerPlace.Message) noteOutcome(rewriter, frame);
      break;
    case ServerMember.Params:
      if (frame.place == ServerPlace.Message) rewriter.hasParams = true;
      break;
    default:
      break;
  }
}

function noteOutcome(rewriter: Rewriter, frame: Frame): void {
  rewriter.hasResult = true;
  if (frame.hasMethod) discard(rewriter, Reason.ResponseInvalid);
}

/** A string, a number, true, false or null. */
function noteScalar(rewriter: Rewriter, policy: Policy, token: Token): void {
  const reader = rewriter.reader;
  if (reader.depth == 0) {
    noteRootScalar(rewriter);
    return;
  }
  const frame = frameAt(rewriter, reader.depth);
  if (rewriter.dropDepth != 0) {
    // Of a message that becomes an error the id is still wanted.
    if (frame.place == ServerPlace.Message && rewriter.member == ServerMember.Id) noteId(rewriter, token);
    if (frame.place == ServerPlace.Message && rewriter.member == ServerMember.Jsonrpc) noteVersion(rewriter, token);
    rewriter.member = ServerMember.Unknown;
    return;
  }
  if (rewriter.instead != Instead.Nothing) {
    replaceScalar(rewriter, token);
    rewriter.member = ServerMember.Unknown;
    return;
  }
  if (isRebuilt(frame.place)) {
    noteElementScalar(rewriter, policy, frame, token);
    return;
  }
  const member = rewriter.member;
  rewriter.member = ServerMember.Unknown;
  const isText = token == Token.String;
  switch (member) {
    case ServerMember.Id:
      noteId(rewriter, token);
      break;
    case ServerMember.Jsonrpc:
      noteVersion(rewriter, token);
      break;
    case ServerMember.Method:
      noteMethod(rewriter, policy, frame, token);
      break;
    case ServerMember.Name:
      noteElementName(rewriter, policy, frame, isText);
      break;
    case ServerMember.Uri:
      noteUri(rewriter, policy, frame, isText);
      break;
    case ServerMember.UriTemplate:
      noteAnnounced(rewriter, frame, isText && judgeTemplate(policy, rewriter.text, reader.textBytes) == Reason.None);
      break;
    case ServerMember.Src:
      if (isText && judgeIcon(policy, rewriter.text, reader.textBytes) == Reason.None) frame.judged = Judged.Kept;
      break;
    case ServerMember.Url:
      noteUrl(rewriter, frame, isText && judgeLink(policy, rewriter.text, reader.textBytes) == Reason.None);
      break;
    case ServerMember.Type:
      noteType(frame, isText && equalsLiteral(rewriter.text, reader.textBytes, "resource_link"));
      break;
    case ServerMember.ResourceUri:
      if (!isText || judgeLink(policy, rewriter.text, reader.textBytes) != Reason.None)
        dropElement(rewriter, rewriter.insideDepth);
      break;
    case ServerMember.Instructions:
      noteInstructions(rewriter, policy);
      break;
    default:
      break;
  }
}

/** The whole text is a string, a number or a word: no message. */
function noteRootScalar(rewriter: Rewriter): void {
  if (rewriter.isStrict) rewriter.removed++;
  else copyTo(rewriter, rewriter.reader.tokenEnd);
}

/** An element that is no object: strings stay in a list of values, and nothing anywhere else. */
function noteElementScalar(rewriter: Rewriter, policy: Policy, list: Frame, token: Token): void {
  const reader = rewriter.reader;
  if (!list.isInElement) beginElement(rewriter, list, reader.tokenStart);
  copyTo(rewriter, reader.tokenEnd);
  if (list.place == ServerPlace.ContentsList) {
    deny(rewriter, Reason.ResourceNotListed);
    if (rewriter.dropDepth != 0 || rewriter.state != TextState.Open) return;
  }
  let stays = false;
  if (list.place == ServerPlace.Values) {
    stays = token == Token.String;
    if (stays && !rewriter.completesPrompt) stays = judgeValue(policy, rewriter.text, reader.textBytes) == Reason.None;
  } else if (list.place == ServerPlace.Batch) {
    stays = !rewriter.isStrict;
  }
  if (stays) {
    list.isInElement = false;
    list.kept++;
  } else if (!truncate(rewriter, list.elementAt)) {
    return;
  } else {
    list.isInElement = false;
    rewriter.removed++;
  }
}

function noteVersion(rewriter: Rewriter, token: Token): void {
  const bytes = rewriter.reader.textBytes;
  rewriter.isJsonrpcGood = token == Token.String && equalsLiteral(rewriter.text, bytes, "2.0");
}

function noteId(rewriter: Rewriter, token: Token): void {
  const bytes = rewriter.reader.rawBytes;
  const isId = token == Token.String || token == Token.Number;
  rewriter.idBytes = isId && bytes <= ID_ROOM ? bytes : 0;
}

function noteMethod(rewriter: Rewriter, policy: Policy, frame: Frame, token: Token): void {
  const bytes = rewriter.reader.textBytes;
  frame.hasMethod = true;
  frame.isMethodGood = token == Token.String && bytes <= METHOD_BYTES_MAX;
  if (frame.isMethodGood) {
    const methods = policy.methods;
    frame.call = serverCallOf(rewriter.text, bytes);
    frame.isMethodListed = methods !== null && hasName(methods, rewriter.text, bytes);
  }
  if (frame.place == ServerPlace.Message && rewriter.hasResult) discard(rewriter, Reason.ResponseInvalid);
}

/** The name of a tool or a prompt. */
function noteElementName(rewriter: Rewriter, policy: Policy, frame: Frame, isText: bool): void {
  const bytes = rewriter.reader.textBytes;
  const set = namesOf(policy, frame.place == ServerPlace.Tool ? ServerPlace.Tools : ServerPlace.Prompts);
  if (set !== null && isText && bytes <= NAME_BYTES_MAX) {
    frame.slot = slotOf(set, rewriter.text, bytes);
    if (frame.slot < set.slotCount) {
      frame.judged = Judged.Kept;
      if (hasHidden(rewriter.text, bytes)) keepName(rewriter, frame);
      return;
    }
  }
  dropElement(rewriter, rewriter.reader.depth);
}

/** A listed name shows whatever characters it has: where it stands, counted from the beginning of its element. */
function keepName(rewriter: Rewriter, frame: Frame): void {
  const reader = rewriter.reader;
  copyTo(rewriter, reader.tokenEnd);
  frame.nameEnd = rewriter.out.length - frame.at;
  frame.nameStart = frame.nameEnd - (reader.tokenEnd - reader.tokenStart);
}

function namesOf(policy: Policy, list: ServerPlace): NameSet | null {
  return list == ServerPlace.Tools ? policy.tools : policy.prompts;
}

function noteUri(rewriter: Rewriter, policy: Policy, frame: Frame, isText: bool): void {
  const at = rewriter.text;
  const bytes = rewriter.reader.textBytes;
  switch (frame.place) {
    case ServerPlace.Resource:
      noteAnnounced(rewriter, frame, isText && judgeResource(policy, at, bytes) == Reason.None);
      break;
    case ServerPlace.Contents: {
      const reason = isText ? judgeResource(policy, at, bytes) : Reason.ResourceNotListed;
      if (reason == Reason.None) frame.judged = Judged.Kept;
      else deny(rewriter, reason);
      break;
    }
    case ServerPlace.Block:
      frame.isLinkGood = isText && judgeLink(policy, at, bytes) == Reason.None;
      settleLink(frame);
      break;
    case ServerPlace.Result:
      if (!frame.isOfCall || (isText && judgeResource(policy, at, bytes) == Reason.None)) break;
      scopeOf(rewriter).isUriBad = true;
      break;
    default:
      break;
  }
}

/** A resource or a template: no text may hide in what it is called by. */
function noteAnnounced(rewriter: Rewriter, frame: Frame, isGood: bool): void {
  if (isGood && !hasHidden(rewriter.text, rewriter.reader.textBytes)) frame.judged = Judged.Kept;
  else dropElement(rewriter, rewriter.reader.depth);
}

function noteUrl(rewriter: Rewriter, frame: Frame, isGood: bool): void {
  if (frame.place == ServerPlace.Elicitation) {
    if (isGood) frame.judged = Judged.Kept;
  } else if (frame.isOfCall && !isGood) {
    scopeOf(rewriter).isUrlBad = true;
  }
}

function noteType(frame: Frame, isLink: bool): void {
  frame.hasType = true;
  frame.isLink = isLink;
  settleLink(frame);
}

/** Once it is known that a block is no link, or a good one, its megabytes need not be held. */
function settleLink(frame: Frame): void {
  if (frame.hasType && (!frame.isLink || frame.isLinkGood)) frame.judged = Judged.Kept;
}

function noteInstructions(rewriter: Rewriter, policy: Policy): void {
  copyTo(rewriter, rewriter.reader.tokenEnd);
  const at = rewriter.holdAt;
  rewriter.holdAt = NO_HOLD;
  if (policy.hiddenText == HiddenText.Allow) return;
  const out = rewriter.out;
  const length = stripHidden(out.at + at, out.length - at, policy.hiddenText == HiddenText.Strip);
  if (hiddenFound == 0) return;
  rewriter.hidden += hiddenFound;
  out.length = at + length;
  if (policy.hiddenText != HiddenText.Drop) return;
  out.length = at;
  appendLiteral(out, ':""');
}

/** The message or the input request that the walk is in. */
function scopeOf(rewriter: Rewriter): Frame {
  return frameAt(rewriter, scopeDepth(rewriter));
}

function scopeDepth(rewriter: Rewriter): u32 {
  let depth = rewriter.reader.depth;
  while (depth > rewriter.messageDepth && frameAt(rewriter, depth).place != ServerPlace.InputRequest) depth--;
  return depth;
}

// --- Values that are replaced. ---

function replaceScalar(rewriter: Rewriter, token: Token): void {
  const reader = rewriter.reader;
  const instead = rewriter.instead;
  rewriter.instead = Instead.Nothing;
  if (instead == Instead.Ttl && token == Token.Number && isSmallEnough(rewriter)) {
    // What a chunk has cut off of it was left out already, and is here.
    if (!rewriter.isReplacing) {
      copyTo(rewriter, reader.tokenEnd);
      return;
    }
    rewriter.copied = reader.tokenEnd;
    appendBytes(rewriter.out, rewriter.text, min(reader.rawBytes, TTL_ROOM));
    return;
  }
  if (!rewriter.isReplacing) copyTo(rewriter, reader.tokenStart);
  rewriter.copied = reader.tokenEnd;
  appendInstead(rewriter, instead);
}

function appendInstead(rewriter: Rewriter, instead: Instead): void {
  switch (instead) {
    case Instead.Private:
      appendLiteral(rewriter.out, '"private"');
      break;
    case Instead.Ttl:
      appendLiteral(rewriter.out, "60000");
      break;
    default:
      appendLiteral(rewriter.out, "[]");
      break;
  }
}

/** Whether the number that was captured is at most TTL_MS_MAX. A longer one than fits is not read. */
function isSmallEnough(rewriter: Rewriter): bool {
  const bytes = rewriter.reader.rawBytes;
  if (bytes > TTL_ROOM) return false;
  let value: f64 = 0;
  let scale: i32 = 0;
  let exponent: i32 = 0;
  let isFraction = false;
  let isExponent = false;
  let isNegative = false;
  for (let i: u32 = 0; i < bytes; i++) {
    // SAFETY: i < bytes <= TTL_ROOM, which fits the text.
    const byte = u32(load<u8>(rewriter.text + i));
    const digit = byte - 0x30;
    if (byte == 0x2e) isFraction = true;
    else if (byte == 0x65 || byte == 0x45) isExponent = true;
    else if (byte == 0x2d && isExponent) isNegative = true;
    else if (byte == 0x2d) return true;
    else if (digit > 9) continue;
    else if (isExponent) exponent = min(exponent * 10 + i32(digit), 400);
    else {
      value = value * 10 + f64(digit);
      if (isFraction) scale--;
    }
  }
  scale += isNegative ? -exponent : exponent;
  for (; scale > 0 && value != 0 && value <= TTL_MS_MAX; scale--) value *= 10;
  for (; scale < 0 && value > TTL_MS_MAX; scale++) value /= 10;
  return value <= TTL_MS_MAX;
}

// --- Elements. ---

/** An element begins at `offset` of the text; the separators in front of it are left out. */
function beginElement(rewriter: Rewriter, list: Frame, offset: u32): void {
  if (list.isInElement) {
    copyTo(rewriter, offset);
    return;
  }
  rewriter.copied = offset;
  list.isInElement = true;
  list.elementAt = rewriter.out.length;
  if (list.kept != 0) appendByte(rewriter.out, 0x2c);
}

/** Leaves out the element whose container has depth `depth`; its rest is not copied. */
function dropElement(rewriter: Rewriter, depth: u32): void {
  const frame = frameAt(rewriter, depth);
  if (!truncate(rewriter, frame.at)) return;
  rewriter.removed++;
  startDropping(rewriter, frame, depth);
}

/** Leaves out a content block, and says so to whoever reads the result. */
function replaceBlock(rewriter: Rewriter, depth: u32): void {
  const frame = frameAt(rewriter, depth);
  if (!truncate(rewriter, frame.at)) return;
  rewriter.removed++;
  frame.isReplaced = true;
  startDropping(rewriter, frame, depth);
}

function startDropping(rewriter: Rewriter, frame: Frame, depth: u32): void {
  frame.place = ServerPlace.Dropped;
  if (rewriter.insideDepth >= depth) rewriter.insideDepth = 0;
  rewriter.instead = Instead.Nothing;
  if (rewriter.reader.depth < depth) {
    // It has just ended.
    endDropped(rewriter, frame);
  } else {
    rewriter.dropDepth = depth;
  }
}

/** The container that was left out has ended. */
function endDropped(rewriter: Rewriter, frame: Frame): void {
  const reader = rewriter.reader;
  rewriter.dropDepth = 0;
  rewriter.copied = reader.tokenEnd;
  const parent = frameAt(rewriter, reader.depth);
  const isElement = isRebuilt(parent.place);
  if (frame.isReplaced) {
    if (isElement && parent.kept != 0) appendByte(rewriter.out, 0x2c);
    appendLiteral(rewriter.out, '{"type":"text","text":"[removed by policy: uri_not_allowed]"}');
    if (isElement) parent.kept++;
  } else if (rewriter.instead != Instead.Nothing) {
    appendInstead(rewriter, rewriter.instead);
    rewriter.instead = Instead.Nothing;
  }
  parent.isInElement = false;
}

/** Shows what hides in an announcement that stays. False when it does not stay. */
function showText(rewriter: Rewriter, policy: Policy, frame: Frame): bool {
  if (policy.hiddenText == HiddenText.Allow || frame.at == GONE) return true;
  const take = policy.hiddenText == HiddenText.Strip;
  // Behind the name first, so that what stands in front of it keeps its place.
  let found = stripRange(rewriter, frame.at + frame.nameEnd, rewriter.out.length, take);
  if (frame.nameEnd != 0) found += stripRange(rewriter, frame.at, frame.at + frame.nameStart, take);
  rewriter.hidden += found;
  return found == 0 || take;
}

/** Takes hidden characters out of a range of the output, or only counts them; gives how many there were. */
function stripRange(rewriter: Rewriter, from: u32, to: u32, take: bool): u32 {
  const out = rewriter.out;
  const length = stripHidden(out.at + from, to - from, take);
  const gap = to - from - length;
  if (gap != 0) {
    memory.copy(out.at + from + length, out.at + to, out.length - to);
    out.length -= gap;
  }
  return hiddenFound;
}

// --- Lists with names. ---

const RECORD_BYTES: u32 = 12;

function beginNames(rewriter: Rewriter, policy: Policy, place: ServerPlace): void {
  emptyBuffer(rewriter.elements);
  emptyBuffer(rewriter.seen);
  const set = namesOf(policy, place);
  if (set === null) return;
  appendZeros(rewriter.seen, set.slotCount);
}

/** Notes an element that stays, and whether its name has been there before. */
function noteName(rewriter: Rewriter, list: Frame, slot: u32): void {
  const seen = rewriter.seen;
  // SAFETY: a kept element has a slot of the set that sized `seen`.
  const times = u32(load<u8>(seen.at + slot));
  store<u8>(seen.at + slot, min(times + 1, 2));
  if (list.isFlowing) {
    // The first of the two is out.
    if (times != 0) fail(rewriter, Reason.ResponseInvalid);
    return;
  }
  appendWord(rewriter.elements, list.elementAt);
  appendWord(rewriter.elements, rewriter.out.length);
  appendWord(rewriter.elements, slot);
}

function appendWord(buffer: Buffer, value: u32): void {
  for (let shift: u32 = 0; shift < 32; shift += 8) appendByte(buffer, (value >> shift) & 0xff);
}

/** Takes out every element whose name stands in the list more than once. */
function endNames(rewriter: Rewriter, list: Frame): void {
  if (list.isFlowing) return;
  const out = rewriter.out;
  const elements = rewriter.elements;
  let to = list.at;
  let kept: u32 = 0;
  for (let at: u32 = 0; at < elements.length; at += RECORD_BYTES) {
    // SAFETY: `elements` consists of whole records; each range lies in the output, in order.
    const record = elements.at + at;
    let from = load<u32>(record);
    const until = load<u32>(record, 4);
    if (u32(load<u8>(rewriter.seen.at + load<u32>(record, 8))) > 1) {
      rewriter.removed++;
      continue;
    }
    // The first that stays has no separator in front of it.
    if (kept == 0 && u32(load<u8>(out.at + from)) == 0x2c) from++;
    memory.copy(out.at + to, out.at + from, until - from);
    to += until - from;
    kept++;
  }
  out.length = to;
  list.kept = kept;
  emptyBuffer(elements);
}

function shiftElements(rewriter: Rewriter, bytes: u32): void {
  const elements = rewriter.elements;
  for (let at: u32 = 0; at < elements.length; at += RECORD_BYTES) {
    const record = elements.at + at;
    // SAFETY: whole records, and what goes out lies in front of the list that they are of.
    store<u32>(record, load<u32>(record) - bytes);
    store<u32>(record, load<u32>(record, 4) - bytes, 4);
  }
}

// --- Messages. ---

function beginMessage(rewriter: Rewriter): void {
  rewriter.idBytes = 0;
  rewriter.hasResult = false;
  rewriter.hasParams = false;
  rewriter.isJsonrpcGood = false;
  rewriter.discarded = Reason.None;
}

/** Something in the message may not pass: of an answer the whole becomes an error, a call or an input request goes. */
function deny(rewriter: Rewriter, reason: Reason): void {
  const scope = scopeOf(rewriter);
  if (scope.place == ServerPlace.InputRequest || !rewriter.hasResult) {
    scope.isDenied = true;
    return;
  }
  discard(rewriter, reason);
}

/** The message becomes an error when it ends; until then only its id is wanted. */
function discard(rewriter: Rewriter, reason: Reason): void {
  const depth = rewriter.messageDepth;
  const frame = frameAt(rewriter, depth);
  if (depth != 1 && isFault(reason)) {
    // Nothing follows a fault, so the list cannot be finished.
    fail(rewriter, reason);
    return;
  }
  if (!truncate(rewriter, frame.at, reason)) return;
  rewriter.discarded = reason;
  rewriter.insideDepth = 0;
  rewriter.holdAt = NO_HOLD;
  rewriter.instead = Instead.Nothing;
  rewriter.removed++;
  // Everything inside is left out; the message itself is still looked at, for its id.
  for (let level = depth + 1; level <= liveDepth(rewriter); level++) frameAt(rewriter, level).place = ServerPlace.None;
  rewriter.dropDepth = DISCARDING;
}

/** `dropDepth` of a message that becomes an error: no container has it. */
const DISCARDING: u32 = DEPTH_MAX + 2;

function endMessage(rewriter: Rewriter, policy: Policy, frame: Frame): void {
  const reader = rewriter.reader;
  if (rewriter.discarded != Reason.None) {
    rewriter.dropDepth = 0;
    rewriter.copied = reader.tokenEnd;
    // Without a version it is no message of an event stream, whatever is in it.
    if (rewriter.isStrict && !rewriter.isJsonrpcGood) dropMessage(rewriter, frame);
    else replaceMessage(rewriter, rewriter.discarded);
    return;
  }
  if (frame.hasMethod) {
    if (frame.isDenied || (rewriter.isStrict && !rewriter.isJsonrpcGood) || !isCallAllowed(policy, frame)) {
      dropMessage(rewriter, frame);
      return;
    }
  } else if (rewriter.isStrict && !(rewriter.hasResult && rewriter.isJsonrpcGood)) {
    dropMessage(rewriter, frame);
    return;
  } else if (frame.isDenied) {
    // It never became a call, and what it has may not be shown.
    if (!truncate(rewriter, frame.at)) return;
    replaceMessage(rewriter, Reason.ResourceNotListed);
    return;
  }
  keepElement(rewriter, frame);
}

/** Leaves the message out. */
function dropMessage(rewriter: Rewriter, frame: Frame): void {
  if (!truncate(rewriter, frame.at)) return;
  rewriter.removed++;
  rewriter.hasDenied = true;
  if (rewriter.messageDepth != 1) frameAt(rewriter, rewriter.messageDepth - 1).isInElement = false;
}

/** Puts an error where the message was. Of an event that is no message nothing is left. */
function replaceMessage(rewriter: Rewriter, reason: Reason): void {
  const isLeftOut = rewriter.isStrict && isFault(reason);
  if (frameAt(rewriter, rewriter.messageDepth).hasMethod) rewriter.idBytes = 0; // the id of a call is the server's own
  if (rewriter.messageDepth == 1) {
    if (!isLeftOut) appendError(rewriter, reason);
    if (isFault(reason)) {
      rewriter.failure = reason;
      rewriter.state = TextState.Failed;
    }
    return;
  }
  const batch = frameAt(rewriter, rewriter.messageDepth - 1);
  batch.isInElement = false;
  if (isLeftOut) return;
  if (batch.kept != 0) appendByte(rewriter.out, 0x2c);
  batch.kept++;
  appendError(rewriter, reason);
}

/** Whether a reason is about the form of a message and not about the policy. */
function isFault(reason: Reason): bool {
  return reason == Reason.ResponseInvalid || reason == Reason.ResponseTooLarge;
}

function appendError(rewriter: Rewriter, reason: Reason): void {
  writeError(rewriter.out, reason, rewriter.idAt, rewriter.idBytes);
}

/** Appends a JSON-RPC error with the id of `idBytes` bytes at `idAt`, or without one. */
export function writeError(out: Buffer, reason: Reason, idAt: usize, idBytes: u32): void {
  const info = infoOf(reason);
  appendLiteral(out, '{"jsonrpc":"2.0"');
  if (idBytes != 0) {
    appendLiteral(out, ',"id":');
    appendBytes(out, idAt, idBytes);
  }
  appendLiteral(out, ',"error":{"code":-');
  appendNumber(out, u32(-info.code));
  appendLiteral(out, ',"message":"');
  appendLiteral(out, info.text);
  appendLiteral(out, '","data":{"reason":"');
  appendLiteral(out, info.name);
  appendLiteral(out, '"}}}');
}

function appendNumber(out: Buffer, value: u32): void {
  let divisor: u32 = 1;
  while (value / divisor >= 10) divisor *= 10;
  for (; divisor > 0; divisor /= 10) appendByte(out, 0x30 + ((value / divisor) % 10));
}

/** Whether a call of the server, or an input request, may pass. */
function isCallAllowed(policy: Policy, frame: Frame): bool {
  if (!frame.hasMethod || !frame.isMethodGood) return false;
  switch (frame.call) {
    case ServerCall.Open:
      return true;
    case ServerCall.Sampling:
      return policy.samplingAllowed;
    case ServerCall.Elicitation:
      return policy.elicitationAllowed && !frame.isUrlBad;
    case ServerCall.Roots:
      return policy.rootsAllowed;
    case ServerCall.Task:
      return policy.tasksAllowed;
    case ServerCall.ResourceUpdated:
      return !frame.isUriBad;
    default:
      return frame.isMethodListed;
  }
}

// --- Copying, holding, failing. ---

function frameAt(rewriter: Rewriter, depth: u32): Frame {
  return changetype<Frame>(rewriter.frames + usize(depth) * offsetof<Frame>());
}

/** How deep the frames are those of open containers: of what is not looked into the reader tells the outermost alone. */
function liveDepth(rewriter: Rewriter): u32 {
  const reader = rewriter.reader;
  return reader.reportDepth < reader.depth ? reader.reportDepth + 1 : reader.depth;
}

/** The reader reports what stands in containers that are looked into, and of the others that they begin and end. */
function setReport(rewriter: Rewriter): void {
  const reader = rewriter.reader;
  const depth = reader.depth;
  if (rewriter.dropDepth != 0) {
    reader.reportDepth = rewriter.dropDepth == DISCARDING ? rewriter.messageDepth : rewriter.dropDepth - 1;
  } else if (rewriter.insideDepth != 0 || depth == 0) {
    reader.reportDepth = u32.MAX_VALUE;
  } else {
    reader.reportDepth = frameAt(rewriter, depth).place == ServerPlace.None ? depth - 1 : depth;
  }
}

/** Copies the text up to `offset`, unless it is being left out. */
function copyTo(rewriter: Rewriter, offset: u32): void {
  const reader = rewriter.reader;
  if (offset <= rewriter.copied) return;
  if (rewriter.dropDepth == 0) {
    const from = max(rewriter.copied, reader.chunkOffset);
    appendBytes(rewriter.out, reader.chunk + (from - reader.chunkOffset), offset - from);
  }
  rewriter.copied = offset;
}

/** The chunk is used up: what is left of it is copied or left out. */
function endChunk(rewriter: Rewriter, bytes: u32): void {
  const reader = rewriter.reader;
  const end = reader.chunkOffset + bytes;
  if (rewriter.isStrict && reader.depth == 0) {
    // White space, or a root that is no message, however long it is: nothing of it goes out.
    rewriter.copied = end;
    return;
  }
  if (rewriter.dropDepth == 0 && reader.depth != 0 && liveDepth(rewriter) == reader.depth) {
    const frame = frameAt(rewriter, reader.depth);
    if (isRebuilt(frame.place) && !frame.isInElement) {
      // Separators, what is no object in an event's list of messages, or the first part of an element.
      if (!isInsideToken(reader) || (frame.place == ServerPlace.Batch && rewriter.isStrict)) {
        rewriter.copied = end;
        return;
      }
      beginElement(rewriter, frame, reader.tokenStart);
    } else if (rewriter.instead != Instead.Nothing && isInsideToken(reader)) {
      if (!rewriter.isReplacing) copyTo(rewriter, reader.tokenStart);
      rewriter.isReplacing = true;
      rewriter.copied = end;
      return;
    }
  }
  copyTo(rewriter, end);
}

/** Where in the output the first container begins that is not decided. */
function heldFrom(rewriter: Rewriter): u32 {
  const depth = liveDepth(rewriter);
  for (let level: u32 = 1; level <= depth; level++) {
    const frame = frameAt(rewriter, level);
    if (frame.at != GONE && isHeld(rewriter, frame)) return min(frame.at, rewriter.holdAt);
    // What is no object in a list of messages stays without being judged.
    const isJudged = isRebuilt(frame.place) && frame.place != ServerPlace.Batch;
    if (isJudged && frame.isInElement && level == depth && frame.elementAt != GONE) {
      return min(frame.elementAt, rewriter.holdAt);
    }
  }
  return rewriter.holdAt;
}

function isHeld(rewriter: Rewriter, frame: Frame): bool {
  switch (frame.place) {
    case ServerPlace.Message:
      // A call is decided when it ends. What is neither call nor answer yet may become a call.
      return !rewriter.hasResult && (frame.hasMethod || rewriter.hasParams || rewriter.isStrict);
    case ServerPlace.Tools:
    case ServerPlace.Prompts:
      return !frame.isFlowing;
    case ServerPlace.Tool:
    case ServerPlace.Prompt:
    case ServerPlace.Resource:
    case ServerPlace.Template:
    case ServerPlace.Task:
    case ServerPlace.Icon:
    case ServerPlace.Elicitation:
    case ServerPlace.InputRequest:
      return true;
    case ServerPlace.Contents:
    case ServerPlace.Block:
      return frame.judged != Judged.Kept;
    default:
      return false;
  }
}

/** Keeps what is held below `limits.list_bytes`. */
function boundHeld(rewriter: Rewriter, policy: Policy): void {
  if (rewriter.out.length <= policy.listBytesMax) return;
  const from = heldFrom(rewriter);
  if (from == NO_HOLD || rewriter.out.length - from <= policy.listBytesMax) return;
  const depth = liveDepth(rewriter);
  for (let level: u32 = 1; level <= depth; level++) {
    const frame = frameAt(rewriter, level);
    if (isHeld(rewriter, frame) && !isNamed(frame.place)) break;
    if (isNamed(frame.place) && !frame.isFlowing) {
      startFlowing(rewriter, frame);
      boundHeld(rewriter, policy);
      return;
    }
  }
  discard(rewriter, Reason.ResponseTooLarge);
}

/** The list is too large to be held: what stays of it so far goes out. */
function startFlowing(rewriter: Rewriter, list: Frame): void {
  const out = rewriter.out;
  const isInElement = list.isInElement;
  const elementAt = list.elementAt;
  const tail = isInElement ? out.length - elementAt : 0;
  const hadSeparator = tail != 0 && list.kept != 0;
  const end = out.length;
  endNames(rewriter, list);
  // The element at hand moves up behind them.
  let from = end - tail;
  if (hadSeparator && list.kept == 0) from++;
  const moved = end - from;
  memory.copy(out.at + out.length, out.at + from, moved);
  const at = out.length;
  out.length += moved;
  if (isInElement) {
    list.elementAt = at;
    const shift = from - at;
    for (let level: u32 = 2; level <= liveDepth(rewriter); level++) {
      const frame = frameAt(rewriter, level);
      if (frame === list || frame.at == GONE || frame.at < elementAt) continue;
      frame.at = frame.at == elementAt ? at : frame.at - shift;
      if (frame.elementAt != GONE && frame.elementAt >= elementAt) frame.elementAt -= shift;
    }
  }
  list.isFlowing = true;
  list.at = GONE;
}

/** Takes the output back to `at`. False, and the text is cut, when that has gone out. */
function truncate(rewriter: Rewriter, at: u32, reason: Reason = Reason.ResponseInvalid): bool {
  if (at == GONE) {
    rewriter.state = TextState.Cut;
    rewriter.failure = reason;
    return false;
  }
  rewriter.out.length = at;
  return true;
}

/** The text is not acceptable, and nothing that follows can change that. */
function fail(rewriter: Rewriter, reason: Reason): void {
  rewriter.failure = reason;
  if (rewriter.hasGone) {
    rewriter.state = TextState.Cut;
    return;
  }
  emptyBuffer(rewriter.out);
  rewriter.removed++;
  rewriter.state = TextState.Failed;
  if (rewriter.isStrict) return;
  if (rewriter.messageDepth != 1) rewriter.idBytes = 0;
  appendError(rewriter, reason);
}
