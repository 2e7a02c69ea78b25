// URIs for people to read: in the normal form of RFC 3986 section 6.2.2, as far as that changes no segment, and without what may hold a
// secret.

/**
 * Writes the `bytes` bytes at `address` in normal form to `to`, where as many fit, and gives the length: scheme and authority in lower case,
 * no user information, unreserved characters not encoded, the digits of encodings in upper case, nothing from the first `?` or `#` on. Dot
 * segments stay, so that an attempt shows. A text that is no URI comes out as near to that as it can.
 */
export function writeNormal(to: usize, address: usize, bytes: u32): u32 {
  const authority = authorityAt(address, bytes);
  let end = bytes;
  for (let i: u32 = 0; i < bytes; i++) {
    const byte = u32(load<u8>(address + i)); // SAFETY: i < bytes.
    if (byte == 0x3f || byte == 0x23) {
      end = i;
      break;
    }
  }
  let from: u32 = 0;
  let length: u32 = 0;
  if (authority != 0) {
    length = copyLower(to, 0, address, 0, min(authority, end));
    const stop = authorityEnd(address, authority, end);
    length = copyLower(to, length, address, hostAt(address, authority, stop), stop);
    from = max(stop, min(authority, end));
  } else {
    from = schemeEnd(address, end);
    length = copyLower(to, 0, address, 0, from);
  }
  while (from < end) {
    // SAFETY: from < end <= bytes; length <= from, so that it fits.
    const byte = u32(load<u8>(address + from));
    const value = byte == 0x25 ? encodedAt(address, from, end) : -1;
    if (value < 0) {
      store<u8>(to + length++, byte); // SAFETY: as above.
      from++;
    } else if (isUnreserved(u32(value))) {
      store<u8>(to + length++, u32(value)); // SAFETY: as above.
      from += 3;
    } else {
      store<u8>(to + length, 0x25); // SAFETY: three bytes for the three that were read.
      store<u8>(to + length, upperDigit(u32(value) >> 4), 1); // SAFETY: as above.
      store<u8>(to + length, upperDigit(u32(value) & 15), 2); // SAFETY: as above.
      length += 3;
      from += 3;
    }
  }
  return length;
}

/** Bytes of a scheme with its colon; 0 when there is none. */
function schemeEnd(address: usize, end: u32): u32 {
  for (let i: u32 = 0; i < end; i++) {
    const byte = u32(load<u8>(address + i)); // SAFETY: i < end.
    if (byte == 0x3a) return i + 1;
    if (byte == 0x2f || byte == 0x25) return 0;
  }
  return 0;
}

/** Offset behind `scheme://`; 0 when there is no authority. */
function authorityAt(address: usize, bytes: u32): u32 {
  const scheme = schemeEnd(address, bytes);
  if (scheme == 0 || scheme + 2 > bytes) return 0;
  // SAFETY: scheme + 2 <= bytes.
  const isThere = u32(load<u8>(address + scheme)) == 0x2f && u32(load<u8>(address + scheme, 1)) == 0x2f;
  return isThere ? scheme + 2 : 0;
}

/** Offset of the path behind the authority. */
function authorityEnd(address: usize, authority: u32, end: u32): u32 {
  let stop = authority;
  // SAFETY: stop < end.
  while (stop < end && u32(load<u8>(address + stop)) != 0x2f && u32(load<u8>(address + stop)) != 0x5c) stop++;
  return stop;
}

/** Offset of the host: behind the last `@`. */
function hostAt(address: usize, authority: u32, stop: u32): u32 {
  let host = stop;
  // SAFETY: authority < host <= stop.
  while (host > authority && u32(load<u8>(address + host - 1)) != 0x40) host--;
  return host;
}

function copyLower(to: usize, length: u32, address: usize, from: u32, end: u32): u32 {
  for (let i = from; i < end; i++) {
    const byte = u32(load<u8>(address + i)); // SAFETY: i < end; length <= i.
    store<u8>(to + length++, byte - 0x41 < 26 ? byte | 0x20 : byte); // SAFETY: as above.
  }
  return length;
}

/** The byte that `%xx` at `at` stands for; -1 when there is none. */
function encodedAt(address: usize, at: u32, end: u32): i32 {
  if (at + 3 > end) return -1;
  // SAFETY: at + 3 <= end.
  const high = digitValue(u32(load<u8>(address + at, 1)));
  const low = digitValue(u32(load<u8>(address + at, 2)));
  return high < 0 || low < 0 ? -1 : (high << 4) | low;
}

function digitValue(byte: u32): i32 {
  if (byte - 0x30 < 10) return i32(byte - 0x30);
  const lower = byte | 0x20;
  return lower - 0x61 < 6 ? i32(lower - 0x57) : -1;
}

function upperDigit(value: u32): u32 {
  return value < 10 ? 0x30 + value : 0x37 + value;
}

/** RFC 3986 section 2.3. */
function isUnreserved(byte: u32): bool {
  if ((byte | 0x20) - 0x61 < 26 || byte - 0x30 < 10) return true;
  return byte == 0x2d || byte == 0x2e || byte == 0x5f || byte == 0x7e;
}
