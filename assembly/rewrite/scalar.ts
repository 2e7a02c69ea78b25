// Strings, numbers and words of a server's message: ids, methods, names and URIs are judged as soon as they have been read.

import { captureText, isInsideToken, Token } from "../json/reader";
import { METHOD_BYTES_MAX, NAME_BYTES_MAX } from "../limits";
import { serverCallOf } from "../mcp/server-call";
import { ServerMember } from "../mcp/server-member";
import { isRebuilt, ServerPlace } from "../mcp/server-place";
import { appendLiteral, ownBytes } from "../memory/buffer";
import { equalsLiteral } from "../memory/bytes";
import { hasHidden, hiddenFound, stripHidden } from "../memory/hidden";
import { isPromptListed, isToolListed } from "../policy/grant";
import { judgeIcon, judgeLink, judgeResource, judgeTemplate, judgeValue } from "../policy/judge";
import { hasName, slotOf } from "../policy/name-set";
import { HiddenText, Policy } from "../policy/policy";
import { Reason } from "../policy/reason";
import { beginElement, dropElement } from "./element";
import { Frame, Judged } from "./frame";
import { deny, discard, scopeOf } from "./message";
import { namesOf } from "./named-list";
import { replaceScalar } from "./replace";
import {
  CODE_ROOM,
  copyTo,
  frameAt,
  ID_ROOM,
  Instead,
  liveDepth,
  NO_HOLD,
  Rewriter,
  TEXT_ROOM,
  TextState,
  Truth,
  truncate,
} from "./rewriter";

/** A string that is an element of a list of values is captured too. */
export function captureElement(rewriter: Rewriter): void {
  const reader = rewriter.reader;
  if (reader.depth == 0 || liveDepth(rewriter) < reader.depth || isInsideToken(reader)) return;
  if (frameAt(rewriter, reader.depth).place == ServerPlace.Values) captureText(reader, rewriter.text, TEXT_ROOM);
}

/** A string, a number, true, false or null. */
export function noteScalar(rewriter: Rewriter, policy: Policy, token: Token): void {
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
      noteAnnounced(
        rewriter,
        frame,
        isText && judgeTemplate(policy, rewriter.grant, rewriter.text, reader.textBytes) == Reason.None,
      );
      break;
    case ServerMember.Src:
      if (isText && judgeIcon(policy, rewriter.grant, rewriter.text, reader.textBytes) == Reason.None)
        frame.judged = Judged.Kept;
      break;
    case ServerMember.Url:
      noteUrl(
        rewriter,
        frame,
        isText && judgeLink(policy, rewriter.grant, rewriter.text, reader.textBytes) == Reason.None,
      );
      break;
    case ServerMember.Type:
      noteType(frame, isText && equalsLiteral(rewriter.text, reader.textBytes, "resource_link"));
      break;
    case ServerMember.ResourceUri:
      if (!isText || judgeLink(policy, rewriter.grant, rewriter.text, reader.textBytes) != Reason.None)
        dropElement(rewriter, rewriter.announcedDepth);
      break;
    case ServerMember.Instructions:
      noteInstructions(rewriter, policy);
      break;
    case ServerMember.Code:
      noteCode(rewriter, token);
      break;
    case ServerMember.DestructiveHint:
      // Inside of `annotations`, which stand in a tool.
      if (token == Token.True) frameAt(rewriter, reader.depth - 1).isDestructive = true;
      break;
    case ServerMember.IsError:
      if (!frame.isOfCall) noteIsError(rewriter, token);
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
    if (frame.slot < set.slotCount && isListedFor(rewriter, policy, frame.place, bytes)) {
      frame.judged = Judged.Kept;
      if (hasHidden(rewriter.text, bytes)) keepName(rewriter, frame);
      return;
    }
  }
  dropElement(rewriter, rewriter.reader.depth);
}

/** Whether the one who gets the list may call or get what has the name at hand, which anybody may: where rules add nothing, that is everybody. */
function isListedFor(rewriter: Rewriter, policy: Policy, place: ServerPlace, bytes: u32): bool {
  if (place == ServerPlace.Tool) {
    return policy.allTools === policy.tools || isToolListed(policy, rewriter.grant, rewriter.text, bytes);
  }
  return policy.allPrompts === policy.prompts || isPromptListed(policy, rewriter.grant, rewriter.text, bytes);
}

/** A listed name shows whatever characters it has: where it stands, counted from the beginning of its element. */
function keepName(rewriter: Rewriter, frame: Frame): void {
  const reader = rewriter.reader;
  copyTo(rewriter, reader.tokenEnd);
  frame.nameEnd = rewriter.out.length - frame.at;
  frame.nameStart = frame.nameEnd - (reader.tokenEnd - reader.tokenStart);
}

function noteUri(rewriter: Rewriter, policy: Policy, frame: Frame, isText: bool): void {
  const at = rewriter.text;
  const bytes = rewriter.reader.textBytes;
  switch (frame.place) {
    case ServerPlace.Resource:
      noteAnnounced(rewriter, frame, isText && judgeResource(policy, rewriter.grant, at, bytes) == Reason.None);
      break;
    case ServerPlace.Contents: {
      const reason = isText ? judgeResource(policy, rewriter.grant, at, bytes) : Reason.ResourceNotListed;
      if (reason == Reason.None) frame.judged = Judged.Kept;
      else deny(rewriter, reason);
      break;
    }
    case ServerPlace.Block:
      frame.isLinkGood = isText && judgeLink(policy, rewriter.grant, at, bytes) == Reason.None;
      settleLink(frame);
      break;
    case ServerPlace.Result:
      if (!frame.isOfCall || (isText && judgeResource(policy, rewriter.grant, at, bytes) == Reason.None)) break;
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

/** A code that is no whole number, or a longer one than any protocol has, is none. */
function noteCode(rewriter: Rewriter, token: Token): void {
  const reader = rewriter.reader;
  if (token != Token.Number || !reader.numberIsInteger || reader.rawBytes > CODE_ROOM) return;
  let value: i64 = 0;
  for (let i: u32 = 0; i < reader.rawBytes; i++) {
    const byte = u32(load<u8>(rewriter.text + i)); // SAFETY: i < rawBytes <= CODE_ROOM.
    if (byte != 0x2d) value = value * 10 + i64(byte - 0x30);
  }
  rewriter.hasErrorCode = true;
  rewriter.errorCode = u32(load<u8>(rewriter.text)) == 0x2d ? -value : value; // SAFETY: a number has a byte.
}

/** One failed tool of a response with several is one that failed. */
function noteIsError(rewriter: Rewriter, token: Token): void {
  if (token == Token.True) rewriter.isError = Truth.Yes;
  else if (token == Token.False && rewriter.isError == Truth.Unsaid) rewriter.isError = Truth.No;
}

function noteInstructions(rewriter: Rewriter, policy: Policy): void {
  copyTo(rewriter, rewriter.reader.tokenEnd);
  const at = rewriter.holdAt;
  rewriter.holdAt = NO_HOLD;
  if (policy.hiddenText == HiddenText.Allow) return;
  const out = rewriter.out;
  ownBytes(out);
  const length = stripHidden(out.at + at, out.length - at, policy.hiddenText == HiddenText.Strip);
  if (hiddenFound == 0) return;
  rewriter.hidden += hiddenFound;
  out.length = at + length;
  if (policy.hiddenText != HiddenText.Drop) return;
  out.length = at;
  appendLiteral(out, ':""');
}
