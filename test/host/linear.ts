// Whether time grows with a size and no faster. Method: the least of several runs at n and at 2n, by turns, so that a busy
// machine does not decide; a quadratic way has a ratio of 4.

import { expect } from "vitest";

/** The sizes that are compared, in bytes. */
export const SIZES = [200_000, 400_000] as const;
const RUNS = 7;
const RATIO_MAX = 2.3;
const ATTEMPTS = 5;
/** Below this a run is too short to be compared: the refusal came before there was work. */
const LEAST_MS = 0.2;

function milliseconds(run: () => void): number {
  const start = process.hrtime.bigint();
  run();
  return Number(process.hrtime.bigint() - start) / 1e6;
}

/** The ratio of the least times of the two. */
function ratio([single, double]: readonly [() => void, () => void]): number {
  let [least, leastOfDouble] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let run = 0; run < RUNS; run++) {
    least = Math.min(least, milliseconds(single));
    leastOfDouble = Math.min(leastOfDouble, milliseconds(double));
  }
  return leastOfDouble < LEAST_MS ? 1 : leastOfDouble / least;
}

/** Expects `double`, which has twice the work of `single`, to take about twice its time. */
export function expectLinear(single: () => void, double: () => void): void {
  double();
  let best = Number.POSITIVE_INFINITY;
  // The better of a few attempts: another process can make one slow, and none makes a quadratic one fast.
  for (let attempt = 0; attempt < ATTEMPTS && best >= RATIO_MAX; attempt++)
    best = Math.min(best, ratio([single, double]));
  expect(best).toBeLessThan(RATIO_MAX);
}
