// SHA-256 (FIPS 180-4), for digests of configurations. Cold path: written to be read.

const STATE: usize = memory.data(32, 4);
const SCHEDULE: usize = memory.data(256, 4);
const BLOCK: usize = memory.data(64, 4);
// FIPS 180-4 section 4.2.2: the first 32 bits of the fractional parts of the cube roots of the first 64 primes.
const ROUNDS: usize = memory.data<u32>([
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98,
  0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
  0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8,
  0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
  0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819,
  0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
  0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
  0xc67178f2,
]);

/** Address of the digest of the `bytes` bytes at `address`: 32 bytes, alive until the next call. */
export function sha256(address: usize, bytes: u32): usize {
  setState(0, 0x6a09e667);
  setState(1, 0xbb67ae85);
  setState(2, 0x3c6ef372);
  setState(3, 0xa54ff53a);
  setState(4, 0x510e527f);
  setState(5, 0x9b05688c);
  setState(6, 0x1f83d9ab);
  setState(7, 0x5be0cd19);
  const whole = bytes & ~63;
  for (let i: u32 = 0; i < whole; i += 64) compress(address + i);

  // The rest, the bit 1, zeros, and the length in bits as a big-endian u64 (section 5.1.1).
  const rest = bytes - whole;
  memory.fill(BLOCK, 0, 64);
  memory.copy(BLOCK, address + whole, rest);
  store<u8>(BLOCK + rest, 0x80); // SAFETY: rest < 64.
  if (rest >= 56) {
    compress(BLOCK);
    memory.fill(BLOCK, 0, 64);
  }
  store<u64>(BLOCK, bswap(u64(bytes) << 3), 56); // SAFETY: bytes 56 to 63 of the block.
  compress(BLOCK);
  // SAFETY: i < 8 words of the state, which become big-endian bytes.
  for (let i: u32 = 0; i < 8; i++) store<u32>(STATE + (usize(i) << 2), bswap(state(i)));
  return STATE;
}

function state(index: u32): u32 {
  return load<u32>(STATE + (usize(index) << 2)); // SAFETY: index < 8.
}

function setState(index: u32, value: u32): void {
  store<u32>(STATE + (usize(index) << 2), value); // SAFETY: index < 8.
}

function word(index: u32): u32 {
  return load<u32>(SCHEDULE + (usize(index) << 2)); // SAFETY: index < 64.
}

function setWord(index: u32, value: u32): void {
  store<u32>(SCHEDULE + (usize(index) << 2), value); // SAFETY: index < 64.
}

function compress(block: usize): void {
  // SAFETY: 16 words of a block of 64 bytes.
  for (let i: u32 = 0; i < 16; i++) setWord(i, bswap(load<u32>(block + (usize(i) << 2))));
  for (let i: u32 = 16; i < 64; i++) {
    const w15 = word(i - 15);
    const w2 = word(i - 2);
    const s0 = rotr(w15, 7) ^ rotr(w15, 18) ^ (w15 >> 3);
    const s1 = rotr(w2, 17) ^ rotr(w2, 19) ^ (w2 >> 10);
    setWord(i, word(i - 16) + s0 + word(i - 7) + s1);
  }
  let a = state(0);
  let b = state(1);
  let c = state(2);
  let d = state(3);
  let e = state(4);
  let f = state(5);
  let g = state(6);
  let h = state(7);
  for (let i: u32 = 0; i < 64; i++) {
    const s1 = rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25);
    const choice = (e & f) ^ (~e & g);
    // SAFETY: i < 64.
    const t1 = h + s1 + choice + load<u32>(ROUNDS + (usize(i) << 2)) + word(i);
    const s0 = rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22);
    const majority = (a & b) ^ (a & c) ^ (b & c);
    h = g;
    g = f;
    f = e;
    e = d + t1;
    d = c;
    c = b;
    b = a;
    a = t1 + s0 + majority;
  }
  setState(0, state(0) + a);
  setState(1, state(1) + b);
  setState(2, state(2) + c);
  setState(3, state(3) + d);
  setState(4, state(4) + e);
  setState(5, state(5) + f);
  setState(6, state(6) + g);
  setState(7, state(7) + h);
}
