// The verdict on one message. Pure: same message, same findings, same policy, same grant, same answer; no host, no clock, no memory of
// other messages. What is not listed is refused.

import { METHOD_BYTES_MAX, NAME_BYTES_MAX } from "../limits";
import { isModern, Kind, Message, Shape } from "../mcp/message";
import { isLegacyRequest, Method, methodOf } from "../mcp/method";
import { equalBytes, equalsLiteral } from "../memory/bytes";
import { Findings } from "./findings";
import { isFlagged } from "./flagged";
import { Grant, isPromptListed, isToolListed } from "./grant";
import { hasName, NameSet } from "./name-set";
import { Policy } from "./policy";
import { Reason } from "./reason";

/**
 * None when the message may pass, else why not. The message has passed `finishEnvelope`.
 * @param grant what the rules give to the one who asks.
 * @param hasHuman whether a human is named as the one who asks.
 * @param hasPrincipal whether anybody is, be it a workload.
 */
export function decide(
  policy: Policy,
  grant: Grant | null,
  message: Message,
  findings: Findings,
  hasHuman: bool,
  hasPrincipal: bool,
): Reason {
  const reason = decideMessage(policy, grant, message, findings);
  const identity = policy.identity;
  if (reason != Reason.None || identity === null) return reason;
  const isMissed = (identity.needsHuman && !hasHuman) || (identity.needsPrincipal && !hasPrincipal);
  if (!isMissed || !actsForSomebody(message)) return Reason.None;
  return identity.needsHuman && !hasHuman ? Reason.HumanRequired : Reason.PrincipalRequired;
}

/** Whether a message does anything in somebody's name: not the handshake, lists, pings and notifications that every client sends. */
function actsForSomebody(message: Message): bool {
  if (message.shape == Shape.Response) return true;
  return methodOf(message.methodAt, min(message.methodBytes, METHOD_BYTES_MAX)) != Method.Open;
}

function decideMessage(policy: Policy, grant: Grant | null, message: Message, findings: Findings): Reason {
  // Answers of clients: the results of legacy requests of the server, and `inputResponses` of modern ones.
  if (findings.roots != Reason.None) return findings.roots;
  if (message.shape == Shape.Response) return Reason.None;
  if (message.inputResponsesKind == Kind.Bad) return Reason.ParamsInvalid;
  // Its server would say the same, unless it is one that does not tell the eras apart.
  if (isModern(message) && isLegacyRequest(message.methodAt, message.methodBytes)) return Reason.MethodNotListed;
  if (message.hasTask && !policy.tasksAllowed) return Reason.TaskDenied;
  // SAFETY: methodBytes <= METHOD_BYTES_MAX, which `finishEnvelope` has checked.
  switch (methodOf(message.methodAt, min(message.methodBytes, METHOD_BYTES_MAX))) {
    case Method.Open:
      return Reason.None;
    case Method.ToolsCall:
      return decideTool(policy, grant, message, findings);
    case Method.PromptsGet:
      return decidePrompt(policy, grant, message);
    case Method.Resource:
      return message.uriKind == Kind.Good ? findings.uri : Reason.ParamsInvalid;
    case Method.Complete:
      return decideCompletion(message, findings);
    case Method.Listen:
      return decideListen(policy, message, findings);
    case Method.Task:
      if (!policy.tasksAllowed) return Reason.TaskDenied;
      return message.taskIdKind == Kind.Good ? Reason.None : Reason.ParamsInvalid;
    case Method.Tasks:
      return policy.tasksAllowed ? Reason.None : Reason.TaskDenied;
    case Method.UnknownTask:
      return policy.tasksAllowed ? Reason.MethodNotListed : Reason.TaskDenied;
    default:
      return decideOther(policy, message, findings);
  }
}

function decideTool(policy: Policy, grant: Grant | null, message: Message, findings: Findings): Reason {
  if (message.nameKind != Kind.Good || message.argumentsKind == Kind.Bad) return Reason.ParamsInvalid;
  // A longer name cannot be listed; only NAME_BYTES_MAX bytes of it are here.
  if (message.nameBytes > NAME_BYTES_MAX) return Reason.ToolNotListed;
  if (!isToolListed(policy, grant, message.nameAt, message.nameBytes)) return Reason.ToolNotListed;
  if (!policy.approvalOff && policy.approver === null && isFlagged(policy, grant, message.nameAt, message.nameBytes)) {
    return Reason.ApprovalNotConfigured;
  }
  return (findings.walk.broken & ruleBits(policy, message)) != 0 ? Reason.ArgumentNotAllowed : Reason.None;
}

/** The bits of the argument rules about the tool that is called. */
function ruleBits(policy: Policy, message: Message): u64 {
  let bits: u64 = 0;
  let rule = policy.argumentRules;
  while (rule !== null) {
    if (rule.toolBytes == message.nameBytes && equalBytes(rule.toolAt, message.nameAt, message.nameBytes)) {
      bits |= rule.bit;
    }
    rule = rule.next;
  }
  return bits;
}

function decidePrompt(policy: Policy, grant: Grant | null, message: Message): Reason {
  if (message.nameKind != Kind.Good || message.argumentsKind == Kind.Bad) return Reason.ParamsInvalid;
  if (message.nameBytes > NAME_BYTES_MAX) return Reason.PromptNotListed;
  return isPromptListed(policy, grant, message.nameAt, message.nameBytes) ? Reason.None : Reason.PromptNotListed;
}

function decideCompletion(message: Message, findings: Findings): Reason {
  if (message.refTypeKind != Kind.Good || message.argumentValueKind == Kind.Bad) return Reason.ParamsInvalid;
  if (equalsLiteral(message.refTypeAt, message.refTypeBytes, "ref/prompt")) {
    return message.refNameKind == Kind.Good ? findings.refName : Reason.ParamsInvalid;
  }
  if (!equalsLiteral(message.refTypeAt, message.refTypeBytes, "ref/resource")) return Reason.ParamsInvalid;
  if (message.refUriKind != Kind.Good) return Reason.ParamsInvalid;
  return findings.refUri != Reason.None ? findings.refUri : findings.argumentValue;
}

function decideListen(policy: Policy, message: Message, findings: Findings): Reason {
  if (message.notificationsKind == Kind.Bad) return Reason.ParamsInvalid;
  if (message.listensToTasks && !policy.tasksAllowed) return Reason.TaskDenied;
  if (findings.listen != Reason.None) return findings.listen;
  return message.listIsBad ? Reason.ParamsInvalid : Reason.None;
}

/** A method that stands in no revision: by name, and a URI in it is held to the rules. */
function decideOther(policy: Policy, message: Message, findings: Findings): Reason {
  if (!isListed(policy.methods, message.methodAt, message.methodBytes)) return Reason.MethodNotListed;
  if (equalsLiteral(message.methodAt, message.methodBytes, "skills/get")) {
    return message.uriKind == Kind.Good ? findings.uri : Reason.ParamsInvalid;
  }
  return findings.uriRules;
}

function isListed(names: NameSet | null, address: usize, bytes: u32): bool {
  return names !== null && hasName(names, address, bytes);
}
