// What the module keeps for a stream, and a worker's VM at all. Method: the memory doubles when it is full, so from one doubling to the next as
// many bytes are used as there were before; what a stream takes is that by the number of streams.
import { type HttpStream, type Plugin, Vm } from "../../src/host/index.ts";

const MEMORY_MAX = 64 << 20;
const BODY = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}';
const EVENT = 'data: {"jsonrpc":"2.0","id":1,"result":{}}\n\n';

/** Bytes of the module's memory. */
export interface Memory {
  /** Of a VM with one guard that has seen no stream. */
  readonly fresh: number;
  /** What each stream takes that is in such a state, by the words for it. */
  readonly streams: Readonly<Record<string, number>>;
}

const request = (plugin: Plugin, method: string): HttpStream => {
  const stream = plugin.openStream();
  stream.requestHeaders(
    {
      ":method": method,
      ":path": "/mcp",
      ":scheme": "http",
      ":authority": "server",
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
    },
    method === "GET",
  );
  if (method === "GET") return stream;
  stream.requestBody(BODY, false);
  stream.requestEnd();
  return stream;
};

const answer = (stream: HttpStream, type: string, body: string): void => {
  stream.responseHeaders({ ":status": "200", "content-type": type }, false);
  stream.responseBody(body, false);
};

const STREAMS: Readonly<Record<string, (plugin: Plugin) => void>> = {
  "waits for its response": (plugin) => void request(plugin, "POST"),
  "is an event stream between two events": (plugin) => answer(request(plugin, "POST"), "text/event-stream", EVENT),
  "is an event stream that a GET has opened": (plugin) => answer(request(plugin, "GET"), "text/event-stream", EVENT),
  "is in the middle of a JSON text": (plugin) =>
    answer(request(plugin, "POST"), "application/json", '{"jsonrpc":"2.0"'),
};

/** Measures the module with the default limits, in the Node host: what it asks for does not depend on the host. */
export function measureMemory(module: Uint8Array): Memory {
  const fresh = start(module).vm.memoryBytes();
  const streams = Object.fromEntries(
    Object.entries(STREAMS).map(([name, open]) => [name, bytesOf(start(module), open)]),
  );
  return { fresh, streams };
}

/** Starts a VM with one guard. */
export function start(
  module: Uint8Array,
  policy = '{"tool_allowlist":["safe"]}',
  clusters: readonly string[] = [],
): { vm: Vm; plugin: Plugin } {
  const vm = Vm.load(module, { clusters });
  const plugin = vm.startPlugin(policy);
  plugin.tick();
  return { vm, plugin };
}

/** Bytes that the module takes for each stream that `open` opens, which is called again and again. */
export function bytesOf({ vm, plugin }: { vm: Vm; plugin: Plugin }, open: (plugin: Plugin) => void): number {
  let [size, since, found] = [vm.memoryBytes(), 0, 0];
  for (let count = 1; size < MEMORY_MAX; count++) {
    open(plugin);
    vm.logs.length = 0;
    if (vm.memoryBytes() === size) continue;
    found = size / 2 / (count - since);
    since = count;
    size = vm.memoryBytes();
  }
  return found;
}
