// Why a request was refused. One append-only list: a number or a name that has been released is never used for something
// else, because the name stands in refusals, audit records, metrics and docs/reasons.md.
//
// Each reason carries the HTTP status (RFC 9110 section 15) and the JSON-RPC code of its refusal (MCP 2026-07-28 "Error
// codes"; JSON-RPC 2.0 section 5.1), the text for the client, and the configuration member that would let the request
// pass, where there is one. A refusal always has a code that MCP clients recognise: without one, a client that speaks
// both eras falls back to the older.

import { JsonError } from "../json/error";
import { Fault } from "../mcp/fault";
import { Literal } from "../memory/bytes";

export const enum Reason {
  None = 0,

  // The body is not the JSON that we accept.
  JsonSyntax,
  JsonUtf8,
  JsonBom,
  JsonSurrogate,
  JsonDuplicateMember,
  JsonTrailingData,
  JsonIncomplete,
  JsonRoot,
  JsonDepth,
  JsonMembers,
  JsonOpenMembers,
  JsonKeyBytes,

  // The JSON is not one JSON-RPC 2.0 message that we accept.
  Batch,
  NearName,
  JsonrpcVersion,
  MessageMixed,
  MethodInvalid,
  IdInvalid,
  IdMissing,
  IdUnexpected,
  ParamsInvalid,

  // The message is well-formed and not allowed.
  MethodNotListed,
  ToolNotListed,
  PromptNotListed,
  ResourceNotListed,
  TaskDenied,
  ApprovalNotConfigured,

  // The HTTP request is one that we do not take.
  HttpMethod,
  HttpUpgrade,
  BodyUnexpected,
  BodyMissing,
  BodyTooLarge,
  ContentType,
  ContentEncoding,

  // The request could not be judged.
  HeadersMode,
  Stalled,
  Overloaded,
  ConfigInvalid,
  Internal,

  // Every entry and every revision.
  UriTraversal,
  UriMalformed,
  ArgumentNotAllowed,
  HeaderMismatch,
  MetaInvalid,
  EraMixed,
  VersionUnsupported,
  OriginNotAllowed,
  HostNotAllowed,

  // Responses.
  UriNotAllowed,
  ServerRequestDenied,
  ResponseType,
  ResponseEncoded,
  ResponseInvalid,
  ResponseTooLarge,

  // Who asks.
  IdentityConflict,
  HumanRequired,

  // The trail.
  AuditUnavailable,

  // A human's approval.
  ArgumentsTooLarge,
  ApprovalPending,
  ApprovalDenied,
  ApprovalExpired,
  ApprovalReplayed,
  ApprovalSignature,
  ApprovalMismatch,
  ApprovalPrincipal,
  ApprovalUnavailable,
  ApprovalLimit,

  // On behalf of the user.
  PrincipalRequired,
  TokenInvalid,
  TokenExchangeRefused,
  TokenExchangeUnavailable,
  RateLimited,

  Count,
}

const PARSE_ERROR: i32 = -32700;
const INVALID_REQUEST: i32 = -32600;
const METHOD_NOT_FOUND: i32 = -32601;
const INVALID_PARAMS: i32 = -32602;
const INTERNAL_ERROR: i32 = -32603;
const HEADER_MISMATCH: i32 = -32020;
const UNSUPPORTED_VERSION: i32 = -32022;

/** How a refusal with a reason is answered when the message is a call with a readable id. */
export const enum Answer {
  /** By HTTP alone: the message was not read, or not as a call. No id. */
  Http,
  /** By HTTP, and with the id (MCP 2026-07-28: faults of a modern request). */
  HttpWithId,
  /** Inside JSON-RPC, with HTTP 200: the message was understood, and declined. */
  JsonRpc,
}

/** One row of the table. */
@unmanaged
export class ReasonInfo {
  name: Literal;
  /** HTTP status of the refusal when the message is no call, or has no readable id. */
  status: u32;
  /** JSON-RPC error code. */
  code: i32;
  /** Text for the client; never says more than the client knows already. */
  text: Literal;
  /** Configuration member that would let the request pass; empty when none does. */
  openedBy: Literal;
  answer: Answer;
  /** Whether the call was held for a person, so that its tool is no secret. */
  isAboutApproval: bool;
}

