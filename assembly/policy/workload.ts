// SPIFFE ids of workloads (SPIFFE ID, sections 2.1 and 2.2): whether a text is one, and where the beginnings of its path end.

import { startsWithLiteral } from "../memory/bytes";

/** Bytes of `spiffe://`, behind which the trust domain stands. */
const SCHEME_BYTES: u32 = 9;

/** Whether a text is a SPIFFE id: a trust domain in lower case and at least one path segment, none of them empty or of dots. */
export function isSpiffeId(address: usize, bytes: u32): bool {
  return pathSegments(address, bytes) != 0;
}

/** How many segments the path of a SPIFFE id has; 0 when the text is none. */
export function pathSegments(address: usize, bytes: u32): u32 {
  if (!startsWithLiteral(address, bytes, "spiffe://")) return 0;
  let segment = SCHEME_BYTES;
  let segments: u32 = 0;
  for (let i: u32 = segment; i <= bytes; i++) {
    const byte = i == bytes ? 0x2f : u32(load<u8>(address + i)); // SAFETY: i < bytes.
    if (byte != 0x2f) {
      if (!isIdByte(byte, segments == 0)) return 0;
      continue;
    }
    if (isDots(address + segment, i - segment)) return 0;
    segments++;
    segment = i + 1;
  }
  return segments - 1;
}

/** Bytes of a SPIFFE id up to the end of the segment that goes on behind its first `from` bytes; `from` is that of the segment before, or 0. */
export function segmentEnd(address: usize, bytes: u32, from: u32): u32 {
  // The trust domain is no segment of the path.
  let end = from == 0 ? slashFrom(address, bytes, SCHEME_BYTES) : from;
  if (end < bytes) end = slashFrom(address, bytes, end + 1);
  return end;
}

/** Offset of the first slash at or behind `from`, or `bytes`. */
function slashFrom(address: usize, bytes: u32, from: u32): u32 {
  let i = from;
  // SAFETY: i < bytes.
  while (i < bytes && u32(load<u8>(address + i)) != 0x2f) i++;
  return min(i, bytes);
}

/** Nothing, `.` or `..`. */
function isDots(address: usize, bytes: u32): bool {
  if (bytes > 2) return false;
  for (let i: u32 = 0; i < bytes; i++) {
    if (u32(load<u8>(address + i)) != 0x2e) return false; // SAFETY: i < bytes.
  }
  return true;
}

function isIdByte(byte: u32, isLower: bool): bool {
  if (byte - 0x61 < 26 || byte - 0x30 < 10) return true;
  if (byte - 0x41 < 26) return !isLower;
  return byte == 0x2d || byte == 0x2e || byte == 0x5f;
}
