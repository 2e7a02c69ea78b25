// The filter's own records through all that reads records. Goal: schema/audit-record.md as the filter writes it and as src/audit reads it are one format.
// Method: exchanges in the Node host, hostile texts in them, all four commands' libraries on what comes out.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import type { Fault } from "../../src/audit/chain.ts";
import { type AuditRecord, isRecord } from "../../src/audit/record.ts";
import { renderRecord } from "../../src/audit/show.ts";
import { Suggestion } from "../../src/audit/suggest.ts";
import { verifyTrail } from "../../src/audit/verify.ts";
import { Vm } from "../../src/host/index.ts";
import { projectPath } from "../../src/project.ts";
import { log } from "./memory-log.ts";

const HOSTILE = 'a"\\\u202e\u0000\u{1f600}';

const MESSAGES = [
  { id: 1, method: "tools/call", params: { name: HOSTILE, arguments: {} } },
  { id: HOSTILE, method: "tools/call", params: { name: "search_code", arguments: {} } },
  { id: 1, method: "tools/call", params: { name: "x".repeat(300), arguments: {} } },
  { id: 1, method: "prompts/get", params: { name: "code_review" } },
  { id: 1, method: "resources/read", params: { uri: "file:///srv/b/c?q" } },
  { id: 1, method: "vendor/x" },
  { id: 1, method: "tasks/get", params: { taskId: "1" } },
  { id: 1, method: "tools/list" },
  { id: 1, Method: "tools/call" },
];

/** The records of exchanges under a policy. */
function recordsOf(policy: object): string[] {
  const plugin = Vm.load(readFileSync(projectPath("build", "plugin.wasm"))).startPlugin(JSON.stringify(policy));
  return MESSAGES.map((message) => {
    const stream = plugin.openStream();
    const headers = { "content-type": "application/json", "x-request-id": "é" };
    stream.requestHeaders({ ":method": "POST", ":path": "/mcp?x=1", ":authority": "server", ...headers }, false);
    stream.requestBody(JSON.stringify({ jsonrpc: "2.0", ...message }), true);
    if (stream.upstream.ended) {
      stream.responseHeaders({ ":status": "200", "content-type": "application/json" }, false);
      stream.responseBody('{"jsonrpc":"2.0","id":1,"result":{}}', true);
    }
    stream.finish();
    const record = stream.filterState.get("mcp_audit");
    expect(record, "the module that was built writes records").toBeDefined();
    return record ?? "";
  });
}

test.each(["monitor", "enforce"])("mode %s: the trail is whole, and is shown", async (mode) => {
  const records = recordsOf({ tool_allowlist: ["search_code"], mode });
  const faults: Fault[] = [];
  const { chains } = await verifyTrail([log(records)], { fromStart: true, onFault: (fault) => faults.push(fault) });
  expect(faults).toEqual([]);
  expect(chains).toMatchObject([{ records: MESSAGES.length, first: 1 }]);
  expect(renderRecord(JSON.parse(records[0] ?? "") as AuditRecord)[0]).toContain(
    'tool_not_listed  -  tools/call "a\\"\\\\\\u202e\\u0000\u{1f600}"',
  );
});

test("monitor mode leads to a policy", () => {
  const suggestion = new Suggestion();
  recordsOf({ tool_allowlist: [], mode: "monitor" }).forEach((text, index) => {
    const value: Record<string, unknown> = JSON.parse(text);
    if (isRecord(value)) suggestion.add(value, { file: "a.log", line: index + 1 });
  });
  expect(suggestion.render().filter((line) => !line.startsWith("#"))).toEqual([
    "tool_allowlist:",
    '  - "a\\"\\\\\\u202e\\u0000\u{1f600}"  # once, no known user; has characters that nobody sees',
    "  - search_code  # once, no known user",
    "prompt_allowlist:",
    "  - code_review  # once, no known user",
    "resource_roots:",
    '  - "file:///srv/b/"  # once, no known user',
    "tasks: allow  # once, no known user",
    "method_allowlist:",
    "  - vendor/x  # once, no known user",
  ]);
  expect(suggestion.render().filter((line) => line.startsWith("#   "))).toEqual([
    "#   near_name: once, no known user, first at a.log:9; no member opens it",
    expect.stringMatching(/^# {3}tool x{64}\.\.\.: it is cut in the record: once, no known user$/),
  ]);
});
