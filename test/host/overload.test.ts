// What many undecided requests may hold. Goal: over the bound a request gets an answer (503) instead of the proxy's memory,
// and when the others are gone everything is as before.

import { describe, expect, test } from "vitest";
import type { HttpStream, Plugin } from "../../src/host/index.ts";
import { answer, type Delivery, modernHeaders, open, post, startGuard, toolCall, verdict } from "./guard.ts";

const SAFE = toolCall("safe");

/**
 * Opens streams until one is refused, each with the beginning of a body if there is one; gives those that wait, and the
 * refused one.
 */
function fill(plugin: Plugin, begin = "", delivery: Delivery = {}): { waiting: HttpStream[]; refused: HttpStream } {
  const most = 10_000;
  const waiting: HttpStream[] = [];
  for (;;) {
    const stream = open(plugin, delivery);
    if (begin !== "" && !stream.finished) stream.requestBody(begin, false);
    if (stream.finished) return { waiting, refused: stream };
    waiting.push(stream);
    if (waiting.length > most) throw new Error("no stream is refused");
  }
}

/** How many bytes one request counts besides its body when it has brought `begin` of it, to within a few. */
function measured(begin = ""): number {
  const room = 16 << 20;
  const { plugin } = startGuard({ tool_allowlist: ["safe"], limits: { in_flight_bytes: room } });
  const { waiting } = fill(plugin, begin);
  for (const stream of waiting) stream.clientGone();
  return Math.ceil(room / waiting.length) - begin.length;
}

describe("in_flight_bytes", () => {
  const RECORD_BYTES = measured();
  /** With the table for the names that are open at the end of a call. */
  const READING_BYTES = measured(SAFE.slice(0, -1));
  const start = (bytes = 65_536) => startGuard({ tool_allowlist: ["safe"], limits: { in_flight_bytes: bytes } });

  test("bounds the records of requests without a byte", () => {
    const { plugin } = start();
    const { waiting, refused } = fill(plugin);
    expect(verdict(refused)).toBe("refuse overloaded 503");
    expect(waiting.length).toBe(Math.floor(65_536 / RECORD_BYTES));
    // What is counted is what is held: captures and a table for names, so kilobytes, but not many of them.
    expect(RECORD_BYTES).toBeGreaterThan(1024);
    expect(RECORD_BYTES).toBeLessThan(8192);
    for (const stream of waiting) stream.clientGone();
    expect(fill(plugin).waiting.length).toBe(waiting.length);
  });

  test.each([
    ["the client goes", (stream: HttpStream) => stream.clientGone()],
    ["the request is allowed", (stream: HttpStream) => stream.requestBody(SAFE, true)],
    ["the request is refused", (stream: HttpStream) => stream.requestBody("[", true)],
    ["the request is cut short", (stream: HttpStream) => stream.requestBody("{", true)],
    ["the server answers early", (stream: HttpStream) => stream.responseHeaders({ ":status": "401" }, true)],
  ])("recovers when %s", (_how, end) => {
    const { plugin } = start();
    const first = fill(plugin);
    for (let round = 0; round < 3; round++) {
      const { waiting, refused } = round === 0 ? first : fill(plugin);
      expect([waiting.length, verdict(refused)]).toEqual([first.waiting.length, "refuse overloaded 503"]);
      for (const stream of waiting) end(stream);
    }
    expect(post(plugin, { body: SAFE })).toBe("allow");
  });

  test("recovers when the watchdog ends them", () => {
    const { plugin } = start();
    const { waiting } = fill(plugin);
    while (plugin.tickPeriodMs > 0) plugin.tick();
    expect(waiting.every((stream) => stream.finished)).toBe(true);
    expect(fill(plugin).waiting.length).toBe(waiting.length);
  });

  test("counts the bytes of held bodies", () => {
    const { plugin } = start();
    const streams = Array.from({ length: 3 }, () => open(plugin));
    // Three parts fit beside four records, and four parts do not.
    const partBytes = Math.floor((65_536 - 4 * READING_BYTES) / 3.5);
    const part = `${SAFE.slice(0, -2)},"arguments":{"x":"`.padEnd(partBytes, "a");
    for (const stream of streams) {
      stream.requestBody(part, false);
      expect(stream.finished).toBe(false);
    }
    // The fourth does not fit, and is refused in the callback that shows it.
    const fourth = open(plugin);
    expect(fourth.finished).toBe(false);
    fourth.requestBody(part, false);
    expect(verdict(fourth)).toBe("refuse overloaded 503");
    streams[0]!.clientGone();
    const fifth = open(plugin);
    fifth.requestBody(part, false);
    expect(fifth.finished).toBe(false);
  });

  test("counts a name that a header repeats, before the first byte of the body", () => {
    const { plugin } = start();
    const nameBytes = 4000;
    const { waiting, refused } = fill(plugin, "", { headers: modernHeaders("tools/call", "n".repeat(nameBytes)) });
    expect(verdict(refused)).toBe("refuse overloaded 503");
    const readingBytes = measured("") + 1;
    expect(waiting.length).toBe(Math.floor(65_536 / (readingBytes + nameBytes)));
    for (const stream of waiting) stream.clientGone();
    expect(fill(plugin, "").waiting.length).toBe(Math.floor(65_536 / readingBytes));
  });

  test("counts what the duplicate check holds", () => {
    const { plugin } = start();
    const members = Array.from({ length: 1000 }, (_, index) => `"m${index}":0`).join(",");
    const part = `${SAFE.slice(0, -2)},"arguments":{${members}`;
    let waiting = 0;
    for (; waiting < 100; waiting++) {
      const stream = open(plugin);
      stream.requestBody(part, false);
      if (!stream.finished) continue;
      expect(verdict(stream)).toBe("refuse overloaded 503");
      break;
    }
    // A body of 10 KB with a table for 1,024 names, at twenty bytes a name.
    expect(waiting).toBeGreaterThanOrEqual(1);
    expect(waiting).toBeLessThanOrEqual(2);
  });

  test("a body alone may fill it", () => {
    const { plugin } = start();
    const most = 65_536 - READING_BYTES;
    expect(post(plugin, { body: SAFE.padEnd(most) })).toBe("allow");
    // The measured figure is exact to a few bytes.
    expect(post(plugin, { body: SAFE.padEnd(most + 16) })).toBe("refuse overloaded 503");
    expect(post(plugin, { body: SAFE.padEnd(most) })).toBe("allow");
  });

  test("a response that runs for days holds nothing of it", () => {
    const { plugin } = start();
    const running: HttpStream[] = [];
    for (let index = 0; index < 1000; index++) {
      const stream = open(plugin);
      stream.requestBody(SAFE, true);
      stream.responseHeaders({ ":status": "200", "content-type": "text/event-stream" }, false);
      running.push(stream);
    }
    expect(post(plugin, { body: SAFE })).toBe("allow");
    for (const stream of running) {
      stream.responseBody("data: {}\n\n", true);
      expect(verdict(stream, SAFE)).toBe("allow");
    }
  });
});

