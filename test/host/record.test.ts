// What is left of an exchange for operators: filter state for the access log, counters, and log lines. Goal: the decision
// and its reason are always there, and no byte of the network breaks a line, a column or a terminal.

import { describe, expect, test } from "vitest";
import { addPlugin, type Delivery, JSON_HEADERS, open, post, send, startGuard, toolCall } from "./guard.ts";

const POLICY = {
  audit: { line: "none" },
  tool_allowlist: ["safe", 'a"b\\c', "\u00fcber"],
  method_allowlist: ["vendor/x"],
};

/** Texts that would end a line, move a cursor or close a quote. */
const HOSTILE = [
  ["CR LF", "a\r\nmcp-guard: refused", "a\\u000d\\u000amcp-guard: refused"],
  ["ESC", "\u001b[2Ja", "\\u001b[2Ja"],
  ["a quote and a backslash", 'a"b\\c', "a\\u0022b\\u005cc"],
  ["DEL and NUL", "\u007f\0", "\\u007f\\u0000"],
  ["letters beyond ASCII", "\u00fcber\u202e", "\\u00fcber\\u202e"],
] as const;

describe("filter state", () => {
  const { plugin } = startGuard(POLICY);
  const stateOf = (body: string): Record<string, string> => {
    const stream = send(plugin, { body });
    if (stream.upstream.ended) stream.responseHeaders({ ":status": "200" }, true);
    return Object.fromEntries(stream.filterState);
  };

  test("tells decision, reason, method and tool", () => {
    expect(stateOf(toolCall("safe"))).toEqual({ mcp_decision: "allow", mcp_method: "tools/call", mcp_tool: "safe" });
    expect(stateOf(toolCall("evil"))).toEqual({
      mcp_decision: "refuse",
      mcp_reason: "tool_not_listed",
      mcp_method: "tools/call",
      mcp_tool: "evil",
    });
    expect(stateOf('{"jsonrpc":"2.0","id":1,"method":"ping"}')).toEqual({ mcp_decision: "allow", mcp_method: "ping" });
    expect(stateOf('{"jsonrpc":"2.0","id":1,"result":{}}')).toEqual({ mcp_decision: "allow" });
    expect(stateOf("[]")).toEqual({ mcp_decision: "refuse", mcp_reason: "batch" });
  });

  test("keeps what was known before the fault", () => {
    const body = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"safe","name":"evil"}}';
    expect(stateOf(body)).toMatchObject({
      mcp_reason: "json_duplicate_member",
      mcp_method: "tools/call",
      mcp_tool: "safe",
    });
  });

  test.each(HOSTILE)("escapes %s", (_what, tool, escaped) => {
    expect(stateOf(toolCall(tool)).mcp_tool).toBe(escaped);
  });

  test("caps names and methods", () => {
    expect(stateOf(toolCall("n".repeat(100_000))).mcp_tool).toBe("n".repeat(256));
    expect(stateOf(toolCall("\n".repeat(1000))).mcp_tool).toBe("\\u000a".repeat(256));
    const method = (bytes: number) => `{"jsonrpc":"2.0","id":1,"method":"${"m".repeat(bytes)}"}`;
    expect(stateOf(method(128)).mcp_method).toBe("m".repeat(128));
    expect(stateOf(method(129))).toEqual({ mcp_decision: "refuse", mcp_reason: "method_invalid" });
  });

  test("is there for every way out", () => {
    expect([...open(plugin, { method: "PUT" }).filterState]).toEqual([
      ["mcp_decision", "refuse"],
      ["mcp_reason", "http_method"],
    ]);
    const gone = open(plugin);
    gone.requestBody('{"jsonrpc"', false);
    gone.clientGone();
    expect([...gone.filterState]).toEqual([["mcp_decision", "none"]]);
  });
});

