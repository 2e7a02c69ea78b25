// What the guard says when it refuses: enough of docs/reasons.md to know a refusal of it when one is seen.

/** One reason as it stands in an answer. */
export interface Refusal {
  /** The JSON-RPC code. */
  readonly code: number;
  /** The message. */
  readonly text: string;
  /** Whether it is a verdict on a message that was understood: `refusal` and `refusal_detail` of the policy give it its form. */
  readonly isDenial: boolean;
}

/** All of a denial that `refusal_detail: masked` shows. */
export const MASKED_TEXT = "Unknown tool";

const refusal = (code: number, text: string): Refusal => ({ code, text, isDenial: false });
const denial = (code: number, text: string): Refusal => ({ code, text, isDenial: true });

/** The reasons of the filter by name (assembly/policy/reason.ts). */
export const REFUSALS: ReadonlyMap<string, Refusal> = new Map([
  ["json_syntax", refusal(-32700, "Parse error: not JSON (RFC 8259)")],
  ["json_utf8", refusal(-32700, "Parse error: not well-formed UTF-8")],
  ["json_bom", refusal(-32700, "Parse error: byte order mark")],
  ["json_surrogate", refusal(-32700, "Parse error: unpaired surrogate escape")],
  ["json_duplicate_member", refusal(-32700, "Parse error: duplicate member name")],
  ["json_trailing_data", refusal(-32700, "Parse error: data after the message")],
  ["json_incomplete", refusal(-32700, "Parse error: message is incomplete")],
  ["json_root", refusal(-32600, "Invalid request: not an object")],
  ["json_depth", refusal(-32600, "Invalid request: nested too deeply")],
  ["json_members", refusal(-32600, "Invalid request: too many members")],
  ["json_open_members", refusal(-32600, "Invalid request: too many members")],
  ["json_key_bytes", refusal(-32600, "Invalid request: member name too long")],
  ["batch", refusal(-32600, "Invalid request: batches are not accepted")],
  ["near_name", refusal(-32600, "Invalid request: ambiguous member name")],
  ["jsonrpc_version", refusal(-32600, "Invalid request: jsonrpc must be 2.0")],
  ["message_mixed", refusal(-32600, "Invalid request: not one request or response")],
  ["method_invalid", refusal(-32600, "Invalid request: method")],
  ["id_invalid", refusal(-32600, "Invalid request: id")],
  ["id_missing", refusal(-32600, "Invalid request: id is missing")],
  ["id_unexpected", refusal(-32600, "Invalid request: notification with an id")],
  ["params_invalid", denial(-32602, "Invalid params")],
  ["method_not_listed", denial(-32601, "Method not found")],
  ["tool_not_listed", denial(-32602, "Tool not allowed by policy")],
  ["prompt_not_listed", denial(-32602, "Prompt not allowed by policy")],
  ["resource_not_listed", denial(-32602, "Resource not allowed by policy")],
  ["task_denied", denial(-32602, "Tasks are not allowed by policy")],
  ["approval_not_configured", denial(-32602, "Tool needs an approval that is not configured")],
  ["http_method", refusal(-32600, "Method not allowed")],
  ["http_upgrade", refusal(-32600, "Protocol upgrades are not accepted")],
  ["body_unexpected", refusal(-32600, "A body is only accepted with POST")],
  ["body_missing", refusal(-32600, "Invalid request: no body")],
  ["body_too_large", refusal(-32600, "Request body too large")],
  ["content_type", refusal(-32700, "Content-Type must be application/json in UTF-8")],
  ["content_encoding", refusal(-32700, "Content-Encoding must be identity")],
  ["headers_mode", refusal(-32603, "The guard is not set up for this proxy")],
  ["stalled", refusal(-32600, "Request body made no progress")],
  ["overloaded", refusal(-32603, "The guard is overloaded")],
  ["config_invalid", refusal(-32603, "The guard's configuration was refused")],
  ["internal", refusal(-32603, "Internal error")],
  ["uri_traversal", denial(-32602, "URI not allowed by policy")],
  ["uri_malformed", denial(-32602, "URI not allowed by policy")],
  ["argument_not_allowed", denial(-32602, "Argument not allowed by policy")],
  ["header_mismatch", refusal(-32020, "Header mismatch: headers and body disagree")],
  ["meta_invalid", refusal(-32602, "Invalid params: _meta lacks what this revision requires")],
  ["era_mixed", refusal(-32600, "Invalid request: contradictory protocol revisions")],
  ["version_unsupported", refusal(-32022, "Unsupported protocol version")],
  ["origin_not_allowed", refusal(-32600, "Origin not allowed")],
  ["host_not_allowed", refusal(-32600, "Host not allowed")],
  ["uri_not_allowed", denial(-32602, "URI not allowed by policy")],
  ["server_request_denied", refusal(-32603, "Server request not allowed")],
  ["response_type", refusal(-32603, "Response of a type that cannot be read")],
  ["response_encoded", refusal(-32603, "Response in a coding that cannot be read")],
  ["response_invalid", refusal(-32603, "Response is not a message in strict JSON")],
  ["response_too_large", refusal(-32603, "Response too large to be judged")],
  ["identity_conflict", refusal(-32600, "Contradictory identities")],
  ["human_required", denial(-32602, "A call must name the human behind it")],
  ["audit_unavailable", refusal(-32603, "The audit trail is not available")],
  ["arguments_too_large", denial(-32602, "Arguments are too large to be approved")],
  ["approval_pending", denial(-32602, "A person has to approve this call")],
  ["approval_denied", denial(-32602, "The call was not approved")],
  ["approval_expired", denial(-32602, "The approval has expired")],
  ["approval_replayed", denial(-32602, "The approval has been used")],
  ["approval_signature", denial(-32602, "The approval is not valid")],
  ["approval_mismatch", denial(-32602, "The approval is not valid")],
  ["approval_principal", denial(-32602, "The approval is not valid")],
  ["approval_unavailable", refusal(-32603, "Approvals are not available")],
  ["approval_limit", refusal(-32603, "Too many calls wait for approval")],
  ["principal_required", denial(-32602, "A call must name who makes it")],
  ["token_invalid", refusal(-32600, "The access token is not usable here")],
  ["token_exchange_refused", refusal(-32600, "The access token is not accepted for this server")],
  ["token_exchange_unavailable", refusal(-32603, "Tokens for this server are not available")],
  ["rate_limited", refusal(-32603, "Too many requests")],
]);

