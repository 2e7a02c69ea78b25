// SHA-256 (FIPS 180-4): of one range of bytes, or of bytes that come in pieces, any number of digests under way at once.
// Hot path: bodies and the lines of the audit log go through `compress`, which is nearly the whole cost.
//
// Each round needs the result of the one before, so the processor has time left in it. The words of the schedule do not
// need the rounds: they are made among them, sixteen rounds ahead, four at a time, with SIMD as one vector. In ns per byte
// of 16 KiB, optimised by V8 (Node 20.20.2, AMD EPYC): 3.3 with the schedule in front of the rounds, word by word, and values
// that move on in each round; 2.7 with the schedule in front in vectors, and rounds whose values stay; 1.8 with it among
// them, and 2.5 so without SIMD. Eight or sixteen rounds written out in place of four gained nothing; the schedule in
// sixteen locals took 2.7.

const BLOCK_BYTES: u32 = 64;
const DIGEST_WORDS: u32 = 8;
/** One word a round. */
const SCHEDULE_BYTES: u32 = 256;

/**
 * A digest under way: `SHA256_BYTES` bytes, which are more than the fields. Behind them stand the bytes of the block that
 * is not whole yet, the first `bytes % 64` of 64. Nobody else needs to know the fields.
 */
@unmanaged
export class Sha256 {
  /** How many bytes have come. */
  bytes: u64;
  /** The hash value (section 6.2); in the end the digest. INVARIANT: the eight words stand side by side. */
  a: u32;
  b: u32;
  c: u32;
  d: u32;
  e: u32;
  f: u32;
  g: u32;
  h: u32;
}

/** What a caller keeps for one digest. */
export const SHA256_BYTES: u32 = u32(offsetof<Sha256>()) + BLOCK_BYTES;

/** The digest of `sha256`. */
const WHOLE: usize = memory.data(SHA256_BYTES, 8);
/** The words of the schedule, and each with its round's constant added. Scratch of one call of `compress`. */
const SCHEDULE: usize = memory.data(SCHEDULE_BYTES, 16);
const KEYED: usize = memory.data(SCHEDULE_BYTES, 16);
// FIPS 180-4 section 4.2.2: the first 32 bits of the fractional parts of the cube roots of the first 64 primes.
const CONSTANTS: usize = memory.data<u32>(
  [
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98,
    0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
    0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8,
    0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
    0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819,
    0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
    0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
    0xc67178f2,
  ],
  16,
);

/** Address of the digest of the `bytes` bytes at `address`: 32 bytes, alive until the next call. */
export function sha256(address: usize, bytes: u32): usize {
  const hash = changetype<Sha256>(WHOLE);
  beginSha256(hash);
  updateSha256(hash, address, bytes);
  return endSha256(hash);
}

/** Begins a digest, whatever was in the record. */
export function beginSha256(hash: Sha256): void {
  hash.bytes = 0;
  // Section 5.3.3.
  hash.a = 0x6a09e667;
  hash.b = 0xbb67ae85;
  hash.c = 0x3c6ef372;
  hash.d = 0xa54ff53a;
  hash.e = 0x510e527f;
  hash.f = 0x9b05688c;
  hash.g = 0x1f83d9ab;
  hash.h = 0x5be0cd19;
}

/** Takes in the next `bytes` bytes. Nothing of the range is needed after the call. */
export function updateSha256(hash: Sha256, address: usize, bytes: u32): void {
  const block = blockOf(hash);
  const held = heldBytes(hash);
  hash.bytes += bytes;
  if (held != 0) {
    const taken = min(bytes, BLOCK_BYTES - held);
    memory.copy(block + held, address, taken);
    if (held + taken < BLOCK_BYTES) return;
    compress(hash, block);
    address += taken;
    bytes -= taken;
  }
  for (; bytes >= BLOCK_BYTES; bytes -= BLOCK_BYTES) {
    compress(hash, address);
    address += BLOCK_BYTES;
  }
  memory.copy(block, address, bytes);
}

