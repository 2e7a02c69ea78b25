// SipHash-1-3 (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012; one compression round, three final
// ones), keyed per VM. A keyed hash, because with a public one a sender can prepare member names that collide and turn
// the duplicate check into a quadratic loop or into a false refusal of somebody else's message.

// Written at start from the host's random numbers. They must really be written: a global that nobody writes is folded
// into a public constant of the module.
let key0: u64 = 0;
let key1: u64 = 0;

/** Sets the key of this VM: two numbers that nobody outside can know. */
export function setHashKey(first: u64, second: u64): void {
  key0 = first;
  key1 = second;
}

/** The 64-bit keyed hash of the `bytes` bytes at `address`, in the domain `tweak`. Never 0. */
export function sipHash(address: usize, bytes: u32, tweak: u32): u64 {
  let v0 = key0 ^ 0x736f6d6570736575;
  let v1 = key1 ^ 0x646f72616e646f6d;
  let v2 = key0 ^ 0x6c7967656e657261;
  let v3 = key1 ^ 0x7465646279746573;

  // The words of the input, then one with what remains of it, then one with its length and the tweak.
  const whole = bytes >> 3;
  for (let i: u32 = 0; i < whole + 2; i++) {
    let word: u64 = 0;
    if (i < whole) {
      // SAFETY: i < bytes / 8, so the eight bytes lie inside the caller's range.
      word = load<u64>(address + (usize(i) << 3));
    } else if (i == whole) {
      for (let j = whole << 3; j < bytes; j++) {
        // SAFETY: j < bytes, the caller's range.
        word |= u64(load<u8>(address + j)) << (u64(j & 7) << 3);
      }
    } else {
      word = (u64(tweak) << 32) | u64(bytes);
    }
    v3 ^= word;
    v0 += v1;
    v2 += v3;
    v1 = rotl(v1, 13) ^ v0;
    v3 = rotl(v3, 16) ^ v2;
    v0 = rotl(v0, 32) + v3;
    v2 += v1;
    v3 = rotl(v3, 21) ^ v0;
    v1 = rotl(v1, 17) ^ v2;
    v2 = rotl(v2, 32);
    v0 ^= word;
  }

  v2 ^= 0xff;
  for (let i = 0; i < 3; i++) {
    v0 += v1;
    v2 += v3;
    v1 = rotl(v1, 13) ^ v0;
    v3 = rotl(v3, 16) ^ v2;
    v0 = rotl(v0, 32) + v3;
    v2 += v1;
    v3 = rotl(v3, 21) ^ v0;
    v1 = rotl(v1, 17) ^ v2;
    v2 = rotl(v2, 32);
  }
  const hash = v0 ^ v1 ^ v2 ^ v3;
  return hash == 0 ? 1 : hash;
}
