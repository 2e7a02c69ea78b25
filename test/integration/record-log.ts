// Where an Envoy of the suites writes its audit records, whatever runs it.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect } from "vitest";
import type { ChainSummary, Fault } from "../../src/audit/chain.ts";
import { complaints, VERSION_MEMBER } from "../../src/audit/record.ts";
import { verifyTrail } from "../../src/audit/verify.ts";
import type { Bootstrap } from "../../src/envoy/bootstrap.ts";
import { log } from "../audit/memory-log.ts";
import { logRecords } from "./access-log.ts";
import type { RunningEnvoy } from "./drivers/driver.ts";

/** Of assembly/limits.ts. */
const RECORD_BYTES_MAX = 16 << 10;

export type Json = Record<string, unknown>;

export interface RecordLog {
  /** For `RigOptions.edit`, at its end: the log of all guards, or of those that are named. */
  add(bootstrap: Bootstrap, guards?: readonly string[]): void;
  /** The whole lines so far: records, and `-` for an exchange that no guard saw. Envoy flushes every 50 ms. */
  lines(envoy: RunningEnvoy): string[];
  remove(): void;
}

/** A file of its own for an Envoy on this machine, the standard output of one in a container. */
export function createRecordLog(driver: string): RecordLog {
  if (driver === "container") {
    const isOfLog = (line: string) => line === "-" || line.startsWith(`{"${VERSION_MEMBER}"`);
    return {
      add: (bootstrap, guards) => logRecords(bootstrap, "/dev/stdout", guards),
      lines: (envoy) => envoy.logs().split("\n").filter(isOfLog),
      remove: () => {},
    };
  }
  const folder = mkdtempSync(path.join(tmpdir(), "mcp-guard-records-"));
  const file = path.join(folder, "audit.log");
  return {
    add: (bootstrap, guards) => logRecords(bootstrap, file, guards),
    lines: () => linesOf(readFileSync(file, "utf8")),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** The lines that have an end. */
export function linesOf(text: string): string[] {
  return text.split("\n").slice(0, -1);
}

/** The record that a line is, with nothing wrong about it by itself. */
export function recordOf(line: string): Json {
  expect(line).toMatch(/^[ -~]*$/);
  expect(line.length).toBeLessThanOrEqual(RECORD_BYTES_MAX);
  const record = JSON.parse(line) as Json;
  expect(complaints(line, record), line).toEqual([]);
  return record;
}

/** Whether lines are whole chains from their beginning; returns the chains. */
export async function wholeChains(lines: readonly string[]): Promise<readonly ChainSummary[]> {
  const faults: Fault[] = [];
  const { chains } = await verifyTrail([log(lines)], { fromStart: true, onFault: (fault) => faults.push(fault) });
  expect(faults).toEqual([]);
  return chains;
}
