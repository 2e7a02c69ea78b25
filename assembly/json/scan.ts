// The scans over runs of bytes in which nothing happens. The reader's speed on large bodies is theirs; each is a pure
// function from a range to the first byte that matters, so that a vector version can stand in its place.

/**
 * The first byte in [address, end) that is not plain inside a JSON string: `"`, `\`, a control (RFC 8259 section 7) or a
 * byte above ASCII; `end` when all are plain.
 */
export function scanPlain(address: usize, end: usize): usize {
  while (address < end) {
    // SAFETY: address < end.
    const byte = u32(load<u8>(address));
    if (byte == 0x22 || byte == 0x5c || byte - 0x20 >= 0x60) return address;
    address++;
  }
  return end;
}

/** The first byte in [address, end) that is not one of the four white-space bytes of RFC 8259 section 2. */
export function scanSpace(address: usize, end: usize): usize {
  while (address < end) {
    // SAFETY: address < end.
    const byte = u32(load<u8>(address));
    if (byte != 0x20 && byte != 0x0a && byte != 0x0d && byte != 0x09) return address;
    address++;
  }
  return end;
}
