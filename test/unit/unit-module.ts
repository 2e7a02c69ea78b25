// The modules of test/unit/assembly that drive one part of the filter: compiled when their sources are newer than they are.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { projectPath } from "../../src/project.ts";
import type { Target } from "./harness.ts";

/**
 * The module of `test/unit/assembly/<name>.ts`.
 * @param folders the folders of the filter that it is made of.
 * @throws Error when it does not compile; the compiler's own words are in it.
 */
export function unitModule(name: string, folders: readonly string[], target: Target): Uint8Array {
  const entry = `test/unit/assembly/${name}.ts`;
  const out = projectPath("build", `${name}.${target}.wasm`);
  const sources = [entry, "assembly/limits.ts", ...folders.flatMap(filesOf)].map((file) => modified(projectPath(file)));
  if (Math.max(...sources) > modified(out)) {
    const asc = projectPath("node_modules", "assemblyscript", "bin", "asc.js");
    const config = ["--config", "test/unit/assembly/asconfig.json", "--target", target, "--outFile", out];
    execFileSync(process.execPath, [asc, entry, ...config], {
      cwd: projectPath(),
      stdio: ["ignore", "ignore", "pipe"],
    });
  }
  return new Uint8Array(readFileSync(out));
}

function filesOf(folder: string): string[] {
  return readdirSync(projectPath(folder)).map((name) => path.join(folder, name));
}

function modified(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
