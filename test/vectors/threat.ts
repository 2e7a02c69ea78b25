// What an attack vector is, and how the tables make them.

import type { HttpRequest, RequestPolicy, RequestReason } from "../oracle/exchange.ts";

export interface ThreatVector {
  readonly row: number;
  /** The class of input; with the row it is unique. */
  readonly name: string;
  readonly request: HttpRequest;
  /** Absent: THREAT_POLICY. */
  readonly policy?: RequestPolicy;
  readonly expect: {
    readonly verdict: "allow" | "refuse";
    /** Each reason that is acceptable; empty for `allow`. */
    readonly reasons: readonly RequestReason[];
    /** Absent where it depends on the reason. */
    readonly status?: number;
  };
  /** Only a scripted host can deliver this: an HTTP codec refuses it, or takes it for two requests. */
  readonly scriptedHostOnly?: true;
}

export const THREAT_POLICY: RequestPolicy = { tool_allowlist: ["safe"] };

/** HTTP status of the refusals of requests with a readable id; the others are 400. */
const STATUS: Partial<Record<RequestReason, number>> = {
  params_invalid: 200,
  method_not_listed: 200,
  tool_not_listed: 200,
  prompt_not_listed: 200,
  resource_not_listed: 200,
  task_denied: 200,
  approval_not_configured: 200,
  argument_not_allowed: 200,
  uri_traversal: 200,
  uri_malformed: 200,
  origin_not_allowed: 403,
  host_not_allowed: 403,
  http_method: 405,
  body_too_large: 413,
  content_type: 415,
  content_encoding: 415,
};

export type Parts = readonly (string | readonly number[])[];
export type Reasons = RequestReason | readonly RequestReason[];
export type Changes = Partial<Omit<HttpRequest, "body">> & {
  readonly extraHeaders?: HttpRequest["headers"];
  readonly policy?: RequestPolicy;
};

export const ACCEPT = ["accept", "application/json, text/event-stream"] as const;
const JSON_TYPE = ["content-type", "application/json"] as const;

function request(body: Uint8Array, { extraHeaders = [], policy: _policy, ...changes }: Changes = {}): HttpRequest {
  return { method: "POST", path: "/mcp", headers: [JSON_TYPE, ACCEPT, ...extraHeaders], body, ...changes };
}

const policyOf = ({ policy }: Changes = {}): Pick<ThreatVector, "policy"> => (policy === undefined ? {} : { policy });

export function pass(row: number, name: string, body: Uint8Array, changes?: Changes): ThreatVector {
  return {
    row,
    name,
    request: request(body, changes),
    ...policyOf(changes),
    expect: { verdict: "allow", reasons: [] },
  };
}

export function refuse(row: number, name: string, body: Uint8Array, reasons: Reasons, changes?: Changes): ThreatVector {
  const list = typeof reasons === "string" ? [reasons] : reasons;
  const statuses = new Set(list.map((reason) => STATUS[reason] ?? 400));
  const [status] = statuses;
  return {
    row,
    name,
    request: request(body, changes),
    ...policyOf(changes),
    expect: { verdict: "refuse", reasons: list, ...(statuses.size === 1 && status !== undefined && { status }) },
  };
}

/** A notification has no id to answer to: the status of its refusal is not that of a request's. */
export function refuseNotification(
  row: number,
  name: string,
  body: Uint8Array,
  reason: RequestReason,
  changes?: Changes,
): ThreatVector {
  return {
    row,
    name,
    request: request(body, changes),
    ...policyOf(changes),
    expect: { verdict: "refuse", reasons: [reason] },
  };
}

/** One vector for each entry of a table of names and parts of a body. */
export function refuseEach(
  row: number,
  reasons: Reasons,
  table: Readonly<Record<string, Uint8Array>>,
  changes?: Changes,
): ThreatVector[] {
  return Object.entries(table).map(([name, body]) => refuse(row, name, body, reasons, changes));
}

export function passEach(row: number, table: Readonly<Record<string, Uint8Array>>, changes?: Changes): ThreatVector[] {
  return Object.entries(table).map(([name, body]) => pass(row, name, body, changes));
}
