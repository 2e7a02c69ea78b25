// An event stream as the filter reads it: HTML standard sections 9.2.5 and 9.2.6, on the whole text at once, with the
// fields that docs/responses.md leaves out. Bytes stay bytes: what is no UTF-8 is kept as it is.

/** One event. A field is absent when no line of the event has a value of it that is taken over. */
export interface ParsedEvent {
  /** The `data` lines, joined with LF. */
  readonly data?: Uint8Array;
  readonly event?: Uint8Array;
  readonly id?: Uint8Array;
  readonly retry?: string;
  /** Whether an empty line ends the event, and not the end of the stream. */
  readonly terminated: boolean;
}

/** What stands in a stream, in its order: the comments, the values of `data` by line, and the ends of the events. */
export type StreamItem =
  | { readonly kind: "comment" }
  | { readonly kind: "data"; readonly value: Uint8Array; readonly isFurther: boolean }
  | { readonly kind: "event"; readonly event: ParsedEvent };

interface Line {
  readonly text: string;
  readonly isEnded: boolean;
}

const KNOWN = new Set(["data", "event", "id", "retry"]);

/** Which values are taken over, of lines that have an end. What is not printable ASCII could be taken for the end of a line. */
const ACCEPTED = {
  event: /^[\x20-\x7e]{0,64}$/,
  id: /^[\x20-\x7e]{0,1024}$/,
  retry: /^[0-9]{1,10}$/,
};

const bytesOf = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, "latin1"));

/** The events of a whole stream; the last one also when nothing ends it. Each has a line of a field that is known. */
export function parseEventStream(bytes: Uint8Array): ParsedEvent[] {
  return readEventStream(bytes).flatMap((item) => (item.kind === "event" ? [item.event] : []));
}

/** An event whose values are texts: bytes as Latin-1, so that what is no UTF-8 stays what it is. */
export interface EventText {
  readonly data?: string;
  readonly event?: string;
  readonly id?: string;
  readonly retry?: string;
}

/** The same as texts. */
export function readEventTexts(bytes: Uint8Array): EventText[] {
  const textOf = (value: Uint8Array): string => Buffer.from(value).toString("latin1");
  return parseEventStream(bytes).map(({ data, event, id, retry }) => ({
    ...(data !== undefined && { data: textOf(data) }),
    ...(event !== undefined && { event: textOf(event) }),
    ...(id !== undefined && { id: textOf(id) }),
    ...(retry !== undefined && { retry }),
  }));
}

/** The same with the comments and the single lines of data. */
export function readEventStream(bytes: Uint8Array): StreamItem[] {
  const lines = linesOf(bytes);
  const items: StreamItem[] = [];
  let first = 0;
  for (const [i, line] of lines.entries()) {
    if (line.text !== "") continue;
    items.push(...itemsOf(lines.slice(first, i), true));
    first = i + 1;
  }
  return [...items, ...itemsOf(lines.slice(first), false)];
}

/** Section 9.2.5: `stream = [ bom ] *event`, and three kinds of line end. A rest without a line end is a line, too. */
function linesOf(bytes: Uint8Array): Line[] {
  const text = Buffer.from(bytes).toString("latin1");
  const body = text.startsWith("\xef\xbb\xbf") ? text.slice(3) : text;
  return [...body.matchAll(/([^\r\n]*)(\r\n|\r|\n)|[^\r\n]+$/g)].map(([all, text, end]) =>
    end === undefined ? { text: all, isEnded: false } : { text: text ?? "", isEnded: true },
  );
}

/** What the lines between two empty ones are. */
function itemsOf(lines: readonly Line[], terminated: boolean): StreamItem[] {
  const fields = lines.map(({ text, isEnded }) => {
    const colon = text.indexOf(":");
    const name = colon === -1 ? text : text.slice(0, colon);
    const value = colon === -1 ? "" : text.slice(colon + 1).replace(/^ /, "");
    return { name, value, isEnded, hasColon: colon !== -1 };
  });
  const data: string[] = [];
  const items: StreamItem[] = [];
  for (const { name, value, isEnded, hasColon } of fields) {
    // A comment without an end is not over.
    if (name === "" && isEnded) items.push({ kind: "comment" });
    if (name !== "data") continue;
    // The name alone, cut off by the end of the stream: no further line has begun.
    if (data.length > 0 && !hasColon && !isEnded) continue;
    items.push({ kind: "data", value: bytesOf(value), isFurther: data.length > 0 });
    data.push(value);
  }
  if (!fields.some(({ name }) => KNOWN.has(name))) return items;

  const last = (field: keyof typeof ACCEPTED): string | undefined =>
    fields.findLast(({ name, value, isEnded }) => name === field && isEnded && ACCEPTED[field].test(value))?.value;
  const [event, id, retry] = [last("event"), last("id"), last("retry")];
  items.push({
    kind: "event",
    event: {
      ...(data.length > 0 && { data: bytesOf(data.join("\n")) }),
      ...(event !== undefined && { event: bytesOf(event) }),
      ...(id !== undefined && { id: bytesOf(id) }),
      ...(retry !== undefined && { retry }),
      terminated,
    },
  });
  return items;
}
