// A claim that is a list of texts, as the proxy gives it. Envoy 1.37.0 to 1.40.0 marshals a list as pairs whose values are empty:
//
//   | count u32 | count times: { bytes u32, 0 u32 } | count times: { text, NUL, NUL } |      little-endian

import { CLAIM_ELEMENTS_MAX } from "../limits";
import { isPlainText } from "../memory/text";

const COUNT_BYTES: u32 = 4;
const SIZES_BYTES: u32 = 8;

/**
 * How many texts the list has; 0 when the `bytes` bytes at `address` are no list of at least one text, or have anything else in it: a truth
 * value, a list, an empty text, and nearly every number, which is the eight bytes of a double: few of those are plain text. An object whose values
 * are all empty looks the same; the caller tells it from a list.
 */
export function textsOf(address: usize, bytes: u32): u32 {
  if (bytes < COUNT_BYTES) return 0;
  const count = load<u32>(address); // SAFETY: there are four bytes.
  if (count > CLAIM_ELEMENTS_MAX || bytes < COUNT_BYTES + count * SIZES_BYTES) return 0;
  let left = bytes - COUNT_BYTES - count * SIZES_BYTES;
  let at = firstText(address, count);
  for (let i: u32 = 0; i < count; i++) {
    const size = textBytes(address, i);
    // SAFETY: i < count, and all sizes lie in the range, as above.
    if (load<u32>(address + COUNT_BYTES + usize(i) * SIZES_BYTES, 4) != 0) return 0;
    if (left < 2 || size > left - 2 || !isPlainText(at, size)) return 0;
    if (load<u16>(at + size) != 0) return 0; // SAFETY: size + 2 <= left.
    at += size + 2;
    left -= size + 2;
  }
  return left == 0 ? count : 0;
}

/** Address of the first text of a list that has `count` of them; behind each stand two bytes, then the next. */
export function firstText(address: usize, count: u32): usize {
  return address + COUNT_BYTES + usize(count) * SIZES_BYTES;
}

/** Bytes of text `index` of a list that has more of them. */
export function textBytes(address: usize, index: u32): u32 {
  return load<u32>(address + COUNT_BYTES + usize(index) * SIZES_BYTES); // SAFETY: the sizes have been found to lie in the range.
}
