// The compiled policy: what config/ makes of one plugin configuration, and decide() reads. Immutable once compiled, and
// owned by the guard (root context) that was configured with it.

import { JsonLimits } from "../json/reader";
import { Traversal } from "../uri/rules";
import { Approver, freeApprover } from "./approver";
import { ArgumentRule, freeArgumentRules } from "./argument-rule";
import { Collector } from "./collector";
import { freeIdentity, Identity } from "./identity";
import { freeNameSet, NameSet } from "./name-set";
import { freeRateLimit, RateLimit } from "./rate-limit";
import { freeRules, Rules } from "./rules";
import { freeTokenService, TokenService } from "./token-service";

/** `mode`. */
export const enum Mode {
  Enforce,
  Monitor,
}

/** `refusal`: how a refused request with a readable id is answered. */
export const enum RefusalForm {
  JsonrpcError,
  ToolError,
  Http403,
}

/** `refusal_detail`. */
export const enum RefusalDetail {
  Explain,
  Masked,
}

/** `request_headers`. */
export const enum RequestHeaders {
  Release,
  Hold,
}

/** `request_body`. */
export const enum RequestBody {
  Whole,
  Stream,
}

/** `direction`. */
export const enum Direction {
  Inbound,
  Both,
}

/** `hidden_text`: what happens to characters that are not seen in what a server announces. */
export const enum HiddenText {
  Strip,
  Drop,
  Allow,
}

/** `audit.line`: whether each exchange leaves a record in filter state. */
export const enum AuditLine {
  Json,
  None,
}

/** `audit.arguments`, `audit.response`: what a record has of a call's arguments and of a response's body. */
export const enum AuditBody {
  None,
  Digest,
  /** The digest, and the text without what the policy names; or all of it. */
  Redacted,
  Full,
}

/** `audit.required`: which calls wait until the collector has acknowledged their record. */
export const enum AuditRequired {
  None,
  /** Of tools whose calls a human must approve. */
  Approval,
  All,
}

/** `authorization`: what becomes of a request's Authorization header (RFC 9110 section 11.6.2). */
export const enum Authorization {
  Pass,
  Strip,
  /** Another token of the same user stands in its place. */
  Exchange,
}

@unmanaged
export class Policy {
  /** `tool_allowlist` and `method_allowlist`; null only while the configuration is being read. */
  tools: NameSet | null;
  methods: NameSet | null;
  /** `prompt_allowlist`, `resource_roots`, `allowed_origins`, `allowed_hosts`; null when the member is absent. */
  prompts: NameSet | null;
  resourceRoots: NameSet | null;
  allowedOrigins: NameSet | null;
  allowedHosts: NameSet | null;
  /** `response_uris.schemes`; null when the member is absent: `https` alone. */
  responseSchemes: NameSet | null;
  /** `response_uris.hosts`; null when the member is absent: any host. */
  responseHosts: NameSet | null;
  /** First entry of `argument_rules`, or null. */
  argumentRules: ArgumentRule | null;
  /** `tasks: allow`. */
  tasksAllowed: bool;
  traversal: Traversal;
  /** First entry of `unguarded`, or null. */
  unguarded: Unguarded | null;
  mode: Mode;
  refusal: RefusalForm;
  refusalDetail: RefusalDetail;
  requestHeaders: RequestHeaders;
  requestBody: RequestBody;
  direction: Direction;
  /** `approval: {mode: off}`: flagged tools pass without a human's approval. */
  approvalOff: bool;
  /** `approval.tools`: flagged whatever their names are; `approval.exempt`: not flagged. Null when the member is absent. */
  approvalTools: NameSet | null;
  approvalExempt: NameSet | null;
  /** `approval: {mode: required}`: who is asked; null otherwise. */
  approver: Approver | null;
  /** `sampling: allow`. */
  samplingAllowed: bool;
  /** Not `elicitation: deny`, not `roots: deny`. */
  elicitationAllowed: bool;
  rootsAllowed: bool;
  hiddenText: HiddenText;
  /** Null when the member is absent: then nobody is asked who calls. */
  identity: Identity | null;
  /** `metrics.tools`: how many listed tools have counters of their own. */
  metricTools: u32;
  auditLine: AuditLine;
  auditArguments: AuditBody;
  auditResponse: AuditBody;
  /** `audit.record_bytes`. */
  recordBytes: u32;
  /** `audit.redact`, or null; and of responses what nobody may record, then `audit.redact_response`: rules of which only the pointer counts. */
  redactedArguments: ArgumentRule | null;
  redactedResponse: ArgumentRule | null;
  /** `audit.otlp`; null when the member is absent. */
  collector: Collector | null;
  auditRequired: AuditRequired;
  authorization: Authorization;
  /** `token_exchange`; null when the member is absent. */
  tokenService: TokenService | null;
  /** `rate_limit`; null when the member is absent. */
  rateLimit: RateLimit | null;
  /** `rules`; null when there are none. */
  rules: Rules | null;
  /** What anybody may call or get, by `tools` and `prompts` or by a rule: the same sets when no rule adds to them. They number the names. */
  allTools: NameSet | null;
  allPrompts: NameSet | null;
  json: JsonLimits;
  bodyBytesMax: u32;
  stallMs: u32;
  inFlightBytesMax: u32;
  listBytesMax: u32;
  eventBytesMax: u32;
}

