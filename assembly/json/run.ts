// The fast machine of the JSON reader: it runs over whole tokens that nobody wants, 16 and 64 bytes at a time, and stops in front
// of what is rare: a token that the chunk may cut, a name that is long, escaped or not ASCII, anything that is wrong. There the byte machine
// (reader.ts) goes on from the same state, so both accept the same texts and every error is found by that one.
//
// It looks at most RUN_BYTES ahead of the beginning of a token, and is not begun where fewer are left; what it reads of a string in 16s is
// checked against the end of the chunk by json/scan.ts.

import { SHORT_BYTES_MAX, shortHash } from "../memory/short-hash";
import { scanEscapes } from "./escapes";
import { addHash, dropMembers } from "./members";
import { isSpace, plainBytes, scanSpace, scanText } from "./scan";
import { isDigit, JsonReader, memberBase, offsetOf, State } from "./state";

/** Bytes that must lie behind the beginning of a token. A name, its quotes and the colon are at most 18, a number 40, a word 5. */
export const RUN_BYTES: usize = 64;
const NUMBER_BYTES_MAX: usize = 40;
/** Escapes of a string that are read one by one before blocks are tried, and how often those may come to little. */
const ESCAPES_MIN: u32 = 3;
const MISSES_MAX: u32 = 3;

/** Whether the fast machine can go on here, in a container whose tokens nobody wants: between two tokens, in front of enough bytes. */
export function canRun(reader: JsonReader, at: usize, end: usize): bool {
  return u32(reader.state) - State.KeyOrClose <= 5 && end - at >= RUN_BYTES;
}

/** Runs from `from` on; gives the first byte that it leaves to the byte machine, with the reader in the state in which that begins. */
export function runTokens(reader: JsonReader, from: usize, end: usize): usize {
  // INVARIANT: at <= last implies that RUN_BYTES bytes from `at` on lie before `end`; every load below stands within them.
  const last = end - RUN_BYTES;
  const floor = reader.reportDepth + 1;
  const members = reader.members;
  let at = from;
  let state = reader.state;
  let depth = reader.depth;
  let kinds = reader.kinds;
  let base = (kinds & 1) != 0 ? memberBase(reader, depth - 1) : 0;

  while (at <= last) {
    const byte = u32(load<u8>(at));
    if (byte <= 0x20) {
      if (!isSpace(byte)) break;
      at = scanSpace(at + 1, end);
      continue;
    }
    // What goes on behind these ifs ends a container.
    if (state == State.Value || state == State.ValueOrClose) {
      if (byte == 0x22) {
        const to = endOfString(at + 1, end, last);
        // SAFETY: to < end.
        if (to == end || load<u8>(to) != 0x22) {
          // The byte machine goes on in the middle of it.
          reader.tokenStart = offsetOf(reader, at);
          reader.stringIsKey = false;
          reader.textBytes = 0;
          state = State.StringBody;
          at = to;
          break;
        }
        at = to + 1;
        state = State.CommaOrClose;
        continue;
      }
      if (byte == 0x7b || byte == 0x5b) {
        if (depth == reader.depthMax) break;
        // SAFETY: depth < depthMax, the length of this array.
        store<u32>(reader.memberBases + (usize(depth) << 2), members.entries);
        base = members.entries;
        kinds = (kinds << 1) | u64(byte == 0x7b);
        depth++;
        state = byte == 0x7b ? State.KeyOrClose : State.ValueOrClose;
        at++;
        continue;
      }
      if (byte != 0x5d || state == State.Value) {
        const to = endOfScalar(at, byte);
        if (to == 0) break;
        at = to;
        state = State.CommaOrClose;
        continue;
      }
    } else if (state == State.CommaOrClose) {
      const isObject = (kinds & 1) != 0;
      if (byte == 0x2c) {
        state = isObject ? State.Key : State.Value;
        at++;
        continue;
      }
      if (byte != (isObject ? 0x7d : 0x5d)) break;
    } else if (state == State.Colon) {
      if (byte != 0x3a) break;
      state = State.Value;
      at++;
      continue;
    } else if (byte != 0x7d || state == State.Key) {
      if (byte != 0x22) break;
      const bytes = plainBytes(at + 1);
      // The same names have the short hash here and in members.ts: a bound of its own could hide a duplicate.
      if (bytes > SHORT_BYTES_MAX || load<u8>(at + 1 + bytes) != 0x22) break;
      if (members.entries - base == reader.membersMax || members.entries == reader.openMembersMax) break;
      if (bytes > reader.keyBytesMax) break;
      const low = load<u64>(at, 1) & maskOf(bytes);
      const high = bytes <= 8 ? 0 : load<u64>(at, 9) & maskOf(bytes - 8);
      // One that is there already is found once more by the byte machine.
      if (!addHash(members, shortHash(low, high, depth - 1))) break;
      at += bytes + 2;
      state = State.Colon;
      if (load<u8>(at) == 0x3a) {
        state = State.Value;
        at++;
      }
      continue;
    }

    if (depth == floor) break;
    if ((kinds & 1) != 0) dropMembers(members, base);
    kinds >>= 1;
    depth--;
    if ((kinds & 1) != 0) base = memberBase(reader, depth - 1);
    state = State.CommaOrClose;
    at++;
  }
  reader.state = state;
  reader.depth = depth;
  reader.kinds = kinds;
  return at;
}