const table: usize = memory.data(offsetof<ReasonInfo>() * Reason.Count);

/** The row of `reason`. */
export function infoOf(reason: Reason): ReasonInfo {
  return changetype<ReasonInfo>(table + usize(reason) * offsetof<ReasonInfo>());
}

/** Fills the table. Called once per VM, before anything else of this file. */
export function initReasons(): void {
  malformed(Reason.None, "none", 500, INTERNAL_ERROR, "");
  malformed(Reason.JsonSyntax, "json_syntax", 400, PARSE_ERROR, "Parse error: not JSON (RFC 8259)");
  malformed(Reason.JsonUtf8, "json_utf8", 400, PARSE_ERROR, "Parse error: not well-formed UTF-8");
  malformed(Reason.JsonBom, "json_bom", 400, PARSE_ERROR, "Parse error: byte order mark");
  malformed(Reason.JsonSurrogate, "json_surrogate", 400, PARSE_ERROR, "Parse error: unpaired surrogate escape");
  malformed(
    Reason.JsonDuplicateMember,
    "json_duplicate_member",
    400,
    PARSE_ERROR,
    "Parse error: duplicate member name",
  );
  malformed(Reason.JsonTrailingData, "json_trailing_data", 400, PARSE_ERROR, "Parse error: data after the message");
  malformed(Reason.JsonIncomplete, "json_incomplete", 400, PARSE_ERROR, "Parse error: message is incomplete");
  malformed(Reason.JsonRoot, "json_root", 400, INVALID_REQUEST, "Invalid request: not an object");
  malformed(Reason.JsonDepth, "json_depth", 400, INVALID_REQUEST, "Invalid request: nested too deeply");
  malformed(Reason.JsonMembers, "json_members", 400, INVALID_REQUEST, "Invalid request: too many members");
  malformed(Reason.JsonOpenMembers, "json_open_members", 400, INVALID_REQUEST, "Invalid request: too many members");
  malformed(Reason.JsonKeyBytes, "json_key_bytes", 400, INVALID_REQUEST, "Invalid request: member name too long");
  opensWith(Reason.JsonDepth, "limits.depth");
  opensWith(Reason.JsonMembers, "limits.members_per_object");
  opensWith(Reason.JsonOpenMembers, "limits.open_members");
  opensWith(Reason.JsonKeyBytes, "limits.key_bytes");

  malformed(Reason.Batch, "batch", 400, INVALID_REQUEST, "Invalid request: batches are not accepted");
  malformed(Reason.NearName, "near_name", 400, INVALID_REQUEST, "Invalid request: ambiguous member name");
  malformed(Reason.JsonrpcVersion, "jsonrpc_version", 400, INVALID_REQUEST, "Invalid request: jsonrpc must be 2.0");
  malformed(Reason.MessageMixed, "message_mixed", 400, INVALID_REQUEST, "Invalid request: not one request or response");
  malformed(Reason.MethodInvalid, "method_invalid", 400, INVALID_REQUEST, "Invalid request: method");
  malformed(Reason.IdInvalid, "id_invalid", 400, INVALID_REQUEST, "Invalid request: id");
  malformed(Reason.IdMissing, "id_missing", 400, INVALID_REQUEST, "Invalid request: id is missing");
  malformed(Reason.IdUnexpected, "id_unexpected", 400, INVALID_REQUEST, "Invalid request: notification with an id");
  denial(Reason.ParamsInvalid, "params_invalid", 400, INVALID_PARAMS, "Invalid params", "");

  denial(Reason.MethodNotListed, "method_not_listed", 403, METHOD_NOT_FOUND, "Method not found", "method_allowlist");
  denial(Reason.ToolNotListed, "tool_not_listed", 403, INVALID_PARAMS, "Tool not allowed by policy", "tool_allowlist");
  denial(
    Reason.PromptNotListed,
    "prompt_not_listed",
    403,
    INVALID_PARAMS,
    "Prompt not allowed by policy",
    "prompt_allowlist",
  );
  denial(
    Reason.ResourceNotListed,
    "resource_not_listed",
    403,
    INVALID_PARAMS,
    "Resource not allowed by policy",
    "resource_roots",
  );
  denial(Reason.TaskDenied, "task_denied", 403, INVALID_PARAMS, "Tasks are not allowed by policy", "tasks");
  denial(
    Reason.ApprovalNotConfigured,
    "approval_not_configured",
    403,
    INVALID_PARAMS,
    "Tool needs an approval that is not configured",
    "approval",
  );

  malformed(Reason.HttpMethod, "http_method", 405, INVALID_REQUEST, "Method not allowed");
  malformed(Reason.HttpUpgrade, "http_upgrade", 400, INVALID_REQUEST, "Protocol upgrades are not accepted");
  malformed(Reason.BodyUnexpected, "body_unexpected", 400, INVALID_REQUEST, "A body is only accepted with POST");
  malformed(Reason.BodyMissing, "body_missing", 400, INVALID_REQUEST, "Invalid request: no body");
  malformed(Reason.BodyTooLarge, "body_too_large", 413, INVALID_REQUEST, "Request body too large");
  malformed(Reason.ContentType, "content_type", 415, PARSE_ERROR, "Content-Type must be application/json in UTF-8");
  malformed(Reason.ContentEncoding, "content_encoding", 415, PARSE_ERROR, "Content-Encoding must be identity");
  opensWith(Reason.BodyTooLarge, "limits.body_bytes");
  opensWith(Reason.HttpMethod, "unguarded");
  opensWith(Reason.ContentType, "unguarded");

  malformed(Reason.HeadersMode, "headers_mode", 503, INTERNAL_ERROR, "The guard is not set up for this proxy");
  malformed(Reason.Stalled, "stalled", 408, INVALID_REQUEST, "Request body made no progress");
  malformed(Reason.Overloaded, "overloaded", 503, INTERNAL_ERROR, "The guard is overloaded");
  malformed(Reason.ConfigInvalid, "config_invalid", 503, INTERNAL_ERROR, "The guard's configuration was refused");
  malformed(Reason.Internal, "internal", 500, INTERNAL_ERROR, "Internal error");
  opensWith(Reason.HeadersMode, "request_headers");
  opensWith(Reason.Stalled, "limits.stall_ms");
  opensWith(Reason.Overloaded, "limits.in_flight_bytes");

  denial(Reason.UriTraversal, "uri_traversal", 403, INVALID_PARAMS, "URI not allowed by policy", "uri_traversal");
  denial(Reason.UriMalformed, "uri_malformed", 403, INVALID_PARAMS, "URI not allowed by policy", "");
  denial(
    Reason.ArgumentNotAllowed,
    "argument_not_allowed",
    403,
    INVALID_PARAMS,
    "Argument not allowed by policy",
    "argument_rules",
  );
  fault(Reason.HeaderMismatch, "header_mismatch", HEADER_MISMATCH, "Header mismatch: headers and body disagree");
  fault(Reason.MetaInvalid, "meta_invalid", INVALID_PARAMS, "Invalid params: _meta lacks what this revision requires");
  fault(Reason.EraMixed, "era_mixed", INVALID_REQUEST, "Invalid request: contradictory protocol revisions");
  fault(Reason.VersionUnsupported, "version_unsupported", UNSUPPORTED_VERSION, "Unsupported protocol version");
  malformed(Reason.OriginNotAllowed, "origin_not_allowed", 403, INVALID_REQUEST, "Origin not allowed");
  malformed(Reason.HostNotAllowed, "host_not_allowed", 403, INVALID_REQUEST, "Host not allowed");
  opensWith(Reason.OriginNotAllowed, "allowed_origins");
  opensWith(Reason.HostNotAllowed, "allowed_hosts");

  denial(Reason.UriNotAllowed, "uri_not_allowed", 403, INVALID_PARAMS, "URI not allowed by policy", "response_uris");
  malformed(Reason.ServerRequestDenied, "server_request_denied", 502, INTERNAL_ERROR, "Server request not allowed");
  malformed(Reason.ResponseType, "response_type", 502, INTERNAL_ERROR, "Response of a type that cannot be read");
  malformed(
    Reason.ResponseEncoded,
    "response_encoded",
    502,
    INTERNAL_ERROR,
    "Response in a coding that cannot be read",
  );
  malformed(
    Reason.ResponseInvalid,
    "response_invalid",
    502,
    INTERNAL_ERROR,
    "Response is not a message in strict JSON",
  );
  malformed(Reason.ResponseTooLarge, "response_too_large", 502, INTERNAL_ERROR, "Response too large to be judged");
  opensWith(Reason.ServerRequestDenied, "sampling");
  opensWith(Reason.ResponseType, "unguarded");
  opensWith(Reason.ResponseTooLarge, "limits.list_bytes");

  malformed(Reason.IdentityConflict, "identity_conflict", 403, INVALID_REQUEST, "Contradictory identities");
  denial(
    Reason.HumanRequired,
    "human_required",
    403,
    INVALID_PARAMS,
    "A call must name the human behind it",
    "identity.require_human",
  );

  malformed(Reason.AuditUnavailable, "audit_unavailable", 503, INTERNAL_ERROR, "The audit trail is not available");
  infoOf(Reason.AuditUnavailable).answer = Answer.HttpWithId;
  opensWith(Reason.AuditUnavailable, "audit.required");

  denial(
    Reason.ArgumentsTooLarge,
    "arguments_too_large",
    413,
    INVALID_PARAMS,
    "Arguments are too large to be approved",
    "approval.arguments_bytes",
  );
  denial(Reason.ApprovalPending, "approval_pending", 403, INVALID_PARAMS, "A person has to approve this call", "");
  denial(Reason.ApprovalDenied, "approval_denied", 403, INVALID_PARAMS, "The call was not approved", "");
  denial(Reason.ApprovalExpired, "approval_expired", 403, INVALID_PARAMS, "The approval has expired", "");
  denial(Reason.ApprovalReplayed, "approval_replayed", 403, INVALID_PARAMS, "The approval has been used", "");
  // What is wrong with a receipt is for the operator; the three have one text.
  denial(
    Reason.ApprovalSignature,
    "approval_signature",
    403,
    INVALID_PARAMS,
    "The approval is not valid",
    "approval.keys",
  );
  denial(Reason.ApprovalMismatch, "approval_mismatch", 403, INVALID_PARAMS, "The approval is not valid", "");
  denial(Reason.ApprovalPrincipal, "approval_principal", 403, INVALID_PARAMS, "The approval is not valid", "");
  malformed(Reason.ApprovalUnavailable, "approval_unavailable", 503, INTERNAL_ERROR, "Approvals are not available");
  // No fault of the params, and MCP has no code for "too many": the status says it (RFC 6585 section 4).
  malformed(Reason.ApprovalLimit, "approval_limit", 429, INTERNAL_ERROR, "Too many calls wait for approval");
  infoOf(Reason.ApprovalUnavailable).answer = Answer.HttpWithId;
  infoOf(Reason.ApprovalLimit).answer = Answer.HttpWithId;
  opensWith(Reason.ApprovalUnavailable, "approval.service");
  opensWith(Reason.ApprovalLimit, "approval.waiting_per_principal");
  denial(
    Reason.PrincipalRequired,
    "principal_required",
    403,
    INVALID_PARAMS,
    "A call must name who makes it",
    "identity.require_principal",
  );
  malformed(Reason.TokenInvalid, "token_invalid", 401, INVALID_REQUEST, "The access token is not usable here");
  malformed(
    Reason.TokenExchangeRefused,
    "token_exchange_refused",
    401,
    INVALID_REQUEST,
    "The access token is not accepted for this server",
  );
  malformed(
    Reason.TokenExchangeUnavailable,
    "token_exchange_unavailable",
    503,
    INTERNAL_ERROR,
    "Tokens for this server are not available",
  );
  malformed(Reason.RateLimited, "rate_limited", 429, INTERNAL_ERROR, "Too many requests");
  infoOf(Reason.TokenInvalid).answer = Answer.HttpWithId;
  infoOf(Reason.TokenExchangeRefused).answer = Answer.HttpWithId;
  infoOf(Reason.TokenExchangeUnavailable).answer = Answer.HttpWithId;
  infoOf(Reason.RateLimited).answer = Answer.HttpWithId;
  opensWith(Reason.TokenInvalid, "authorization");
  opensWith(Reason.TokenExchangeUnavailable, "token_exchange.service");
  opensWith(Reason.RateLimited, "rate_limit");
  for (let reason = Reason.ApprovalPending; reason <= Reason.ApprovalPrincipal; reason++) {
    infoOf(reason).isAboutApproval = true;
  }
}