/** Ends the digest; its address: 32 bytes inside the record, alive until the record is begun anew or freed. */
export function endSha256(hash: Sha256): usize {
  const block = blockOf(hash);
  let held = heldBytes(hash);
  // The bit 1, zeros, and the length in bits as a big-endian u64 (section 5.1.1).
  store<u8>(block + held, 0x80); // SAFETY: held < 64, the bytes of the block.
  held++;
  if (held > BLOCK_BYTES - 8) {
    memory.fill(block + held, 0, BLOCK_BYTES - held);
    compress(hash, block);
    held = 0;
  }
  memory.fill(block + held, 0, BLOCK_BYTES - 8 - held);
  store<u64>(block, bswap(hash.bytes << 3), BLOCK_BYTES - 8); // SAFETY: the last eight bytes of the block.
  compress(hash, block);
  const digest = changetype<usize>(hash) + offsetof<Sha256>("a");
  for (let i: usize = 0; i < DIGEST_WORDS; i++) {
    const at = digest + (i << 2);
    store<u32>(at, bswap(load<u32>(at))); // SAFETY: one of the record's eight words.
  }
  return digest;
}

/** Address of the block that is not whole yet. */
function blockOf(hash: Sha256): usize {
  return changetype<usize>(hash) + offsetof<Sha256>();
}

/** How many bytes of it have come: fewer than a block has. */
function heldBytes(hash: Sha256): u32 {
  return u32(hash.bytes) & (BLOCK_BYTES - 1);
}

/** Takes the 64 bytes at `block` into the hash value (section 6.2.2). */
function compress(hash: Sha256, block: usize): void {
  beginSchedule(block);
  let a = hash.a;
  let b = hash.b;
  let c = hash.c;
  let d = hash.d;
  let e = hash.e;
  let f = hash.f;
  let g = hash.g;
  let h = hash.h;
  // SAFETY: at + 16 <= SCHEDULE_BYTES, the bytes at KEYED.
  for (let at: usize = 0; at < SCHEDULE_BYTES; at += 16) {
    if (at < SCHEDULE_BYTES - BLOCK_BYTES) extendSchedule(at);
    // Four rounds. The standard moves all eight values on in each, and changes two of them; here the names move on instead.
    h += bigSigma1(e) + choice(e, f, g) + load<u32>(KEYED + at);
    d += h;
    h += bigSigma0(a) + majority(a, b, c);
    g += bigSigma1(d) + choice(d, e, f) + load<u32>(KEYED + at, 4);
    c += g;
    g += bigSigma0(h) + majority(h, a, b);
    f += bigSigma1(c) + choice(c, d, e) + load<u32>(KEYED + at, 8);
    b += f;
    f += bigSigma0(g) + majority(g, h, a);
    e += bigSigma1(b) + choice(b, c, d) + load<u32>(KEYED + at, 12);
    a += e;
    e += bigSigma0(f) + majority(f, g, h);
    // After four, the halves have changed places.
    let other = a;
    a = e;
    e = other;
    other = b;
    b = f;
    f = other;
    other = c;
    c = g;
    g = other;
    other = d;
    d = h;
    h = other;
  }
  hash.a += a;
  hash.b += b;
  hash.c += c;
  hash.d += d;
  hash.e += e;
  hash.f += f;
  hash.g += g;
  hash.h += h;
}

/** The first 16 words: those of the block, big-endian. */
function beginSchedule(block: usize): void {
  // SAFETY: at < 64, the bytes of the block and fewer than the schedule has.
  if (ASC_FEATURE_SIMD) {
    for (let at: usize = 0; at < BLOCK_BYTES; at += 16) {
      const bytes = v128.load(block + at);
      setWords(at, i8x16.shuffle(bytes, bytes, 3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12));
    }
  } else {
    for (let at: usize = 0; at < BLOCK_BYTES; at += 4) setWord(at, bswap(load<u32>(block + at)));
  }
}

