// What a policy does to each MCP method, as a table for people: the answer to "why was this refused, and what opens it".
// `make run` prints it; docs/policy.md and README.md contain it as Markdown.
//
// It mirrors the filter's own decision (assembly/policy/decide.ts), which is what counts.

import { type ApprovalMember, isFlagged } from "./flagged.ts";
import { type PolicyRule, type RuledList, ruledNames, ruledText, ruleNotes } from "./rule-text.ts";

/** The members of a pluginConfig that are looked at outside the filter. Everything else in a policy is the filter's to judge. */
export interface TablePolicy {
  tool_allowlist?: readonly string[];
  prompt_allowlist?: readonly string[];
  resource_roots?: readonly string[];
  method_allowlist?: readonly string[];
  tasks?: string;
  uri_traversal?: string;
  argument_rules?: readonly { tool?: string; pointer?: string }[];
  mode?: string;
  request_headers?: string;
  allowed_origins?: readonly string[];
  allowed_hosts?: readonly string[];
  approval?: ApprovalMember;
  unguarded?: readonly { methods?: readonly string[]; path?: string }[];
  identity?: { require_human?: boolean; require_principal?: boolean };
  rules?: readonly PolicyRule[];
  authorization?: string;
  token_exchange?: { service?: { authority?: string }; audience?: string; resource?: string };
  rate_limit?: { per_principal?: RateMember; per_tool?: RateMember };
}

/** One member of `rate_limit`. */
interface RateMember {
  requests?: number;
  seconds?: number;
  burst?: number;
}

/** What happens to the messages of a row. */
export type MethodVerdict = "passes" | "by list" | "refused";

/** One kind of message: a method, or a method under a condition, or what has no method of its own. */
export interface MethodEntry {
  /** The method, exactly; empty when the entry is not about a single one. */
  method: string;
  /** Which of its messages; empty when all are meant. */
  which: string;
}

/** One row: messages that are treated alike. */
export interface MethodRow {
  entries: readonly MethodEntry[];
  verdict: MethodVerdict;
  /** For "by list": the names that pass for everybody, or the roots under which URIs pass. */
  listed: readonly string[];
  /** What else there is to know; may be empty. */
  detail: string;
  /** The members of the policy that would let (more of) these messages pass; empty when none would. */
  openedBy: readonly string[];
}

/** Requests that MCP 2026-07-28 has no more. */
export const LEGACY_REQUESTS: readonly string[] = [
  "initialize",
  "ping",
  "logging/setLevel",
  "resources/subscribe",
  "resources/unsubscribe",
  "tasks/result",
  "tasks/list",
];

/** The one method outside the table whose parameters the filter knows: `params.uri` is a resource. */
const SKILLS_GET = "skills/get";

/** The rows for one policy, in the order in which a client meets the methods. */
export function methodTable(policy: TablePolicy): MethodRow[] {
  const further = (policy.method_allowlist ?? []).filter((method) => method !== SKILLS_GET);
  return [
    passes(methods("initialize", "ping", "server/discover", "logging/setLevel")),
    passes(
      methods(
        "notifications/initialized",
        "notifications/cancelled",
        "notifications/progress",
        "notifications/roots/list_changed",
      ),
    ),
    passes([{ method: "", which: "a client's responses" }], "a root in them must keep the URI rules"),
    passes(
      methods("tools/list", "prompts/list", "resources/list", "resources/templates/list"),
      "with what is listed; the rest is left out of the answer",
    ),
    toolRow(policy),
    listRow(
      [
        { method: "prompts/get", which: "" },
        { method: "completion/complete", which: "for a prompt" },
      ],
      policy,
      "prompt_allowlist",
    ),
    listRow(
      [
        ...methods("resources/read", "resources/subscribe", "resources/unsubscribe"),
        { method: "completion/complete", which: "for a resource" },
        { method: "subscriptions/listen", which: "with resource URIs" },
      ],
      policy,
      "resource_roots",
    ),
    passes([{ method: "subscriptions/listen", which: "without resource URIs and task ids" }]),
    taskRow(policy),
    { ...refused([{ method: "", which: "any other tasks/ method" }]), detail: "no revision has one" },
    ...skillsRow(policy),
    ...(further.length > 0 ? [passes(methods(...further), "named in method_allowlist")] : []),
    { ...refused([{ method: "", which: "anything else" }]), openedBy: ["method_allowlist"] },
  ];
}

/** An entry in words. */
export function entryText({ method, which }: MethodEntry): string {
  return [method, which].filter((part) => part !== "").join(" ");
}

