// What identities cost, as a page: bench/results/identity.md.
import type { ModuleTime } from "./identity-module.ts";
import { type CacheUse, LISTENERS, type Price } from "./identity-price.ts";
import { type Machine, machineText } from "./machine.ts";
import { interval, table } from "./table.ts";

export interface IdentityResults {
  readonly machine: Machine;
  /** The day, as `2026-11-29`. */
  readonly date: string;
  readonly moduleBytes: number;
  readonly prices: readonly Price[];
  readonly cache: CacheUse;
  readonly module: readonly ModuleTime[];
}

/** Slices of the module's exchanges. */
export const SLICES = 1_000;
/** A decision costs the same with 1 rule or 1,000, up to what a whole exchange shows. */
const RULES_RATIO_MAX = 1.02;
/** Microseconds that a token from the cache may add to a request. */
const HIT_MICROSECONDS_MAX = 12;

export function identityMarkdown({ machine, date, prices, cache, module }: IdentityResults): string {
  return `# What identities cost

Written by \`make bench-identity\`; do not edit. ${date}, ${machineText(machine)}. Client, server and token endpoint share the machine with Envoy.

## Whole exchanges

One Envoy with one worker thread has a listener for each of these, all in front of one server:

${table(["listener", "what it does"], Object.entries(LISTENERS))}

Who asks, with five groups, and through which workload is set by Envoy itself, not by a token: to verify one would cost more than everything that is compared here, and make it look small. The call needs the rule: nobody else may call its tool. The token that comes out of the cache is
as long as the caller's, and the server says which of the two it has seen. Four connections, on each of which one request follows the other. Slices in random order inside each round; CPU is that of the worker thread (\`schedstat\`), for the whole exchange; intervals are 95 %, by bootstrap over the rounds.

${table(
  ["exchange", "listener", "beside", "that one, us", "more, us", "ratio", "rounds", "requests"],
  prices.map((price) => [
    price.what,
    price.listener,
    price.against,
    price.baseMicroseconds.toFixed(1),
    interval(price.added, 1),
    interval(price.ratio, 3),
    String(price.rounds),
    String(price.requests),
  ]),
)}

Of ${count(cache.cached + cache.minted)} requests whose token was exchanged, ${count(cache.cached)} had it from the cache; the token endpoint was asked ${count(cache.minted)} times.

## The module alone

The same in the Node host, where what the module itself takes more can be told from noise: microseconds of a whole exchange, the host's part included, the shortest of ${count(SLICES)} slices of a hundred. Node's compiler and host functions are not those of Envoy, so the differences are not those of above.

${table(
  ["what", "without, us", "without again, us", "with, us", "more, us"],
  module.map(({ what, base, again, value }) => [
    what,
    ...[base, again, value, value - base].map((microseconds) => microseconds.toFixed(2)),
  ]),
)}

## Targets

A target is met when the upper end of the interval keeps it.

${table(["what", "at most", "found", "met"], targets(prices))}
`;
}

/** What docs/performance.md says of it: the figures that somebody asks for first. */
export function identitySummary({ machine, date, prices, module }: IdentityResults): string {
  return `${date}, ${machineText(machine)}.

${table(
  ["exchange", "what", "CPU without it, us", "with it, more, us"],
  prices
    .filter(({ listener }) => !listener.endsWith("again"))
    .map(({ what, listener, against, baseMicroseconds, added }) => [
      what,
      `${listener} beside ${against}`,
      baseMicroseconds.toFixed(1),
      interval(added, 1),
    ]),
)}

${table(
  ["the module alone, in the Node host", "more, us"],
  module.map(({ what, base, value }) => [what, (value - base).toFixed(2)]),
)}`;
}

function targets(prices: readonly Price[]): string[][] {
  return prices.flatMap(({ what, listener, added, ratio }) => {
    if (listener === "1,000 rules") {
      return [row("CPU of a call under 1,000 rules, of one under 1", RULES_RATIO_MAX, ratio.high, interval(ratio, 3))];
    }
    if (listener === "exchange") {
      const bound = HIT_MICROSECONDS_MAX;
      return [row(`${what}: a hit of the cache adds, us`, bound, added.high, interval(added, 1))];
    }
    return [];
  });
}

const row = (what: string, bound: number, high: number, found: string): string[] => [
  what,
  String(bound),
  found,
  high <= bound ? "yes" : "no",
];

function count(value: number): string {
  return Math.round(value).toLocaleString("en");
}
