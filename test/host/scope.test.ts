// Which requests are judged at all: those of inbound listeners, unless the direction says both, and not those that the
// configuration names as not MCP.

import { describe, expect, test } from "vitest";
import { type Delivery, everyCut, JSON_HEADERS, open, post, send, startGuard, toolCall, verdict } from "./guard.ts";

const POLICY = { tool_allowlist: ["safe"] };
const EVIL = toolCall("evil");

describe("an outbound listener", () => {
  const outbound = { listenerDirection: 2 } as const;
  const REQUESTS: readonly Delivery[] = [
    { body: EVIL },
    { body: "\0 no JSON" },
    { body: "x".repeat(100), headers: [["content-type", "text/plain"]] },
    { body: "x", headers: [["upgrade", "websocket"]] },
    { body: "x", method: "CONNECT" },
    { method: "PUT", end: "headers", headers: [] },
  ];

  test.each(REQUESTS.map((request) => [JSON.stringify(request), request] as const))("passes %s", (_name, request) => {
    const { vm, plugin } = startGuard(POLICY, outbound);
    expect(post(plugin, request)).toBe("outbound");
    expect(vm.metrics.value("mcp_guard_decision_outbound")).toBe(1n);
  });

  test("passes bytes as they come", () => {
    const request = open(startGuard(POLICY, outbound).plugin);
    request.requestBody(EVIL.slice(0, 10), false);
    expect(request.upstream.body().toString()).toBe(EVIL.slice(0, 10));
  });

  test("is judged with direction both", () => {
    const { plugin } = startGuard({ ...POLICY, direction: "both" }, outbound);
    expect(post(plugin, { body: EVIL })).toBe("refuse tool_not_listed 200");
    expect(post(plugin, { body: toolCall("safe") })).toBe("allow");
  });
});

test("a direction that the proxy does not tell, or tells in another form, is inbound", () => {
  const { vm, plugin } = startGuard(POLICY);
  for (const value of ["2", true, 0n, 1n, 3n, 2n << 32n, Uint8Array.of(2, 0, 0, 0)]) {
    const stream = { properties: { "xds.listener_direction": value } };
    expect(post(plugin, { body: EVIL, stream })).toBe("refuse tool_not_listed 200");
  }
  vm.failAll("proxy_get_property", 1);
  expect(post(plugin, { body: EVIL, stream: { listenerDirection: 2 } })).toBe("refuse tool_not_listed 200");
});

describe("unguarded", () => {
  const { vm, plugin } = startGuard({
    ...POLICY,
    unguarded: [
      { methods: ["POST"], path: "/oauth/token", reason: "the token endpoint" },
      { methods: ["PUT", "DELETE"], path: "/files/" },
      { methods: ["POST"], path: "/hook" },
    ],
  });
  const form = [["content-type", "application/x-www-form-urlencoded"]] as const;

  test("passes the method and the path that are listed, unread", () => {
    for (const [method, path] of [
      ["POST", "/oauth/token"],
      ["PUT", "/files/"],
      ["DELETE", "/files/"],
      ["POST", "/hook"],
    ] as const) {
      expect(post(plugin, { method, path, headers: form, body: EVIL })).toBe("unguarded");
    }
    for (const cuts of everyCut(20)) {
      expect(post(plugin, { path: "/hook", headers: form, body: "x".repeat(20), cuts, end: "trailers" })).toBe(
        "unguarded",
      );
    }
    expect(post(plugin, { path: "/hook", headers: form, end: "headers" })).toBe("unguarded");
    expect(vm.metrics.value("mcp_guard_decision_unguarded")).toBeGreaterThan(20n);
  });

  test.each([
    "/oauth/token/",
    "/oauth/token?x=1",
    "/oauth/token#x",
    "/oauth//token",
    "//oauth/token",
    "/OAuth/token",
    "/oauth/toke",
    "/oauth/tokens",
    "/oauth/%74oken",
    "/x/../oauth/token",
    "/oauth/token;x",
    "/files",
    "",
    "/",
  ])("does not pass the path %j", (path) => {
    const headers = [...JSON_HEADERS];
    expect(post(plugin, { path, headers, body: EVIL })).toBe("refuse tool_not_listed 200");
    expect(verdict(send(plugin, { path, headers: form, body: EVIL }))).toBe("refuse content_type 415");
  });

  test.each(["GET", "PUT", "PATCH", "post"])("does not pass the method %s", (method) => {
    expect(verdict(open(plugin, { method, path: "/oauth/token", headers: form }))).toMatch(
      /^refuse (body_unexpected|http_method)/,
    );
  });
});
