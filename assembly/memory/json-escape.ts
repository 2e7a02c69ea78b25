// How a byte stands in a JSON string in the one spelling of RFC 8785 section 3.2.2.2.

/** Whether a byte of a string stands for itself. */
export function isPlainInJson(byte: u32): bool {
  return byte >= 0x20 && byte != 0x22 && byte != 0x5c;
}

/** The letter that stands behind `\` for the byte; 0 when it has none, and is written as `\u00xx`. */
export function shortEscape(byte: u32): u32 {
  switch (byte) {
    case 0x22:
    case 0x5c:
      return byte;
    case 0x08:
      return 0x62;
    case 0x09:
      return 0x74;
    case 0x0a:
      return 0x6e;
    case 0x0c:
      return 0x66;
    case 0x0d:
      return 0x72;
    default:
      return 0;
  }
}
