// src/policy/method-table.ts tells people what a policy does to each method. Here the filter is asked the same.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { projectPath } from "../../src/envoy/project.ts";
import { type HttpStream, Vm } from "../../src/host/index.ts";
import { type MethodRow, methodTable, openedBy, type TablePolicy } from "../../src/policy/method-table.ts";

const MODULE = readFileSync(projectPath("build", "plugin.wasm"));

/** A message of a client, and the row of the table that speaks of it. */
interface Sample {
  row: RegExp;
  message: Record<string, unknown>;
  /** For a row whose verdict is not that of all its messages. */
  verdict?: "passes" | "refused";
}

const TOOLS = [
  "search_code",
  "get_pull_request",
  "delete_repo",
  "update_issue",
  "execute",
  "system_exec",
  "Search_code",
];

const SAMPLES: readonly Sample[] = [
  ...["initialize", "ping", "server/discover", "logging/setLevel"].map((method) =>
    request(/^initialize, ping/, method),
  ),
  ...["initialized", "cancelled", "progress", "roots/list_changed"].map((name) =>
    notification(/^notifications\/initialized/, `notifications/${name}`),
  ),
  { row: /a client's responses/, message: { id: 3, result: { roots: [] } } },
  { row: /a client's responses/, message: { id: "s-1", error: { code: -32601, message: "Method not found" } } },
  ...["tools/list", "prompts/list", "resources/list", "resources/templates/list"].map((method) =>
    request(/^tools\/list/, method),
  ),
  request(/^prompts\/get/, "prompts/get", { name: "greeting" }),
  request(/^prompts\/get/, "completion/complete", { ref: { type: "ref/prompt", name: "greeting" }, argument: {} }),
  ...["read", "subscribe", "unsubscribe"].map((name) =>
    request(/^resources\/read/, `resources/${name}`, { uri: "file:///etc/passwd" }),
  ),
  request(/^resources\/read/, "completion/complete", { ref: { type: "ref/resource", uri: "file:///a" }, argument: {} }),
  request(/^subscriptions\/listen/, "subscriptions/listen"),
  request(/^subscriptions\/listen/, "subscriptions/listen", { notifications: { toolsListChanged: true } }),
  request(/^subscriptions\/listen/, "subscriptions/listen", {
    notifications: { resourceSubscriptions: [], taskIds: [] },
  }),
  {
    ...request(/^subscriptions\/listen/, "subscriptions/listen", { notifications: { resourceSubscriptions: ["a:b"] } }),
    verdict: "refused",
  },
  {
    ...request(/^subscriptions\/listen/, "subscriptions/listen", { notifications: { taskIds: ["7"] } }),
    verdict: "refused",
  },
  ...["tasks/get", "tasks/list", "tasks/cancel", "tasks/result"].map((method) => request(/^tasks\/\*/, method)),
  notification(/^tasks\/\*/, "notifications/tasks/status"),
  request(/^tasks\/\*/, "tools/call", { name: "search_code", arguments: {}, task: { ttl: 1 } }),
  request(/^tasks\/\*/, "ping", { task: {} }),
  ...["skills/list", "vendor/x", "tools/search", "prompts/render", "Tools/Call", "rpc.discover"].map((method) =>
    request(/^anything else/, method),
  ),
  notification(/^anything else/, "notifications/message"),
];

const POLICIES: Readonly<Record<string, TablePolicy>> = {
  "the standard's": { tool_allowlist: ["search_code", "get_pull_request"] },
  "nothing listed": { tool_allowlist: [] },
  "flagged tools without an approval": { tool_allowlist: ["search_code", "delete_repo", "update_issue", "execute"] },
  "flagged tools alone": { tool_allowlist: ["delete_repo"] },
  "flagged tools with the approval off": { tool_allowlist: ["delete_repo", "execute"], approval: { mode: "off" } },
  "further methods": {
    tool_allowlist: ["search_code"],
    method_allowlist: ["skills/list", "vendor/x", "notifications/message"],
  },
};

describe.each(Object.entries(POLICIES))("under the policy with %s", (_, policy) => {
  const table = methodTable(policy);
  const vm = Vm.load(MODULE);
  const plugin = vm.startPlugin(JSON.stringify(policy));

  test.each(SAMPLES.map((sample) => [title(sample.message), sample] as const))("%s", (_title, sample) => {
    const { method } = sample.message;
    const listed = typeof method === "string" && policy.method_allowlist?.includes(method);
    const row = rowOf(table, listed ? new RegExp(`(^|, )${method}(,|$)`) : sample.row);
    const passes = (sample.verdict ?? row.verdict) === "passes";
    expectVerdict(post(sample.message), passes, row);
  });

  test.each(TOOLS)("tools/call %s", (tool) => {
    const row = rowOf(table, /^tools\/call/);
    const passes = row.verdict === "by list" && (row.detail.split(";")[0] ?? "").split(", ").includes(tool);
    expectVerdict(post({ id: 1, method: "tools/call", params: { name: tool, arguments: {} } }), passes, row);
  });

  function post(message: Record<string, unknown>): HttpStream {
    vm.logs.length = 0;
    const stream = plugin.openStream();
    const headers = { ":method": "POST", ":path": "/mcp", ":authority": "server", "content-type": "application/json" };
    stream.requestHeaders(headers, false);
    stream.requestBody(JSON.stringify({ jsonrpc: "2.0", ...message }), true);
    if (stream.upstream.ended) stream.responseHeaders({ ":status": "202" }, true);
    return stream;
  }

  function expectVerdict(stream: HttpStream, passes: boolean, row: MethodRow): void {
    const reason = stream.filterState.get("mcp_reason");
    if (passes) {
      expect([stream.filterState.get("mcp_decision"), reason]).toEqual(["allow", undefined]);
      return;
    }
    expect(stream.filterState.get("mcp_decision")).toBe("refuse");
    const opening = openedBy(reason ?? "");
    expect(row.openedBy.split(", "), `reason ${reason}`).toContain(opening);
    expect(vm.logs.at(-1)?.message).toMatch(new RegExp(` opened_by=${opening}$`));
  }
});

test("each row of the table has a sample, and each method of a row", () => {
  const sampled = SAMPLES.map(({ message }) => String(message.method));
  for (const { methods } of methodTable({ tool_allowlist: [] })) {
    expect(SAMPLES.some(({ row }) => row.test(methods)) || methods === "tools/call", methods).toBe(true);
    for (const method of methods.match(/[a-z]+\/[a-zA-Z/_]+|^initialize|\bping\b/g) ?? []) {
      const isSampled = [...sampled, "tools/call"].some((name) => `/${name}`.endsWith(`/${method}`));
      expect(isSampled || method.endsWith("/"), `${methods}: ${method}`).toBe(true);
    }
  }
});

function request(row: RegExp, method: string, params?: Record<string, unknown>): Sample {
  return { row, message: { id: 1, method, ...(params && { params }) } };
}

function notification(row: RegExp, method: string): Sample {
  return { row, message: { method } };
}

function rowOf(table: readonly MethodRow[], pattern: RegExp): MethodRow {
  const rows = table.filter(({ methods }) => pattern.test(methods));
  expect(rows, String(pattern)).toHaveLength(1);
  return rows[0]!;
}

/** A message as a test's name. */
function title({ method, params, result }: Record<string, unknown>): string {
  if (method === undefined) return result === undefined ? "an error for the server" : "a result for the server";
  return params === undefined ? String(method) : `${method} ${JSON.stringify(params)}`;
}
