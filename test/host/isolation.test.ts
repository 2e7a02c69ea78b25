// Two guards in one VM: Istio sets no vm_id, so the plugins of two servers share a module, and nothing of one may be seen
// by the other.

import { expect, test } from "vitest";
import { Vm } from "../../src/host/index.ts";
import { addPlugin, BUILDS, open, pieces, post, send, startGuard, toolCall, verdict } from "./guard.ts";

test("each guard has its own lists", () => {
  const { vm, plugin: first } = startGuard({ tool_allowlist: ["one", "both"], method_allowlist: ["vendor/one"] });
  const second = addPlugin(vm, { tool_allowlist: ["two", "both"], method_allowlist: ["vendor/two"] });
  const vendor = (method: string) => `{"jsonrpc":"2.0","id":1,"method":"vendor/${method}"}`;
  for (const [own, plugin] of [
    ["one", first],
    ["two", second],
  ] as const) {
    const other = own === "one" ? "two" : "one";
    expect(post(plugin, { body: toolCall(own) })).toBe("allow");
    expect(post(plugin, { body: toolCall("both") })).toBe("allow");
    expect(post(plugin, { body: toolCall(other) })).toBe("refuse tool_not_listed 200");
    expect(post(plugin, { body: vendor(own) })).toBe("allow");
    expect(post(plugin, { body: vendor(other) })).toBe("refuse method_not_listed 200");
  }
});

test("each guard has its own modes, limits and exceptions", () => {
  const { vm, plugin: strict } = startGuard({ tool_allowlist: ["safe"], limits: { body_bytes: 200 } });
  const lax = addPlugin(vm, {
    tool_allowlist: ["safe", "delete_all"],
    approval: { mode: "off" },
    refusal: "http_403",
    direction: "both",
    unguarded: [{ methods: ["POST"], path: "/free" }],
  });
  const watching = addPlugin(vm, { tool_allowlist: [], mode: "monitor" });
  const body = toolCall("safe").padEnd(201);
  const outbound = { stream: { listenerDirection: 2 } } as const;
  for (let round = 0; round < 3; round++) {
    expect(post(strict, { body })).toBe("refuse body_too_large 413");
    expect(post(lax, { body })).toBe("allow");
    expect(post(watching, { body })).toMatch(/^unlike .* would_refuse tool_not_listed/);
    expect(post(strict, { path: "/free", body: toolCall("evil") })).toBe("refuse tool_not_listed 200");
    expect(post(lax, { path: "/free", body: toolCall("evil") })).toBe("unguarded");
    expect(post(lax, { body: toolCall("evil") })).toBe("refuse tool_not_listed 403");
    expect(post(lax, { body: toolCall("delete_all") })).toBe("allow");
    expect(post(strict, { body: "[]", ...outbound })).toBe("outbound");
    expect(post(lax, { body: "[]", ...outbound })).toBe("refuse batch 400");
  }
});

test("bodies that come by turns are read apart", () => {
  const { vm, plugin: first } = startGuard({ tool_allowlist: ["one"] });
  const second = addPlugin(vm, { tool_allowlist: ["two"] });
  const plan = [
    [first, "one", "allow"],
    [second, "one", "refuse tool_not_listed 200"],
    [first, "two", "refuse tool_not_listed 200"],
    [second, "two", "allow"],
  ] as const;
  const running = plan.map(([plugin, tool, result]) => ({ stream: open(plugin), body: toolCall(tool), result }));
  const longest = Math.max(...running.map(({ body }) => body.length));
  for (let at = 0; at < longest; at++) {
    for (const { stream, body } of running) if (at < body.length) stream.requestBody(body.slice(at, at + 1), false);
  }
  for (const { stream, body, result } of running) {
    stream.requestEnd();
    if (stream.upstream.ended) stream.responseHeaders({ ":status": "200" }, true);
    expect(verdict(stream, body)).toBe(result);
  }
});

test("the account and the watchdog of one guard are not the other's", () => {
  const { vm, plugin: small } = startGuard({
    tool_allowlist: ["safe"],
    limits: { in_flight_bytes: 65_536, stall_ms: 100 },
  });
  const large = addPlugin(vm, { tool_allowlist: ["safe"] });
  const waiting = Array.from({ length: 200 }, () => open(large));
  expect(post(small, { body: toolCall("safe") })).toBe("allow");
  for (let tick = 0; tick < 10 && small.tickPeriodMs > 0; tick++) small.tick();
  expect(waiting.every(({ finished }) => !finished)).toBe(true);
  for (const stream of waiting) stream.clientGone();
});

test("a guard that stops takes nothing from the others", () => {
  const vm = Vm.load(BUILDS.debug);
  const plugins = ["one", "two", "three"].map((tool) => ({ tool, plugin: addPlugin(vm, { tool_allowlist: [tool] }) }));
  for (const { tool, plugin } of plugins) {
    expect(post(plugin, { body: toolCall(tool) })).toBe("allow");
    plugin.stop();
    for (const other of plugins.slice(plugins.findIndex((each) => each.plugin === plugin) + 1)) {
      expect(post(other.plugin, { body: toolCall(other.tool), cuts: pieces(60, 7) })).toBe("allow");
      expect(send(other.plugin, { body: toolCall(tool) }).codeDetails).toBe("mcp_guard.tool_not_listed");
    }
  }
  expect([vm.failed, vm.contextCount()]).toEqual([false, 0]);
});
