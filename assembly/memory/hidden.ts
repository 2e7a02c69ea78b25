// Characters that nobody sees (docs/responses.md, "Hidden text"): in text, in member names, and in JSON as it stands.

import { KEY_BYTES_MAX } from "../limits";

/** Whether a character is one that is not seen. */
export function isHiddenPoint(point: u32): bool {
  if (point < 0x20) return point != 0x09 && point != 0x0a && point != 0x0d;
  if (point < 0x7f) return false;
  if (point < 0xa0) return true; // DEL, and C1
  switch (point) {
    case 0x00ad: // soft hyphen
    case 0x061c: // Arabic letter mark
    case 0x200b: // zero-width space
    case 0x200e:
    case 0x200f:
    case 0x2060: // word joiner
    case 0xfeff: // zero-width no-break space
      return true;
    default:
      break;
  }
  if (point >= 0x202a && point <= 0x202e) return true; // bidirectional embeddings and overrides
  if (point >= 0x2066 && point <= 0x2069) return true; // bidirectional isolates
  // The tag characters, and the variation selectors supplement.
  return (point >= 0xe0000 && point <= 0xe007f) || (point >= 0xe0100 && point <= 0xe01ef);
}

/** White space beyond U+00A0 (Unicode property White_Space), which `trim` and `strip` of many languages take away. */
export function isWideBlank(point: u32): bool {
  if (point >= 0x2000 && point <= 0x200a) return true;
  return point == 0x1680 || point == 0x2028 || point == 0x2029 || point == 0x202f || point == 0x205f || point == 0x3000;
}

/** Bytes of the character that `pointAt` has read. */
let pointBytes: u32 = 0;

/** The character at `at` in well-formed UTF-8, all of which lies before `end`. */
function pointAt(at: usize, end: usize): u32 {
  // SAFETY: at < end, and the caller's text is well-formed, so its sequences are whole; a shorter rest is read as one byte.
  const lead = u32(load<u8>(at));
  pointBytes = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  if (pointBytes == 1 || u32(end - at) < pointBytes) {
    pointBytes = 1;
    return lead;
  }
  let point = lead & (0x7f >> pointBytes);
  for (let i: u32 = 1; i < pointBytes; i++) point = (point << 6) | (u32(load<u8>(at + i)) & 0x3f);
  return point;
}

/** Whether a well-formed text has a character that is not seen. */
export function hasHidden(address: usize, bytes: u32): bool {
  const end = address + bytes;
  for (let at = address; at < end; at += pointBytes) {
    if (isHiddenPoint(pointAt(at, end))) return true;
  }
  return false;
}

/** Whether a character of a name is one that a reader may not see or take away: hidden, a joiner, or white space beyond ASCII. */
function isUnseenInName(point: u32): bool {
  if (isHiddenPoint(point) || isWideBlank(point) || point == 0xa0) return true;
  // The joiners, and the variation selectors.
  return point == 0x200c || point == 0x200d || (point >= 0xfe00 && point <= 0xfe0f);
}

/** Whether a well-formed name has such a character. */
export function hasUnseen(address: usize, bytes: u32): bool {
  const end = address + bytes;
  for (let at = address; at < end; at += pointBytes) {
    if (isUnseenInName(pointAt(at, end))) return true;
  }
  return false;
}

/** Where `withoutHidden` puts its text. */
export const withoutHiddenAt: usize = memory.data(KEY_BYTES_MAX);

/** Copies a member name without such characters to `withoutHiddenAt`; gives its length in bytes. */
export function withoutHidden(address: usize, bytes: u32): u32 {
  const end = address + min(bytes, KEY_BYTES_MAX);
  let length: u32 = 0;
  for (let at = address; at < end; at += pointBytes) {
    if (isUnseenInName(pointAt(at, end))) continue;
    memory.copy(withoutHiddenAt + length, at, pointBytes);
    length += pointBytes;
  }
  return length;
}

/** What `stripHidden` has found: how many characters, and whether one of them stands in a member name. */
export let hiddenFound: u32 = 0;
export let isHiddenInName: bool = false;

/**
 * Takes the characters that are not seen out of a JSON text in place, as they stand and as escapes (RFC 8259 section 7). They
 * can stand in its strings only, since everything else is ASCII. The range ends no string in the middle. Gives the new length.
 * @param take false only counts them.
 */
