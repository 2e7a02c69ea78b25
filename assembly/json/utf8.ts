// Well-formed UTF-8, 16 bytes at a time (Keiser and Lemire, "Validating UTF-8 in less than one instruction per byte",
// 2021): three tables, by the halves of a byte and of the one after it, each with the errors that these halves can be part of; what all
// three agree on is an error.

const TOO_SHORT: u8 = 0x01;
const TOO_LONG: u8 = 0x02;
const OVERLONG_3: u8 = 0x04;
const TOO_LARGE: u8 = 0x08;
const SURROGATE: u8 = 0x10;
const OVERLONG_2: u8 = 0x20;
/** Both at once: the tables that tell them apart are the same. */
const TOO_LARGE_1000: u8 = 0x40;
const OVERLONG_4: u8 = 0x40;
const TWO_CONTINUATIONS: u8 = 0x80;
/** What the second half of a lead byte alone says nothing about. */
const CARRY: u8 = TOO_SHORT | TOO_LONG | TWO_CONTINUATIONS;
const LARGE: u8 = CARRY | TOO_LARGE | TOO_LARGE_1000;

/** By the upper half of a byte. */
const firstHigh: usize = memory.data<u8>([
  TOO_LONG,
  TOO_LONG,
  TOO_LONG,
  TOO_LONG,
  TOO_LONG,
  TOO_LONG,
  TOO_LONG,
  TOO_LONG,
  TWO_CONTINUATIONS,
  TWO_CONTINUATIONS,
  TWO_CONTINUATIONS,
  TWO_CONTINUATIONS,
  TOO_SHORT | OVERLONG_2,
  TOO_SHORT,
  TOO_SHORT | OVERLONG_3 | SURROGATE,
  TOO_SHORT | TOO_LARGE | TOO_LARGE_1000 | OVERLONG_4,
]);

/** By its lower half. */
const firstLow: usize = memory.data<u8>([
  CARRY | OVERLONG_3 | OVERLONG_2 | OVERLONG_4,
  CARRY | OVERLONG_2,
  CARRY,
  CARRY,
  CARRY | TOO_LARGE,
  LARGE,
  LARGE,
  LARGE,
  LARGE,
  LARGE,
  LARGE,
  LARGE,
  LARGE,
  LARGE | SURROGATE,
  LARGE,
  LARGE,
]);

/** By the upper half of the byte behind it. */
const secondHigh: usize = memory.data<u8>([
  TOO_SHORT,
  TOO_SHORT,
  TOO_SHORT,
  TOO_SHORT,
  TOO_SHORT,
  TOO_SHORT,
  TOO_SHORT,
  TOO_SHORT,
  TOO_LONG | OVERLONG_2 | TWO_CONTINUATIONS | OVERLONG_3 | TOO_LARGE_1000 | OVERLONG_4,
  TOO_LONG | OVERLONG_2 | TWO_CONTINUATIONS | OVERLONG_3 | TOO_LARGE,
  TOO_LONG | OVERLONG_2 | TWO_CONTINUATIONS | SURROGATE | TOO_LARGE,
  TOO_LONG | OVERLONG_2 | TWO_CONTINUATIONS | SURROGATE | TOO_LARGE,
  TOO_SHORT,
  TOO_SHORT,
  TOO_SHORT,
  TOO_SHORT,
]);

/**
 * The first byte in [from, end) that is `"`, `\` or a control, or that begins a sequence which is not well-formed or not whole before
 * `end`; `end` when there is none. A character begins at `from`, which is less than `end`.
 */
export function scanUtf8(from: usize, end: usize): usize {
  // One character, because an escape or the end often follows it.
  const first = characterBytes(from, end);
  if (first == 0) return from;
  let address = from + first;
  if (address == end || characterBytes(address, end) == 0) return address;
  const start = address;
  let before = i8x16.splat(0);
  while (address + 16 <= end) {
    // SAFETY: the 16 bytes lie before `end`.
    const bytes = v128.load(address);
    const stop = v128.or(
      v128.or(i8x16.eq(bytes, i8x16.splat(0x22)), i8x16.eq(bytes, i8x16.splat(0x5c))),
      i8x16.lt_u(bytes, i8x16.splat(0x20)),
    );
    if (v128.any_true(v128.or(stop, errorsOf(bytes, before)))) break;
    before = bytes;
    address += 16;
  }
  // What the last whole block has begun is not known to be right.
  address = characterBoundary(start, address);
  while (address < end) {
    const bytes = characterBytes(address, end);
    if (bytes == 0) break;
    address += bytes;
  }
  return address;
}

/** The first byte of the character that [from, at) ends in, when it is not whole there, else `at`; all before is well-formed. */
function characterBoundary(from: usize, at: usize): usize {
  for (let back: u32 = 1; back <= 3 && at - back >= from; back++) {
    // SAFETY: from <= at - back < at.
    const byte = u32(load<u8>(at - back));
    if (byte < 0x80) return at;
    if (byte >= 0xc0) return u32(byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4) > back ? at - back : at;
  }
  return at;
}

/** Bytes of the well-formed character at `address`; 0 for `"`, `\`, a control, and what is not well-formed or not whole. */
function characterBytes(address: usize, end: usize): u32 {
  // SAFETY: address < end, and every other load is behind a comparison with `end`.
  const lead = u32(load<u8>(address));
  if (lead < 0x80) return lead < 0x20 || lead == 0x22 || lead == 0x5c ? 0 : 1;
  if (lead < 0xc2 || lead > 0xf4) return 0;
  const bytes: u32 = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  if (end - address < bytes) return 0;
  const second = u32(load<u8>(address, 1));
  const low: u32 = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
  const high: u32 = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
  if (second < low || second > high) return 0;
  for (let i: u32 = 2; i < bytes; i++) {
    if (u32(load<u8>(address + i)) >> 6 != 2) return 0;
  }
  return bytes;
}

/**
 * Zero when `bytes` go on with well-formed UTF-8 behind `before`, the 16 bytes in front of them, or zeros at a character's beginning.
 * What is not whole at the end of `bytes` is an error of the next ones alone.
 */
function errorsOf(bytes: v128, before: v128): v128 {
  const half = i8x16.splat(0x0f);
  const one = i8x16.shuffle(before, bytes, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30);
  const two = i8x16.shuffle(before, bytes, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29);
  const three = i8x16.shuffle(before, bytes, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28);
  // SAFETY: the tables have 16 bytes each.
  const found = v128.and(
    v128.and(
      i8x16.swizzle(v128.load(firstHigh), i8x16.shr_u(one, 4)),
      i8x16.swizzle(v128.load(firstLow), v128.and(one, half)),
    ),
    i8x16.swizzle(v128.load(secondHigh), i8x16.shr_u(bytes, 4)),
  );
  // The third byte of three and the third and fourth of four must be continuations, and only they may be a second one.
  const third = i8x16.sub_sat_u(two, i8x16.splat(0x60));
  const fourth = i8x16.sub_sat_u(three, i8x16.splat(0x70));
  const must = v128.and(v128.or(third, fourth), i8x16.splat(i8(0x80)));
  return v128.xor(must, found);
}
