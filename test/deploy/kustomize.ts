// Whichever kustomize this machine has: the program itself, or the one inside kubectl.
import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Builds the kustomization in a folder. */
export type Kustomize = (folder: string) => Promise<string>;

/**
 * The kustomize of this machine; undefined without one, which it says on the console.
 * @param what is not run then.
 */
export async function findKustomize(what: string): Promise<Kustomize | undefined> {
  const candidates: readonly [string, string[], string[]][] = [
    ["kustomize", ["version"], ["build"]],
    ["kubectl", ["kustomize", "--help"], ["kustomize"]],
  ];
  for (const [program, probe, build] of candidates) {
    try {
      await run(program, probe);
    } catch {
      continue;
    }
    return async (folder) => (await run(program, [...build, folder], { maxBuffer: 16 << 20 })).stdout;
  }
  console.log(`not run: ${what}: neither kustomize nor kubectl is here`);
  return undefined;
}
