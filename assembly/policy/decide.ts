// The verdict on one message. Pure: same message, same policy, same answer; no host, no clock, no memory of other
// messages. What is not listed is refused.

import { METHOD_BYTES_MAX, NAME_BYTES_MAX } from "../limits";
import { Kind, Message, Shape } from "../mcp/message";
import { Method, methodOf } from "../mcp/method";
import { equalsLiteral, startsWithLiteral } from "../memory/bytes";
import { hasName, NameSet } from "./name-set";
import { Policy } from "./policy";
import { Reason } from "./reason";

/** None when the message may pass, else why not. The message has passed `finishEnvelope`. */
export function decide(policy: Policy, message: Message): Reason {
  // The answers of legacy clients to requests of the server carry no method (MCP up to 2025-11-25).
  if (message.shape == Shape.Response) return Reason.None;
  if (message.hasTask) return Reason.TaskDenied;
  // SAFETY: methodBytes <= METHOD_BYTES_MAX, which `finishEnvelope` has checked.
  switch (methodOf(message.methodAt, min(message.methodBytes, METHOD_BYTES_MAX))) {
    case Method.Open:
    case Method.OpenNotification:
      return Reason.None;
    case Method.ToolsCall:
      return decideTool(policy, message);
    case Method.PromptsGet:
      return Reason.PromptNotListed;
    case Method.Resource:
      return Reason.ResourceNotListed;
    case Method.Complete:
      return decideCompletion(message);
    case Method.Listen:
      if (message.notificationsKind == Kind.Bad) return Reason.ParamsInvalid;
      if (message.listensToResources) return Reason.ResourceNotListed;
      return message.listensToTasks ? Reason.TaskDenied : Reason.None;
    case Method.Task:
      return Reason.TaskDenied;
    default:
      return isListed(policy.methods, message.methodAt, message.methodBytes) ? Reason.None : Reason.MethodNotListed;
  }
}

/** Whether a tool's name says that a human must approve the call (the standard's prefixes). */
export function isFlagged(name: usize, bytes: u32): bool {
  return (
    startsWithLiteral(name, bytes, "delete") ||
    startsWithLiteral(name, bytes, "update") ||
    startsWithLiteral(name, bytes, "execute")
  );
}

function decideTool(policy: Policy, message: Message): Reason {
  if (message.nameKind != Kind.Good || message.argumentsKind == Kind.Bad) return Reason.ParamsInvalid;
  // A longer name cannot be listed; only NAME_BYTES_MAX bytes of it are here.
  if (message.nameBytes > NAME_BYTES_MAX) return Reason.ToolNotListed;
  if (!isListed(policy.tools, message.nameAt, message.nameBytes)) return Reason.ToolNotListed;
  if (isFlagged(message.nameAt, message.nameBytes) && !policy.approvalOff) return Reason.ApprovalNotConfigured;
  return Reason.None;
}

function isListed(names: NameSet | null, address: usize, bytes: u32): bool {
  return names !== null && hasName(names, address, bytes);
}

function decideCompletion(message: Message): Reason {
  if (message.refTypeKind != Kind.Good) return Reason.ParamsInvalid;
  if (equalsLiteral(message.refTypeAt, message.refTypeBytes, "ref/prompt")) return Reason.PromptNotListed;
  if (equalsLiteral(message.refTypeAt, message.refTypeBytes, "ref/resource")) return Reason.ResourceNotListed;
  return Reason.ParamsInvalid;
}