describe("counters", () => {
  /** What has been counted, without what only takes time. */
  const countedIn = (metrics: ReturnType<typeof startGuard>["vm"]["metrics"]) => {
    const counted = metrics.names().flatMap((name) => {
      const value = metrics.value(name);
      return value && name !== "mcp_guard_duration_us" ? [[name.replace(/\.[0-9a-f]{16}$/, ""), Number(value)]] : [];
    });
    return Object.fromEntries(counted) as Record<string, number>;
  };

  test("count each exchange once, by decision and by reason, with its bytes", () => {
    const { vm, plugin } = startGuard({ ...POLICY, metrics: { tools: 0 } });
    const bodies = [...Array<string>(3).fill(toolCall("safe")), ...Array<string>(2).fill(toolCall("evil")), "{"];
    const streams = bodies.map((body) => {
      post(plugin, { body });
      return Buffer.byteLength(body);
    });
    post(plugin, { method: "GET", headers: [], end: "headers" });
    const counted = countedIn(vm.metrics);
    expect(counted).toMatchObject({
      mcp_guard_decision_allow: 3,
      mcp_guard_decision_refuse: 3,
      mcp_guard_decision_pass: 1,
      mcp_guard_reason_tool_not_listed: 2,
      mcp_guard_reason_json_incomplete: 1,
      "mcp_guard_info.policy": 1,
      mcp_guard_request_bytes: streams.reduce((sum, bytes) => sum + bytes, 0),
    });
    expect(counted.mcp_guard_response_bytes).toBeGreaterThan(4 * 36);
    expect(Object.keys(counted)).toHaveLength(8);
  });

  test("count elements of lists, and records", () => {
    const { vm, plugin } = startGuard({ tool_allowlist: ["safe", "other"] });
    const stream = send(plugin, { body: '{"jsonrpc":"2.0","id":1,"method":"tools/list"}' });
    const tools = ["safe", "other", "evil"].map((name) => ({ name, description: "\u200b" }));
    stream.responseHeaders({ ":status": "200", "content-type": "application/json" }, false);
    stream.responseBody(JSON.stringify({ jsonrpc: "2.0", id: 1, result: { tools } }), true);
    vm.failAll("proxy_set_property", 2);
    post(plugin, { body: toolCall("safe") });
    expect(countedIn(vm.metrics)).toMatchObject({
      mcp_guard_response_listed: 2,
      mcp_guard_response_removed: 1,
      mcp_guard_response_hidden_characters: 2,
      mcp_guard_audit_records: 1,
      mcp_guard_audit_records_lost: 1,
    });
  });

  test("tell how many exchanges are under way", () => {
    const { vm, plugin } = startGuard(POLICY);
    const streams = [1, 2, 3].map(() => open(plugin));
    expect(vm.metrics.value("mcp_guard_exchanges_active")).toBe(3n);
    for (const stream of streams) stream.clientGone();
    expect(vm.metrics.value("mcp_guard_exchanges_active")).toBe(0n);
  });

  test("record how long the guard has worked", () => {
    let at = 0n;
    const { vm, plugin } = startGuard(POLICY, {
      now: () => {
        at += 3_000n;
        return at;
      },
    });
    post(plugin, { body: toolCall("safe") });
    expect(vm.metrics.samples("mcp_guard_duration_us")).toEqual([15n]);
  });

  test("all exist from the start, and no request defines one", () => {
    const { vm, plugin } = startGuard(POLICY);
    const { definitions } = vm.metrics;
    const names = vm.metrics.names();
    expect(names.filter((name) => name.startsWith("mcp_guard_decision_"))).toHaveLength(8);
    expect(names.filter((name) => name.startsWith("mcp_guard_reason_"))).toHaveLength(72);
    for (let index = 0; index < 100; index++) post(plugin, { body: toolCall(index % 2 === 0 ? "safe" : "evil") });
    expect([vm.metrics.definitions, vm.metrics.names()]).toEqual([definitions, names]);
  });
});

