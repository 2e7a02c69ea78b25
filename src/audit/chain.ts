// One chain of records (schema/audit-record.md, "The chain"): whether its records follow each other without a gap, each as
// the next one has it. Logs may deliver a record twice, or a little out of order; both are put right here, within a window.
import { NumberSet } from "./number-set.ts";
import { NO_PREVIOUS } from "./record.ts";
import { type Place, placeText } from "./trail.ts";
import { visible } from "./visible.ts";

/**
 * How many records may stand before one that belongs in front of them, and how many are remembered to tell a record that came twice from
 * another one with the same number. With more, the memory of a chain would grow with what a broken log mixes up.
 */
export const WINDOW_RECORDS = 1024;

const HASH_BYTES = 32;

/** What is wrong with a trail. */
export type FaultKind =
  /** Records are missing. */
  | "gap"
  /** A record stands too far behind its place. */
  | "late"
  /** Two records claim one place. */
  | "conflict"
  /** A record is not the one that the next record has the hash of. */
  | "previous"
  /** The event's name is not one of this chain, or was there before. */
  | "event"
  /** See `complaints`. */
  | "schema"
  | "pairing"
  | "form"
  /** A record that cannot be read. */
  | "unreadable"
  /** An exchange that no guard saw. */
  | "guard_absent";

/** One fault, and where. */
export interface Fault extends Place {
  readonly kind: FaultKind;
  /** What was found and what was expected, for people: texts of the log in it are made visible. */
  readonly text: string;
  readonly chain?: string;
  readonly sequence?: number;
}

/** A hole in a chain: its records from `expected` to the one before `found` are missing. */
export interface Gap extends Place {
  readonly expected: number;
  readonly found: number;
  readonly missing: number;
}

/** What a chain needs to know of a record. */
export interface Link extends Place {
  readonly sequence: number;
  readonly previous: string;
  /** SHA-256 of its text. */
  readonly hash: string;
  readonly eventId: string;
}

/** What was found of a chain. */
export interface ChainSummary {
  readonly chain: string;
  /** Records in their places; those that came twice count once. */
  readonly records: number;
  readonly first: number;
  readonly last: number;
  readonly missing: number;
  readonly duplicates: number;
  readonly reordered: number;
  readonly faults: number;
  readonly firstGap: Gap | undefined;
}

/** Follows one chain. */
export class Chain {
  private readonly id: string;
  private readonly report: (fault: Fault) => void;
  private readonly events = new NumberSet();
  /** The sequences of the records in place. */
  private readonly placed = new NumberSet();
  /** Records that wait for the ones before them, from low to high. */
  private readonly waiting: Link[] = [];
  /** The hashes of the last records in place, by sequence modulo the window; zeros where one is missing. */
  private hashes = Buffer.alloc(HASH_BYTES);
  /** The sequence that comes next; 0 before the first record has its place. */
  private next = 0;
  /** The first record in place. */
  private begun: Link | undefined;
  /** The last one. */
  private head: Link | undefined;
  private highest = 0;
  private records = 0;
  private missing = 0;
  private duplicates = 0;
  private reordered = 0;
  private faults = 0;
  private firstGap: Gap | undefined;

  constructor(id: string, report: (fault: Fault) => void) {
    this.id = id;
    this.report = report;
  }

  /** Takes the next record of the log. */
  add(link: Link): void {
    if (this.next !== 0 && link.sequence < this.next) {
      this.addBehind(link);
      return;
    }
    const at = this.placeAmongWaiting(link.sequence);
    const twin = this.waiting[at];
    if (twin?.sequence === link.sequence) {
      this.compare(link, twin.hash, placeText(twin));
      return;
    }
    if (link.sequence < this.highest) this.reordered++;
    else this.highest = link.sequence;
    this.checkEvent(link);
    this.waiting.splice(at, 0, link);
    if (link.sequence === 1) this.next = 1;
    this.settle();
    // The one that is waited for is further behind than any log that merely mixes up.
    while (this.waiting.length > WINDOW_RECORDS) this.skip();
  }

  /** The log is at its end: what still waits, waits for nothing. */
  end(): void {
    while (this.waiting.length > 0) this.skip();
  }

  /** Counts a fault of one of its records that shows without the chain. */
  countFault(): void {
    this.faults++;
  }

  /** Says that the chain should begin at 1, if it does not. */
  demandStart(): void {
    if (this.begun === undefined || this.begun.sequence === 1) return;
    const { sequence: found, file, line } = this.begun;
    this.firstGap = { expected: 1, found, missing: found - 1, file, line };
    this.missing += found - 1;
    this.fault("gap", `found record ${found}, expected 1: ${found - 1} missing`, this.begun);
  }

  /** What was found; to be asked for after `end`. */
  summary(): ChainSummary {
    const { id: chain, records, missing, duplicates, reordered, faults, firstGap } = this;
    const first = this.begun?.sequence ?? 0;
    const last = this.head?.sequence ?? 0;
    return { chain, records, first, last, missing, duplicates, reordered, faults, firstGap };
  }

  /** Puts in place what needs to wait no longer. */
  private settle(): void {
    let settled = 0;
    for (const link of this.waiting) {
      if (link.sequence !== this.next) break;
      this.place(link);
      settled++;
    }
    if (settled > 0) this.waiting.splice(0, settled);
  }

