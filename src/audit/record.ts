// One audit record (schema/audit-record.md): its members as a type, the schema as a function, and its one way to be written.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { ErrorObject } from "ajv";
import { Ajv2020 } from "ajv/dist/2020.js";
import { projectPath } from "../project.ts";
import { visible } from "./visible.ts";

/** The member that makes a JSON object an audit record; it is written first. */
export const VERSION_MEMBER = "mcp_guard.audit.version";

/** A JSON object that calls itself an audit record. Only `complaints` says whether it is one. */
export type Claimed = Readonly<Record<string, unknown>>;

/** What became of a request (docs/operations.md has the meanings). */
export const DECISIONS = [
  "none",
  "allow",
  "refuse",
  "would_refuse",
  "not_read",
  "pass",
  "unguarded",
  "outbound",
] as const;

/** One of `DECISIONS`. */
export type Decision = (typeof DECISIONS)[number];

/** The members of a record that fits the schema. */
export interface AuditRecord extends Claimed {
  readonly "mcp_guard.audit.version": 1;
  readonly time: string;
  readonly "event.id": string;
  readonly "mcp_guard.chain.id": string;
  readonly "mcp_guard.chain.sequence": number;
  readonly "mcp_guard.chain.previous": string;
  readonly "mcp_guard.policy"?: string;
  readonly "mcp_guard.mode"?: "enforce" | "monitor";
  readonly "mcp_guard.decision": Decision;
  readonly "mcp_guard.reason"?: string;
  readonly "mcp_guard.rule"?: string;
  readonly "http.request.method"?: string;
  readonly "url.path"?: string;
  readonly "http.request.id"?: string;
  readonly trace_id?: string;
  readonly "user.id"?: string;
  readonly "mcp_guard.user.issuer"?: string;
  readonly "mcp_guard.user.source"?: "jwt" | "header" | "peer";
  readonly "mcp_guard.user.act"?: readonly string[];
  readonly "mcp_guard.workload"?: string;
  readonly "mcp_guard.rules"?: readonly number[];
  readonly "mcp_guard.approval.id"?: string;
  readonly "mcp_guard.approval.approver"?: string;
  readonly "mcp.method.name"?: string;
  readonly "mcp.protocol.version"?: string;
  readonly "jsonrpc.request.id"?: string;
  readonly "gen_ai.tool.name"?: string;
  readonly "gen_ai.prompt.name"?: string;
  readonly "mcp.resource.uri"?: string;
  readonly "http.request.body.size": number;
  readonly "http.response.status_code"?: number;
  readonly "http.response.body.size": number;
  readonly "rpc.response.status_code"?: string;
  readonly "error.type"?: string;
  readonly "mcp_guard.response.removed"?: number;
  readonly "mcp_guard.response.hidden_characters"?: number;
  readonly "mcp_guard.duration.guard_us": number;
  readonly "mcp_guard.duration.server_us"?: number;
  readonly "mcp_guard.duration.total_us": number;
  readonly "mcp_guard.ended"?: string;
  readonly "mcp_guard.truncated"?: true;
}

/** What is wrong with a record. */
export interface Complaint {
  readonly kind: "schema" | "pairing" | "form";
  readonly text: string;
}

/** `previous` of the first record of a chain. */
export const NO_PREVIOUS = "0".repeat(64);

/** UTF-16 units of a record's line that one character may take: two escapes of six. */
const ESCAPED_CHARACTER = 12;

/**
 * The fewest bytes that a text can have of which the filter has kept only the beginning: 256 bytes of a name, 1024 of a URI, which become a
 * third when each of its characters was encoded without need.
 */
const KEPT_BYTES: Readonly<Record<string, number>> = {
  "gen_ai.tool.name": 256,
  "gen_ai.prompt.name": 256,
  "mcp.resource.uri": Math.floor(1024 / 3),
};

const schema = JSON.parse(readFileSync(projectPath("schema", "audit-record.schema.json"), "utf8")) as {
  properties: Record<string, { maxLength?: number }>;
};
// `anyOf` asks for members that are described outside of its branches.
const validate = new Ajv2020({ strict: true, strictRequired: false, allErrors: true }).compile<AuditRecord>(schema);
const ORDER: ReadonlyMap<string, number> = new Map(Object.keys(schema.properties).map((name, index) => [name, index]));

/** SHA-256 of a record's text in hexadecimal, as the next record of its chain has it. */
export function hashOf(text: string): string {
  // The reader of lines takes each byte for one character, so this gives the bytes back as they stood.
  return createHash("sha256").update(text, "latin1").digest("hex");
}

