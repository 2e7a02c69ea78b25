// What the compiled filter asks of a host and offers to it, against the committed baseline (module.json). An import that
// is added is a capability that is added: it fails here until the baseline changes in the same commit.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { Vm } from "../../src/host/index.ts";
import { moduleTypes } from "../../src/host/module-types.ts";
import { projectPath } from "../../src/project.ts";

interface Baseline {
  /** Bytes that build/plugin.wasm may have. 200,000 without approvals; these bring canonical arguments, receipts, calls that wait, and the service's answers. */
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

describe.each(["plugin.wasm", "plugin.debug.wasm", "plugin.scalar.wasm"])("build/%s", (name) => {
  const binary = new Uint8Array(readFileSync(projectPath("build", name)));
  const { imports, exports } = moduleTypes(binary);
  const signatures = (functions: typeof imports) =>
    Object.fromEntries([...functions].map(([key, type]) => [key, `${type.parameters}:${type.results}`]));

  it("imports what the baseline says", () => expect(signatures(imports)).toEqual(baseline.imports));

  it("exports what the baseline says", () => expect(signatures(exports)).toEqual(baseline.exports));

  // Envoy runs a start section before there is a context, and a host call there ends the whole process.
  it("has no start section", () => expect(sectionsOf(binary)).not.toContain(START_SECTION));
});

// For hosts without SIMD. That it has no vector instruction says the compiler, which refuses them in it.
it("build/plugin.scalar.wasm is the same guard", () => {
  const verdicts = ["plugin.wasm", "plugin.scalar.wasm"].map((name) => {
    const plugin = Vm.load(new Uint8Array(readFileSync(projectPath("build", name)))).startPlugin(
      '{"tool_allowlist":["safe"]}',
    );
    return ["safe", "evil"].flatMap((tool) =>
      [
        '"x"',
        '"\u00e9\u4e2d"',
        `"${"a".repeat(200)}"`,
        '{"a":1,"a":2}',
        '[{"a":[1.5e3,true,null,"\\n"]},{}]',
        '"\u0001"',
      ].map((value) => {
        const stream = plugin.openStream();
        stream.requestHeaders({ ":method": "POST", ":path": "/", "content-type": "application/json" }, false);
        const call = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"${tool}","arguments":{"text":${value}}}}`;
        stream.requestBody(`${call}${" ".repeat(100)}`, true);
        return stream.upstream.ended ? "allow" : stream.codeDetails;
      }),
    );
  });
  expect(verdicts[1]).toEqual(verdicts[0]);
  expect(new Set(verdicts[0])).toEqual(
    new Set(["allow", "mcp_guard.tool_not_listed", "mcp_guard.json_duplicate_member", "mcp_guard.json_syntax"]),
  );
});

it("build/plugin.wasm stays below its size", () => {
  expect(readFileSync(projectPath("build", "plugin.wasm")).length).toBeLessThanOrEqual(baseline.bytesMax);
});