  private place(link: Link): void {
    this.begun ??= link;
    const before = this.head;
    if (link.sequence === 1) {
      if (link.previous !== NO_PREVIOUS) this.previousFault(link, `${NO_PREVIOUS}, since it is the first`);
    } else if (before !== undefined && before.sequence === link.sequence - 1) {
      if (link.previous !== before.hash) {
        this.previousFault(link, `${before.hash}, the hash of record ${before.sequence} at ${placeText(before)}`);
      }
    } else if (link.previous === NO_PREVIOUS) {
      this.previousFault(link, "a hash, since it is not the first");
    }
    this.head = link;
    this.next = link.sequence + 1;
    this.records++;
    this.placed.add(link.sequence);
    this.remember(link);
  }

  private previousFault(link: Link, expected: string): void {
    this.fault(
      "previous",
      `found mcp_guard.chain.previous ${visible(link.previous)}, expected ${expected}: one of the two was changed`,
      link,
    );
  }

  /** Gives up the records in front of the lowest one that waits. */
  private skip(): void {
    const [lowest] = this.waiting;
    if (lowest === undefined) return;
    if (this.next === 0) {
      this.next = lowest.sequence;
    } else {
      const { file, line, sequence: found } = lowest;
      const gap: Gap = { expected: this.next, found, missing: found - this.next, file, line };
      this.firstGap ??= gap;
      this.missing += gap.missing;
      this.forget(gap);
      this.fault("gap", `found record ${found}, expected ${gap.expected}: ${gap.missing} missing`, lowest);
      this.next = found;
    }
    this.settle();
  }

  /** A record whose place is behind the head. */
  private addBehind(link: Link): void {
    const known = this.remembered(link.sequence);
    if (known !== undefined) {
      this.compare(link, known, undefined);
      return;
    }
    const distance = this.next - link.sequence;
    if (distance > WINDOW_RECORDS && this.placed.has(link.sequence)) {
      // A collector that reads its file again from the start brings everything again. The one in place has been verified.
      this.duplicates++;
      return;
    }
    const expected = `expected ${this.next}`;
    const why =
      distance > WINDOW_RECORDS
        ? `more than ${WINDOW_RECORDS} records behind its place`
        : "behind its place, which was given up";
    this.fault("late", `found record ${link.sequence}, ${expected}: ${why}`, link);
  }

  private compare(link: Link, hash: string, place: string | undefined): void {
    if (link.hash === hash) {
      this.duplicates++;
      return;
    }
    const other = place === undefined ? "an earlier one" : `the one at ${place}`;
    this.fault("conflict", `found record ${link.sequence} a second time with another text, expected ${other}`, link);
  }

  private checkEvent(link: Link): void {
    const prefix = `${this.id}.`;
    const number = Number(link.eventId.slice(prefix.length));
    if (!link.eventId.startsWith(prefix) || !Number.isSafeInteger(number)) {
      this.fault(
        "event",
        `found event.id ${visible(link.eventId)}, expected it to begin with the chain's id and a dot`,
        link,
      );
    } else if (!this.events.add(number)) {
      this.fault("event", `found event.id ${visible(link.eventId)} a second time, expected each once`, link);
    }
  }

  private fault(kind: FaultKind, text: string, { sequence, file, line }: Link): void {
    this.faults++;
    this.report({ kind, chain: this.id, sequence, text, file, line });
  }

  /** The index in `waiting` where the sequence is or belongs. */
  private placeAmongWaiting(sequence: number): number {
    let low = 0;
    let high = this.waiting.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.waiting[middle]?.sequence ?? 0) < sequence) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  private remember({ sequence, hash }: Link): void {
    const slot = this.slot(sequence);
    // Most chains of a log with many are short, so the room grows with them.
    if (slot + HASH_BYTES > this.hashes.length) {
      const bytes = Math.min(Math.max(this.hashes.length * 2, slot + HASH_BYTES), WINDOW_RECORDS * HASH_BYTES);
      this.hashes = Buffer.concat([this.hashes], bytes);
    }
    this.hashes.write(hash, slot, "hex");
  }

  /** The hash of a record in place; undefined when it is missing, or further behind than the window. */
  private remembered(sequence: number): string | undefined {
    if (sequence < (this.begun?.sequence ?? 0) || this.next - sequence > WINDOW_RECORDS) return undefined;
    const slot = this.slot(sequence);
    if (slot + HASH_BYTES > this.hashes.length) return undefined;
    const hash = this.hashes.toString("hex", slot, slot + HASH_BYTES);
    return hash === NO_PREVIOUS ? undefined : hash;
  }

  /** Empties the places of missing records, which older ones have used before. */
  private forget({ expected, missing }: Gap): void {
    for (let i = 0; i < Math.min(missing, WINDOW_RECORDS); i++) {
      const slot = this.slot(expected + i);
      if (slot < this.hashes.length) this.hashes.fill(0, slot, slot + HASH_BYTES);
    }
  }

  private slot(sequence: number): number {
    return (sequence % WINDOW_RECORDS) * HASH_BYTES;
  }
}
