// The clock. All contestants read one input in turn, round after round, so that what slows the machine for a while slows
// all of them; the minimum over the rounds is what the code takes, the median says how noisy the machine was.
import type { Contestant, Work } from "./contestants.ts";
import type { Input } from "./inputs.ts";

/** What one contestant took for one input, in nanoseconds per byte. */
export interface Measured {
  minimum: number;
  median: number;
}

/** Milliseconds of one sample. Long against the clock's resolution, short against a time slice of the system. */
const SAMPLE_MS = 2;

/** Times every contestant at `input`, in `rounds` rounds. Throws when one of them did not read what there is to read. */
export function measure(contestants: readonly Contestant[], input: Input, rounds: number): Map<string, Measured> {
  const entries = contestants.map((contestant) => {
    const work = contestant.open(input);
    const check = (times: number): void => {
      if (!work.holds(times)) throw new Error(`${contestant.name} did not read all of "${input.name}"`);
      work.clean();
    };
    return { name: contestant.name, work, check, times: enough(work, check), samples: [] as number[] };
  });
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < entries.length; i++) {
      // Another one begins each round, so that nobody always reads behind the one that leaves the caches coldest.
      const entry = entries[(round + i) % entries.length];
      if (entry === undefined) continue;
      entry.samples.push((milliseconds(entry.work, entry.times) * 1e6) / (entry.times * input.bytes.length));
      entry.check(entry.times);
    }
  }
  for (const { work } of entries) work.end();
  return new Map(entries.map(({ name, samples }) => [name, summary(samples)]));
}

/** How often an input must be read for a sample; on the way there the code warms up. */
function enough(work: Work, check: (times: number) => void): number {
  for (let times = 1; ; times *= 2) {
    const taken = milliseconds(work, times);
    check(times);
    if (taken >= SAMPLE_MS) return times;
  }
}

function milliseconds(work: Work, times: number): number {
  const start = performance.now();
  work.run(times);
  return performance.now() - start;
}

function summary(samples: number[]): Measured {
  const sorted = samples.toSorted((a, b) => a - b);
  const [minimum, median] = [sorted[0], sorted[sorted.length >> 1]].map((value) => Number(value?.toPrecision(4)));
  return { minimum: minimum ?? Number.NaN, median: median ?? Number.NaN };
}
