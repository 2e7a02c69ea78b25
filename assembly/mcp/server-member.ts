// The members of what a server sends in which names, URIs and lists stand (docs/responses.md), object by object, and the
// names that are near to one of them.

import { equalsLiteral, Literal, literalBytes } from "../memory/bytes";
import { hasUnseen, withoutHidden, withoutHiddenAt } from "../memory/hidden";
import { Likeness, leastBytes, likenessOf } from "./likeness";
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
  /** `error.code` and `result.isError`: for the record alone, so that nothing is near to them. */
  Code,
  IsError,
  /** What a server says of its tool (`hintMemberOf`). */
  Annotations,
  DestructiveHint,
}

/** The member of `place` whose name is the `bytes` bytes at `address`. Byte for byte; `Near` when only nearly. */
export function serverMemberOf(place: ServerPlace, address: usize, bytes: u32): ServerMember {
  const least = leastBytes(address, bytes);
  const member = exactly(place, address, bytes, least);
  if (member != ServerMember.Unknown || least == bytes || !hasUnseen(address, bytes)) return member;
  // What is left when nobody sees it could be a name of ours; then it is near whatever it is.
  const seen = withoutHidden(address, bytes);
  return exactly(place, withoutHiddenAt, seen, 0) == ServerMember.Unknown ? ServerMember.Unknown : ServerMember.Near;
}

/**
 * The same for what a server says of its tools, where that counts and `serverMemberOf` knows nothing. By exact bytes alone: no member is taken
 * out because it looks like one of these.
 */
export function hintMemberOf(place: ServerPlace, address: usize, bytes: u32): ServerMember {
  if (place == ServerPlace.Tool && equalsLiteral(address, bytes, "annotations")) return ServerMember.Annotations;
  if (place == ServerPlace.ToolAnnotations && equalsLiteral(address, bytes, "destructiveHint")) {
    return ServerMember.DestructiveHint;
  }
  return ServerMember.Unknown;
}

function exactly(place: ServerPlace, address: usize, bytes: u32, least: u32): ServerMember {
  switch (place) {
    case ServerPlace.Message:
      return messageMember(address, bytes, least);
    case ServerPlace.Result:
      return resultMember(address, bytes, least);
    case ServerPlace.Error:
      if (equalsLiteral(address, bytes, "code")) return ServerMember.Code;
      return match(ServerMember.Unknown, address, bytes, least, "data", ServerMember.Data);
    case ServerPlace.ErrorData:
      return match(ServerMember.Unknown, address, bytes, least, "elicitations", ServerMember.Elicitations);
    case ServerPlace.Completion:
      return match(ServerMember.Unknown, address, bytes, least, "values", ServerMember.Values);
    case ServerPlace.ServerInfo:
      return match(ServerMember.Unknown, address, bytes, least, "icons", ServerMember.Icons);
    case ServerPlace.PromptMessage:
      return match(ServerMember.Unknown, address, bytes, least, "content", ServerMember.Content);
    case ServerPlace.Tool: {
      let member = match(ServerMember.Unknown, address, bytes, least, "name", ServerMember.Name);
      member = match(member, address, bytes, least, "icons", ServerMember.Icons);
      return match(member, address, bytes, least, "_meta", ServerMember.Meta);
    }
    case ServerPlace.ToolMeta: {
      const member = match(ServerMember.Unknown, address, bytes, least, "ui", ServerMember.Ui);
      return match(member, address, bytes, least, "ui/resourceUri", ServerMember.ResourceUri);
    }
    case ServerPlace.ToolUi:
      return match(ServerMember.Unknown, address, bytes, least, "resourceUri", ServerMember.ResourceUri);
    case ServerPlace.Prompt: {
      const member = match(ServerMember.Unknown, address, bytes, least, "name", ServerMember.Name);
      return match(member, address, bytes, least, "icons", ServerMember.Icons);
    }
    case ServerPlace.Resource: {
      const member = match(ServerMember.Unknown, address, bytes, least, "uri", ServerMember.Uri);
      return match(member, address, bytes, least, "icons", ServerMember.Icons);
    }
    case ServerPlace.Template: {
      const member = match(ServerMember.Unknown, address, bytes, least, "uriTemplate", ServerMember.UriTemplate);
      return match(member, address, bytes, least, "icons", ServerMember.Icons);
    }
    case ServerPlace.Contents:
      return match(ServerMember.Unknown, address, bytes, least, "uri", ServerMember.Uri);
    case ServerPlace.Block: {
      let member = match(ServerMember.Unknown, address, bytes, least, "type", ServerMember.Type);
      member = match(member, address, bytes, least, "uri", ServerMember.Uri);
      member = match(member, address, bytes, least, "content", ServerMember.Content);
      return match(member, address, bytes, least, "icons", ServerMember.Icons);
    }
    case ServerPlace.Icon:
      return match(ServerMember.Unknown, address, bytes, least, "src", ServerMember.Src);
    case ServerPlace.Elicitation:
      return match(ServerMember.Unknown, address, bytes, least, "url", ServerMember.Url);
    case ServerPlace.InputRequest: {
      const member = match(ServerMember.Unknown, address, bytes, least, "method", ServerMember.Method);
      return match(member, address, bytes, least, "params", ServerMember.Params);
    }
    default:
      return ServerMember.Unknown;
  }
}

