// From tokens to a Message: the walk through a JSON-RPC 2.0 envelope. Members may come in any order, so everything that
// could matter is noted, and nothing is concluded before the end of the body.
//
// Which tokens the walk sees is set by the reader's `reportDepth`; what nobody asks about is read by the JSON reader alone.
// Texts that can be long or many (URIs, task ids, the names of prompts) are not kept: the walk stops at each one, and whoever
// knows the policy looks at it before it goes on. The same holds for the tokens inside `arguments`, when the policy has rules
// about them.

import { JsonError } from "../json/error";
import { captureRaw, captureText, finish, JsonReader, next, openChunk, Token } from "../json/reader";
import {
  ID_BYTES_MAX,
  METHOD_BYTES_MAX,
  NAME_BYTES_MAX,
  REF_TYPE_BYTES_MAX,
  TRACE_BYTES_MAX,
  URI_BYTES_MAX,
  VERSION_BYTES_MAX,
} from "../limits";
import { equalsLiteral } from "../memory/bytes";
import { Fault } from "./fault";
import { Member, memberOf, Place } from "./member";
import { Kind, Message, Shape } from "./message";
import { isNotification } from "./method";
import { isMirroredName, Mirror } from "./mirror";

const JSONRPC_ROOM: u32 = 4;
const LEVEL_ENVELOPE: u32 = 1;
const LEVEL_PARAMS: u32 = 2;

/** Offsets of the captured texts in the block of an envelope. */
const METHOD_AT: u32 = 0;
const NAME_AT: u32 = METHOD_AT + METHOD_BYTES_MAX;
const ID_AT: u32 = NAME_AT + NAME_BYTES_MAX;
const ID_ROOM: u32 = ID_BYTES_MAX + 2;
const REF_TYPE_AT: u32 = ID_AT + ID_ROOM;
const VERSION_AT: u32 = REF_TYPE_AT + REF_TYPE_BYTES_MAX;
const JSONRPC_AT: u32 = VERSION_AT + VERSION_BYTES_MAX;
const TRACE_AT: u32 = JSONRPC_AT + JSONRPC_ROOM;
const ENTRY_AT: u32 = TRACE_AT + TRACE_BYTES_MAX;

/** Where the walk has stopped. */
export const enum Step {
  /** The chunk is used up. */
  NeedMore,
  /** Json and NearName are final: nothing that follows can make the message acceptable. */
  Json,
  NearName,
  /** A text that the policy has to look at: `entry` says which, `entryAt` and `entryBytes` where it stands. */
  Entry,
  /** A token inside `arguments`: `token`, and the reader's key or captured text. */
  Argument,
}

/** Which text an entry is. */
export const enum Entry {
  /** `params.uri`. */
  Uri,
  /** `params.taskId`. */
  TaskId,
  /** `params.ref.name`. */
  RefName,
  /** `params.ref.uri`. */
  RefUri,
  /** `params.argument.value`, or one of `params.context.arguments`: what goes into a template. */
  ArgumentValue,
  /** An element of `params.notifications.resourceSubscriptions`. */
  ListenUri,
  /** `roots[].uri` in an answer of the client. */
  RootUri,
}

/** Containers whose inside the walk looks at are at most this deep: result, roots, element; params, inputResponses, answer, ... */
const PLACES: u32 = 8;

@unmanaged
export class Envelope {
  reader: JsonReader;
  message: Message;
  mirror: Mirror;
  /** Address of the captured texts. */
  block: usize;
  /** Address of the place of each open container, by depth: PLACES u32. */
  places: usize;
  /** The container that the walk is in, and the member whose value comes next. */
  place: Place;
  member: Member;
  /** Whether somebody wants the tokens inside `arguments`. */
  wantsArguments: bool;
  /** Offsets of `params.arguments` in the body: of its first byte, NO_OFFSET before that has come, and behind its last one, NO_OFFSET before that. */
  argumentsFrom: u32;
  argumentsTo: u32;
  /** Whether the walk is between two tokens, not inside one that a chunk has cut. */
  betweenTokens: bool;
  /** Where the walk has stopped: the entry, its text, or the token inside `arguments`. */
  entry: Entry;
  entryAt: usize;
  /** Unescaped bytes; more than URI_BYTES_MAX when not all of them fitted. */
  entryBytes: u32;
  token: Token;
}

/** An offset that no body has. */
export const NO_OFFSET: u32 = u32.MAX_VALUE;

/** Bytes of the block that `initEnvelope` takes. */
export const ENVELOPE_BLOCK_BYTES: u32 = ENTRY_AT + URI_BYTES_MAX + (PLACES << 2) + 4;