/** The next four words of the schedule, from the 16 in front of them, which begin `at` bytes into it. */
function extendSchedule(at: usize): void {
  const first = SCHEDULE + at;
  // SAFETY: the caller keeps at + 80 within the schedule's bytes, and every load lies in the first 64 of these 80.
  if (ASC_FEATURE_SIMD) {
    const w0 = v128.load(first);
    const w4 = v128.load(first, 16);
    const w8 = v128.load(first, 32);
    const w12 = v128.load(first, 48);
    // Put together from whole vectors: a load across two that were just stored waits for both.
    const w1 = i32x4.shuffle(w0, w4, 1, 2, 3, 4);
    const w9 = i32x4.shuffle(w8, w12, 1, 2, 3, 4);
    const sum = i32x4.add(i32x4.add(w0, w9), smallSigma0x4(w1));
    // The last two of the four need the first two.
    const zero = i32x4.splat(0);
    const half = i32x4.add(sum, i32x4.shuffle(smallSigma1x2(i32x4.shuffle(w12, w12, 2, 2, 3, 3)), zero, 0, 2, 4, 4));
    const whole = i32x4.shuffle(smallSigma1x2(i32x4.shuffle(half, half, 0, 0, 1, 1)), zero, 4, 4, 0, 2);
    setWords(at + BLOCK_BYTES, i32x4.add(half, whole));
  } else {
    extendByWord(at, first);
    extendByWord(at + 4, first + 4);
    extendByWord(at + 8, first + 8);
    extendByWord(at + 12, first + 12);
  }
}

function extendByWord(at: usize, first: usize): void {
  // SAFETY: as in extendSchedule.
  const sum = load<u32>(first) + smallSigma0(load<u32>(first, 4)) + load<u32>(first, 36);
  setWord(at + BLOCK_BYTES, sum + smallSigma1(load<u32>(first, 56)));
}

function setWords(at: usize, words: v128): void {
  // SAFETY: the caller keeps at + 16 within the schedule's bytes, which are as many as the constants'.
  v128.store(SCHEDULE + at, words);
  v128.store(KEYED + at, i32x4.add(words, v128.load(CONSTANTS + at)));
}

function setWord(at: usize, word: u32): void {
  // SAFETY: the caller keeps at + 4 within the schedule's bytes, which are as many as the constants'.
  store<u32>(SCHEDULE + at, word);
  store<u32>(KEYED + at, word + load<u32>(CONSTANTS + at));
}

// The functions of section 4.1.2; the first two in fewer operations than there.

function choice(x: u32, y: u32, z: u32): u32 {
  return z ^ (x & (y ^ z));
}

function majority(x: u32, y: u32, z: u32): u32 {
  return (x & y) | (z & (x | y));
}

function bigSigma0(x: u32): u32 {
  return rotr(x, 2) ^ rotr(x, 13) ^ rotr(x, 22);
}

function bigSigma1(x: u32): u32 {
  return rotr(x, 6) ^ rotr(x, 11) ^ rotr(x, 25);
}

function smallSigma0(x: u32): u32 {
  return rotr(x, 7) ^ rotr(x, 18) ^ (x >> 3);
}

function smallSigma1(x: u32): u32 {
  return rotr(x, 17) ^ rotr(x, 19) ^ (x >> 10);
}

/** `smallSigma0` of four words. Vectors have no rotation. */
function smallSigma0x4(x: v128): v128 {
  const seven = v128.xor(i32x4.shr_u(x, 7), i32x4.shl(x, 25));
  const eighteen = v128.xor(i32x4.shr_u(x, 18), i32x4.shl(x, 14));
  return v128.xor(v128.xor(seven, eighteen), i32x4.shr_u(x, 3));
}

/**
 * `smallSigma1` of two words, each given twice in a row: in 64 bits, a shift of the doubled word rotates its low half. The
 * results stand in the lanes 0 and 2.
 */
function smallSigma1x2(x: v128): v128 {
  return v128.xor(v128.xor(i64x2.shr_u(x, 17), i64x2.shr_u(x, 19)), i32x4.shr_u(x, 10));
}
