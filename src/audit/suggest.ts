// From a trail to a policy: what would have let the traffic through that was seen. The names in it are the clients', attackers
// included; nothing of it is right before a human has read it.
import { isFlagged } from "../policy/flagged.ts";
import { methodTable, openedBy } from "../policy/method-table.ts";
import { type AuditRecord, isCut } from "./record.ts";
import { mergeRoots, rootOf } from "./resource-root.ts";
import { type Count, countText, Tally } from "./tally.ts";
import { type Place, placeText } from "./trail.ts";
import { hasHidden, visible, yamlString } from "./visible.ts";

/** What a list of the policy may have, and what is counted at most. */
const NAMES_MAX = 16_384;
const ROOTS_MAX = 256;
/** Distinct roots that are counted before they are merged. */
const ROOTS_COUNTED_MAX = 4096;
const NAME_BYTES_MAX = 256;
const REASONS_MAX = 256;
/** Names that are told one by one because they cannot be proposed. */
const TOLD_MAX = 20;
/** How much of such a name is shown. */
const TOLD_CHARACTERS = 64;

/**
 * Reasons with which the lists decided, or had let the message pass: what such a message names would have to be listed. With any other reason
 * nobody knows whether the lists would have had a word.
 */
const LISTABLE: ReadonlySet<string> = new Set([
  "tool_not_listed",
  "prompt_not_listed",
  "resource_not_listed",
  "method_not_listed",
  "task_denied",
  "approval_not_configured",
  "argument_not_allowed",
  "human_required",
  "principal_required",
  "rate_limited",
  "audit_unavailable",
  "arguments_too_large",
  "approval_pending",
  "approval_denied",
  "approval_expired",
  "approval_replayed",
  "approval_signature",
  "approval_mismatch",
  "approval_principal",
  "approval_unavailable",
  "approval_limit",
  "uri_not_allowed",
  "server_request_denied",
  "response_type",
  "response_encoded",
  "response_invalid",
  "response_too_large",
]);

/** Reasons that a proposed list opens when the record has the name. */
const OPENED_BY_LISTS: ReadonlyMap<string, string> = new Map([
  ["tool_not_listed", "gen_ai.tool.name"],
  ["prompt_not_listed", "gen_ai.prompt.name"],
  ["resource_not_listed", "mcp.resource.uri"],
  ["method_not_listed", "mcp.method.name"],
  ["approval_not_configured", "gen_ai.tool.name"],
]);

/** Members whose value a record does not have, by what would be needed. */
const NOT_IN_RECORDS: Readonly<Record<string, string>> = {
  allowed_origins: "the origin",
  allowed_hosts: "the host",
  argument_rules: "the arguments",
  response_uris: "the URI",
  unguarded: "whether the endpoint is MCP",
};

const BUILT_IN: ReadonlySet<string> = new Set(
  methodTable({ tool_allowlist: [] }).flatMap(({ entries }) => entries.map(({ method }) => method)),
);
const TASK_METHODS: ReadonlySet<string> = new Set(
  methodTable({ tool_allowlist: [] })
    .filter(({ openedBy: members }) => members.includes("tasks"))
    .flatMap(({ entries }) => entries.filter(({ which }) => which === "").map(({ method }) => method)),
);

interface ReasonCount {
  readonly tally: Tally;
  readonly first: Place;
}

/** Collects what a trail has, and proposes a policy. */
export class Suggestion {
  private records = 0;
  private firstTime = "";
  private lastTime = "";
  private unguarded = 0;
  private leftOut = 0;
  private ruled = 0;
  private readonly tools = new Tally(NAMES_MAX);
  private readonly prompts = new Tally(NAMES_MAX);
  private readonly methods = new Tally(NAMES_MAX);
  private readonly roots = new Tally(ROOTS_COUNTED_MAX);
  private readonly tasks = new Tally(1);
  private readonly segments = new Tally(1);
  /** What cannot be proposed, with the reason why. */
  private readonly told = new Tally(NAMES_MAX);
  private readonly reasons = new Map<string, ReasonCount>();
  private furtherReasons = 0;

  /** Takes a record. */
  add(record: AuditRecord, place: Place): void {
    this.records++;
    if (this.firstTime === "" || record.time < this.firstTime) this.firstTime = record.time;
    if (record.time > this.lastTime) this.lastTime = record.time;
    if (record["mcp_guard.decision"] === "unguarded") this.unguarded++;
    if (record["mcp_guard.response.removed"] !== undefined) this.leftOut++;
    if (record["mcp_guard.rules"] !== undefined) this.ruled++;
    const reason = record["mcp_guard.reason"];
    const user = userOf(record);
    const isJudged = ["allow", "refuse", "would_refuse"].includes(record["mcp_guard.decision"]);
    const isOpen = isJudged && (reason === undefined || LISTABLE.has(reason)) && this.list(record, user);
    if (reason !== undefined && !isOpen) this.countReason(reason, user, place);
  }

