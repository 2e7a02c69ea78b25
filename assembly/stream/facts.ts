// What the record of an exchange will say of its request: written as text as soon as it is known, because what it is taken from is gone long
// before the exchange ends.

import { writeCount, writeDigest, writeId, writeName, writeString, writeText, writeWord } from "../audit/member";
import { redacted } from "../audit/redact";
import { writeTrace } from "../audit/trace";
import {
  actorAt,
  actorBytes,
  actorCount,
  issuerAt,
  issuerBytes,
  principalAt,
  principalBytes,
  rejectedHeaders,
  Source,
  source,
  workloadAt,
  workloadBytes,
} from "../identity/principal";
import {
  NAME_BYTES_MAX,
  RECORD_BYTES_MAX,
  RECORD_REST,
  RECORD_TEXT_MAX,
  RECORD_URI_MAX,
  RECORDED_RULES_MAX,
} from "../limits";
import { NO_OFFSET } from "../mcp/envelope";
import { isModern, Kind, Message } from "../mcp/message";
import { equalsLiteral } from "../memory/bytes";
import { endSha256 } from "../memory/sha256";
import { allocateWriter, clear, Writer, writeByte, writeNumber } from "../memory/writer";
import { Findings, Subject, subjectDigestAt } from "../policy/findings";
import { Grant, nextRule } from "../policy/grant";
import { AuditBody, AuditLine, Policy } from "../policy/policy";
import { bodyCharactersOf, recordBytesOf } from "../policy/record-room";
import { writeNormal } from "../uri/normal";
import { Exchange, grantOf } from "./exchange";
import {
  methodTextAt,
  methodTextBytes,
  pathAt,
  pathBytes,
  requestIdAt,
  requestIdBytes,
  traceAt,
  traceBytes,
} from "./head";
import { Inspection } from "./inspection";
import { Rewriting } from "./rewriting";

const facts: Writer = allocateWriter(RECORD_BYTES_MAX);
const normalAt: usize = memory.data(RECORD_URI_MAX, 4);

/** Whether an exchange under this policy leaves a record; without a policy it does. */
export function leavesRecord(policy: Policy | null): bool {
  return policy === null || policy.auditLine == AuditLine.Json || policy.collector !== null;
}

/** Notes the head of the request, which has been read and is still there. */
export function noteHead(exchange: Exchange): void {
  clear(facts);
  writeText(facts, "http.request.method", methodTextAt, methodTextBytes, RECORD_TEXT_MAX);
  writeText(facts, "url.path", pathAt, plainPathBytes(), RECORD_TEXT_MAX);
  if (requestIdBytes != 0) writeText(facts, "http.request.id", requestIdAt, requestIdBytes, RECORD_TEXT_MAX);
  if (traceBytes != 0) writeTrace(facts, "trace_id", "span_id", traceAt, traceBytes);
  keep(exchange);
}

/** A query can hold what nobody may log. */
function plainPathBytes(): u32 {
  for (let i: u32 = 0; i < pathBytes; i++) {
    if (u32(load<u8>(pathAt + i)) == 0x3f) return i; // SAFETY: i < pathBytes.
  }
  return pathBytes;
}

/** Notes who asks (identity/principal.ts). */
export function noteIdentity(exchange: Exchange): void {
  clear(facts);
  if (source != Source.None) {
    writeText(facts, "user.id", principalAt, principalBytes, RECORD_TEXT_MAX);
    writeText(facts, "mcp_guard.user.issuer", issuerAt, issuerBytes, RECORD_TEXT_MAX);
    writeWord(
      facts,
      "mcp_guard.user.source",
      source == Source.Jwt ? "jwt" : source == Source.Header ? "header" : "peer",
    );
  }
  if (actorCount != 0) {
    writeName(facts, "mcp_guard.user.act");
    writeByte(facts, 0x5b);
    for (let i: u32 = 0; i < actorCount; i++) {
      if (i != 0) writeByte(facts, 0x2c);
      writeString(facts, actorAt(i), actorBytes(i), RECORD_TEXT_MAX);
    }
    writeByte(facts, 0x5d);
  }
  if (workloadBytes != 0) writeText(facts, "mcp_guard.workload", workloadAt, workloadBytes, RECORD_TEXT_MAX);
  const grant = grantOf(exchange);
  if (grant !== null) noteRules(grant);
  if (rejectedHeaders != 0) writeCount(facts, "mcp_guard.identity.headers_rejected", rejectedHeaders);
  keep(exchange);
}

/** Which rules count for the one who asks, by their places in the policy. */
function noteRules(grant: Grant): void {
  writeName(facts, "mcp_guard.rules");
  writeByte(facts, 0x5b);
  let index = nextRule(grant, 0);
  for (let i: u32 = 0; i < min(grant.count, RECORDED_RULES_MAX); i++) {
    if (i != 0) writeByte(facts, 0x2c);
    writeNumber(facts, index);
    index = nextRule(grant, index + 1);
  }
  writeByte(facts, 0x5d);
  if (grant.count > RECORDED_RULES_MAX) facts.overflowed = true;
}

/** Notes which approval the call waits for. */
export function noteApproval(exchange: Exchange, idAt: usize, idBytes: u32): void {
  if (!leavesRecord(exchange.guard.policy)) return;
  clear(facts);
  writeText(facts, "mcp_guard.approval.id", idAt, idBytes, RECORD_TEXT_MAX);
  keep(exchange);
}

