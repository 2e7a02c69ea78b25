// A keyed hash of at most 15 bytes that are in registers already: a fraction of what SipHash costs, which is why the names of members
// have it. It has no proof as SipHash has. What it has to keep is less: two names with one hash refuse a text, and hide nothing; names that
// meet in the table make it slower, at most `limits.open_members` of them. At one depth names of at most 8 bytes have hashes of their own,
// because every step is a bijection of the first word (0, which stands for an empty slot, becomes 1).

// Written at start; siphash.ts says why they must be. The factors are odd.
let key0: u64 = 0;
let key1: u64 = 1;
let key2: u64 = 0;
let key3: u64 = 1;

/** Bytes of the longest text that has a short hash. */
export const SHORT_BYTES_MAX: u32 = 15;

/** Sets the key of this VM: four numbers that nobody outside can know. */
export function setShortHashKey(first: u64, second: u64, third: u64, fourth: u64): void {
  key0 = first;
  key1 = second | 1;
  key2 = third;
  key3 = fourth | 1;
}

/**
 * The 64-bit hash, in the domain `tweak`, of a text without zero bytes, whose first 8 bytes are `low`, the next `high`, both little-endian
 * and filled up with zeros. Never 0.
 */
export function shortHash(low: u64, high: u64, tweak: u32): u64 {
  // The tweak comes in where the key makes something else of every one of its values.
  let hash = (low ^ (key0 + u64(tweak) * key3)) * key1;
  hash ^= hash >> 32;
  hash = ((hash + high * key1) ^ key2) * key3;
  // A product carries upwards only, and a table takes the lowest bits: what differs in the last bytes must come down to them, twice.
  hash ^= hash >> 32;
  hash *= key1;
  hash ^= hash >> 32;
  return hash == 0 ? 1 : hash;
}