/** The reason that stands for an error of the JSON reader. */
export function reasonOfJson(error: JsonError): Reason {
  switch (error) {
    case JsonError.Syntax:
      return Reason.JsonSyntax;
    case JsonError.Utf8:
      return Reason.JsonUtf8;
    case JsonError.Bom:
      return Reason.JsonBom;
    case JsonError.Surrogate:
      return Reason.JsonSurrogate;
    case JsonError.DuplicateMember:
      return Reason.JsonDuplicateMember;
    case JsonError.TrailingData:
      return Reason.JsonTrailingData;
    case JsonError.Incomplete:
      return Reason.JsonIncomplete;
    case JsonError.ScalarRoot:
      return Reason.JsonRoot;
    case JsonError.ArrayRoot:
      return Reason.Batch;
    case JsonError.Depth:
      return Reason.JsonDepth;
    case JsonError.Members:
      return Reason.JsonMembers;
    case JsonError.OpenMembers:
      return Reason.JsonOpenMembers;
    case JsonError.KeyBytes:
      return Reason.JsonKeyBytes;
    default:
      return Reason.Internal;
  }
}

/** The reason that stands for a fault of the message; for `Fault.Json`, that of the reader's error. */
export function reasonOfFault(fault: Fault, error: JsonError): Reason {
  switch (fault) {
    case Fault.None:
      return Reason.None;
    case Fault.Json:
      return reasonOfJson(error);
    case Fault.NearName:
      return Reason.NearName;
    case Fault.JsonrpcVersion:
      return Reason.JsonrpcVersion;
    case Fault.MessageMixed:
      return Reason.MessageMixed;
    case Fault.MethodInvalid:
      return Reason.MethodInvalid;
    case Fault.IdInvalid:
      return Reason.IdInvalid;
    case Fault.IdMissing:
      return Reason.IdMissing;
    case Fault.IdUnexpected:
      return Reason.IdUnexpected;
    case Fault.ParamsInvalid:
      return Reason.ParamsInvalid;
    case Fault.HeaderMismatch:
      return Reason.HeaderMismatch;
    case Fault.MetaInvalid:
      return Reason.MetaInvalid;
    case Fault.EraMixed:
      return Reason.EraMixed;
    case Fault.VersionUnsupported:
      return Reason.VersionUnsupported;
    default:
      return Reason.Internal;
  }
}

function malformed(reason: Reason, name: Literal, status: u32, code: i32, text: Literal): void {
  const info = infoOf(reason);
  info.name = name;
  info.status = status;
  info.code = code;
  info.text = text;
  info.openedBy = "";
  info.answer = Answer.Http;
}

function denial(reason: Reason, name: Literal, status: u32, code: i32, text: Literal, openedBy: Literal): void {
  malformed(reason, name, status, code, text);
  infoOf(reason).answer = Answer.JsonRpc;
  infoOf(reason).openedBy = openedBy;
}

function fault(reason: Reason, name: Literal, code: i32, text: Literal): void {
  malformed(reason, name, 400, code, text);
  infoOf(reason).answer = Answer.HttpWithId;
}

function opensWith(reason: Reason, member: Literal): void {
  infoOf(reason).openedBy = member;
}
