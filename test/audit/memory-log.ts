// Logs that are texts, for the library.
import type { Input } from "../../src/audit/trail.ts";

/**
 * A log with these lines.
 * @param pieceBytes how many bytes come at once.
 */
export function log(lines: readonly string[], name = "a.log", pieceBytes = 1 << 16): Input {
  const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(""), "utf8");
  async function* open(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes);
  }
  return { name, open };
}
