// The members of what a server sends in which names, URIs and lists stand (docs/responses.md), object by object, and the
// names that are near to one of them.

import { Literal } from "../memory/bytes";
import { hasUnseen, withoutHidden, withoutHiddenAt } from "../memory/hidden";
import { Likeness, likenessOf } from "./likeness";
import { ServerPlace } from "./server-place";

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
      member = match(member, address, bytes, "content", ServerMember.Content);
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
  const likeness = likenessOf(address, bytes, text);
  if (likeness == Likeness.Same) return member;
  return likeness == Likeness.Near ? ServerMember.Near : ServerMember.Unknown;
}
