// SipHash-1-3 as the paper defines it, in big numbers: the reference for the filter's own.

const word = (value: bigint): bigint => BigInt.asUintN(64, value);
const rotl = (value: bigint, bits: bigint): bigint => word((value << bits) | (value >> (64n - bits)));

/**
 * SipHash-c-d (Aumasson and Bernstein, 2012) with c = 1 and d = 3 over the input's words, its rest, and a last word of
 * length and tweak.
 */
export function sipHash13(bytes: Uint8Array, tweak: number, key0: bigint, key1: bigint): bigint {
  let [v0, v1] = [key0 ^ 0x736f6d6570736575n, key1 ^ 0x646f72616e646f6dn];
  let [v2, v3] = [key0 ^ 0x6c7967656e657261n, key1 ^ 0x7465646279746573n];
  const round = (): void => {
    v0 = word(v0 + v1);
    v1 = rotl(v1, 13n) ^ v0;
    v0 = rotl(v0, 32n);
    v2 = word(v2 + v3);
    v3 = rotl(v3, 16n) ^ v2;
    v0 = word(v0 + v3);
    v3 = rotl(v3, 21n) ^ v0;
    v2 = word(v2 + v1);
    v1 = rotl(v1, 17n) ^ v2;
    v2 = rotl(v2, 32n);
  };
  const padded = Buffer.alloc((Math.floor(bytes.length / 8) + 1) * 8);
  padded.set(bytes);
  const words = Array.from({ length: padded.length / 8 }, (_, index) => padded.readBigUInt64LE(index * 8));
  for (const each of [...words, (BigInt(tweak) << 32n) | BigInt(bytes.length)]) {
    v3 ^= each;
    round();
    v0 ^= each;
  }
  v2 ^= 0xffn;
  for (let index = 0; index < 3; index++) round();
  const hash = v0 ^ v1 ^ v2 ^ v3;
  return hash === 0n ? 1n : hash;
}
