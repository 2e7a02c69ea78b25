// The digest of one call: what an approval is given for, and what a receipt names. SHA-256 over fields that each have their length in front of
// them, so that no byte can move from one field into the next: schema/canonical-arguments.md.

import { Literal, literalByte, literalBytes } from "../memory/bytes";
import { beginSha256, endSha256, SHA256_BYTES, Sha256, updateSha256 } from "../memory/sha256";

/** The first field: no other use of SHA-256 begins like this. */
const DOMAIN: Literal = "mcp-guard-approval-v1";
const DIGEST_BYTES: u32 = 32;
/** What `endCallDigest` gives: hexadecimal digits. */
export const CALL_DIGEST_DIGITS: u32 = DIGEST_BYTES << 1;

/** One digest is under way at a time: a call is digested within one callback. */
const hash: Sha256 = changetype<Sha256>(memory.data(SHA256_BYTES, 8));
/** A length, or one byte of a literal. */
const smallAt: usize = memory.data(4, 4);
const digitsAt: usize = memory.data(CALL_DIGEST_DIGITS, 8);

/** Begins the digest of a call, whatever was under way. The fields follow with `addDigestField`, each of them, in their order. */
export function beginCallDigest(): void {
  beginSha256(hash);
  addLength(literalBytes(DOMAIN));
  for (let i: u32 = 0; i < literalBytes(DOMAIN); i++) {
    store<u8>(smallAt, literalByte(DOMAIN, i)); // SAFETY: four bytes stand there.
    updateSha256(hash, smallAt, 1);
  }
}

/** Adds the next field: the `bytes` bytes at `at`. A field that the call does not have has 0 bytes. */
export function addDigestField(at: usize, bytes: u32): void {
  addLength(bytes);
  updateSha256(hash, at, bytes);
}

/** Address of the digest: CALL_DIGEST_DIGITS lower-case hexadecimal digits, alive until the next call of this function. */
export function endCallDigest(): usize {
  const digest = endSha256(hash);
  for (let i: u32 = 0; i < DIGEST_BYTES; i++) {
    const byte = u32(load<u8>(digest + i)); // SAFETY: i < 32, the bytes of a digest; each has room for two digits.
    store<u8>(digitsAt + (usize(i) << 1), digitOf(byte >> 4)); // SAFETY: as above.
    store<u8>(digitsAt + (usize(i) << 1), digitOf(byte & 15), 1); // SAFETY: as above.
  }
  return digitsAt;
}

/** Big-endian. */
function addLength(bytes: u32): void {
  store<u32>(smallAt, bswap(bytes)); // SAFETY: four bytes stand there.
  updateSha256(hash, smallAt, 4);
}

function digitOf(value: u32): u32 {
  return value < 10 ? 0x30 + value : 0x57 + value;
}