/** Makes `envelope` ready; `block` has ENVELOPE_BLOCK_BYTES and outlives it, as do `reader`, `message` and `mirror`. */
export function initEnvelope(
  envelope: Envelope,
  reader: JsonReader,
  message: Message,
  mirror: Mirror,
  block: usize,
): void {
  envelope.reader = reader;
  envelope.message = message;
  envelope.mirror = mirror;
  envelope.places = (block + 3) & ~3;
  envelope.block = envelope.places + (usize(PLACES) << 2);
  envelope.wantsArguments = false;
  resetEnvelope(envelope);
}

/** Makes `envelope` ready for another message; its reader is reset by the caller. */
export function resetEnvelope(envelope: Envelope): void {
  const message = envelope.message;
  memory.fill(changetype<usize>(message), 0, offsetof<Message>());
  message.methodAt = envelope.block + METHOD_AT;
  message.nameAt = envelope.block + NAME_AT;
  message.idAt = envelope.block + ID_AT;
  message.refTypeAt = envelope.block + REF_TYPE_AT;
  message.versionAt = envelope.block + VERSION_AT;
  message.traceAt = envelope.block + TRACE_AT;
  envelope.entryAt = envelope.block + ENTRY_AT;
  envelope.member = Member.Unknown;
  envelope.betweenTokens = true;
  envelope.argumentsFrom = NO_OFFSET;
  envelope.argumentsTo = NO_OFFSET;
  // The root is the container at depth 1; anything else at the root is refused by the reader.
  setPlace(envelope, LEVEL_ENVELOPE, Place.Envelope);
}

/** The next `bytes` bytes of the body stand at `address`. Then `walk` until it needs more. */
export function openPiece(envelope: Envelope, address: usize, bytes: u32): void {
  openChunk(envelope.reader, address, bytes);
}

/** Goes on to the next place where it has to stop. */
export function walk(envelope: Envelope): Step {
  const reader = envelope.reader;
  while (true) {
    if (envelope.betweenTokens && envelope.place == Place.UriList) {
      captureText(reader, envelope.entryAt, URI_BYTES_MAX);
    }
    const token = next(reader);
    envelope.betweenTokens = token != Token.NeedMore;
    if (token == Token.NeedMore) return Step.NeedMore;
    if (token == Token.Failed) return Step.Json;
    // Nothing beside the arguments can end on their level while they are open.
    if (envelope.argumentsTo == NO_OFFSET && envelope.argumentsFrom != NO_OFFSET && reader.depth == LEVEL_PARAMS) {
      envelope.argumentsTo = reader.tokenEnd;
    }
    if (envelope.place == Place.Arguments) {
      if (reader.depth > LEVEL_PARAMS) {
        envelope.token = token;
        return Step.Argument;
      }
      setPlace(envelope, LEVEL_PARAMS, Place.Params);
    } else if (token == Token.Key) {
      const member = memberOf(envelope.place, reader.keyAt, reader.textBytes);
      if (member == Member.Near) return Step.NearName;
      envelope.member = member;
      prepare(envelope, member);
    } else if (token == Token.ObjectEnd || token == Token.ArrayEnd) {
      leave(envelope);
    } else {
      const step = isList(envelope.place) ? noteElement(envelope, token) : noteValue(envelope, token);
      if (step != Step.NeedMore) return step;
    }
  }
}

/** Says that the body has ended, and checks the message as far as that can be done without a policy. */
export function finishEnvelope(envelope: Envelope): Fault {
  if (finish(envelope.reader) != JsonError.None) return Fault.Json;
  const message = envelope.message;
  const isCall = message.methodKind != Kind.Absent;
  message.shape = isCall ? Shape.Call : Shape.Response;
  if (message.jsonrpc != Kind.Good) return Fault.JsonrpcVersion;
  const outcomes = u32(message.result != Kind.Absent) + u32(message.error != Kind.Absent);
  if (u32(isCall) + outcomes != 1) return Fault.MessageMixed;
  if (message.methodKind == Kind.Bad) return Fault.MethodInvalid;
  if (message.idKind == Kind.Bad) return Fault.IdInvalid;
  if (message.params == Kind.Bad || message.metaKind == Kind.Bad) return Fault.ParamsInvalid;
  if (!isCall) {
    // An error that answers nothing in particular has no id (MCP 2025-11-25 schema); a result always answers something.
    return message.result != Kind.Absent && message.idKind == Kind.Absent ? Fault.IdMissing : Fault.None;
  }
  if (isNotification(message.methodAt, message.methodBytes)) {
    return message.idKind != Kind.Absent ? Fault.IdUnexpected : Fault.None;
  }
  return message.idKind == Kind.Absent ? Fault.IdMissing : Fault.None;
}

/** The walk is now in a container at `depth`, of which it sees the members or elements. */
function setPlace(envelope: Envelope, depth: u32, place: Place): void {
  // SAFETY: depth < PLACES: no place is deeper than Root in Answer in InputResponses in Params.
  store<u32>(envelope.places + (usize(depth) << 2), place);
  envelope.place = place;
  envelope.reader.reportDepth = depth;
}

