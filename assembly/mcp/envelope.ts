// From tokens to a Message: the walk through a JSON-RPC 2.0 envelope. Members may come in any order, so everything that
// could matter is noted, and nothing is concluded before the end of the body.
//
// Which tokens the walk sees is set by the reader's `reportDepth`: the envelope's members (1), those of `params` (2),
// those of `_meta`, `ref` and `notifications` (3), and the elements of the two lists of a filter (4). Tool arguments are
// read by the JSON reader alone.

import { JsonError } from "../json/error";
import { captureRaw, captureText, finish, JsonReader, next, openChunk, Token } from "../json/reader";
import { ID_BYTES_MAX, METHOD_BYTES_MAX, NAME_BYTES_MAX, REF_TYPE_BYTES_MAX } from "../limits";
import { equalsLiteral } from "../memory/bytes";
import { Fault } from "./fault";
import { Member, memberOf, Place } from "./member";
import { Kind, Message, Shape } from "./message";
import { isNotification } from "./method";

const JSONRPC_ROOM: u32 = 4;
const LEVEL_ENVELOPE: u32 = 1;
const LEVEL_PARAMS: u32 = 2;
const LEVEL_INNER: u32 = 3;
const LEVEL_LIST: u32 = 4;

/** Offsets of the captured texts in the block of an envelope. */
const METHOD_AT: u32 = 0;
const NAME_AT: u32 = METHOD_AT + METHOD_BYTES_MAX;
const ID_AT: u32 = NAME_AT + NAME_BYTES_MAX;
const ID_ROOM: u32 = ID_BYTES_MAX + 2;
const REF_TYPE_AT: u32 = ID_AT + ID_ROOM;
const JSONRPC_AT: u32 = REF_TYPE_AT + REF_TYPE_BYTES_MAX;

/** Bytes of the block that `initEnvelope` takes. */
export const ENVELOPE_BLOCK_BYTES: u32 = JSONRPC_AT + JSONRPC_ROOM;

@unmanaged
export class Envelope {
  reader: JsonReader;
  message: Message;
  /** Address of the captured texts. */
  block: usize;
  /** The object that the walk is in. */
  place: Place;
  /** The member whose value comes next. */
  member: Member;
  /** Whether the walk is inside one of the lists of `notifications`. */
  inList: bool;
}

/** Makes `envelope` ready; `block` has ENVELOPE_BLOCK_BYTES and outlives it, as do `reader` and `message`. */
export function initEnvelope(envelope: Envelope, reader: JsonReader, message: Message, block: usize): void {
  envelope.reader = reader;
  envelope.message = message;
  envelope.block = block;
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
  envelope.place = Place.Envelope;
  envelope.member = Member.Unknown;
  envelope.inList = false;
  envelope.reader.reportDepth = LEVEL_ENVELOPE;
}

/**
 * Reads the next `bytes` bytes of the body at `address`. Json and NearName are final: nothing that follows can make the
 * message acceptable, so whoever asked need not read on.
 */
export function readEnvelope(envelope: Envelope, address: usize, bytes: u32): Fault {
  const reader = envelope.reader;
  openChunk(reader, address, bytes);
  while (true) {
    const token = next(reader);
    if (token == Token.NeedMore) return Fault.None;
    if (token == Token.Failed) return Fault.Json;
    if (token == Token.Key) {
      const member = memberOf(envelope.place, reader.keyAt, reader.textBytes);
      if (member == Member.Near) return Fault.NearName;
      envelope.member = member;
      prepare(envelope, member);
    } else if (token == Token.ObjectEnd || token == Token.ArrayEnd) {
      leave(envelope);
    } else if (envelope.inList) {
      noteListElement(envelope);
    } else {
      noteValue(envelope, token);
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
    default:
      break;
  }
}

/** Back to the object around the container that has just been closed. */
function leave(envelope: Envelope): void {
  const reader = envelope.reader;
  if (envelope.inList) {
    envelope.inList = false;
    reader.reportDepth = LEVEL_INNER;
  } else if (reader.depth == LEVEL_PARAMS) {
    envelope.place = Place.Params;
    reader.reportDepth = LEVEL_PARAMS;
  } else if (reader.depth == LEVEL_ENVELOPE) {
    envelope.place = Place.Envelope;
    reader.reportDepth = LEVEL_ENVELOPE;
  }
}

/** Into the object that is the value of the member at hand. */
function enter(envelope: Envelope, place: Place, level: u32): void {
  envelope.place = place;
  envelope.reader.reportDepth = level;
}

/** Notes the value (or the beginning of the container) of the member at hand. */
function noteValue(envelope: Envelope, token: Token): void {
  const reader = envelope.reader;
  const message = envelope.message;
  const isObject = token == Token.ObjectStart;
  switch (envelope.member) {
    case Member.Jsonrpc:
      message.jsonrpc = kindOf(
        token == Token.String && equalsLiteral(envelope.block + JSONRPC_AT, reader.textBytes, "2.0"),
      );
      break;
    case Member.Id:
      message.idKind = kindOf(isId(envelope, token));
      message.idBytes = reader.rawBytes;
      break;
    case Member.Method:
      message.methodKind = kindOf(token == Token.String && isMethodName(message.methodAt, reader.textBytes));
      message.methodBytes = message.methodKind == Kind.Good ? reader.textBytes : 0;
      break;
    case Member.Result:
      message.result = Kind.Good;
      break;
    case Member.Error:
      message.error = Kind.Good;
      break;
    case Member.Params:
      message.params = kindOf(isObject);
      if (isObject) enter(envelope, Place.Params, LEVEL_PARAMS);
      break;
    case Member.Name:
      message.nameKind = kindOf(token == Token.String);
      message.nameBytes = token == Token.String ? reader.textBytes : 0;
      break;
    case Member.Arguments:
      message.argumentsKind = kindOf(isObject);
      break;
    case Member.Task:
      message.hasTask = true;
      break;
    case Member.Meta:
      message.metaKind = kindOf(isObject);
      if (isObject) enter(envelope, Place.Meta, LEVEL_INNER);
      break;
    case Member.ProtocolVersion:
      message.modern = true;
      break;
    case Member.Ref:
      if (isObject) enter(envelope, Place.Ref, LEVEL_INNER);
      break;
    case Member.RefType:
      message.refTypeKind = kindOf(token == Token.String && reader.textBytes <= REF_TYPE_BYTES_MAX);
      message.refTypeBytes = reader.textBytes;
      break;
    case Member.Notifications:
      message.notificationsKind = kindOf(isObject);
      if (isObject) enter(envelope, Place.Notifications, LEVEL_INNER);
      break;
    case Member.ResourceSubscriptions:
    case Member.TaskIds:
      if (token == Token.ArrayStart) {
        envelope.inList = true;
        reader.reportDepth = LEVEL_LIST;
      } else {
        noteListElement(envelope);
      }
      break;
    default:
      break;
  }
}

/** A filter list has an element, or is no list: either way the subscription names something. */
function noteListElement(envelope: Envelope): void {
  if (envelope.member == Member.TaskIds) envelope.message.listensToTasks = true;
  else envelope.message.listensToResources = true;
  envelope.reader.reportDepth = LEVEL_INNER;
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
