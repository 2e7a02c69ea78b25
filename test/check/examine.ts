// mcp-guard check on texts, without a process: what its tests ask.
import { readFileSync } from "node:fs";
import { filterJudge } from "../../src/check/filter-verdict.ts";
import { readInput } from "../../src/check/input.ts";
import { type Report, reportOn } from "../../src/check/report.ts";
import type { InputName } from "../../src/check/rule.ts";
import { projectPath } from "../../src/project.ts";

const judge = filterJudge(readFileSync(projectPath("build", "plugin.wasm")));

/** The report on files by name and text. */
export async function examine(
  files: Readonly<Record<string, string>>,
  accepted: readonly InputName[] = [],
): Promise<Report> {
  const sources = Object.entries(files).map(([file, text]) => ({ file, text, isNamed: false }));
  return reportOn(await readInput({ sources, kustomize: [] }), judge, new Set(accepted));
}

/** The findings of a report as `rule object file:line`. */
export function told({ findings }: Report): string[] {
  return findings.map(({ rule, object, place }) => `${rule.id} ${object} ${place.file}:${place.line}`);
}
