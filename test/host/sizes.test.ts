// What one stream takes of a VM's memory, as docs/operations.md says under "Sizing". Method: the memory doubles when it is full,
// so from one doubling to the next as many bytes are used as there were before; a size is that by the number of streams.

import { expect, test } from "vitest";
import { type Guard, JSON_HEADERS, send, startGuard } from "./guard.ts";

const LIST_REQUEST = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}';
const MEMORY_MAX = 64 << 20;
/** Of the numbers in the document, which are rounded. */
const TOLERANCE = 0.02;

const post = ({ plugin }: Guard) => send(plugin, { body: LIST_REQUEST, headers: JSON_HEADERS });
const answered = (stream: ReturnType<typeof post>, type: string, bytes: string): void => {
  stream.responseHeaders({ ":status": "200", "content-type": type }, false);
  stream.responseBody(bytes, false);
};
const EVENT = `data: {"jsonrpc":"2.0","id":1,"result":{}}\n\n`;

const STREAMS: readonly (readonly [name: string, bytes: number, open: (guard: Guard) => void])[] = [
  ["waits for its response", 565, (guard) => post(guard)],
  ["is an event stream between two events", 2850, (guard) => answered(post(guard), "text/event-stream", EVENT)],
  [
    "is an event stream that a GET has opened",
    4900,
    ({ plugin }) =>
      answered(
        send(plugin, { method: "GET", headers: [["accept", "text/event-stream"]], end: "headers" }),
        "text/event-stream",
        EVENT,
      ),
  ],
  ["is in the middle of a JSON text", 11_300, (guard) => answered(post(guard), "application/json", '{"jsonrpc":"2.0"')],
];

test.each(STREAMS)("a stream that %s takes %i bytes", (_name, bytes, open) => {
  const guard = startGuard({ tool_allowlist: ["safe"] });
  const { vm } = guard;
  let [size, since, found] = [vm.memoryBytes(), 0, 0];
  for (let count = 1; size < MEMORY_MAX; count++) {
    open(guard);
    vm.logs.length = 0;
    if (vm.memoryBytes() === size) continue;
    found = size / 2 / (count - since);
    since = count;
    size = vm.memoryBytes();
  }
  expect(Math.abs(found / bytes - 1)).toBeLessThan(TOLERANCE);
});

test("a request that is held takes 6,682 bytes of limits.in_flight_bytes", () => {
  const inFlight = 64 << 20;
  const { plugin } = startGuard({ tool_allowlist: ["safe"], limits: { in_flight_bytes: inFlight } });
  const body = "{";
  let held = 0;
  while (send(plugin, { body, end: "never", headers: JSON_HEADERS }).localReply === undefined) held++;
  expect(Math.floor(inFlight / (6682 + body.length))).toBe(held);
});