/** Into the container that has just begun. */
function enter(envelope: Envelope, place: Place): Step {
  setPlace(envelope, envelope.reader.depth, place);
  return Step.NeedMore;
}

/** Back to the container around the one that has just ended. */
function leave(envelope: Envelope): void {
  const depth = envelope.reader.depth;
  // SAFETY: what has been reported as ended lies directly in a place, so depth is that of a place, or 0.
  if (depth != 0) setPlace(envelope, depth, load<u32>(envelope.places + (usize(depth) << 2)));
}

function isList(place: Place): bool {
  return place == Place.UriList || place == Place.TaskList || place == Place.RootList;
}

/** Asks the reader for the text of a member's value. */
function prepare(envelope: Envelope, member: Member): void {
  const reader = envelope.reader;
  const message = envelope.message;
  switch (member) {
    case Member.Jsonrpc:
      captureText(reader, envelope.block + JSONRPC_AT, JSONRPC_ROOM);
      break;
    case Member.Id:
      captureRaw(reader, message.idAt, ID_ROOM);
      break;
    case Member.Method:
      captureText(reader, message.methodAt, METHOD_BYTES_MAX);
      break;
    case Member.Name:
      captureText(reader, message.nameAt, NAME_BYTES_MAX);
      break;
    case Member.RefType:
      captureText(reader, message.refTypeAt, REF_TYPE_BYTES_MAX);
      break;
    case Member.ProtocolVersion:
      captureText(reader, message.versionAt, VERSION_BYTES_MAX);
      break;
    case Member.TraceParent:
      captureText(reader, message.traceAt, TRACE_BYTES_MAX);
      break;
    case Member.Uri:
    case Member.TaskId:
    case Member.RefName:
    case Member.RefUri:
    case Member.ArgumentValue:
    case Member.ContextValue:
    case Member.RootUri:
      captureText(reader, envelope.entryAt, URI_BYTES_MAX);
      break;
    default:
      break;
  }
}

/** Notes an element of a list. */
function noteElement(envelope: Envelope, token: Token): Step {
  const message = envelope.message;
  if (envelope.place == Place.RootList) return token == Token.ObjectStart ? enter(envelope, Place.Root) : Step.NeedMore;
  if (token != Token.String) message.listIsBad = true;
  if (envelope.place == Place.TaskList) {
    message.listensToTasks = true;
    return Step.NeedMore;
  }
  message.listensToResources = true;
  return token == Token.String ? stopAt(envelope, Entry.ListenUri) : Step.NeedMore;
}

/** Whether the text that has just been captured is what `Mcp-Name` says. */
function entryIsMirrored(envelope: Envelope): bool {
  const bytes = envelope.reader.textBytes;
  return bytes <= URI_BYTES_MAX && isMirroredName(envelope.mirror, envelope.entryAt, bytes);
}

/** Stops the walk at a text. */
function stopAt(envelope: Envelope, entry: Entry): Step {
  envelope.entry = entry;
  envelope.entryBytes = envelope.reader.textBytes;
  return Step.Entry;
}

