// The record of an exchange (schema/audit-record.md), written when it ends. What is known of the request has been noted before (facts.ts).

import { Chain, DIGEST_DIGITS, extendChain, ID_DIGITS, idAt, previousAt, startChain } from "../audit/chain";
import { writeAscii, writeCount, writeName, writeText, writeTruth, writeWord } from "../audit/member";
import { writeTime } from "../audit/time";
import { now } from "../host/clock";
import { landedAt, landedBytes } from "../host/landing";
import { addSegment, beginPath, fetchProperty, integerProperty, setFilterState } from "../host/property";
import { METHOD_BYTES_MAX, RECORD_BYTES_MAX, RECORD_TEXT_MAX } from "../limits";
import { Method, methodOf } from "../mcp/method";
import { Literal, literalBytes } from "../memory/bytes";
import {
  allocateWriter,
  clear,
  Writer,
  writeByte,
  writeBytes,
  writeHex,
  writeLiteral,
  writeNumber,
} from "../memory/writer";
import { Mode } from "../policy/policy";
import { infoOf, Reason } from "../policy/reason";
import { Truth } from "../rewrite/rewriter";
import { Count, count, Decision, decisionName } from "./counters";
import { Exchange, methodAt } from "./exchange";

const record: Writer = allocateWriter(RECORD_BYTES_MAX);

/** Writes the record of `exchange`, which has ended, as filter state. Without random numbers there is no chain, and no record. */
export function writeRecord(exchange: Exchange): void {
  const chain = exchange.guard.chain;
  if (!startChain(chain)) {
    count(Count.LostRecords, 1);
    return;
  }
  const endedAt = now();
  clear(record);
  writeChain(exchange, chain, endedAt);
  writeDecision(exchange);
  writeBytes(record, exchange.factsAt, exchange.factsBytes);
  writeCount(record, "http.request.body.size", exchange.requestSize);
  writeResponse(exchange);
  writeDurations(exchange, endedAt);
  if (!exchange.isAnswered) writeEnd();
  if (exchange.isCut || record.overflowed) writeTruth(record, "mcp_guard.truncated", true);
  writeByte(record, 0x7d);
  extendChain(chain, record);
  // Refused, it is lost, and the next record tells.
  const isTaken = setFilterState("mcp_audit", record.start, record.length);
  count(isTaken ? Count.Records : Count.LostRecords, 1);
}

function writeChain(exchange: Exchange, chain: Chain, endedAt: u64): void {
  writeLiteral(record, '{"mcp_guard.audit.version":1');
  writeName(record, "time");
  writeByte(record, 0x22);
  writeTime(record, exchange.startedAt != 0 ? exchange.startedAt : endedAt);
  writeByte(record, 0x22);
  writeName(record, "event.id");
  writeByte(record, 0x22);
  writeBytes(record, idAt(chain), ID_DIGITS);
  writeByte(record, 0x2e);
  writeNumber(record, exchange.number);
  writeByte(record, 0x22);
  writeAscii(record, "mcp_guard.chain.id", idAt(chain), ID_DIGITS);
  writeCount(record, "mcp_guard.chain.sequence", ++chain.sequence);
  writeAscii(record, "mcp_guard.chain.previous", previousAt(chain), DIGEST_DIGITS);
}

function writeDecision(exchange: Exchange): void {
  const policy = exchange.guard.policy;
  if (policy !== null) {
    writeName(record, "mcp_guard.policy");
    writeByte(record, 0x22);
    writeHex(record, exchange.guard.digest, 16);
    writeByte(record, 0x22);
    writeWord(record, "mcp_guard.mode", policy.mode == Mode.Monitor ? "monitor" : "enforce");
  }
  writeWord(record, "mcp_guard.decision", decisionName(exchange.decision));
  if (exchange.reason != Reason.None) writeWord(record, "mcp_guard.reason", infoOf(exchange.reason).name);
  const rule = ruleOf(exchange);
  if (literalBytes(rule) != 0) writeWord(record, "mcp_guard.rule", rule);
}

