// The answer to a call that nobody has approved yet: the link to its approval, in the form that the client's revision of MCP knows.

import { Hold } from "../approval/hold";
import { appendMark, ID_BYTES } from "../approval/round";
import { NAME_BYTES_MAX } from "../limits";
import { isModern, Message } from "../mcp/message";
import { Buffer, emptyBuffer } from "../memory/buffer";
import { allocateWriter, Writer, writeBytes, writeEscaped, writeLiteral } from "../memory/writer";
import { Approver, LegacyCarrier } from "../policy/approver";
import { Reason } from "../policy/reason";
import { Truth } from "../rewrite/rewriter";
import { Exchange } from "./exchange";
import { refuse, refuseWith } from "./refuse";

/** Link and name escaped, and what stands around them. */
const ANSWER_ROOM: u32 = 16 << 10;
/** MCP 2025-11-25, URL elicitation. */
const URL_ELICITATION_REQUIRED: i64 = -32042;
const state: Buffer = changetype<Buffer>(memory.data(16, 8));

/** Whether the client can be asked to open a link and to come back (MCP 2026-07-28, multi round-trip requests). */
export function canAnswerWithLink(hold: Hold): bool {
  return hold.opensLinks;
}

/** Answers a call whose approval has an id. */
export function answerPending(exchange: Exchange, hold: Hold, approver: Approver): void {
  const inspection = exchange.inspection;
  if (inspection === null || !hold.hasId) {
    refuse(exchange, Reason.ApprovalUnavailable);
    return;
  }
  const message = inspection.message;
  const text = allocateWriter(ANSWER_ROOM + hold.carried.length);
  writeLiteral(text, '{"jsonrpc":"2.0","id":');
  writeBytes(text, message.idAt, message.idBytes);
  let code: i64 = 0;
  let isError = Truth.Unsaid;
  if (hold.opensLinks) {
    writeInputRequired(text, hold, approver, message);
  } else if (hold.hasUrlElicitation && approver.legacyCarrier == LegacyCarrier.UrlElicitation) {
    code = URL_ELICITATION_REQUIRED;
    writeElicitation(text, hold, approver, message);
  } else {
    isError = Truth.Yes;
    writeToolError(text, hold, approver, message);
  }
  if (text.overflowed) refuse(exchange, Reason.Internal);
  else refuseWith(exchange, Reason.ApprovalPending, 200, text, code, isError);
  heap.free(changetype<usize>(text));
}

/** The first round has the link; a later one has only our state: a client that gets the link again asks its user again. */
function writeInputRequired(text: Writer, hold: Hold, approver: Approver, message: Message): void {
  writeLiteral(text, ',"result":{"resultType":"input_required",');
  if (!hold.isRound) {
    writeLiteral(text, '"inputRequests":{"guard.approval":{"method":"elicitation/create","params":{"mode":"url",');
    writeQuestion(text, message);
    writeLiteral(text, ',"url":"');
    writeLink(text, hold, approver);
    writeLiteral(text, '"}}},');
  }
  writeLiteral(text, '"requestState":"');
  emptyBuffer(state);
  appendMark(state, hold.idAt);
  writeBytes(text, state.at, state.length);
  writeBytes(text, hold.carried.at, hold.carried.length);
  writeLiteral(text, '"}}');
}

/** MCP 2025-11-25: the error that asks for a link to be opened. */
function writeElicitation(text: Writer, hold: Hold, approver: Approver, message: Message): void {
  writeLiteral(text, ',"error":{"code":-32042,"message":"A person has to approve this call",');
  writeLiteral(text, '"data":{"elicitations":[{"mode":"url","elicitationId":"');
  writeBytes(text, hold.idAt, ID_BYTES);
  writeLiteral(text, '","url":"');
  writeLink(text, hold, approver);
  writeLiteral(text, '",');
  writeQuestion(text, message);
  writeLiteral(text, "}]}}}");
}

/** What every client can show: the result of a tool that says what has to happen. */
function writeToolError(text: Writer, hold: Hold, approver: Approver, message: Message): void {
  writeLiteral(text, ',"result":{');
  if (isModern(message)) writeLiteral(text, '"resultType":"complete",');
  writeLiteral(text, '"content":[{"type":"text","text":"A person has to approve this call first. Open ');
  writeLink(text, hold, approver);
  writeLiteral(text, ' and approve it, then make the same call again. (approval_pending)"}],"isError":true}}');
}

function writeQuestion(text: Writer, message: Message): void {
  writeLiteral(text, '"message":"Approve the call of ');
  writeEscaped(text, message.nameAt, message.nameBytes, NAME_BYTES_MAX);
  writeLiteral(text, '?"');
}

/** The link is the configuration's: the service only gives the id. */
function writeLink(text: Writer, hold: Hold, approver: Approver): void {
  writeEscaped(text, approver.pageAt, approver.pageBytes, approver.pageBytes);
  writeBytes(text, hold.idAt, ID_BYTES);
}
