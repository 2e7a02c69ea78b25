// `make bench-identity`: what it costs that identities may different things, that their tokens are exchanged, and that they may come only so often. Writes
// bench/results/identity.md and identity.json, and their place in docs/performance.md. BENCH_ROUNDS (default 300) gives a shorter look that writes nothing.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { projectPath } from "../../src/project.ts";
import { fillIn } from "./document.ts";
import { measureModule } from "./identity-module.ts";
import { measureIdentity } from "./identity-price.ts";
import { type IdentityResults, identityMarkdown, identitySummary, SLICES } from "./identity-report.ts";
import { describeMachine } from "./machine.ts";

const ROUNDS_DEFAULT = 300;

const isWhole = process.env.BENCH_ROUNDS === undefined;
const module = readFileSync(projectPath("build", "plugin.wasm"));
const { prices, cache, envoy } = await measureIdentity(Number(process.env.BENCH_ROUNDS ?? ROUNDS_DEFAULT));
const results: IdentityResults = {
  machine: describeMachine(envoy),
  date: new Date().toISOString().slice(0, 10),
  moduleBytes: module.length,
  prices,
  cache,
  module: measureModule(module, SLICES),
};
const page = identityMarkdown(results);
if (isWhole) {
  mkdirSync(projectPath("bench", "results"), { recursive: true });
  writeFileSync(projectPath("bench", "results", "identity.json"), `${JSON.stringify(results, undefined, 2)}\n`);
  writeFileSync(projectPath("bench", "results", "identity.md"), page);
  fillIn(projectPath("docs", "performance.md"), "identity", identitySummary(results));
} else {
  console.log(page);
}
