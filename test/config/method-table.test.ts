// src/policy/method-table.ts tells people what a policy does to each method. Here the filter is asked the same.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { type HttpStream, Vm } from "../../src/host/index.ts";
import {
  entryText,
  LEGACY_REQUESTS,
  type MethodRow,
  methodTable,
  openedBy,
  type TablePolicy,
} from "../../src/policy/method-table.ts";
import { projectPath } from "../../src/project.ts";

const MODULE = readFileSync(projectPath("build", "plugin.wasm"));

/** A message of a client, and the entry of the table that speaks of it. */
interface Sample {
  entry: string;
  message: Record<string, unknown>;
  /** What a row that goes by a list asks for in that list. */
  subject?: string;
}

const ELSE = "anything else";
const RESPONSES = "a client's responses";
const TASK_IN_PARAMS = "a task in the params of any method";
const UNKNOWN_TASK = "any other tasks/ method";
const LISTEN = "subscriptions/listen without resource URIs and task ids";
const LISTEN_URIS = "subscriptions/listen with resource URIs";
const LISTEN_TASKS = "subscriptions/listen with task ids";

const TOOLS = ["search_code", "delete_repo", "update_issue", "execute", "system_exec", "Search_code"];
const PROMPTS = ["code_review", "Code_review", "greeting"];
const URIS = ["mcp://logs/today", "mcp://logs/", "mcp://logs-evil/today", "file:///srv/repos/a", "file:///etc/passwd"];

const SAMPLES: readonly Sample[] = [
  ...["initialize", "ping", "server/discover", "logging/setLevel"].map((method) => request(method, method)),
  ...["initialized", "cancelled", "progress", "roots/list_changed"].map((name) =>
    notification(`notifications/${name}`, `notifications/${name}`),
  ),
  { entry: RESPONSES, message: { id: 3, result: { roots: [{ uri: "file:///home/user/project" }] } } },
  { entry: RESPONSES, message: { id: "s-1", error: { code: -32601, message: "Method not found" } } },
  ...["tools/list", "prompts/list", "resources/list", "resources/templates/list"].map((method) =>
    request(method, method),
  ),
  ...TOOLS.map((name) => request("tools/call", "tools/call", { name, arguments: {} }, name)),
  ...PROMPTS.flatMap((name) => [
    request("prompts/get", "prompts/get", { name }, name),
    complete("completion/complete for a prompt", { type: "ref/prompt", name }, name),
  ]),
  ...URIS.flatMap((uri) => [
    ...["resources/read", "resources/subscribe", "resources/unsubscribe", "skills/get"].map((method) =>
      request(method, method, { uri }, uri),
    ),
    complete("completion/complete for a resource", { type: "ref/resource", uri }, uri),
    complete("completion/complete for a resource", { type: "ref/resource", uri: uri.replace(/\/?$/, "/{name}") }, uri),
    listen(LISTEN_URIS, { resourceSubscriptions: [uri] }, uri),
    listen(LISTEN_URIS, { resourceSubscriptions: ["mcp://logs/a", uri] }, uri),
  ]),
  request(LISTEN, "subscriptions/listen"),
  listen(LISTEN, { toolsListChanged: true }),
  listen(LISTEN, { resourceSubscriptions: [], taskIds: [] }),
  listen(LISTEN_TASKS, { taskIds: ["7"] }),
  ...["tasks/get", "tasks/result", "tasks/update", "tasks/cancel", "tasks/list"].map((method) =>
    request(method, method, { taskId: "7" }),
  ),
  notification("notifications/tasks/status", "notifications/tasks/status"),
  request(TASK_IN_PARAMS, "ping", { task: {} }),
  request(TASK_IN_PARAMS, "tools/list", { task: { ttl: 1 } }),
  ...["tasks/x", "tasks/", "tasks/Get"].map((method) => request(UNKNOWN_TASK, method, { taskId: "7" })),
  ...["skills/list", "vendor/x", "tools/search", "prompts/render", "Tools/Call", "rpc.discover"].map((method) =>
    request(ELSE, method),
  ),
  request(ELSE, "vendor/x", { uri: "file:///srv/repos/a" }),
  notification(ELSE, "notifications/message"),
];

const CLOSED: TablePolicy = { tool_allowlist: [] };
const FURTHER = ["skills/list", "vendor/x", "notifications/message"];

