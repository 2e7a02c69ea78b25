// What the JSON reader knows between two bytes: its record, and the steps that both of its machines take, the one that goes byte by
// byte (reader.ts) and the one that runs over whole tokens (run.ts).

import { JsonError } from "./error";
import { dropMembers, MemberSet } from "./members";

/** What `next` found. */
export const enum Token {
  /** The chunk is used up: open the next one, or finish. */
  NeedMore,
  /** The text is refused: `error` and `errorOffset` say why and where. Every later call says so again. */
  Failed,
  ObjectStart,
  ObjectEnd,
  ArrayStart,
  ArrayEnd,
  /** A member name, unescaped, in the reader's key buffer: `keyAt`, `textBytes`. */
  Key,
  String,
  Number,
  True,
  False,
  Null,
}

/** Where in the grammar the next byte stands. */
export const enum State {
  // Between tokens.
  /** Before the root value. */
  Root,
  /** After `{`. */
  KeyOrClose,
  /** After `,` in an object. */
  Key,
  /** After a member name. */
  Colon,
  /** After `[`. */
  ValueOrClose,
  /** After `:`, or after `,` in an array. */
  Value,
  /** After a value inside a container. */
  CommaOrClose,
  /** After the root value. */
  AfterRoot,

  // Inside a string.
  StringBody,
  /** Inside a UTF-8 sequence. */
  StringUtf8,
  /** After `\`. */
  StringEscape,
  /** After `\u`, before one of its four digits. */
  StringHex,
  /** After the escape of a high surrogate: `\` must follow. */
  StringPairBackslash,
  /** ... and then `u`. */
  StringPairU,

  // Inside a number (RFC 8259 section 6).
  NumberMinus,
  NumberZero,
  NumberInteger,
  NumberPoint,
  NumberFraction,
  NumberExponent,
  NumberExponentSign,
  NumberExponentDigits,

  /** Inside true, false or null. */
  Word,

  Failed,
}

@unmanaged
export class JsonReader {
  // --- The chunk. ---
  /** Next byte to read. INVARIANT: chunk <= cursor <= end. */
  cursor: usize;
  end: usize;
  chunk: usize;
  /** Offset in the text of the chunk's first byte. */
  chunkOffset: u32;

  // --- The grammar. ---
  state: State;
  /** Open containers. INVARIANT: depth <= depthMax <= 64. */
  depth: u32;
  /** One bit per open container, the innermost lowest: 1 is an object. */
  kinds: u64;
  /** Address of `depthMax` u32: how many members were open when the object at that depth began. */
  memberBases: usize;
  members: MemberSet;

  // --- Inside a token. ---
  /** Offset of the token's first byte, and of the byte behind its last one. */
  tokenStart: u32;
  tokenEnd: u32;
  stringIsKey: bool;
  /** Whether a number is an integer literal: no fraction, no exponent. */
  numberIsInteger: bool;
  /** Code units: what the digits of this `\u` gave, and the high surrogate that waits for its partner (0 = none). */
  hexDigits: u32;
  hexUnit: u32;
  highSurrogate: u32;
  /** UTF-8: bytes still to come, and the range in which the next one must lie (RFC 3629 section 4). */
  utf8Left: u32;
  utf8Low: u32;
  utf8High: u32;
  /** The rest of true, false or null, next byte lowest, and the token that it makes. */
  wordRest: u32;
  wordToken: Token;

  // --- What the caller wants. ---
  /** Tokens inside containers deeper than this are read and not reported. The root's own tokens have level 0. */
  reportDepth: u32;
  /** Whether the root may be any value; else it is an object. Set once, behind `initReader`. */
  anyRoot: bool;
  /** Where the text of the string at hand goes, unescaped, and how much fits there; 0 = nowhere. */
  textAt: usize;
  textRoom: u32;
  /** Unescaped bytes of the string at hand, counted beyond `textRoom` too; known for keys and captured strings. */
  textBytes: u32;
  /** Where the token goes as it stands in the text, and how much fits there; 0 = nowhere. */
  rawAt: usize;
  rawRoom: u32;
  rawBytes: u32;
  /** First byte in this chunk of a raw token that is not copied yet; 0 = no such token is open. */
  rawFrom: usize;

  // --- Bounds. ---
  depthMax: u32;
  membersMax: u32;
  openMembersMax: u32;
  /** The key buffer of `keyBytesMax` bytes. */
  keyAt: usize;
  keyBytesMax: u32;

  // --- The end. ---
  error: JsonError;
  errorOffset: u32;
}

/** Bounds of one reader; `limits.ts` says what each is for. */
@unmanaged
export class JsonLimits {
  depth: u32;
  membersPerObject: u32;
  openMembers: u32;
  keyBytes: u32;
}

// --- Errors. ---

export function fail(reader: JsonReader, at: usize, error: JsonError): Token {
  reader.error = error;
  reader.errorOffset = offsetOf(reader, at);
  reader.state = State.Failed;
  return Token.Failed;
}

export function offsetOf(reader: JsonReader, at: usize): u32 {
  return reader.chunkOffset + u32(at - reader.chunk);
}

// --- Containers. ---

export function openContainer(reader: JsonReader, at: usize, object: bool): bool {
  const depth = reader.depth;
  if (depth == reader.depthMax) {
    fail(reader, at, JsonError.Depth);
    return false;
  }
  reader.tokenStart = offsetOf(reader, at);
  reader.kinds = (reader.kinds << 1) | u64(object);
  reader.depth = depth + 1;
  // SAFETY: depth < depthMax, the length of this array.
  store<u32>(reader.memberBases + (usize(depth) << 2), reader.members.entries);
  reader.state = object ? State.KeyOrClose : State.ValueOrClose;
  dropCaptures(reader);
  return true;
}

export function closeContainer(reader: JsonReader, at: usize): void {
  const depth = reader.depth - 1;
  reader.tokenStart = offsetOf(reader, at);
  if (isInObject(reader)) dropMembers(reader.members, memberBase(reader, depth));
  reader.kinds >>= 1;
  reader.depth = depth;
  dropCaptures(reader);
  reader.state = depth == 0 ? State.AfterRoot : State.CommaOrClose;
}

export function memberBase(reader: JsonReader, depth: u32): u32 {
  // SAFETY: depth is that of an open container, so below depthMax.
  return load<u32>(reader.memberBases + (usize(depth) << 2));
}

/** Whether the innermost open container is an object. */
export function isInObject(reader: JsonReader): bool {
  return (reader.kinds & 1) != 0;
}

// --- Strings and captures. ---

export function startString(reader: JsonReader, at: usize, isKey: bool): void {
  reader.tokenStart = offsetOf(reader, at);
  reader.stringIsKey = isKey;
  reader.textBytes = 0;
  if (isKey) {
    reader.textAt = reader.keyAt;
    reader.textRoom = reader.keyBytesMax;
  } else if (reader.rawAt != 0) {
    reader.rawFrom = at;
  }
  reader.state = State.StringBody;
}

export function dropCaptures(reader: JsonReader): void {
  reader.textAt = 0;
  reader.rawAt = 0;
}

export function isDigit(byte: u32): bool {
  return byte - 0x30 < 10;
}
