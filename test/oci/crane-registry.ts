// The registry inside crane, a second implementation: it keeps all in memory and knows neither passwords nor TLS.
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { goTool } from "../mesh/go-tools.ts";
import { type Registry, startServer } from "./registry.ts";

/** A registry without files. */
export type MemoryRegistry = Omit<Registry, "storage">;

/**
 * Starts `crane registry serve` and waits until it answers.
 * @throws GoUnavailableError in one sentence, when crane is not there and cannot be built.
 * @throws Error with the end of its log, when it does not start. Nothing is left running in either case.
 */
export async function startCraneRegistry(): Promise<MemoryRegistry> {
  const crane = await goTool("crane");
  return startServer({
    name: "crane registry",
    command: crane,
    args: ["registry", "serve", "--address", "127.0.0.1:0"],
    folder: mkdtempSync(path.join(tmpdir(), "mcp-guard-crane-")),
    listening: /serving on port (\d+)/,
    isTls: false,
  });
}
