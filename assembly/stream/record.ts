// What is left of an exchange when it ends: counters, and filter state for the access log. Envoy runs this callback before
// its access loggers, so a format like %FILTER_STATE(wasm.mcp_decision:PLAIN)% sees it.

import { setFilterState } from "../host/property";
import { NAME_BYTES_MAX } from "../limits";
import { Literal } from "../memory/bytes";
import { allocateWriter, clear, Writer, writeEscaped, writeLiteral, writeNumber } from "../memory/writer";
import { infoOf, Reason } from "../policy/reason";
import { writeRecord } from "./audit-line";
import { Count, count, countExchange, Decision, decisionName } from "./counters";
import { Exchange, methodAt, nameAt } from "./exchange";
import { leavesRecord } from "./facts";
import { settle } from "./request";
import { endResponse } from "./response";
import { countTool } from "./tool-counters";

/** Every byte of a name can take six characters when it is escaped. */
const value: Writer = allocateWriter(NAME_BYTES_MAX * 6);

/** `proxy_on_log`. A host that refuses filter state is told nothing: the exchange is over. */
export function recordExchange(exchange: Exchange): void {
  settle(exchange);
  endResponse(exchange);
  if (exchange.reason == Reason.None && exchange.responseFault != Reason.None) {
    exchange.reason = exchange.responseFault;
    exchange.decision = Decision.WouldRefuse;
  }
  count(Count.Removed, exchange.removed);
  count(Count.Listed, exchange.listed);
  count(Count.Hidden, exchange.hidden);
  count(Count.RequestBytes, exchange.requestSize);
  count(Count.ResponseBytes, exchange.responseSize);
  countExchange(exchange.decision, exchange.reason, exchange.guardTime / 1000);
  countTool(exchange);
  setText("mcp_decision", decisionName(exchange.decision));
  if (exchange.reason != Reason.None) setText("mcp_reason", infoOf(exchange.reason).name);
  if (exchange.methodBytes != 0) setEscaped("mcp_method", methodAt(exchange), exchange.methodBytes);
  if (exchange.nameBytes != 0) setEscaped("mcp_tool", nameAt(exchange), exchange.nameBytes);
  if (exchange.removed != 0) setCount("mcp_removed", exchange.removed);
  if (leavesRecord(exchange.guard.policy)) writeRecord(exchange);
}

function setCount(name: Literal, count: u32): void {
  clear(value);
  writeNumber(value, count);
  setFilterState(name, value.start, value.length);
}

function setText(name: Literal, text: Literal): void {
  clear(value);
  writeLiteral(value, text);
  setFilterState(name, value.start, value.length);
}

/** A text of the network, so that a text access log keeps its lines and columns. */
function setEscaped(name: Literal, address: usize, bytes: u32): void {
  clear(value);
  writeEscaped(value, address, bytes, NAME_BYTES_MAX);
  setFilterState(name, value.start, value.length);
}
