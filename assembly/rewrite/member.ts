// Member names of a server's message: what of their values is captured, held or replaced.

import { captureRaw, captureText } from "../json/reader";
import { hintMemberOf, ServerMember, serverMemberOf } from "../mcp/server-member";
import { isRebuilt, ServerPlace } from "../mcp/server-place";
import { Reason } from "../policy/reason";
import { beginElement, dropElement, replaceBlock } from "./element";
import { Frame } from "./frame";
import { discard, scopeDepth } from "./message";
import { CODE_ROOM, copyTo, frameAt, ID_ROOM, Instead, Rewriter, TEXT_ROOM, TTL_ROOM } from "./rewriter";

/** A member name has been read. */
export function noteKey(rewriter: Rewriter): void {
  const reader = rewriter.reader;
  const frame = frameAt(rewriter, reader.depth);
  if (frame.place == ServerPlace.InputRequests) {
    beginElement(rewriter, frame, reader.tokenStart);
    return;
  }
  if (rewriter.dropDepth != 0 && rewriter.discarded == Reason.None) return;
  let member = serverMemberOf(frame.place, reader.keyAt, reader.textBytes);
  if (member == ServerMember.Unknown && rewriter.hints !== null) {
    member = hintMemberOf(frame.place, reader.keyAt, reader.textBytes);
  }
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
  if (rewriter.announcedDepth != 0) {
    dropElement(rewriter, rewriter.announcedDepth);
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
    case ServerMember.Code:
      captureRaw(reader, rewriter.text, CODE_ROOM);
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
    case ServerMember.Icons:
    case ServerMember.Messages:
    case ServerMember.InputRequests:
    case ServerMember.Content:
      rewriter.instead = Instead.EmptyList;
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
