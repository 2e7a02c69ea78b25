import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";

const SOURCES = fileURLToPath(new URL("assembly", import.meta.url));

/** Where the compiled probe lies. */
export const PROBE_PATH = path.resolve(SOURCES, "../../../build/probe.wasm");

/**
 * The arguments of asc; run in the probe's own folder, which keeps the project's asconfig.json out of it, they are the
 * whole build.
 */
export const ASC_ARGUMENTS: readonly string[] = [
  ...["probe.ts", "abort.ts"],
  ...["--outFile", "../../../build/probe.wasm"],
  ...["--runtime", "minimal"],
  ...["--exportStart", "_initialize"],
  ...["--use", "abort=abort/abort"],
];

/** Compiles the probe (about a second) and returns its bytes. @throws Error with asc's own messages. */
export async function buildProbe(): Promise<Uint8Array> {
  const { error, stderr } = await asc.main([...ASC_ARGUMENTS, "--baseDir", SOURCES], {
    readFile: (name, baseDir) => readIfThere(path.resolve(baseDir, name)),
    writeFile: (name, contents, baseDir) => {
      const file = path.resolve(baseDir, name);
      mkdirSync(path.dirname(file), { recursive: true });
      writeFileSync(file, contents);
    },
  });
  if (error) throw new Error(`the probe does not compile: ${error.message}\n${stderr.toString()}`);
  return new Uint8Array(readFileSync(PROBE_PATH));
}

function readIfThere(file: string): string | null {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return null;
  }
}
