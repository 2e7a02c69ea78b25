// Which known name somebody probably meant: the filter's own measure, for what the filter is not asked about.

/** Longest name that is compared; a longer one is no slip of the pen. */
const NAME_LENGTH_MAX = 64;

/** The known name with the smallest edit distance (Levenshtein, 1966); undefined when even that one needs more changes than a third of its letters. */
export function nearestOf(name: string, known: Iterable<string>): string | undefined {
  if (name.length > NAME_LENGTH_MAX) return undefined;
  let best: string | undefined;
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const other of known) {
    const length = Math.max(name.length, other.length);
    if (other.length > NAME_LENGTH_MAX || Math.abs(name.length - other.length) * 3 > length) continue;
    const distance = distanceBetween(name.toLowerCase(), other.toLowerCase());
    if (distance < bestDistance && distance * 3 <= length) {
      bestDistance = distance;
      best = other;
    }
  }
  return best;
}

/** Insertions, deletions and replacements from one text to the other. */
function distanceBetween(from: string, to: string): number {
  let row = Array.from({ length: from.length + 1 }, (_, index) => index);
  for (let j = 1; j <= to.length; j++) {
    const next = [j];
    for (let i = 1; i <= from.length; i++) {
      const replaced = (row[i - 1] ?? 0) + Number(from[i - 1] !== to[j - 1]);
      next.push(Math.min(replaced, (row[i] ?? 0) + 1, (next[i - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[from.length] ?? 0;
}
