// Monitor mode: decide, record, count, and let it pass. It never changes a byte and never refuses, whatever comes.

import { describe, expect, test } from "vitest";
import type { HeaderPair } from "../../src/host/index.ts";
import type { RequestPolicy } from "../oracle/exchange.ts";
import { ARGUMENT_VECTORS } from "../vectors/arguments.ts";
import { ENTRY_VECTORS } from "../vectors/entries.ts";
import { POLICY_VECTORS } from "../vectors/policy.ts";
import { THREAT_POLICY, THREAT_VECTORS } from "../vectors/threats.ts";
import {
  answer,
  type Delivery,
  exchange,
  type Guard,
  JSON_HEADERS,
  open,
  pieces,
  startGuard,
  toolCall,
} from "./guard.ts";

const MODES = [
  ["headers released", { mode: "monitor" }],
  ["headers held", { mode: "monitor", request_headers: "hold" }],
] as const;

/** Which host is asked is a pseudo-header, which these requests do not choose; in a real Envoy they do. */
const VECTORS = THREAT_VECTORS.filter(({ policy }) => policy?.allowed_hosts === undefined);

/** The decision and the reason, once it is shown that the server has exactly the request and the client its answer. */
function decisionOn(guard: Guard, delivery: Delivery): string[] {
  const stream = exchange(guard.plugin, delivery);
  const { upstream, downstream, localReply } = stream;
  expect([upstream.ended, downstream.status, localReply]).toEqual([true, 200, undefined]);
  expect(Buffer.compare(upstream.body(), Buffer.from(delivery.body ?? ""))).toBe(0);
  const { headers = JSON_HEADERS } = delivery;
  // A name that repeats may be joined by the proxy.
  if (new Set(headers.map(([name]) => name)).size === headers.length) {
    expect(upstream.headers?.pairs().filter(([name]) => !name.startsWith(":"))).toEqual(headers);
  }
  return [stream.filterState.get("mcp_decision") ?? "", stream.filterState.get("mcp_reason") ?? ""];
}

