// src/audit/suggest.ts. Goal: the policy that is proposed lets through what was seen, the filter and the schema take it whatever names clients have sent, and
// nothing that it leaves out is left out in silence. Method: records of a generator; records of what the filter itself says in monitor mode; hostile names.
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parse, parseDocument } from "yaml";
import { type AuditRecord, isRecord } from "../../src/audit/record.ts";
import { rootOf } from "../../src/audit/resource-root.ts";
import { Suggestion } from "../../src/audit/suggest.ts";
import { type Plugin, Vm } from "../../src/host/index.ts";
import { projectPath } from "../../src/project.ts";
import { schemaComplaints } from "../config/schema.ts";
import { harmlessUri } from "../generators/uri.ts";
import { type Members, Recorder, toolCall, user } from "./generator.ts";

const MODULE = readFileSync(projectPath("build", "plugin.wasm"));

const suggestion = (records: readonly Members[], notes: readonly string[] = []): string[] => {
  const recorder = new Recorder("one");
  const collected = new Suggestion();
  records.forEach((members, index) => {
    const value: Record<string, unknown> = JSON.parse(recorder.next({ "mcp_guard.mode": "monitor", ...members }));
    expect(isRecord(value), JSON.stringify(members)).toBe(true);
    collected.add(value as AuditRecord, { file: "a.log", line: index + 1 });
  });
  return collected.render(notes);
};

/** A record of monitor mode with a reason. */
const refused = (reason: string, members: Members = {}): Members => ({
  "mcp_guard.decision": "would_refuse",
  "mcp_guard.reason": reason,
  ...members,
});

const unlisted = (tool: string, members: Members = {}): Members =>
  refused("tool_not_listed", { ...toolCall(tool), ...members });

const resource = (uri: string, members: Members = {}): Members =>
  refused("resource_not_listed", { "mcp.method.name": "resources/read", "mcp.resource.uri": uri, ...members });

/** The policy in the lines, after everything that reads policies has taken it. */
function policyOf(lines: readonly string[]): Record<string, unknown> {
  const text = lines.join("\n");
  const document = parseDocument(text);
  expect([...document.errors, ...document.warnings], text).toEqual([]);
  const policy: unknown = document.toJS();
  expect(schemaComplaints(policy), text).toEqual([]);
  const vm = Vm.load(MODULE);
  const { accepted } = vm.startPlugin(JSON.stringify(policy));
  expect(vm.logs.filter(({ level }) => level === "error")).toEqual([]);
  expect(accepted).toBe(true);
  return policy as Record<string, unknown>;
}