/** Whether the value has the form of a record. */
export function isRecord(value: Claimed): value is AuditRecord {
  return validate(value);
}

/**
 * What is wrong with a record by itself, without its chain: the schema, the pairing of request and response, and the form of
 * its text. Empty when nothing is.
 */
export function complaints(text: string, value: Claimed): Complaint[] {
  const found: Complaint[] = [];
  if (!validate(value)) found.push(schemaComplaint(validate.errors ?? [], value));
  const form = formComplaint(text, value);
  if (form !== undefined) found.push({ kind: "form", text: form });
  return found;
}

function schemaComplaint(errors: readonly ErrorObject[], value: Claimed): Complaint {
  // What failed by itself, without the branches of `anyOf` and the frame around a branch.
  const own = errors.filter(({ keyword, schemaPath }) => keyword !== "if" && !schemaPath.startsWith("#/anyOf"));
  const [first] = own;
  if (first === undefined) {
    const decision = visible(String(value["mcp_guard.decision"]));
    return {
      kind: "pairing",
      text: `found the decision ${decision} without a response, expected http.response.status_code or mcp_guard.ended`,
    };
  }
  return { kind: "schema", text: `${wordsOf(first)}${own.length > 1 ? `, and ${own.length - 1} more` : ""}` };
}

function wordsOf({ instancePath, keyword, message, params }: ErrorObject): string {
  const member = instancePath === "" ? "" : `${instancePath.slice(1).replaceAll("~1", "/").replaceAll("~0", "~")}: `;
  if (keyword === "additionalProperties") {
    return `found the unknown member ${visible(String(params.additionalProperty))}, expected those of the schema`;
  }
  if (keyword === "enum") return `${member}expected one of ${(params.allowedValues as unknown[]).join(" ")}`;
  if (keyword === "not") return `${member}found mcp_guard.reason, expected none with this decision`;
  return `${member}${message ?? keyword}`;
}

/** A record is written in one way, so what another writer has touched shows: another order, white space, a member twice. */
function formComplaint(text: string, value: Claimed): string | undefined {
  if (/[^\x20-\x7e]/.test(text)) return "found a character that is not printable ASCII, expected an escape";
  const places = Object.keys(value).map((name) => ORDER.get(name) ?? -1);
  if (places.some((place, index) => index > 0 && place >= 0 && place < (places[index - 1] ?? 0))) {
    return "found members in another order, expected that of the schema";
  }
  const escapes = /\\u[0-9a-fA-F]{4}/g;
  const lower = (found: string): string => found.toLowerCase();
  if (writeRecord(value) !== text.replaceAll(escapes, lower)) {
    return "found another spelling (white space, a member twice, another escape or number), expected the one of schema/audit-record.md";
  }
  return undefined;
}

/** A record as its line: JSON without white space, in ASCII. */
export function writeRecord(value: Claimed): string {
  return JSON.stringify(value)
    .replaceAll(/\\(?:u[0-9a-f]{4}|.)/g, (found) => (found.startsWith("\\u") ? found : escapeUnits(meaningOf(found))))
    .replaceAll(/[^\x20-\x7e]/g, escapeUnits);
}

/** What one of JSON's two-character escapes stands for. */
function meaningOf(twoCharacters: string): string {
  return JSON.parse(`"${twoCharacters}"`) as string;
}

/** Each UTF-16 unit as `\uxxxx`. */
export function escapeUnits(text: string): string {
  let escaped = "";
  for (let i = 0; i < text.length; i++) escaped += `\\u${text.charCodeAt(i).toString(16).padStart(4, "0")}`;
  return escaped;
}

/**
 * Whether a text of a record may be the beginning of a longer one. The record says only that one of its texts was cut. It may be this one when
 * it takes all the room that its member has in the line, but for an escape that did not fit, or when it is as long as what the filter keeps of it.
 */
export function isCut(record: AuditRecord, member: string): boolean {
  const text = record[member];
  const cap = schema.properties[member]?.maxLength;
  if (record["mcp_guard.truncated"] !== true || typeof text !== "string" || cap === undefined) return false;
  const room = writeRecord({ text }).length - '{"text":""}'.length;
  return room > cap - ESCAPED_CHARACTER || Buffer.byteLength(text) >= (KEPT_BYTES[member] ?? Number.POSITIVE_INFINITY);
}
