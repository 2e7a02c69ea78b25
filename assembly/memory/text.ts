// Whether bytes are a text that can be shown and compared: well-formed UTF-8 (RFC 3629) without controls.

/** Whether the `bytes` bytes at `address` are such a text, and not empty. */
export function isPlainText(address: usize, bytes: u32): bool {
  const end = address + bytes;
  let at = address;
  while (at < end) {
    const length = characterBytes(at, u32(end - at));
    if (length == 0) return false;
    at += length;
  }
  return bytes != 0;
}

/** Bytes of the character at `at`, of which `left` bytes may be read, at least one; 0 for a control, or when there is none. */
function characterBytes(at: usize, left: u32): u32 {
  const lead = u32(load<u8>(at)); // SAFETY: left is not 0.
  if (lead < 0x80) return lead < 0x20 || lead == 0x7f ? 0 : 1;
  if (lead < 0xc2 || lead > 0xf4) return 0;
  const length: u32 = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  if (length > left) return 0;
  // RFC 3629 section 4: what the second byte may be keeps overlong forms, surrogates and numbers above U+10FFFF out. C1 controls are
  // controls too.
  const second = u32(load<u8>(at, 1)); // SAFETY: length is at least 2 and at most left.
  const least: u32 = lead == 0xe0 || lead == 0xc2 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
  const most: u32 = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
  if (second < least || second > most) return 0;
  for (let i: u32 = 2; i < length; i++) {
    if (u32(load<u8>(at + i)) >> 6 != 2) return 0; // SAFETY: i < length <= left.
  }
  return length;
}
