// Byte ranges in linear memory and the ASCII texts of this source. The base of every folder, like limits.ts: no state,
// no allocation. A range is an address and a length in bytes; whoever passes it keeps it readable for the call.

/**
 * An ASCII text of this source. The compiler stores it once, as UTF-16 that is never freed, so comparing bytes with it
 * allocates nothing. Only characters below U+0080 may stand in it.
 */
export type Literal = string;

/** Length of `text` in bytes of ASCII. */
export function literalBytes(text: Literal): u32 {
  return u32(text.length);
}

/** The ASCII byte at `index` of `text`; `index` is below `literalBytes(text)`. */
export function literalByte(text: Literal, index: u32): u32 {
  // SAFETY: the caller keeps index below the length, and each UTF-16 unit has two bytes.
  return u32(load<u8>(changetype<usize>(text) + (usize(index) << 1)));
}

/** Whether the `bytes` bytes at `address` are exactly `text`. */
export function equalsLiteral(address: usize, bytes: u32, text: Literal): bool {
  if (bytes != literalBytes(text)) return false;
  for (let i: u32 = 0; i < bytes; i++) {
    // SAFETY: i < bytes, the caller's range.
    if (u32(load<u8>(address + i)) != literalByte(text, i)) return false;
  }
  return true;
}

/** Whether the range begins with `text`. */
export function startsWithLiteral(address: usize, bytes: u32, text: Literal): bool {
  return bytes >= literalBytes(text) && equalsLiteral(address, literalBytes(text), text);
}

/** Whether the range equals `text` when ASCII letters are compared without case; `text` is in lower case. */
export function equalsLiteralIgnoringCase(address: usize, bytes: u32, text: Literal): bool {
  if (bytes != literalBytes(text)) return false;
  for (let i: u32 = 0; i < bytes; i++) {
    // SAFETY: i < bytes, the caller's range.
    if (asciiLower(u32(load<u8>(address + i))) != literalByte(text, i)) return false;
  }
  return true;
}

/** Whether `text` stands anywhere in the range, compared as in `equalsLiteralIgnoringCase`. */
export function containsLiteralIgnoringCase(address: usize, bytes: u32, text: Literal): bool {
  const wanted = literalBytes(text);
  for (let from: u32 = 0; from + wanted <= bytes; from++) {
    if (equalsLiteralIgnoringCase(address + from, wanted, text)) return true;
  }
  return false;
}

/** Whether two ranges of the same length hold the same bytes. */
export function equalBytes(left: usize, right: usize, bytes: u32): bool {
  let at: u32 = 0;
  // SAFETY: both ranges have `bytes` bytes, and every load ends within them. The library's comparison goes byte by byte when they are not
  // aligned alike.
  if (ASC_FEATURE_SIMD) {
    for (; at + 32 <= bytes; at += 32) {
      const low = v128.xor(v128.load(left + at), v128.load(right + at));
      const high = v128.xor(v128.load(left + at, 16), v128.load(right + at, 16));
      if (v128.any_true(v128.or(low, high))) return false;
    }
  }
  for (; at + 8 <= bytes; at += 8) {
    if (load<u64>(left + at) != load<u64>(right + at)) return false;
  }
  for (; at < bytes; at++) {
    if (load<u8>(left + at) != load<u8>(right + at)) return false;
  }
  return true;
}

/** The lower-case form of an ASCII letter; any other byte unchanged. */
export function asciiLower(byte: u32): u32 {
  return byte - 0x41 < 26 ? byte | 0x20 : byte;
}

/** Copies the `bytes` bytes at `from` to `at`, where there is room for them; the address behind the copy. */
export function copyText(at: usize, from: usize, bytes: u32): usize {
  memory.copy(at, from, bytes);
  return at + bytes;
}
