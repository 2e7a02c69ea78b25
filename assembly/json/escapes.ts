// Escapes inside strings (RFC 8259 section 7), 64 bytes at a time: which bytes are escaped follows from the runs of backslashes (Langdale and
// Lemire, "Parsing gigabytes of JSON per second", 2019, section 3.1.1), and what must stand where after them from shifts of such masks. A mask
// has a bit for each byte of a block, the first lowest; what it says of the next block is carried there.

const EVEN: u64 = 0x5555555555555555;

/** The classes of a byte, by its halves: it has those that both halves can have. */
const ESCAPED_2: u8 = 0x01; // " and /
const ESCAPED_5: u8 = 0x02; // \
const ESCAPED_6: u8 = 0x04; // b f n
const ESCAPED_7: u8 = 0x08; // r t u
const DIGIT: u8 = 0x10;
const LETTER: u8 = 0x20; // a to f, in both cases
const ANY_ESCAPED: u8 = ESCAPED_2 | ESCAPED_5 | ESCAPED_6 | ESCAPED_7;
const ANY_HEX: u8 = DIGIT | LETTER;

const byHigh: usize = memory.data<u8>([
  0,
  0,
  ESCAPED_2,
  DIGIT,
  LETTER,
  ESCAPED_5,
  ESCAPED_6 | LETTER,
  ESCAPED_7,
  0,
  0,
  0,
  0,
  0,
  0,
  0,
  0,
]);

const byLow: usize = memory.data<u8>([
  DIGIT,
  DIGIT | LETTER,
  DIGIT | LETTER | ESCAPED_2 | ESCAPED_6 | ESCAPED_7,
  DIGIT | LETTER,
  DIGIT | LETTER | ESCAPED_7,
  DIGIT | LETTER | ESCAPED_7,
  DIGIT | LETTER | ESCAPED_6,
  DIGIT,
  DIGIT,
  DIGIT,
  0,
  0,
  ESCAPED_5,
  0,
  ESCAPED_6,
  ESCAPED_2,
]);

/**
 * Over ASCII text and its escapes, from the beginning of a character at `from` on. Gives the first byte that is an unescaped `"`, a control, or
 * above ASCII, or an earlier beginning of a character when something between is wrong, or less than 64 bytes are left.
 */
export function scanEscapes(from: usize, end: usize): usize {
  let at = from;
  /** Everything before it is right, and no escape lies across it. */
  let safe = from;
  /** What the block before says of this one: whether its first byte is escaped, and what must be hexadecimal. */
  let escapedCarry: u64 = 0;
  let hexCarry: u64 = 0;
  /** Whether its first byte is the first digit of a unit; the second one of a unit that begins with D; where the second digit of a low surrogate must stand. */
  let firstCarry: u64 = 0;
  let secondCarry: u64 = 0;
  let lowCarry: u64 = 0;
  while (at + 64 <= end) {
    // SAFETY: the 64 bytes lie before `end`.
    const a = v128.load(at);
    const b = v128.load(at, 16);
    const c = v128.load(at, 32);
    const d = v128.load(at, 48);
    const backslashes = equalMask(a, b, c, d, 0x5c) & ~escapedCarry;
    const follows = (backslashes << 1) | escapedCarry;
    const oddStarts = backslashes & ~EVEN & ~follows;
    const runs = oddStarts + backslashes;
    escapedCarry = u64(runs < backslashes);
    const escaped = (EVEN ^ (runs << 1)) & follows;

    // As signed numbers, controls and what is above ASCII are below 0x20.
    const stops = (equalMask(a, b, c, d, 0x22) & ~escaped) | lowMask(a, b, c, d);
    const stop = stops & (0 - stops);
    const before = stop - 1;

    const classA = classOf(a);
    const classB = classOf(b);
    const classC = classOf(c);
    const classD = classOf(d);
    let wrong = escaped & withoutMask(classA, classB, classC, classD, ANY_ESCAPED);
    // What stands behind the stop is another text's.
    const units = escaped & before & equalMask(a, b, c, d, 0x75);
    /** What must be hexadecimal, and where the second digit of a low surrogate must stand. */
    let hex: u64 = 0;
    let low: u64 = 0;
    if ((units | hexCarry) != 0) {
      hex = (units << 1) | (units << 2) | (units << 3) | (units << 4) | hexCarry;
      hexCarry = (units >> 63) | (units >> 62) | (units >> 61) | (units >> 60);
      wrong |= hex & withoutMask(classA, classB, classC, classD, ANY_HEX);
      const first = ((units << 1) | firstCarry) & rangeMask(a, b, c, d, 0x64, 1);
      firstCarry = units >> 63;
      const second = (first << 1) | secondCarry;
      secondCarry = first >> 63;
      // Where no low half follows, what is carried stays, and nothing is right any more.
      if (second != 0) {
        // Of the units from D000 on the second digit says which half of a pair they are, if any; a low one stands six bytes behind its high one.
        const lows = second & rangeMask(a, b, c, d, 0x63, 4);
        const highs = second & ~lows & ~rangeMask(a, b, c, d, 0x30, 8);
        low = (highs << 6) | lowCarry;
        lowCarry = highs >> 58;
        wrong |= low ^ lows;
      }
    }

    if (stops != 0) {
      // Nothing before the stop is wrong, and nothing that must follow is missing.
      const missing = (escaped & stop) | ((hex | low) & ~before) | hexCarry | lowCarry;
      return ((wrong & before) | missing) == 0 ? at + usize(ctz(stops)) : safe;
    }
    if (wrong != 0) return safe;
    at += 64;
    if ((escapedCarry | hexCarry | firstCarry | secondCarry | lowCarry) == 0) safe = at;
  }
  return safe;
}

