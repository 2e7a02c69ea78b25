// Follows a growing text file and hands out its complete lines.
import { closeSync, openSync, readSync } from "node:fs";
import { StringDecoder } from "node:string_decoder";

const POLL_MS = 100;
const CHUNK_BYTES = 64 * 1024;

/** A followed file. */
export interface Tail {
  /** Hands out what is there now. */
  read(): void;
  /** Hands out what is there now, then stops following. */
  stop(): void;
}

/**
 * Calls `onLine` for each complete line of a file, those already there and those still to come.
 * A poll, not a watch: file change events are not delivered on every file system, and 100 ms is soon enough to read.
 */
export function tailLines(file: string, onLine: (line: string) => void): Tail {
  const handle = openSync(file, "r");
  const decoder = new StringDecoder("utf8");
  const chunk = Buffer.alloc(CHUNK_BYTES);
  let rest = "";
  const read = () => {
    for (;;) {
      const bytes = readSync(handle, chunk);
      if (bytes === 0) return;
      const lines = (rest + decoder.write(chunk.subarray(0, bytes))).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) onLine(line);
    }
  };
  const timer = setInterval(read, POLL_MS);
  timer.unref();
  return {
    read,
    stop() {
      clearInterval(timer);
      read();
      closeSync(handle);
    },
  };
}
