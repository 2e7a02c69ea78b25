// What a server asks or tells by itself, by its method.

import { equalsLiteral } from "../memory/bytes";

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