export function stripHidden(address: usize, bytes: u32, take: bool): u32 {
  const end = address + bytes;
  hiddenFound = 0;
  isHiddenInName = false;
  // What is kept of [address, from) stands in [address, to).
  let to = address;
  let from = address;
  // Everything in front of it has been found to stand in a name or not.
  let stringEnd = address;
  let at = scanShown(address, end);
  while (at < end) {
    // SAFETY: at < end; an escape is read only as far as the text goes.
    const isEscape = load<u8>(at) == 0x5c;
    let length: u32 = isEscape ? escapeBytes(at, end) : 0;
    const point = isEscape ? escapedPoint(at, length) : pointAt(at, end);
    if (!isEscape) length = pointBytes;
    if (isHiddenPoint(point)) {
      hiddenFound++;
      if (at >= stringEnd) {
        stringEnd = closingQuote(at, end);
        if (isName(stringEnd, end)) isHiddenInName = true;
      }
      if (take) {
        const kept = at - from;
        if (to != from) memory.copy(to, from, kept);
        to += kept;
        from = at + length;
      }
    }
    at = scanShown(at + length, end);
  }
  if (to == from) return bytes;
  memory.copy(to, from, end - from);
  return u32(to + (end - from) - address);
}

/** The first byte in [address, end) that may begin a character which is not seen, or an escape; `end` when there is none. */
export function scanShown(address: usize, end: usize): usize {
  if (ASC_FEATURE_SIMD) {
    while (address + 16 <= end) {
      // SAFETY: the 16 bytes lie before `end`. As signed numbers those above ASCII are negative, and so is one more than DEL.
      const bytes = v128.load(address);
      const high = v128.or(bytes, i8x16.add(bytes, i8x16.splat(1)));
      const found = i8x16.bitmask(v128.or(high, i8x16.eq(bytes, i8x16.splat(0x5c))));
      if (found != 0) return address + ctz(found);
      address += 16;
    }
  }
  while (address < end) {
    // SAFETY: address < end.
    const byte = u32(load<u8>(address));
    if (byte == 0x5c || byte >= 0x7f) return address;
    address++;
  }
  return end;
}

/** The quote that ends the string in which a character begins at `at`; `end` when the text ends before. */
function closingQuote(at: usize, end: usize): usize {
  while (at < end) {
    // SAFETY: at < end.
    const byte = u32(load<u8>(at));
    if (byte == 0x22) return at;
    at += byte == 0x5c ? 2 : 1;
  }
  return end;
}

/** Whether the string that ends with the quote at `quote` is a member name: a colon follows it. */
function isName(quote: usize, end: usize): bool {
  for (let at = quote + 1; at < end; at++) {
    // SAFETY: at < end.
    const byte = u32(load<u8>(at));
    if (byte > 0x20) return byte == 0x3a;
  }
  return false;
}

/** Bytes of the escape at `at`: 2, 6, or 12 for a surrogate pair. The text has been read, so it is whole. */
function escapeBytes(at: usize, end: usize): u32 {
  const left = u32(end - at);
  // SAFETY: each load is checked to stand before `end`.
  if (left < 2) return left;
  if (u32(load<u8>(at, 1)) != 0x75 || left < 6) return min(left, 2);
  const unit = unitAt(at);
  return unit >= 0xd800 && unit <= 0xdbff && left >= 12 ? 12 : 6;
}

/** The character that an escape of `length` bytes stands for; a space where it does not matter. */
function escapedPoint(at: usize, length: u32): u32 {
  if (length == 2) {
    const letter = u32(load<u8>(at, 1)); // SAFETY: the escape has two bytes.
    return letter == 0x62 ? 0x08 : letter == 0x66 ? 0x0c : 0x20;
  }
  if (length == 6) return unitAt(at);
  if (length == 12) return 0x10000 + ((unitAt(at) - 0xd800) << 10) + (unitAt(at + 6) - 0xdc00);
  return 0x20;
}

/** The code unit of the escape at `at`: a backslash, `u`, and four hexadecimal digits. */
function unitAt(at: usize): u32 {
  let unit: u32 = 0;
  for (let i: u32 = 2; i < 6; i++) {
    const digit = u32(load<u8>(at + i)); // SAFETY: the escape has six bytes.
    unit = (unit << 4) | (digit < 0x3a ? digit - 0x30 : (digit | 0x20) - 0x57);
  }
  return unit;
}
