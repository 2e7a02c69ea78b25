// The walk: JSON texts of a server in, cut anywhere; what a client may see of them out (docs/responses.md). It drives the JSON
// reader, copies the bytes as they came, and leaves out what the policy does not list. What is not decided yet is held; all
// else goes out, so memory is bounded by what is held, not by the text.

import { JsonError } from "../json/error";
import { finish, isInsideToken, next, openChunk, Token } from "../json/reader";
import { ServerMember } from "../mcp/server-member";
import { isAnnouncement, isListing, isNamed, isRebuilt, ServerPlace } from "../mcp/server-place";
import { placeIn } from "../mcp/server-shape";
import { Policy } from "../policy/policy";
import { Reason } from "../policy/reason";
import { beginElement, dropElement, endDropped, keepElement, replaceBlock } from "./element";
import { Frame, GONE, Judged } from "./frame";
import { showText } from "./hidden-text";
import { boundHeld } from "./hold";
import { noteKey } from "./member";
import { deny, discard, endMessage, isCallAllowed, scopeOf } from "./message";
import { beginNames, endNames } from "./named-list";
import {
  beginMessage,
  copyTo,
  fail,
  frameAt,
  Instead,
  liveDepth,
  NO_HOLD,
  Rewriter,
  setReport,
  TextState,
  truncate,
} from "./rewriter";
import { captureElement, noteScalar } from "./scalar";

/**
 * Reads the next `bytes` bytes of the text at `address`; gives how many it took, all of them unless the root value has ended
 * before. What may go out then is `readyBytes`.
 */
export function rewrite(rewriter: Rewriter, policy: Policy, address: usize, bytes: u32): u32 {
  if (rewriter.state != TextState.Open) return bytes;
  if (rewriter.awaitsEnd) return endScalar(rewriter, address, bytes, 0);
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
    if (reader.depth == 0) {
      const read = u32(reader.cursor - address);
      if (token != Token.ObjectEnd && token != Token.ArrayEnd && token != Token.String)
        return endScalar(rewriter, address, bytes, read);
      rewriter.state = TextState.Complete;
      return read;
    }
  }
}

/**
 * The root was a number or a word and has ended at `read`, perhaps with the chunk: what follows must not be able to belong to
 * it. Gives how many bytes have been taken.
 */
function endScalar(rewriter: Rewriter, address: usize, bytes: u32, read: u32): u32 {
  rewriter.awaitsEnd = read == bytes;
  if (rewriter.awaitsEnd) return bytes;
  // SAFETY: read < bytes, the caller's range.
  if (isDelimiter(u32(load<u8>(address + read)))) {
    rewriter.state = TextState.Complete;
    return read;
  }
  fail(rewriter, Reason.ResponseInvalid);
  return bytes;
}

/** White space, or what begins or ends a string, an object or an array. */
function isDelimiter(byte: u32): bool {
  if (byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 || byte == 0x22) return true;
  return byte == 0x7b || byte == 0x7d || byte == 0x5b || byte == 0x5d;
}

/** Says that the text has ended. */
export function endText(rewriter: Rewriter): void {
  if (rewriter.state != TextState.Open) return;
  if (finish(rewriter.reader) != JsonError.None) {
    fail(rewriter, Reason.ResponseInvalid);
    return;
  }
  // A number at the root ends with the text, and no token has told; of a body all of it has been copied.
  if (rewriter.isStrict && !rewriter.awaitsEnd) rewriter.removed++;
  rewriter.state = TextState.Complete;
}

/** Says that something but white space follows a text that was complete: it was not one text. */
export function spoilText(rewriter: Rewriter): void {
  fail(rewriter, Reason.ResponseInvalid);
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
  frame.at = isElement ? parent.elementAt : rewriter.out.length;
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
    if (isAnnouncement(place)) rewriter.announcedDepth = depth;
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
      if (rewriter.announcedDepth != 0) dropElement(rewriter, rewriter.announcedDepth);
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
  return ServerPlace.None;
}

/** Out of the container that has just ended. */
function leave(rewriter: Rewriter, policy: Policy): void {
  const reader = rewriter.reader;
  const depth = reader.depth + 1;
  const frame = frameAt(rewriter, depth);
  if (rewriter.announcedDepth == depth) rewriter.announcedDepth = 0;
  if (rewriter.dropDepth != 0) {
    if (rewriter.dropDepth == depth) endDropped(rewriter, frame);
    else if (frame.place == ServerPlace.Message) endMessage(rewriter, policy, frame);
    return;
  }
  if (isRebuilt(frame.place)) {
    if (isNamed(frame.place)) endNames(rewriter, frame);
    if (isListing(frame.place)) rewriter.listed += frame.kept;
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
