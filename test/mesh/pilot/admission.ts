// The API server's own admission code over the ValidatingAdmissionPolicies: which requests it lets through.
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { goTool } from "../go-tools.ts";
import { type Manifest, writeManifests } from "./manifests.ts";

const run = promisify(execFile);

export interface Request {
  readonly operation: "CREATE" | "UPDATE" | "DELETE";
  readonly subresource?: string;
  readonly object?: Manifest;
  readonly oldObject?: Manifest;
}

export interface Verdicts {
  /** What is wrong with policies, as the API server would say when they are applied. */
  readonly wrong: readonly string[];
  /** For each request why it is refused; empty when it is admitted. */
  readonly refusals: readonly string[];
}

/**
 * Has requests decided.
 * @param state the policies, their bindings, and the namespaces of the cluster.
 */
export async function decide(state: readonly Manifest[], requests: readonly Request[]): Promise<Verdicts> {
  const folder = mkdtempSync(path.join(tmpdir(), "mcp-guard-admission-"));
  try {
    const policies = path.join(folder, "policies.yaml");
    const file = path.join(folder, "requests.json");
    writeManifests(policies, state);
    writeFileSync(file, JSON.stringify(requests));
    const istio = await goTool("istio");
    const { stdout } = await run(istio, ["admit", "-policies", policies, "-requests", file]).catch(
      (error: { code?: number; stdout?: string }) => {
        // Status 1 says that there is something wrong with a policy, which stands in the answer.
        if (error.code === 1 && error.stdout !== undefined) return { stdout: error.stdout };
        throw error;
      },
    );
    return JSON.parse(stdout) as Verdicts;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