/** The verdict of a row in words, with its names. */
export function verdictText(row: MethodRow): string {
  const rest = [row.listed.join(", "), row.detail].filter((part) => part !== "").join("; ");
  return rest === "" ? row.verdict : `${row.verdict}: ${rest}`;
}

/** The table of a policy as lines of Markdown. */
export function renderMethodTable(policy: TablePolicy): string[] {
  const entry = ({ method, which }: MethodEntry) =>
    [method === "" ? "" : code(method), cell(which)].filter((part) => part !== "").join(" ");
  return [
    "| method | verdict | opened by |",
    "| --- | --- | --- |",
    ...methodTable(policy).map((row) => {
      const verdict = [row.listed.map(code).join(", "), cell(row.detail)].filter((part) => part !== "").join("; ");
      const cells = [
        row.entries.map(entry).join(", "),
        [row.verdict, verdict].filter((part) => part !== "").join(": "),
        row.openedBy.map(code).join(", "),
      ];
      return `${cells.map((text) => `| ${text}`.trimEnd()).join(" ")} |`;
    }),
  ];
}

/** What a reader has to know beside the rows: what is not refused, what is refused besides, what nobody looks at. */
export function policyNotes(policy: TablePolicy): string[] {
  const notes: string[] = [];
  if (policy.mode === "monitor") notes.push("mode is monitor: what the table calls refused is recorded, and passes.");
  for (const { tool, pointer } of policy.argument_rules ?? []) {
    notes.push(`argument_rules: tools/call ${tool ?? ""} is also refused when ${pointer ?? ""} breaks its rule.`);
  }
  if (policy.uri_traversal === "segment") notes.push("uri_traversal is segment: .. inside a segment of a URI passes.");
  const origins = policy.allowed_origins ?? [];
  notes.push(
    origins.length > 0
      ? `allowed_origins: requests of web pages pass from ${origins.join(", ")}.`
      : "allowed_origins is empty: a request with an Origin header, as web pages send it, is refused.",
  );
  if (policy.allowed_hosts !== undefined) {
    notes.push(`allowed_hosts: requests pass for ${policy.allowed_hosts.join(", ")} only.`);
  }
  if (policy.identity?.require_human === true) {
    notes.push(
      "identity.require_human: what acts in somebody's name is refused unless a token or a gateway names a human.",
    );
  } else if (policy.identity?.require_principal === true) {
    notes.push(
      "identity.require_principal: what acts in somebody's name is refused unless a token, a gateway or a certificate names somebody.",
    );
  }
  notes.push(...ruleNotes(policy.rules ?? []), ...tokenNotes(policy), ...rateNotes(policy));
  for (const { methods, path } of policy.unguarded ?? []) {
    notes.push(`unguarded: ${(methods ?? []).join(", ")} ${path ?? ""} passes without being read.`);
  }
  notes.push(`requests of revision 2026-07-28 have no ${LEGACY_REQUESTS.join(", ")}: there these are refused.`);
  return notes;
}

/** What becomes of a caller's token. */
function tokenNotes({ authorization, token_exchange: exchange }: TablePolicy): string[] {
  if (authorization === "strip") return ["authorization is strip: no Authorization header reaches the server."];
  if (authorization !== "exchange") return [];
  const audience = [exchange?.audience, exchange?.resource].filter((text) => text !== undefined).join(" at ");
  const service = exchange?.service?.authority ?? "";
  return [
    `authorization is exchange: in place of the caller's token the server gets one of ${service} for ${audience}.`,
  ];
}

function rateNotes({ rate_limit: limits }: TablePolicy): string[] {
  const rate = (member: RateMember | undefined, what: string, who: string): string[] => {
    if (member === undefined) return [];
    const { requests = 0, seconds = 0, burst = requests } = member;
    return [`rate_limit: ${requests} ${what} in ${seconds} seconds, ${burst} at once, for each ${who} and worker.`];
  };
  return [...rate(limits?.per_principal, "messages", "principal"), ...rate(limits?.per_tool, "calls", "tool")];
}

