// The methods of all MCP revisions that a client may send, by what they give access to. What a policy makes of them is
// decide.ts in policy/; a method that stands nowhere here is open only when the policy lists it by name.

import { equalsLiteral, startsWithLiteral } from "../memory/bytes";

/** What a method gives access to. */
export const enum Method {
  /** No method of ours: `method_allowlist` decides. */
  Other,
  /** Handshake, keep-alive, logging level, the four lists, and the notifications about them: always open. */
  Open,
  ToolsCall,
  PromptsGet,
  /** resources/read, resources/subscribe, resources/unsubscribe: `params.uri`. */
  Resource,
  /** completion/complete: `params.ref`. */
  Complete,
  /** subscriptions/listen: `params.notifications`. */
  Listen,
  /** A method about one task: `params.taskId`. */
  Task,
  /** tasks/list, and the notification about a task's status. */
  Tasks,
  /** Anything else that begins with `tasks/`. */
  UnknownTask,
}

/** The method whose name stands at `address`, compared byte for byte (MCP: method names are case-sensitive). */
export function methodOf(address: usize, bytes: u32): Method {
  if (startsWithLiteral(address, bytes, "tools/")) {
    if (equalsLiteral(address, bytes, "tools/call")) return Method.ToolsCall;
    if (equalsLiteral(address, bytes, "tools/list")) return Method.Open;
    return Method.Other;
  }
  if (startsWithLiteral(address, bytes, "notifications/")) {
    if (equalsLiteral(address, bytes, "notifications/initialized")) return Method.Open;
    if (equalsLiteral(address, bytes, "notifications/cancelled")) return Method.Open;
    if (equalsLiteral(address, bytes, "notifications/progress")) return Method.Open;
    if (equalsLiteral(address, bytes, "notifications/roots/list_changed")) return Method.Open;
    if (equalsLiteral(address, bytes, "notifications/tasks/status")) return Method.Tasks;
    return Method.Other;
  }
  if (startsWithLiteral(address, bytes, "resources/")) {
    if (equalsLiteral(address, bytes, "resources/list")) return Method.Open;
    if (equalsLiteral(address, bytes, "resources/templates/list")) return Method.Open;
    if (equalsLiteral(address, bytes, "resources/read")) return Method.Resource;
    if (equalsLiteral(address, bytes, "resources/subscribe")) return Method.Resource;
    if (equalsLiteral(address, bytes, "resources/unsubscribe")) return Method.Resource;
    return Method.Other;
  }
  if (equalsLiteral(address, bytes, "prompts/get")) return Method.PromptsGet;
  if (equalsLiteral(address, bytes, "prompts/list")) return Method.Open;
  if (equalsLiteral(address, bytes, "initialize")) return Method.Open;
  if (equalsLiteral(address, bytes, "ping")) return Method.Open;
  if (equalsLiteral(address, bytes, "server/discover")) return Method.Open;
  if (equalsLiteral(address, bytes, "logging/setLevel")) return Method.Open;
  if (equalsLiteral(address, bytes, "completion/complete")) return Method.Complete;
  if (equalsLiteral(address, bytes, "subscriptions/listen")) return Method.Listen;
  if (startsWithLiteral(address, bytes, "tasks/")) return taskMethod(address, bytes);
  return Method.Other;
}

function taskMethod(address: usize, bytes: u32): Method {
  if (equalsLiteral(address, bytes, "tasks/get")) return Method.Task;
  if (equalsLiteral(address, bytes, "tasks/result")) return Method.Task;
  if (equalsLiteral(address, bytes, "tasks/update")) return Method.Task;
  if (equalsLiteral(address, bytes, "tasks/cancel")) return Method.Task;
  if (equalsLiteral(address, bytes, "tasks/list")) return Method.Tasks;
  return Method.UnknownTask;
}

/** Whether the method is a request of the revisions up to 2025-11-25 alone (MCP 2026-07-28; SEP-2575, SEP-2663). */
export function isLegacyRequest(address: usize, bytes: u32): bool {
  if (equalsLiteral(address, bytes, "initialize")) return true;
  if (equalsLiteral(address, bytes, "ping")) return true;
  if (equalsLiteral(address, bytes, "logging/setLevel")) return true;
  if (equalsLiteral(address, bytes, "resources/subscribe")) return true;
  if (equalsLiteral(address, bytes, "resources/unsubscribe")) return true;
  if (equalsLiteral(address, bytes, "tasks/result")) return true;
  return equalsLiteral(address, bytes, "tasks/list");
}

/** Where in `params` stands what the header `Mcp-Name` repeats. */
export const enum MirrorSource {
  None,
  Name,
  Uri,
  TaskId,
}

/** What `Mcp-Name` repeats for a method (MCP 2026-07-28, and its tasks extension). */
export function mirrorOf(address: usize, bytes: u32): MirrorSource {
  if (equalsLiteral(address, bytes, "tools/call")) return MirrorSource.Name;
  if (equalsLiteral(address, bytes, "prompts/get")) return MirrorSource.Name;
  if (equalsLiteral(address, bytes, "resources/read")) return MirrorSource.Uri;
  if (equalsLiteral(address, bytes, "tasks/get")) return MirrorSource.TaskId;
  if (equalsLiteral(address, bytes, "tasks/update")) return MirrorSource.TaskId;
  if (equalsLiteral(address, bytes, "tasks/cancel")) return MirrorSource.TaskId;
  return MirrorSource.None;
}

/** Whether the name is one of a notification: MCP puts all of them, and nothing else, under this prefix. */
export function isNotification(address: usize, bytes: u32): bool {
  return startsWithLiteral(address, bytes, "notifications/");
}
