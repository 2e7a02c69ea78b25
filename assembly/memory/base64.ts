// The two alphabets of base64 (RFC 4648), and texts in either.

/** The six bits that a character stands for (section 4); 64 when it stands for none. */
export function base64Value(byte: u32): u32 {
  if (byte == 0x2b) return 62;
  if (byte == 0x2f) return 63;
  return sharedValue(byte);
}

const PADDING: u32 = 0x3d;

/** What `decodeBase64Url` gives for a text that is none. */
export const NOT_BASE64URL: i32 = -1;

/**
 * Decodes base64url (section 5) without padding, as JOSE has it (RFC 7515 section 2). How many bytes stand at `to` then, where three for
 * each four characters fit; NOT_BASE64URL when another text would decode to the same bytes: padding, a character of the other alphabet, bits behind the last byte.
 */
export function decodeBase64Url(address: usize, bytes: u32, to: usize): i32 {
  // One character has less than a byte.
  if ((bytes & 3) == 1) return NOT_BASE64URL;
  let bits: u32 = 0;
  let held: u32 = 0;
  let written: u32 = 0;
  for (let i: u32 = 0; i < bytes; i++) {
    const value = urlValue(u32(load<u8>(address + i))); // SAFETY: i < bytes, the caller's range.
    if (value == 64) return NOT_BASE64URL;
    held = (held << 6) | value;
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    store<u8>(to + written, held >> bits); // SAFETY: three bytes for each four characters, for which the caller has room.
    written++;
    held &= (1 << bits) - 1;
  }
  return held == 0 ? i32(written) : NOT_BASE64URL;
}

/** Characters of base64url that `bytes` bytes become. */
export function base64UrlBytes(bytes: u32): u32 {
  return (bytes / 3) * 4 + ((bytes % 3) * 4 + 2) / 3;
}

/** Writes what the `bytes` bytes at `address` are in base64url, without padding, to `to`, where `base64UrlBytes` of them fit. */
export function encodeBase64Url(address: usize, bytes: u32, to: usize): void {
  let bits: u32 = 0;
  let held: u32 = 0;
  for (let i: u32 = 0; i < bytes; i++) {
    held = (held << 8) | u32(load<u8>(address + i)); // SAFETY: i < bytes, the caller's range.
    bits += 8;
    while (bits >= 6) {
      bits -= 6;
      store<u8>(to++, urlCharacter((held >> bits) & 63)); // SAFETY: four characters for each three bytes, for which the caller has room.
    }
  }
  if (bits != 0) store<u8>(to, urlCharacter((held << (6 - bits)) & 63)); // SAFETY: as above, the last one.
}

/** Writes what the `bytes` bytes at `address` are in base64 (section 4), with its padding, to `to`: four characters for each three bytes, the last ones included. */
export function encodeBase64(address: usize, bytes: u32, to: usize): void {
  for (let i: u32 = 0; i < bytes; i += 3) {
    // SAFETY: i < bytes, and the others are looked at only below it.
    const first = u32(load<u8>(address + i));
    const second = i + 1 < bytes ? u32(load<u8>(address + i + 1)) : 0;
    const third = i + 2 < bytes ? u32(load<u8>(address + i + 2)) : 0;
    // SAFETY: four characters for each group, for which the caller has room.
    store<u8>(to, base64Character(first >> 2));
    store<u8>(to, base64Character(((first & 3) << 4) | (second >> 4)), 1);
    store<u8>(to, i + 1 < bytes ? base64Character(((second & 15) << 2) | (third >> 6)) : PADDING, 2);
    store<u8>(to, i + 2 < bytes ? base64Character(third & 63) : PADDING, 3);
    to += 4;
  }
}

/** Whether every one of the `bytes` bytes at `address` is a character of base64url. */
export function isBase64Url(address: usize, bytes: u32): bool {
  for (let i: u32 = 0; i < bytes; i++) {
    if (urlValue(u32(load<u8>(address + i))) == 64) return false; // SAFETY: i < bytes, the caller's range.
  }
  return true;
}

function urlCharacter(value: u32): u32 {
  return value < 62 ? base64Character(value) : value == 62 ? 0x2d : 0x5f;
}

/** The character that stands for six bits (section 4). */
export function base64Character(value: u32): u32 {
  if (value < 26) return 0x41 + value;
  if (value < 52) return 0x61 + value - 26;
  if (value < 62) return 0x30 + value - 52;
  return value == 62 ? 0x2b : 0x2f;
}

function urlValue(byte: u32): u32 {
  if (byte == 0x2d) return 62;
  if (byte == 0x5f) return 63;
  return sharedValue(byte);
}

/** What the letters and digits stand for, in either alphabet. */
function sharedValue(byte: u32): u32 {
  if (byte - 0x41 < 26) return byte - 0x41;
  if (byte - 0x61 < 26) return byte - 0x61 + 26;
  return byte - 0x30 < 10 ? byte - 0x30 + 52 : 64;
}
