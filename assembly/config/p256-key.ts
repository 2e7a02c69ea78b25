// A public key of P-256 as configurations have it, in one form: base64 of the DER of a SubjectPublicKeyInfo whose point is not compressed
// (RFC 5480 section 2). Of that all bytes but the two coordinates are the same for every key, so one comparison says that it is nothing else.

import { base64Character, base64Value } from "../memory/base64";
import { equalBytes } from "../memory/bytes";
import { Writer, writeByte } from "../memory/writer";

/** Bytes of the DER. */
export const SPKI_BYTES: u32 = 91;
/** Characters of its base64, padding included. */
const SPKI_CHARACTERS: u32 = 124;
/** id-ecPublicKey, prime256v1, a bit string of 66 bytes without unused bits, and 4: both coordinates follow. */
const PREFIX_BYTES: u32 = 27;
const PREFIX: usize = memory.data<u8>([
  0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
  0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
]);

/**
 * Decodes a key into the SPKI_BYTES at `to`. False when the text is none, padding and unused bits included (RFC 4648 section 3.5). Whether the
 * point lies on the curve is for the one who verifies with it.
 */
export function decodeSpki(address: usize, bytes: u32, to: usize): bool {
  if (bytes != SPKI_CHARACTERS) return false;
  for (let i: u32 = 0; i < SPKI_CHARACTERS; i += 4) {
    const isLast = i + 4 == SPKI_CHARACTERS;
    // SAFETY: i + 3 < SPKI_CHARACTERS == bytes.
    const a = base64Value(u32(load<u8>(address + i)));
    const b = base64Value(u32(load<u8>(address + i + 1)));
    const third = u32(load<u8>(address + i + 2));
    const fourth = u32(load<u8>(address + i + 3));
    // 91 bytes are thirty groups of three and one: the last group has four bits too many and two signs of padding.
    if (isLast && (third != 0x3d || fourth != 0x3d || (b & 15) != 0)) return false;
    const c = isLast ? 0 : base64Value(third);
    const d = isLast ? 0 : base64Value(fourth);
    if ((a | b | c | d) > 63) return false;
    const at = to + (i >> 2) * 3;
    // SAFETY: at + 2 < to + SPKI_BYTES; of the last group only the first byte is written.
    store<u8>(at, (a << 2) | (b >> 4));
    if (isLast) break;
    store<u8>(at + 1, (b << 4) | (c >> 2));
    store<u8>(at + 2, (c << 6) | d);
  }
  return equalBytes(to, PREFIX, PREFIX_BYTES);
}

/** Writes a key of SPKI_BYTES bytes as `decodeSpki` reads it. */
export function writeSpki(writer: Writer, spki: usize): void {
  for (let i: u32 = 0; i < SPKI_BYTES; i += 3) {
    const isLast = i + 1 == SPKI_BYTES;
    // SAFETY: i < SPKI_BYTES, and i + 2 too unless the group is the last.
    const a = u32(load<u8>(spki + i));
    const b = isLast ? 0 : u32(load<u8>(spki + i + 1));
    const c = isLast ? 0 : u32(load<u8>(spki + i + 2));
    writeByte(writer, base64Character(a >> 2));
    writeByte(writer, base64Character(((a & 3) << 4) | (b >> 4)));
    writeByte(writer, isLast ? 0x3d : base64Character(((b & 15) << 2) | (c >> 6)));
    writeByte(writer, isLast ? 0x3d : base64Character(c & 63));
  }
}
