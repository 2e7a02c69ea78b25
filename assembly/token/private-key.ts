// A private key as a variable of the environment has it: PEM of PKCS#8 (RFC 7468 section 10), its line breaks as they are or written as `\n`, or the base64 of
// the same DER without anything around it.

import { base64Value } from "../memory/base64";
import { equalsLiteral, Literal, literalBytes } from "../memory/bytes";

const BEGIN: Literal = "-----BEGIN PRIVATE KEY-----";
const END: Literal = "-----END PRIVATE KEY-----";
/** SEQUENCE, and a length of two bytes behind it; or of one, which is in the byte itself or behind 0x81. */
const DER_SEQUENCE: u32 = 0x30;
const PADDING: u32 = 0x3d;

/**
 * Decodes the key in the `bytes` bytes at `address` where it stands. How many bytes of DER stand there then; 0 when it is none: then nobody knows what stands
 * there. What kind of key it is the one finds out who signs with it.
 */
export function privateKey(address: usize, bytes: u32): u32 {
  const end = address + bytes;
  const from = behindBlank(address, end);
  const to = beforeBlank(from, end);
  const begin = literalBytes(BEGIN);
  const tail = literalBytes(END);
  const length = u32(to - from);
  if (length <= begin + tail || !equalsLiteral(from, begin, BEGIN)) return decoded(from, length, address);
  if (!equalsLiteral(to - tail, tail, END)) return 0;
  return decoded(from + begin, length - begin - tail, address);
}

/** Decodes base64 (RFC 4648 section 4) with blanks between its characters; bytes of the DER, or 0. What is written stands in front of what is read. */
function decoded(from: usize, bytes: u32, to: usize): u32 {
  const end = from + bytes;
  let at = from;
  let held: u32 = 0;
  let bits: u32 = 0;
  let written: u32 = 0;
  let characters: u32 = 0;
  let padding: u32 = 0;
  while (at < end) {
    const next = behindBlank(at, end);
    if (next != at) {
      at = next;
      continue;
    }
    const byte = u32(load<u8>(at)); // SAFETY: at < end.
    at++;
    characters++;
    if (byte == PADDING) {
      padding++;
      continue;
    }
    const value = base64Value(byte);
    if (value == 64 || padding != 0) return 0;
    held = (held << 6) | value;
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    store<u8>(to + written, held >> bits); // SAFETY: each byte comes from more than one that was read, which stand at `to` or behind it.
    written++;
    held &= (1 << bits) - 1;
  }
  if ((characters & 3) != 0 || padding > 2 || held != 0) return 0;
  return isDer(to, written) ? written : 0;
}

/** Whether the range is one SEQUENCE to its end (X.690 section 8.1.3), with a length of two bytes or one. */
function isDer(address: usize, bytes: u32): bool {
  if (bytes < 4) return false;
  const tag = u32(load<u8>(address)); // SAFETY: four bytes are there, in all of these.
  const first = u32(load<u8>(address, 1));
  const second = u32(load<u8>(address, 2));
  const third = u32(load<u8>(address, 3));
  if (tag != DER_SEQUENCE) return false;
  if (first < 0x80) return first + 2 == bytes;
  if (first == 0x81) return second + 3 == bytes;
  return first == 0x82 && ((second << 8) | third) + 4 == bytes;
}

/** The first byte from `at` on that is no blank, and no line break that is written out. */
function behindBlank(at: usize, end: usize): usize {
  while (at < end) {
    // SAFETY: at < end, and the second load stands before it too.
    if (isBlank(u32(load<u8>(at)))) at++;
    else if (load<u8>(at) == 0x5c && at + 1 < end && load<u8>(at, 1) == 0x6e) at += 2;
    else return at;
  }
  return end;
}

/** The end of what stands in front of the blanks at the end. */
function beforeBlank(from: usize, end: usize): usize {
  while (end > from) {
    // SAFETY: from < end; the second load stands behind `from` too.
    if (isBlank(u32(load<u8>(end - 1)))) end--;
    else if (end - from > 1 && load<u8>(end - 1) == 0x6e && load<u8>(end - 2) == 0x5c) end -= 2;
    else return end;
  }
  return end;
}

function isBlank(byte: u32): bool {
  return byte == 0x20 || byte - 0x09 < 5;
}
