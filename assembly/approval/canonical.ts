// The one spelling of a JSON value that a call's digest is made of, and that people are shown: schema/canonical-arguments.md. Members sorted, no
// white space, one escape for each character, numbers as they came.
//
// The text has been accepted by the JSON reader, and is read again here without trust in that: what is malformed after all ends the walk. UTF-8
// alone is not looked at a second time; bytes above ASCII are copied. No value becomes longer than it was: an escape is never longer than any
// other spelling of its character.

import { isSpace } from "../json/scan";
import { APPROVAL_ARGUMENTS_BYTES_MAX, DEPTH_MAX } from "../limits";
import {
  appendByte,
  appendBytes,
  appendJsonByte,
  appendLiteral,
  appendZeros,
  Buffer,
  emptyBuffer,
} from "../memory/buffer";
import { equalsLiteral, Literal, literalByte, literalBytes } from "../memory/bytes";
import { isPlainInJson } from "../memory/json-escape";

/** Where the walk stands in the grammar of RFC 8259. */
const enum Place {
  /** A value has to come. */
  Value,
  /** Behind `[`: an element or `]`. */
  ElementOrClose,
  /** Behind `{`: a name or `}`. */
  NameOrClose,
  /** Behind a comma in an object. */
  Name,
  /** Behind a name. */
  Colon,
  /** Behind an element or a member. */
  Separator,
  /** Behind the root value: nothing but white space. */
  Done,
  /** Something else stood there. */
  Failed,
}

/** A member of an object that is open. */
@unmanaged
class Member {
  /** Offsets in the canonical text: of the quote in front of its name, and behind its value. */
  start: u32;
  end: u32;
  /** Offset in `names` of its unescaped name, and the length of that. */
  nameOffset: u32;
  nameBytes: u32;
}

/** No character has this number: a fault in an escape. */
const NO_POINT: u32 = u32.MAX_VALUE;

// Scratch of one call, emptied at its end. Each member takes at least the four bytes `"":0` of the input, so none of it can outgrow a multiple
// of APPROVAL_ARGUMENTS_BYTES_MAX.

/** The members of all open objects, the outermost object's first. */
const members: Buffer = changetype<Buffer>(memory.data(offsetof<Buffer>(), 8));
/** Unescaped names, of all members so far. */
const names: Buffer = changetype<Buffer>(memory.data(offsetof<Buffer>(), 8));
/** Indices of the members of the object that closes, twice: in the order so far, and in the one that is being made. */
const order: Buffer = changetype<Buffer>(memory.data(offsetof<Buffer>(), 8));
/** The members' texts in the order in which they came. */
const unsorted: Buffer = changetype<Buffer>(memory.data(offsetof<Buffer>(), 8));
/** Per open container: the index of its first member. */
const firstMembers: usize = memory.data(4 * (DEPTH_MAX + 1), 4);

let cursor: usize = 0;
let end: usize = 0;
/** INVARIANT: depth <= DEPTH_MAX. */
let depth: u32 = 0;
/** One bit for each open container, the innermost lowest: 1 for an object. */
let objects: u64 = 0;
/** How many members of open objects there are. */
let memberCount: u32 = 0;
/** The name of the root's member that is left out. */
let leftOut: Literal = "";
/** Whether the walk is in that member, where its text began in the output, and whether it has been met. */
let isInLeftOut = false;
let leftOutFrom: u32 = 0;
let hasLeftOut = false;

/**
 * Appends to `out` the canonical text of the JSON value of `bytes` bytes at `at`, which lie outside of it.
 * @param without the name of a member of the root object that is left out; "" for none.
 * @returns false, with `out` as it was, when the value is over APPROVAL_ARGUMENTS_BYTES_MAX, or was not one that the JSON reader accepts.
 */
export function canonicalise(at: usize, bytes: u32, without: Literal, out: Buffer): bool {
  if (bytes > APPROVAL_ARGUMENTS_BYTES_MAX) return false;
  const before = out.length;
  cursor = at;
  end = at + bytes;
  depth = 0;
  objects = 0;
  memberCount = 0;
  leftOut = without;
  isInLeftOut = false;
  hasLeftOut = false;
  const isWhole = walk(out);
  emptyBuffer(members);
  emptyBuffer(names);
  emptyBuffer(order);
  emptyBuffer(unsorted);
  if (!isWhole) out.length = before;
  return isWhole;
}

