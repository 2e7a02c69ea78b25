// What the compiled filter asks of a host and offers to it, against the committed baseline (module.json). An import that
// is added is a capability that is added: it fails here until the baseline changes in the same commit.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { moduleTypes } from "../../src/host/module-types.ts";
import { projectPath } from "../../src/project.ts";

interface Baseline {
  /** Bytes that build/plugin.wasm may have. */
  bytesMax: number;
  imports: Record<string, string>;
  exports: Record<string, string>;
}

const baseline = JSON.parse(readFileSync(new URL("module.json", import.meta.url), "utf8")) as Baseline;
const START_SECTION = 8;

/** The section ids of a module, in order (WebAssembly core, binary format 5.5). */
function sectionsOf(binary: Uint8Array): number[] {
  const ids: number[] = [];
  let at = 8;
  while (at < binary.length) {
    ids.push(binary[at++] ?? 0);
    let size = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = binary[at++] ?? 0;
      size += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) break;
    }
    at += size;
  }
  return ids;
}

describe.each(["plugin.wasm", "plugin.debug.wasm"])("build/%s", (name) => {
  const binary = new Uint8Array(readFileSync(projectPath("build", name)));
  const { imports, exports } = moduleTypes(binary);
  const signatures = (functions: typeof imports) =>
    Object.fromEntries([...functions].map(([key, type]) => [key, `${type.parameters}:${type.results}`]));

  it("imports what the baseline says", () => expect(signatures(imports)).toEqual(baseline.imports));

  it("exports what the baseline says", () => expect(signatures(exports)).toEqual(baseline.exports));

  // Envoy runs a start section before there is a context, and a host call there ends the whole process.
  it("has no start section", () => expect(sectionsOf(binary)).not.toContain(START_SECTION));
});

it("build/plugin.wasm stays below its size", () => {
  expect(readFileSync(projectPath("build", "plugin.wasm")).length).toBeLessThanOrEqual(baseline.bytesMax);
});
