// The buckets of a guard against a model in big numbers that keeps one bucket for each name and looks through all of them. Goal: as many requests
// pass as the rate says, to the nanosecond and for ever, and the fixed number of slots gives nobody a token that a bucket of his own would not have
// given, as long as fewer principals than slots are short of tokens.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { TARGETS } from "./harness.ts";
import { type Limits, type Rate, RateHarness } from "./rate-harness.ts";

const SLOTS = 4096;
const NANOSECONDS = 1_000_000_000n;

/**
 * The virtual-scheduling form of a token bucket (ITU-T I.371 annex A): a bucket is the time at which it is full, in fractions of a nanosecond of
 * which `requests` make one.
 */
class Model {
  readonly #limits: Limits;
  /** By name: the least recently asked for in front. */
  readonly #principals = new Map<string, bigint>();
  readonly #tools = new Map<string, bigint>();
  #nobody = 0n;
  #time = 0n;
  #clock = 0n;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  take(clock: bigint, principal?: string, tool = ""): bigint {
    if (clock !== 0n) {
      if (clock > this.#clock) this.#time += clock - this.#clock;
      this.#clock = clock;
    }
    const { perPrincipal, perTool } = this.#limits;
    const own = principal === undefined ? this.#nobody : this.#ask(principal);
    const shared = this.#tools.get(tool) ?? 0n;
    const waits = [
      perPrincipal === undefined ? 0n : this.#wait(perPrincipal, own),
      perTool === undefined || tool === "" ? 0n : this.#wait(perTool, shared),
    ];
    const wait = waits.reduce((most, each) => (each > most ? each : most));
    if (wait > 0n) return wait;
    if (perPrincipal !== undefined) {
      const full = this.#taken(perPrincipal, own);
      if (principal === undefined) this.#nobody = full;
      else this.#keep(principal, full, perPrincipal);
    }
    if (perTool !== undefined && tool !== "") this.#tools.set(tool, this.#taken(perTool, shared));
    return 0n;
  }

  #wait(rate: Rate, full: bigint): bigint {
    const now = this.#time * BigInt(rate.requests);
    const worth = BigInt(rate.seconds) * NANOSECONDS;
    const excess = (full > now ? full - now : 0n) + worth - worth * BigInt(rate.burst);
    return excess <= 0n ? 0n : (excess + BigInt(rate.requests) - 1n) / BigInt(rate.requests);
  }

  #taken(rate: Rate, full: bigint): bigint {
    const now = this.#time * BigInt(rate.requests);
    return (full > now ? full : now) + BigInt(rate.seconds) * NANOSECONDS;
  }

  #ask(principal: string): bigint {
    const full = this.#principals.get(principal);
    if (full === undefined) return 0n;
    this.#principals.delete(principal);
    this.#principals.set(principal, full);
    return full;
  }

  #keep(principal: string, full: bigint, rate: Rate): void {
    if (!this.#principals.has(principal) && this.#principals.size === SLOTS) {
      const now = this.#time * BigInt(rate.requests);
      const isFull = [...this.#principals].find(([, each]) => each <= now);
      const [leaving] = isFull ?? this.#principals.entries().next().value!;
      this.#principals.delete(leaving);
    }
    this.#principals.delete(principal);
    this.#principals.set(principal, full);
  }
}

const rate: fc.Arbitrary<Rate> = fc.oneof(
  fc.record({
    requests: fc.integer({ min: 1, max: 9 }),
    seconds: fc.constant(1),
    burst: fc.integer({ min: 1, max: 4 }),
  }),
  fc.record({
    requests: fc.integer({ min: 1, max: 1_000_000 }),
    seconds: fc.integer({ min: 1, max: 3600 }),
    burst: fc.integer({ min: 1, max: 1_000_000 }),
  }),
  fc.constantFrom(
    { requests: 1, seconds: 3600, burst: 1_000_000 },
    { requests: 1_000_000, seconds: 1, burst: 1 },
    { requests: 1_000_000, seconds: 3600, burst: 1_000_000 },
    { requests: 7, seconds: 3, burst: 1 },
  ),
);

