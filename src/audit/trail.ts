// A trail: audit records out of one or more logs, in the order in which they stand there.
import { contentOf, type FoundRecord } from "./line-content.ts";
import { LINE_BYTES_MAX, readLines } from "./lines.ts";

/** One log: a file or the standard input. */
export interface Input {
  /** What it is called, for people. */
  readonly name: string;
  /** Opens it; called once, when the logs before it have been read. */
  open(): AsyncIterable<Uint8Array>;
}

/** Where something stands. */
export interface Place {
  readonly file: string;
  /** Counted from 1. */
  readonly line: number;
}

/** A record and where it stands. */
export interface PlacedRecord extends FoundRecord, Place {}

/** Takes what a trail has, one thing after the other. */
export interface TrailReader {
  record(record: PlacedRecord): void;
  /** A line that says that no guard saw the exchange. */
  absent?(place: Place): void;
  /** A line with a record that cannot be read. */
  unreadable?(place: Place, why: string): void;
}

/** How many lines of each kind there were. */
export interface LineCounts {
  lines: number;
  records: number;
  guardAbsent: number;
  unreadable: number;
  /** Lines that have nothing to do with the audit. */
  other: number;
}

/**
 * Reads logs to their end, one piece at a time.
 * @param member see `contentOf`.
 */
export async function readTrail(inputs: readonly Input[], reader: TrailReader, member?: string): Promise<LineCounts> {
  const counts: LineCounts = { lines: 0, records: 0, guardAbsent: 0, unreadable: 0, other: 0 };
  const tooLong = {
    kind: "unreadable",
    why: `found a line of more than ${LINE_BYTES_MAX} bytes, which is not read`,
  } as const;
  for (const input of inputs) {
    for await (const lines of readLines(input.open())) {
      for (const { text, number, isTooLong } of lines) {
        counts.lines++;
        const content = isTooLong ? tooLong : contentOf(text, member);
        const place = { file: input.name, line: number };
        switch (content.kind) {
          case "records":
            for (const found of content.records) {
              counts.records++;
              reader.record({ ...found, ...place });
            }
            break;
          case "absent":
            counts.guardAbsent++;
            reader.absent?.(place);
            break;
          case "unreadable":
            counts.unreadable++;
            reader.unreadable?.(place, content.why);
            break;
          default:
            counts.other++;
        }
      }
    }
  }
  return counts;
}

/** A place as tools write it. */
export function placeText({ file, line }: Place): string {
  return `${file}:${line}`;
}
