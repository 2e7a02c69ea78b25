// The members of a client's message that have a meaning to MCP, object by object, and the names that are near to one of them:
// a message with one of those has two readings and is refused.

import { Literal } from "../memory/bytes";
import { Likeness, likenessOf } from "./likeness";

/** The objects of a message in which member names are looked at. */
export const enum Place {
  Envelope,
  Params,
  Meta,
  Ref,
  Notifications,
  /** `params.argument` of completion/complete. */
  Argument,
  /** `params.context` of completion/complete, and its `arguments`: names that the template chose. */
  Context,
  ContextArguments,
  /** `params.inputResponses`: names that the server chose. */
  InputResponses,
  /** One of its values, or the `result` of a client: where `roots` can stand. */
  Answer,
  /** One element of `roots`. */
  Root,
  /** Lists, whose elements have no names. */
  UriList,
  TaskList,
  RootList,
  /** Inside `arguments`, when the policy looks there. */
  Arguments,
}

/** The members that the envelope acts on; `Known` is a protocol member that only near names are measured against. */
export const enum Member {
  Unknown,
  Near,
  Known,
  Jsonrpc,
  Id,
  Method,
  Params,
  Result,
  Error,
  Name,
  Arguments,
  Meta,
  Ref,
  Task,
  Notifications,
  ProtocolVersion,
  RefType,
  ResourceSubscriptions,
  TaskIds,
  Uri,
  TaskId,
  Argument,
  InputResponses,
  RefName,
  RefUri,
  ArgumentValue,
  Context,
  ContextArguments,
  /** A value of `context.arguments`, under whatever name. */
  ContextValue,
  ClientCapabilities,
  /** A value of `inputResponses`, under whatever name. */
  Answer,
  Roots,
  RootUri,
}

/** The member of `place` whose name is the `bytes` bytes at `address`. Byte for byte; `Near` when only nearly. */
export function memberOf(place: Place, address: usize, bytes: u32): Member {
  switch (place) {
    case Place.Envelope:
      return envelopeMember(address, bytes);
    case Place.Params:
      return paramsMember(address, bytes);
    case Place.Meta:
      return metaMember(address, bytes);
    case Place.Ref:
      return refMember(address, bytes);
    case Place.Notifications:
      return notificationsMember(address, bytes);
    case Place.Argument:
      return argumentMember(address, bytes);
    case Place.Context:
      return match(Member.Unknown, address, bytes, "arguments", Member.ContextArguments);
    case Place.ContextArguments:
      return Member.ContextValue;
    case Place.InputResponses:
      return Member.Answer;
    case Place.Answer:
      return match(Member.Unknown, address, bytes, "roots", Member.Roots);
    default:
      return match(Member.Unknown, address, bytes, "uri", Member.RootUri);
  }
}

function envelopeMember(address: usize, bytes: u32): Member {
  let member = match(Member.Unknown, address, bytes, "jsonrpc", Member.Jsonrpc);
  member = match(member, address, bytes, "id", Member.Id);
  member = match(member, address, bytes, "method", Member.Method);
  member = match(member, address, bytes, "params", Member.Params);
  member = match(member, address, bytes, "result", Member.Result);
  return match(member, address, bytes, "error", Member.Error);
}

function paramsMember(address: usize, bytes: u32): Member {
  let member = match(Member.Unknown, address, bytes, "name", Member.Name);
  member = match(member, address, bytes, "arguments", Member.Arguments);
  member = match(member, address, bytes, "_meta", Member.Meta);
  member = match(member, address, bytes, "ref", Member.Ref);
  member = match(member, address, bytes, "task", Member.Task);
  member = match(member, address, bytes, "notifications", Member.Notifications);
  member = match(member, address, bytes, "uri", Member.Uri);
  member = match(member, address, bytes, "cursor", Member.Known);
  member = match(member, address, bytes, "argument", Member.Argument);
  member = match(member, address, bytes, "context", Member.Context);
  member = match(member, address, bytes, "taskId", Member.TaskId);
  member = match(member, address, bytes, "inputResponses", Member.InputResponses);
  member = match(member, address, bytes, "requestState", Member.Known);
  member = match(member, address, bytes, "protocolVersion", Member.Known);
  member = match(member, address, bytes, "capabilities", Member.Known);
  member = match(member, address, bytes, "clientInfo", Member.Known);
  member = match(member, address, bytes, "level", Member.Known);
  member = match(member, address, bytes, "requestId", Member.Known);
  return match(member, address, bytes, "progressToken", Member.Known);
}

function metaMember(address: usize, bytes: u32): Member {
  let member = match(Member.Unknown, address, bytes, "io.modelcontextprotocol/protocolVersion", Member.ProtocolVersion);
  member = match(member, address, bytes, "io.modelcontextprotocol/clientCapabilities", Member.ClientCapabilities);
  member = match(member, address, bytes, "io.modelcontextprotocol/clientInfo", Member.Known);
  member = match(member, address, bytes, "io.modelcontextprotocol/logLevel", Member.Known);
  return match(member, address, bytes, "progressToken", Member.Known);
}

function refMember(address: usize, bytes: u32): Member {
  let member = match(Member.Unknown, address, bytes, "type", Member.RefType);
  member = match(member, address, bytes, "name", Member.RefName);
  return match(member, address, bytes, "uri", Member.RefUri);
}

function argumentMember(address: usize, bytes: u32): Member {
  const member = match(Member.Unknown, address, bytes, "name", Member.Known);
  return match(member, address, bytes, "value", Member.ArgumentValue);
}

function notificationsMember(address: usize, bytes: u32): Member {
  let member = match(Member.Unknown, address, bytes, "resourceSubscriptions", Member.ResourceSubscriptions);
  member = match(member, address, bytes, "taskIds", Member.TaskIds);
  member = match(member, address, bytes, "toolsListChanged", Member.Known);
  member = match(member, address, bytes, "promptsListChanged", Member.Known);
  return match(member, address, bytes, "resourcesListChanged", Member.Known);
}

/** `found` when it is already decided, else `member` when the name is `text`, `Near` when it is near to it. */
function match(found: Member, address: usize, bytes: u32, text: Literal, member: Member): Member {
  if (found != Member.Unknown) return found;
  const likeness = likenessOf(address, bytes, text);
  if (likeness == Likeness.Same) return member;
  return likeness == Likeness.Near ? Member.Near : Member.Unknown;
}
