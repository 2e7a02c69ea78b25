// Whether a trail is whole: each record by itself, and all of them as chains.
import { Chain, type ChainSummary, type Fault, type FaultKind } from "./chain.ts";
import { type Claimed, complaints, hashOf } from "./record.ts";
import { type Input, type LineCounts, type Place, type PlacedRecord, readTrail } from "./trail.ts";

/** What `verifyTrail` may be told. */
export interface VerifyOptions {
  /** Whether a chain that begins above 1 is a fault: the logs are said to go back to the start. */
  readonly fromStart?: boolean;
  /** See `readTrail`. */
  readonly member?: string | undefined;
  /** Told of each fault as it is found; there can be as many as there are lines. */
  onFault(fault: Fault): void;
}

/** What was found. */
export interface Verification {
  readonly lines: LineCounts;
  /** In the order in which they begin in the logs. */
  readonly chains: readonly ChainSummary[];
  readonly faults: number;
  readonly faultsByKind: Readonly<Partial<Record<FaultKind, number>>>;
}

/** Reads logs and checks what they have of audit records. */
export async function verifyTrail(inputs: readonly Input[], options: VerifyOptions): Promise<Verification> {
  const chains = new Map<string, Chain>();
  const faultsByKind: Partial<Record<FaultKind, number>> = {};
  let faults = 0;
  const report = (fault: Fault): void => {
    faults++;
    faultsByKind[fault.kind] = (faultsByKind[fault.kind] ?? 0) + 1;
    options.onFault(fault);
  };
  const lines = await readTrail(
    inputs,
    {
      record: (record) => check(record, chains, report),
      absent: (place) => report({ kind: "guard_absent", text: "found an exchange that no guard saw", ...place }),
      unreadable: (place: Place, why) => report({ kind: "unreadable", text: why, ...place }),
    },
    options.member,
  );
  for (const chain of chains.values()) {
    chain.end();
    if (options.fromStart) chain.demandStart();
  }
  return { lines, chains: [...chains.values()].map((chain) => chain.summary()), faults, faultsByKind };
}

function check(record: PlacedRecord, chains: Map<string, Chain>, report: (fault: Fault) => void): void {
  const { text, value, file, line } = record;
  const link = linkOf(value);
  const chain = link === undefined ? undefined : chainOf(link.chain, chains, report);
  const place = link === undefined ? {} : { chain: link.chain, sequence: link.sequence };
  for (const complaint of complaints(text, value)) {
    chain?.countFault();
    report({ kind: complaint.kind, text: complaint.text, file, line, ...place });
  }
  if (link !== undefined) chain?.add({ ...link, hash: hashOf(text), file, line });
}

function chainOf(id: string, chains: Map<string, Chain>, report: (fault: Fault) => void): Chain {
  let chain = chains.get(id);
  if (chain === undefined) {
    chain = new Chain(id, report);
    chains.set(id, chain);
  }
  return chain;
}

/** What places a record in a chain; undefined when it has no place. Its other members may be wrong: it is a link all the same. */
function linkOf(value: Claimed): { chain: string; sequence: number; previous: string; eventId: string } | undefined {
  const chain = value["mcp_guard.chain.id"];
  const sequence = value["mcp_guard.chain.sequence"];
  const previous = value["mcp_guard.chain.previous"];
  const eventId = value["event.id"];
  if (typeof chain !== "string" || !/^[0-9a-f]{32}$/.test(chain)) return undefined;
  if (typeof sequence !== "number" || !Number.isSafeInteger(sequence) || sequence < 1) return undefined;
  if (typeof previous !== "string" || typeof eventId !== "string") return undefined;
  return { chain, sequence, previous, eventId };
}