/** Reasons for which something stands in place of a server's answer: the call has passed. */
export const IN_PLACE_OF_ANSWERS: ReadonlySet<string> = new Set([
  "uri_not_allowed",
  "server_request_denied",
  "response_type",
  "response_encoded",
  "response_invalid",
  "response_too_large",
]);

/** Reasons that say that the guard refuses everything, or may soon. */
export const UNWELL: ReadonlySet<string> = new Set([
  "headers_mode",
  "overloaded",
  "config_invalid",
  "internal",
  "audit_unavailable",
  "token_exchange_unavailable",
]);

/** Texts that servers and gateways use as well: without the reason's name they say nothing. */
const USUAL_TEXTS: ReadonlySet<string> = new Set([
  "Method not allowed",
  "Internal error",
  "Unsupported protocol version",
  "Origin not allowed",
  "Host not allowed",
  "Too many requests",
]);

/**
 * The reason of a refusal without its name, as a masked guard gives those that are no denials. `isOurs` is false where others say the same;
 * undefined for a text that no guard has.
 */
export function reasonOfText(code: number, text: string): { name: string; isOurs: boolean } | undefined {
  for (const [name, row] of REFUSALS) {
    if (!row.isDenial && row.code === code && row.text === text) return { name, isOurs: !USUAL_TEXTS.has(text) };
  }
  return undefined;
}
