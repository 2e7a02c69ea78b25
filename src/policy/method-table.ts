// What a policy does to each MCP method, as a table for people: the answer to "why was this refused, and what opens it".
//
// It mirrors the filter's own decision (assembly/policy/decide.ts), which is what counts.

/** The members of a pluginConfig that are looked at outside the filter. Everything else in a policy is the filter's to judge. */
export interface TablePolicy {
  tool_allowlist?: readonly string[];
  method_allowlist?: readonly string[];
  mode?: string;
  request_headers?: string;
  approval?: { mode?: string };
  unguarded?: readonly { methods?: readonly string[]; path?: string }[];
}

/** What happens to the methods of a row. */
export type MethodVerdict = "passes" | "by list" | "refused";

/** One row: some methods that are treated alike. */
export interface MethodRow {
  methods: string;
  verdict: MethodVerdict;
  /** Which names pass, or what else there is to know; may be empty. */
  detail: string;
  /** The member of the policy that would let (more of) these methods pass; empty when nothing has to. */
  openedBy: string;
}

/** Tools with these prefixes change things and need a user's approval, or the written decision to do without one. */
const FLAGGED_PREFIXES = ["delete", "update", "execute"];

/** The rows for one policy, in the order in which a client meets the methods. */
export function methodTable(policy: TablePolicy): MethodRow[] {
  const further = policy.method_allowlist ?? [];
  return [
    {
      methods: "initialize, ping, server/discover, logging/setLevel",
      verdict: "passes",
      detail: "",
      openedBy: "",
    },
    {
      methods: "notifications/initialized, cancelled, progress, roots/list_changed; a client's responses",
      verdict: "passes",
      detail: "",
      openedBy: "",
    },
    {
      methods: "tools/list, prompts/list, resources/list, resources/templates/list",
      verdict: "passes",
      detail: "as the server answers; lists are not filtered in this version",
      openedBy: "",
    },
    toolRow(policy),
    {
      methods: "prompts/get, completion/complete for a prompt",
      verdict: "refused",
      detail: "",
      openedBy: "prompt_allowlist",
    },
    {
      methods: "resources/read, subscribe, unsubscribe, completion/complete for a resource",
      verdict: "refused",
      detail: "",
      openedBy: "resource_roots",
    },
    {
      methods: "subscriptions/listen",
      verdict: "passes",
      detail: "refused with resource URIs or task ids in it",
      openedBy: "resource_roots, tasks",
    },
    {
      methods: "tasks/*, notifications/tasks/status, a task in params",
      verdict: "refused",
      detail: "",
      openedBy: "tasks",
    },
    ...(further.length > 0
      ? [{ methods: further.join(", "), verdict: "passes" as const, detail: "named in method_allowlist", openedBy: "" }]
      : []),
    { methods: "anything else", verdict: "refused", detail: "", openedBy: "method_allowlist" },
  ];
}

/** What a reader has to know beside the rows: what cannot be opened yet, what is not refused, what nobody looks at. */
export function policyNotes(policy: TablePolicy): string[] {
  const notes = ["prompt_allowlist, resource_roots and tasks are not in this version: their methods stay refused."];
  if (policy.mode === "monitor") notes.push("mode is monitor: what the table calls refused is recorded, and passes.");
  for (const { methods, path } of policy.unguarded ?? []) {
    notes.push(`unguarded: ${(methods ?? []).join(", ")} ${path ?? ""} passes without being read.`);
  }
  return notes;
}

const OPENED_BY: Readonly<Record<string, string>> = {
  method_not_listed: "method_allowlist",
  tool_not_listed: "tool_allowlist",
  prompt_not_listed: "prompt_allowlist",
  resource_not_listed: "resource_roots",
  task_denied: "tasks",
  approval_not_configured: "approval",
};

/** The member of the policy that would let a request pass that was refused for this reason; undefined when none would. */
export function openedBy(reason: string): string | undefined {
  return Object.hasOwn(OPENED_BY, reason) ? OPENED_BY[reason] : undefined;
}

function toolRow(policy: TablePolicy): MethodRow {
  const tools = policy.tool_allowlist ?? [];
  const unapproved = policy.approval?.mode === "off" ? [] : tools.filter(isFlagged);
  const open = tools.filter((tool) => !unapproved.includes(tool));
  const waiting = unapproved.length > 0 ? `listed, but refused without approval: ${unapproved.join(", ")}` : "";
  return {
    methods: "tools/call",
    verdict: open.length > 0 ? "by list" : "refused",
    detail: [open.join(", "), waiting].filter((part) => part !== "").join("; "),
    openedBy: unapproved.length > 0 ? "tool_allowlist, approval" : "tool_allowlist",
  };
}

function isFlagged(tool: string): boolean {
  return FLAGGED_PREFIXES.some((prefix) => tool.startsWith(prefix));
}