/** Steps of the clock in nanoseconds: little, some seconds, a year, back. */
const step = fc.oneof(
  fc.bigInt({ min: 0n, max: 3n }),
  fc.bigInt({ min: 0n, max: 3n * NANOSECONDS }),
  fc.bigInt({ min: -3n * NANOSECONDS, max: 0n }),
  fc.constant(365n * 86_400n * NANOSECONDS),
);
const START = 1_764_000_000n * NANOSECONDS;

describe.each(TARGETS)("%s", (target) => {
  const harness = new RateHarness(target);

  test("any rates, any times: as the model says", () => {
    const request = fc.record({
      step,
      principal: fc.constantFrom(undefined, "alice", "bob"),
      tool: fc.constantFrom("", "one", "two"),
    });
    const limits = fc.record({ perPrincipal: fc.option(rate), perTool: fc.option(rate) });
    fc.assert(
      fc.property(limits, fc.array(request, { minLength: 1, maxLength: 60 }), ({ perPrincipal, perTool }, requests) => {
        const given = {
          ...(perPrincipal === null ? {} : { perPrincipal }),
          ...(perTool === null ? {} : { perTool }),
          tools: ["one", "two"],
        };
        harness.start(given);
        const model = new Model(given);
        let clock = START;
        for (const { step, principal, tool } of requests) {
          clock += step;
          expect(harness.take(clock, principal, tool)).toBe(model.take(clock, principal, tool));
        }
      }),
      { numRuns: 300 },
    );
  });
});

const harness = new RateHarness();

test.each<Rate>([
  { requests: 3, seconds: 1, burst: 2 },
  { requests: 7, seconds: 3, burst: 2 },
  { requests: 999_999, seconds: 3600, burst: 5 },
])("who comes again when he was told to gets exactly $requests in $seconds s, for ever", (given) => {
  harness.start({ perPrincipal: given });
  let clock = START;
  const passes = 50_000;
  for (let pass = 0; pass < passes; pass++) {
    const wait = harness.take(clock, "alice");
    if (wait === 0n) continue;
    // A nanosecond earlier it is not there yet.
    if (wait > 1n) expect(harness.take(clock + wait - 1n, "alice")).toBe(1n);
    clock += wait;
    expect(harness.take(clock, "alice")).toBe(0n);
  }
  // Each but the burst has had to wait for its share of the time; the last fraction of a nanosecond is rounded up. With a
  // burst of one, a full bucket would have no room for the fraction.
  const waited = BigInt(passes - given.burst) * BigInt(given.seconds) * NANOSECONDS;
  const requests = BigInt(given.requests);
  expect(clock - START).toBe((waited + requests - 1n) / requests);
});

test("a fraction of a nanosecond is kept, not given away", () => {
  harness.start({ perPrincipal: { requests: 7, seconds: 1, burst: 1 } });
  expect(harness.take(START, "alice")).toBe(0n);
  expect(harness.take(START + 142_857_142n, "alice")).toBe(1n);
  expect(harness.take(START + 142_857_143n, "alice")).toBe(0n);
});

test("a clock that goes back, or says nothing, gives nothing and takes nothing", () => {
  harness.start({ perPrincipal: { requests: 1, seconds: 10, burst: 1 } });
  expect(harness.take(START, "alice")).toBe(0n);
  for (const clock of [START - 3600n * NANOSECONDS, 0n]) {
    expect(harness.take(clock, "alice")).toBe(10n * NANOSECONDS);
  }
  // From where it has gone back to, the time passes as it did before.
  const later = START - 3600n * NANOSECONDS + 4n * NANOSECONDS;
  expect(harness.take(later, "alice")).toBe(6n * NANOSECONDS);
  expect(harness.take(later + 6n * NANOSECONDS, "alice")).toBe(0n);
});

