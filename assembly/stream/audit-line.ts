// The record of an exchange (schema/audit-record.md), written when it ends, and those of its messages, written for the collector as they come.
// What is known of the request has been noted before (facts.ts).

import { Chain, DIGEST_DIGITS, extendChain, ID_DIGITS, idAt, previousAt, startChain } from "../audit/chain";
import { writeAscii, writeCount, writeId, writeName, writeText, writeTruth, writeWord } from "../audit/member";
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
import { AuditLine, Mode } from "../policy/policy";
import { infoOf, Reason } from "../policy/reason";
import { bodyCharactersOf } from "../policy/record-room";
import { Rewriter, Truth } from "../rewrite/rewriter";
import { Count, count, Decision, decisionName } from "./counters";
import { Exchange, methodAt, TokenOutcome } from "./exchange";
import { exportRecord, exportsMessages } from "./export";

const record: Writer = allocateWriter(RECORD_BYTES_MAX);

/**
 * Writes the record of `exchange`, which has ended, and hands it to the access log and to the collector. Without random numbers there is no
 * chain, and no record.
 */
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
  writeToken(exchange);
  writeDurations(exchange, endedAt);
  if (!exchange.isAnswered) writeEnd();
  endRecord(exchange);
  extendChain(chain, record);
  const policy = exchange.guard.policy;
  if (policy === null || policy.auditLine == AuditLine.Json) {
    // Refused, it is lost, and the next record tells.
    const isTaken = setFilterState("mcp_audit", record.start, record.length);
    count(isTaken ? Count.Records : Count.LostRecords, 1);
  }
  exportRecord(exchange, record, "mcp_guard.exchange", endedAt);
}

/** Hands the record of the client's message to the collector, if it shall have those of messages. */
export function exportMessage(exchange: Exchange): void {
  if (exportsMessages(exchange.guard)) exportRequest(exchange);
}

/** Hands the record of the client's message to the collector. False when it has no room. */
export function exportRequest(exchange: Exchange): bool {
  if (!startChain(exchange.guard.chain)) return false;
  const at = now();
  beginMessage(exchange, at, "client");
  writeDecision(exchange);
  writeBytes(record, exchange.factsAt, exchange.factsBytes);
  writeCount(record, "http.request.body.size", exchange.requestSize);
  writeToken(exchange);
  endRecord(exchange);
  return exportRecord(exchange, record, "mcp_guard.message", at);
}

/**
 * Hands the record of a message of the server to the collector, if it shall have those of messages: of the text that `rewriter` has read, with
 * `text` of it, if the record shows some.
 */
export function exportResponse(exchange: Exchange, rewriter: Rewriter, text: Writer | null): void {
  if (!exportsMessages(exchange.guard) || !startChain(exchange.guard.chain)) return;
  const at = now();
  beginMessage(exchange, at, "server");
  if (rewriter.idBytes != 0) writeId(record, "jsonrpc.request.id", rewriter.idAt, rewriter.idBytes, RECORD_TEXT_MAX);
  if (rewriter.hasErrorCode) writeErrorCode("rpc.response.status_code", rewriter.errorCode);
  if (rewriter.isError != Truth.Unsaid) {
    writeTruth(record, "mcp_guard.result.is_error", rewriter.isError == Truth.Yes);
  }
  writeCount(record, "mcp_guard.response.messages", rewriter.messages);
  if (rewriter.listed != 0) writeCount(record, "mcp_guard.response.listed", rewriter.listed);
  if (rewriter.removed != 0) writeCount(record, "mcp_guard.response.removed", rewriter.removed);
  if (rewriter.hidden != 0) writeCount(record, "mcp_guard.response.hidden_characters", rewriter.hidden);
  if (text !== null) {
    writeText(record, "gen_ai.tool.call.result", text.start, text.length, bodyCharactersOf(exchange.guard.policy));
    if (text.overflowed) record.overflowed = true;
  }
  endRecord(exchange);
  exportRecord(exchange, record, "mcp_guard.message", at);
}

function beginMessage(exchange: Exchange, at: u64, direction: Literal): void {
  clear(record);
  writeLiteral(record, '{"mcp_guard.message.version":1');
  writeName(record, "time");
  writeByte(record, 0x22);
  writeTime(record, at);
  writeByte(record, 0x22);
  writeEventId(exchange);
  writeCount(record, "mcp_guard.message.number", ++exchange.records);
  writeWord(record, "mcp_guard.message.direction", direction);
}

function endRecord(exchange: Exchange): void {
  if (exchange.isCut || record.overflowed) writeTruth(record, "mcp_guard.truncated", true);
  writeByte(record, 0x7d);
}

function writeEventId(exchange: Exchange): void {
  writeName(record, "event.id");
  writeByte(record, 0x22);
  writeBytes(record, idAt(exchange.guard.chain), ID_DIGITS);
  writeByte(record, 0x2e);
  writeNumber(record, exchange.number);
  writeByte(record, 0x22);
}

function writeChain(exchange: Exchange, chain: Chain, endedAt: u64): void {
  writeLiteral(record, '{"mcp_guard.audit.version":1');
  writeName(record, "time");
  writeByte(record, 0x22);
  writeTime(record, exchange.startedAt != 0 ? exchange.startedAt : endedAt);
  writeByte(record, 0x22);
  writeEventId(exchange);
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
  if (exchange.hasErrorCode) writeErrorCode("rpc.response.status_code", exchange.errorCode);
  writeErrorType(exchange);
  if (exchange.isError != Truth.Unsaid) {
    writeTruth(record, "mcp_guard.result.is_error", exchange.isError == Truth.Yes);
  }
  if (exchange.messages != 0) writeCount(record, "mcp_guard.response.messages", exchange.messages);
  if (exchange.listed != 0) writeCount(record, "mcp_guard.response.listed", exchange.listed);
  if (exchange.removed != 0) writeCount(record, "mcp_guard.response.removed", exchange.removed);
  if (exchange.hidden != 0) writeCount(record, "mcp_guard.response.hidden_characters", exchange.hidden);
}

/** Not among the facts of the request: under `release` it is known before the message is, under `hold` behind it. */
function writeToken(exchange: Exchange): void {
  const outcome = outcomeName(exchange.tokenOutcome);
  if (literalBytes(outcome) != 0) writeWord(record, "mcp_guard.token.exchange", outcome);
}

function outcomeName(outcome: TokenOutcome): Literal {
  switch (outcome) {
    case TokenOutcome.Cached:
      return "cached";
    case TokenOutcome.Minted:
      return "minted";
    case TokenOutcome.Refused:
      return "refused";
    case TokenOutcome.Failed:
      return "failed";
    default:
      return "";
  }
}

function writeErrorType(exchange: Exchange): void {
  if (exchange.decision == Decision.Refuse) {
    writeWord(record, "error.type", infoOf(exchange.reason).name);
  } else if (exchange.isError == Truth.Yes) {
    writeWord(record, "error.type", "tool_error");
  } else if (exchange.hasErrorCode) {
    writeErrorCode("error.type", exchange.errorCode);
  }
}

function writeErrorCode(name: Literal, code: i64): void {
  writeName(record, name);
  writeByte(record, 0x22);
  if (code < 0) writeByte(record, 0x2d);
  writeNumber(record, u64(code < 0 ? -code : code));
  writeByte(record, 0x22);
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