/** Notes who has approved it. */
export function noteApprover(exchange: Exchange, approverAt: usize, approverBytes: u32): void {
  if (!leavesRecord(exchange.guard.policy)) return;
  clear(facts);
  writeText(facts, "mcp_guard.approval.approver", approverAt, approverBytes, RECORD_TEXT_MAX);
  keep(exchange);
}

/** Notes the message as far as it has been read. */
export function noteMessage(exchange: Exchange, policy: Policy, inspection: Inspection): void {
  const message = inspection.message;
  const findings = inspection.findings;
  clear(facts);
  if (message.methodKind == Kind.Good) {
    writeText(facts, "mcp.method.name", message.methodAt, message.methodBytes, RECORD_TEXT_MAX);
    writeWord(facts, "mcp_guard.era", isModern(message) ? "modern" : "legacy");
  }
  if (message.versionKind == Kind.Good) {
    writeText(facts, "mcp.protocol.version", message.versionAt, message.versionBytes, RECORD_TEXT_MAX);
  }
  if (message.idKind == Kind.Good) {
    writeId(facts, "jsonrpc.request.id", message.idAt, message.idBytes, RECORD_TEXT_MAX);
  }
  if (message.methodKind == Kind.Good && message.nameKind == Kind.Good) noteName(message);
  noteSubject(findings);
  // What was kept under an earlier policy is not this one's to show.
  if (inspection.generation == exchange.guard.generation) noteArguments(exchange, policy, inspection);
  if (message.traceBytes != 0) {
    writeTrace(facts, "mcp_guard.meta.trace_id", "mcp_guard.meta.span_id", message.traceAt, message.traceBytes);
  }
  keep(exchange);
}

/** Characters that a body may take: what the other facts leave. */
function bodyRoom(exchange: Exchange): u32 {
  const policy = exchange.guard.policy;
  const taken = exchange.factsBytes + facts.length;
  const most = recordBytesOf(policy) - RECORD_REST;
  return taken < most ? min(bodyCharactersOf(policy), most - taken) : 0;
}

/** Notes the answer of a tool: the first one that the response has. */
export function noteAnswer(exchange: Exchange, text: Writer): void {
  if (exchange.hasAnswer || !leavesRecord(exchange.guard.policy)) return;
  exchange.hasAnswer = true;
  clear(facts);
  writeText(facts, "gen_ai.tool.call.result", text.start, text.length, bodyRoom(exchange));
  if (text.overflowed) facts.overflowed = true;
  keep(exchange);
}

/** Notes what the response was, as far as it has come. */
export function noteResponse(exchange: Exchange, rewriting: Rewriting): void {
  const hash = rewriting.hash;
  if (hash === null || !leavesRecord(exchange.guard.policy)) return;
  clear(facts);
  writeDigest(facts, "mcp_guard.response.sha256", endSha256(hash));
  keep(exchange);
}

function noteName(message: Message): void {
  const isTool = equalsLiteral(message.methodAt, message.methodBytes, "tools/call");
  if (!isTool && !equalsLiteral(message.methodAt, message.methodBytes, "prompts/get")) return;
  if (isTool) writeWord(facts, "gen_ai.operation.name", "execute_tool");
  const bytes = min(message.nameBytes, NAME_BYTES_MAX);
  writeText(facts, isTool ? "gen_ai.tool.name" : "gen_ai.prompt.name", message.nameAt, bytes, RECORD_TEXT_MAX);
  if (bytes != message.nameBytes) facts.overflowed = true;
}

/** Their digest, and as they came, but for what is left out. Those of a message that is cut or faulty have no digest, and are cut too. */
function noteArguments(exchange: Exchange, policy: Policy, inspection: Inspection): void {
  const findings = inspection.findings;
  const isCut = inspection.envelope.argumentsTo == NO_OFFSET;
  if (policy.auditArguments != AuditBody.None && !isCut) {
    writeDigest(facts, "mcp_guard.arguments.sha256", endSha256(findings.argumentsHash));
  }
  const text = findings.argumentsText;
  if (policy.auditArguments < AuditBody.Redacted || text.length == 0) return;
  const shown = redacted(policy.redactedArguments, text.at, text.length);
  if (isCut || shown.overflowed) facts.overflowed = true;
  writeText(facts, "gen_ai.tool.call.arguments", shown.start, shown.length, bodyRoom(exchange));
}

function noteSubject(findings: Findings): void {
  if (findings.subject == Subject.None) return;
  const bytes = min(findings.subjectBytes, RECORD_URI_MAX);
  if (findings.subject == Subject.Prompt) {
    writeText(facts, "gen_ai.prompt.name", findings.subjectAt, bytes, RECORD_TEXT_MAX);
  } else {
    const normal = writeNormal(normalAt, findings.subjectAt, bytes);
    writeText(facts, "mcp.resource.uri", normalAt, normal, RECORD_URI_MAX);
    if (findings.hasSubjectDigest) writeDigest(facts, "mcp_guard.resource.uri.sha256", subjectDigestAt(findings));
  }
  if (bytes != findings.subjectBytes) facts.overflowed = true;
}

/** Adds what has been written to what is known of the exchange. */
function keep(exchange: Exchange): void {
  if (facts.overflowed) exchange.isCut = true;
  if (facts.length == 0) return;
  const known = exchange.factsBytes;
  const block = heap.alloc(known + facts.length);
  memory.copy(block, exchange.factsAt, known);
  memory.copy(block + known, facts.start, facts.length);
  if (exchange.factsAt != 0) heap.free(exchange.factsAt);
  exchange.factsAt = block;
  exchange.factsBytes = known + facts.length;
}
