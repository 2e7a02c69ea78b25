// Bytes that grow at one end and are taken away at both: what is held of a response until it may go out. Grows by doubling; a
// buffer that has grown large gives its block back when it is emptied, because streams live long.
//
// A buffer can stand for bytes of somebody else, so that what passes as it came is not copied. It copies them when anything is appended that
// does not stand behind them there; whoever changes bytes in place, or keeps them longer than their owner does, calls `ownBytes` before.

import { Literal, literalByte, literalBytes } from "./bytes";
import { isPlainInJson, shortEscape } from "./json-escape";

const FIRST_BYTES: u32 = 1024;
/** A block up to this size is kept for the next use. */
const KEPT_BYTES: u32 = 16 << 10;

@unmanaged
export class Buffer {
  /** Address of the bytes: of the block, which the buffer owns, or of lent ones, which are never written to; 0 when there are none. */
  at: usize;
  /** INVARIANT: length <= capacity, unless they are lent. */
  length: u32;
  /** Bytes of the block; 0 when there is none. */
  capacity: u32;
}

/** Makes the buffer empty and without a block; not for one that has been used. */
export function initBuffer(buffer: Buffer): void {
  buffer.at = 0;
  buffer.length = 0;
  buffer.capacity = 0;
}

/** Frees the block. */
export function freeBuffer(buffer: Buffer): void {
  if (buffer.capacity != 0) heap.free(buffer.at);
  initBuffer(buffer);
}

/** Forgets the bytes. */
export function emptyBuffer(buffer: Buffer): void {
  if (buffer.capacity > KEPT_BYTES || isLent(buffer)) freeBuffer(buffer);
  buffer.length = 0;
}

/** The same for a secret that the buffer owns: nothing of it stays. Not of one that has grown since it was empty (`reserveBytes`). */
export function wipeBuffer(buffer: Buffer): void {
  memory.fill(buffer.at, 0, buffer.length);
  emptyBuffer(buffer);
}

/** Makes room for `bytes` bytes more, so that appending them leaves no copy behind in a block that was too small. */
export function reserveBytes(buffer: Buffer, bytes: u32): void {
  reserve(buffer, bytes);
}

/**
 * Appends the `bytes` bytes at `address`, which lie outside the block; they stay there until the buffer has been emptied, or `ownBytes` has
 * been called.
 */
export function appendLent(buffer: Buffer, address: usize, bytes: u32): void {
  if (isLent(buffer) && buffer.at + buffer.length == address) {
    buffer.length += bytes;
  } else if (buffer.length == 0) {
    freeBuffer(buffer);
    buffer.at = address;
    buffer.length = bytes;
  } else {
    appendBytes(buffer, address, bytes);
  }
}

function isLent(buffer: Buffer): bool {
  return buffer.at != 0 && buffer.capacity == 0;
}

/** Copies bytes that are lent: from here on they may be changed, and last as long as the buffer. */
export function ownBytes(buffer: Buffer): void {
  if (isLent(buffer)) reserve(buffer, 0);
}

/** Appends the `bytes` bytes at `address`, which lie outside the buffer. */
export function appendBytes(buffer: Buffer, address: usize, bytes: u32): void {
  reserve(buffer, bytes);
  memory.copy(buffer.at + buffer.length, address, bytes);
  buffer.length += bytes;
}

/** Appends one byte. */
export function appendByte(buffer: Buffer, byte: u32): void {
  reserve(buffer, 1);
  // SAFETY: length < capacity after `reserve`.
  store<u8>(buffer.at + buffer.length, byte);
  buffer.length++;
}

/** Appends one byte of a JSON string in the spelling of RFC 8785 section 3.2.2.2. */
export function appendJsonByte(buffer: Buffer, byte: u32): void {
  if (isPlainInJson(byte)) {
    appendByte(buffer, byte);
    return;
  }
  appendByte(buffer, 0x5c);
  const letter = shortEscape(byte);
  if (letter != 0) {
    appendByte(buffer, letter);
    return;
  }
  appendLiteral(buffer, "u00");
  appendByte(buffer, 0x30 + (byte >> 4));
  const digit = byte & 15;
  appendByte(buffer, digit < 10 ? 0x30 + digit : 0x57 + digit);
}

/** Appends `bytes` bytes of 0. */
export function appendZeros(buffer: Buffer, bytes: u32): void {
  reserve(buffer, bytes);
  memory.fill(buffer.at + buffer.length, 0, bytes);
  buffer.length += bytes;
}

/** Appends an ASCII text of this source. */
export function appendLiteral(buffer: Buffer, text: Literal): void {
  const bytes = literalBytes(text);
  reserve(buffer, bytes);
  // SAFETY: `reserve` has made room for them.
  for (let i: u32 = 0; i < bytes; i++) store<u8>(buffer.at + buffer.length + i, literalByte(text, i));
  buffer.length += bytes;
}

/** Takes the first `bytes` bytes away; there are that many. */
export function dropHead(buffer: Buffer, bytes: u32): void {
  if (bytes == buffer.length) {
    emptyBuffer(buffer);
    return;
  }
  buffer.length -= bytes;
  if (isLent(buffer)) {
    buffer.at += bytes;
    return;
  }
  memory.copy(buffer.at, buffer.at + bytes, buffer.length);
}

/** Moves the first `bytes` bytes of `from` to the end of `to`, without copying them where all of them become all of it. */
export function moveHead(to: Buffer, from: Buffer, bytes: u32): void {
  if (to.length != 0 || bytes != from.length) {
    appendBytes(to, from.at, bytes);
    dropHead(from, bytes);
    return;
  }
  const at = to.at;
  const capacity = to.capacity;
  to.at = from.at;
  to.length = bytes;
  to.capacity = from.capacity;
  from.at = at;
  from.length = 0;
  from.capacity = capacity;
}

/** Makes room for `bytes` bytes more. */
function reserve(buffer: Buffer, bytes: u32): void {
  const wanted = buffer.length + bytes;
  if (wanted <= buffer.capacity) return;
  let capacity = max(buffer.capacity << 1, FIRST_BYTES);
  while (capacity < wanted) capacity <<= 1;
  const block = heap.alloc(capacity);
  memory.copy(block, buffer.at, buffer.length);
  if (buffer.capacity != 0) heap.free(buffer.at);
  buffer.at = block;
  buffer.capacity = capacity;
}
