// One run of the official conformance suite against a server, and what each of its checks says.
import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { ConformanceTools } from "./install.ts";

/** The revisions for which the suite has a list of requirements. */
export const REVISIONS = ["2025-11-25", "2026-07-28"] as const;
export type Revision = (typeof REVISIONS)[number];

const SUITE_TIMEOUT_MS = 60_000;
const SCENARIO_TIMEOUT_MS = 10_000;

/** What a check says. */
export interface Verdict {
  /** Not unique: a scenario can make a check several times. */
  readonly id: string;
  readonly status: "SUCCESS" | "FAILURE" | "WARNING" | "SKIPPED" | "INFO";
  readonly message?: string;
}

/** One run of the suite. */
export interface SuiteRun {
  /** Whether all scenarios that count have passed. */
  readonly isConformant: boolean;
  /** By the name of the scenario, in the order of the run. */
  readonly scenarios: ReadonlyMap<string, readonly Verdict[]>;
  /** The suite's own summary, for a person who reads a failure. */
  readonly summary: string;
}

/**
 * Runs the suite against the MCP endpoint at `url`.
 * @throws Error when the suite does not come to an end.
 */
export async function runSuite(tools: ConformanceTools, url: string, revision: Revision): Promise<SuiteRun> {
  const folder = mkdtempSync(path.join(tmpdir(), "mcp-guard-conformance-"));
  try {
    const args = ["server", "--url", url, "--requirements", revision, "--output-dir", folder];
    const { status, output } = await run(tools.node, [
      tools.conformance,
      ...args,
      "--timeout",
      String(SCENARIO_TIMEOUT_MS),
    ]);
    const summaryAt = output.indexOf("=== SUMMARY ===");
    if (summaryAt < 0) throw new Error(`the conformance suite ended early: ${output.slice(-2000)}`);
    return { isConformant: status === 0, scenarios: verdictsIn(folder), summary: output.slice(summaryAt) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Where two runs differ, one line for each check. */
export function differences(one: SuiteRun, other: SuiteRun): string[] {
  const names = new Set([...one.scenarios.keys(), ...other.scenarios.keys()]);
  return [...names].flatMap((name) => {
    const before = one.scenarios.get(name) ?? [];
    const after = other.scenarios.get(name) ?? [];
    return Array.from({ length: Math.max(before.length, after.length) }, (_, index) => index).flatMap((index) => {
      const [was, is] = [before[index], after[index]].map((verdict) => verdict && `${verdict.id} ${verdict.status}`);
      if (was === is) return [];
      const message = after[index]?.message ?? "";
      return [`${name}: ${was ?? "nothing"} -> ${is ?? "nothing"}${message === "" ? "" : ` (${message})`}`];
    });
  });
}

/** The results are in one folder for each scenario: `server-<scenario>-<time>`. */
function verdictsIn(folder: string): Map<string, readonly Verdict[]> {
  const found = readdirSync(folder).map((entry) => {
    const [, name, time] = /^server-(.+)-(\d{4}-\d\d-\d\dT[\d-]+Z)$/.exec(entry) ?? [];
    if (name === undefined || time === undefined) throw new Error(`unexpected result of the suite: ${entry}`);
    const checks = JSON.parse(readFileSync(path.join(folder, entry, "checks.json"), "utf8")) as Check[];
    return { name, time, verdicts: checks.map(verdictOf) };
  });
  found.sort((one, other) => (one.time < other.time ? -1 : 1));
  return new Map(found.map(({ name, verdicts }) => [name, verdicts]));
}

interface Check {
  id: string;
  status: Verdict["status"];
  errorMessage?: string;
}

function verdictOf({ id, status, errorMessage }: Check): Verdict {
  return { id, status, ...(errorMessage !== undefined && { message: errorMessage }) };
}

/** The exit status and all that was printed. @throws Error when the program had to be ended. */
function run(command: string, args: string[]): Promise<{ status: number; output: string }> {
  return new Promise((resolve, reject) => {
    const options = { timeout: SUITE_TIMEOUT_MS, maxBuffer: 16 << 20 };
    execFile(command, args, options, (error, stdout, stderr) => {
      const status = error === null ? 0 : error.code;
      if (typeof status === "number") resolve({ status, output: stdout + stderr });
      else reject(error);
    });
  });
}
