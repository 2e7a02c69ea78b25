// checkov over manifests and Terraform sources: a checker that many teams run, and that knows nothing of this project.
import { execFile } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";
import { projectPath } from "../../src/project.ts";
import { type PythonEnvironment, providePythonPackages } from "../python/packages.ts";

const run = promisify(execFile);
const OUTPUT_BYTES_MAX = 64 << 20;

/** One check that failed. */
export interface Failure {
  readonly id: string;
  /** What was looked at, like `Deployment.ai-agents.github-mcp-server`. */
  readonly resource: string;
  readonly title: string;
}

/** What checkov made of some files. */
export interface Opinion {
  readonly passed: number;
  /** Files that it could not parse. */
  readonly unreadable: readonly string[];
  readonly failures: readonly Failure[];
}

interface Check {
  readonly check_id: string;
  readonly check_name: string;
  readonly resource: string;
}

interface Report {
  readonly results?: { readonly failed_checks: readonly Check[]; readonly parsing_errors?: readonly string[] };
  readonly summary?: { readonly passed: number };
}

/**
 * checkov, installed unless it is there already.
 * @throws PythonUnavailableError in one sentence, when there is no suitable Python or pip cannot install.
 */
export const provideCheckov = (): PythonEnvironment =>
  providePythonPackages({
    what: "checkov",
    package: "checkov",
    requirements: projectPath("test", "second-opinion", "requirements.txt"),
  });

/** Runs it over a folder, without the network. */
export async function askCheckov(
  { command, env }: PythonEnvironment,
  framework: "kubernetes" | "terraform",
  folder: string,
): Promise<Opinion> {
  const what = ["--directory", folder, "--framework", framework];
  const how = ["--output", "json", "--soft-fail", "--compact", "--skip-download"];
  const { stdout } = await run(command, ["-m", "checkov.main", ...what, ...how], {
    cwd: path.dirname(folder),
    env: { ...process.env, ...env, LOG_LEVEL: "ERROR" },
    maxBuffer: OUTPUT_BYTES_MAX,
  });
  const { results, summary } = JSON.parse(stdout) as Report;
  // Of a folder in which it finds nothing that it knows, the report has neither.
  if (results === undefined || summary === undefined) throw new Error(`nothing to look at in ${folder}: ${stdout}`);
  return {
    passed: summary.passed,
    unreadable: (results.parsing_errors ?? []).map((file) => path.relative(folder, file)),
    failures: results.failed_checks.map(({ check_id: id, resource, check_name: title }) => ({ id, resource, title })),
  };
}
