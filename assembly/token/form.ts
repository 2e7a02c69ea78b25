// Form encoding: how a request to a token endpoint is written (RFC 6749 appendix B), as the URL standard has it (section 5.2): a space is `+`, letters, digits
// and `*-._` are themselves, all else is `%xx`.

import { appendByte, Buffer } from "../memory/buffer";
import { Literal, literalByte, literalBytes } from "../memory/bytes";

/** Appends the `bytes` bytes at `address`, encoded. */
export function appendEncoded(to: Buffer, address: usize, bytes: u32): void {
  // SAFETY: i < bytes, the caller's range.
  for (let i: u32 = 0; i < bytes; i++) appendEncodedByte(to, u32(load<u8>(address + i)));
}

/** Appends a field with a value of `bytes` bytes; nothing when there are none. */
export function appendField(to: Buffer, name: Literal, address: usize, bytes: u32): void {
  if (bytes == 0) return;
  beginField(to, name);
  appendEncoded(to, address, bytes);
}

/** The same with a text of this source. */
export function appendLiteralField(to: Buffer, name: Literal, value: Literal): void {
  beginField(to, name);
  const bytes = literalBytes(value);
  for (let i: u32 = 0; i < bytes; i++) appendEncodedByte(to, literalByte(value, i));
}

/** The same with word `index` of a text of this source, whose words have one space between them. */
export function appendWordField(to: Buffer, name: Literal, words: Literal, index: u32): void {
  beginField(to, name);
  const bytes = literalBytes(words);
  let word: u32 = 0;
  for (let i: u32 = 0; i < bytes && word <= index; i++) {
    const byte = literalByte(words, i);
    if (byte == 0x20) word++;
    else if (word == index) appendEncodedByte(to, byte);
  }
}

/** Names are of this source, and need no encoding. */
function beginField(to: Buffer, name: Literal): void {
  if (to.length != 0) appendByte(to, 0x26);
  const bytes = literalBytes(name);
  for (let i: u32 = 0; i < bytes; i++) appendByte(to, literalByte(name, i));
  appendByte(to, 0x3d);
}

function appendEncodedByte(to: Buffer, byte: u32): void {
  const isPlain = (byte | 0x20) - 0x61 < 26 || byte - 0x30 < 10 || byte == 0x2a || byte - 0x2d < 2 || byte == 0x5f;
  if (isPlain) {
    appendByte(to, byte);
  } else if (byte == 0x20) {
    appendByte(to, 0x2b);
  } else {
    appendByte(to, 0x25);
    appendByte(to, hexDigit(byte >> 4));
    appendByte(to, hexDigit(byte & 15));
  }
}

function hexDigit(value: u32): u32 {
  return value < 10 ? 0x30 + value : 0x37 + value;
}
