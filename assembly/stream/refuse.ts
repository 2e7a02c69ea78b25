// The single way to say no. Whatever goes wrong ends here: a verdict of the policy, a body that is no JSON, a host call
// that failed.

import { LogLevel } from "../host/abi";
import { log } from "../host/log";
import { sendReply, setReplyHeader, setReplyNumber } from "../host/reply";
import { TEXT_BYTES_MAX, VERSION_BYTES_MAX } from "../limits";
import { isModern, Kind, Message, Shape } from "../mcp/message";
import { equalsLiteral, literalBytes } from "../memory/bytes";
import {
  allocateWriter,
  clear,
  Writer,
  writeByte,
  writeBytes,
  writeEscaped,
  writeHex,
  writeLiteral,
  writeNumber,
} from "../memory/writer";
import { RefusalDetail, RefusalForm } from "../policy/policy";
import { Answer, infoOf, Reason, ReasonInfo } from "../policy/reason";
import { Truth } from "../rewrite/rewriter";
import { leaveFlight } from "../token/turn";
import { Decision } from "./counters";
import { Exchange, methodAt, nameAt, requestIdAt, Stage } from "./exchange";
import { hold, letGo } from "./held";
import { endReading } from "./reading";

const body: Writer = allocateWriter(TEXT_BYTES_MAX);
const details: Writer = allocateWriter(64);
const line: Writer = allocateWriter(TEXT_BYTES_MAX);
/** Bytes of the body of the last refusal. */
export let replyBytes: u32 = 0;
/** Whether the body at hand is a tool's result and no error. */
let isToolResult: bool = false;

/**
 * Answers the request of `exchange` and remembers why. Should the host refuse the answer, the stream stays held, so that
 * nothing passes, and the watchdog tries again.
 */
export function refuse(exchange: Exchange, reason: Reason): void {
  const info = infoOf(reason);
  const inspection = exchange.inspection;
  const message = inspection !== null ? inspection.message : null;
  exchange.stage = Stage.Refused;
  exchange.decision = Decision.Refuse;
  exchange.reason = reason;
  const status = writeBody(exchange, info, message);
  if (isToolResult) send(exchange, info, reason, status, body, 0, Truth.Yes);
  else send(exchange, info, reason, status, body, info.code, Truth.Unsaid);
}

/**
 * The same with a body of the caller's: `text`, whose error has `errorCode`, 0 when it is none, and which is the result of a tool that says
 * `isError`, or none.
 */
export function refuseWith(
  exchange: Exchange,
  reason: Reason,
  status: u32,
  text: Writer,
  errorCode: i64,
  isError: Truth,
): void {
  exchange.stage = Stage.Refused;
  exchange.decision = Decision.Refuse;
  exchange.reason = reason;
  send(exchange, infoOf(reason), reason, status, text, errorCode, isError);
}

function send(
  exchange: Exchange,
  info: ReasonInfo,
  reason: Reason,
  status: u32,
  text: Writer,
  errorCode: i64,
  isError: Truth,
): void {
  replyBytes = text.length;
  clear(details);
  writeLiteral(details, "mcp_guard.");
  writeLiteral(details, info.name);
  setHeader(exchange, reason);
  const turn = exchange.turn;
  if (turn !== null) leaveFlight(turn, exchange.guard.tokens);
  const sent = sendReply(status, details, text);
  logRefusal(exchange, info);
  if (sent) {
    if (!exchange.upstreamAnswered) {
      // For the record: what the client gets in place of a response.
      exchange.isAnswered = true;
      exchange.status = status;
      exchange.hasErrorCode = errorCode != 0;
      exchange.errorCode = errorCode;
      if (isError != Truth.Unsaid) exchange.isError = isError;
    }
    letGo(exchange);
  } else {
    hold(exchange);
  }
  endReading(exchange);
}

/** Answers a stream for which there is no record: the VM has too many. */
export function refuseWithoutRecord(): void {
  const info = infoOf(Reason.Overloaded);
  clear(body);
  writeLiteral(body, '{"jsonrpc":"2.0","error":{"code":-');
  writeNumber(body, u64(-info.code));
  writeLiteral(body, ',"message":"');
  writeLiteral(body, info.text);
  writeLiteral(body, '"}}');
  clear(details);
  writeLiteral(details, "mcp_guard.");
  writeLiteral(details, info.name);
  // Should the host refuse, the headers stay held: the callback that calls this returns HoldHeaders.
  sendReply(info.status, details, body);
}

/** The header that makes a refusal useful to a client that knows HTTP. */
function setHeader(exchange: Exchange, reason: Reason): void {
  switch (reason) {
    case Reason.HttpMethod:
      // RFC 9110 section 10.2.1.
      setReplyHeader("allow", "DELETE, GET, HEAD, OPTIONS, POST");
      break;
    case Reason.TokenInvalid:
    case Reason.TokenExchangeRefused:
      // RFC 6750 section 3.1: the client gets another token.
      setReplyHeader("www-authenticate", 'Bearer error="invalid_token"');
      break;
    case Reason.RateLimited:
      // RFC 6585 section 4, RFC 9110 section 10.2.3.
      setReplyNumber("retry-after", exchange.retryAfter);
      break;
    default:
      break;
  }
}