/** Notes the value (or the beginning of the container) of the member at hand. */
function noteValue(envelope: Envelope, token: Token): Step {
  const reader = envelope.reader;
  const message = envelope.message;
  const isObject = token == Token.ObjectStart;
  const isString = token == Token.String;
  switch (envelope.member) {
    case Member.Jsonrpc:
      message.jsonrpc = kindOf(isString && equalsLiteral(envelope.block + JSONRPC_AT, reader.textBytes, "2.0"));
      break;
    case Member.Id:
      message.idKind = kindOf(isId(envelope, token));
      message.idBytes = reader.rawBytes;
      break;
    case Member.Method:
      message.methodKind = kindOf(isString && isMethodName(message.methodAt, reader.textBytes));
      message.methodBytes = message.methodKind == Kind.Good ? reader.textBytes : 0;
      break;
    case Member.Result:
      message.result = Kind.Good;
      if (isObject) return enter(envelope, Place.Answer);
      break;
    case Member.Error:
      message.error = Kind.Good;
      break;
    case Member.Params:
      message.params = kindOf(isObject);
      if (isObject) return enter(envelope, Place.Params);
      break;
    case Member.Name:
      message.nameKind = kindOf(isString);
      message.nameBytes = isString ? reader.textBytes : 0;
      break;
    case Member.Arguments:
      message.argumentsKind = kindOf(isObject);
      if (isObject) envelope.argumentsFrom = reader.tokenStart;
      if (isObject && envelope.wantsArguments) {
        envelope.token = token;
        setPlace(envelope, reader.depth, Place.Arguments);
        return Step.Argument;
      }
      break;
    case Member.Task:
      message.hasTask = true;
      break;
    case Member.Uri:
      message.uriKind = kindOf(isString);
      message.uriIsMirrored = isString && entryIsMirrored(envelope);
      if (isString) return stopAt(envelope, Entry.Uri);
      break;
    case Member.TaskId:
      message.taskIdKind = kindOf(isString);
      message.taskIdIsMirrored = isString && entryIsMirrored(envelope);
      if (isString) return stopAt(envelope, Entry.TaskId);
      break;
    case Member.Meta:
      message.metaKind = kindOf(isObject);
      if (isObject) return enter(envelope, Place.Meta);
      break;
    case Member.ProtocolVersion:
      message.versionKind = kindOf(isString && reader.textBytes <= VERSION_BYTES_MAX);
      message.versionBytes = message.versionKind == Kind.Good ? reader.textBytes : 0;
      break;
    case Member.TraceParent:
      message.traceBytes = isString && reader.textBytes <= TRACE_BYTES_MAX ? reader.textBytes : 0;
      break;
    case Member.ClientCapabilities:
      message.capabilitiesKind = kindOf(isObject);
      break;
    case Member.Ref:
      message.refKind = kindOf(isObject);
      if (isObject) return enter(envelope, Place.Ref);
      break;
    case Member.RefType:
      message.refTypeKind = kindOf(isString && reader.textBytes <= REF_TYPE_BYTES_MAX);
      message.refTypeBytes = reader.textBytes;
      break;
    case Member.RefName:
      message.refNameKind = kindOf(isString);
      if (isString) return stopAt(envelope, Entry.RefName);
      break;
    case Member.RefUri:
      message.refUriKind = kindOf(isString);
      if (isString) return stopAt(envelope, Entry.RefUri);
      break;
    case Member.Argument:
      if (isObject) return enter(envelope, Place.Argument);
      break;
    case Member.ArgumentValue:
      message.argumentValueKind = kindOf(isString);
      if (isString) return stopAt(envelope, Entry.ArgumentValue);
      break;
    case Member.Context:
      if (isObject) return enter(envelope, Place.Context);
      break;
    case Member.ContextArguments:
      if (isObject) return enter(envelope, Place.ContextArguments);
      break;
    case Member.ContextValue:
      if (isString) return stopAt(envelope, Entry.ArgumentValue);
      break;
    case Member.Notifications:
      message.notificationsKind = kindOf(isObject);
      if (isObject) return enter(envelope, Place.Notifications);
      break;
    case Member.ResourceSubscriptions:
      if (token == Token.ArrayStart) return enter(envelope, Place.UriList);
      message.listensToResources = true;
      message.listIsBad = true;
      break;
    case Member.TaskIds:
      if (token == Token.ArrayStart) return enter(envelope, Place.TaskList);
      message.listensToTasks = true;
      message.listIsBad = true;
      break;
    case Member.InputResponses:
      message.inputResponsesKind = kindOf(isObject);
      if (isObject) return enter(envelope, Place.InputResponses);
      break;
    case Member.Answer:
      if (isObject) return enter(envelope, Place.Answer);
      break;
    case Member.Roots:
      if (token == Token.ArrayStart) return enter(envelope, Place.RootList);
      break;
    case Member.RootUri:
      if (isString) return stopAt(envelope, Entry.RootUri);
      break;
    default:
      break;
  }
  return Step.NeedMore;
}

function kindOf(good: bool): Kind {
  return good ? Kind.Good : Kind.Bad;
}

/** 1 to METHOD_BYTES_MAX bytes of printable ASCII without space. */
function isMethodName(address: usize, bytes: u32): bool {
  if (bytes == 0 || bytes > METHOD_BYTES_MAX) return false;
  for (let i: u32 = 0; i < bytes; i++) {
    // SAFETY: i < bytes <= METHOD_BYTES_MAX, the room of the capture.
    if (u32(load<u8>(address + i)) - 0x21 > 0x5d) return false;
  }
  return true;
}

/** A string of at most ID_BYTES_MAX bytes as written, or an integer literal within 2^53-1 (RFC 8259 section 6). */
function isId(envelope: Envelope, token: Token): bool {
  const reader = envelope.reader;
  if (token == Token.String) return reader.rawBytes <= ID_ROOM;
  if (token != Token.Number || !reader.numberIsInteger || reader.rawBytes > 17) return false;
  const address = envelope.message.idAt;
  let value: u64 = 0;
  for (let i: u32 = 0; i < reader.rawBytes; i++) {
    // SAFETY: i < rawBytes <= 17 < ID_ROOM.
    const byte = u32(load<u8>(address + i));
    if (byte != 0x2d) value = value * 10 + u64(byte - 0x30);
  }
  return value <= 9007199254740991;
}
