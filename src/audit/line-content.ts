// What one line of a log says about audit records. Access logs write a record as a line of its own or as a member of a
// JSON object; collectors put a prefix in front of a line, or the line into a JSON object of theirs, or both.
import { type Claimed, VERSION_MEMBER } from "./record.ts";

/** A record as it was found: its own text, which is what its chain is made of, and its value. */
export interface FoundRecord {
  readonly text: string;
  readonly value: Claimed;
}

/** What a line says. */
export type LineContent =
  | { readonly kind: "records"; readonly records: readonly FoundRecord[] }
  /** The access log of an exchange that no guard saw. */
  | { readonly kind: "absent" }
  /** There is a record in it, and it cannot be read. */
  | { readonly kind: "unreadable"; readonly why: string }
  | { readonly kind: "other" };

/** How an access log writes a value that is not there. */
const ABSENT = "-";
const START = `{"${VERSION_MEMBER}"`;
/** The same inside of strings, however often it was quoted. */
const QUOTED_START = /\{\\*"mcp_guard\.audit\.version\\*"/;
/** Objects, arrays and strings with JSON in them that may lie around a record. */
const DEPTH_MAX = 8;

const OTHER: LineContent = { kind: "other" };

/**
 * What a line says.
 * @param member the member of a JSON line that holds the record. With it, nothing else in the line is looked at: other members
 * may hold texts that clients have chosen. Without it, every string member may, and a line may be a record.
 */
export function contentOf(line: string, member?: string): LineContent {
  if (line === ABSENT && member === undefined) return { kind: "absent" };
  if (!line.includes(VERSION_MEMBER)) return OTHER;
  const start = member === undefined ? line.indexOf(START) : -1;
  if (start >= 0) {
    const record = parseRecord(line.slice(start));
    if (record !== undefined) return { kind: "records", records: [record] };
  }
  const brace = line.indexOf("{");
  const json = brace < 0 ? undefined : parseObject(line.slice(brace));
  if (json !== undefined) {
    if (VERSION_MEMBER in json && member === undefined) {
      return { kind: "records", records: [{ text: line.slice(brace), value: json }] };
    }
    const records: FoundRecord[] = [];
    collect(json, undefined, member, 1, records);
    if (records.length > 0) return { kind: "records", records };
  }
  if (!QUOTED_START.test(line)) return OTHER;
  return { kind: "unreadable", why: whyUnreadable(start, json, member) };
}

function whyUnreadable(start: number, json: Claimed | undefined, member: string | undefined): string {
  if (member !== undefined) return `found the beginning of a record, expected a record in a member ${member}`;
  if (start >= 0) return "found the beginning of a record, expected it to end where the line ends";
  if (json === undefined) return "found the beginning of a record in a string, expected the line to be JSON";
  return `found the beginning of a record in a string, expected the string to be a record, at most ${DEPTH_MAX} levels deep`;
}

/** Looks for strings that are records, in the order in which they stand. */
function collect(
  value: unknown,
  name: string | undefined,
  member: string | undefined,
  depth: number,
  found: FoundRecord[],
): void {
  if (typeof value === "string") {
    if (!QUOTED_START.test(value)) return;
    // Docker's log driver keeps the end of the line.
    const text = value.replace(/\r?\n$/, "");
    const record = member === undefined || member === name ? parseRecord(text) : undefined;
    if (record !== undefined) {
      // A collector that keeps the line beside what it made of it has the record twice.
      if (!found.some((other) => other.text === record.text)) found.push(record);
      return;
    }
    const inner = depth < DEPTH_MAX ? parseObject(text) : undefined;
    if (inner !== undefined) collect(inner, name, member, depth + 1, found);
    return;
  }
  if (typeof value !== "object" || value === null || depth > DEPTH_MAX) return;
  for (const [key, item] of Object.entries(value)) {
    collect(item, Array.isArray(value) ? name : key, member, depth + 1, found);
  }
}

function parseRecord(text: string): FoundRecord | undefined {
  if (!text.startsWith(START)) return undefined;
  const value = parseObject(text);
  return value === undefined ? undefined : { text, value };
}

function parseObject(text: string): Claimed | undefined {
  if (!text.startsWith("{")) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Claimed) : undefined;
  } catch {
    return undefined;
  }
}