const OPENED_BY: Readonly<Record<string, string>> = {
  method_not_listed: "method_allowlist",
  tool_not_listed: "tool_allowlist",
  prompt_not_listed: "prompt_allowlist",
  resource_not_listed: "resource_roots",
  task_denied: "tasks",
  approval_not_configured: "approval",
  uri_traversal: "uri_traversal",
  argument_not_allowed: "argument_rules",
  origin_not_allowed: "allowed_origins",
  host_not_allowed: "allowed_hosts",
  http_method: "unguarded",
  content_type: "unguarded",
  body_too_large: "limits.body_bytes",
  json_depth: "limits.depth",
  json_members: "limits.members_per_object",
  json_open_members: "limits.open_members",
  json_key_bytes: "limits.key_bytes",
  headers_mode: "request_headers",
  stalled: "limits.stall_ms",
  overloaded: "limits.in_flight_bytes",
  uri_not_allowed: "response_uris",
  server_request_denied: "sampling",
  response_type: "unguarded",
  response_too_large: "limits.list_bytes",
  human_required: "identity.require_human",
  audit_unavailable: "audit.required",
  arguments_too_large: "approval.arguments_bytes",
  approval_signature: "approval.keys",
  approval_unavailable: "approval.service",
  approval_limit: "approval.waiting_per_principal",
  principal_required: "identity.require_principal",
  token_invalid: "authorization",
  token_exchange_unavailable: "token_exchange.service",
  rate_limited: "rate_limit",
};

/** The member of the policy that would let a request pass that was refused for this reason; undefined when none would. */
export function openedBy(reason: string): string | undefined {
  return Object.hasOwn(OPENED_BY, reason) ? OPENED_BY[reason] : undefined;
}

function methods(...names: string[]): MethodEntry[] {
  return names.map((method) => ({ method, which: "" }));
}

function passes(entries: readonly MethodEntry[], detail = ""): MethodRow {
  return { entries, verdict: "passes", listed: [], detail, openedBy: [] };
}

function refused(entries: readonly MethodEntry[]): MethodRow {
  return { entries, verdict: "refused", listed: [], detail: "", openedBy: [] };
}

/** Messages that name something, which passes when the member lists it, or for some when a rule does. */
function listRow(entries: readonly MethodEntry[], policy: TablePolicy, member: RuledList): MethodRow {
  const listed = policy[member] ?? [];
  const ruled = ruledNames(policy.rules ?? [], member);
  return {
    entries,
    verdict: listed.length > 0 || ruled.size > 0 ? "by list" : "refused",
    listed,
    detail: ruled.size > 0 ? `for some also ${ruledText(ruled)}` : "",
    openedBy: policy.rules === undefined ? [member] : [member, "rules"],
  };
}

function toolRow(policy: TablePolicy): MethodRow {
  const tools = policy.tool_allowlist ?? [];
  const rules = policy.rules ?? [];
  const all = new Set([...tools, ...ruledNames(rules, "tool_allowlist").keys()]);
  const flagged = policy.approval?.mode === "off" ? [] : [...all].filter((tool) => isFlagged(tool, policy.approval));
  const isAsked = policy.approval?.mode === "required";
  const unapproved = isAsked ? [] : flagged;
  const row = listRow(
    methods("tools/call"),
    { ...policy, tool_allowlist: tools.filter((tool) => !unapproved.includes(tool)) },
    "tool_allowlist",
  );
  if (flagged.length === 0) return row;
  const label = isAsked ? "after a human's approval" : "listed, but refused without approval";
  const isExempted = rules.some(({ approval }) => approval !== undefined);
  const approvals = `${label}${isExempted ? ", but for whom a rule exempts" : ""}: ${flagged.join(", ")}`;
  return {
    ...row,
    detail: [row.detail, approvals].filter((text) => text !== "").join("; "),
    openedBy: isAsked ? row.openedBy : [...row.openedBy, "approval"],
  };
}

function taskRow(policy: TablePolicy): MethodRow {
  const entries = [
    ...methods("tasks/get", "tasks/result", "tasks/update", "tasks/cancel", "tasks/list", "notifications/tasks/status"),
    { method: "", which: "a task in the params of any method" },
    { method: "subscriptions/listen", which: "with task ids" },
  ];
  if (policy.tasks !== "allow") return { ...refused(entries), openedBy: ["tasks"] };
  return passes(entries, "where the rest of the message may pass");
}

function skillsRow(policy: TablePolicy): MethodRow[] {
  if (!policy.method_allowlist?.includes(SKILLS_GET)) return [];
  return [{ ...listRow(methods(SKILLS_GET), policy, "resource_roots") }];
}

/** A text of the policy as code in a cell of a table. */
function code(text: string): string {
  return `\`${cell(text)}\``;
}

/** Text for a cell of a table: what would end the cell or the code in it does not. */
function cell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("`", "'").replaceAll(/\s+/g, " ");
}
