// The members of what a server sends in which names, URIs and lists stand (docs/responses.md), object by object, and the names
// that are near to one of them.

import { equalsLiteral, Literal, literalBytes } from "../memory/bytes";
import { hasUnseen, withoutHidden, withoutHiddenAt } from "../memory/hidden";
import { isNear } from "./member";

/** The containers of a server's message that are looked into. */
export const enum ServerPlace {
  /** Nothing in it matters. */
  None,
  /** Left out, or replaced when it ends. */
  Dropped,
  /** Inside an element: only whether a member name hides something. */
  Inside,

  // Objects.
  Message,
  /** `result`, `params`, `result.result`. */
  Result,
  Error,
  ErrorData,
  Completion,
  ServerInfo,
  PromptMessage,
  Tool,
  ToolMeta,
  ToolUi,
  Prompt,
  Resource,
  Template,
  Task,
  Contents,
  Block,
  Icon,
  Elicitation,
  InputRequest,

  // Containers whose elements stay or go, one by one. From here on; see `isRebuilt`.
  Batch,
  InputRequests,
  Tools,
  Prompts,
  Resources,
  Templates,
  Tasks,
  ContentsList,
  Values,
  Blocks,
  Icons,
  PromptMessages,
  Elicitations,
}

/** Whether the elements of a container are kept or dropped one by one. */
export function isRebuilt(place: ServerPlace): bool {
  return place >= ServerPlace.Batch && place <= ServerPlace.Elicitations;
}

/** Whether a container is an element of a list of announcements, in which no text may hide. */
export function isAnnouncement(place: ServerPlace): bool {
  return (
    place == ServerPlace.Tool ||
    place == ServerPlace.Prompt ||
    place == ServerPlace.Resource ||
    place == ServerPlace.Template
  );
}

export const enum ServerMember {
  Unknown,
  Near,
  /** A member whose name alone matters. */
  Known,
  Jsonrpc,
  Id,
  Method,
  Params,
  Result,
  Error,
  Data,
  Elicitations,
  Tools,
  Prompts,
  Resources,
  Templates,
  Tasks,
  Contents,
  Completion,
  Values,
  Content,
  Messages,
  InputRequests,
  ServerInfo,
  Icons,
  Url,
  Uri,
  UriTemplate,
  Src,
  Type,
  Name,
  Meta,
  Ui,
  ResourceUri,
  CacheScope,
  TtlMs,
  Instructions,
}

/** The member of `place` whose name is the `bytes` bytes at `address`. Byte for byte; `Near` when only nearly. */
export function serverMemberOf(place: ServerPlace, address: usize, bytes: u32): ServerMember {
  const member = exactly(place, address, bytes);
  if (member != ServerMember.Unknown || !hasUnseen(address, bytes)) return member;
  // What is left when nobody sees it could be a name of ours; then it is near whatever it is.
  const seen = withoutHidden(address, bytes);
  return exactly(place, withoutHiddenAt, seen) == ServerMember.Unknown ? ServerMember.Unknown : ServerMember.Near;
}

function exactly(place: ServerPlace, address: usize, bytes: u32): ServerMember {
  switch (place) {
    case ServerPlace.Message:
      return messageMember(address, bytes);
    case ServerPlace.Result:
      return resultMember(address, bytes);
    case ServerPlace.Error:
      return match(ServerMember.Unknown, address, bytes, "data", ServerMember.Data);
    case ServerPlace.ErrorData:
      return match(ServerMember.Unknown, address, bytes, "elicitations", ServerMember.Elicitations);
    case ServerPlace.Completion:
      return match(ServerMember.Unknown, address, bytes, "values", ServerMember.Values);
    case ServerPlace.ServerInfo:
      return match(ServerMember.Unknown, address, bytes, "icons", ServerMember.Icons);
    case ServerPlace.PromptMessage:
      return match(ServerMember.Unknown, address, bytes, "content", ServerMember.Content);
    case ServerPlace.Tool: {
      let member = match(ServerMember.Unknown, address, bytes, "name", ServerMember.Name);
      member = match(member, address, bytes, "icons", ServerMember.Icons);
      return match(member, address, bytes, "_meta", ServerMember.Meta);
    }
    case ServerPlace.ToolMeta: {
      const member = match(ServerMember.Unknown, address, bytes, "ui", ServerMember.Ui);
      return match(member, address, bytes, "ui/resourceUri", ServerMember.ResourceUri);
    }
    case ServerPlace.ToolUi:
      return match(ServerMember.Unknown, address, bytes, "resourceUri", ServerMember.ResourceUri);
    case ServerPlace.Prompt: {
      const member = match(ServerMember.Unknown, address, bytes, "name", ServerMember.Name);
      return match(member, address, bytes, "icons", ServerMember.Icons);
    }
    case ServerPlace.Resource: {
      const member = match(ServerMember.Unknown, address, bytes, "uri", ServerMember.Uri);
      return match(member, address, bytes, "icons", ServerMember.Icons);
    }
    case ServerPlace.Template: {
      const member = match(ServerMember.Unknown, address, bytes, "uriTemplate", ServerMember.UriTemplate);
      return match(member, address, bytes, "icons", ServerMember.Icons);
    }
    case ServerPlace.Contents:
      return match(ServerMember.Unknown, address, bytes, "uri", ServerMember.Uri);
    case ServerPlace.Block: {
      let member = match(ServerMember.Unknown, address, bytes, "type", ServerMember.Type);
      member = match(member, address, bytes, "uri", ServerMember.Uri);
      return match(member, address, bytes, "icons", ServerMember.Icons);
    }
    case ServerPlace.Icon:
      return match(ServerMember.Unknown, address, bytes, "src", ServerMember.Src);
    case ServerPlace.Elicitation:
      return match(ServerMember.Unknown, address, bytes, "url", ServerMember.Url);
    case ServerPlace.InputRequest: {
      const member = match(ServerMember.Unknown, address, bytes, "method", ServerMember.Method);
      return match(member, address, bytes, "params", ServerMember.Params);
    }
    default:
      return ServerMember.Unknown;
  }
}

