// Files as lines, in pieces: a log can be larger than the memory.

/** A longer line is not kept. A record has a few KiB; a collector's batch of records can have a lot more. */
export const LINE_BYTES_MAX = 1 << 20;

const LINE_FEED = 0x0a;

/** One line, without its end. */
export interface Line {
  /** One character for each byte (ISO 8859-1), so that no byte is lost. Empty for a line that is too long. */
  readonly text: string;
  /** Counted from 1. */
  readonly number: number;
  readonly isTooLong: boolean;
}

/** The lines of a stream of bytes, as many at once as one piece of the stream ends. The last line needs no end. */
export async function* readLines(source: AsyncIterable<Uint8Array>): AsyncGenerator<readonly Line[]> {
  let begun: Buffer[] = [];
  let begunBytes = 0;
  let number = 0;
  const endLine = (last: Buffer): Line => {
    number++;
    const isTooLong = begunBytes + last.length > LINE_BYTES_MAX;
    const bytes = begun.length === 0 ? last : Buffer.concat([...begun, last]);
    begun = [];
    begunBytes = 0;
    return { text: isTooLong ? "" : withoutReturn(bytes).toString("latin1"), number, isTooLong };
  };
  for await (const piece of source) {
    const bytes = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
    const lines: Line[] = [];
    let from = 0;
    for (;;) {
      const end = bytes.indexOf(LINE_FEED, from);
      if (end < 0) break;
      lines.push(endLine(bytes.subarray(from, end)));
      from = end + 1;
    }
    if (from < bytes.length) {
      begunBytes += bytes.length - from;
      // What is too long already is counted and not kept.
      if (begunBytes > LINE_BYTES_MAX) begun = [];
      else begun.push(Buffer.from(bytes.subarray(from)));
    }
    if (lines.length > 0) yield lines;
  }
  if (begunBytes > 0) yield [endLine(Buffer.alloc(0))];
}

function withoutReturn(bytes: Buffer): Buffer {
  return bytes.at(-1) === 0x0d ? bytes.subarray(0, -1) : bytes;
}