/** The configuration member that let the exchange pass, or that would. */
function ruleOf(exchange: Exchange): Literal {
  if (exchange.reason != Reason.None) return infoOf(exchange.reason).openedBy;
  if (exchange.decision == Decision.Unguarded) return "unguarded";
  if (exchange.decision == Decision.Outbound) return "direction";
  if (exchange.decision != Decision.Allow || exchange.methodBytes == 0) return "";
  switch (methodOf(methodAt(exchange), min(exchange.methodBytes, METHOD_BYTES_MAX))) {
    case Method.ToolsCall:
      return "tool_allowlist";
    case Method.PromptsGet:
      return "prompt_allowlist";
    case Method.Resource:
      return "resource_roots";
    case Method.Complete:
      return exchange.completesPrompt ? "prompt_allowlist" : "resource_roots";
    case Method.Task:
    case Method.Tasks:
      return "tasks";
    case Method.Other:
      return "method_allowlist";
    default:
      return "";
  }
}

function writeResponse(exchange: Exchange): void {
  // Of a response that was not read, the proxy knows the status.
  let status = u64(exchange.status);
  if (status == 0) status = integerProperty("response", "code", 0);
  if (status >= 100 && status < 1000) writeCount(record, "http.response.status_code", status);
  writeCount(record, "http.response.body.size", exchange.responseSize);
  if (exchange.hasErrorCode) {
    writeName(record, "rpc.response.status_code");
    writeByte(record, 0x22);
    writeSigned(exchange.errorCode);
    writeByte(record, 0x22);
  }
  writeErrorType(exchange);
  if (exchange.isError != Truth.Unsaid) {
    writeTruth(record, "mcp_guard.result.is_error", exchange.isError == Truth.Yes);
  }
  if (exchange.messages != 0) writeCount(record, "mcp_guard.response.messages", exchange.messages);
  if (exchange.listed != 0) writeCount(record, "mcp_guard.response.listed", exchange.listed);
  if (exchange.removed != 0) writeCount(record, "mcp_guard.response.removed", exchange.removed);
  if (exchange.hidden != 0) writeCount(record, "mcp_guard.response.hidden_characters", exchange.hidden);
}

function writeErrorType(exchange: Exchange): void {
  if (exchange.decision == Decision.Refuse) {
    writeWord(record, "error.type", infoOf(exchange.reason).name);
  } else if (exchange.isError == Truth.Yes) {
    writeWord(record, "error.type", "tool_error");
  } else if (exchange.hasErrorCode) {
    writeName(record, "error.type");
    writeByte(record, 0x22);
    writeSigned(exchange.errorCode);
    writeByte(record, 0x22);
  }
}

function writeSigned(value: i64): void {
  if (value < 0) writeByte(record, 0x2d);
  writeNumber(record, u64(value < 0 ? -value : value));
}

function writeDurations(exchange: Exchange, endedAt: u64): void {
  writeCount(record, "mcp_guard.duration.guard_us", exchange.guardTime / 1000);
  if (exchange.decidedAt != 0 && exchange.answeredAt > exchange.decidedAt && exchange.decision != Decision.Refuse) {
    writeCount(record, "mcp_guard.duration.server_us", (exchange.answeredAt - exchange.decidedAt) / 1000);
  }
  const isForward = exchange.startedAt != 0 && endedAt > exchange.startedAt;
  writeCount(record, "mcp_guard.duration.total_us", isForward ? (endedAt - exchange.startedAt) / 1000 : 0);
}

/** The exchange ended before its response did: how, in the proxy's words. */
function writeEnd(): void {
  beginPath("response");
  addSegment("code_details");
  if (fetchProperty() && landedBytes() != 0) {
    writeText(record, "mcp_guard.ended", landedAt(), landedBytes(), RECORD_TEXT_MAX);
  } else {
    writeWord(record, "mcp_guard.ended", "unknown");
  }
}
