// The names of what the linter tells, each with what it is about. docs/commands.md has the same list.

/** What a rule of the linter is about, by its name. */
export const RULES = {
  // Errors: the filter would not take the policy, or nobody can say what it is.
  encoding: "the file is no UTF-8",
  yaml: "the file is no YAML, or has a member twice",
  resource: "a resource of Istio without a policy, or one that Kubernetes does not know",
  filter: "the filter refuses the policy; the words are its own",
  schema: "the policy does not fit the schema",

  // Warnings: names that no server could have, or not the one that is meant.
  "name-characters": "a tool's name with characters that MCP does not allow",
  "name-length": "a tool's name that is longer than MCP allows",
  "name-hidden": "a name with characters that nobody sees",
  "name-space": "a name with white space around it",
  "name-wildcard": "a name that looks like a pattern",
  "name-scripts": "a name with letters of more than one script",
  "name-alike": "two names that look alike",
  "tool-flagged": "a listed tool whose calls are refused for want of an approval",
  "tool-unflagged": "a listed tool that sounds destructive and is not flagged",

  // Warnings: how a human is asked.
  "approval-key": "a key of approval.keys that is no point of P-256",
  "approval-page": "an approval.page that people elsewhere cannot open",
  "approval-identity": "approval in mode required without identity",
  "approval-hold": "an approval.hold_seconds beyond the usual timeout of clients",

  // Warnings: roots.
  "root-inside": "a root below another one",
  "root-unreachable": "a root under which no URI passes",
  "root-no-slash": "a root that looks like a folder and has no slash at its end",
  "root-wide": "a root that allows every host or every file",
  "root-spelling": "a root in a spelling that clients do not send",

  // Warnings: argument rules.
  "argument-rule-tool": "a rule about a tool that is not listed",
  "argument-rule-pointer": "a pointer that begins above the arguments",
  "argument-rule-repeated": "a rule that stands there twice",
  "argument-rule-contradiction": "rules about one argument that no value keeps",

  // Warnings: what identities get beside everybody.
  "rule-unmatched": "an entry of a rule that no identity is",
  "rule-repeated": "an entry of rules that stands there twice",
  "rule-adds-nothing": "an entry of a rule that everybody has already",
  "rule-approval-idle": "an exemption of a rule that changes nothing",
  "principal-idle": "identity.require_principal beside require_human",

  // Warnings: tokens and rates.
  "authorization-idle": "authorization in monitor mode, which changes no header",
  "token-before-verdict": "token_exchange without request_headers: hold",
  "rate-handshake": "a rate_limit under which a client's handshake fails",
  "rate-shared": "rate_limit.per_principal without identity",
  "rate-idle": "rate_limit.per_tool without a tool",

  // Warnings: methods.
  "method-of-servers": "a listed method that only servers send",
  "method-alike": "a listed method that differs from one of the table in letter case alone",
  "method-wildcard": "a listed method that looks like a pattern",
  "skills-get-without-roots": "skills/get without resource_roots",

  // Warnings: endpoints, hosts, origins.
  "unguarded-repeated": "an unguarded endpoint that another entry has",
  "unguarded-wildcard": "an unguarded path with a star, which is no pattern",
  "unguarded-reason": "an unguarded endpoint without a reason",
  "unguarded-mcp": "an unguarded path on which servers usually speak MCP",
  "host-repeated": "an allowed host that another entry covers",
  "origin-port": "an origin with the port that browsers leave out",

  // Warnings: members without effect.
  "response-hosts-scheme": "a scheme whose URIs have no host, beside response_uris.hosts",
  "response-hosts-idle": "response_uris.hosts without a scheme",
  "response-host-port": "a host with the port that URIs leave out",
  "response-scheme-open": "a scheme that reaches into the client's machine or network, without hosts",
  "tasks-idle": "tasks: allow without a tool",
  "approval-idle": "a decision about approval that no listed tool needs",
  "redact-pointer": "a pointer that never meets what is redacted",
  "redact-repeated": "a pointer that another one covers",
  "audit-idle": "audit members that no record has",
  "audit-required-idle": "audit.required without a call that would wait",
  "record-bytes-idle": "audit.record_bytes without a text that needs the room",
  "hold-in-istio": "request_headers: hold in a resource of Istio, which cannot set what it needs",

  // Warnings: bounds.
  "limit-unreachable": "a bound that another bound keeps from ever being reached",
  "limit-modern": "a bound below what a request of 2026-07-28 needs",
  "limit-buffer": "a body_bytes above the proxy's usual buffer limit",

  // Warnings: how the file is written.
  "yaml-boolean": "a plain word that kubectl takes for true or false",
} as const;

/** The name of a rule. */
export type RuleName = keyof typeof RULES;
