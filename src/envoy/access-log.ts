// The access log of the bootstraps in envoy/: one JSON object a line, with the guard's verdict beside Envoy's own facts.

/** One exchange as Envoy logged it. Members that Envoy could not fill are null. */
export interface AccessEntry {
  start_time: string;
  protocol: string | null;
  method: string | null;
  path: string | null;
  request_id: string | null;
  response_code: number;
  /** `mcp_guard.<reason>` for a refusal of the filter, `via_upstream` for an answer of the server. */
  response_code_details: string | null;
  response_flags: string | null;
  bytes_received: number;
  bytes_sent: number;
  duration_ms: number | null;
  /** The address of the server that got the request; null when none did. */
  upstream_host: string | null;
  /** The filter's own account: see docs/reasons.md for the reasons. */
  mcp_decision: string | null;
  mcp_reason: string | null;
  mcp_method: string | null;
  mcp_tool: string | null;
  /** How much of the answer was left out or replaced, in digits; null when nothing was. */
  mcp_removed: string | null;
}

/** Reads one line; undefined for a line that is no access log entry (the two logs share one stream in a container). */
export function parseAccessLine(line: string): AccessEntry | undefined {
  if (!line.startsWith("{")) return undefined;
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null && "response_code_details" in value
      ? (value as AccessEntry)
      : undefined;
  } catch {
    return undefined;
  }
}
