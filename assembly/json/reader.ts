// The strict streaming JSON reader: bytes in, in chunks cut anywhere, tokens out. It accepts exactly RFC 8259 with the
// narrow choice wherever the RFC leaves one (json/error.ts lists them) and knows nothing of what the text means.
//
// Use: `openChunk(reader, address, bytes)`, then `next(reader)` until it says NeedMore or Failed; after the last chunk
// `finish(reader)`. The state is constant in size: a string that nobody captures is validated and never stored.
//
// For speed: a caller that wants nothing of what stands inside a value sets `reportDepth`, and `next` runs over it without
// coming back, over whole tokens where it can (json/run.ts). What stands here is the byte machine: it can be cut anywhere, knows
// everything, and finds every error.

import { asciiLower } from "../memory/bytes";
import { JsonError } from "./error";
import { addMember, clearMembers, freeMembers, initMembers, MemberSet, memberBytes } from "./members";
import { canRun, endOfString, RUN_BYTES, runTokens } from "./run";
import { isSpace, scanPlain, scanSpace, scanText } from "./scan";
import {
  closeContainer,
  dropCaptures,
  fail,
  isDigit,
  isInObject,
  JsonLimits,
  JsonReader,
  memberBase,
  offsetOf,
  openContainer,
  State,
  startString,
  Token,
} from "./state";

export { isInObject, JsonLimits, JsonReader, Token } from "./state";

/** Bytes behind a reader that `initReader` needs for these bounds. */
export function readerBlockBytes(limits: JsonLimits): u32 {
  return (limits.depth << 2) + limits.keyBytes;
}

/** Makes `reader` ready for its first text; `block` has `readerBlockBytes(limits)` bytes, 4-aligned, and outlives it. */
export function initReader(reader: JsonReader, block: usize, limits: JsonLimits): void {
  reader.memberBases = block;
  reader.keyAt = block + (usize(limits.depth) << 2);
  reader.depthMax = limits.depth;
  reader.membersMax = limits.membersPerObject;
  reader.openMembersMax = limits.openMembers;
  reader.keyBytesMax = limits.keyBytes;
  reader.members = changetype<MemberSet>(heap.alloc(offsetof<MemberSet>()));
  initMembers(reader.members);
  reader.anyRoot = false;
  resetReader(reader);
}

/** Makes `reader` ready for another text. */
export function resetReader(reader: JsonReader): void {
  clearMembers(reader.members);
  reader.cursor = 0;
  reader.end = 0;
  reader.chunk = 0;
  reader.chunkOffset = 0;
  reader.state = State.Root;
  reader.depth = 0;
  reader.kinds = 0;
  reader.highSurrogate = 0;
  reader.reportDepth = u32.MAX_VALUE;
  reader.textAt = 0;
  reader.rawAt = 0;
  reader.rawFrom = 0;
  reader.error = JsonError.None;
  reader.errorOffset = 0;
}

/** Frees what `reader` owns beside its record and its block. */
export function freeReader(reader: JsonReader): void {
  freeMembers(reader.members);
  heap.free(changetype<usize>(reader.members));
}

/** Bytes that `reader` holds beside its record and its block. */
export function readerHeldBytes(reader: JsonReader): u32 {
  return memberBytes(reader.members);
}

/** The next `bytes` bytes of the text stand at `address`, and stay there until `next` says NeedMore or Failed. */
export function openChunk(reader: JsonReader, address: usize, bytes: u32): void {
  reader.chunkOffset += u32(reader.end - reader.chunk);
  reader.chunk = address;
  reader.cursor = address;
  reader.end = address + bytes;
  if (reader.rawFrom != 0) reader.rawFrom = address;
}

/** The text of the next token, if it is a string, goes to `address`, where `room` bytes fit. For one token. */
export function captureText(reader: JsonReader, address: usize, room: u32): void {
  reader.textAt = address;
  reader.textRoom = room;
}

/** The next token, if it is a string or a number, goes to `address` as it stands; `room` bytes fit. For one token. */
export function captureRaw(reader: JsonReader, address: usize, room: u32): void {
  reader.rawAt = address;
  reader.rawRoom = room;
  reader.rawBytes = 0;
}

/** Says that the text has ended: None when it was complete, else why it is refused. */
export function finish(reader: JsonReader): JsonError {
  // Nothing but the end says that a number at the root is whole.
  if (reader.depth == 0 && isWholeNumber(reader.state)) reader.state = State.AfterRoot;
  if (reader.state != State.AfterRoot && reader.error == JsonError.None) {
    fail(reader, reader.end, JsonError.Incomplete);
  }
  return reader.error;
}