function messageMember(address: usize, bytes: u32): ServerMember {
  let member = match(ServerMember.Unknown, address, bytes, "jsonrpc", ServerMember.Jsonrpc);
  member = match(member, address, bytes, "id", ServerMember.Id);
  member = match(member, address, bytes, "method", ServerMember.Method);
  member = match(member, address, bytes, "params", ServerMember.Params);
  member = match(member, address, bytes, "result", ServerMember.Result);
  return match(member, address, bytes, "error", ServerMember.Error);
}

function resultMember(address: usize, bytes: u32): ServerMember {
  let member = match(ServerMember.Unknown, address, bytes, "tools", ServerMember.Tools);
  member = match(member, address, bytes, "prompts", ServerMember.Prompts);
  member = match(member, address, bytes, "resources", ServerMember.Resources);
  member = match(member, address, bytes, "resourceTemplates", ServerMember.Templates);
  member = match(member, address, bytes, "tasks", ServerMember.Tasks);
  member = match(member, address, bytes, "contents", ServerMember.Contents);
  member = match(member, address, bytes, "completion", ServerMember.Completion);
  member = match(member, address, bytes, "content", ServerMember.Content);
  member = match(member, address, bytes, "messages", ServerMember.Messages);
  member = match(member, address, bytes, "inputRequests", ServerMember.InputRequests);
  member = match(member, address, bytes, "serverInfo", ServerMember.ServerInfo);
  member = match(member, address, bytes, "result", ServerMember.Result);
  member = match(member, address, bytes, "url", ServerMember.Url);
  member = match(member, address, bytes, "uri", ServerMember.Uri);
  member = match(member, address, bytes, "cacheScope", ServerMember.CacheScope);
  member = match(member, address, bytes, "ttlMs", ServerMember.TtlMs);
  return match(member, address, bytes, "instructions", ServerMember.Instructions);
}

/** `found` when it is already decided, else `member` when the name is `text`, `Near` when it is near to it. */
function match(found: ServerMember, address: usize, bytes: u32, text: Literal, member: ServerMember): ServerMember {
  if (found != ServerMember.Unknown) return found;
  if (bytes < literalBytes(text)) return ServerMember.Unknown;
  if (equalsLiteral(address, bytes, text)) return member;
  return isNear(address, bytes, text) ? ServerMember.Near : ServerMember.Unknown;
}

/** What a server may ask or tell by itself, by what opens it. */
export const enum ServerCall {
  /** No method of ours: `method_allowlist` decides. */
  Other,
  Open,
  Sampling,
  Elicitation,
  Roots,
  Task,
  /** notifications/resources/updated: `params.uri`. */
  ResourceUpdated,
}

/** The call whose method stands at `address`, compared byte for byte. */
export function serverCallOf(address: usize, bytes: u32): ServerCall {
  if (equalsLiteral(address, bytes, "ping")) return ServerCall.Open;
  if (equalsLiteral(address, bytes, "sampling/createMessage")) return ServerCall.Sampling;
  if (equalsLiteral(address, bytes, "elicitation/create")) return ServerCall.Elicitation;
  if (equalsLiteral(address, bytes, "roots/list")) return ServerCall.Roots;
  if (equalsLiteral(address, bytes, "notifications/cancelled")) return ServerCall.Open;
  if (equalsLiteral(address, bytes, "notifications/progress")) return ServerCall.Open;
  if (equalsLiteral(address, bytes, "notifications/message")) return ServerCall.Open;
  if (equalsLiteral(address, bytes, "notifications/tools/list_changed")) return ServerCall.Open;
  if (equalsLiteral(address, bytes, "notifications/prompts/list_changed")) return ServerCall.Open;
  if (equalsLiteral(address, bytes, "notifications/resources/list_changed")) return ServerCall.Open;
  if (equalsLiteral(address, bytes, "notifications/resources/updated")) return ServerCall.ResourceUpdated;
  if (equalsLiteral(address, bytes, "notifications/elicitation/complete")) return ServerCall.Open;
  if (equalsLiteral(address, bytes, "notifications/subscriptions/acknowledged")) return ServerCall.Open;
  if (equalsLiteral(address, bytes, "notifications/tasks")) return ServerCall.Task;
  if (equalsLiteral(address, bytes, "notifications/tasks/status")) return ServerCall.Task;
  if (equalsLiteral(address, bytes, "tasks/get")) return ServerCall.Task;
  if (equalsLiteral(address, bytes, "tasks/result")) return ServerCall.Task;
  if (equalsLiteral(address, bytes, "tasks/list")) return ServerCall.Task;
  if (equalsLiteral(address, bytes, "tasks/cancel")) return ServerCall.Task;
  return ServerCall.Other;
}