/** Whether a canonical text is the empty object. */
export function isEmptyObject(at: usize, bytes: u32): bool {
  return equalsLiteral(at, bytes, "{}");
}

/** Each round takes at least one byte of the input, or is the last one. */
function walk(out: Buffer): bool {
  let place = Place.Value;
  while (true) {
    skipSpace();
    if (cursor == end) return place == Place.Done;
    const byte = peek();
    switch (place) {
      case Place.Value:
        place = takeValue(byte, out);
        break;
      case Place.ElementOrClose:
        place = byte == 0x5d ? takeClose(byte, out) : takeValue(byte, out);
        break;
      case Place.NameOrClose:
        place = byte == 0x7d ? takeClose(byte, out) : takeName(byte, out);
        break;
      case Place.Name:
        place = takeName(byte, out);
        break;
      case Place.Colon:
        place = takeColon(byte, out);
        break;
      case Place.Separator:
        place = byte == 0x2c ? takeComma(out) : takeClose(byte, out);
        break;
      default:
        return false;
    }
  }
}

function takeValue(byte: u32, out: Buffer): Place {
  switch (byte) {
    case 0x7b:
    case 0x5b:
      return takeOpen(byte, out);
    case 0x22:
      appendByte(out, 0x22);
      if (!takeText(out, true)) return Place.Failed;
      appendByte(out, 0x22);
      return behindValue(out);
    case 0x74:
      return takeWord("true", out);
    case 0x66:
      return takeWord("false", out);
    case 0x6e:
      return takeWord("null", out);
    default:
      return takeNumber(out) ? behindValue(out) : Place.Failed;
  }
}

function takeOpen(byte: u32, out: Buffer): Place {
  if (depth == DEPTH_MAX) return Place.Failed;
  cursor++;
  appendByte(out, byte);
  depth++;
  const isObject = byte == 0x7b;
  objects = (objects << 1) | u64(isObject);
  store<u32>(firstMembers + (usize(depth) << 2), memberCount); // SAFETY: depth <= DEPTH_MAX.
  return isObject ? Place.NameOrClose : Place.ElementOrClose;
}

function takeClose(byte: u32, out: Buffer): Place {
  if (byte != (isInObject() ? 0x7d : 0x5d)) return Place.Failed;
  cursor++;
  const first = firstMember();
  if (!sortMembers(first, memberCount - first, out)) return Place.Failed;
  memberCount = first;
  members.length = first * offsetof<Member>();
  depth--;
  objects >>= 1;
  appendByte(out, byte);
  return behindValue(out);
}

function takeName(byte: u32, out: Buffer): Place {
  if (byte != 0x22) return Place.Failed;
  const nameOffset = names.length;
  if (!takeText(names, false)) return Place.Failed;
  const nameBytes = names.length - nameOffset;
  if (depth == 1 && literalBytes(leftOut) != 0 && equalsLiteral(names.at + nameOffset, nameBytes, leftOut)) {
    // Which of two would count, nobody can say.
    if (hasLeftOut) return Place.Failed;
    hasLeftOut = true;
    isInLeftOut = true;
    leftOutFrom = out.length;
    return Place.Colon;
  }
  if (memberCount != firstMember()) appendByte(out, 0x2c);
  appendZeros(members, offsetof<Member>());
  const member = memberAt(memberCount);
  memberCount++;
  member.start = out.length;
  member.nameOffset = nameOffset;
  member.nameBytes = nameBytes;
  appendByte(out, 0x22);
  // SAFETY: the name stands in `names`, which nothing here appends to.
  for (let i: u32 = 0; i < nameBytes; i++) appendJsonByte(out, u32(load<u8>(names.at + nameOffset + i)));
  appendByte(out, 0x22);
  return Place.Colon;
}

function takeColon(byte: u32, out: Buffer): Place {
  if (byte != 0x3a) return Place.Failed;
  cursor++;
  appendByte(out, 0x3a);
  return Place.Value;
}

/** In an object the comma is written with the next member, which may be the one that is left out. */
function takeComma(out: Buffer): Place {
  cursor++;
  if (isInObject()) return Place.Name;
  appendByte(out, 0x2c);
  return Place.Value;
}

