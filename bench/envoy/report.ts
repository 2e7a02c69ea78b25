// The results as a page: bench/RESULTS.md.
import { type Machine, machineText } from "./machine.ts";
import type { Memory } from "./memory.ts";
import { VARIANTS, type Variant } from "./proxy.ts";
import type { Interval } from "./statistics.ts";
import { interval, table } from "./table.ts";

export interface MeasuredVariant {
  readonly variant: Variant;
  readonly requests: number;
  readonly status: number;
  readonly p99Ms: number;
  /** CPU microseconds per request above those without a filter. */
  readonly added: Interval;
  /** That, by what the native pair adds. */
  readonly ofNative?: Interval;
  /** CPU microseconds per request above those of the guard itself. */
  readonly overGuard?: Interval;
}

export interface Measured {
  readonly name: string;
  readonly group: string;
  readonly bytes: number;
  readonly rounds: number;
  readonly baseMicroseconds: number;
  readonly variants: readonly MeasuredVariant[];
}

export interface Results {
  readonly machine: Machine;
  readonly rounds: number;
  readonly moduleBytes: number;
  readonly gzippedBytes: number;
  readonly imports: number;
  readonly memory: Memory;
  readonly firstRequest: readonly { readonly first: number; readonly second: number }[];
  readonly measured: readonly Measured[];
}

/** A target: an upper bound that the upper end of the interval must keep. */
interface Target {
  readonly what: string;
  readonly bound: number;
  readonly found: Interval | undefined;
  readonly unit: string;
}

export function markdown(results: Results): string {
  const { machine, measured, rounds, firstRequest } = results;
  const groups = [...new Set(measured.map(({ group }) => group))];
  return `# What a request costs

Written by \`make bench-envoy\`; do not edit. ${machineText(machine)}.

One Envoy with one worker thread has a listener for each of these ways to treat a request, all in front of one server:

${table(["listener", "what it does"], Object.entries(VARIANTS))}

Slices of 250 to 400 milliseconds, in random order inside each of ${rounds} rounds or more. CPU is that of the worker thread (\`schedstat\`), per request. *Added* is what a listener takes above the one without a filter in the same
round; intervals are 95 %, by bootstrap over the rounds. Client and server share the machine with Envoy, so latencies say little; the ratios of CPU say more. Every answer was compared with
the first one of its listener.

${groups
  .map((group) =>
    section(
      group,
      measured.filter((each) => each.group === group),
    ),
  )
  .join("\n\n")}

## The module

${moduleTable(results)}

## Targets

A target is met when the upper end of the interval keeps it.

${targetTable(targets(results))}

${firstRequest.length === 0 ? "" : `First and second request of a fresh Envoy, milliseconds: ${firstRequest.map(({ first, second }) => `${first.toFixed(1)} and ${second.toFixed(1)}`).join("; ")}.\n`}`;
}

function section(group: string, measured: readonly Measured[]): string {
  const rows = measured.flatMap(({ name, baseMicroseconds, variants }) =>
    variants.map(({ variant, requests, status, added, ofNative, overGuard, p99Ms }) => [
      name,
      baseMicroseconds.toFixed(1),
      variant,
      interval(added, 1),
      ofNative === undefined ? "" : interval(ofNative, 2),
      overGuard === undefined ? "" : interval(overGuard, 1),
      p99Ms.toFixed(2),
      String(status),
      String(requests),
    ]),
  );
  return `## ${group[0]!.toUpperCase()}${group.slice(1)}

${table(["exchange", "no filter, us", "listener", "added, us", "of native", "above `guard`, us", "p99, ms", "status", "requests"], rows)}`;
}