describe("counters of tools", () => {
  const toolsIn = (vm: ReturnType<typeof startGuard>["vm"]) =>
    Object.fromEntries(
      vm.metrics
        .names()
        .filter((name) => name.startsWith("mcp_guard_tool_"))
        .map((name) => [name.replace("mcp_guard_tool_", ""), Number(vm.metrics.value(name))]),
    );

  test("count calls of listed tools by what became of them", () => {
    const rules = [{ tool: "a", pointer: "/p", rule: "path" }];
    const { vm, plugin } = startGuard({
      tool_allowlist: ["a", "delete_b"],
      prompt_allowlist: ["a"],
      argument_rules: rules,
    });
    const call = (name: string, toolArguments = {}) =>
      post(plugin, {
        body: JSON.stringify({
          jsonrpc: "2.0",
          id: 1,
          method: "tools/call",
          params: { name, arguments: toolArguments },
        }),
      });
    call("a");
    call("a", { p: "x" });
    call("a", { p: "../x" });
    call("delete_b");
    call("evil");
    post(plugin, { body: '{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"a"}}' });
    post(plugin, { body: '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","name":"a"}}' });
    expect(toolsIn(vm)).toEqual({ "allowed.a": 2, "refused.a": 2, "allowed.delete_b": 0, "refused.delete_b": 1 });
  });

  test("count what would have been refused, and not what nobody could judge", () => {
    const { vm, plugin } = startGuard({ tool_allowlist: ["delete_b"], mode: "monitor" });
    post(plugin, { body: toolCall("delete_b") });
    open(plugin).clientGone();
    expect(toolsIn(vm)).toEqual({ "allowed.delete_b": 0, "refused.delete_b": 1 });
  });

  test("are as many as the policy says, in the order of its list", () => {
    const names = Array.from({ length: 300 }, (_, index) => `tool_${index}`);
    const definedFor = (policy: object) => Object.keys(toolsIn(startGuard({ tool_allowlist: names, ...policy }).vm));
    expect(definedFor({})).toHaveLength(200);
    expect(definedFor({ metrics: { tools: 0 } })).toEqual([]);
    expect(definedFor({ metrics: { tools: 2 } }).sort()).toEqual([
      "allowed.tool_0",
      "allowed.tool_1",
      "refused.tool_0",
      "refused.tool_1",
    ]);
    expect(definedFor({ metrics: { tools: 1024 } })).toHaveLength(600);
  });

  test("have names that Prometheus knows, and no two tools share one", () => {
    const names = ["a.b", "a_b", "a-b", "a b", "\u00e4", "\n", "x".repeat(256), `${"\u00fc".repeat(128)}`, "A_b"];
    const { vm } = startGuard({ tool_allowlist: names });
    const defined = Object.keys(toolsIn(vm)).filter((name) => name.startsWith("allowed."));
    expect(new Set(defined).size).toBe(names.length);
    for (const name of defined) expect(name).toMatch(/^allowed\.[A-Za-z0-9_]+$/);
    expect(defined).toContain("allowed.a_b");
  });

  test("are defined once per VM, however often a configuration comes", () => {
    const policy = { tool_allowlist: ["a", "b"] };
    const { vm, plugin } = startGuard(policy);
    const { definitions } = vm.metrics;
    for (let round = 0; round < 5; round++) addPlugin(vm, policy).stop();
    expect(vm.metrics.definitions).toBe(definitions + 5);
    const other = addPlugin(vm, { tool_allowlist: ["b", "c"] });
    post(other, { body: toolCall("b") });
    post(plugin, { body: toolCall("b") });
    expect(toolsIn(vm)).toMatchObject({ "allowed.b": 2, "allowed.c": 0 });
  });

  test("are bounded in a VM, whatever policies come", () => {
    const { vm } = startGuard({ tool_allowlist: [] });
    for (let round = 0; round < 30; round++) {
      const names = Array.from({ length: 100 }, (_, index) => `tool_${round}_${index}`);
      addPlugin(vm, { tool_allowlist: names }).stop();
    }
    expect(Object.keys(toolsIn(vm))).toHaveLength(2 * 1024);
    const late = addPlugin(vm, { tool_allowlist: ["tool_0_5", "late"] });
    post(late, { body: toolCall("late") });
    post(late, { body: toolCall("tool_0_5") });
    expect(toolsIn(vm)).toMatchObject({ "allowed.tool_0_5": 1 });
    expect(toolsIn(vm)).not.toHaveProperty(["allowed.late"]);
  });

  test("that the proxy refuses refuse the configuration", () => {
    const { vm } = startGuard({ tool_allowlist: [] });
    // The gauge of the policy comes first.
    vm.failNext("proxy_define_metric", 2, { after: 2 });
    const plugin = vm.startPlugin('{"tool_allowlist":["a"]}');
    expect([plugin.accepted, vm.logs.at(-1)?.message]).toEqual([
      false,
      "mcp-guard: configuration refused: the host refuses a metric",
    ]);
  });
});

