// Where the project's own files are: the sources run from src/ (tests) and, compiled, from build/node/ (the command).
import { existsSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

/**
 * The absolute path of a file of the project.
 * @param parts path parts below the project's root, which is the nearest folder above this file with an `asconfig.json`.
 */
export function projectPath(...parts: string[]): string {
  let folder = path.dirname(fileURLToPath(import.meta.url));
  while (!existsSync(path.join(folder, "asconfig.json"))) {
    const parent = path.dirname(folder);
    if (parent === folder) throw new Error("no asconfig.json above this file: not inside the project");
    folder = parent;
  }
  return path.join(folder, ...parts);
}