/** One entry of `unguarded`: an endpoint of the same workload that is not MCP. */
@unmanaged
export class Unguarded {
  next: Unguarded | null;
  /** Bits of HttpMethod. */
  methods: u32;
  pathAt: usize;
  pathBytes: u32;
  /** Why, in the operator's words; may be empty. */
  reasonAt: usize;
  reasonBytes: u32;
}

/** The HTTP methods that an `unguarded` entry can name, as bits. */
export const enum HttpMethod {
  None = 0,
  Post = 1,
  Get = 2,
  Head = 4,
  Delete = 8,
  Options = 16,
  Put = 32,
  Patch = 64,
}

/** A policy in which nothing is set. Freed with `freePolicy`. */
export function allocatePolicy(): Policy {
  const policy = changetype<Policy>(heap.alloc(offsetof<Policy>()));
  memory.fill(changetype<usize>(policy), 0, offsetof<Policy>());
  policy.json = changetype<JsonLimits>(heap.alloc(offsetof<JsonLimits>()));
  return policy;
}

function freeNames(names: NameSet | null): void {
  if (names !== null) freeNameSet(names);
}

/** Frees a policy with all that it owns. */
export function freePolicy(policy: Policy): void {
  if (policy.allTools !== policy.tools) freeNames(policy.allTools);
  if (policy.allPrompts !== policy.prompts) freeNames(policy.allPrompts);
  freeNames(policy.tools);
  freeNames(policy.methods);
  freeNames(policy.prompts);
  freeNames(policy.resourceRoots);
  freeNames(policy.allowedOrigins);
  freeNames(policy.allowedHosts);
  freeNames(policy.responseSchemes);
  freeNames(policy.responseHosts);
  freeNames(policy.approvalTools);
  freeNames(policy.approvalExempt);
  const identity = policy.identity;
  if (identity !== null) freeIdentity(identity);
  const collector = policy.collector;
  if (collector !== null) heap.free(changetype<usize>(collector));
  const approver = policy.approver;
  if (approver !== null) freeApprover(approver);
  freeArgumentRules(policy.argumentRules);
  freeArgumentRules(policy.redactedArguments);
  freeArgumentRules(policy.redactedResponse);
  const service = policy.tokenService;
  if (service !== null) freeTokenService(service);
  const limit = policy.rateLimit;
  if (limit !== null) freeRateLimit(limit);
  const rules = policy.rules;
  if (rules !== null) freeRules(rules);
  let entry = policy.unguarded;
  while (entry !== null) {
    const after = entry.next;
    // Path and reason stand behind the record, in one block.
    heap.free(changetype<usize>(entry));
    entry = after;
  }
  heap.free(changetype<usize>(policy.json));
  heap.free(changetype<usize>(policy));
}
