// The callbacks of a stream with the time that they take: what the guard adds to an exchange.

import { Action } from "../host/abi";
import { now } from "../host/clock";
import { Exchange, Stage } from "./exchange";
import { onRequestBody, onRequestHeaders, onRequestTrailers } from "./request";
import { onResponseBody, onResponseHeaders, onResponseTrailers } from "./response";

let enteredAt: u64 = 0;

/** `proxy_on_request_headers`. */
export function timedRequestHeaders(exchange: Exchange, endOfStream: bool): Action {
  enteredAt = now();
  exchange.startedAt = enteredAt;
  return leaveRequest(exchange, onRequestHeaders(exchange, endOfStream));
}

/** `proxy_on_request_body`. */
export function timedRequestBody(exchange: Exchange, bytes: u32, endOfStream: bool): Action {
  enteredAt = now();
  exchange.requestSize += bytes;
  return leaveRequest(exchange, onRequestBody(exchange, bytes, endOfStream));
}

/** `proxy_on_request_trailers`. */
export function timedRequestTrailers(exchange: Exchange): Action {
  enteredAt = now();
  return leaveRequest(exchange, onRequestTrailers(exchange));
}

/** `proxy_on_response_headers`. */
export function timedResponseHeaders(exchange: Exchange, endOfStream: bool): Action {
  enteredAt = now();
  exchange.answeredAt = enteredAt;
  if (endOfStream) exchange.isAnswered = true;
  const action = onResponseHeaders(exchange, endOfStream);
  leave(exchange);
  return action;
}

/** `proxy_on_response_body`. */
export function timedResponseBody(exchange: Exchange, bytes: u32, endOfStream: bool): Action {
  enteredAt = now();
  exchange.responseSize += bytes;
  if (endOfStream) exchange.isAnswered = true;
  const action = onResponseBody(exchange, bytes, endOfStream);
  leave(exchange);
  return action;
}

/** `proxy_on_response_trailers`. */
export function timedResponseTrailers(exchange: Exchange): Action {
  enteredAt = now();
  exchange.isAnswered = true;
  const action = onResponseTrailers(exchange);
  leave(exchange);
  return action;
}

/** Adds the time since the callback began, and gives the time. The clock is the wall's: it can be set back. */
function leave(exchange: Exchange): u64 {
  const at = now();
  if (at > enteredAt) exchange.guardTime += at - enteredAt;
  return at;
}

function leaveRequest(exchange: Exchange, action: Action): Action {
  const at = leave(exchange);
  if (exchange.decidedAt == 0 && (exchange.stage == Stage.Passed || exchange.stage == Stage.Refused)) {
    exchange.decidedAt = at;
  }
  return action;
}
