// The watchdog. Goal: a stream that the proxy has stopped without a word gets an answer, a slow one that makes progress
// does not, and no timer runs when nothing waits.

import { describe, expect, test } from "vitest";
import type { HttpStream, Plugin } from "../../src/host/index.ts";
import { answer, open, post, send, startGuard, toolCall, verdict } from "./guard.ts";

const POLICY = { tool_allowlist: ["safe"], limits: { stall_ms: 1000 } };
const SAFE = toolCall("safe");

/** Ticks until the stream has ended, at most `most` of them. */
function ticksUntilEnd(plugin: Plugin, stream: HttpStream, most = 20): number {
  for (let ticks = 1; ticks <= most; ticks++) {
    plugin.tick();
    if (stream.finished) return ticks;
  }
  return Number.POSITIVE_INFINITY;
}

/** A quarter of `stall_ms` each; the tick that comes first does not count, because its period may have just begun. */
const TICKS = 5;

test("headers that are held without the flag are answered after stall_ms", () => {
  const { plugin } = startGuard({ ...POLICY, request_headers: "hold" });
  const stream = send(plugin, { body: SAFE, stream: { headersStop: false } });
  expect([plugin.tickPeriodMs, stream.finished, stream.upstream.headers]).toEqual([250, false, undefined]);
  expect(ticksUntilEnd(plugin, stream)).toBe(TICKS);
  expect(verdict(stream)).toBe("refuse headers_mode 503");
  expect(stream.upstream.headers).toBeUndefined();
});

test.each([
  ["before its first byte, headers released", "release", false],
  ["after some bytes, headers released", "release", true],
  ["after some bytes, headers held", "hold", true],
] as const)("a body that stops %s is answered after stall_ms", (_name, request_headers, hasBytes) => {
  const { plugin } = startGuard({ ...POLICY, request_headers });
  const stream = open(plugin, { stream: { headersStop: request_headers === "hold" } });
  if (hasBytes) stream.requestBody(SAFE.slice(0, -1), false);
  expect(ticksUntilEnd(plugin, stream)).toBe(TICKS);
  expect(verdict(stream)).toBe("refuse stalled 408");
});

test("a body over the proxy's own limit is answered after stall_ms", () => {
  for (const request_headers of ["release", "hold"]) {
    for (const protocol of ["h1", "h2"] as const) {
      const { plugin } = startGuard({ ...POLICY, request_headers });
      const headersStop = request_headers === "hold";
      const stream = open(plugin, { stream: { headersStop, protocol, requestBufferLimit: 65_536 } });
      const body = toolCall("safe").padEnd(300_000);
      for (let at = 0; at < body.length; at += 60_000) stream.requestBody(body.slice(at, at + 60_000), false);
      stream.requestEnd();
      expect([stream.stalled, stream.finished]).toEqual([true, false]);
      expect(ticksUntilEnd(plugin, stream)).toBe(TICKS);
      expect(verdict(stream)).toBe("refuse stalled 408");
    }
  }
});

test("progress puts it off", () => {
  const { plugin } = startGuard(POLICY);
  const stream = open(plugin);
  for (const byte of SAFE) {
    for (let tick = 1; tick < TICKS; tick++) plugin.tick();
    stream.requestBody(byte, false);
  }
  stream.requestEnd();
  answer(stream);
  expect(verdict(stream, SAFE)).toBe("allow");
});

test("an empty body callback is progress too: the proxy has not stopped the stream", () => {
  const { plugin } = startGuard(POLICY);
  const stream = open(plugin);
  for (let round = 0; round < 10; round++) {
    for (let tick = 1; tick < TICKS; tick++) plugin.tick();
    stream.requestBody("", false);
  }
  expect(stream.finished).toBe(false);
  expect(ticksUntilEnd(plugin, stream)).toBe(TICKS);
});

test("each stream has its own time", () => {
  const { plugin } = startGuard(POLICY);
  const early = open(plugin);
  plugin.tick();
  plugin.tick();
  const late = open(plugin);
  const busy = open(plugin);
  for (let tick = 3; tick <= TICKS; tick++) {
    busy.requestBody(" ", false);
    plugin.tick();
  }
  expect([early.finished, late.finished, busy.finished]).toEqual([true, false, false]);
  plugin.tick();
  plugin.tick();
  expect([late.finished, busy.finished]).toEqual([true, false]);
  busy.requestBody(SAFE, true);
  answer(busy);
  expect(verdict(busy, ` ${" ".repeat(2)}${SAFE}`)).toBe("allow");
});

test("a request that has passed may wait for its answer for as long as it takes", () => {
  for (const delivery of [{ body: SAFE }, { method: "GET", headers: [], end: "headers" }] as const) {
    const { plugin } = startGuard(POLICY);
    const stream = send(plugin, delivery);
    for (let tick = 0; tick < 20 && plugin.tickPeriodMs > 0; tick++) plugin.tick();
    expect([stream.upstream.ended, stream.finished, plugin.tickPeriodMs]).toEqual([true, false, 0]);
    answer(stream);
    expect(stream.localReply).toBeUndefined();
  }
});

