// The places of a document that a benchmark writes.
import { readFileSync, writeFileSync } from "node:fs";

/** Puts a text between the two marks that carry this name. @throws Error when the document does not have them. */
export function fillIn(file: string, name: string, text: string): void {
  const document = readFileSync(file, "utf8");
  const [begin, end] = [`<!-- ${name}: begin, written by make bench-${name} -->`, `<!-- ${name}: end -->`];
  const [from, to] = [document.indexOf(begin), document.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`${file} has no ${begin} with ${end} behind it`);
  writeFileSync(file, `${document.slice(0, from + begin.length)}\n\n${text}\n\n${document.slice(to)}`);
}
