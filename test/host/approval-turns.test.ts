// Calls one after the other, and callbacks that no proxy should bring. Goal: nothing of a call is left to the next one, nothing is kept of messages that nobody has to
// approve, and a call that waits is what it was.

import { describe, expect, test } from "vitest";
import { asked, bodyOf, call, claimed, ID, opened, polled, say, start, TOOL, tokenOf } from "./approval-calls.ts";
import { pieces, send, toolCall, verdict } from "./guard.ts";

describe("a call is asked about as if it were the first one", () => {
  test.each([
    ["one that was cut", { delivery: { body: bodyOf({}).slice(0, -3) } }],
    ["one that was no JSON behind its name", { delivery: { body: `${bodyOf({}).slice(0, -2)},}}` } }],
    ["one whose client would not open the link", { params: { inputResponses: { "guard.approval": {} } } }],
    ["one with a state that cannot be ours", { params: { requestState: "mg1." } }],
    ["one that was too large", { params: { arguments: { text: "x".repeat(300_000) } } }],
    ["one with a task", { params: { task: { ttl: 1 } } }],
    ["one of a client that can show links", { params: { _meta: { x: 1 }, inputResponses: {}, requestState: "s" } }],
  ])("after %s", (_what, before) => {
    const guard = start({}, { tasks: "allow" });
    const alone = call(guard);
    const { question } = asked(guard, "open");
    alone.clientGone();
    for (const http of guard.plugin.httpCalls) http.drop();
    call(guard, before).clientGone();
    for (const http of guard.plugin.httpCalls) http.drop();
    const stream = call(guard);
    expect(asked(guard, "open").question).toEqual(question);
    opened(guard);
    expect(verdict(stream)).toMatch(/^open/);
  });
});

test.each([
  ["of a tool that nobody has to approve", "tools/call", "safe"],
  ["of another method", "prompts/get", TOOL],
])("a call %s is not kept: it may be as large as without approvals", (_what, method, name) => {
  const params = { name, arguments: { text: "x".repeat(40_000) } };
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params });
  const guard = start({}, { prompt_allowlist: [TOOL], limits: { in_flight_bytes: 65_536 } });
  const stream = send(guard.plugin, {
    body,
    cuts: pieces(body.length, 1000),
    stream: { properties: tokenOf("alice") },
  });
  expect(stream.upstream.body().toString("utf8")).toBe(body);
  expect(verdict(send(guard.plugin, { body: toolCall("safe") }))).toMatch(/^open/);
});

test("a call that has waited for a person for long has its whole time to wait for its record", async () => {
  const otlp = { cluster: "collector", authority: "otel:4318", messages: "none" };
  const audit = { otlp, required: "all" };
  const guard = start({ hold_seconds: 300 }, { audit, limits: { stall_ms: 2000 } });
  const stream = call(guard);
  const open = opened(guard);
  for (let ticks = 0; ticks < 60; ticks++) {
    guard.plugin.tick();
    for (const http of guard.plugin.httpCalls) say(http, { [ID]: "pending" });
  }
  polled(guard, "approved");
  await claimed(guard, open);
  guard.plugin.tick();
  guard.plugin.tick();
  expect(verdict(stream)).toMatch(/^open/);
  say(guard.plugin.httpCalls[0]!, "{}");
  expect(stream.upstream.body().toString("utf8")).toBe(bodyOf({}));
});