function targets({ measured, firstRequest }: Results): Target[] {
  const of = (name: string, variant: Variant = "guard") =>
    measured.find((each) => each.name === name)?.variants.find((each) => each.variant === variant);
  const bytesOf = (name: string) => measured.find((each) => each.name === name)?.bytes ?? Number.NaN;
  /** Nanoseconds per byte above no filter, between two sizes of one shape. */
  const slope = (shape: string): Interval | undefined => {
    const [small, large] = [of(`${shape}, 128 KB`)?.added, of(`${shape}, 1 MB`)?.added];
    if (small === undefined || large === undefined) return undefined;
    const bytes = bytesOf(`${shape}, 1 MB`) - bytesOf(`${shape}, 128 KB`);
    const per = (microseconds: number) => (microseconds * 1_000) / bytes;
    return {
      value: per(large.value - small.value),
      low: per(large.low - small.high),
      high: per(large.high - small.low),
    };
  };
  const perByte = (name: string): Interval | undefined => {
    const added = of(name)?.added;
    const scale = (value: number) => (value * 1_000) / bytesOf(name);
    return added && { value: scale(added.value), low: scale(added.low), high: scale(added.high) };
  };
  /** What a response takes, of what a request of as many bytes does. */
  const asRequest = (response: string, request: string): Interval | undefined => {
    const [one, other] = [of(response)?.added, of(request)?.added];
    const bytes = bytesOf(request) / bytesOf(response);
    if (one === undefined || other === undefined) return undefined;
    return {
      value: (one.value / other.value) * bytes,
      low: (one.low / other.high) * bytes,
      high: (one.high / other.low) * bytes,
    };
  };
  const exactly = (value: number | undefined): Interval | undefined =>
    value === undefined || Number.isNaN(value) ? undefined : { value, low: value, high: value };
  const share = (name: string, bound: number): Target => ({
    what: `small members, ${name}: added CPU, of the native pair's`,
    bound,
    found: of(`small members, ${name}`)?.ofNative,
    unit: "",
  });
  const line = (shape: string, bound: number): Target => ({
    what: `${shape}: per byte, above no filter`,
    bound,
    found: slope(shape),
    unit: "ns",
  });
  const records = of("2 KB, recorded", "guard, records")?.overGuard;
  const bare = of("2 KB, recorded")?.added.value ?? 0;
  /** What digests take of each byte that they are of: the body's, and the answer's few. */
  const digests = ((): Interval | undefined => {
    const [one, other] = [of("1 MB, recorded", "guard, digests"), of("1 MB, recorded", "guard, records")];
    if (one?.overGuard === undefined || other?.overGuard === undefined) return undefined;
    const per = (microseconds: number) => (microseconds * 1_000) / bytesOf("1 MB, recorded");
    const [high, low] = [one.overGuard.high - other.overGuard.low, one.overGuard.low - other.overGuard.high];
    return { value: per(one.overGuard.value - other.overGuard.value), low: per(low), high: per(high) };
  })();
  return [
    share("200 B", 0.5),
    share("2 KB", 0.5),
    share("16 KB", 0.2),
    share("128 KB", 0.15),
    share("1 MB", 0.15),
    line("small members", 2),
    line("ASCII string", 0.4),
    line("multi-byte string", 0.7),
    ...["50 tools, JSON", "500 tools, JSON", "50 tools, an event", "500 tools, an event"].map((name) => ({
      what: `a list of ${name}: per byte of the list`,
      bound: 4,
      found: perByte(name),
      unit: "ns",
    })),
    {
      what: "a result of 1 MB: added CPU, of that of a request with as many bytes of ASCII",
      bound: 1.3,
      found: asRequest("a result of 1 MB", "ASCII string, 1 MB"),
      unit: "",
    },
    {
      what: "small members, 2 KB: 99th percentile of the time to the answer, of the native pair's",
      bound: 1,
      found: exactly(
        (of("small members, 2 KB")?.p99Ms ?? Number.NaN) / (of("small members, 2 KB", "native")?.p99Ms ?? 0),
      ),
      unit: "",
    },
    {
      what: "small members, 2 KB: a record, above the guard without one: 12 us or 30 %, whichever is more",
      bound: Math.max(12, Math.round(bare * 0.3)),
      found: records,
      unit: "us",
    },
    {
      what: "digests of arguments and response, per byte of them",
      bound: 5,
      found: digests,
      unit: "ns",
    },
    {
      what: "first request of a fresh Envoy above the second, the worst of them",
      bound: 5,
      found: exactly(
        firstRequest.length === 0 ? undefined : Math.max(...firstRequest.map(({ first, second }) => first - second)),
      ),
      unit: "ms",
    },
  ];
}

function moduleTable({ moduleBytes, gzippedBytes, imports, memory }: Results): string {
  const bytes = (count: number): string => `${Math.round(count).toLocaleString("en")} bytes`;
  return table(
    ["what", "how much"],
    [
      ["the module", bytes(moduleBytes)],
      ["after `gzip -9`", bytes(gzippedBytes)],
      ["functions that it imports", String(imports)],
      ["its memory for a worker that has seen no stream", bytes(memory.fresh)],
      ...Object.entries(memory.streams).map(([name, count]) => [`for each stream that ${name}`, bytes(count)]),
    ],
  );
}

function targetTable(rows: readonly Target[]): string {
  return table(
    ["what", "at most", "found", "met"],
    rows.map(({ what, bound, found, unit }) => [
      what,
      `${bound} ${unit}`.trim(),
      found === undefined ? "not run" : interval(found, 2),
      found === undefined ? "" : found.high <= bound ? "yes" : "no",
    ]),
  );
}