describe("more principals than slots", () => {
  const SLOW: Rate = { requests: 1, seconds: 3600, burst: 2 };
  const everybody = Array.from({ length: SLOTS }, (_, index) => `principal ${index}`);

  test("as many as there are slots each have their own bucket", () => {
    harness.start({ perPrincipal: SLOW });
    for (const name of [...everybody, ...everybody]) expect(harness.take(START, name)).toBe(0n);
    for (const name of everybody) expect(harness.take(START, name)).toBe(3600n * NANOSECONDS);
  });

  test("one more takes the place of the one that was asked for least recently, refused or not", () => {
    harness.start({ perPrincipal: SLOW });
    for (const name of [...everybody, ...everybody]) harness.take(START, name);
    // The first two come again, in vain; so the third is the one that was asked for least recently.
    for (const name of everybody.slice(0, 2)) expect(harness.take(START, name)).not.toBe(0n);
    expect(harness.take(START, "one more")).toBe(0n);
    for (const name of everybody.slice(0, 2)) expect(harness.take(START, name)).not.toBe(0n);
    expect(harness.take(START, everybody[3])).not.toBe(0n);
    expect(harness.take(START, everybody[2])).toBe(0n);
  });

  test.each([
    ["was the first to come", 0],
    ["was one among others", 2000],
    ["was the last to come", SLOTS - 1],
  ])("one that is full gives way before any that is not, also when it %s", (_which, place) => {
    const full = everybody[place];
    const others = everybody.filter((name) => name !== full);
    harness.start({ perPrincipal: { requests: 1, seconds: 10, burst: 2 } });
    // One token is missing from one bucket, two from all others.
    for (const name of everybody) {
      expect(harness.take(START, name)).toBe(0n);
      if (name !== full) expect(harness.take(START, name)).toBe(0n);
    }
    const later = START + 10n * NANOSECONDS;
    expect(harness.take(later, "one more")).toBe(0n);
    for (const name of others) {
      expect(harness.take(later, name)).toBe(0n);
      expect(harness.take(later, name)).not.toBe(0n);
    }
    // None is full now, and the one that came in its place is the one that was asked for least recently.
    expect(harness.take(later, "another")).toBe(0n);
    for (const name of others) expect(harness.take(later, name)).not.toBe(0n);
    expect([harness.take(later, "one more"), harness.take(later, "one more")]).toEqual([0n, 0n]);
  });

  test("one that its tool's limit refuses takes no slot", () => {
    harness.start({ perPrincipal: SLOW, perTool: { requests: 1, seconds: 3600, burst: 1 }, tools: ["tool"] });
    for (const name of [...everybody, ...everybody]) harness.take(START, name);
    harness.take(START, undefined, "tool");
    for (let index = 0; index < SLOTS; index++) {
      expect(harness.take(START, `stranger ${index}`, "tool")).not.toBe(0n);
    }
    for (const name of everybody) expect(harness.take(START, name)).not.toBe(0n);
  });

  test("at random, a third more of them than slots, as the model says", () => {
    const given: Limits = { perPrincipal: { requests: 3, seconds: 20, burst: 3 } };
    let seed = 20_260_101;
    const below = (most: number): number => {
      // Numerical Recipes' generator: the same numbers each time.
      seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
      return Math.floor((seed / 2 ** 32) * most);
    };
    harness.start(given);
    const model = new Model(given);
    let clock = START;
    let passed = 0;
    for (let round = 0; round < 60_000; round++) {
      // 5,461 names, some far more often than others; at times so many that none is full, at times hardly any.
      if (below(8) === 0) clock += BigInt(below(20_000_000));
      if (below(20_000) === 0) clock += 30n * NANOSECONDS;
      const name = `${Math.min(below(5461), below(5461))}`;
      const wait = harness.take(clock, name);
      expect(wait).toBe(model.take(clock, name));
      if (wait === 0n) passed++;
    }
    expect(passed).toBeGreaterThan(20_000);
    expect(passed).toBeLessThan(55_000);
  });

  test("100,000 of them take no more memory than one", () => {
    harness.start({ perPrincipal: SLOW });
    harness.take(START, "alice");
    const before = harness.memoryBytes;
    for (let index = 0; index < 100_000; index++) harness.take(START, `visitor ${index}`);
    expect(harness.memoryBytes).toBe(before);
  });
});
