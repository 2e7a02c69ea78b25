// The digest of one call (schema/canonical-arguments.md): what an approval is given for, and what a receipt names.
import { createHash } from "node:crypto";
import { GuardError } from "../error.ts";
import { canonicalText, isCanonical, type JsonNode } from "./canonical.ts";

/** The first field: no other use of SHA-256 begins like this. */
const DOMAIN = "mcp-guard-approval-v1";

/** The member of `params.inputResponses` that answers the guard's own question, and is not part of the call. */
export const APPROVAL_INPUT = "guard.approval";

/** One call, as its digest names it. */
export interface CallFields {
  /** The id under which the approval service knows the server. */
  readonly server: string;
  /** `:authority` and `:path`, with its query, as the proxy has them. */
  readonly authority: string;
  readonly path: string;
  /** Who asks: the issuer, and the principal that it names. */
  readonly issuer: string;
  readonly principal: string;
  /** The method of JSON-RPC. */
  readonly method: string;
  /** The name of the tool, unescaped. */
  readonly tool: string;
  /** Canonical text of `params.arguments`; empty when the call has none. */
  readonly arguments: string;
  /** Canonical text of `params.task`; empty when the call has none. */
  readonly task: string;
  /** What `inputResponsesText` gives; empty when the call has none. */
  readonly inputResponses: string;
}

/** The fields in the order in which they are hashed. */
const ORDER = [
  "server",
  "authority",
  "path",
  "issuer",
  "principal",
  "method",
  "tool",
  "arguments",
  "task",
  "inputResponses",
] as const satisfies readonly (keyof CallFields)[];

/**
 * The digest of a call: 64 lower-case hexadecimal digits.
 * @throws GuardError `ERR_USAGE` when a field is no Unicode text, which would be hashed as another one, or when `arguments`, `task` or
 * `inputResponses` is neither empty nor a canonical text.
 */
export function callDigest(fields: CallFields): string {
  const hash = createHash("sha256");
  addField(hash, DOMAIN);
  for (const name of ORDER) {
    const text = fields[name];
    if (/\p{Surrogate}/u.test(text)) {
      throw new GuardError("ERR_USAGE", `${name}: found half of a surrogate pair, expected text that is Unicode`);
    }
    addField(hash, text);
  }
  for (const name of ["arguments", "task", "inputResponses"] as const) {
    if (fields[name] !== "" && !isCanonical(fields[name])) {
      throw new GuardError("ERR_USAGE", `${name}: found another text, expected canonical JSON or nothing`);
    }
  }
  return hash.digest("hex");
}

/** The text of `params.inputResponses` in a digest: without the guard's own answer, and empty when there is no other. */
export function inputResponsesText(node: JsonNode): string {
  const text = canonicalText(node, APPROVAL_INPUT);
  return text === "{}" ? "" : text;
}

/** A field is its length in bytes, big-endian, and its bytes: none can lend the next one a byte. */
function addField(hash: ReturnType<typeof createHash>, text: string): void {
  const bytes = Buffer.from(text);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  hash.update(length).update(bytes);
}
