// Rounds of slices: each way to treat a request has a slice of time in each round, one after the other in random order, and what the worker
// thread took for it is counted.
import { type Answer, openLoad, type Protocol, type Request } from "./load.ts";
import type { BenchProxy } from "./proxy.ts";
import { shuffled } from "./statistics.ts";

/** CPU microseconds per request of every variant in one round. */
export type Round = Readonly<Record<string, number>>;

export interface RoundsPlan<V extends string> {
  readonly variants: readonly V[];
  readonly request: Request;
  readonly protocol: Protocol;
  readonly connections: number;
  /** Milliseconds of one slice. */
  readonly sliceMs: number;
  /** Whether it is over: how many rounds there were, and how many requests each variant has had. */
  isEnough(rounds: number, requests: readonly number[]): boolean;
}

export interface Rounds<V extends string> {
  readonly seen: readonly Round[];
  readonly requests: ReadonlyMap<V, number>;
  readonly latencies: ReadonlyMap<V, readonly number[]>;
  /** An answer of each. */
  readonly answers: ReadonlyMap<V, Answer>;
}

/** Runs the rounds of a plan, after one slice of each variant that does not count. @throws Error when an answer is not like the first of its variant. */
export async function runRounds<V extends string>(proxy: BenchProxy<V>, plan: RoundsPlan<V>): Promise<Rounds<V>> {
  const { variants, protocol, connections, request, sliceMs } = plan;
  const loads = new Map(
    await Promise.all(
      variants.map(
        async (variant) => [variant, await openLoad(proxy.port(variant), protocol, connections, request)] as const,
      ),
    ),
  );
  const seen: Round[] = [];
  const requests = new Map<V, number>(variants.map((variant) => [variant, 0]));
  const latencies = new Map<V, number[]>(variants.map((variant) => [variant, []]));
  for (const load of loads.values()) await load.run(sliceMs);
  while (!plan.isEnough(seen.length, [...requests.values()])) {
    const round: Record<string, number> = {};
    for (const variant of shuffled(variants)) {
      const start = proxy.workerNanoseconds();
      const slice = await loads.get(variant)!.run(sliceMs);
      round[variant] = (proxy.workerNanoseconds() - start) / 1_000 / slice.requests;
      requests.set(variant, requests.get(variant)! + slice.requests);
      latencies.get(variant)!.push(...slice.latencies);
    }
    seen.push(round);
  }
  const answers = new Map(
    await Promise.all([...loads].map(async ([variant, load]) => [variant, await load.once()] as const)),
  );
  for (const load of loads.values()) load.close();
  return { seen, requests, latencies, answers };
}
