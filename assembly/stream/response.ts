// The response side of an exchange: which responses are read, and what a client gets of them (docs/responses.md). A reply of our
// own comes back through these callbacks on its way to the client, and a filter that held it would hold its own refusal for ever.

import { Action, BufferId } from "../host/abi";
import { replaceBuffer } from "../host/buffer";
import { Mode, Policy } from "../policy/policy";
import { Reason } from "../policy/reason";
import { Decision } from "./counters";
import { Exchange, Stage } from "./exchange";
import { noteResponse } from "./facts";
import { refuse, replyBytes } from "./refuse";
import { readBody, writeBody } from "./response-body";
import {
  isResponseEncoded,
  Media,
  readResponseHead,
  removeUntrue,
  responseMedia,
  responseStatus,
} from "./response-head";
import {
  createRewriting,
  emptyWire,
  endRewriting,
  endUse,
  freeRewriting,
  isAtEnd,
  Rewriting,
  rewritingBytes,
} from "./rewriting";
import { checkToken, hasKeptToken } from "./token-turns";

/** From here on a status says that the request was not served (RFC 9110 section 15.5). */
const CLIENT_ERROR: u32 = 400;

/** `proxy_on_response_headers`: `endOfStream` means that no body will come. */
export function onResponseHeaders(exchange: Exchange, endOfStream: bool): Action {
  if (exchange.stage == Stage.Refused) return Action.Continue;
  // Anything that is not our own reply comes from the upstream, perhaps before the verdict: it has only seen headers.
  const policy = exchange.guard.policy;
  if (policy === null || endOfStream || !isGuarded(exchange)) {
    if (hasKeptToken(exchange) && readResponseHead()) checkToken(exchange, responseStatus);
    exchange.upstreamAnswered = true;
    return Action.Continue;
  }
  const reason = beginResponse(exchange, policy);
  checkToken(exchange, responseStatus);
  if (policy.mode == Mode.Monitor) {
    if (reason != Reason.None) stopWatching(exchange, reason);
  } else if (reason != Reason.None) {
    endResponse(exchange);
    refuse(exchange, reason);
    // A reply in place of a response does not come back through these callbacks.
    exchange.responseSize = replyBytes;
    return Action.Continue;
  }
  exchange.upstreamAnswered = true;
  return Action.Continue;
}

/** `proxy_on_response_body`: `bytes` bytes are new, because every call before has returned Continue. */
export function onResponseBody(exchange: Exchange, bytes: u32, endOfStream: bool): Action {
  // A stream that is cut shows nothing more; a reply of our own in the place of a response passes.
  if (exchange.stage == Stage.Refused) return exchange.upstreamAnswered ? hide(bytes) : Action.Continue;
  const rewriting = exchange.rewriting;
  const policy = exchange.guard.policy;
  if (rewriting === null) return Action.Continue;
  if (rewriting.isWatched) {
    watchBody(exchange, rewriting, bytes, endOfStream);
    return Action.Continue;
  }
  // Limits of another policy than the one that the rewriting was made for: what it holds cannot be judged any more.
  if (policy === null || isStale(exchange, rewriting) || !readBody(rewriting, policy, bytes))
    return cut(exchange, bytes, Reason.Internal);
  if (endOfStream) endRewriting(rewriting, policy);
  if (!account(exchange, policy, rewritingBytes(rewriting, policy))) return cut(exchange, bytes, Reason.Overloaded);
  if (rewriting.cut != Reason.None) return cut(exchange, bytes, rewriting.cut);
  const isWritten = writeBody(rewriting, bytes);
  emptyWire(rewriting);
  if (!isWritten) return cut(exchange, bytes, Reason.Internal);
  if (endOfStream) endResponse(exchange);
  return Action.Continue;
}

/** `proxy_on_response_trailers`: the body has ended, and nothing can be added to it any more. */
export function onResponseTrailers(exchange: Exchange): Action {
  const rewriting = exchange.rewriting;
  if (rewriting === null) return Action.Continue;
  const isWatched = rewriting.isWatched;
  if (!isAtEnd(rewriting)) {
    if (!isWatched) return cut(exchange, 0, Reason.ResponseInvalid);
    stopWatching(exchange, Reason.ResponseInvalid);
  }
  endResponse(exchange);
  return Action.Continue;
}