test("a trail of every kind", () => {
  const alice = user("alice");
  const bob = user("bob");
  const lines = suggestion(
    [
      ...Array.from({ length: 3 }, () => unlisted("search_code", alice)),
      { ...toolCall("search_code", { "mcp_guard.rule": "tool_allowlist" }), ...bob },
      unlisted("delete_branch", bob),
      unlisted("delete_branch", bob),
      unlisted("y"),
      refused("prompt_not_listed", { "mcp.method.name": "prompts/get", "gen_ai.prompt.name": "code review", ...bob }),
      resource("file:///srv/repos/a.txt", alice),
      resource("file:///srv/repos/deep/b.txt", bob),
      resource("urn:isbn:0451450523", bob),
      refused("method_not_listed", { "mcp.method.name": "vendor/ping", ...alice }),
      refused("task_denied", { "mcp.method.name": "tasks/get", ...alice }),
      refused("near_name", alice),
      refused("near_name"),
      refused("origin_not_allowed"),
      refused("argument_not_allowed", toolCall("search_code", bob)),
      { "mcp_guard.decision": "unguarded" },
      { "mcp.method.name": "tools/list", "mcp_guard.response.removed": 4 },
      { "mcp_guard.decision": "not_read", "mcp_guard.reason": "body_too_large" },
    ],
    ["2 exchanges were seen by no guard"],
  );
  expect(lines).toEqual([
    "# Proposed by mcp-guard audit suggest from 20 records, 2026-11-02T00:00:01.000000Z to 2026-11-02T00:00:20.000000Z.",
    "# It lets through what was seen, and whoever could send requests had a say in that. Read each line before you use it.",
    "# What records do not have is missing: argument_rules, allowed_origins, limits and other members of the policy in force.",
    "tool_allowlist:",
    "  - search_code  # 5 times, 2 users",
    "  - delete_branch  # 2 times, 1 user; needs approval: refused while the policy has no member approval",
    '  - "y"  # once, no known user',
    "prompt_allowlist:",
    '  - "code review"  # once, 1 user',
    "resource_roots:",
    '  - "file:///srv/repos/"  # 2 times, 2 users',
    '  - "urn:isbn:0451450523"  # once, 1 user',
    "tasks: allow  # once, 1 user",
    "method_allowlist:",
    "  - vendor/ping  # once, 1 user",
    "#",
    "# No list opens these. Look at each (docs/reasons.md):",
    "#   near_name: 2 times, 1 user, first at a.log:14; no member opens it",
    "#   argument_not_allowed: once, 1 user, first at a.log:17; opened by argument_rules; records do not say the arguments",
    "#   body_too_large: once, no known user, first at a.log:20; opened by limits.body_bytes",
    "#   origin_not_allowed: once, no known user, first at a.log:16; opened by allowed_origins; records do not say the origin",
    "#",
    "# Also:",
    "#   2 exchanges were seen by no guard",
    "#   1 exchanges were with endpoints of unguarded: keep that member",
    "#   of 1 responses something was left out, or would have been (docs/responses.md)",
  ]);
  expect(policyOf(lines)).toEqual({
    tool_allowlist: ["search_code", "delete_branch", "y"],
    prompt_allowlist: ["code review"],
    resource_roots: ["file:///srv/repos/", "urn:isbn:0451450523"],
    tasks: "allow",
    method_allowlist: ["vendor/ping"],
  });
});

test("of nothing a policy that allows nothing", () => {
  expect(policyOf(suggestion([]))).toEqual({ tool_allowlist: [] });
});

describe("what no list opens", () => {
  test.each([
    ["a method of the table that this revision has no more", { "mcp.method.name": "ping" }, "method_not_listed"],
    ["a method under tasks/ that no revision has", { "mcp.method.name": "tasks/x" }, "task_denied"],
    ["a tool without a name", { "mcp.method.name": "tools/call" }, "tool_not_listed"],
    ["a resource without a URI", { "mcp.method.name": "subscriptions/listen" }, "resource_not_listed"],
    [
      "a URI that climbs",
      { "mcp.method.name": "resources/read", "mcp.resource.uri": "file:///srv/x" },
      "uri_traversal",
    ],
    ["a tool whose headers disagree", toolCall("search_code"), "header_mismatch"],
  ])("%s is told and not proposed", (_, members, reason) => {
    const lines = suggestion([refused(reason, members)]);
    expect(policyOf(lines)).toEqual({ tool_allowlist: [] });
    expect(lines.join("\n")).toContain(`#   ${reason}: once`);
  });
});

describe("a name that cannot be listed is told", () => {
  const cut = { "mcp_guard.truncated": true };
  test.each([
    ["cut", unlisted("x".repeat(512), cut), `tool ${"x".repeat(64)}...: it is cut in the record: once`],
    ["cut to what a policy could list", unlisted("x".repeat(256), cut), "it is cut in the record"],
    ["cut before an escape", unlisted("x".repeat(503), cut), "it is cut in the record"],
    ["cut, of escapes alone", unlisted("\u{1f600}".repeat(42), cut), "it is cut in the record"],
    ["too long", unlisted("é".repeat(129)), "longer than 256 bytes"],
    ["empty", unlisted(""), 'tool "": no policy can list an empty name'],
    ["half of a character", unlisted("a\ud800"), 'tool "a\\ud800": it is no text that a client can send'],
    [
      "a method with a space",
      refused("method_not_listed", { "mcp.method.name": "a b" }),
      'method "a b": no policy can',
    ],
    ["a cut URI", resource(`file:///srv/${"x".repeat(1012)}`, cut), "it is cut in the record"],
    ["a URI that may be cut", resource(`file:///srv/${"x".repeat(340)}`, cut), "it is cut in the record"],
    ["a template without a folder", resource("weather://{city}"), "it gives no root"],
  ])("%s", (_, members, text) => {
    const lines = suggestion([members]);
    expect(policyOf(lines)).toEqual({ tool_allowlist: [] });
    expect(lines).toContain("# Not proposed:");
    expect(lines.join("\n")).toContain(text);
  });

  test("unless it only stands beside a text that was cut", () => {
    const lines = suggestion([unlisted("search_code", { "url.path": "x".repeat(512), ...cut })]);
    expect(policyOf(lines)).toEqual({ tool_allowlist: ["search_code"] });
  });
});