describe("log lines", () => {
  const { vm, plugin } = startGuard(POLICY);
  const linesOf = (body: string, headers: [string, string][] = []): string[] => {
    vm.logs.length = 0;
    send(plugin, { headers: [["content-type", "application/json"], ...headers], body });
    return vm.logs.map(({ level, message }) => `${level} ${message}`);
  };

  test("name the reason and the member that would open it", () => {
    expect(linesOf(toolCall("evil"), [["x-request-id", "r1"]])).toEqual([
      'info mcp-guard: refused tool_not_listed method="tools/call" name="evil" request_id="r1" opened_by=tool_allowlist',
    ]);
    const line = (body: string) => linesOf(body).join();
    expect(line('{"jsonrpc":"2.0","id":1,"method":"vendor/y"}')).toMatch(
      / method_not_listed .* opened_by=method_allowlist$/,
    );
    expect(line('{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"p"}}')).toMatch(
      / opened_by=prompt_allowlist$/,
    );
    expect(line('{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"a:b"}}')).toMatch(
      / opened_by=resource_roots$/,
    );
    expect(line('{"jsonrpc":"2.0","id":1,"method":"tasks/list"}')).toMatch(/ opened_by=tasks$/);
    expect(line(`{"a":${"[".repeat(70)}`)).toMatch(/refused json_depth opened_by=limits.depth$/);
    expect(line("[]")).toBe("info mcp-guard: refused batch");
  });

  test("name the member that would open a URI, an argument, a page or a host", () => {
    const rule = { tool: "safe", pointer: "/path", rule: "path" };
    const guarded = startGuard({
      ...POLICY,
      resource_roots: ["file:///docs/"],
      argument_rules: [rule],
      allowed_hosts: ["server"],
    });
    const lineOf = (delivery: Delivery): string => {
      guarded.vm.logs.length = 0;
      send(guarded.plugin, delivery);
      return guarded.vm.logs.map(({ message }) => message).join();
    };
    const read = (uri: string) => `{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"${uri}"}}`;
    expect(lineOf({ body: read("file:///docs/../x") })).toMatch(/ uri_traversal .* opened_by=uri_traversal$/);
    expect(lineOf({ body: read("file:///docs//x") })).toMatch(/ uri_malformed method="resources\/read"$/);
    expect(lineOf({ body: read("file:///srv/x") })).toMatch(/ resource_not_listed .* opened_by=resource_roots$/);
    const climbing = toolCall("safe").replace("}}", ',"arguments":{"path":"../x"}}}');
    expect(lineOf({ body: climbing })).toMatch(/ argument_not_allowed .* name="safe" opened_by=argument_rules$/);
    const page = [...JSON_HEADERS, ["origin", "https://page.example"] as const];
    expect(lineOf({ headers: page, body: toolCall("safe") })).toMatch(/ origin_not_allowed opened_by=allowed_origins$/);
    const other = startGuard({ ...POLICY, allowed_hosts: ["mcp.example"] });
    send(other.plugin, { body: toolCall("safe") });
    expect(other.vm.logs.at(-1)?.message).toMatch(/ host_not_allowed opened_by=allowed_hosts$/);
  });

  test.each(HOSTILE)("stay one line with %s", (_what, tool, escaped) => {
    const [line, ...more] = linesOf(toolCall(tool));
    // What is listed passes, and passing is not logged.
    if (tool === 'a"b\\c') expect(line).toBeUndefined();
    else expect(line).toContain(`name="${escaped}"`);
    expect(more).toEqual([]);
    expect(line ?? "").toMatch(/^[ -~]*$/);
  });

  test("stay short", () => {
    const [line = ""] = linesOf(toolCall("\n".repeat(100_000)), [["x-request-id", "\x80".repeat(64)]]);
    expect(line.length).toBeLessThan(4096 + "info ".length);
    expect(line).toMatch(/^[ -~]*$/);
  });

  test("say that the server had answered before", () => {
    const stream = open(plugin);
    stream.responseHeaders({ ":status": "401" }, false);
    vm.logs.length = 0;
    stream.requestBody("[]", true);
    expect(vm.logs.map(({ message }) => message)).toEqual(["mcp-guard: refused batch after_response=true"]);
  });

  test("nothing is logged for what passes", () => {
    expect(linesOf(toolCall("safe"))).toEqual([]);
  });
});
