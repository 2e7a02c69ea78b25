// The reference for what headers and body of a request must agree on: the era (MCP versioning: the body's `_meta` names the
// version since 2026-07-28, the header alone before) and the fields that a modern request repeats in headers.

export type MirrorReason = "header_mismatch" | "meta_invalid" | "era_mixed" | "version_unsupported";

export type Headers = readonly (readonly [name: string, value: string])[];

type JsonObject = Readonly<Record<string, unknown>>;

const MODERN = "2026-07-28";
const VERSION_KEY = "io.modelcontextprotocol/protocolVersion";
const CAPABILITIES_KEY = "io.modelcontextprotocol/clientCapabilities";
const VERSION_BYTES_MAX = 16;

/** The member of `params` that `Mcp-Name` repeats, by method. */
const NAMED_BY: Readonly<Record<string, string>> = {
  "tools/call": "name",
  "prompts/get": "name",
  "resources/read": "uri",
  "tasks/get": "taskId",
  "tasks/update": "taskId",
  "tasks/cancel": "taskId",
};

const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const member = (object: unknown, name: string): unknown =>
  isObject(object) && Object.hasOwn(object, name) ? object[name] : undefined;

/** Every disagreement between the headers and a message; empty if they agree, or if a legacy message needs no headers. */
export function* mirrorFaults(message: JsonObject, headers: Headers): Generator<MirrorReason> {
  const values = (name: string): readonly string[] =>
    headers.filter(([field]) => field.toLowerCase() === name).map(([, value]) => value.replace(/^[ \t]+|[ \t]+$/g, ""));
  const says = (name: string, expected: string): boolean => {
    const [value, ...others] = values(name);
    return others.length === 0 && value === expected;
  };

  const versions = values("mcp-protocol-version");
  // One reader takes the first and another the last.
  if (versions.length > 1) yield "header_mismatch";

  const method = member(message, "method");
  const params = member(message, "params");
  const meta = member(params, "_meta");
  // Neither has a place in the modern era: no handshake, and no requests of the server that could be answered.
  const isResponse = method === undefined;
  const isLegacyOnly = isResponse || method === "initialize";

  if (!isObject(meta) || !Object.hasOwn(meta, VERSION_KEY)) {
    const [version = ""] = versions;
    if (versions.length === 1 && /^\d{4}-\d{2}-\d{2}$/.test(version) && version >= MODERN)
      yield isLegacyOnly ? "era_mixed" : "meta_invalid";
    return;
  }
  if (isResponse) yield "era_mixed";

  const version = meta[VERSION_KEY];
  if (typeof version !== "string" || Buffer.byteLength(version) > VERSION_BYTES_MAX) yield "meta_invalid";
  else {
    if (!says("mcp-protocol-version", version)) yield isLegacyOnly ? "era_mixed" : "header_mismatch";
    if (version !== MODERN) yield "version_unsupported";
  }
  if (typeof method !== "string") return;
  const isNotification = method.startsWith("notifications/");
  if (!isNotification && !isObject(member(meta, CAPABILITIES_KEY))) yield "meta_invalid";
  // Whether a notification repeats its method is left open; if it does, it must be the method.
  if ((!isNotification || values("mcp-method").length > 0) && !says("mcp-method", method)) yield "header_mismatch";

  const name = Object.hasOwn(NAMED_BY, method) ? member(params, NAMED_BY[method]!) : undefined;
  if (typeof name !== "string") return;
  const [header, ...others] = values("mcp-name");
  if (header === undefined || others.length > 0 || decodedName(header) !== name) yield "header_mismatch";
}

/** The name that a value of `Mcp-Name` says; nothing when it is encoded in a way that readers could differ about. */
function decodedName(value: string): string | undefined {
  if (!value.startsWith("=?base64?")) return value;
  const encoded = /^=\?base64\?(.*)\?=$/s.exec(value)?.[1];
  if (encoded === undefined || Buffer.from(encoded, "base64").toString("base64") !== encoded) return undefined;
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Buffer.from(encoded, "base64"));
  } catch {
    return undefined;
  }
}
