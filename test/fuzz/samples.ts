// Samples of an arbitrary until a time is over, from one seed: the same seed gives the same samples in the same order.

import fc from "fast-check";

/** Something that must not be, with what it takes to see it again. */
export interface Finding {
  readonly at: string;
  readonly input: string;
  readonly found: string;
  readonly expected: string;
}

const BATCH = 100;

export function* samples<T>(
  arbitrary: fc.Arbitrary<T>,
  seconds: number,
  seed: number,
): Generator<{ value: T; at: string }> {
  const end = process.hrtime.bigint() + BigInt(Math.round(seconds * 1e9));
  for (let batch = 0; process.hrtime.bigint() < end; batch++) {
    for (const [index, value] of fc.sample(arbitrary, { numRuns: BATCH, seed: seed + batch }).entries()) {
      yield { value, at: `seed ${seed}, batch ${batch}, sample ${index}` };
      if (process.hrtime.bigint() >= end) return;
    }
  }
}

/** The number in this variable of the environment, or another one each time. */
export function seedFromEnvironment(name: string): number {
  const text = process.env[name] ?? "";
  const given = Number(text);
  return text !== "" && Number.isSafeInteger(given) ? given : Math.floor(Math.random() * 2 ** 31);
}

/** `FUZZ_SECONDS`, or what `make test` takes. */
export function secondsFromEnvironment(): number {
  const given = Number(process.env.FUZZ_SECONDS);
  return given > 0 ? given : 50;
}
