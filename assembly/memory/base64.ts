// The alphabet of base64 (RFC 4648 section 4).

/** The six bits that a character stands for; 64 when it stands for none. */
export function base64Value(byte: u32): u32 {
  if (byte - 0x41 < 26) return byte - 0x41;
  if (byte - 0x61 < 26) return byte - 0x61 + 26;
  if (byte - 0x30 < 10) return byte - 0x30 + 52;
  if (byte == 0x2b) return 62;
  return byte == 0x2f ? 63 : 64;
}
