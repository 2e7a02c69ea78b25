// For auditors: approvals with their evidence, their receipts and their history, one line of JSON for each.
import { existsSync } from "node:fs";
import type { Evidence } from "../src/approval/evidence.ts";
import { type ExportedApproval, exportLine } from "../src/approval/exported.ts";
import { GuardError } from "../src/error.ts";
import type { Clock } from "./clock.ts";
import type { DatabasePlace } from "./settings.ts";
import { openStore } from "./store/open-store.ts";
import type { ApprovalRecord, Store } from "./store/store.ts";

/** Entries of history that are read at once. */
const ENTRIES_MAX = 500;

/**
 * Opens a database to read it; nothing can be opened for approval through this store.
 * @throws GuardError `ERR_USAGE` when it is not there or cannot be used.
 */
export async function openForExport(place: DatabasePlace, clock: Clock): Promise<Store> {
  // A wrong name would make a new file, and an export of it would say that nothing was ever approved.
  if (place.kind === "file" && !existsSync(place.file)) {
    throw new GuardError(
      "ERR_USAGE",
      `DATABASE_FILE=${place.file} does not exist; expected the database of the service`,
    );
  }
  return openStore(place, { clock, pendingMs: 0, approvedMs: 0, openPerPrincipal: 0, perHour: 0 });
}

/**
 * The approvals to which something has happened after `after`, each whole and once, in the order of their newest entries: the last entry of the last
 * line is where the next export goes on. Safe while the service works.
 * @param after a sequence of the history; 0 for all.
 * @throws StoreUnavailableError when the database does not answer.
 */
export async function* exportedLines(store: Store, after: number): AsyncGenerator<string> {
  let read = after;
  for (;;) {
    const entries = await store.historyAfter(read, ENTRIES_MAX);
    if (entries.length === 0) return;
    for (const { sequence, approvalId } of entries) {
      const record = await store.record(approvalId);
      // At an entry that is not its newest an approval is passed over: it comes at that one, which is still ahead.
      if (record?.history.at(-1)?.sequence === sequence) yield exportLine(exported(record));
      read = sequence;
    }
  }
}

function exported({ approval, nonce, receipt, history }: ApprovalRecord): ExportedApproval {
  return {
    v: 1,
    id: approval.id,
    state: approval.state,
    digest: approval.digest,
    server: approval.server,
    authority: approval.authority,
    path: approval.path,
    issuer: approval.issuer,
    principal: approval.principal,
    workload: approval.workload,
    method: approval.method,
    tool: approval.tool,
    arguments: approval.arguments,
    task: approval.task,
    input_responses: approval.inputResponses,
    opened_at: timeText(approval.openedAt),
    expires_at: timeText(approval.expiresAt),
    decided_at: timeOrNull(approval.decidedAt),
    approver: approval.approver,
    reason: approval.reason,
    evidence: evidenceIn(approval.assertion),
    claimed_at: timeOrNull(approval.claimedAt),
    nonce,
    receipt,
    history: history.map(({ sequence, at, event, actor, detail }) => ({
      sequence,
      at: timeText(at),
      event,
      actor,
      detail,
    })),
  };
}

/** What is no JSON was not written by the service. It is exported as it is, for the auditor to find: an export that ends there would hide the rest. */
function evidenceIn(assertion: string | null): Evidence | null {
  if (assertion === null) return null;
  try {
    return JSON.parse(assertion) as Evidence;
  } catch {
    return assertion as unknown as Evidence;
  }
}

function timeOrNull(ms: number | null): string | null {
  return ms === null ? null : timeText(ms);
}

function timeText(ms: number): string {
  return new Date(ms).toISOString();
}
