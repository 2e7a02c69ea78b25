// The trace that a request belongs to (W3C Trace Context, `traceparent`): from a header, or from `_meta` (SEP-414).

import { Literal } from "../memory/bytes";
import { Writer } from "../memory/writer";
import { writeAscii } from "./member";

/** `00-<trace id>-<parent id>-<flags>`; what a later version has behind that does not matter. */
const LEAST_BYTES: u32 = 55;
const TRACE_AT: u32 = 3;
const TRACE_DIGITS: u32 = 32;
const SPAN_AT: u32 = 36;
const SPAN_DIGITS: u32 = 16;
const FLAGS_AT: u32 = 53;

/** Appends the ids of the `traceparent` at `address` under these names; nothing when it is none. */
export function writeTrace(writer: Writer, traceName: Literal, spanName: Literal, address: usize, bytes: u32): void {
  if (bytes < LEAST_BYTES || !isTraceParent(address, bytes)) return;
  writeAscii(writer, traceName, address + TRACE_AT, TRACE_DIGITS);
  writeAscii(writer, spanName, address + SPAN_AT, SPAN_DIGITS);
}

function isTraceParent(address: usize, bytes: u32): bool {
  // SAFETY: at least LEAST_BYTES bytes, the caller's range.
  const isFirstVersion = u32(load<u8>(address)) == 0x30 && u32(load<u8>(address, 1)) == 0x30;
  if (isFirstVersion ? bytes != LEAST_BYTES : bytes != LEAST_BYTES && u32(load<u8>(address + LEAST_BYTES)) != 0x2d) {
    return false;
  }
  const isInvalidVersion = u32(load<u8>(address)) == 0x66 && u32(load<u8>(address, 1)) == 0x66;
  return (
    !isInvalidVersion &&
    isHex(address, 2) &&
    isHyphen(address + 2) &&
    isHex(address + TRACE_AT, TRACE_DIGITS) &&
    !isZero(address + TRACE_AT, TRACE_DIGITS) &&
    isHyphen(address + SPAN_AT - 1) &&
    isHex(address + SPAN_AT, SPAN_DIGITS) &&
    !isZero(address + SPAN_AT, SPAN_DIGITS) &&
    isHyphen(address + FLAGS_AT - 1) &&
    isHex(address + FLAGS_AT, 2)
  );
}

function isHyphen(address: usize): bool {
  return u32(load<u8>(address)) == 0x2d; // SAFETY: inside the first LEAST_BYTES bytes.
}

/** Digits in lower case only. */
function isHex(address: usize, digits: u32): bool {
  for (let i: u32 = 0; i < digits; i++) {
    const byte = u32(load<u8>(address + i)); // SAFETY: inside the first LEAST_BYTES bytes.
    if (byte - 0x30 >= 10 && byte - 0x61 >= 6) return false;
  }
  return true;
}

function isZero(address: usize, digits: u32): bool {
  for (let i: u32 = 0; i < digits; i++) {
    if (u32(load<u8>(address + i)) != 0x30) return false; // SAFETY: as in `isHex`.
  }
  return true;
}