/** Whether the root value has ended, and nothing but white space has followed. */
export function isComplete(reader: JsonReader): bool {
  return reader.state == State.AfterRoot;
}

/** Whether the chunk has cut a token: `tokenStart` is where it began. */
export function isInsideToken(reader: JsonReader): bool {
  return reader.state >= State.StringBody && reader.state != State.Failed;
}

/** The next token that is to be reported. */
export function next(reader: JsonReader): Token {
  let at = reader.cursor;
  const end = reader.end;
  const reportDepth = reader.reportDepth;
  // INVARIANT: every turn either takes at least one byte, or ends a number before a byte that is not its own.
  while (at < end) {
    if (ASC_FEATURE_SIMD) {
      if (reader.depth > reportDepth && canRun(reader, at, end)) {
        at = runTokens(reader, at, end);
        if (at == end) break;
      }
    }
    // SAFETY: at < end.
    const byte = u32(load<u8>(at));
    switch (reader.state) {
      case State.Root:
        if (isSpace(byte)) {
          at = scanSpace(at + 1, end);
          break;
        }
        if (byte != 0x7b) {
          const error = rootError(byte);
          if (!reader.anyRoot || error == JsonError.Bom) return fail(reader, at, error);
          reader.state = State.Value;
          break;
        }
        if (!openContainer(reader, at, true)) return Token.Failed;
        at++;
        if (report(reader, at, 0)) return Token.ObjectStart;
        break;

      case State.KeyOrClose:
      case State.Key:
        if (isSpace(byte)) {
          at = scanSpace(at + 1, end);
          break;
        }
        if (byte == 0x22) {
          startString(reader, at, true);
          at++;
          break;
        }
        if (byte == 0x7d && reader.state == State.KeyOrClose) {
          closeContainer(reader, at);
          at++;
          if (report(reader, at, reader.depth)) return Token.ObjectEnd;
          break;
        }
        return fail(reader, at, JsonError.Syntax);

      case State.Colon:
        if (isSpace(byte)) {
          at = scanSpace(at + 1, end);
          break;
        }
        if (byte != 0x3a) return fail(reader, at, JsonError.Syntax);
        reader.state = State.Value;
        at++;
        break;

      // biome-ignore lint/suspicious/noFallthroughSwitchClause: what is not `]` is read as a value.
      case State.ValueOrClose:
        if (byte == 0x5d) {
          closeContainer(reader, at);
          at++;
          if (report(reader, at, reader.depth)) return Token.ArrayEnd;
          break;
        }
      case State.Value:
        if (isSpace(byte)) {
          at = scanSpace(at + 1, end);
          break;
        }
        if (byte == 0x22) {
          startString(reader, at, false);
          at++;
          break;
        }
        if (byte == 0x7b || byte == 0x5b) {
          const level = reader.depth;
          if (!openContainer(reader, at, byte == 0x7b)) return Token.Failed;
          at++;
          if (report(reader, at, level)) return byte == 0x7b ? Token.ObjectStart : Token.ArrayStart;
          break;
        }
        if (!startScalar(reader, at, byte)) return fail(reader, at, JsonError.Syntax);
        at++;
        break;

      case State.CommaOrClose:
        if (isSpace(byte)) {
          at = scanSpace(at + 1, end);
          break;
        }
        if (byte == 0x2c) {
          reader.state = isInObject(reader) ? State.Key : State.Value;
          at++;
          break;
        }
        if (byte == (isInObject(reader) ? 0x7d : 0x5d)) {
          const object = isInObject(reader);
          closeContainer(reader, at);
          at++;
          if (report(reader, at, reader.depth)) return object ? Token.ObjectEnd : Token.ArrayEnd;
          break;
        }
        return fail(reader, at, JsonError.Syntax);

      case State.AfterRoot:
        at = scanSpace(at, end);
        if (at < end) return fail(reader, at, JsonError.TrailingData);
        break;

      case State.StringBody: {
        // What nobody captures need not be looked at byte by byte.
        const run = reader.textAt == 0 ? overText(at, end) : scanPlain(at, end);
        if (run != at) {
          if (!addRun(reader, at, u32(run - at))) return Token.Failed;
          at = run;
          break;
        }
        if (byte == 0x22) {
          at++;
          if (reader.stringIsKey) {
            const error = endKey(reader);
            if (error != JsonError.None) return fail(reader, at - 1, error);
            if (report(reader, at, reader.depth)) return Token.Key;
          } else if (endValue(reader, at)) {
            return Token.String;
          }
          break;
        }
        if (byte == 0x5c) {
          reader.state = State.StringEscape;
        } else if (byte < 0x20) {
          return fail(reader, at, JsonError.Syntax);
        } else {
          if (!startUtf8(reader, byte)) return fail(reader, at, JsonError.Utf8);
          if (!addByte(reader, at, byte)) return Token.Failed;
        }
        at++;
        break;
      }

      case State.StringUtf8:
        if (byte < reader.utf8Low || byte > reader.utf8High) return fail(reader, at, JsonError.Utf8);
        reader.utf8Low = 0x80;
        reader.utf8High = 0xbf;
        reader.utf8Left--;
        if (reader.utf8Left == 0) reader.state = State.StringBody;
        if (!addByte(reader, at, byte)) return Token.Failed;
        at++;
        break;

      case State.StringEscape:
        if (byte == 0x75) {
          startHex(reader);
        } else {
          const meant = unescaped(byte);
          if (meant == 0) return fail(reader, at, JsonError.Syntax);
          if (!addByte(reader, at, meant)) return Token.Failed;
          reader.state = State.StringBody;
        }
        at++;
        break;

      case State.StringHex: {
        const error = hexDigit(reader, byte);
        if (error != JsonError.None) return fail(reader, at, error);
        if (reader.hexDigits == 4 && !endHex(reader, at)) return Token.Failed;
        at++;
        break;
      }

      case State.StringPairBackslash:
        if (byte != 0x5c) return fail(reader, at, JsonError.Surrogate);
        reader.state = State.StringPairU;
        at++;
        break;

      case State.StringPairU:
        if (byte != 0x75) return fail(reader, at, JsonError.Surrogate);
        startHex(reader);
        at++;
        break;

      case State.NumberMinus:
        if (!isDigit(byte)) return fail(reader, at, JsonError.Syntax);
        reader.state = byte == 0x30 ? State.NumberZero : State.NumberInteger;
        at++;
        break;

      // biome-ignore lint/suspicious/noFallthroughSwitchClause: a zero and an integer are followed by the same.
      case State.NumberInteger:
        if (isDigit(byte)) {
          at++;
          break;
        }
      case State.NumberZero:
        if (byte == 0x2e) {
          reader.numberIsInteger = false;
          reader.state = State.NumberPoint;
          at++;
          break;
        }
        if (byte == 0x65 || byte == 0x45) {
          reader.numberIsInteger = false;
          reader.state = State.NumberExponent;
          at++;
          break;
        }
        // A leading zero (RFC 8259 section 6) ends here and meets its digit in CommaOrClose, where it is refused.
        if (endValue(reader, at)) return Token.Number;
        break;

      case State.NumberPoint:
        if (!isDigit(byte)) return fail(reader, at, JsonError.Syntax);
        reader.state = State.NumberFraction;
        at++;
        break;

      case State.NumberFraction:
        if (isDigit(byte)) {
          at++;
          break;
        }
        if (byte == 0x65 || byte == 0x45) {
          reader.state = State.NumberExponent;
          at++;
          break;
        }
        if (endValue(reader, at)) return Token.Number;
        break;

      // biome-ignore lint/suspicious/noFallthroughSwitchClause: the sign is optional.
      case State.NumberExponent:
        if (byte == 0x2b || byte == 0x2d) {
          reader.state = State.NumberExponentSign;
          at++;
          break;
        }
      case State.NumberExponentSign:
        if (!isDigit(byte)) return fail(reader, at, JsonError.Syntax);
        reader.state = State.NumberExponentDigits;
        at++;
        break;

      case State.NumberExponentDigits:
        if (isDigit(byte)) {
          at++;
          break;
        }
        if (endValue(reader, at)) return Token.Number;
        break;

      case State.Word:
        if (byte != (reader.wordRest & 0xff)) return fail(reader, at, JsonError.Syntax);
        reader.wordRest >>= 8;
        at++;
        if (reader.wordRest == 0 && endValue(reader, at)) return reader.wordToken;
        break;

      default:
        return Token.Failed;
    }
  }
  if (reader.state == State.Failed) return Token.Failed;
  reader.cursor = at;
  if (reader.rawFrom != 0) addRaw(reader, at);
  return Token.NeedMore;
}

