// The entry points: every callback of the Proxy-Wasm ABI 0.2.1 that the filter takes, each one call into stream/. An
// exchange that has no record (too many streams) is refused at its headers and passes nothing.

// For the compiler, which is told to call it (asconfig.json, `use`).
import "./host/abort";

import { Action } from "./host/abi";
import { allocateForHost } from "./host/landing";
import { onApprovalAnswer } from "./stream/approval-turns";
import { isCollectorAnswer, onCollectorAnswer } from "./stream/collector";
import { configure, startVm } from "./stream/configure";
import { beginEndings, endEndings } from "./stream/endings";
import { exchangeOf } from "./stream/exchange";
import { guardOf } from "./stream/guard";
import { createContext, deleteContext } from "./stream/lifecycle";
import { recordExchange } from "./stream/record";
import { refuseWithoutRecord } from "./stream/refuse";
import {
  timedRequestBody,
  timedRequestHeaders,
  timedRequestTrailers,
  timedResponseBody,
  timedResponseHeaders,
  timedResponseTrailers,
} from "./stream/timed";
import { isTokenAnswer, onTokenAnswer } from "./stream/token-turns";
import { watch } from "./stream/watchdog";

/** Says which ABI this is; the host looks for the name and never calls it. */
export function proxy_abi_version_0_2_1(): void {}

export function proxy_on_memory_allocate(bytes: u32): usize {
  return allocateForHost(bytes);
}

export function proxy_on_context_create(contextId: u32, parentId: u32): void {
  createContext(contextId, parentId);
}

export function proxy_on_vm_start(_rootId: u32, _bytes: u32): u32 {
  return u32(startVm());
}

export function proxy_on_configure(rootId: u32, bytes: u32): u32 {
  const guard = guardOf(rootId);
  return u32(guard !== null && configure(guard, bytes));
}

export function proxy_on_tick(rootId: u32): void {
  const guard = guardOf(rootId);
  if (guard !== null) watch(guard);
}

export function proxy_on_request_headers(contextId: u32, _count: u32, endOfStream: u32): u32 {
  const exchange = exchangeOf(contextId);
  if (exchange !== null) return timedRequestHeaders(exchange, endOfStream != 0);
  refuseWithoutRecord();
  return Action.HoldHeaders;
}

export function proxy_on_request_body(contextId: u32, bytes: u32, endOfStream: u32): u32 {
  const exchange = exchangeOf(contextId);
  return exchange !== null ? timedRequestBody(exchange, bytes, endOfStream != 0) : Action.HoldBody;
}

export function proxy_on_request_trailers(contextId: u32, _count: u32): u32 {
  const exchange = exchangeOf(contextId);
  return exchange !== null ? timedRequestTrailers(exchange) : Action.HoldHeaders;
}

export function proxy_on_response_headers(contextId: u32, _count: u32, endOfStream: u32): u32 {
  const exchange = exchangeOf(contextId);
  return exchange !== null ? timedResponseHeaders(exchange, endOfStream != 0) : Action.Continue;
}

export function proxy_on_response_body(contextId: u32, bytes: u32, endOfStream: u32): u32 {
  const exchange = exchangeOf(contextId);
  return exchange !== null ? timedResponseBody(exchange, bytes, endOfStream != 0) : Action.Continue;
}

export function proxy_on_response_trailers(contextId: u32, _count: u32): u32 {
  const exchange = exchangeOf(contextId);
  return exchange !== null ? timedResponseTrailers(exchange) : Action.Continue;
}

export function proxy_on_http_call_response(
  rootId: u32,
  token: u32,
  _headers: u32,
  bodyBytes: u32,
  _trailers: u32,
): void {
  const guard = guardOf(rootId);
  if (guard === null) return;
  beginEndings();
  if (isCollectorAnswer(guard, token)) onCollectorAnswer(guard, token, bodyBytes);
  else if (isTokenAnswer(guard, token)) onTokenAnswer(guard, token, bodyBytes);
  else onApprovalAnswer(guard, token, bodyBytes);
  endEndings(guard);
}

export function proxy_on_log(contextId: u32): void {
  const exchange = exchangeOf(contextId);
  if (exchange !== null) recordExchange(exchange);
}

export function proxy_on_delete(contextId: u32): void {
  deleteContext(contextId);
}
