// The results as a page: bench/results/json.md.
import type { Measured } from "./measure.ts";

export interface ResultRow {
  name: string;
  bytes: number;
  tokens: number;
  /** By contestant. */
  nanosecondsPerByte: Record<string, Measured>;
}

export interface Results {
  machine: {
    cpu: string;
    cores: number;
    memoryGib: number;
    system: string;
    node: string;
    v8: string;
    flags: string;
  };
  rounds: number;
  contestants: { name: string; does: string }[];
  inputs: ResultRow[];
  /** Texts that are no JSON for a strict reader, and who took them all the same, by contestant. */
  badTexts: { why: string; accepted: Record<string, boolean> }[];
}

/** How many times as fast `ours` is as `peer` at one input: minima of one run. */
export function ratio(row: ResultRow, peer: string, ours: string): number {
  return minimum(row, peer) / minimum(row, ours);
}

export function markdown(results: Results): string {
  const { machine, contestants, inputs, badTexts } = results;
  const asked = Object.keys(badTexts[0]?.accepted ?? {});
  const names = contestants.map(({ name }) => name);
  return `# Time per byte of the JSON reader

Written by \`make bench\`; do not edit. ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGib} GiB, ${machine.system}, Node ${machine.node} (V8 ${machine.v8}) with \`${machine.flags}\` (optimised code from
the first call on, as in Envoy, whose V8 is a newer one).

Each input is a \`tools/call\` body named by what it stresses (bench/inputs.ts). All contestants read it in turn, ${results.rounds} rounds;
every number is the minimum, the medians are in json.json. Compare inside one row: clocks drift. After every sample a contestant
must have found what the input is known to hold. The bytes stand in the contestant's memory before the clock starts, as
one chunk.

${table(
  ["contestant", "what it does"],
  [],
  contestants.map(({ name, does }) => [name, does]),
)}

## Nanoseconds per byte

${table(
  ["input", "bytes", "tokens", ...names],
  [1, 2, ...names.map((_, i) => i + 3)],
  inputs.map((row) => [
    row.name,
    `${row.bytes}`,
    `${row.tokens}`,
    ...names.map((name) => significant(minimum(row, name))),
  ]),
)}

## How many times as fast as each peer

The peer's time over ours, so above 1 we are faster. \`envelope\` is close to what the filter does with a request, so it stands
against the peers' ways to look at the root alone (\`json-as\`) and against the only way that V8 has; \`tokens\` stands against
those that read everything.

${table(
  ["input", "bytes", ...VERSUS.map(([ours, peer]) => `${ours} : ${peer}`)],
  [1, ...VERSUS.map((_, i) => i + 2)],
  inputs.map((row) => [row.name, `${row.bytes}`, ...VERSUS.map(([ours, peer]) => significant(ratio(row, peer, ours)))]),
)}

## What the peers do not do

- JSON.parse takes a string and does not see the bytes, so whether they are UTF-8 is its decoder's business (Node's usual ones
  put U+FFFD in their place; the one here refuses and costs the same). Of two members with one name it keeps the last; half of a
  surrogate pair passes; depth has no bound. It builds all objects, and their collection falls into the samples where V8
  decides so.
- json-as takes a string too, decoded by AssemblyScript's own \`String.UTF8.decodeUnsafe\`. As it comes it is lazy: a string or a
  container is looked at only when somebody asks for it, so most malformed text passes. With JSON_STRICT it checks the text
  first. Neither refuses two members with one name. Malformed text is a trap, which in Envoy ends the VM. Its garbage is
  collected between the samples, off the clock.
- Neither can begin before the whole text is there; our reader takes it in pieces.
- Our reader builds nothing: it reports tokens, and checks what follows.

The same texts to everybody, asked by this run (yes: takes it for JSON):

${table(
  ["text", ...asked],
  [],
  badTexts.map(({ why, accepted }) => [why, ...asked.map((name) => (accepted[name] ? "yes" : "no"))]),
)}
`;
}

/** Ours and the peer, as far as they do the same job or the peer does less. */
const VERSUS: readonly (readonly [string, string])[] = [
  ["envelope", "JSON.parse"],
  ["envelope", "json-as"],
  ["envelope", "json-as strict"],
  ["tokens", "JSON.parse"],
  ["tokens", "JSON.parse (text)"],
  ["tokens", "json-as walk"],
];

function minimum(row: ResultRow, name: string): number {
  return row.nanosecondsPerByte[name]?.minimum ?? Number.NaN;
}

/** Two significant digits, and no exponent. */
function significant(value: number): string {
  if (value >= 10) return value.toFixed(0);
  return value >= 1 ? value.toFixed(1) : value.toFixed(value >= 0.1 ? 2 : 3);
}

/** A table; the columns in `right` are numbers. */
function table(head: readonly string[], right: readonly number[], rows: readonly (readonly string[])[]): string {
  const rule = head.map((_, i) => (right.includes(i) ? "---:" : "---"));
  return [head, rule, ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}