test("letters that look like others, and what nobody sees, are marked", () => {
  const lines = suggestion([unlisted("s\u0435arch"), unlisted("a\u202eb\u{e0041}\n#x"), unlisted("日本")]);
  expect(lines.slice(4)).toEqual([
    '  - "a\\u202eb\\U000e0041\\u000a#x"  # once, no known user; has characters that nobody sees',
    '  - "s\u0435arch"  # once, no known user; has letters beyond ASCII',
    '  - "日本"  # once, no known user; has letters beyond ASCII',
  ]);
  expect(policyOf(lines)).toEqual({ tool_allowlist: ["a\u202eb\u{e0041}\n#x", "s\u0435arch", "日本"] });
});

describe("roots", () => {
  test.each([
    ["file:///srv/repos/a.txt", "file:///srv/repos/"],
    ["file:///srv/repos/", "file:///srv/repos/"],
    ["file:///a", "file:///a"],
    ["mcp://logs", "mcp://logs"],
    ["mcp://logs/today", "mcp://logs/"],
    ["https://host.example", "https://host.example"],
    ["urn:isbn:1", "urn:isbn:1"],
    ["x:/a", "x:/a"],
    ["file:///srv/{name}", "file:///srv/"],
    ["file:///srv/a{name}/b", "file:///srv/"],
    ["git://h/r/main...feature/x", "git://h/r/main...feature/"],
    ["file:///srv/../x/y", undefined],
    ["file:///srv/%2e%2e/y", undefined],
    ["file:///srv/%61/y", undefined],
    ["https://user@host/x", undefined],
    ["/srv/x", undefined],
    ["file://host/x", undefined],
    ["file:///{name}", undefined],
    ["file:///srv/\u202e/x", undefined],
    ["file:///srv/%ff/x", undefined],
  ])("of %s", (uri, root) => {
    expect(rootOf(uri)).toBe(root);
  });

  test("that stand under another one are merged, system folders are not", () => {
    const uris = ["file:///srv/a/x", "file:///srv/b/c/x", "file:///srv/y", "urn:x", "urn:x:y", "file:///proc/1/maps"];
    const lines = suggestion(uris.map((uri) => resource(uri)));
    expect(policyOf(lines).resource_roots).toEqual(["file:///srv/", "urn:x", "file:///proc/1/"]);
  });

  test("with .. inside a segment need the other mode", () => {
    const lines = suggestion([resource("git://h/r/main...feature/x")]);
    expect(policyOf(lines)).toMatchObject({ resource_roots: ["git://h/r/main...feature/"], uri_traversal: "segment" });
  });

  test("beyond the policy's 256 are told", () => {
    const lines = suggestion(Array.from({ length: 300 }, (_, i) => resource(`mcp://host${i}/a`)));
    expect(policyOf(lines).resource_roots).toHaveLength(256);
    expect(lines.filter((line) => line.includes("a policy has at most 256 roots"))).toHaveLength(20);
    expect(lines).toContain("#   and 24 more roots");
  });
});

