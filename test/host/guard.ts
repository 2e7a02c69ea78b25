// The compiled filter in the Node host: the two builds, a guard that enforces a configuration, and one HTTP request through
// it with what the client, the server and the access log have seen.

import { readFileSync } from "node:fs";
import {
  type HeaderPair,
  type HttpStream,
  type Plugin,
  type StreamOptions,
  Vm,
  type VmOptions,
} from "../../src/host/index.ts";

const load = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`../../build/${name}`, import.meta.url)));

/** The module as it is shipped, and the one with the compiler's own bounds checks and assertions. */
export const BUILDS = { release: load("plugin.wasm"), debug: load("plugin.debug.wasm") } as const;
export type Build = keyof typeof BUILDS;

export interface Guard {
  readonly vm: Vm;
  readonly plugin: Plugin;
}

/** A fresh VM with one plugin of this configuration, which the test expects to be accepted. */
export function startGuard(configuration: object, options: VmOptions & { readonly build?: Build } = {}): Guard {
  const vm = Vm.load(BUILDS[options.build ?? "release"], options);
  return { vm, plugin: addPlugin(vm, configuration) };
}

/** One more plugin in the same VM, after its first tick: with that it counts itself, and has nothing more to wait for. */
export function addPlugin(vm: Vm, configuration: object): Plugin {
  const plugin = vm.startPlugin(JSON.stringify(configuration));
  if (!plugin.accepted) throw new Error(`refused: ${vm.logs.at(-1)?.message}`);
  plugin.tick();
  return plugin;
}

/** How a request travels. */
export interface Delivery {
  readonly method?: string;
  readonly path?: string;
  /** In addition to the pseudo-headers; default: the two of a well-behaved client. */
  readonly headers?: readonly HeaderPair[];
  readonly body?: Uint8Array | string;
  /** Ascending offsets before which the body is cut into callbacks. */
  readonly cuts?: Iterable<number>;
  /**
   * What says that the request is over: a body callback without bytes (HTTP/1.1, mostly HTTP/2), one with the last bytes,
   * the trailers, or the headers themselves. `never`: the client has more to send.
   */
  readonly end?: "separate" | "merged" | "trailers" | "headers" | "never";
  readonly stream?: StreamOptions;
}

export const JSON_HEADERS: readonly HeaderPair[] = [
  ["content-type", "application/json"],
  ["accept", "application/json, text/event-stream"],
];

/** What a modern client sends with a message of this method; `name` is what `Mcp-Name` repeats. */
export function modernHeaders(method: string, name?: string): readonly HeaderPair[] {
  const named: readonly HeaderPair[] = name === undefined ? [] : [["mcp-name", name]];
  return [...JSON_HEADERS, ["mcp-protocol-version", "2026-07-28"], ["mcp-method", method], ...named];
}

/** What a modern message has in its `params`. */
export const MODERN_META = {
  "io.modelcontextprotocol/protocolVersion": "2026-07-28",
  "io.modelcontextprotocol/clientCapabilities": {},
} as const;

/** `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":<tool>}}` */
export function toolCall(tool: string): string {
  return JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: tool } });
}

/** Opens a stream and sends its headers. */
export function open(plugin: Plugin, delivery: Delivery = {}): HttpStream {
  const { method = "POST", path = "/mcp", headers = JSON_HEADERS, end = "separate" } = delivery;
  const stream = plugin.openStream(delivery.stream);
  const pseudo: HeaderPair[] = [
    [":method", method],
    [":path", path],
    [":scheme", "http"],
    [":authority", "server"],
  ];
  stream.requestHeaders([...pseudo, ...headers], end === "headers");
  return stream;
}

