// The filter's own lines in Envoy's log.

/** One line that the filter has written. */
export interface FilterLine {
  level: string;
  text: string;
}

/** Reads a line of Envoy's log; undefined when the filter did not write it. */
export function parseFilterLine(line: string): FilterLine | undefined {
  // [2026-11-25 10:00:00.000][1234][warning][wasm] [source/...cc:1] wasm log mcp-guard: text
  const [, level, text] = /^\[[^\]]*\]\[\d+\]\[(\w+)\]\[wasm\] (?:\[[^\]]*\] )?wasm log[^:]*: (.*)$/.exec(line) ?? [];
  return level === undefined || text === undefined ? undefined : { level, text };
}

/** The distinct complaints of the filter in a log: what it wrote as warning or worse, each once, in order. */
export function filterComplaints(log: string): string[] {
  const complaints = log.split("\n").flatMap((line) => {
    const parsed = parseFilterLine(line);
    return parsed !== undefined && /^(warning|error|critical)$/.test(parsed.level) ? [parsed.text] : [];
  });
  // Each worker thread configures its own copy of the filter, so one mistake is reported several times.
  return [...new Set(complaints)];
}