test("names without end are counted up to the policy's bound, and told", () => {
  const collected = new Suggestion();
  const base = JSON.parse(new Recorder("one").next(unlisted("x"))) as AuditRecord;
  const place = { file: "a.log", line: 1 };
  for (let i = 0; i < 16_390; i++) collected.add({ ...base, "gen_ai.tool.name": `tool${i}` }, place);
  const lines = collected.render();
  expect(lines).toContain("#   further tools, too many to count each: 6 times");
  expect((policyOf(lines).tool_allowlist as string[]).length).toBe(16_384);
});

describe("whatever clients send", () => {
  const nasty = fc.constantFrom(
    ...[
      "\n",
      "\r",
      "\u0085",
      "\u2028",
      "\t",
      "#",
      ":",
      "- ",
      "'",
      '"',
      "\\",
      "{",
      "}",
      "%",
      "\u0000",
      "\u202e",
      "\ufeff",
    ],
    ...[
      "null",
      "yes",
      "~",
      "!!str ",
      "&a ",
      "*a",
      "| ",
      "> ",
      "é",
      "日",
      "\u{1f600}",
      "\u{e0041}",
      "\ud800",
      "1",
      "0x1",
      " ",
    ],
  );
  const text = fc.array(fc.oneof(nasty, fc.string({ maxLength: 3 })), { maxLength: 8 }).map((parts) => parts.join(""));
  const parts = fc.constantFrom(
    ..."/ // .. . %2e %252e %2f %5c %ff a b é ․ @ : ? # { } ; \u202e \\ C: proc".split(" "),
  );
  const uri = fc.array(parts, { maxLength: 10 }).map((list) => `file:///${list.join("")}`);

  test("the filter takes the policy, and it has the names as they were sent", () => {
    fc.assert(
      fc.property(fc.array(text, { maxLength: 6 }), fc.array(fc.oneof(uri, text), { maxLength: 6 }), (names, uris) => {
        const short = names.map((name) => name.slice(0, 60));
        const lines = suggestion([
          ...short.map((name) => unlisted(name, user(`u${name}`))),
          ...short.map((name) => refused("prompt_not_listed", { "gen_ai.prompt.name": name })),
          ...short.map((name) => refused("method_not_listed", { "mcp.method.name": name })),
          ...uris.map((name) => resource(name)),
        ]);
        expect(lines.every((line) => !/[\p{Cc}\p{Cf}\u2028\u2029]/u.test(line))).toBe(true);
        const listable = short.filter((name) => name !== "" && !/\p{Cs}/u.test(name));
        const policy = policyOf(lines);
        expect(new Set(policy.tool_allowlist as string[])).toEqual(new Set(listable));
        expect(new Set((policy.prompt_allowlist ?? []) as string[])).toEqual(new Set(listable));
      }),
      { numRuns: 60 },
    );
  });

  test("harmless resources are under the roots that are proposed for them", () => {
    const vm = Vm.load(MODULE);
    fc.assert(
      fc.property(fc.array(harmlessUri("file:///srv/repos/"), { minLength: 1, maxLength: 4 }), (uris) => {
        const lines = suggestion(uris.map((full) => resource(full.replace(/[?#].*$/s, ""))));
        const plugin = vm.startPlugin(JSON.stringify(policyOf(lines)));
        const told = lines.join("\n").includes("it gives no root");
        for (const full of uris) {
          const reason = ask(plugin, { id: 1, method: "resources/read", params: { uri: full } });
          expect(reason === undefined || told, `${full}\n${lines.join("\n")}`).toBe(true);
        }
        plugin.stop();
      }),
      { numRuns: 60 },
    );
  });
});

/** Sends a message; the reason of its refusal, or of what would be one. */
function ask(plugin: Plugin, message: Record<string, unknown>): string | undefined {
  const stream = plugin.openStream();
  const headers = { ":method": "POST", ":path": "/mcp", ":authority": "server", "content-type": "application/json" };
  stream.requestHeaders(headers, false);
  stream.requestBody(JSON.stringify({ jsonrpc: "2.0", ...message }), true);
  return stream.filterState.get("mcp_reason");
}

test("from monitor mode to a policy: what was seen then passes, as far as lists open it", () => {
  const call = (name: string) => ({ id: 1, method: "tools/call", params: { name, arguments: {} } });
  const read = (uri: string) => ({ id: 1, method: "resources/read", params: { uri } });
  const messages: readonly { message: Record<string, unknown>; names: Members; opened: boolean }[] = [
    { message: call("search_code"), names: toolCall("search_code"), opened: true },
    { message: call('a "b"\n'), names: toolCall('a "b"\n'), opened: true },
    { message: call("delete_x"), names: toolCall("delete_x"), opened: false },
    {
      message: { id: 1, method: "prompts/get", params: { name: "p" } },
      names: { "mcp.method.name": "prompts/get", "gen_ai.prompt.name": "p" },
      opened: true,
    },
    ...["mcp://logs/today", "file:///srv/a/b", "urn:x:y"].map((uri) => ({
      message: read(uri),
      names: { "mcp.method.name": "resources/read", "mcp.resource.uri": uri },
      opened: true,
    })),
    { message: read("file:///srv/../etc"), names: { "mcp.method.name": "resources/read" }, opened: false },
    { message: { id: 1, method: "vendor/ping" }, names: { "mcp.method.name": "vendor/ping" }, opened: true },
    {
      message: { id: 1, method: "tasks/get", params: { taskId: "7" } },
      names: { "mcp.method.name": "tasks/get" },
      opened: true,
    },
    { message: { id: 1, method: "tasks/x" }, names: { "mcp.method.name": "tasks/x" }, opened: false },
    { message: { id: 1, method: "tools/list" }, names: { "mcp.method.name": "tools/list" }, opened: true },
  ];
  const monitor = Vm.load(MODULE).startPlugin('{"tool_allowlist":[],"mode":"monitor"}');
  const records = messages.map(({ message, names }) => {
    const reason = ask(monitor, message);
    return reason === undefined ? names : refused(reason, names);
  });
  const plugin = Vm.load(MODULE).startPlugin(JSON.stringify(policyOf(suggestion(records))));
  for (const { message, opened } of messages) {
    expect(ask(plugin, message) === undefined, JSON.stringify(message)).toBe(opened);
  }
});

test("the lines are YAML for readers of version 1.1 too", () => {
  const names = ["y", "yes", "no", "on", "null", "~", "1_000", "0o7", "1:30", "=", "<<", "a.b", "2026-11-02"];
  const lines = suggestion(names.map((name) => unlisted(name)));
  expect(parse(lines.join("\n"), { version: "1.1" }).tool_allowlist).toEqual([...names].sort());
});

test.each([
  ...["human_required", "audit_unavailable", "arguments_too_large", "approval_pending", "approval_denied"],
  ...["approval_expired", "approval_replayed", "approval_signature", "approval_mismatch", "approval_principal"],
  ...["approval_unavailable", "approval_limit", "principal_required", "rate_limited"],
])("a call that the lists had let pass before %s is proposed", (reason) => {
  expect(policyOf(suggestion([refused(reason, toolCall("search_code"))])).tool_allowlist).toEqual(["search_code"]);
});

// With headers that go on at once the token is asked for before the body has been read.
test.each(["token_invalid", "token_exchange_refused", "token_exchange_unavailable"])(
  "a call that was refused with %s is not proposed: the lists may not have had a word",
  (reason) => {
    const lines = suggestion([refused(reason, toolCall("search_code"))]);
    expect(policyOf(lines).tool_allowlist).toEqual([]);
    expect(lines.join("\n")).toContain(`#   ${reason}: once`);
  },
);

test("what rules let pass is proposed for everybody, and that is said", () => {
  const call = toolCall("delete_branch");
  const lines = suggestion([{ ...call, "mcp_guard.rules": [0, 3] }, toolCall("search_code")]);
  expect(policyOf(lines).tool_allowlist).toEqual(["delete_branch", "search_code"]);
  expect(lines).toContain(
    "#   1 exchanges were of identities that rules give more than others: what they used is proposed above for everybody",
  );
  expect(suggestion([call]).join("\n")).not.toContain("that rules give");
});
