// What a probe can find, by a stable name. docs/commands.md has the same list.

/** What each name says. */
export const FINDINGS = {
  // A guard enforces.
  refused: "a guard refused the call",
  refused_masked: "a guard refused the call without a reason, and a ping that only a guard refuses",
  refused_counted: "the proxy counted that its guard refused the call",
  refused_unwell: "a guard refused the call because it cannot do its work",
  tool_listed: "the call passed because the policy lists the tool",

  // None does.
  monitor: "a guard counted that it would have refused the call",
  server_answered: "the server itself answered",
  no_guard: "the server itself answered, and the proxy has no guard",
  not_in_path: "the server itself answered, and the proxy's guard has not seen the call",
  outbound: "the guard takes the listener for an outbound one",
  unguarded: "the policy names the path in unguarded",
  stand_in: "Istio's stand-in for a module that could not be fetched",

  // The answer does not tell.
  ambiguous_refusal: "a refusal in words that a masked guard and others have",
  authorization: "an AuthorizationPolicy of the proxy",
  rbac_denied: "an AuthorizationPolicy or Istio's stand-in",
  unauthorized: "401",
  forbidden: "403 in other words",
  redirect: "3xx, which is not followed",
  not_found: "404",
  no_post: "405",
  is_tls: "plain HTTP to a port of TLS",
  empty_500: "500 without a body",
  no_server: "502, 503 or 504",
  page: "a web page",
  empty: "no body, or an event stream without a message",
  no_message: "something that is no JSON-RPC",
  too_long: "more than 256 KiB",
  endless: "an answer that did not end in time",
  timeout: "no answer in time",
  refused_connection: "nothing listens there",
  no_host: "the name cannot be resolved",
  unreachable: "no way to the host",
  tls: "a certificate or a handshake that is not good",
  not_tls: "TLS to a port of plain HTTP",
  reset: "the connection was closed",
  not_http: "something that is no HTTP",
} as const;

/** The name of something that was found. */
export type FindingName = keyof typeof FINDINGS;
