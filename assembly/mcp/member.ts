// The members of a client's message that have a meaning to MCP, object by object, and the names that are near to one of them:
// a message with one of those has two readings and is refused.

import { equalsLiteral, Literal, literalBytes } from "../memory/bytes";
import { Likeness, leastBytes, likenessOf } from "./likeness";

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
  /** `_meta.traceparent`: for the record alone, so that nothing is near to it. */
  TraceParent,
}

/** The member of `place` whose name is the `bytes` bytes at `address`. Byte for byte; `Near` when only nearly. */
export function memberOf(place: Place, address: usize, bytes: u32): Member {
  const least = leastBytes(address, bytes);
  switch (place) {
    case Place.Envelope:
      return envelopeMember(address, bytes, least);
    case Place.Params:
      return paramsMember(address, bytes, least);
    case Place.Meta:
      return metaMember(address, bytes, least);
    case Place.Ref:
      return refMember(address, bytes, least);
    case Place.Notifications:
      return notificationsMember(address, bytes, least);
    case Place.Argument:
      return argumentMember(address, bytes, least);
    case Place.Context:
      return match(Member.Unknown, address, bytes, least, "arguments", Member.ContextArguments);
    case Place.ContextArguments:
      return Member.ContextValue;
    case Place.InputResponses:
      return Member.Answer;
    case Place.Answer:
      return match(Member.Unknown, address, bytes, least, "roots", Member.Roots);
    default:
      return match(Member.Unknown, address, bytes, least, "uri", Member.RootUri);
  }
}

function envelopeMember(address: usize, bytes: u32, least: u32): Member {
  let member = match(Member.Unknown, address, bytes, least, "jsonrpc", Member.Jsonrpc);
  member = match(member, address, bytes, least, "id", Member.Id);
  member = match(member, address, bytes, least, "method", Member.Method);
  member = match(member, address, bytes, least, "params", Member.Params);
  member = match(member, address, bytes, least, "result", Member.Result);
  return match(member, address, bytes, least, "error", Member.Error);
}

function paramsMember(address: usize, bytes: u32, least: u32): Member {
  let member = match(Member.Unknown, address, bytes, least, "name", Member.Name);
  member = match(member, address, bytes, least, "arguments", Member.Arguments);
  member = match(member, address, bytes, least, "_meta", Member.Meta);
  member = match(member, address, bytes, least, "ref", Member.Ref);
  member = match(member, address, bytes, least, "task", Member.Task);
  member = match(member, address, bytes, least, "notifications", Member.Notifications);
  member = match(member, address, bytes, least, "uri", Member.Uri);
  member = match(member, address, bytes, least, "cursor", Member.Known);
  member = match(member, address, bytes, least, "argument", Member.Argument);
  member = match(member, address, bytes, least, "context", Member.Context);
  member = match(member, address, bytes, least, "taskId", Member.TaskId);
  member = match(member, address, bytes, least, "inputResponses", Member.InputResponses);
  member = match(member, address, bytes, least, "requestState", Member.Known);
  member = match(member, address, bytes, least, "protocolVersion", Member.Known);
  member = match(member, address, bytes, least, "capabilities", Member.Known);
  member = match(member, address, bytes, least, "clientInfo", Member.Known);
  member = match(member, address, bytes, least, "level", Member.Known);
  member = match(member, address, bytes, least, "requestId", Member.Known);
  return match(member, address, bytes, least, "progressToken", Member.Known);
}

function metaMember(address: usize, bytes: u32, least: u32): Member {
  let member = match(
    Member.Unknown,
    address,
    bytes,
    least,
    "io.modelcontextprotocol/protocolVersion",
    Member.ProtocolVersion,
  );
  member = match(
    member,
    address,
    bytes,
    least,
    "io.modelcontextprotocol/clientCapabilities",
    Member.ClientCapabilities,
  );
  member = match(member, address, bytes, least, "io.modelcontextprotocol/clientInfo", Member.Known);
  member = match(member, address, bytes, least, "io.modelcontextprotocol/logLevel", Member.Known);
  member = match(member, address, bytes, least, "progressToken", Member.Known);
  return member == Member.Unknown && equalsLiteral(address, bytes, "traceparent") ? Member.TraceParent : member;
}

function refMember(address: usize, bytes: u32, least: u32): Member {
  let member = match(Member.Unknown, address, bytes, least, "type", Member.RefType);
  member = match(member, address, bytes, least, "name", Member.RefName);
  return match(member, address, bytes, least, "uri", Member.RefUri);
}

function argumentMember(address: usize, bytes: u32, least: u32): Member {
  const member = match(Member.Unknown, address, bytes, least, "name", Member.Known);
  return match(member, address, bytes, least, "value", Member.ArgumentValue);
}

function notificationsMember(address: usize, bytes: u32, least: u32): Member {
  let member = match(Member.Unknown, address, bytes, least, "resourceSubscriptions", Member.ResourceSubscriptions);
  member = match(member, address, bytes, least, "taskIds", Member.TaskIds);
  member = match(member, address, bytes, least, "toolsListChanged", Member.Known);
  member = match(member, address, bytes, least, "promptsListChanged", Member.Known);
  return match(member, address, bytes, least, "resourcesListChanged", Member.Known);
}

/**
 * `found` when it is already decided, else `member` when the name is `text`, `Near` when it is near to it.
 * @param least what `leastBytes` says of the name.
 */
function match(found: Member, address: usize, bytes: u32, least: u32, text: Literal, member: Member): Member {
  const wanted = literalBytes(text);
  if (found != Member.Unknown || wanted > bytes || wanted < least) return found;
  const likeness = likenessOf(address, bytes, text);
  if (likeness == Likeness.Same) return member;
  return likeness == Likeness.Near ? Member.Near : Member.Unknown;
}
