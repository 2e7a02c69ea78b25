// JSONTestSuite (Nicolas Seriot, MIT licence), if it is there: the verdict stands in the name of each file. The corpus is
// not part of this repository; without it the tests say so and the project's own vectors stand alone.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export interface CorpusFile {
  readonly name: string;
  /** `y`: must be accepted as JSON; `n`: must be refused; `i`: the reader's choice. */
  readonly verdict: "y" | "n" | "i";
  readonly text: Uint8Array;
}

const CORPORA = process.env.CORPORA ?? fileURLToPath(new URL("../../../shared/corpora", import.meta.url));

/** The files in the order of their names, or null if the corpus is not present. `CORPORA` names the folder around it. */
export function jsonTestSuite(): readonly CorpusFile[] | null {
  const folder = join(CORPORA, "json-test-suite");
  if (!existsSync(folder)) return null;
  return readdirSync(folder)
    .filter((name) => /^[yni]_.*\.json$/.test(name))
    .sort()
    .map((name) => ({ name, verdict: name[0] as CorpusFile["verdict"], text: readFileSync(join(folder, name)) }));
}

/** The text as a member's value of the one object that our language wants as root. */
export function asMember(text: Uint8Array): Uint8Array {
  return Uint8Array.from(Buffer.concat([Buffer.from('{"v":'), text, Buffer.from("}")]));
}
