// A record for people to read: one line, and a second one when there is more to say.
import { type Claimed, escapeUnits } from "./record.ts";
import { visible } from "./visible.ts";

const NOTHING = "-";

/** Which records are wanted: those that have one of the values of each list that is not empty. */
export interface Wanted {
  readonly users: readonly string[];
  readonly decisions: readonly string[];
  readonly tools: readonly string[];
}

/** Whether a record is wanted. */
export function isWanted(record: Claimed, { users, decisions, tools }: Wanted): boolean {
  return (
    isOneOf(record["user.id"], users) &&
    isOneOf(record["mcp_guard.decision"], decisions) &&
    isOneOf(record["gen_ai.tool.name"], tools)
  );
}

function isOneOf(value: unknown, wanted: readonly string[]): boolean {
  return wanted.length === 0 || (typeof value === "string" && wanted.includes(value));
}

/**
 * A record as one or two lines: time, decision and reason, user, what was asked for, status, durations; below it what most exchanges do not
 * have. The record may be any object: what is not there is a dash, what is of another type is shown as it is.
 */
export function renderRecord(record: Claimed): string[] {
  const decision = [record["mcp_guard.decision"], record["mcp_guard.reason"]].filter(isThere).map(text).join(" ");
  const status = [record["http.response.status_code"], record["rpc.response.status_code"]].filter(isThere);
  const first = [
    text(record.time),
    decision === "" ? NOTHING : decision,
    text(record["user.id"]),
    subject(record),
    status.length === 0 ? NOTHING : status.map(text).join(" "),
    durations(record),
  ];
  const more = details(record);
  return [first.join("  "), ...(more === "" ? [] : [`    ${more}`])];
}

/** A record as JSON on several lines, in ASCII. */
export function renderJson(record: Claimed): string[] {
  return JSON.stringify(record, undefined, 2)
    .split("\n")
    .map((line) => line.replaceAll(/[^\x20-\x7e]/g, escapeUnits));
}

function subject(record: Claimed): string {
  const method = record["mcp.method.name"];
  const named = ["gen_ai.tool.name", "gen_ai.prompt.name", "mcp.resource.uri"].map((name) => record[name]);
  const parts = isThere(method) ? [method, ...named] : [record["http.request.method"], record["url.path"], ...named];
  const shown = parts.filter(isThere).map(text).join(" ");
  return shown === "" ? NOTHING : shown;
}

function durations(record: Claimed): string {
  const parts = ["total", "guard", "server"].flatMap((name) => {
    const microseconds = record[`mcp_guard.duration.${name}_us`];
    return typeof microseconds === "number" ? [`${name} ${(microseconds / 1000).toFixed(3)} ms`] : [];
  });
  return parts.length === 0 ? NOTHING : parts.join(", ");
}

function details(record: Claimed): string {
  const actors = record["mcp_guard.user.act"];
  const rules = record["mcp_guard.rules"];
  const error = record["error.type"] === record["mcp_guard.reason"] ? undefined : record["error.type"];
  const labels: [string, string][] = [
    ["issuer", text(record["mcp_guard.user.issuer"])],
    ["acting", Array.isArray(actors) ? actors.map(text).join(" for ") : text(actors)],
    ["workload", text(record["mcp_guard.workload"])],
    ["rules", Array.isArray(rules) ? rules.map(text).join(", ") : text(rules)],
    ["token", text(record["mcp_guard.token.exchange"])],
    ["approval", text(record["mcp_guard.approval.id"])],
    ["approved by", text(record["mcp_guard.approval.approver"])],
    ["identity headers rejected", text(record["mcp_guard.identity.headers_rejected"])],
    ["error", text(error)],
    ["ended", text(record["mcp_guard.ended"])],
    ["left out of the response", text(record["mcp_guard.response.removed"])],
    ["hidden characters", text(record["mcp_guard.response.hidden_characters"])],
    ["texts cut", text(record["mcp_guard.truncated"])],
  ];
  return labels
    .filter(([, value]) => value !== NOTHING)
    .map((label) => label.join(": "))
    .join("; ");
}

function isThere(value: unknown): boolean {
  return value !== undefined;
}

function text(value: unknown): string {
  if (value === undefined) return NOTHING;
  return visible(typeof value === "string" ? value : JSON.stringify(value));
}