const POLICIES: Readonly<Record<string, TablePolicy>> = {
  "nothing listed": CLOSED,
  "the standard's tools": { tool_allowlist: ["search_code", "get_pull_request"] },
  "flagged tools without an approval": { tool_allowlist: ["search_code", "delete_repo", "update_issue", "execute"] },
  "flagged tools alone": { tool_allowlist: ["delete_repo"] },
  "flagged tools with the approval off": { tool_allowlist: ["delete_repo", "execute"], approval: { mode: "off" } },
  prompts: { ...CLOSED, prompt_allowlist: ["code_review"] },
  "an empty list of prompts": { ...CLOSED, prompt_allowlist: [] },
  "a root": { ...CLOSED, resource_roots: ["mcp://logs/"] },
  "several roots": { ...CLOSED, resource_roots: ["mcp://logs", "file:///srv/repos/"] },
  "an empty list of roots": { ...CLOSED, resource_roots: [] },
  tasks: { ...CLOSED, tasks: "allow" },
  "tasks denied": { ...CLOSED, tasks: "deny" },
  "further methods": { ...CLOSED, method_allowlist: FURTHER },
  "skills/get without a root": { ...CLOSED, method_allowlist: ["skills/get"] },
  "skills/get and a root": { ...CLOSED, method_allowlist: ["skills/get"], resource_roots: ["mcp://logs/"] },
  "roots and tasks": { ...CLOSED, resource_roots: ["mcp://logs/"], tasks: "allow" },
  "lists that are only for some": {
    tool_allowlist: ["search_code"],
    resource_roots: ["mcp://logs/"],
    method_allowlist: ["skills/get"],
    rules: [
      {
        workloads: ["spiffe://td/ns/agents"],
        tool_allowlist: ["execute", "delete_repo"],
        prompt_allowlist: ["code_review"],
      },
      {
        workloads: ["spiffe://td/ns/agents"],
        resource_roots: ["file:///srv/repos/"],
        approval: { exempt: ["execute"] },
      },
    ],
  },
  "every member opened": {
    tool_allowlist: ["search_code", "delete_repo"],
    approval: { mode: "off" },
    prompt_allowlist: ["code_review"],
    resource_roots: ["mcp://logs/", "file:///srv/repos/"],
    method_allowlist: [...FURTHER, "skills/get"],
    tasks: "allow",
    uri_traversal: "segment",
  },
};

describe.each(Object.entries(POLICIES))("under the policy with %s", (_, policy) => {
  const table = methodTable(policy);
  const vm = Vm.load(MODULE);
  const plugin = vm.startPlugin(JSON.stringify(policy));

  test.each(SAMPLES.map((sample) => [`${sample.entry}: ${JSON.stringify(sample.message)}`, sample] as const))(
    "%s",
    (_title, sample) => {
      const row = rowOf(table, entryOf(table, sample));
      expectVerdict(post(sample.message), passes(row, sample.subject), row);
    },
  );

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
    expect([stream.filterState.get("mcp_decision"), reason]).toEqual(
      passes ? ["allow", undefined] : ["refuse", expect.any(String)],
    );
    if (passes || row.openedBy.length === 0) return;
    const opening = openedBy(reason ?? "");
    expect(row.openedBy, `reason ${reason}`).toContain(opening);
    expect(vm.logs.at(-1)?.message).toMatch(new RegExp(` opened_by=${opening}$`));
  }
});

test("each entry of the table has a sample", () => {
  const everything = methodTable(POLICIES["every member opened"] ?? CLOSED).flatMap(({ entries }) => entries);
  const sampled = new Set(SAMPLES.map(({ entry, message }) => (entry === ELSE ? message.method : entry)));
  expect(everything.map(entryText).filter((entry) => entry !== ELSE && !sampled.has(entry))).toEqual([]);
});

test("by-list rows are asked for names that pass and for others", () => {
  const table = methodTable(POLICIES["every member opened"] ?? CLOSED);
  for (const row of table.filter(({ verdict }) => verdict === "by list")) {
    const verdicts = SAMPLES.filter((sample) => row.entries.some((entry) => entryText(entry) === sample.entry)).map(
      ({ subject }) => passes(row, subject),
    );
    expect(new Set(verdicts), row.entries.map(entryText).join()).toEqual(new Set([true, false]));
  }
});

test("a root that breaks the URI rules is refused in a client's response, as the row says", () => {
  const vm = Vm.load(MODULE);
  const stream = vm.startPlugin(JSON.stringify(CLOSED)).openStream();
  stream.requestHeaders({ ":method": "POST", ":path": "/mcp", "content-type": "application/json" }, false);
  stream.requestBody('{"jsonrpc":"2.0","id":1,"result":{"roots":[{"uri":"file:///srv/../etc"}]}}', true);
  expect(stream.filterState.get("mcp_reason")).toBe("uri_traversal");
});

