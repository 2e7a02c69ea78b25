// Path traversal payloads (PayloadsAllTheThings, fuzzdb and the like), if they are there: a JSON string a line. The corpus is
// not part of this repository; without it the tests say so and the project's own vectors stand alone.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const CORPORA = process.env.CORPORA ?? fileURLToPath(new URL("../../../shared/corpora", import.meta.url));

/** The payloads in their order, or null if the corpus is not present. `CORPORA` names the folder around it. */
export function traversalPayloads(): readonly string[] | null {
  const file = join(CORPORA, "uri-traversal-payloads.jsonl");
  if (!existsSync(file)) return null;
  return readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));
}
