// The scans over runs of bytes in which nothing happens, for event streams. Without SIMD they go byte by byte, and find the same.

/** CR or LF (HTML standard, section 9.2.6). */
export function isLineEnd(byte: u32): bool {
  return byte == 0x0a || byte == 0x0d;
}

/** The first byte in [address, end) that ends a line; `end` when there is none. */
export function scanLine(address: usize, end: usize): usize {
  if (ASC_FEATURE_SIMD) {
    while (address + 16 <= end) {
      const bytes = v128.load(address); // SAFETY: the 16 bytes lie before `end`.
      const found = i8x16.bitmask(v128.or(i8x16.eq(bytes, i8x16.splat(0x0a)), i8x16.eq(bytes, i8x16.splat(0x0d))));
      if (found != 0) return address + ctz(found);
      address += 16;
    }
  }
  // SAFETY: address < end.
  while (address < end && !isLineEnd(u32(load<u8>(address)))) address++;
  return address;
}

/** The first byte in [address, end) that may be one that `writeLine` replaces, or begin one; `end` when there is none. */
export function scanOneLine(address: usize, end: usize): usize {
  if (ASC_FEATURE_SIMD) {
    while (address + 16 <= end) {
      const bytes = v128.load(address); // SAFETY: the 16 bytes lie before `end`.
      const ends = v128.or(i8x16.eq(bytes, i8x16.splat(0x0a)), i8x16.eq(bytes, i8x16.splat(0x0d)));
      const leads = v128.or(i8x16.eq(bytes, i8x16.splat(i8(0xc2))), i8x16.eq(bytes, i8x16.splat(i8(0xe2))));
      const found = i8x16.bitmask(v128.or(v128.or(ends, leads), i8x16.eq(bytes, i8x16.splat(0x7f))));
      if (found != 0) return address + ctz(found);
      address += 16;
    }
  }
  while (address < end) {
    const byte = u32(load<u8>(address)); // SAFETY: address < end.
    if (byte == 0x0a || byte == 0x0d || byte == 0x7f || byte == 0xc2 || byte == 0xe2) return address;
    address++;
  }
  return end;
}