  /** Puts what the message names into the lists. True when the lists open all that stood against it. */
  private list(record: AuditRecord, user: string | undefined): boolean {
    const reason = record["mcp_guard.reason"];
    const method = record["mcp.method.name"];
    const tool = record["gen_ai.tool.name"];
    const prompt = record["gen_ai.prompt.name"];
    const uri = record["mcp.resource.uri"];
    if (tool !== undefined) this.name(record, "gen_ai.tool.name", "tool", this.tools, user);
    if (prompt !== undefined) this.name(record, "gen_ai.prompt.name", "prompt", this.prompts, user);
    if (uri !== undefined) this.uri(record, uri, user);
    let isOpen = reason === undefined || record[OPENED_BY_LISTS.get(reason) ?? ""] !== undefined;
    if (method !== undefined && (BUILT_IN.has(method) || method.startsWith("tasks/"))) {
      // No member opens a method of the table, nor one under tasks/ that no revision has.
      if (reason === "method_not_listed") isOpen = false;
    } else if (method !== undefined) {
      this.method(record, method, user);
    }
    const isTask = reason === "task_denied" || record["mcp_guard.rule"] === "tasks" || TASK_METHODS.has(method ?? "");
    if (isTask && !(method?.startsWith("tasks/") && !TASK_METHODS.has(method))) {
      this.tasks.add("tasks", user);
      if (reason === "task_denied") isOpen = true;
    }
    return isOpen;
  }

  private name(record: AuditRecord, member: string, what: string, list: Tally, user: string | undefined): void {
    const name = record[member] as string;
    if (isCut(record, member)) this.tell(what, name, "it is cut in the record", user);
    else if (name === "") this.tell(what, name, "no policy can list an empty name", user);
    else if (/\p{Cs}/u.test(name)) this.tell(what, name, "it is no text that a client can send", user);
    else if (Buffer.byteLength(name) > NAME_BYTES_MAX) this.tell(what, name, "longer than 256 bytes", user);
    else list.add(name, user);
  }

  private uri(record: AuditRecord, uri: string, user: string | undefined): void {
    if (isCut(record, "mcp.resource.uri")) {
      this.tell("resource", uri, "it is cut in the record", user);
      return;
    }
    const root = rootOf(uri);
    if (root === undefined) {
      this.tell("resource", uri, "it gives no root; write one by hand", user);
      return;
    }
    this.roots.add(root, user);
    // It passed, or only its root was missing, so `..` inside a segment is allowed already.
    if (uri.includes("..")) this.segments.add("segment", user);
  }

  private method(record: AuditRecord, method: string, user: string | undefined): void {
    if (isCut(record, "mcp.method.name")) this.tell("method", method, "it is cut in the record", user);
    else if (!/^[!-~]{1,128}$/.test(method)) this.tell("method", method, "no policy can list such a method", user);
    else this.methods.add(method, user);
  }

  private tell(what: string, name: string, why: string, user: string | undefined): void {
    const shown = name.length > TOLD_CHARACTERS ? `${cutText(name)}...` : name;
    this.told.add(`${what} ${visible(shown)}: ${why}`, user);
  }

  private countReason(reason: string, user: string | undefined, { file, line }: Place): void {
    let count = this.reasons.get(reason);
    if (count === undefined) {
      if (this.reasons.size >= REASONS_MAX) {
        this.furtherReasons++;
        return;
      }
      count = { tally: new Tally(1), first: { file, line } };
      this.reasons.set(reason, count);
    }
    count.tally.add(reason, user);
  }

  /**
   * The policy as lines of YAML.
   * @param notes further sentences about what was read, for the end.
   */
  render(notes: readonly string[] = []): string[] {
    const tools = this.tools.sorted();
    const roots = mergeRoots(this.roots.sorted());
    const period = this.records === 0 ? "" : `, ${visible(this.firstTime)} to ${visible(this.lastTime)}`;
    return [
      `# Proposed by mcp-guard audit suggest from ${this.records} records${period}.`,
      "# It lets through what was seen, and whoever could send requests had a say in that. Read each line before you use it.",
      "# What records do not have is missing: argument_rules, allowed_origins, limits and other members of the policy in force.",
      ...listLines("tool_allowlist", tools, (name) =>
        isFlagged(name) ? "needs approval: refused while the policy has no member approval" : "",
      ),
      ...(this.prompts.sorted().length > 0 ? listLines("prompt_allowlist", this.prompts.sorted()) : []),
      ...(roots.length > 0 ? listLines("resource_roots", roots.slice(0, ROOTS_MAX)) : []),
      ...this.tasks.sorted().map((count) => `tasks: allow  # ${countText(count)}`),
      ...this.segments
        .sorted()
        .map((count) => `uri_traversal: segment  # ${countText(count)} with .. inside a segment`),
      ...(this.methods.sorted().length > 0 ? listLines("method_allowlist", this.methods.sorted()) : []),
      ...this.reasonLines(),
      ...this.toldLines(roots),
      ...this.noteLines(notes),
    ];
  }