/** Ones over the first `bytes` bytes of a word. */
function maskOf(bytes: u32): u64 {
  return bytes >= 8 ? u64.MAX_VALUE : (u64(1) << u64(bytes << 3)) - 1;
}

/**
 * The closing quote of the string whose text begins at `from`; or a byte that is left to the byte machine, between two characters of
 * the text; at most `end`. Behind `last` no escape is looked at.
 */
export function endOfString(from: usize, end: usize, last: usize): usize {
  let at = from;
  let escapes: u32 = 0;
  let misses: u32 = 0;
  while (true) {
    at = scanText(at, end);
    // SAFETY: at <= last.
    if (at > last || load<u8>(at) != 0x5c) return at;
    // A few are read faster one by one, and so are those between characters above ASCII.
    if (escapes >= ESCAPES_MIN && misses < MISSES_MAX) {
      const to = scanEscapes(at, end);
      if (to - at < 32) misses++;
      if (to != at) {
        at = to;
        continue;
      }
    }
    const bytes = escapeBytes(at);
    if (bytes == 0) return at;
    at += bytes;
    escapes++;
  }
}

/** Bytes of the escape at `at` (RFC 8259 section 7), of both halves of a surrogate pair; 0 when it is none. 12 bytes are there. */
function escapeBytes(at: usize): u32 {
  // SAFETY: the caller has 12 bytes at `at`.
  switch (u32(load<u8>(at, 1))) {
    case 0x22:
    case 0x2f:
    case 0x5c:
    case 0x62:
    case 0x66:
    case 0x6e:
    case 0x72:
    case 0x74:
      return 2;
    case 0x75: {
      const unit = hexUnit(at + 2);
      if (unit > 0xffff) return 0;
      if (unit < 0xd800 || unit > 0xdfff) return 6;
      if (unit > 0xdbff || load<u16>(at, 6) != 0x755c) return 0;
      const partner = hexUnit(at + 8);
      return partner >= 0xdc00 && partner <= 0xdfff ? 12 : 0;
    }
    default:
      return 0;
  }
}

/** What four hexadecimal digits say; more than 0xffff when they are none. */
function hexUnit(at: usize): u32 {
  let unit: u32 = 0;
  for (let i: u32 = 0; i < 4; i++) {
    const byte = u32(load<u8>(at + i)); // SAFETY: the caller has four bytes there.
    const letter = (byte | 0x20) - 0x61;
    if (isDigit(byte)) unit = (unit << 4) | (byte - 0x30);
    else if (letter < 6) unit = (unit << 4) | (letter + 10);
    else return u32.MAX_VALUE;
  }
  return unit;
}

/** Behind the number or the word at `at`, whose first byte is `byte`; 0 when it is none, or longer than can be looked at. */
function endOfScalar(at: usize, byte: u32): usize {
  // SAFETY: the caller has RUN_BYTES bytes at `at`.
  if (isDigit(byte) || byte == 0x2d) return endOfNumber(at, byte);
  if (byte == 0x74) return load<u32>(at) == 0x65757274 ? at + 4 : 0;
  if (byte == 0x6e) return load<u32>(at) == 0x6c6c756e ? at + 4 : 0;
  return byte == 0x66 && load<u32>(at, 1) == 0x65736c61 ? at + 5 : 0;
}

function endOfNumber(from: usize, first: u32): usize {
  // SAFETY: no load stands more than NUMBER_BYTES_MAX + 3 behind `from`.
  const limit = from + NUMBER_BYTES_MAX;
  let at = from;
  let byte = first;
  if (byte == 0x2d) byte = u32(load<u8>(++at));
  if (!isDigit(byte)) return 0;
  const isZero = byte == 0x30;
  byte = u32(load<u8>(++at));
  if (!isZero) {
    while (isDigit(byte) && at < limit) byte = u32(load<u8>(++at));
  }
  if (byte == 0x2e) {
    byte = u32(load<u8>(++at));
    if (!isDigit(byte)) return 0;
    while (isDigit(byte) && at < limit) byte = u32(load<u8>(++at));
  }
  if ((byte | 0x20) == 0x65) {
    byte = u32(load<u8>(++at));
    if (byte == 0x2b || byte == 0x2d) byte = u32(load<u8>(++at));
    if (!isDigit(byte)) return 0;
    while (isDigit(byte) && at < limit) byte = u32(load<u8>(++at));
  }
  return at < limit ? at : 0;
}
