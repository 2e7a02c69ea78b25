// Numbers of paired slices. The slices of one round ran one after the other in random order, so what slows the machine for a while slows all
// of them; only differences inside a round are used.

/** An estimate with its bootstrap 95 % interval. */
export interface Interval {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

const RESAMPLES = 2_000;

/** `statistic` of the rounds, and its interval: the rounds are drawn again and again, with replacement. */
export function bootstrap<T>(rounds: readonly T[], statistic: (rounds: readonly T[]) => number): Interval {
  const drawn = Array.from({ length: RESAMPLES }, () =>
    statistic(rounds.map(() => rounds[Math.floor(Math.random() * rounds.length)]!)),
  ).sort((one, other) => one - other);
  const at = (part: number) => drawn[Math.min(drawn.length - 1, Math.floor(part * drawn.length))]!;
  return { value: statistic(rounds), low: at(0.025), high: at(0.975) };
}

/** The mean without the tenth at each end: a slice that another process has interrupted counts for nothing. */
export function trimmedMean(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other);
  const cut = Math.floor(sorted.length / 10);
  const kept = sorted.slice(cut, sorted.length - cut);
  return kept.reduce((sum, value) => sum + value, 0) / kept.length;
}

export function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? Number.NaN;
}

/** The same in random order. */
export function shuffled<T>(values: readonly T[]): T[] {
  const left = [...values];
  const out: T[] = [];
  while (left.length > 0) out.push(...left.splice(Math.floor(Math.random() * left.length), 1));
  return out;
}
