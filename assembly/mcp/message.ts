// What is known of one JSON-RPC message once it has been read: the view on which a policy decides.

/** What stood in a member of which a certain type is expected. */
export const enum Kind {
  Absent,
  /** The expected type. */
  Good,
  /** Another type, or a value out of bounds. */
  Bad,
}

/** Which side of JSON-RPC a message is on (JSON-RPC 2.0 sections 4 and 5). */
export const enum Shape {
  /** A request or a notification. */
  Call,
  /** A result or an error for a request of the server. */
  Response,
}

@unmanaged
export class Message {
  shape: Shape;

  /** `method`, unescaped. */
  methodKind: Kind;
  methodAt: usize;
  methodBytes: u32;

  /** `id` as it stands in the body, quotes included. */
  idKind: Kind;
  idAt: usize;
  idBytes: u32;

  jsonrpc: Kind;
  params: Kind;
  result: Kind;
  error: Kind;

  /** `params.name`, unescaped; `nameBytes` counts what did not fit as well. */
  nameKind: Kind;
  nameAt: usize;
  nameBytes: u32;

  /** `params.uri` and `params.taskId`; their text is an entry (envelope.ts). */
  uriKind: Kind;
  taskIdKind: Kind;
  /** Whether the header `Mcp-Name` says the same. */
  uriIsMirrored: bool;
  taskIdIsMirrored: bool;

  /** `params.arguments`, `params._meta`, `params.inputResponses`: Good is an object. */
  argumentsKind: Kind;
  metaKind: Kind;
  inputResponsesKind: Kind;

  /** `params.task`, whatever its type. */
  hasTask: bool;

  /** `params.ref` and its members. */
  refKind: Kind;
  refTypeKind: Kind;
  refTypeAt: usize;
  refTypeBytes: u32;
  refNameKind: Kind;
  refUriKind: Kind;

  /** `params.argument.value`. */
  argumentValueKind: Kind;

  /** `params.notifications`: Good is an object. */
  notificationsKind: Kind;
  /** Whether `params.notifications` names a resource or a task; anything but an absent or empty list does. */
  listensToResources: bool;
  listensToTasks: bool;
  /** Whether one of the two lists, or one of their elements, has the wrong type. */
  listIsBad: bool;

  /** The protocol version in `_meta`: present in the modern era (MCP 2026-07-28, versioning), unescaped. */
  versionKind: Kind;
  versionAt: usize;
  versionBytes: u32;
  /** `_meta.traceparent`, unescaped; 0 bytes when there is none of a size that it can have. */
  traceAt: usize;
  traceBytes: u32;
  /** The client's capabilities in `_meta`: Good is an object. */
  capabilitiesKind: Kind;
}

/** Whether the message claims the modern era. */
export function isModern(message: Message): bool {
  return message.versionKind != Kind.Absent;
}