/** Where `byte` stands. */
function equalMask(a: v128, b: v128, c: v128, d: v128, byte: u8): u64 {
  const wanted = i8x16.splat(byte);
  return maskOf(i8x16.eq(a, wanted), i8x16.eq(b, wanted), i8x16.eq(c, wanted), i8x16.eq(d, wanted));
}

/** Where a control stands, or what is above ASCII. */
function lowMask(a: v128, b: v128, c: v128, d: v128): u64 {
  const space = i8x16.splat(0x20);
  return maskOf(i8x16.lt_s(a, space), i8x16.lt_s(b, space), i8x16.lt_s(c, space), i8x16.lt_s(d, space));
}

/** Where one of the `count` bytes from `from` on stands, letters in either case. */
function rangeMask(a: v128, b: v128, c: v128, d: v128, from: u8, count: u8): u64 {
  return maskOf(inRange(a, from, count), inRange(b, from, count), inRange(c, from, count), inRange(d, from, count));
}

function inRange(bytes: v128, from: u8, count: u8): v128 {
  const folded = v128.or(bytes, i8x16.splat(0x20));
  return i8x16.lt_u(i8x16.sub(folded, i8x16.splat(from)), i8x16.splat(count));
}

/** The classes of 16 bytes. */
function classOf(bytes: v128): v128 {
  // SAFETY: the tables have 16 bytes each.
  const high = i8x16.swizzle(v128.load(byHigh), i8x16.shr_u(bytes, 4));
  return v128.and(high, i8x16.swizzle(v128.load(byLow), v128.and(bytes, i8x16.splat(0x0f))));
}

/** Where none of `classes` is. */
function withoutMask(a: v128, b: v128, c: v128, d: v128, classes: u8): u64 {
  const wanted = i8x16.splat(classes);
  const none = i8x16.splat(0);
  return maskOf(
    i8x16.eq(v128.and(a, wanted), none),
    i8x16.eq(v128.and(b, wanted), none),
    i8x16.eq(v128.and(c, wanted), none),
    i8x16.eq(v128.and(d, wanted), none),
  );
}

/** One bit for each of 64 lanes. */
function maskOf(a: v128, b: v128, c: v128, d: v128): u64 {
  const low = u64(i8x16.bitmask(a)) | (u64(i8x16.bitmask(b)) << 16);
  return low | (u64(i8x16.bitmask(c)) << 32) | (u64(i8x16.bitmask(d)) << 48);
}
