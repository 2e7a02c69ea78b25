// Many streams that end at once. Goal: no callback of a root context ends more of them than the proxy's stack has room for (stream/endings.ts), none is forgotten, and the
// ticks that come for the others count for no time. Calls that wait for a person: approval-held.test.ts.

import { expect, test } from "vitest";
import type { HttpStream } from "../../src/host/index.ts";
import { type Guard, open, send, startGuard, toolCall } from "./guard.ts";

const COUNT = 70;
const OTLP = { cluster: "collector", authority: "otel:4318", messages: "none" };
const isOver = (stream: HttpStream): boolean => stream.localReply !== undefined || stream.upstream.ended;

/** How many of the streams are over after each step, until all are; `first` is the first step, ticks are the others. */
function steps({ plugin }: Guard, streams: readonly HttpStream[], first: () => void): number[] {
  const over: number[] = [];
  for (let step = 0; step < 50 && over.at(-1) !== streams.length; step++) {
    if (step === 0) first();
    else plugin.tick();
    over.push(streams.filter(isOver).length);
  }
  return over.filter((count) => count > 0);
}

test("requests that have made no progress", () => {
  const guard = startGuard({ tool_allowlist: ["safe"], limits: { stall_ms: 1000 } });
  const streams = Array.from({ length: COUNT }, () => open(guard.plugin));
  expect(steps(guard, streams, () => guard.plugin.tick())).toEqual([32, 64, 70]);
  expect(streams.every((stream) => stream.codeDetails === "mcp_guard.stalled")).toBe(true);
  expect(guard.plugin.tickPeriodMs).toBe(0);
});

test.each([
  ["has taken", 200, undefined],
  ["does not take", 500, "mcp_guard.audit_unavailable"],
])("calls whose records the collector %s", (_what, status, details) => {
  const audit = { otlp: OTLP, required: "all" };
  const guard = startGuard({ tool_allowlist: ["safe"], audit }, { clusters: ["collector"] });
  const streams = Array.from({ length: COUNT }, () => send(guard.plugin, { body: toolCall("safe") }));
  // Those that came while the first batch was under way are in the second one.
  const answer = (): void => {
    for (const http of guard.plugin.httpCalls) {
      http.answer({ status, headers: [["content-type", "application/json"]], body: "{}" });
    }
  };
  answer();
  const before = streams.filter(isOver).length;
  const over = [before, ...steps(guard, streams, answer)];
  for (const [index, count] of over.entries()) expect(count - (over[index - 1] ?? 0)).toBeLessThanOrEqual(32);
  expect(over.at(-1)).toBe(COUNT);
  expect(streams.every((stream) => stream.codeDetails === details)).toBe(true);
});

test("a tick that comes at once is no time: who has come late is not refused early", () => {
  const guard = startGuard({ tool_allowlist: ["safe"], limits: { stall_ms: 1000 } });
  const period = (): number => guard.plugin.tickPeriodMs;
  const streams = Array.from({ length: COUNT }, () => open(guard.plugin));
  const usual = period();
  guard.plugin.tick();
  const late = open(guard.plugin);
  while (!streams.some(isOver)) guard.plugin.tick();
  const hurried: number[] = [];
  while (period() !== usual) {
    hurried.push(period());
    guard.plugin.tick();
  }
  expect(hurried).toEqual([1, 1]);
  expect([streams.every(isOver), isOver(late)]).toEqual([true, false]);
  guard.plugin.tick();
  expect(isOver(late)).toBe(true);
});

test("a tick stays early while the host refuses another time for it, and is no time either", () => {
  const guard = startGuard({ tool_allowlist: ["safe"], limits: { stall_ms: 1000 } });
  const streams = Array.from({ length: 40 }, () => open(guard.plugin));
  while (!streams.some(isOver)) guard.plugin.tick();
  const late = open(guard.plugin);
  guard.vm.failAll("proxy_set_tick_period_milliseconds", 10);
  for (let tick = 0; tick < 20; tick++) guard.plugin.tick();
  expect([streams.every(isOver), isOver(late)]).toEqual([true, false]);
  guard.vm.clearFaults();
  while (guard.plugin.tickPeriodMs > 0) guard.plugin.tick();
  expect(late.codeDetails).toBe("mcp_guard.stalled");
});
