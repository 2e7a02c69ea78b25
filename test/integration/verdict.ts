// What became of one request, from every side, in one line that a test compares.
import type { AccessEntry } from "../../src/envoy/access-log.ts";
import { ORIGIN_ANSWER, type Origin } from "./origin.ts";
import type { HeaderMode } from "./rig.ts";
import type { Answer } from "./wire.ts";

/** The JSON-RPC codes that MCP clients know; the last three are those of the revision 2026-07-28. */
const CODES = [-32700, -32600, -32601, -32602, -32603, -32020, -32021, -32022];

/**
 * - `allow`: the server has exactly the body, and the client the server's answer.
 * - `refuse <status> <reason>`: the server has neither a byte of the body nor a complete request, and of a held request
 *   nothing at all; the client has a reply of the guard, complete. Of a reply without a body (HEAD) only the status is known.
 * - anything else is told as it is, so that no expectation matches it.
 */
export function verdictOf(
  origin: Origin,
  requestId: string,
  mode: HeaderMode,
  sent: Uint8Array,
  answer: Answer | undefined,
): string {
  const arrivals = origin.arrivals(requestId);
  const seen =
    arrivals.map((arrival) => `${arrival.state} with ${arrival.body().length} bytes`).join(", ") || "nothing";
  const unlike = `client: ${answer?.status} ${answer?.isCut ? "cut " : ""}${answer?.body}, server: ${seen}`;
  if (answer === undefined || answer.isCut) return unlike;

  const [arrival] = arrivals;
  if (arrivals.length === 1 && arrival?.state === "complete" && arrival.body().equals(sent)) {
    const isTheirs = arrival.method === "HEAD" ? answer.body.length === 0 : answer.body.toString() === ORIGIN_ANSWER;
    return answer.status === 200 && isTheirs ? "allow" : unlike;
  }
  if (arrivals.some(({ state, body }) => state === "complete" || body().length > 0)) return unlike;
  if (mode === "hold" && arrivals.length > 0) return unlike;
  const reason = reasonOf(answer);
  return reason === undefined ? unlike : `refuse ${answer.status} ${reason}`.trimEnd();
}

/** The reason that a refusal tells the client; empty when it has no body, undefined when it is no refusal of the guard. */
export function reasonOf(answer: Answer): string | undefined {
  if (answer.headers.get("content-type") !== "application/json") return undefined;
  if (answer.body.length === 0) return "";
  const reply = JSON.parse(answer.body.toString()) as { jsonrpc?: string; error?: RefusalError };
  const isError = reply.jsonrpc === "2.0" && CODES.includes(reply.error?.code ?? 0);
  return isError ? reply.error?.data?.reason : undefined;
}

/** What Envoy's access log says of it, in the same form. */
export function verdictInLog(entry: AccessEntry | undefined): string {
  if (entry === undefined) return "not in the log";
  const { mcp_decision: decision, mcp_reason: reason, response_code: status, response_code_details: details } = entry;
  if (reason === null && details === "via_upstream" && (decision === "allow" || decision === "pass")) return "allow";
  if (decision === "refuse" && details === `mcp_guard.${reason}`) return `refuse ${status} ${reason}`;
  return `${decision} ${reason} ${status} ${details}`;
}

interface RefusalError {
  code?: number;
  data?: { reason?: string };
}