// --- Errors and reporting. ---

/** Leaves the reader behind a token that stands at `level`, and says whether the caller wants it. */
function report(reader: JsonReader, at: usize, level: u32): bool {
  if (level > reader.reportDepth) return false;
  reader.tokenEnd = offsetOf(reader, at);
  reader.cursor = at;
  return true;
}

function isWholeNumber(state: State): bool {
  switch (state) {
    case State.NumberZero:
    case State.NumberInteger:
    case State.NumberFraction:
    case State.NumberExponentDigits:
      return true;
    default:
      return false;
  }
}

function rootError(byte: u32): JsonError {
  if (byte == 0xef || byte == 0xfe || byte == 0xff) return JsonError.Bom;
  if (byte == 0x5b) return JsonError.ArrayRoot;
  if (byte == 0x22 || byte == 0x2d || isDigit(byte)) return JsonError.ScalarRoot;
  if (byte == 0x74 || byte == 0x66 || byte == 0x6e) return JsonError.ScalarRoot;
  return JsonError.Syntax;
}

// --- Strings. ---

/** Over text that nobody captures, and over its escapes while the chunk is sure to have them whole. */
function overText(at: usize, end: usize): usize {
  if (ASC_FEATURE_SIMD) {
    if (end - at >= RUN_BYTES) return endOfString(at, end, end - RUN_BYTES);
  }
  return scanText(at, end);
}

