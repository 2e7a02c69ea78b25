// Text built in a fixed block: refusals, log lines, metric names, configuration errors. What does not fit is left out
// and `overflowed` says so; nothing is ever written past the block.

import { Literal, literalByte, literalBytes } from "./bytes";
import { isPlainInJson, shortEscape } from "./json-escape";

@unmanaged
export class Writer {
  /** Address of the block; owned by whoever allocated the writer. */
  start: usize;
  /** Bytes written. INVARIANT: length <= capacity. */
  length: u32;
  /** Bytes of the block. */
  capacity: u32;
  /** Whether something was left out. */
  overflowed: bool;
}

/** A writer with a block of `capacity` bytes behind it, to be freed with `heap.free(changetype<usize>(writer))`. */
export function allocateWriter(capacity: u32): Writer {
  const address = heap.alloc(offsetof<Writer>() + capacity);
  const writer = changetype<Writer>(address);
  writer.start = address + offsetof<Writer>();
  writer.capacity = capacity;
  clear(writer);
  return writer;
}

/** Forgets what was written. */
export function clear(writer: Writer): void {
  writer.length = 0;
  writer.overflowed = false;
}

/** The same for a secret: nothing of it stays. */
export function wipe(writer: Writer): void {
  memory.fill(writer.start, 0, writer.length);
  clear(writer);
}

/** Appends one byte. */
export function writeByte(writer: Writer, byte: u32): void {
  const length = writer.length;
  if (length >= writer.capacity) {
    writer.overflowed = true;
    return;
  }
  // SAFETY: length < capacity.
  store<u8>(writer.start + length, byte);
  writer.length = length + 1;
}

/** Appends the `bytes` bytes at `address` as they are. */
export function writeBytes(writer: Writer, address: usize, bytes: u32): void {
  const room = writer.capacity - writer.length;
  if (bytes > room) {
    writer.overflowed = true;
    bytes = room;
  }
  memory.copy(writer.start + writer.length, address, bytes);
  writer.length += bytes;
}

/** Appends an ASCII text of this source. */
export function writeLiteral(writer: Writer, text: Literal): void {
  const bytes = literalBytes(text);
  for (let i: u32 = 0; i < bytes; i++) writeByte(writer, literalByte(text, i));
}

/** Appends `value` in decimal. */
export function writeNumber(writer: Writer, value: u64): void {
  let divisor: u64 = 1;
  while (value / divisor >= 10) divisor *= 10;
  while (divisor > 0) {
    writeByte(writer, 0x30 + u32((value / divisor) % 10));
    divisor /= 10;
  }
}

/** Appends the low `digits` hexadecimal digits of `value`, in lower case. */
export function writeHex(writer: Writer, value: u64, digits: u32): void {
  while (digits > 0) {
    digits--;
    const digit = u32((value >> (u64(digits) << 2)) & 15);
    writeByte(writer, digit < 10 ? 0x30 + digit : 0x57 + digit);
  }
}

/**
 * Appends a text of the network so that it stays inside a JSON string (RFC 8259 section 7), a log line and a terminal: `"`, `\`,
 * controls, DEL and everything above ASCII become `\uxxxx`, with two of them for a character above U+FFFF. A byte that belongs to no
 * UTF-8 sequence is written as the character with its number. At most `limit` bytes are taken.
 */
export function writeEscaped(writer: Writer, address: usize, bytes: u32, limit: u32): void {
  writeEscapedWithin(writer, address, min(bytes, limit), u32.MAX_VALUE);
}

/** The same in at most `room` characters, none of them a part of an escape. False when the text did not fit. */
export function writeEscapedWithin(writer: Writer, address: usize, bytes: u32, room: u32): bool {
  const end = address + bytes;
  let at = address;
  while (at < end) {
    // SAFETY: at < end.
    const byte = u32(load<u8>(at));
    if (byte >= 0x20 && byte < 0x7f && byte != 0x22 && byte != 0x5c) {
      if (room == 0) return false;
      room--;
      writeByte(writer, byte);
      at++;
      continue;
    }
    const length = sequenceBytes(at, end);
    const point = length < 2 ? byte : pointAt(at, length);
    const taken: u32 = point > 0xffff ? 12 : 6;
    if (room < taken) return false;
    room -= taken;
    if (point > 0xffff) {
      writeUnit(writer, 0xd800 + ((point - 0x10000) >> 10));
      writeUnit(writer, 0xdc00 + ((point - 0x10000) & 0x3ff));
    } else {
      writeUnit(writer, point);
    }
    at += length;
  }
  return true;
}

function writeUnit(writer: Writer, unit: u32): void {
  writeLiteral(writer, "\\u");
  writeHex(writer, unit, 4);
}

/** Bytes of the UTF-8 sequence at `at`; 1 where there is none that is whole. */
function sequenceBytes(at: usize, end: usize): u32 {
  // SAFETY: at < end, and every further load is checked to stand before it.
  const lead = u32(load<u8>(at));
  const length: u32 = lead < 0xc2 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 1;
  if (length > u32(end - at)) return 1;
  for (let i: u32 = 1; i < length; i++) {
    if (u32(load<u8>(at + i)) >> 6 != 2) return 1;
  }
  return length;
}

/** The character that a sequence of `length` bytes encodes. */
function pointAt(at: usize, length: u32): u32 {
  // SAFETY: the caller has found the whole sequence.
  let point = u32(load<u8>(at)) & (0x7f >> length);
  for (let i: u32 = 1; i < length; i++) point = (point << 6) | (u32(load<u8>(at + i)) & 0x3f);
  return point;
}

/** Appends a JSON string of well-formed UTF-8 in the one spelling of RFC 8785 section 3.2.2.2. */
export function writeJsonString(writer: Writer, address: usize, bytes: u32): void {
  writeByte(writer, 0x22);
  // SAFETY: i < bytes, the caller's range.
  for (let i: u32 = 0; i < bytes; i++) writeJsonByte(writer, u32(load<u8>(address + i)));
  writeByte(writer, 0x22);
}

/** Appends one byte of such a string. */
export function writeJsonByte(writer: Writer, byte: u32): void {
  if (isPlainInJson(byte)) {
    writeByte(writer, byte);
    return;
  }
  const letter = shortEscape(byte);
  if (letter != 0) {
    writeByte(writer, 0x5c);
    writeByte(writer, letter);
  } else {
    writeLiteral(writer, "\\u00");
    writeHex(writer, byte, 2);
  }
}
