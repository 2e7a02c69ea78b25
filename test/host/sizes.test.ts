// What one stream takes of a VM's memory, as docs/operations.md says under "Sizing"; the benchmark's report has the same.

import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { measureMemory } from "../../bench/envoy/memory.ts";
import { projectPath } from "../../src/project.ts";
import { JSON_HEADERS, send, startGuard } from "./guard.ts";

/** Of the numbers in the document, which are rounded. */
const TOLERANCE = 0.02;

const memory = measureMemory(readFileSync(projectPath("build", "plugin.wasm")));

test("a fresh VM takes 768 KiB", () => {
  expect(memory.fresh).toBe(768 << 10);
});

test.each([
  ["waits for its response", 852],
  ["is an event stream between two events", 3236],
  ["is an event stream that a GET has opened", 5126],
  ["is in the middle of a JSON text", 11_667],
])("a stream that %s takes %i bytes", (name, bytes) => {
  expect(Math.abs(memory.streams[name]! / bytes - 1)).toBeLessThan(TOLERANCE);
});

test("a request that is held takes 8,050 bytes of limits.in_flight_bytes", () => {
  const inFlight = 64 << 20;
  const { plugin } = startGuard({ tool_allowlist: ["safe"], limits: { in_flight_bytes: inFlight } });
  const body = "{";
  let held = 0;
  while (send(plugin, { body, end: "never", headers: JSON_HEADERS }).localReply === undefined) held++;
  expect(Math.floor(inFlight / (8050 + body.length))).toBe(held);
});