test("what the table says that rules add passes for whom they are, and for nobody else", () => {
  const policy = POLICIES["lists that are only for some"] ?? CLOSED;
  const vm = Vm.load(MODULE);
  const plugin = vm.startPlugin(JSON.stringify(policy));
  const reasonOf = (peer: string, method: string, params: object): string => {
    const stream = plugin.openStream({ properties: { "connection.uri_san_peer_certificate": peer } });
    stream.requestHeaders({ ":method": "POST", ":path": "/mcp", "content-type": "application/json" }, false);
    stream.requestBody(JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }), true);
    return stream.filterState.get("mcp_reason") ?? "";
  };
  const ours = "spiffe://td/ns/agents/sa/one";
  const others = "spiffe://td/ns/agents-b/sa/one";
  expect(rowOf(methodTable(policy), "tools/call").detail).toMatch(
    /^for some also execute \(rules\[0\]\), delete_repo \(rules\[0\]\); .*, but for whom a rule exempts: execute, delete_repo$/,
  );
  expect(rowOf(methodTable(policy), "prompts/get").detail).toBe("for some also code_review (rules[0])");
  expect(rowOf(methodTable(policy), "resources/read").detail).toBe("for some also file:///srv/repos/ (rules[1])");
  for (const [method, params, reason] of [
    ["tools/call", { name: "execute" }, "tool_not_listed"],
    ["prompts/get", { name: "code_review" }, "prompt_not_listed"],
    ["resources/read", { uri: "file:///srv/repos/a" }, "resource_not_listed"],
  ] as const) {
    expect([reasonOf(ours, method, params), reasonOf(others, method, params)]).toEqual(["", reason]);
  }
  expect(reasonOf(ours, "tools/call", { name: "delete_repo" })).toBe("approval_not_configured");
});

test("a policy that asks humans lists flagged tools, and says of which a human decides", () => {
  const policy = { tool_allowlist: ["search_code", "delete_repo", "drop_it"] };
  const row = (approval: NonNullable<TablePolicy["approval"]>): MethodRow =>
    rowOf(methodTable({ ...policy, approval }), "tools/call");
  expect(row({ mode: "required", tools: ["drop_it"] })).toMatchObject({
    verdict: "by list",
    listed: ["search_code", "delete_repo", "drop_it"],
    detail: "after a human's approval: delete_repo, drop_it",
    openedBy: ["tool_allowlist"],
  });
  expect(row({ mode: "required", exempt: ["delete_repo"] })).toMatchObject({
    listed: policy.tool_allowlist,
    detail: "",
  });
  expect(row({ tools: ["drop_it"] })).toMatchObject({
    listed: ["search_code"],
    detail: "listed, but refused without approval: delete_repo, drop_it",
    openedBy: ["tool_allowlist", "approval"],
  });
});

test("what the notes call requests that the modern era has no more is refused there, and nothing else is", () => {
  const vm = Vm.load(MODULE);
  const plugin = vm.startPlugin(JSON.stringify(POLICIES["every member opened"]));
  const meta = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
  };
  const methods = new Set(SAMPLES.flatMap(({ message: { id, method } }) => (id === undefined ? [] : [String(method)])));
  const refused = [...methods].filter((method) => {
    const stream = plugin.openStream();
    const headers = { "content-type": "application/json", "mcp-protocol-version": "2026-07-28", "mcp-method": method };
    stream.requestHeaders({ ":method": "POST", ":path": "/mcp", ":authority": "server", ...headers }, false);
    stream.requestBody(JSON.stringify({ jsonrpc: "2.0", id: 1, method, params: { _meta: meta } }), true);
    return stream.filterState.get("mcp_reason") === "method_not_listed" && passesSomewhere(method);
  });
  expect(new Set(refused)).toEqual(new Set(LEGACY_REQUESTS));
});

/** Whether the table has the method in a row that is not refused. */
function passesSomewhere(method: string): boolean {
  const table = methodTable(POLICIES["every member opened"] ?? CLOSED);
  return table.some((row) => row.verdict !== "refused" && row.entries.some((entry) => entry.method === method));
}

/** Whether a row lets a message pass that asks for `subject`: a listed name, or a URI under a listed root. */
function passes(row: MethodRow, subject = ""): boolean {
  if (row.verdict !== "by list") return row.verdict === "passes";
  return row.listed.some(
    (listed) => subject === listed || (listed.includes("://") && subject.startsWith(listed.replace(/\/?$/, "/"))),
  );
}

/** The entry of this table for a sample: a further method that is listed has its own. */
function entryOf(table: readonly MethodRow[], { entry, message }: Sample): string {
  const method = String(message.method);
  const isListed = table.some(({ entries }) => entries.some((other) => entryText(other) === method));
  if (entry === ELSE || entry === "skills/get") return isListed ? method : ELSE;
  return entry;
}

function rowOf(table: readonly MethodRow[], entry: string): MethodRow {
  const rows = table.filter(({ entries }) => entries.some((other) => entryText(other) === entry));
  expect(rows, entry).toHaveLength(1);
  return rows[0]!;
}

function request(entry: string, method: string, params?: Record<string, unknown>, subject?: string): Sample {
  return { entry, message: { id: 1, method, ...(params && { params }) }, ...(subject !== undefined && { subject }) };
}

function complete(entry: string, ref: Record<string, unknown>, subject: string): Sample {
  return request(entry, "completion/complete", { ref, argument: { name: "name", value: "a" } }, subject);
}

function listen(entry: string, notifications: Record<string, unknown>, subject?: string): Sample {
  return request(entry, "subscriptions/listen", { notifications }, subject);
}

function notification(entry: string, method: string): Sample {
  return { entry, message: { method } };
}
