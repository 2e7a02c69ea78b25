// How like a member name is to one of ours.
//
// A near name differs in its bytes and is equal once letter case, Unicode folding to ASCII (U+017F to s, U+212A to k) and
// surrounding white space and controls are taken away. Readers that fold would take it for the member itself, ours does not.

import { asciiLower, equalsLiteral, Literal, literalByte, literalBytes } from "../memory/bytes";

export const enum Likeness {
  Other,
  Near,
  Same,
}

/**
 * Bytes of the shortest name that the `bytes` bytes at `address` can be like. From printable ASCII nothing can be folded or trimmed away, so
 * that nearly every name has to be compared with those of its own length only.
 */
export function leastBytes(address: usize, bytes: u32): u32 {
  for (let i: u32 = 0; i < bytes; i++) {
    // SAFETY: i < bytes, the caller's range.
    if (u32(load<u8>(address + i)) - 0x21 >= 0x5e) return 0;
  }
  return bytes;
}

/** How like the `bytes` bytes at `address` are to `text`. */
export function likenessOf(address: usize, bytes: u32, text: Literal): Likeness {
  // Nothing that is near is shorter than the name itself: folding and trimming only take bytes away.
  if (bytes < literalBytes(text)) return Likeness.Other;
  if (equalsLiteral(address, bytes, text)) return Likeness.Same;
  return isNear(address, bytes, text) ? Likeness.Near : Likeness.Other;
}

/** Whether the range equals `text` after folding both. */
function isNear(address: usize, bytes: u32, text: Literal): bool {
  let at = address;
  let end = address + bytes;
  // SAFETY: all loads stand between address and address + bytes.
  while (at < end && u32(load<u8>(at)) <= 0x20) at++;
  while (end > at && u32(load<u8>(end - 1)) <= 0x20) end--;
  const wanted = literalBytes(text);
  for (let i: u32 = 0; i < wanted; i++) {
    if (at >= end) return false;
    let byte = u32(load<u8>(at++));
    if (byte == 0xc5 && at < end && u32(load<u8>(at)) == 0xbf) {
      byte = 0x73; // U+017F, long s
      at += 1;
    } else if (byte == 0xe2 && at + 1 < end && u32(load<u8>(at)) == 0x84 && u32(load<u8>(at + 1)) == 0xaa) {
      byte = 0x6b; // U+212A, Kelvin sign
      at += 2;
    }
    if (asciiLower(byte) != asciiLower(literalByte(text, i))) return false;
  }
  return at == end;
}