test("more streams than the module has records for are refused, and pass again when others end", () => {
  const { vm, plugin } = startGuard({ tool_allowlist: ["safe"] });
  const get = { method: "GET", headers: [], end: "headers" } as const;
  const passed = Array.from({ length: 65_536 }, () => open(plugin, get));
  expect(passed.every(({ upstream }) => upstream.ended)).toBe(true);
  for (const delivery of [get, {}]) {
    const refused = open(plugin, delivery);
    expect([refused.finished, refused.downstream.status, refused.codeDetails]).toEqual([
      true,
      503,
      "mcp_guard.overloaded",
    ]);
    expect(refused.upstream.headers).toBeUndefined();
  }
  answer(passed[30_000]!);
  expect(post(plugin, get)).toBe("pass");
  for (const stream of passed) if (!stream.finished) stream.clientGone();
  expect(post(plugin, { body: SAFE })).toBe("allow");
  expect([vm.failed, vm.contextCount()]).toEqual([false, 1]);
});

test("more configurations than a VM has room for are refused, and are taken again when others stop", () => {
  const { vm, plugin } = startGuard({ tool_allowlist: ["safe"] });
  const others = Array.from({ length: 4095 }, () => vm.startPlugin('{"tool_allowlist":[]}'));
  expect(others.every(({ accepted }) => accepted)).toBe(true);
  const refused = vm.startPlugin('{"tool_allowlist":[]}');
  expect(refused.accepted).toBe(false);
  refused.stop();
  expect(post(plugin, { body: SAFE })).toBe("allow");
  others[2000]!.stop();
  expect(vm.startPlugin('{"tool_allowlist":[]}').accepted).toBe(true);
  expect(post(plugin, { body: SAFE })).toBe("allow");
});
