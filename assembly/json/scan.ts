// The scans over runs of bytes in which nothing happens. The reader's speed on large bodies is theirs; each is a pure
// function from a range to the first byte that matters. Without SIMD they go byte by byte, and find the same.

import { scanUtf8 } from "./utf8";

/**
 * The first byte in [address, end) that is not plain inside a JSON string: `"`, `\`, a control (RFC 8259 section 7) or a
 * byte above ASCII; `end` when all are plain.
 */
export function scanPlain(address: usize, end: usize): usize {
  if (ASC_FEATURE_SIMD) {
    while (address + 16 <= end) {
      const plain = plainBytes(address); // SAFETY: the 16 bytes lie before `end`.
      address += plain;
      if (plain < 16) return address;
    }
  }
  while (address < end) {
    // SAFETY: address < end.
    const byte = u32(load<u8>(address));
    if (byte == 0x22 || byte == 0x5c || byte - 0x20 >= 0x60) return address;
    address++;
  }
  return end;
}

/**
 * The first byte in [address, end) of a string's text that is `"`, `\` or a control, or that begins a sequence which is not
 * well-formed UTF-8 (RFC 3629 section 4) or not whole before `end`; `end` when there is none. A caller that takes no
 * text out of a string gets over it with this. Without SIMD it stops at every character above ASCII.
 */
export function scanText(address: usize, end: usize): usize {
  if (ASC_FEATURE_SIMD) {
    // Most strings are short, and most runs between two escapes.
    if (address + 16 <= end) {
      const plain = plainBytes(address); // SAFETY: the 16 bytes lie before `end`.
      address += plain;
      if (plain < 16) return load<u8>(address) >= 0x80 ? scanUtf8(address, end) : address;
    }
    while (address + 64 <= end) {
      // SAFETY: the 64 bytes lie before `end`.
      const first = v128.or(specialOf(v128.load(address)), specialOf(v128.load(address, 16)));
      const last = v128.or(specialOf(v128.load(address, 32)), specialOf(v128.load(address, 48)));
      if (v128.any_true(v128.or(first, last))) break;
      address += 64;
    }
    address = scanPlain(address, end);
    // SAFETY: address < end.
    if (address < end && load<u8>(address) >= 0x80) return scanUtf8(address, end);
    return address;
  }
  return scanPlain(address, end);
}

/** The first byte in [address, end) that is not one of the four white-space bytes of RFC 8259 section 2. */
export function scanSpace(address: usize, end: usize): usize {
  while (address < end) {
    // SAFETY: address < end.
    if (!isSpace(u32(load<u8>(address)))) return address;
    address++;
    if (ASC_FEATURE_SIMD) {
      // Indentation comes in runs.
      while (address + 16 <= end) {
        // SAFETY: the 16 bytes lie before `end`.
        const bytes = v128.load(address);
        const spaces = v128.or(i8x16.eq(bytes, i8x16.splat(0x20)), i8x16.eq(bytes, i8x16.splat(0x0a)));
        const others = ~i8x16.bitmask(spaces) & 0xffff;
        if (others != 0) {
          address += ctz(others);
          break;
        }
        address += 16;
      }
    }
  }
  return end;
}

/** One of the four white-space bytes of RFC 8259 section 2. */
export function isSpace(byte: u32): bool {
  return byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09;
}

/** How many of the 16 bytes at `address` are plain in front of the first that is not; 16 when all are. */
export function plainBytes(address: usize): u32 {
  // SAFETY: the caller has 16 bytes there.
  return ctz(i8x16.bitmask(specialOf(v128.load(address))) | 0x10000);
}

/** In each lane of 16 bytes whether it is `"`, `\`, a control, or above ASCII. */
function specialOf(bytes: v128): v128 {
  // As signed numbers, with bit 1 turned over: controls are below 0x20, `"` is 0x20, what is above ASCII is negative, and nothing else is
  // below 0x21.
  const low = i8x16.lt_s(v128.xor(bytes, i8x16.splat(2)), i8x16.splat(0x21));
  return v128.or(low, i8x16.eq(bytes, i8x16.splat(0x5c)));
}
