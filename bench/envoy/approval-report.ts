// What approvals cost, as a page: bench/results/approval.md.
import type { Clicks } from "./approval-click.ts";
import type { Crowd } from "./approval-crowd.ts";
import type { ModuleTime } from "./approval-module.ts";
import { LISTENERS, type Price, percent } from "./approval-price.ts";
import { type Machine, machineText } from "./machine.ts";
import { quantile } from "./statistics.ts";
import { interval, table } from "./table.ts";

export interface ApprovalResults {
  readonly machine: Machine;
  /** The day, as `2026-11-29`. */
  readonly date: string;
  readonly moduleBytes: number;
  readonly prices: readonly Price[];
  readonly module: readonly ModuleTime[];
  readonly clicks: readonly Clicks[];
  readonly crowd: Crowd;
  /** Bytes of the module's memory for each call that waits, beside its text. */
  readonly bytesPerCall: number;
}

/** Slices of the module's exchanges. */
export const SLICES = 1_000;
/** Memory is flat when it is at most so much of what it was: the allocators find their size in the first rounds. */
const GROWTH_MAX = 1.02;
/** A click has come through after the time between two polls, and so much for everything that computes. */
const COMPUTING_MS = 100;

export function approvalMarkdown(results: ApprovalResults): string {
  const { machine, date, prices, module, clicks, crowd, bytesPerCall } = results;
  return `# What approvals cost

Written by \`make bench-approval\`; do not edit. ${date}, ${machineText(machine)}. Client, servers and the approval service share the machine with Envoy.

## Calls that need no approval

One Envoy with one worker thread has a listener for each of these, all in front of one server:

${table(["listener", "what it does"], Object.entries(LISTENERS))}

Who asks is set by Envoy itself, not by a token: to verify one would cost more than everything that is compared here, and make it look small. Slices in random order inside each round; CPU is that of the worker thread (\`schedstat\`), for the whole
exchange; intervals are 95 %, by bootstrap over the rounds.

${table(
  ["exchange", "guard, us", "again, us", "again, %", "approval, us", "approval, %", "rounds", "requests"],
  prices.map((price) => [
    price.name,
    price.guardMicroseconds.toFixed(1),
    interval(price.again, 1),
    percent(price.againShare),
    interval(price.approval, 1),
    percent(price.approvalShare),
    String(price.rounds),
    String(price.requests),
  ]),
)}

The same calls in the Node host, where what the module itself takes more can be told from noise: microseconds of a whole exchange, the host's part included, the shortest of ${count(SLICES)} slices of a hundred.

${table(
  ["exchange", "guard", "again", "approval", "more, us"],
  module.map(({ name, guard, again, approval }) => [
    name,
    ...[guard, again, approval, approval - guard].map((value) => value.toFixed(2)),
  ]),
)}

## From the click to the call at its server

A call waits in Envoy, its user approves it with a passkey at the service (a process of its own, SQLite), the guard hears of it at its next poll, claims the receipt, verifies it and lets the call go on. Milliseconds from the moment at which the browser sends the
passkey's answer to the moment at which the server has the whole call. People click at any time between two polls.

${table(
  ["`poll_ms`", "clicks", "mean", "p50", "p95", "max", "of it, until the service has answered the click: p50", "p95"],
  clicks.map(({ pollMs, milliseconds, answered }) => [
    String(pollMs),
    String(milliseconds.length),
    mean(milliseconds).toFixed(0),
    quantile(milliseconds, 0.5).toFixed(0),
    quantile(milliseconds, 0.95).toFixed(0),
    Math.max(...milliseconds).toFixed(0),
    quantile(answered, 0.5).toFixed(0),
    quantile(answered, 0.95).toFixed(0),
  ]),
)}

## ${count(crowd.calls)} calls that wait in one worker

Five of them have one principal; limits of the guard and of the service are the default ones, \`poll_ms\` is ${crowd.pollMs}. Round after round ${count(crowd.calls)} calls come over HTTP/2, wait, and end. The server gets their heads, and has an open request for each. CPU is that of the worker while all of them
wait, memory the resident one of Envoy: before the first of them, ${crowd.idle.cpuMsPerSecond.toFixed(1)} ms a second and ${crowd.idle.mib.toFixed(1)} MiB.

${table(
  [
    "round",
    "all open after, s",
    "CPU, ms a second",
    "polls a second",
    "while they wait, MiB",
    "when they are gone, MiB",
    "how they ended",
  ],
  crowd.rounds.map((round, index) => [
    String(index + 1),
    (round.openedMs / 1_000).toFixed(1),
    round.cpuMsPerSecond.toFixed(1),
    round.pollsPerSecond.toFixed(1),
    round.waitingMib.toFixed(1),
    round.goneMib.toFixed(1),
    round.end,
  ]),
)}

A call that waits takes ${count(bytesPerCall)} bytes of the module's memory, its texts of 100 bytes included (measured in the Node host, by how many fit until the memory doubles); what Envoy has for its stream comes on top.

## Targets

A target is met when the upper end of the interval keeps it.

${table(["what", "at most", "found", "met"], targets(results))}
`;
}

