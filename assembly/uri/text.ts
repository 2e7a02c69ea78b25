// The characters of a URI on their way through the rules: decoding, look-alikes, tokens. No allocation; every loop passes
// once over at most URI_BYTES_MAX bytes.

import { asciiLower } from "../memory/bytes";
import { isWideBlank } from "../memory/hidden";

/** The value of a hexadecimal digit, or 16. */
export function hexValue(byte: u32): u32 {
  if (byte - 0x30 < 10) return byte - 0x30;
  const letter = asciiLower(byte) - 0x61;
  return letter < 6 ? letter + 10 : 16;
}

/** The byte that `%XX` at `at` stands for, or 256 when there is no such triple before `end`. */
export function tripleAt(at: usize, end: usize): u32 {
  // SAFETY: at + 2 < end for the digits.
  if (at + 2 >= end || u32(load<u8>(at)) != 0x25) return 256;
  const high = hexValue(u32(load<u8>(at, 1)));
  const low = hexValue(u32(load<u8>(at, 2)));
  return (high | low) > 15 ? 256 : (high << 4) | low;
}

/**
 * Decodes every `%XX` in place (RFC 3986 section 2.1), once: what decoding makes is not decoded again. Gives the new
 * length in bytes, which is the old one when there was nothing to decode.
 */
export function decodeOnce(address: usize, bytes: u32): u32 {
  const end = address + bytes;
  let from = address;
  let to = address;
  while (from < end) {
    const triple = tripleAt(from, end);
    // SAFETY: to <= from < end: decoding only shortens.
    store<u8>(to++, triple < 256 ? triple : u32(load<u8>(from)));
    from += triple < 256 ? 3 : 1;
  }
  return u32(to - address);
}

/** Whether the range is well-formed UTF-8 (RFC 3629 section 4). */
export function isUtf8(address: usize, bytes: u32): bool {
  const end = address + bytes;
  let at = address;
  while (at < end) {
    // SAFETY: at < end; continuation bytes are checked to lie before `end`.
    const lead = u32(load<u8>(at++));
    if (lead < 0x80) continue;
    if (lead < 0xc2 || lead > 0xf4) return false;
    let left: u32 = lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
    if (left > u32(end - at)) return false;
    const second = u32(load<u8>(at));
    if (second < (lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80)) return false;
    if (second > (lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf)) return false;
    at++;
    while (--left > 0) {
      if (u32(load<u8>(at++)) - 0x80 > 0x3f) return false;
    }
  }
  return true;
}

/** What a character is to the rule about segments. */
export const enum Glyph {
  /** Anything else. */
  Other,
  /** One, two and three dots: U+002E and what looks like it. */
  Dot,
  TwoDots,
  ThreeDots,
  /** What ends a path segment: `/`, `\`, and what looks like them. */
  Slash,
  /** What ends a token inside a segment or behind the path. */
  Delimiter,
  /** Taken away by some readers, or drawn by none. */
  Invisible,
  Space,
}

/** Bytes of the character that `glyphAt` looked at. */
export let glyphBytes: u32 = 0;

/** The character at `at`, which is before `end`, in well-formed UTF-8. */
export function glyphAt(at: usize, end: usize): Glyph {
  // SAFETY: at < end; a sequence is read only when all of it lies before `end`.
  const lead = u32(load<u8>(at));
  glyphBytes = 1;
  if (lead < 0x80) return asciiGlyph(lead);
  if (lead < 0xe0) {
    glyphBytes = 2;
    if (lead != 0xc2 || at + 1 >= end) return Glyph.Other;
    const second = u32(load<u8>(at, 1));
    // U+00AD soft hyphen, U+00A0 no-break space.
    return second == 0xad ? Glyph.Invisible : second == 0xa0 ? Glyph.Space : Glyph.Other;
  }
  if (lead >= 0xf0) {
    glyphBytes = 4;
    return Glyph.Other;
  }
  glyphBytes = 3;
  if (at + 2 >= end) return Glyph.Other;
  const point = ((lead & 0x0f) << 12) | ((u32(load<u8>(at, 1)) & 0x3f) << 6) | (u32(load<u8>(at, 2)) & 0x3f);
  return wideGlyph(point);
}

function asciiGlyph(byte: u32): Glyph {
  switch (byte) {
    case 0x2e:
      return Glyph.Dot;
    case 0x2f:
    case 0x5c:
      return Glyph.Slash;
    case 0x20:
      return Glyph.Space;
    case 0x3f: // ?
    case 0x23: // #
    case 0x26: // &
    case 0x3d: // =
    case 0x3b: // ;
    case 0x3a: // :
    case 0x40: // @
    case 0x2c: // ,
    case 0x7b: // {
    case 0x7d: // }
      return Glyph.Delimiter;
    default:
      return Glyph.Other;
  }
}

function wideGlyph(point: u32): Glyph {
  switch (point) {
    case 0x2024: // one dot leader
    case 0xfe52: // small full stop
    case 0xff0e: // full-width full stop
      return Glyph.Dot;
    case 0x2025: // two dot leader
    case 0xfe30: // its vertical form
      return Glyph.TwoDots;
    case 0x2026: // horizontal ellipsis
    case 0xfe19: // its vertical form
      return Glyph.ThreeDots;
    case 0xff0f: // full-width solidus
    case 0x2044: // fraction slash
    case 0x2215: // division slash
    case 0x29f8: // big solidus
    case 0xff3c: // full-width reverse solidus
    case 0x2216: // set minus
    case 0xfe68: // small reverse solidus
      return Glyph.Slash;
    case 0x200b: // zero-width space
    case 0x200c:
    case 0x200d:
    case 0x2060: // word joiner
    case 0xfeff: // zero-width no-break space
      return Glyph.Invisible;
    default:
      return isWideBlank(point) ? Glyph.Space : Glyph.Other;
  }
}