/** Writes the reply's body and gives its HTTP status (MCP: refusals, by revision and by configuration). */
function writeBody(exchange: Exchange, info: ReasonInfo, message: Message | null): u32 {
  const policy = exchange.guard.policy;
  const isMasked = policy !== null && policy.refusalDetail == RefusalDetail.Masked;
  clear(body);
  isToolResult = false;
  writeLiteral(body, '{"jsonrpc":"2.0"');
  // Only a call whose id was read in full gets it back. `null` is no id of MCP, so none is written then.
  const isCall = message !== null && message.shape == Shape.Call && message.idKind == Kind.Good;
  if (message === null || !isCall || info.answer == Answer.Http) {
    writeError(exchange, info, isMasked, message);
    return info.status;
  }
  writeLiteral(body, ',"id":');
  writeBytes(body, message.idAt, message.idBytes);
  if (info.answer == Answer.HttpWithId) {
    writeError(exchange, info, isMasked, message);
    return info.status;
  }
  const form = policy === null ? RefusalForm.JsonrpcError : policy.refusal;
  if (form == RefusalForm.ToolError && equalsLiteral(message.methodAt, message.methodBytes, "tools/call")) {
    isToolResult = true;
    writeToolError(info, isMasked, isModern(message));
    return 200;
  }
  writeError(exchange, info, isMasked, message);
  if (form == RefusalForm.Http403) return 403;
  // A modern server says "unknown method" with 404; to a legacy client 404 means that its session is gone.
  return isModern(message) && info.code == infoOf(Reason.MethodNotListed).code ? 404 : 200;
}

function writeError(exchange: Exchange, info: ReasonInfo, isMasked: bool, message: Message | null): void {
  writeLiteral(body, ',"error":{"code":-');
  writeNumber(body, u64(-info.code));
  writeLiteral(body, ',"message":"');
  writeText(info, isMasked);
  writeByte(body, 0x22);
  const requested = message !== null && info === infoOf(Reason.VersionUnsupported) ? message : null;
  if (!isMasked || requested !== null) {
    writeLiteral(body, ',"data":{');
    // A client that speaks several versions chooses another one by these two (MCP 2026-07-28, -32022).
    if (requested !== null) {
      writeLiteral(body, '"supported":["2026-07-28"],"requested":"');
      writeEscaped(body, requested.versionAt, requested.versionBytes, VERSION_BYTES_MAX);
      writeByte(body, 0x22);
      if (isMasked) {
        writeLiteral(body, "}}}");
        return;
      }
      writeByte(body, 0x2c);
    }
    writeLiteral(body, '"reason":"');
    writeLiteral(body, info.name);
    writeByte(body, 0x22);
    if (exchange.requestIdBytes != 0) {
      writeLiteral(body, ',"request_id":"');
      writeEscaped(body, requestIdAt(exchange), exchange.requestIdBytes, exchange.requestIdBytes);
      writeByte(body, 0x22);
    }
    if (exchange.guard.policy !== null) {
      writeLiteral(body, ',"policy":"');
      writeHex(body, exchange.guard.digest, 16);
      writeByte(body, 0x22);
    }
    writeByte(body, 0x7d);
  }
  writeLiteral(body, "}}");
}

/** A tool result with `isError`: what the model sees, so that it can choose another way. */
function writeToolError(info: ReasonInfo, isMasked: bool, isModern: bool): void {
  writeLiteral(body, ',"result":{');
  if (isModern) writeLiteral(body, '"resultType":"complete",');
  writeLiteral(body, '"content":[{"type":"text","text":"');
  writeText(info, isMasked);
  if (!isMasked) {
    writeLiteral(body, " (");
    writeLiteral(body, info.name);
    writeByte(body, 0x29);
  }
  writeLiteral(body, '"}],"isError":true}}');
}

/** The message of a refusal; masked, it is what a server says of a tool or a method that it does not have. The client knows of an approval. */
function writeText(info: ReasonInfo, isMasked: bool): void {
  if (!isMasked || info.answer != Answer.JsonRpc || info.isAboutApproval) {
    writeLiteral(body, info.text);
  } else {
    writeLiteral(body, info.code == infoOf(Reason.MethodNotListed).code ? "Method not found" : "Unknown tool");
  }
}

function logRefusal(exchange: Exchange, info: ReasonInfo): void {
  clear(line);
  writeLiteral(line, "mcp-guard: refused ");
  writeLiteral(line, info.name);
  if (exchange.methodBytes != 0) {
    writeLiteral(line, ' method="');
    writeEscaped(line, methodAt(exchange), exchange.methodBytes, exchange.methodBytes);
    writeByte(line, 0x22);
  }
  if (exchange.nameBytes != 0) {
    writeLiteral(line, ' name="');
    writeEscaped(line, nameAt(exchange), exchange.nameBytes, exchange.nameBytes);
    writeByte(line, 0x22);
  }
  if (exchange.requestIdBytes != 0) {
    writeLiteral(line, ' request_id="');
    writeEscaped(line, requestIdAt(exchange), exchange.requestIdBytes, exchange.requestIdBytes);
    writeByte(line, 0x22);
  }
  if (literalBytes(info.openedBy) != 0) {
    writeLiteral(line, " opened_by=");
    writeLiteral(line, info.openedBy);
  }
  if (exchange.upstreamAnswered) writeLiteral(line, " after_response=true");
  log(LogLevel.Info, line);
}
