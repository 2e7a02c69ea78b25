// What is held and what may go out.

import { STAGED_BYTES } from "../limits";
import { isNamed, isRebuilt, ServerPlace } from "../mcp/server-place";
import { Buffer, dropHead, moveHead, ownBytes } from "../memory/buffer";
import { Policy } from "../policy/policy";
import { Reason } from "../policy/reason";
import { Frame, GONE, Judged } from "./frame";
import { discard } from "./message";
import { endNames, shiftElements } from "./named-list";
import { frameAt, liveDepth, NO_HOLD, Rewriter, TextState } from "./rewriter";

/** How many bytes of the output may go out now. */
export function readyBytes(rewriter: Rewriter): u32 {
  const length = rewriter.out.length;
  if (rewriter.state != TextState.Open) return length;
  // A message that fits is held whole, so that a fault in it can still become an error.
  // A message that fits is held whole, so that a fault in it can still become an error.
  if (!rewriter.hasGone && length < STAGED_BYTES) return 0;
  return min(length, heldFrom(rewriter));
}

/** Whether all of the output may go out in front of the `more` bytes that follow: nothing in it is undecided, and together they are too much to be held. */
export function canLead(rewriter: Rewriter, more: u32): bool {
  const length = rewriter.out.length;
  return length != 0 && length + more >= STAGED_BYTES && heldFrom(rewriter) >= length;
}

/** Says that the first `bytes` bytes of the output have gone out. */
export function takeReady(rewriter: Rewriter, bytes: u32): void {
  if (bytes == 0) return;
  dropHead(rewriter.out, bytes);
  shiftOffsets(rewriter, bytes);
}

/** Moves the first `bytes` bytes of the output to the end of `to`: they go out from there. */
export function moveReady(rewriter: Rewriter, bytes: u32, to: Buffer): void {
  if (bytes == 0) return;
  moveHead(to, rewriter.out, bytes);
  shiftOffsets(rewriter, bytes);
}

/** The first `bytes` bytes of the output have gone out: what began among them is gone, the rest has moved up. */
function shiftOffsets(rewriter: Rewriter, bytes: u32): void {
  rewriter.hasGone = true;
  const depth = liveDepth(rewriter);
  for (let level: u32 = 0; level <= depth; level++) {
    const frame = frameAt(rewriter, level);
    if (frame.at != GONE) frame.at = frame.at < bytes ? GONE : frame.at - bytes;
    if (frame.elementAt != GONE) frame.elementAt = frame.elementAt < bytes ? GONE : frame.elementAt - bytes;
  }
  if (rewriter.holdAt != NO_HOLD) rewriter.holdAt -= bytes;
  shiftElements(rewriter, bytes);
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
export function boundHeld(rewriter: Rewriter, policy: Policy): void {
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
  ownBytes(out);
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
