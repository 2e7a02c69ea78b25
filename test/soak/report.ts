// The results of the soak as a page.

/** The resident memory of an Envoy at one time. */
export interface Memory {
  readonly at: number;
  readonly bytes: number;
}

export interface Results {
  readonly machine: string;
  readonly seconds: number;
  /** Exchanges by kind. */
  readonly counts: readonly (readonly [kind: string, count: number])[];
  /** Milliseconds from the end of each exchange at its client to its end at the server. */
  readonly told: readonly number[];
  /** The median resident memory of each quarter of the time, in bytes. */
  readonly memory: readonly { readonly upstream: string; readonly quarters: readonly number[] }[];
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}

export function markdown({ machine, seconds, counts, told, memory }: Results): string {
  const total = counts.reduce((sum, [, count]) => sum + count, 0);
  const mib = (bytes: number) => (bytes / 1_048_576).toFixed(1);
  const row = (...cells: readonly (string | number)[]) => `| ${cells.join(" | ")} |`;
  return `# Soak

Written by \`make soak\`; do not edit. ${machine}. ${seconds} seconds, ${total} exchanges of clients of HTTP/1.1 and HTTP/2 through
guards in both header modes, in one Envoy with an HTTP/1.1 and one with an HTTP/2 server. Each exchange left a record with digests, for a
collector that was gone the whole time. Every client that stayed got what it may see and
nothing else; at the end nothing was open, neither at the guards nor at the servers.

| exchanges | |
| --- | ---: |
${counts.map(([kind, count]) => row(kind, count)).join("\n")}

Resident memory of Envoy, the median of each quarter of the time in MiB:

| server | 1st | 2nd | 3rd | 4th | 4th to 2nd |
| --- | ---: | ---: | ---: | ---: | ---: |
${memory.map(({ upstream, quarters }) => row(upstream, ...quarters.map(mib), (quarters[3]! / quarters[1]!).toFixed(3))).join("\n")}

From the end of an exchange at its client, which may have left in the middle of it, to its end at the server, in milliseconds. Client, server and both
Envoys share the machine, so this is mostly waiting for a turn.

| median | 99 % | 99.9 % | all |
| ---: | ---: | ---: | ---: |
${row(...[0.5, 0.99, 0.999, 1].map((part) => quantile(told, part).toFixed(1)))}
`;
}