/** Monitor mode: reads what passes, and throws away what a client would have got in its place. */
function watchBody(exchange: Exchange, rewriting: Rewriting, bytes: u32, endOfStream: bool): void {
  const policy = exchange.guard.policy;
  if (policy === null || isStale(exchange, rewriting) || !readBody(rewriting, policy, bytes)) {
    endResponse(exchange);
    return;
  }
  if (endOfStream) endRewriting(rewriting, policy);
  emptyWire(rewriting);
  if (!account(exchange, policy, rewritingBytes(rewriting, policy))) stopWatching(exchange, Reason.Overloaded);
  else if (rewriting.cut != Reason.None) stopWatching(exchange, rewriting.cut);
  else if (endOfStream) endResponse(exchange);
}

/** Monitor mode: notes why the response would not have passed; that the guard was too busy says nothing about it. */
function stopWatching(exchange: Exchange, reason: Reason): void {
  endResponse(exchange);
  if (reason != Reason.Overloaded && reason != Reason.Internal) exchange.responseFault = reason;
}

function isStale(exchange: Exchange, rewriting: Rewriting): bool {
  return rewriting.generation != exchange.guard.generation;
}

/** Takes back what the response needed. */
export function endResponse(exchange: Exchange): void {
  const rewriting = exchange.rewriting;
  if (rewriting === null) return;
  exchange.rewriting = null;
  exchange.guard.inFlightBytes -= exchange.responseBytes;
  exchange.responseBytes = 0;
  endUse(rewriting);
  exchange.removed = rewriting.removed;
  exchange.hidden = rewriting.hidden;
  exchange.messages = rewriting.messages;
  exchange.listed = rewriting.listed;
  exchange.hasErrorCode = rewriting.hasErrorCode;
  exchange.errorCode = rewriting.errorCode;
  exchange.isError = rewriting.isError;
  noteResponse(exchange, rewriting);
  freeRewriting(rewriting);
}

/** Counts what the response holds now, with what undecided requests hold. False when the guard holds too much. */
function account(exchange: Exchange, policy: Policy, bytes: u32): bool {
  const guard = exchange.guard;
  const total = guard.inFlightBytes - exchange.responseBytes + bytes;
  if (total > policy.inFlightBytesMax) return false;
  guard.inFlightBytes = total;
  exchange.responseBytes = bytes;
  return true;
}

/** What the policy leaves unguarded is none of ours, and what it would have refused has no response. */
function isGuarded(exchange: Exchange): bool {
  switch (exchange.decision) {
    case Decision.Outbound:
    case Decision.Unguarded:
    case Decision.WouldRefuse:
    case Decision.NotRead:
      return false;
    default:
      return true;
  }
}

/** Prepares the reading of a response; a reason when it must not pass. */
function beginResponse(exchange: Exchange, policy: Policy): Reason {
  if (!readResponseHead()) return Reason.Internal;
  exchange.status = responseStatus;
  if (responseMedia == Media.Other) {
    return exchange.wantsMessages && responseStatus < CLIENT_ERROR ? Reason.ResponseType : Reason.None;
  }
  const isWatched = policy.mode == Mode.Monitor;
  // Nobody has asked the server for a plain body, so that this is none says nothing.
  if (isWatched && isResponseEncoded) return Reason.None;
  if (isResponseEncoded) return Reason.ResponseEncoded;
  if (!isWatched && !removeUntrue()) return Reason.Internal;
  const isEvents = responseMedia == Media.EventStream;
  const rewriting = createRewriting(exchange, policy, isEvents, exchange.isGet, exchange.completesPrompt);
  rewriting.isWatched = isWatched;
  exchange.rewriting = rewriting;
  return account(exchange, policy, rewritingBytes(rewriting, policy)) ? Reason.None : Reason.Overloaded;
}

function hide(bytes: u32): Action {
  replaceBuffer(BufferId.ResponseBody, bytes, 0, 0);
  return Action.HoldBody;
}

/** Ends the stream without its end. Nothing of this piece goes out; the headers are out, so Envoy resets the stream. */
function cut(exchange: Exchange, bytes: u32, reason: Reason): Action {
  endResponse(exchange);
  refuse(exchange, reason);
  return hide(bytes);
}