/** What docs/performance.md says of it: the figures that somebody asks for first. */
export function approvalSummary({
  machine,
  date,
  prices,
  module,
  clicks,
  crowd,
  bytesPerCall,
}: ApprovalResults): string {
  const { rounds, idle } = crowd;
  const [more, waiting] = [
    module.map(({ guard, approval }) => approval - guard),
    rounds.map((round) => round.waitingMib),
  ];
  const perCall = ((quantile(waiting, 0.5) - idle.mib) * 1_024) / crowd.calls;
  return `${date}, ${machineText(machine)}.

${table(
  ["exchange", "CPU of the guard that asks nobody, us", "with `approval.mode: required`, more, %"],
  prices.map(({ name, guardMicroseconds, approvalShare }) => [
    name,
    guardMicroseconds.toFixed(1),
    percent(approvalShare),
  ]),
)}

The module itself takes at most ${Math.max(...more).toFixed(2)} microseconds more for one of the small calls, which the Node host can tell from noise.

${table(
  ["`poll_ms`", "from the click to the call at its server, ms: mean", "p50", "p95", "max"],
  clicks.map(({ pollMs, milliseconds }) => [
    String(pollMs),
    mean(milliseconds).toFixed(0),
    quantile(milliseconds, 0.5).toFixed(0),
    quantile(milliseconds, 0.95).toFixed(0),
    Math.max(...milliseconds).toFixed(0),
  ]),
)}

${count(crowd.calls)} calls that wait in one worker take ${quantile(
    rounds.map(({ cpuMsPerSecond }) => cpuMsPerSecond),
    0.5,
  ).toFixed(
    1,
  )} milliseconds of its CPU in a second (${idle.cpuMsPerSecond.toFixed(1)} without them). Each is ${count(bytesPerCall)} bytes of the module's memory, and ${count(perCall)} KiB of the proxy's with everything that Envoy has for a
request with an open one behind it. After ${rounds.length} rounds of as many calls the proxy had ${rounds.at(-1)?.goneMib.toFixed(1)} MiB, after the first ${rounds[0]?.goneMib.toFixed(1)}.`;
}

function targets({ prices, clicks, crowd }: ApprovalResults): string[][] {
  const verdict = (isMet: boolean) => (isMet ? "yes" : "no");
  return [
    ...prices.flatMap(({ name, bound, approvalShare }) =>
      bound === undefined
        ? []
        : [
            [
              `${name}: above the guard that asks nobody`,
              `${100 * bound} %`,
              `${percent(approvalShare)} %`,
              verdict(approvalShare.high <= bound),
            ],
          ],
    ),
    ...clicks.map(({ pollMs, milliseconds }) => {
      const found = quantile(milliseconds, 0.95);
      const bound = pollMs + COMPUTING_MS;
      return [
        `from the click to the call at its server, \`poll_ms\` ${pollMs}, 95 of 100`,
        `${bound} ms`,
        `${found.toFixed(0)} ms`,
        verdict(found <= bound),
      ];
    }),
    ...growth(crowd).map((found) => [
      "resident memory while they wait, the median of the last quarter of the rounds, of the second quarter's",
      String(GROWTH_MAX),
      found.toFixed(3),
      verdict(found <= GROWTH_MAX),
    ]),
  ];
}

/** Nothing when there were too few rounds to tell. */
function growth({ rounds }: Crowd): number[] {
  const quarter = Math.floor(rounds.length / 4);
  if (quarter === 0) return [];
  const median = (from: number) =>
    quantile(
      rounds.slice(from, from + quarter).map(({ waitingMib }) => waitingMib),
      0.5,
    );
  return [median(rounds.length - quarter) / median(quarter)];
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function count(value: number): string {
  return Math.round(value).toLocaleString("en");
}
