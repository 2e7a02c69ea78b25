// Responses in monitor mode. Goal: not a byte is changed, and what is recorded is what enforcing would have done.

import { describe, expect, test } from "vitest";
import type { HeaderPair, HttpStream } from "../../src/host/index.ts";
import type { ResponsePolicy } from "../oracle/response.ts";
import { RESPONSE_VECTORS } from "../vectors/responses.ts";
import { frame, RESPONSE_POLICY } from "../vectors/responses-vector.ts";
import { type Guard, JSON_HEADERS, open, pieces, send, startGuard, toolCall } from "./guard.ts";
import { LIST_REQUEST, respond } from "./respond.ts";

const guards = new Map<string, Guard>();

function guardOf(policy: object): Guard {
  const key = JSON.stringify(policy);
  const known = guards.get(key) ?? startGuard(policy);
  guards.set(key, known);
  return known;
}

const recorded = ({ filterState }: HttpStream) => ({
  reason: filterState.get("mcp_reason"),
  removed: filterState.get("mcp_removed"),
});

function expectUntouched(stream: HttpStream, headers: readonly HeaderPair[], body: Uint8Array): void {
  const { downstream, localReply } = stream;
  expect([downstream.ended, localReply, downstream.headers?.pairs()]).toEqual([true, undefined, headers]);
  expect(Buffer.compare(downstream.body(), body)).toBe(0);
}

describe("what enforcing would do is recorded, and nothing is done", () => {
  const vectors = RESPONSE_VECTORS.filter(({ headers }) => !headers.some(([name]) => name === "content-encoding"));

  test.each(vectors.map((vector) => [vector.row, vector.name, vector] as const))("%s: %s", (_row, _name, vector) => {
    const { policy, status, headers, body } = vector;
    const [enforcing, watching] = [guardOf(policy), guardOf({ ...policy, mode: "monitor" })];
    for (const size of [body.length, 777]) {
      const cuts = [...pieces(body.length, Math.max(size, 1))];
      const expected = recorded(respond(enforcing, vector, cuts));
      const stream = respond(watching, vector, cuts);
      expectUntouched(stream, [[":status", String(status)], ...headers], body);
      expect(recorded(stream)).toEqual(expected);
      if (expected.reason !== undefined) expect(stream.filterState.get("mcp_decision")).toBe("would_refuse");
    }
  });
});

const MONITOR: ResponsePolicy & { mode: "monitor" } = { ...RESPONSE_POLICY, mode: "monitor" };
const LISTS = Buffer.from('{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"evil"},{"name":"safe"}]}}');
const HEAD: readonly HeaderPair[] = [
  [":status", "200"],
  ["content-type", "application/json"],
];

function answered(guard: Guard, request: string, head: readonly HeaderPair[], body: Uint8Array): HttpStream {
  const stream = send(guard.plugin, { headers: JSON_HEADERS, body: request });
  stream.responseHeaders(head, false);
  stream.responseBody(body, true);
  expectUntouched(stream, head, body);
  return stream;
}

test("a request that would have been refused has no response that would have been changed", () => {
  const stream = answered(guardOf(MONITOR), toolCall("evil"), HEAD, LISTS);
  expect(recorded(stream)).toEqual({ reason: "tool_not_listed", removed: undefined });
});

test("a response whose encoding nobody has asked the server to leave out says nothing", () => {
  for (const body of [LISTS, Buffer.from("\x1f\x8b not JSON")]) {
    const stream = answered(guardOf(MONITOR), LIST_REQUEST, [...HEAD, ["content-encoding", "gzip"]], body);
    expect([recorded(stream), stream.filterState.get("mcp_decision")]).toEqual([{}, "allow"]);
  }
});

test("an answer that comes before the request has ended", () => {
  for (const [tool, expected] of [
    ["safe", { reason: "response_type" }],
    ["evil", { reason: "tool_not_listed" }],
  ] as const) {
    const early = open(guardOf(MONITOR).plugin);
    early.responseHeaders({ ":status": "200", "content-type": "text/plain" }, false);
    early.requestBody(toolCall(tool), true);
    early.responseBody("x", true);
    expect([recorded(early), early.filterState.get("mcp_decision")]).toEqual([expected, "would_refuse"]);
  }
});

test("too much at once is not looked at, and passes", () => {
  // Room for all requests, and not for all responses.
  const policy = { ...MONITOR, limits: { in_flight_bytes: 91_500 } };
  const guard = startGuard(policy);
  const streams = Array.from({ length: 40 }, () => {
    const stream = send(guard.plugin, { headers: JSON_HEADERS, body: LIST_REQUEST });
    stream.responseHeaders([HEAD[0]!, ["content-type", "text/event-stream"]], false);
    stream.responseBody(frame(String(LISTS)).slice(0, 60), false);
    return stream;
  });
  for (const stream of streams) {
    stream.responseBody(frame(String(LISTS)).slice(60), true);
    expect(stream.downstream.body().toString()).toBe(frame(String(LISTS)));
  }
  const seen = new Set(streams.map((stream) => JSON.stringify(recorded(stream))));
  expect(seen).toEqual(new Set(['{"removed":"1"}', "{}"]));
});

test("host calls that fail do not stop anything", () => {
  const guard = startGuard(MONITOR);
  for (const name of ["proxy_get_header_map_pairs", "proxy_get_buffer_bytes"] as const) {
    const stream = send(guard.plugin, { headers: JSON_HEADERS, body: LIST_REQUEST });
    guard.vm.failNext(name, 10, {});
    stream.responseHeaders(HEAD, false);
    stream.responseBody(LISTS, true);
    guard.vm.clearFaults();
    expectUntouched(stream, HEAD, LISTS);
    expect([recorded(stream), stream.filterState.get("mcp_decision")]).toEqual([{}, "allow"]);
  }
});
