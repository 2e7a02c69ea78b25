// A second verdict on a call whose text has changed: read from its first byte, like any other.

import { finishEnvelope } from "../mcp/envelope";
import { Fault } from "../mcp/fault";
import { Kind, Message } from "../mcp/message";
import { Buffer } from "../memory/buffer";
import { equalBytes } from "../memory/bytes";
import { decide } from "../policy/decide";
import { readPiece } from "../policy/findings";
import { Policy } from "../policy/policy";
import { Reason, reasonOfFault } from "../policy/reason";
import { Exchange, grantOf } from "./exchange";
import { giveBackInspection, Inspection, takeInspection } from "./inspection";

/**
 * None when `text` is a call that may pass under `policy`, and the same one as the call that `inspection` has read: its method, name, id and
 * version are what headers, records and the answer have.
 */
export function judgeText(exchange: Exchange, policy: Policy, inspection: Inspection, text: Buffer): Reason {
  const second = takeInspection(exchange.guard, policy);
  const reason = judge(exchange, policy, inspection.message, second, text);
  giveBackInspection(exchange.guard, second);
  return reason;
}

function judge(exchange: Exchange, policy: Policy, first: Message, second: Inspection, text: Buffer): Reason {
  const grant = grantOf(exchange);
  // Whether its server calls the tool destructive has been found out with the first text, whose name it has.
  let fault = readPiece(policy, grant, null, second.envelope, second.findings, text.at, text.length);
  if (fault == Fault.None) fault = finishEnvelope(second.envelope);
  if (fault != Fault.None) return reasonOfFault(fault, second.reader.error);
  if (!isSameCall(first, second.message)) return Reason.ParamsInvalid;
  return decide(policy, grant, second.message, second.findings, exchange.hasHuman, exchange.hasPrincipal);
}

function isSameCall(first: Message, second: Message): bool {
  return (
    first.shape == second.shape &&
    first.versionKind == second.versionKind &&
    (first.versionKind != Kind.Good ||
      isSame(first.versionAt, first.versionBytes, second.versionAt, second.versionBytes)) &&
    isSame(first.methodAt, first.methodBytes, second.methodAt, second.methodBytes) &&
    isSame(first.nameAt, first.nameBytes, second.nameAt, second.nameBytes) &&
    isSame(first.idAt, first.idBytes, second.idAt, second.idBytes)
  );
}

function isSame(left: usize, leftBytes: u32, right: usize, rightBytes: u32): bool {
  return leftBytes == rightBytes && equalBytes(left, right, leftBytes);
}
