// `make bench-approval`: what approvals cost. Calls that need none, beside a guard that asks nobody; the time from a person's click to the call at
// its server; a thousand calls that wait. Writes bench/results/approval.md and approval.json, and their place in docs/performance.md. BENCH_ROUNDS (default 400), BENCH_CLICKS (100),
// BENCH_CROWDS (20), BENCH_SCENARIOS (a regular expression for calls that need none) give a shorter look that writes nothing.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { projectPath } from "../../src/project.ts";
import { measureClicks } from "./approval-click.ts";
import { measureCrowd } from "./approval-crowd.ts";
import { bytesPerWaitingCall } from "./approval-memory.ts";
import { measureModule } from "./approval-module.ts";
import { measurePrices, SMALL_CALLS } from "./approval-price.ts";
import { type ApprovalResults, approvalMarkdown, approvalSummary, SLICES } from "./approval-report.ts";
import { fillIn } from "./document.ts";
import { describeMachine } from "./machine.ts";

const POLL_TIMES_MS = [1_000, 250];

const numberOf = (name: string, otherwise: number) => Number(process.env[name] ?? otherwise);
const shorter = ["BENCH_ROUNDS", "BENCH_CLICKS", "BENCH_CROWDS", "BENCH_SCENARIOS"];
const isWhole = shorter.every((name) => process.env[name] === undefined);

const module = readFileSync(projectPath("build", "plugin.wasm"));
const bytesPerCall = bytesPerWaitingCall(module);
const { prices, envoy } = await measurePrices(
  numberOf("BENCH_ROUNDS", 400),
  new RegExp(process.env.BENCH_SCENARIOS ?? ""),
);
const results: ApprovalResults = {
  machine: describeMachine(envoy),
  date: new Date().toISOString().slice(0, 10),
  moduleBytes: module.length,
  prices,
  module: measureModule(module, SMALL_CALLS, SLICES),
  clicks: await measureClicks(POLL_TIMES_MS, numberOf("BENCH_CLICKS", 100)),
  crowd: await measureCrowd(numberOf("BENCH_CROWDS", 20)),
  bytesPerCall,
};
const page = approvalMarkdown(results);
if (isWhole) {
  mkdirSync(projectPath("bench", "results"), { recursive: true });
  writeFileSync(projectPath("bench", "results", "approval.json"), `${JSON.stringify(results, undefined, 2)}\n`);
  writeFileSync(projectPath("bench", "results", "approval.md"), page);
  fillIn(projectPath("docs", "performance.md"), "approval", approvalSummary(results));
} else {
  console.log(page);
}
