// `make bench`: nanoseconds per byte of the filter's JSON reader and of its peers. Writes results/json.json and
// results/json.md, and says where the reader has become faster or slower against V8 since they were last written.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import os from "node:os";
import { contestants } from "./contestants.ts";
import { BAD_TEXTS, inputs } from "./inputs.ts";
import { measure } from "./measure.ts";
import { markdown, type Results, ratio } from "./report.ts";

/** How Envoy runs a filter: optimised code from the first call on. */
const V8_FLAGS = ["--no-liftoff", "--no-wasm-tier-up"];
const ROUNDS = 15;
/** A change of the ratio to V8 below this is noise. */
const CHANGE_MIN = 1.25;

const BUILD = new URL("../", import.meta.url);
const RESULTS = new URL("../../bench/results/", import.meta.url);
const RESULTS_JSON = new URL("json.json", RESULTS);

main();

function main(): void {
  const missing = V8_FLAGS.filter((flag) => !process.execArgv.includes(flag));
  if (missing.length > 0) throw new Error(`run by \`make bench\`: node lacks ${missing.join(" ")}`);

  const all = contestants(BUILD);
  const before = recorded();
  const results: Results = {
    machine: {
      cpu: os.cpus()[0]?.model ?? "unknown",
      cores: os.availableParallelism(),
      memoryGib: Math.round(os.totalmem() / 2 ** 30),
      system: `${os.type()} ${os.arch()}`,
      node: process.versions.node,
      v8: process.versions.v8,
      flags: V8_FLAGS.join(" "),
    },
    rounds: ROUNDS,
    contestants: all.map(({ name, does }) => ({ name, does })),
    inputs: [],
    badTexts: BAD_TEXTS.map(({ why, bytes }) => ({
      why,
      accepted: Object.fromEntries(all.flatMap(({ name, accepts }) => (accepts ? [[name, accepts(bytes)]] : []))),
    })),
  };
  for (const input of inputs()) {
    const taken = measure(all, input, ROUNDS);
    const row = {
      name: input.name,
      bytes: input.bytes.length,
      tokens: input.tokens,
      nanosecondsPerByte: Object.fromEntries(taken),
    };
    results.inputs.push(row);
    const old = before?.inputs.find(({ name, bytes }) => name === row.name && bytes === row.bytes);
    const change = old === undefined ? 1 : ratio(row, "JSON.parse", "tokens") / ratio(old, "JSON.parse", "tokens");
    const verdict = change > CHANGE_MIN ? "faster" : change < 1 / CHANGE_MIN ? "slower" : "";
    console.log(
      `${row.name}, ${row.bytes} bytes: ${row.nanosecondsPerByte.tokens?.minimum.toFixed(3)} ns/byte, ` +
        `${ratio(row, "JSON.parse", "tokens").toFixed(1)} times as fast as JSON.parse` +
        `${verdict && ` (${verdict} than recorded: ${change.toFixed(2)} times)`}`,
    );
  }
  mkdirSync(RESULTS, { recursive: true });
  writeFileSync(RESULTS_JSON, `${JSON.stringify(results, undefined, 2)}\n`);
  writeFileSync(new URL("json.md", RESULTS), markdown(results));
}

function recorded(): Results | undefined {
  return existsSync(RESULTS_JSON) ? (JSON.parse(readFileSync(RESULTS_JSON, "utf8")) as Results) : undefined;
}