function behindValue(out: Buffer): Place {
  if (depth == 0) return Place.Done;
  if (depth == 1 && isInLeftOut) {
    isInLeftOut = false;
    out.length = leftOutFrom;
  } else if (isInObject()) {
    memberAt(memberCount - 1).end = out.length;
  }
  return Place.Separator;
}

function isInObject(): bool {
  return (objects & 1) != 0;
}

/** Index of the first member of the innermost container, as many as there are when it has none. */
function firstMember(): u32 {
  return load<u32>(firstMembers + (usize(depth) << 2)); // SAFETY: depth <= DEPTH_MAX.
}

function memberAt(index: u32): Member {
  return changetype<Member>(members.at + usize(index) * offsetof<Member>());
}

// --- Strings, numbers, words. ---

/** Takes a string, whose quote is next, into `to`: its bytes, or with `isWritten` their canonical spelling. False at a fault. */
function takeText(to: Buffer, isWritten: bool): bool {
  cursor++;
  while (true) {
    const start = cursor;
    while (cursor < end && isPlainInJson(peek())) cursor++;
    appendBytes(to, start, u32(cursor - start));
    const byte = peek();
    if (byte == 0x22) {
      cursor++;
      return true;
    }
    // A control, or the end of the input.
    if (byte != 0x5c) return false;
    const point = takeEscape();
    if (point == NO_POINT) return false;
    if (isWritten && point < 0x80) appendJsonByte(to, point);
    else appendPoint(to, point);
  }
}

/** Takes an escape, or the two of a surrogate pair: the number of the character (RFC 8259 section 7), NO_POINT at a fault. */
function takeEscape(): u32 {
  cursor++;
  const letter = peek();
  if (letter == 0) return NO_POINT;
  cursor++;
  switch (letter) {
    case 0x22:
    case 0x5c:
    case 0x2f:
      return letter;
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
    case 0x75:
      return takePoint();
    default:
      return NO_POINT;
  }
}

/** Behind `\u`. */
function takePoint(): u32 {
  const unit = takeUnit();
  if (unit == NO_POINT || unit >> 11 != 0x1b) return unit;
  if (unit >= 0xdc00 || !takeByte(0x5c) || !takeByte(0x75)) return NO_POINT;
  const low = takeUnit();
  if (low >> 10 != 0x37) return NO_POINT;
  return 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
}

/** Four hexadecimal digits. */
function takeUnit(): u32 {
  let unit: u32 = 0;
  for (let i = 0; i < 4; i++) {
    const byte = peek();
    const letter = (byte | 0x20) - 0x61;
    if (byte - 0x30 < 10) unit = (unit << 4) | (byte - 0x30);
    else if (letter < 6) unit = (unit << 4) | (letter + 10);
    else return NO_POINT;
    cursor++;
  }
  return unit;
}

/** RFC 8259 section 6. What may follow is for the container to say. */
function takeNumber(out: Buffer): bool {
  const start = cursor;
  takeByte(0x2d);
  if (!takeByte(0x30) && !takeDigits()) return false;
  if (takeByte(0x2e) && !takeDigits()) return false;
  if (takeByte(0x65) || takeByte(0x45)) {
    if (!takeByte(0x2b)) takeByte(0x2d);
    if (!takeDigits()) return false;
  }
  appendBytes(out, start, u32(cursor - start));
  return true;
}

function takeDigits(): bool {
  const start = cursor;
  while (peek() - 0x30 < 10) cursor++;
  return cursor != start;
}

function takeWord(word: Literal, out: Buffer): Place {
  for (let i: u32 = 0; i < literalBytes(word); i++) {
    if (!takeByte(literalByte(word, i))) return Place.Failed;
  }
  appendLiteral(out, word);
  return behindValue(out);
}

/** Takes the next byte if it is this one. */
function takeByte(byte: u32): bool {
  if (peek() != byte) return false;
  cursor++;
  return true;
}

/** The next byte; 0 at the end, which no rule here takes. */
function peek(): u32 {
  if (cursor >= end) return 0;
  return u32(load<u8>(cursor)); // SAFETY: cursor < end, the caller's range.
}

function skipSpace(): void {
  while (isSpace(peek())) cursor++;
}

