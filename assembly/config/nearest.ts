// Which known name somebody probably meant.

import { asciiLower, Literal, literalByte, literalBytes } from "../memory/bytes";

/** Longest name that is compared; a longer one is no slip of the pen. */
const NAME_BYTES: u32 = 40;

/** Two rows of the edit distance's table. */
const rows: usize = memory.data((40 + 1) * 2 * 4, 4);

/**
 * Offset in `known` (names separated by spaces) of the one with the smallest edit distance (Levenshtein, 1966) to the
 * name at `address`; -1 when even that one needs more changes than a third of its letters.
 */
export function nearestOf(address: usize, bytes: u32, known: Literal): i32 {
  if (bytes > NAME_BYTES) return -1;
  const all = literalBytes(known);
  let best = -1;
  let bestDistance: u32 = u32.MAX_VALUE;
  let start: u32 = 0;
  while (start < all) {
    let end = start;
    while (end < all && literalByte(known, end) != 0x20) end++;
    const distance = distanceTo(address, bytes, known, start, end);
    if (distance < bestDistance && distance * 3 <= max<u32>(bytes, end - start)) {
      bestDistance = distance;
      best = i32(start);
    }
    start = end + 1;
  }
  return best;
}

/** Insertions, deletions and replacements from the name to `known[start, end)`. */
function distanceTo(address: usize, bytes: u32, known: Literal, start: u32, end: u32): u32 {
  let row: u32 = 0;
  for (let i: u32 = 0; i <= bytes; i++) set(row, i, i);
  for (let j = start; j < end; j++) {
    const other = row ^ 1;
    set(other, 0, j - start + 1);
    for (let i: u32 = 0; i < bytes; i++) {
      // SAFETY: i < bytes, the caller's range.
      const same = asciiLower(u32(load<u8>(address + i))) == asciiLower(literalByte(known, j));
      const replaced = get(row, i) + u32(!same);
      set(other, i + 1, min(replaced, min(get(row, i + 1), get(other, i)) + 1));
    }
    row = other;
  }
  return get(row, bytes);
}

function cell(row: u32, index: u32): usize {
  return rows + (usize(row * (NAME_BYTES + 1) + index) << 2);
}

function get(row: u32, index: u32): u32 {
  return load<u32>(cell(row, index)); // SAFETY: row < 2, index <= NAME_BYTES.
}

function set(row: u32, index: u32, value: u32): void {
  store<u32>(cell(row, index), value); // SAFETY: row < 2, index <= NAME_BYTES.
}
