// What was started for one rig: its parts end in the opposite order, its folder last.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

export class Started {
  /** A folder of its own. */
  readonly folder: string;
  readonly #ends: (() => Promise<void> | void)[] = [];

  constructor(name: string) {
    this.folder = mkdtempSync(path.join(tmpdir(), `mcp-guard-${name}-`));
  }

  /** Takes over a part, which it gives back. */
  add<Part extends { stop(): Promise<void> | void }>(part: Part): Part {
    this.#ends.push(() => part.stop());
    return part;
  }

  /** Ends everything; a second time nothing. */
  readonly stop = async (): Promise<void> => {
    for (const end of this.#ends.splice(0).reverse()) await end();
    rmSync(this.folder, { recursive: true, force: true });
  };
}