function messageMember(address: usize, bytes: u32, least: u32): ServerMember {
  let member = match(ServerMember.Unknown, address, bytes, least, "jsonrpc", ServerMember.Jsonrpc);
  member = match(member, address, bytes, least, "id", ServerMember.Id);
  member = match(member, address, bytes, least, "method", ServerMember.Method);
  member = match(member, address, bytes, least, "params", ServerMember.Params);
  member = match(member, address, bytes, least, "result", ServerMember.Result);
  return match(member, address, bytes, least, "error", ServerMember.Error);
}

function resultMember(address: usize, bytes: u32, least: u32): ServerMember {
  let member = match(ServerMember.Unknown, address, bytes, least, "tools", ServerMember.Tools);
  member = match(member, address, bytes, least, "prompts", ServerMember.Prompts);
  member = match(member, address, bytes, least, "resources", ServerMember.Resources);
  member = match(member, address, bytes, least, "resourceTemplates", ServerMember.Templates);
  member = match(member, address, bytes, least, "tasks", ServerMember.Tasks);
  member = match(member, address, bytes, least, "contents", ServerMember.Contents);
  member = match(member, address, bytes, least, "completion", ServerMember.Completion);
  member = match(member, address, bytes, least, "content", ServerMember.Content);
  member = match(member, address, bytes, least, "messages", ServerMember.Messages);
  member = match(member, address, bytes, least, "inputRequests", ServerMember.InputRequests);
  member = match(member, address, bytes, least, "serverInfo", ServerMember.ServerInfo);
  member = match(member, address, bytes, least, "result", ServerMember.Result);
  member = match(member, address, bytes, least, "url", ServerMember.Url);
  member = match(member, address, bytes, least, "uri", ServerMember.Uri);
  member = match(member, address, bytes, least, "cacheScope", ServerMember.CacheScope);
  member = match(member, address, bytes, least, "ttlMs", ServerMember.TtlMs);
  member = match(member, address, bytes, least, "instructions", ServerMember.Instructions);
  return member == ServerMember.Unknown && equalsLiteral(address, bytes, "isError") ? ServerMember.IsError : member;
}

/**
 * `found` when it is already decided, else `member` when the name is `text`, `Near` when it is near to it.
 * @param least what `leastBytes` says of the name.
 */
function match(
  found: ServerMember,
  address: usize,
  bytes: u32,
  least: u32,
  text: Literal,
  member: ServerMember,
): ServerMember {
  const wanted = literalBytes(text);
  if (found != ServerMember.Unknown || wanted > bytes || wanted < least) return found;
  const likeness = likenessOf(address, bytes, text);
  if (likeness == Likeness.Same) return member;
  return likeness == Likeness.Near ? ServerMember.Near : ServerMember.Unknown;
}