/** Appends a character above ASCII in UTF-8 (RFC 3629 section 3), and one of ASCII as it is. */
function appendPoint(to: Buffer, point: u32): void {
  if (point < 0x80) {
    appendByte(to, point);
    return;
  }
  if (point < 0x800) {
    appendByte(to, 0xc0 | (point >> 6));
  } else {
    if (point < 0x10000) {
      appendByte(to, 0xe0 | (point >> 12));
    } else {
      appendByte(to, 0xf0 | (point >> 18));
      appendByte(to, 0x80 | ((point >> 12) & 0x3f));
    }
    appendByte(to, 0x80 | ((point >> 6) & 0x3f));
  }
  appendByte(to, 0x80 | (point & 0x3f));
}

// --- The order of members. ---

/**
 * Puts the texts of the `count` members from `first` on, which end the output, into the order of their names; in an array there are none. False
 * when two names are the same.
 * Copies each byte once for each object that it is in: at most DEPTH_MAX times.
 */
function sortMembers(first: u32, count: u32, out: Buffer): bool {
  if (isSorted(first, count)) return true;
  const sorted = sortedOrder(first, count);
  if (sorted == 0) return false;
  const start = memberAt(first).start;
  emptyBuffer(unsorted);
  appendBytes(unsorted, out.at + start, out.length - start);
  let at = out.at + start;
  for (let i: u32 = 0; i < count; i++) {
    // SAFETY: `sorted` has `count` indices.
    const member = memberAt(load<u32>(sorted + (usize(i) << 2)));
    const bytes = member.end - member.start;
    // SAFETY: the same texts, with as many commas between them, in the room that they had.
    if (i != 0) store<u8>(at++, 0x2c);
    memory.copy(at, unsorted.at + (member.start - start), bytes);
    at += bytes;
  }
  return true;
}

/** As they are in what many clients send. */
function isSorted(first: u32, count: u32): bool {
  for (let i: u32 = 1; i < count; i++) {
    if (compareNames(first + i - 1, first + i) >= 0) return false;
  }
  return true;
}

/** Address of the members' indices in the order of their names; 0 when two are the same. Merges runs of 1, 2, 4 and so on. */
function sortedOrder(first: u32, count: u32): usize {
  emptyBuffer(order);
  appendZeros(order, count << 3);
  let from = order.at;
  let to = from + (usize(count) << 2);
  for (let i: u32 = 0; i < count; i++) setIndex(from, i, first + i);
  for (let width: u32 = 1; width < count; width <<= 1) {
    for (let start: u32 = 0; start < count; start += width << 1) {
      if (!merge(from, to, start, min(start + width, count), min(start + (width << 1), count))) return 0;
    }
    const other = from;
    from = to;
    to = other;
  }
  return from;
}

/** Merges the runs from `left` to `right` and from `right` to `stop`. False when two names are the same. */
function merge(from: usize, to: usize, left: u32, right: u32, stop: u32): bool {
  const middle = right;
  for (let at = left; at < stop; at++) {
    const difference = left == middle ? 1 : right == stop ? -1 : compareNames(index(from, left), index(from, right));
    if (difference == 0) return false;
    setIndex(to, at, difference < 0 ? index(from, left++) : index(from, right++));
  }
  return true;
}

function index(from: usize, at: u32): u32 {
  return load<u32>(from + (usize(at) << 2)); // SAFETY: `at` is below the number of members, as many as `from` has.
}

function setIndex(to: usize, at: u32, value: u32): void {
  store<u32>(to + (usize(at) << 2), value); // SAFETY: as above.
}

/** Below 0 when the name of the member `left` comes first, 0 when they are the same. By the bytes: in UTF-8 that is the order of the characters' numbers. */
function compareNames(left: u32, right: u32): i32 {
  const one = memberAt(left);
  const other = memberAt(right);
  const bytes = min(one.nameBytes, other.nameBytes);
  const oneAt = names.at + one.nameOffset;
  const otherAt = names.at + other.nameOffset;
  for (let i: u32 = 0; i < bytes; i++) {
    const difference = i32(load<u8>(oneAt + i)) - i32(load<u8>(otherAt + i)); // SAFETY: i is below the length of both.
    if (difference != 0) return difference;
  }
  return i32(one.nameBytes) - i32(other.nameBytes);
}
