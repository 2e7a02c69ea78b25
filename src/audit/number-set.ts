// A set of whole numbers that mostly follow each other, kept as ranges.

/** Ranges that are kept. Numbers of exchanges leave holes only while exchanges are under way, or where records are missing. */
const RANGES_MAX = 4096;

/** Numbers that were seen. With too many holes the lowest range is forgotten: a number of it that comes again is then not noticed. */
export class NumberSet {
  /** From low to high: first and last of each range, both in it, with a hole between any two. */
  private readonly ranges: [number, number][] = [];

  /** Adds a number; false when it is there already. */
  add(number: number): boolean {
    const { ranges } = this;
    const at = this.firstAbove(number);
    const below = ranges[at - 1];
    const above = ranges[at];
    if (below !== undefined && number <= below[1]) return false;
    const joinsBelow = below?.[1] === number - 1;
    const joinsAbove = above?.[0] === number + 1;
    if (joinsBelow && joinsAbove) {
      below[1] = above[1];
      ranges.splice(at, 1);
    } else if (joinsBelow) {
      below[1] = number;
    } else if (joinsAbove) {
      above[0] = number;
    } else {
      ranges.splice(at, 0, [number, number]);
      if (ranges.length > RANGES_MAX) ranges.shift();
    }
    return true;
  }

  /** Whether a number is there. */
  has(number: number): boolean {
    const below = this.ranges[this.firstAbove(number) - 1];
    return below !== undefined && number <= below[1];
  }

  /** The index of the first range that begins above the number. */
  private firstAbove(number: number): number {
    let low = 0;
    let high = this.ranges.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.ranges[middle]?.[0] ?? 0) <= number) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
