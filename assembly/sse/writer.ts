// JSON as the one line of data of an event (HTML standard, section 9.2.6).

import { appendByte, appendBytes, appendLiteral, Buffer } from "../memory/buffer";
import { scanOneLine } from "./scan";

/** `bytes`, or a little less, so that no character is cut: the rest of it is needed to see whether it must be escaped. */
export function wholeCharacters(address: usize, bytes: u32): u32 {
  let back: u32 = 0;
  while (back < 3 && back < bytes) {
    const byte = u32(load<u8>(address + bytes - back - 1)); // SAFETY: back < bytes, the caller's range.
    back++;
    if (byte >> 6 == 2) continue;
    return byte >= 0xc0 ? bytes - back : bytes;
  }
  return bytes;
}

/**
 * Appends JSON so that no reader finds a line end in it: between tokens they become spaces; inside strings what some readers
 * take for one (U+007F to U+009F, U+2028, U+2029) becomes an escape.
 */
export function writeLine(wire: Buffer, address: usize, bytes: u32): void {
  const end = address + bytes;
  let plain = address;
  let at = scanOneLine(address, end);
  while (at < end) {
    const byte = u32(load<u8>(at)); // SAFETY: at < end; sequences are whole, so their bytes lie before `end`.
    let length: u32 = 1;
    let point: u32 = 0;
    if (byte == 0x0a || byte == 0x0d || byte == 0x7f) {
      point = byte;
    } else if (byte == 0xc2 && at + 1 < end && u32(load<u8>(at, 1)) < 0xa0) {
      length = 2;
      point = u32(load<u8>(at, 1));
    } else if (byte == 0xe2 && at + 2 < end && u32(load<u8>(at, 1)) == 0x80 && (u32(load<u8>(at, 2)) | 1) == 0xa9) {
      length = 3;
      point = 0x2000 | (u32(load<u8>(at, 2)) & 0x3f);
    }
    if (point != 0) {
      appendBytes(wire, plain, u32(at - plain));
      if (point == 0x0a || point == 0x0d) appendByte(wire, 0x20);
      else appendEscape(wire, point);
      plain = at + length;
    }
    at = scanOneLine(at + length, end);
  }
  appendBytes(wire, plain, u32(end - plain));
}

function appendEscape(wire: Buffer, point: u32): void {
  appendLiteral(wire, "\\u");
  for (let shift: i32 = 12; shift >= 0; shift -= 4) {
    const digit = (point >> u32(shift)) & 15;
    appendByte(wire, digit < 10 ? 0x30 + digit : 0x57 + digit);
  }
}
