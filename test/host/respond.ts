// A request with its response, as a suite of response bodies sends them.

import type { HttpStream, StreamOptions } from "../../src/host/index.ts";
import type { Exchange } from "../oracle/response.ts";
import type { ResponseVector } from "../vectors/responses-vector.ts";
import { type Delivery, type Guard, send } from "./guard.ts";

export const LIST_REQUEST = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}';
const PROMPT_REQUEST =
  '{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"greet"},"argument":{"name":"a","value":""}}}';

/** The request that a response answers. */
export function request(exchange: Exchange, stream: StreamOptions = {}): Delivery {
  if (exchange.method === "GET")
    return { method: "GET", headers: [["accept", exchange.accept ?? "text/event-stream"]], end: "headers", stream };
  return { body: exchange.completesPrompt ? PROMPT_REQUEST : LIST_REQUEST, stream };
}

/** Sends the request, and the response in pieces; each piece is dropped once the stream has ended. `open`: the body goes on. */
export function respond(
  guard: Guard,
  { exchange, status, headers, body }: Pick<ResponseVector, "exchange" | "status" | "headers" | "body">,
  cuts: Iterable<number>,
  end: "merged" | "separate" | "trailers" | "open" = "separate",
): HttpStream {
  const stream = send(guard.plugin, request(exchange));
  if (stream.localReply !== undefined) throw new Error(`the request was refused: ${stream.codeDetails}`);
  stream.responseHeaders([[":status", String(status)], ...headers], false);
  let from = 0;
  for (const to of cuts) {
    stream.responseBody(body.subarray(from, to), false);
    from = to;
  }
  if (from < body.length || end === "merged") stream.responseBody(body.subarray(from), end === "merged");
  if (end === "separate") stream.responseBody("", true);
  if (end === "trailers") stream.responseTrailers([["x-checksum", "0"]]);
  guard.vm.logs.length = 0;
  return stream;
}
