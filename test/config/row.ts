// One row of the tables of configurations, and how it is written down.

/** One configuration with its verdict. */
export interface ConfigurationRow {
  /** What the row is about; unique. */
  name: string;
  /** The configuration as the filter gets it. */
  text: string | Uint8Array;
  good: boolean;
  /** For a bad one: what the filter's log says behind `mcp-guard: configuration refused: `. Without it any complete sentence does. */
  log?: string;
  /** For a bad one: why the schema lets it pass, or is never asked. */
  schemaCannot?: string;
  /** For a good one: why the schema warns all the same. */
  schemaWarns?: string;
}

/** A configuration that is good but for what `members` adds to it. */
export function withMembers(members: Record<string, unknown>): string {
  return JSON.stringify({ tool_allowlist: ["echo"], ...members });
}

/** One that both take. */
export function good(name: string, text: string): ConfigurationRow {
  return { name, text, good: true };
}

/** One that the filter refuses; `schemaCannot` says why the schema does not. */
export function bad(name: string, text: string | Uint8Array, log?: string, schemaCannot?: string): ConfigurationRow {
  return {
    name,
    text,
    good: false,
    ...(log !== undefined && { log }),
    ...(schemaCannot !== undefined && { schemaCannot }),
  };
}

/** `count` distinct names. */
export function names(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `tool_${index}`);
}

/** Each byte as it stands in a log line. */
export function escaped(text: string): string {
  return text
    .split("")
    .map((unit) =>
      /[ -~]/.test(unit) && unit !== '"' && unit !== "\\"
        ? unit
        : `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
    )
    .join("");
}