describe.each(MODES)("%s", (_mode, members) => {
  const guard = startGuard({ ...THREAT_POLICY, ...members });
  const guards = new Map([[JSON.stringify(THREAT_POLICY), guard]]);

  /** The guard of a policy; the same one for the same policy. */
  function guardOf(policy: RequestPolicy): Guard {
    const key = JSON.stringify(policy);
    const known = guards.get(key) ?? startGuard({ ...policy, ...members });
    guards.set(key, known);
    return known;
  }

  test.each(VECTORS.map((vector) => [vector.row, vector.name, vector] as const))(
    "threat vectors, row %i: %s",
    (_row, _name, { request, policy = THREAT_POLICY, expect: expected }) => {
      const own = guardOf(policy);
      const { method, path, body, framing = "length", trailers } = request;
      const end = framing === "headers_only" ? "headers" : trailers ? "trailers" : "separate";
      const headers = request.headers.map(([name, value]): HeaderPair => [name.toLowerCase(), value]);
      for (const size of body.length > 100_000 ? [body.length, 65_521] : [body.length, 7]) {
        const cuts = pieces(body.length, Math.max(size, 1));
        const [decision, reason] = decisionOn(own, { method, path, headers, body, cuts, end });
        own.vm.logs.length = 0;
        if (expected.verdict === "allow") {
          expect([decision, reason]).toEqual([end === "headers" ? "pass" : "allow", ""]);
        } else {
          expect(expected.reasons).toContain(reason);
          expect(decision).toBe(reason === "body_too_large" ? "not_read" : "would_refuse");
        }
      }
    },
  );

  test("each byte passes when it comes", () => {
    for (const body of [toolCall("evil"), `${toolCall("safe")}garbage`, "garbage"]) {
      const stream = open(guard.plugin);
      expect(stream.upstream.headers).toBeDefined();
      for (let at = 0; at < body.length; at++) {
        stream.requestBody(body.slice(at, at + 1), false);
        expect(stream.upstream.body()).toHaveLength(at + 1);
      }
      stream.requestEnd();
      answer(stream);
      expect(stream.filterState.get("mcp_decision")).toBe("would_refuse");
    }
  });

  test("an upgrade, a method and a body that would be refused pass", () => {
    const pass = (delivery: Delivery) => decisionOn(guard, delivery);
    expect(pass({ method: "GET", headers: [["upgrade", "websocket"]], body: "x" })).toEqual([
      "would_refuse",
      "http_upgrade",
    ]);
    expect(pass({ method: "CONNECT", headers: [], body: "x" })).toEqual(["would_refuse", "http_upgrade"]);
    expect(pass({ method: "PUT", headers: [], end: "headers" })).toEqual(["would_refuse", "http_method"]);
    expect(pass({ method: "GET", headers: [], body: "x" })).toEqual(["would_refuse", "body_unexpected"]);
    expect(pass({ end: "headers" })).toEqual(["would_refuse", "body_missing"]);
  });

  test("too many requests at once pass and are recorded as not read", () => {
    const own = startGuard({ tool_allowlist: ["safe"], ...members, limits: { in_flight_bytes: 65_536 } });
    const streams = Array.from({ length: 100 }, () => open(own.plugin));
    expect(decisionOn(own, { body: toolCall("evil") })).toEqual(["not_read", "overloaded"]);
    for (const stream of streams) stream.clientGone();
    expect(decisionOn(own, { body: toolCall("evil") })).toEqual(["would_refuse", "tool_not_listed"]);
  });

  test("a body that is only watched is not held, so its bytes are not counted", () => {
    const own = startGuard({ tool_allowlist: ["safe"], ...members, limits: { in_flight_bytes: 65_536 } });
    const body = toolCall("safe").padEnd(300_000);
    expect(decisionOn(own, { body, cuts: pieces(body.length, 10_000) })).toEqual(["allow", ""]);
  });

  test("a message whose end the server has seen before the filter is recorded by what was read", () => {
    const recorded = (body: string): string[] => {
      const stream = open(guard.plugin);
      stream.requestBody(body, false);
      answer(stream);
      stream.finish();
      return [stream.filterState.get("mcp_decision") ?? "", stream.filterState.get("mcp_reason") ?? ""];
    };
    expect(recorded(toolCall("safe"))).toEqual(["allow", ""]);
    expect(recorded(toolCall("evil"))).toEqual(["would_refuse", "tool_not_listed"]);
    expect(recorded(toolCall("safe").slice(0, -1))).toEqual(["none", ""]);
  });

  test("no watchdog runs", () => {
    const own = startGuard({ tool_allowlist: ["safe"], ...members });
    const stream = open(own.plugin);
    expect(own.plugin.tickPeriodMs).toBe(0);
    stream.clientGone();
  });

  test("host calls that fail do not stop anything", () => {
    for (const [name, after] of [
      ["proxy_get_header_map_pairs", 0],
      ["proxy_get_buffer_bytes", 0],
      ["proxy_get_property", 0],
    ] as const) {
      guard.vm.failNext(name, 10, { after });
      const [decision] = decisionOn(guard, { headers: JSON_HEADERS, body: toolCall("safe") });
      guard.vm.clearFaults();
      expect(["would_refuse", "allow"]).toContain(decision);
    }
  });
});

test("what monitor mode says of a body is what enforcing says", () => {
  for (const { policy, body, reasons } of [...POLICY_VECTORS, ...ENTRY_VECTORS, ...ARGUMENT_VECTORS]) {
    const [decision, reason] = decisionOn(startGuard({ ...policy, mode: "monitor" }), { body });
    if (reasons.length === 0) expect([decision, reason]).toEqual(["allow", ""]);
    else expect([decision, reasons]).toEqual(["would_refuse", expect.arrayContaining([reason])]);
  }
});