/** Adds plain bytes to the text of the string at hand; false when they make a key too long. */
function addRun(reader: JsonReader, from: usize, bytes: u32): bool {
  const to = reader.textAt;
  if (to == 0) return true;
  const had = reader.textBytes;
  const room = reader.textRoom;
  const kept = had < room ? min(room - had, bytes) : 0;
  for (let i: u32 = 0; i < kept; i++) {
    // SAFETY: had + i < textRoom; from + i lies inside the run. A loop, because memory.copy leaves Wasm code and the
    // runs are short: 8 to 12 % on 200-byte documents.
    store<u8>(to + had + i, load<u8>(from + i));
  }
  reader.textBytes = had + bytes;
  if (reader.stringIsKey && kept < bytes) {
    fail(reader, from + kept, JsonError.KeyBytes);
    return false;
  }
  return true;
}

/** Adds one byte to the text of the string at hand; false when it makes a key too long. */
function addByte(reader: JsonReader, at: usize, byte: u32): bool {
  const to = reader.textAt;
  if (to == 0) return true;
  const had = reader.textBytes;
  reader.textBytes = had + 1;
  if (had < reader.textRoom) {
    // SAFETY: had < textRoom.
    store<u8>(to + had, byte);
    return true;
  }
  if (!reader.stringIsKey) return true;
  fail(reader, at, JsonError.KeyBytes);
  return false;
}

function endKey(reader: JsonReader): JsonError {
  const depth = reader.depth - 1;
  const members = reader.members;
  if (members.entries - memberBase(reader, depth) == reader.membersMax) return JsonError.Members;
  if (members.entries == reader.openMembersMax) return JsonError.OpenMembers;
  if (!addMember(members, reader.keyAt, reader.textBytes, depth)) return JsonError.DuplicateMember;
  reader.state = State.Colon;
  reader.textAt = 0;
  return JsonError.None;
}

function startUtf8(reader: JsonReader, lead: u32): bool {
  // RFC 3629 section 4: which lead bytes there are, and in what range their second byte lies.
  if (lead < 0xc2 || lead > 0xf4) return false;
  reader.utf8Left = lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
  reader.utf8Low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
  reader.utf8High = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
  reader.state = State.StringUtf8;
  return true;
}

/** What `\` and this byte stand for; 0 when it is not one of the eight (RFC 8259 section 7). */
function unescaped(byte: u32): u32 {
  switch (byte) {
    case 0x22:
    case 0x2f:
    case 0x5c:
      return byte;
    case 0x62:
      return 0x08;
    case 0x66:
      return 0x0c;
    case 0x6e:
      return 0x0a;
    case 0x72:
      return 0x0d;
    case 0x74:
      return 0x09;
    default:
      return 0;
  }
}

function startHex(reader: JsonReader): void {
  reader.hexDigits = 0;
  reader.hexUnit = 0;
  reader.state = State.StringHex;
}