test("many streams at once are all answered", () => {
  const { plugin, vm } = startGuard(POLICY);
  const streams = Array.from({ length: 500 }, () => open(plugin));
  for (const [index, stream] of streams.entries()) if (index % 3 === 0) stream.clientGone();
  for (let tick = 1; tick <= TICKS; tick++) plugin.tick();
  // A callback ends a few of them, because their replies run one inside the other; a tick that comes at once ends the next ones.
  const finished = () => streams.filter((stream) => stream.finished).length;
  expect(finished()).toBe(167 + 32);
  expect(plugin.tickPeriodMs).toBe(1);
  for (let tick = 0; tick < 10; tick++) plugin.tick();
  expect(finished()).toBe(500);
  expect(vm.metrics.value("mcp_guard_reason_stalled")).toBe(333n);
  expect(plugin.tickPeriodMs).toBe(0);
});

describe("the timer", () => {
  test("runs only while something waits", () => {
    const { plugin } = startGuard(POLICY);
    expect(plugin.tickPeriodMs).toBe(0);
    expect(post(plugin, { method: "GET", headers: [], end: "headers" })).toBe("pass");
    expect(post(plugin, { method: "PUT", headers: [], end: "headers" })).toBe("refuse http_method 405");
    expect(plugin.tickPeriodMs).toBe(0);
    expect(post(plugin, { body: SAFE })).toBe("allow");
    expect(plugin.tickPeriodMs).toBe(250);
    plugin.tick();
    expect(plugin.tickPeriodMs).toBe(0);
    const stream = open(plugin);
    expect(plugin.tickPeriodMs).toBe(250);
    plugin.tick();
    expect(plugin.tickPeriodMs).toBe(250);
    stream.clientGone();
    plugin.tick();
    expect(plugin.tickPeriodMs).toBe(0);
  });

  test("is started once for many streams", () => {
    const { vm, plugin } = startGuard(POLICY);
    const before = vm.calls.proxy_set_tick_period_milliseconds ?? 0;
    for (let index = 0; index < 100; index++) post(plugin, { body: SAFE });
    expect(vm.calls.proxy_set_tick_period_milliseconds).toBe(before + 1);
  });

  test.each([
    [100, 25],
    [10_000, 2500],
    [600_000, 150_000],
  ])("stall_ms %i has a period of %i ms", (stall_ms, period) => {
    const { plugin } = startGuard({ ...POLICY, limits: { stall_ms } });
    open(plugin);
    expect(plugin.tickPeriodMs).toBe(period);
  });

  test("goes on when it cannot be stopped, and stops later", () => {
    const { vm, plugin } = startGuard(POLICY);
    post(plugin, { body: SAFE });
    vm.failNext("proxy_set_tick_period_milliseconds", 10);
    plugin.tick();
    expect(plugin.tickPeriodMs).toBe(250);
    plugin.tick();
    expect(plugin.tickPeriodMs).toBe(0);
  });
});

describe("a refusal that the proxy does not send", () => {
  test.each([
    ["of the headers", "headers"],
    ["of the body", "separate"],
    ["of the body at its trailers", "trailers"],
  ] as const)("%s is tried again by the watchdog, and nothing passes meanwhile", (_name, end) => {
    for (const request_headers of ["release", "hold"]) {
      const { vm, plugin } = startGuard({ ...POLICY, request_headers });
      vm.failAll("proxy_send_local_response", 10);
      const stream = send(plugin, { body: toolCall("evil"), end, stream: { headersStop: request_headers === "hold" } });
      for (let tick = 0; tick < 20; tick++) plugin.tick();
      expect([stream.finished, stream.upstream.body().length, stream.upstream.ended]).toEqual([false, 0, false]);
      vm.clearFaults();
      plugin.tick();
      // The message is gone by now, and with it the id that could be answered.
      expect(verdict(stream)).toBe(end === "headers" ? "refuse body_missing 400" : "refuse tool_not_listed 403");
      expect(plugin.tickPeriodMs).toBe(0);
    }
  });

  test("more of the body does not pass either", () => {
    const { vm, plugin } = startGuard(POLICY);
    const stream = open(plugin);
    vm.failNext("proxy_send_local_response", 10);
    stream.requestBody("[]", false);
    stream.requestBody(SAFE, false);
    stream.requestTrailers([["a", "b"]]);
    expect([stream.finished, stream.upstream.body().length, stream.upstream.ended]).toEqual([false, 0, false]);
    expect(ticksUntilEnd(plugin, stream)).toBeLessThanOrEqual(TICKS);
    expect(verdict(stream)).toBe("refuse batch 400");
  });

  test("a stream that the proxy does not find is tried again", () => {
    const { vm, plugin } = startGuard(POLICY);
    const stream = open(plugin);
    vm.failAll("proxy_set_effective_context", 2);
    for (let tick = 0; tick < 20; tick++) plugin.tick();
    expect(stream.finished).toBe(false);
    vm.clearFaults();
    plugin.tick();
    expect(verdict(stream)).toBe("refuse stalled 408");
  });

  test("without a timer the next request starts it", () => {
    const { vm, plugin } = startGuard(POLICY);
    vm.failNext("proxy_set_tick_period_milliseconds", 10);
    vm.failNext("proxy_send_local_response", 10);
    const stream = send(plugin, { body: SAFE });
    vm.clearFaults();
    expect([stream.finished, stream.upstream.headers]).toEqual([false, undefined]);
    expect(post(plugin, { body: SAFE })).toBe("allow");
    expect(ticksUntilEnd(plugin, stream)).toBeLessThanOrEqual(TICKS);
    expect(verdict(stream)).toBe("refuse internal 500");
  });
});
