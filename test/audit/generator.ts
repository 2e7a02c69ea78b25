// Audit records as the filter writes them: chains after schema/audit-record.md, with node:crypto alone.
import { createHash } from "node:crypto";

/** The members of a record that a test chooses. */
export type Members = Readonly<Record<string, unknown>>;

const NO_PREVIOUS = "0".repeat(64);

/** The members in the order of the schema, as far as the tests use them. */
const ORDER = [
  "mcp_guard.audit.version",
  "time",
  "event.id",
  "mcp_guard.chain.id",
  "mcp_guard.chain.sequence",
  "mcp_guard.chain.previous",
  "mcp_guard.policy",
  "mcp_guard.mode",
  "mcp_guard.decision",
  "mcp_guard.reason",
  "mcp_guard.rule",
  "http.request.method",
  "url.path",
  "http.request.id",
  "trace_id",
  "span_id",
  "user.id",
  "mcp_guard.user.issuer",
  "mcp_guard.user.source",
  "mcp_guard.user.act",
  "mcp_guard.workload",
  "mcp.method.name",
  "mcp_guard.era",
  "mcp.protocol.version",
  "jsonrpc.request.id",
  "gen_ai.operation.name",
  "gen_ai.tool.name",
  "gen_ai.prompt.name",
  "mcp.resource.uri",
  "mcp_guard.arguments.sha256",
  "http.request.body.size",
  "http.response.status_code",
  "http.response.body.size",
  "rpc.response.status_code",
  "error.type",
  "mcp_guard.response.removed",
  "mcp_guard.duration.guard_us",
  "mcp_guard.duration.server_us",
  "mcp_guard.duration.total_us",
  "mcp_guard.ended",
  "mcp_guard.truncated",
];

/** One guard in one worker: makes one record after the other. */
export class Recorder {
  readonly id: string;
  private sequence = 0;
  private previous = NO_PREVIOUS;

  /** @param name any text; chains with different names have different ids. */
  constructor(name: string) {
    this.id = createHash("sha256").update(name).digest("hex").slice(0, 32);
  }

  /** The next record of the chain. A member that is undefined is left out. */
  next(members: Members = {}): string {
    const sequence = ++this.sequence;
    const text = write({
      "mcp_guard.audit.version": 1,
      time: timeOf(sequence),
      "event.id": `${this.id}.${sequence}`,
      "mcp_guard.chain.id": this.id,
      "mcp_guard.chain.sequence": sequence,
      "mcp_guard.chain.previous": this.previous,
      "mcp_guard.policy": "14812d9cda18fb51",
      "mcp_guard.mode": "enforce",
      "mcp_guard.decision": "allow",
      "http.request.method": "POST",
      "url.path": "/mcp",
      "http.request.body.size": 120,
      "http.response.status_code": 200,
      "http.response.body.size": 400,
      "mcp_guard.duration.guard_us": 85,
      "mcp_guard.duration.server_us": 2300,
      "mcp_guard.duration.total_us": 2900,
      ...members,
    });
    this.previous = sha256(text);
    return text;
  }

  /** Several records. */
  take(count: number, members: Members = {}): string[] {
    return Array.from({ length: count }, () => this.next(members));
  }
}

/** The members of a call of a tool. */
export function toolCall(tool: string, members: Members = {}): Members {
  return {
    "mcp.method.name": "tools/call",
    "gen_ai.operation.name": "execute_tool",
    "gen_ai.tool.name": tool,
    ...members,
  };
}

/** The members that say who asked. */
export function user(id: string, issuer = "https://issuer.example"): Members {
  return { "user.id": id, "mcp_guard.user.issuer": issuer, "mcp_guard.user.source": "jwt" };
}

/** SHA-256 in hexadecimal. */
export function sha256(text: string): string {
  return createHash("sha256").update(text, "latin1").digest("hex");
}

function timeOf(sequence: number): string {
  return new Date(Date.UTC(2026, 10, 2) + sequence * 1000).toISOString().replace("Z", "000Z");
}

function write(members: Members): string {
  const rest = Object.keys(members).filter((name) => !ORDER.includes(name));
  const parts = [...ORDER, ...rest].flatMap((name) => {
    const value = members[name];
    return value === undefined ? [] : [`${string(name)}:${writeValue(value)}`];
  });
  return `{${parts.join(",")}}`;
}

function writeValue(value: unknown): string {
  if (typeof value === "string") return string(value);
  if (Array.isArray(value)) return `[${value.map(writeValue).join(",")}]`;
  return JSON.stringify(value);
}

/** A string as rule 1 of the format has it. */
function string(text: string): string {
  let escaped = "";
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    const isPlain = unit >= 0x20 && unit < 0x7f && unit !== 0x22 && unit !== 0x5c;
    escaped += isPlain ? text[i] : `\\u${unit.toString(16).padStart(4, "0")}`;
  }
  return `"${escaped}"`;
}
