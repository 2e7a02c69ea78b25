// The shape of what a server sends: which container stands under which member of which other one.

import { ServerMember } from "./server-member";
import { ServerPlace } from "./server-place";

/**
 * The place of an object or an array in the container `parent`: as its `member`, or as an element of it. None where nothing
 * is looked into, and for the wrong kind.
 */
export function placeIn(parent: ServerPlace, member: ServerMember, isObject: bool): ServerPlace {
  switch (parent) {
    case ServerPlace.Message:
      if (!isObject) return ServerPlace.None;
      if (member == ServerMember.Params || member == ServerMember.Result) return ServerPlace.Result;
      return member == ServerMember.Error ? ServerPlace.Error : ServerPlace.None;
    case ServerPlace.InputRequest:
      return isObject && member == ServerMember.Params ? ServerPlace.Result : ServerPlace.None;
    case ServerPlace.Result:
      return isObject ? objectInResult(member) : listInResult(member);
    case ServerPlace.Error:
      return isObject && member == ServerMember.Data ? ServerPlace.ErrorData : ServerPlace.None;
    case ServerPlace.ErrorData:
      return !isObject && member == ServerMember.Elicitations ? ServerPlace.Elicitations : ServerPlace.None;
    case ServerPlace.Completion:
      return !isObject && member == ServerMember.Values ? ServerPlace.Values : ServerPlace.None;
    case ServerPlace.PromptMessages:
      return isObject ? ServerPlace.PromptMessage : ServerPlace.None;
    case ServerPlace.PromptMessage:
      if (member != ServerMember.Content) return ServerPlace.None;
      return isObject ? ServerPlace.Block : ServerPlace.Blocks;
    case ServerPlace.ServerInfo:
    case ServerPlace.Prompt:
    case ServerPlace.Resource:
    case ServerPlace.Template:
      return !isObject && member == ServerMember.Icons ? ServerPlace.Icons : ServerPlace.None;
    case ServerPlace.Block:
      // The result of a tool in a message for sampling has blocks of its own.
      if (member == ServerMember.Content) return isObject ? ServerPlace.Block : ServerPlace.Blocks;
      return !isObject && member == ServerMember.Icons ? ServerPlace.Icons : ServerPlace.None;
    case ServerPlace.Tool:
      if (member == ServerMember.Meta) return isObject ? ServerPlace.ToolMeta : ServerPlace.None;
      if (member == ServerMember.Annotations) return isObject ? ServerPlace.ToolAnnotations : ServerPlace.None;
      return !isObject && member == ServerMember.Icons ? ServerPlace.Icons : ServerPlace.None;
    case ServerPlace.ToolMeta:
      return isObject && member == ServerMember.Ui ? ServerPlace.ToolUi : ServerPlace.None;
    default:
      return isObject ? elementOf(parent) : ServerPlace.None;
  }
}

function objectInResult(member: ServerMember): ServerPlace {
  switch (member) {
    case ServerMember.Completion:
      return ServerPlace.Completion;
    case ServerMember.Content:
      return ServerPlace.Block;
    case ServerMember.InputRequests:
      return ServerPlace.InputRequests;
    case ServerMember.ServerInfo:
      return ServerPlace.ServerInfo;
    case ServerMember.Result:
      return ServerPlace.Result;
    default:
      return ServerPlace.None;
  }
}

function listInResult(member: ServerMember): ServerPlace {
  switch (member) {
    case ServerMember.Tools:
      return ServerPlace.Tools;
    case ServerMember.Prompts:
      return ServerPlace.Prompts;
    case ServerMember.Resources:
      return ServerPlace.Resources;
    case ServerMember.Templates:
      return ServerPlace.Templates;
    case ServerMember.Tasks:
      return ServerPlace.Tasks;
    case ServerMember.Contents:
      return ServerPlace.ContentsList;
    case ServerMember.Content:
      return ServerPlace.Blocks;
    case ServerMember.Messages:
      return ServerPlace.PromptMessages;
    default:
      return ServerPlace.None;
  }
}

/** What the objects in a list are. */
function elementOf(list: ServerPlace): ServerPlace {
  switch (list) {
    case ServerPlace.Batch:
      return ServerPlace.Message;
    case ServerPlace.InputRequests:
      return ServerPlace.InputRequest;
    case ServerPlace.Tools:
      return ServerPlace.Tool;
    case ServerPlace.Prompts:
      return ServerPlace.Prompt;
    case ServerPlace.Resources:
      return ServerPlace.Resource;
    case ServerPlace.Templates:
      return ServerPlace.Template;
    case ServerPlace.Tasks:
      return ServerPlace.Task;
    case ServerPlace.ContentsList:
      return ServerPlace.Contents;
    case ServerPlace.Blocks:
      return ServerPlace.Block;
    case ServerPlace.Icons:
      return ServerPlace.Icon;
    case ServerPlace.Elicitations:
      return ServerPlace.Elicitation;
    default:
      return ServerPlace.None;
  }
}
