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

/** How many characters `stripHidden` has found. */
export let hiddenFound: u32 = 0;

/**
 * Takes the characters that are not seen out of a JSON text in place, as they stand and as escapes (RFC 8259 section 7). They
 * can stand in its strings only, since everything else is ASCII. Gives the new length.
 * @param take false only counts them.
 */
export function stripHidden(address: usize, bytes: u32, take: bool): u32 {
  const end = address + bytes;
  let to = address;
  let at = address;
  hiddenFound = 0;
  while (at < end) {
    // SAFETY: at < end; an escape is read only as far as the text goes.
    const byte = u32(load<u8>(at));
    let length: u32 = 1;
    let isHidden: bool = false;
    if (byte == 0x5c) {
      length = escapeBytes(at, end);
      isHidden = isHiddenPoint(escapedPoint(at, length));
    } else if (byte >= 0x7f) {
      isHidden = isHiddenPoint(pointAt(at, end));
      length = pointBytes;
    }
    if (isHidden) hiddenFound++;
    if (!isHidden || !take) {
      memory.copy(to, at, length);
      to += length;
    }
    at += length;
  }
  return u32(to - address);
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