/** Sends a whole request; the server does not answer. */
export function send(plugin: Plugin, delivery: Delivery = {}): HttpStream {
  const { end = "separate" } = delivery;
  const stream = open(plugin, delivery);
  if (end === "headers") return stream;
  const body = typeof delivery.body === "string" ? Buffer.from(delivery.body) : (delivery.body ?? new Uint8Array());
  let from = 0;
  for (const to of delivery.cuts ?? []) {
    stream.requestBody(body.subarray(from, to), false);
    from = to;
  }
  if (from < body.length || end === "merged") stream.requestBody(body.subarray(from), end === "merged");
  if (end === "separate") stream.requestEnd();
  else if (end === "trailers") stream.requestTrailers([["x-checksum", "0"]]);
  return stream;
}

/** Answers as a server that has seen the whole request. */
export function answer(stream: HttpStream): void {
  stream.responseHeaders({ ":status": "200", "content-type": "application/json" }, false);
  stream.responseBody('{"jsonrpc":"2.0","id":1,"result":{}}', true);
}

/** Sends a whole request and lets the server answer one that reached it. */
export function exchange(plugin: Plugin, delivery: Delivery = {}): HttpStream {
  const stream = send(plugin, delivery);
  if (stream.upstream.ended) answer(stream);
  return stream;
}

/** The verdict on a whole request. */
export function post(plugin: Plugin, delivery: Delivery = {}): string {
  return verdict(exchange(plugin, delivery), delivery.body);
}

/** Every cut of a body of `bytes` bytes into two callbacks. */
export function everyCut(bytes: number): number[][] {
  return Array.from({ length: Math.max(bytes - 1, 0) }, (_, index) => [index + 1]);
}

/** Cuts that leave pieces of `size` bytes. */
export function* pieces(bytes: number, size: number): Generator<number> {
  for (let at = size; at < bytes; at += size) yield at;
}

/**
 * What became of a request, from every side: `allow` when the server has exactly the body and the client its answer;
 * `refuse <reason> <status>` when the server has nothing of the body, and the reply, the access log and the filter state
 * tell the same reason; anything else is told as it is, so that no expectation matches it.
 */
export function verdict(stream: HttpStream, sent: Uint8Array | string = ""): string {
  const { upstream, downstream, filterState } = stream;
  const body = upstream.body();
  const decision = filterState.get("mcp_decision");
  const seen = `server: ${upstream.headers === undefined ? "nothing" : `${body.length} bytes`}${upstream.ended ? ", ended" : ""}`;
  const logged = `log: ${decision} ${filterState.get("mcp_reason")}, details: ${stream.codeDetails}`;
  const unlike = `unlike any verdict: client: ${downstream.status}, ${seen}, ${logged}`;
  if (!stream.finished) return `open: client: ${downstream.status}, ${seen}`;

  if (stream.localReply === undefined) {
    const isWhole = upstream.ended && body.equals(typeof sent === "string" ? Buffer.from(sent) : sent);
    const isQuiet =
      downstream.status === 200 && !filterState.has("mcp_reason") && stream.codeDetails === "via_upstream";
    return isWhole && isQuiet && decision !== undefined && decision !== "refuse" ? decision : unlike;
  }
  const reason = stream.codeDetails?.replace(/^mcp_guard\./, "");
  if (body.length > 0 || upstream.ended || decision !== "refuse" || filterState.get("mcp_reason") !== reason)
    return unlike;
  if (reason === stream.codeDetails || !tells(stream, reason)) return unlike;
  return `refuse ${reason} ${downstream.status}`;
}

/** Whether the client has a JSON-RPC error with a code that MCP knows, two of them since 2026-07-28, and with this reason. */
function tells({ downstream, localReply }: HttpStream, reason: string | undefined): boolean {
  if (!downstream.ended || downstream.headers?.get("content-type") !== "application/json") return false;
  const reply = JSON.parse(Buffer.from(localReply?.body ?? []).toString("utf8"));
  const codes = [-32700, -32600, -32601, -32602, -32603, -32020, -32022];
  return reply.jsonrpc === "2.0" && codes.includes(reply.error?.code) && reply.error.data?.reason === reason;
}
