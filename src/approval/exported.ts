// One approval as the service exports it for auditors (schema/approval-export.schema.json): its members as a type, and its one spelling.
import type { Evidence } from "./evidence.ts";

/** One thing that happened to an approval. */
export interface ExportedEvent {
  /** Its place among the entries of all approvals. */
  readonly sequence: number;
  readonly at: string;
  readonly event: "opened" | "approved" | "denied" | "expired" | "claimed";
  /** Who did it; empty for the guard and for time. */
  readonly actor: string;
  /** The digest of what was opened, the reason of a denial, the nonce of a claim. */
  readonly detail: string;
}

/** The call, what became of it, and what proves that. Times are RFC 3339 in UTC. */
export interface ExportedApproval {
  readonly v: 1;
  readonly id: string;
  readonly state: "pending" | "approved" | "denied" | "expired" | "claimed";
  readonly digest: string;
  readonly server: string;
  readonly authority: string;
  readonly path: string;
  readonly issuer: string;
  readonly principal: string;
  readonly workload: string;
  readonly method: string;
  readonly tool: string;
  /** Canonical text, empty when the call has none; so are the next two. */
  readonly arguments: string;
  readonly task: string;
  readonly input_responses: string;
  readonly opened_at: string;
  readonly expires_at: string;
  readonly decided_at: string | null;
  readonly approver: string | null;
  readonly reason: string | null;
  readonly evidence: Evidence | null;
  readonly claimed_at: string | null;
  readonly nonce: string | null;
  readonly receipt: string | null;
  readonly history: readonly ExportedEvent[];
}

/** The line of an approval, without its end. There is one way to write it, so that a member that stands twice is noticed. */
export function exportLine(approval: ExportedApproval): string {
  return JSON.stringify(approval);
}
