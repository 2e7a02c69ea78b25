// Whether exports of approvals are whole and true: each approval by itself, all of them as one history, and the guards' records of the calls that
// have passed.
import { readLines } from "../audit/lines.ts";
import type { Claimed } from "../audit/record.ts";
import { type Input, type Place, type PlacedRecord, readTrail } from "../audit/trail.ts";
import { visible } from "../audit/visible.ts";
import { approvalFault } from "./export-faults.ts";
import { parseExportLine } from "./export-form.ts";
import type { ExportedApproval, ExportedEvent } from "./exported.ts";
import type { ReceiptKey } from "./receipt.ts";

/** What `verifyExport` is to look at. */
export interface ExportOptions {
  /** Exports, the older ones first. */
  readonly exports: readonly Input[];
  /** The service's public keys by `kid`. */
  readonly keys: ReadonlyMap<string, ReceiptKey>;
  /** The entry of the history behind which the exports begin, 0 for all of it. */
  readonly after: number;
  /** Logs with the guards' audit records, if they are to be compared. */
  readonly audit?: readonly Input[];
  /** Told of each fault as it is found; there can be as many as there are lines. */
  onFault(fault: ExportFault): void;
}

/** Something that does not fit. */
export interface ExportFault extends Partial<Place> {
  /** The approval that it is about; absent when it is about none, or a line that is no approval. */
  readonly id?: string;
  readonly text: string;
}

/** What was found. */
export interface ExportVerification {
  readonly approvals: number;
  readonly states: Readonly<Record<ExportedApproval["state"], number>>;
  /** The newest entry of the history; 0 without any. */
  readonly lastSequence: number;
  readonly faults: number;
  /** Only with `audit`. */
  readonly joined?: { readonly records: number; readonly claimedInNone: number };
}

const APPROVER = "mcp_guard.approval.approver";

/** What is kept of an approval: enough for the lines and the records that follow. */
interface Known {
  readonly state: ExportedApproval["state"];
  readonly digest: string;
  readonly history: readonly ExportedEvent[];
  /** As records have them, by their names. */
  readonly members: Readonly<Record<string, string | null>>;
  /** The record of the call that has passed with it. */
  passed?: string;
}

/** Reads exports, and logs, and checks what they have. Its memory grows with the number of approvals. */
export async function verifyExport(options: ExportOptions): Promise<ExportVerification> {
  let faults = 0;
  const report = (fault: ExportFault): void => {
    faults++;
    options.onFault(fault);
  };
  const known = new Map<string, Known>();
  for (const input of options.exports) {
    for await (const lines of readLines(input.open())) {
      for (const { text, number, isTooLong } of lines) {
        const place = { file: input.name, line: number };
        const approval = isTooLong ? "found a line that is too long to be read" : parseExportLine(text);
        if (typeof approval === "string") {
          report({ ...place, text: approval });
          continue;
        }
        const fault =
          (await approvalFault(approval, options.keys)) ?? repetitionFault(approval, known.get(approval.id));
        if (fault !== undefined) report({ ...place, id: approval.id, text: fault });
        known.set(approval.id, knownOf(approval));
      }
    }
  }
  const lastSequence = checkHistory(known, options.after, report);
  const joined = options.audit === undefined ? undefined : await joinAudit(options.audit, known, report);
  const states = { pending: 0, approved: 0, denied: 0, expired: 0, claimed: 0 };
  for (const { state } of known.values()) states[state]++;
  return { approvals: known.size, states, lastSequence, faults, ...(joined && { joined }) };
}

function knownOf({ state, digest, history, principal, issuer, tool, approver }: ExportedApproval): Known {
  const members = {
    "user.id": principal,
    "mcp_guard.user.issuer": issuer,
    "gen_ai.tool.name": tool,
    [APPROVER]: approver,
  };
  return { state, digest, history, members };
}

/** A later export has an approval again when something has happened to it since, and nothing else about it is different. */
function repetitionFault({ digest, history }: ExportedApproval, before: Known | undefined): string | undefined {
  if (before === undefined) return undefined;
  const beginning = history.slice(0, before.history.length);
  const goesOn = digest === before.digest && JSON.stringify(beginning) === JSON.stringify(before.history);
  return goesOn ? undefined : "stands there twice, and the later one does not go on where the earlier one ended";
}

/** Whether each entry of the history is one approval's, and none is missing. Gives the newest. */
function checkHistory(known: ReadonlyMap<string, Known>, after: number, report: (fault: ExportFault) => void): number {
  const owners = new Map<number, string>();
  let last = after;
  for (const [id, { history }] of known) {
    for (const { sequence } of history) {
      const owner = owners.get(sequence);
      if (owner !== undefined) report({ id, text: `history: entry ${sequence} is also that of ${owner}` });
      owners.set(sequence, id);
      last = Math.max(last, sequence);
    }
  }
  const expected = last - after;
  const found = [...owners.keys()].filter((sequence) => sequence > after).length;
  if (found < expected) {
    let first = after + 1;
    while (owners.has(first)) first++;
    const others = expected - found - 1;
    report({
      text: `history: entry ${first} is in no line${others === 0 ? "" : others === 1 ? ", nor is 1 other" : `, nor are ${others} others`}`,
    });
  }
  return last;
}

async function joinAudit(
  logs: readonly Input[],
  known: ReadonlyMap<string, Known>,
  report: (fault: ExportFault) => void,
): Promise<{ records: number; claimedInNone: number }> {
  let records = 0;
  await readTrail(logs, {
    record(record) {
      const id = record.value["mcp_guard.approval.id"];
      if (id === undefined) return;
      records++;
      const fault = typeof id === "string" ? recordFault(record, known.get(id)) : "its approval is no text";
      if (fault !== undefined) report({ ...placeOf(record), ...(typeof id === "string" && { id }), text: fault });
    },
    unreadable: (place, why) => report({ ...place, text: why }),
  });
  const claimed = [...known.values()].filter(({ state, passed }) => state === "claimed" && passed === undefined);
  return { records, claimedInNone: claimed.length };
}

/** What a guard's record says that the approval does not, and the other way round. */
function recordFault({ value }: PlacedRecord, approval: Known | undefined): string | undefined {
  if (approval === undefined) return "a guard names it, and no line has it";
  const isCut = value["mcp_guard.truncated"] === true;
  for (const [member, expected] of Object.entries(approval.members)) {
    const found = value[member];
    // The record of a call that was refused has no approver.
    if (found === undefined) continue;
    // Long names stand there in part. What a receipt says never does.
    if (isCut && member !== APPROVER) continue;
    if (found !== expected) return `${member}: a guard has ${shown(found)}, the approval ${shown(expected)}`;
  }
  if (value["mcp_guard.decision"] !== "allow") return undefined;
  if (approval.state !== "claimed") return `a guard has let its call pass, and it is ${approval.state}`;
  const event = eventOf(value);
  if (approval.passed !== undefined && approval.passed !== event) return "a second call has passed with it";
  approval.passed = event;
  return undefined;
}

/** A log that delivers at least once may have one record several times. */
function eventOf(value: Claimed): string {
  return String(value["event.id"]);
}

function placeOf({ file, line }: PlacedRecord): Place {
  return { file, line };
}

function shown(value: unknown): string {
  return typeof value === "string" ? visible(value) : String(value);
}
