// The filter as it was built.
import { readFile } from "node:fs/promises";
import { GuardError } from "../error.ts";
import { projectPath } from "../project.ts";

/**
 * The bytes of `build/plugin.wasm`.
 * @throws GuardError `ERR_NOT_BUILT`.
 */
export async function readFilter(): Promise<Buffer> {
  try {
    return await readFile(projectPath("build", "plugin.wasm"));
  } catch (error) {
    throw new GuardError("ERR_NOT_BUILT", "build/plugin.wasm is not there: make build makes it", { cause: error });
  }
}
