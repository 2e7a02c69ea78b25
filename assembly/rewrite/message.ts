// The message as a whole: it passes, is left out, or becomes an error.

import { ServerCall } from "../mcp/server-call";
import { ServerPlace } from "../mcp/server-place";
import { appendByte } from "../memory/buffer";
import { Policy } from "../policy/policy";
import { Reason } from "../policy/reason";
import { keepElement } from "./element";
import { Frame } from "./frame";
import {
  appendError,
  DISCARDING,
  fail,
  frameAt,
  Instead,
  liveDepth,
  NO_HOLD,
  Rewriter,
  TextState,
  truncate,
} from "./rewriter";

/** The message or the input request that the walk is in. */
export function scopeOf(rewriter: Rewriter): Frame {
  return frameAt(rewriter, scopeDepth(rewriter));
}

/** Its depth. */
export function scopeDepth(rewriter: Rewriter): u32 {
  let depth = rewriter.reader.depth;
  while (depth > rewriter.messageDepth && frameAt(rewriter, depth).place != ServerPlace.InputRequest) depth--;
  return depth;
}

/** Something in the message may not pass: of an answer the whole becomes an error, a call or an input request goes. */
export function deny(rewriter: Rewriter, reason: Reason): void {
  const scope = scopeOf(rewriter);
  if (scope.place == ServerPlace.InputRequest || !rewriter.hasResult) {
    scope.isDenied = true;
    return;
  }
  discard(rewriter, reason);
}

/** The message becomes an error when it ends; until then only its id is wanted. */
export function discard(rewriter: Rewriter, reason: Reason): void {
  const depth = rewriter.messageDepth;
  const frame = frameAt(rewriter, depth);
  if (depth != 1 && isFault(reason)) {
    // Nothing follows a fault, so the list cannot be finished.
    fail(rewriter, reason);
    return;
  }
  if (!truncate(rewriter, frame.at, reason)) return;
  rewriter.discarded = reason;
  rewriter.announcedDepth = 0;
  rewriter.holdAt = NO_HOLD;
  rewriter.instead = Instead.Nothing;
  rewriter.removed++;
  // Everything inside is left out; the message itself is still looked at, for its id.
  for (let level = depth + 1; level <= liveDepth(rewriter); level++) frameAt(rewriter, level).place = ServerPlace.None;
  rewriter.dropDepth = DISCARDING;
}

/** The message has ended: it stays, goes, or is replaced. */
export function endMessage(rewriter: Rewriter, policy: Policy, frame: Frame): void {
  const reader = rewriter.reader;
  rewriter.messages++;
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

/** Whether a call of the server, or an input request, may pass. */
export function isCallAllowed(policy: Policy, frame: Frame): bool {
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