  private reasonLines(): string[] {
    if (this.reasons.size === 0) return [];
    const rows = [...this.reasons]
      .map(([reason, { tally, first }]) => ({ reason, first, count: tally.sorted()[0] as Count }))
      .sort((a, b) => b.count.times - a.count.times || (a.reason < b.reason ? -1 : 1));
    return [
      "#",
      "# No list opens these. Look at each (docs/reasons.md):",
      ...rows.map(({ reason, first, count }) => {
        const where = visible(placeText(first));
        return `#   ${visible(reason)}: ${countText(count)}, first at ${where}; ${opening(reason)}`;
      }),
      ...(this.furtherReasons > 0 ? [`#   further reasons: ${this.furtherReasons} times`] : []),
    ];
  }

  private toldLines(roots: readonly Count[]): string[] {
    const told = this.told.sorted();
    const lines = told.slice(0, TOLD_MAX).map((count) => `#   ${count.name}: ${countText(count)}`);
    if (told.length > TOLD_MAX) lines.push(`#   and ${told.length - TOLD_MAX} more`);
    for (const root of roots.slice(ROOTS_MAX, ROOTS_MAX + TOLD_MAX)) {
      lines.push(`#   root ${visible(root.name)}: a policy has at most ${ROOTS_MAX} roots: ${countText(root)}`);
    }
    if (roots.length > ROOTS_MAX + TOLD_MAX) lines.push(`#   and ${roots.length - ROOTS_MAX - TOLD_MAX} more roots`);
    for (const [what, { overflow }] of [
      ["tools", this.tools],
      ["prompts", this.prompts],
      ["methods", this.methods],
      ["roots", this.roots],
      ["of these", this.told],
    ] as const) {
      if (overflow > 0) lines.push(`#   further ${what}, too many to count each: ${overflow} times`);
    }
    return lines.length === 0 ? [] : ["#", "# Not proposed:", ...lines];
  }

  private noteLines(notes: readonly string[]): string[] {
    const lines = [...notes];
    if (this.unguarded > 0) {
      lines.push(`${this.unguarded} exchanges were with endpoints of unguarded: keep that member`);
    }
    if (this.leftOut > 0) {
      lines.push(`of ${this.leftOut} responses something was left out, or would have been (docs/responses.md)`);
    }
    if (this.ruled > 0) {
      lines.push(
        `${this.ruled} exchanges were of identities that rules give more than others: what they used is proposed above for everybody`,
      );
    }
    return lines.length === 0 ? [] : ["#", "# Also:", ...lines.map((line) => `#   ${line}`)];
  }
}

function listLines(member: string, counts: readonly Count[], remark: (name: string) => string = () => ""): string[] {
  if (counts.length === 0) return [`${member}: []`];
  return [
    `${member}:`,
    ...counts.map((count) => {
      const remarks = [countText(count), remark(count.name), lettersRemark(count.name)].filter((text) => text !== "");
      return `  - ${yamlString(count.name)}  # ${remarks.join("; ")}`;
    }),
  ];
}

/** Two names can look alike and be two. */
function lettersRemark(name: string): string {
  if (hasHidden(name)) return "has characters that nobody sees";
  return /[^\x20-\x7e]/.test(name) ? "has letters beyond ASCII" : "";
}

function opening(reason: string): string {
  const member = openedBy(reason);
  if (member === undefined) return "no member opens it";
  if (OPENED_BY_LISTS.has(reason)) return `opened by ${member} in general, not here`;
  const lacking = Object.hasOwn(NOT_IN_RECORDS, member) ? NOT_IN_RECORDS[member] : undefined;
  return lacking === undefined ? `opened by ${member}` : `opened by ${member}; records do not say ${lacking}`;
}

/** A user is one of an issuer: two issuers may have an `alice` each. */
function userOf(record: AuditRecord): string | undefined {
  const user = record["user.id"];
  return user === undefined ? undefined : JSON.stringify([record["mcp_guard.user.issuer"], user]);
}

/** The beginning of a text, not in the middle of a character. */
function cutText(text: string): string {
  return text.slice(0, TOLD_CHARACTERS).replace(/[\ud800-\udbff]$/, "");
}