/** Takes one hexadecimal digit; refuses at the digit that makes half of a surrogate pair certain. */
function hexDigit(reader: JsonReader, byte: u32): JsonError {
  const lower = asciiLower(byte);
  let digit: u32;
  if (isDigit(byte)) digit = byte - 0x30;
  else if (lower - 0x61 < 6) digit = lower - 0x57;
  else return JsonError.Syntax;
  const unit = (reader.hexUnit << 4) | digit;
  reader.hexUnit = unit;
  reader.hexDigits++;
  if (reader.highSurrogate == 0) {
    if (reader.hexDigits == 2 && unit >= 0xdc && unit <= 0xdf) return JsonError.Surrogate;
  } else {
    if (reader.hexDigits == 1 && unit != 0xd) return JsonError.Surrogate;
    if (reader.hexDigits == 2 && unit < 0xdc) return JsonError.Surrogate;
  }
  return JsonError.None;
}

/** Adds what the four digits of a `\u` stand for, in UTF-8. */
function endHex(reader: JsonReader, at: usize): bool {
  let point = reader.hexUnit;
  if (reader.highSurrogate == 0 && point >= 0xd800 && point <= 0xdbff) {
    reader.highSurrogate = point;
    reader.state = State.StringPairBackslash;
    return true;
  }
  if (reader.highSurrogate != 0) {
    point = 0x10000 + ((reader.highSurrogate - 0xd800) << 10) + (point - 0xdc00);
    reader.highSurrogate = 0;
  }
  reader.state = State.StringBody;
  if (point < 0x80) return addByte(reader, at, point);
  if (point < 0x800) {
    return addByte(reader, at, 0xc0 | (point >> 6)) && addByte(reader, at, 0x80 | (point & 0x3f));
  }
  if (point < 0x10000) {
    return (
      addByte(reader, at, 0xe0 | (point >> 12)) &&
      addByte(reader, at, 0x80 | ((point >> 6) & 0x3f)) &&
      addByte(reader, at, 0x80 | (point & 0x3f))
    );
  }
  return (
    addByte(reader, at, 0xf0 | (point >> 18)) &&
    addByte(reader, at, 0x80 | ((point >> 12) & 0x3f)) &&
    addByte(reader, at, 0x80 | ((point >> 6) & 0x3f)) &&
    addByte(reader, at, 0x80 | (point & 0x3f))
  );
}

// --- Other values, and the end of every value. ---

/** Begins a number or a word at `byte`; false when no value begins so. */
function startScalar(reader: JsonReader, at: usize, byte: u32): bool {
  switch (byte) {
    case 0x2d:
      startNumber(reader, at, State.NumberMinus);
      return true;
    case 0x30:
      startNumber(reader, at, State.NumberZero);
      return true;
    case 0x74:
      startWord(reader, at, Token.True, 0x657572); // "rue"
      return true;
    case 0x66:
      startWord(reader, at, Token.False, 0x65736c61); // "alse"
      return true;
    case 0x6e:
      startWord(reader, at, Token.Null, 0x6c6c75); // "ull"
      return true;
    default:
      if (!isDigit(byte)) return false;
      startNumber(reader, at, State.NumberInteger);
      return true;
  }
}

function startNumber(reader: JsonReader, at: usize, state: State): void {
  reader.tokenStart = offsetOf(reader, at);
  reader.numberIsInteger = true;
  reader.state = state;
  if (reader.rawAt != 0) reader.rawFrom = at;
}

function startWord(reader: JsonReader, at: usize, token: Token, rest: u32): void {
  reader.tokenStart = offsetOf(reader, at);
  reader.wordToken = token;
  reader.wordRest = rest;
  reader.state = State.Word;
}

/** Ends a string, a number or a word before `at`, and says whether the caller wants it. */
function endValue(reader: JsonReader, at: usize): bool {
  if (reader.rawFrom != 0) addRaw(reader, at);
  reader.rawFrom = 0;
  dropCaptures(reader);
  reader.state = reader.depth == 0 ? State.AfterRoot : State.CommaOrClose;
  return report(reader, at, reader.depth);
}

/** Copies what this chunk has of a raw token, up to `to`. */
function addRaw(reader: JsonReader, to: usize): void {
  const bytes = u32(to - reader.rawFrom);
  const had = reader.rawBytes;
  if (had < reader.rawRoom) {
    // SAFETY: had + min(..) <= rawRoom; [rawFrom, to) lies inside the chunk.
    memory.copy(reader.rawAt + had, reader.rawFrom, min(bytes, reader.rawRoom - had));
  }
  reader.rawBytes = had + bytes;
  reader.rawFrom = to;
}
