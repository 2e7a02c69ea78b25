// What the probe sends: a call that no server can know, in the forms of both eras of MCP, and a ping that a guard refuses.

/** The revision that repeats parts of its body in headers. */
const MODERN_VERSION = "2026-07-28";

/** One request of the probe. */
export interface ProbeMessage {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** The id that an answer to it has. */
  readonly id: string;
}

const HEADERS = {
  "content-type": "application/json",
  accept: "application/json, text/event-stream",
  // Half an answer that is compressed could not be read.
  "accept-encoding": "identity",
  "user-agent": "mcp-guard-probe",
} as const;

/** The call as a client of the revision 2026-07-28 sends it. */
export function modernCall(tool: string, id: string): ProbeMessage {
  const meta = {
    "io.modelcontextprotocol/protocolVersion": MODERN_VERSION,
    "io.modelcontextprotocol/clientInfo": { name: "mcp-guard-probe", version: "1" },
    "io.modelcontextprotocol/clientCapabilities": {},
  };
  const mirrored = { "mcp-protocol-version": MODERN_VERSION, "mcp-method": "tools/call", "mcp-name": mirrorText(tool) };
  return { headers: { ...HEADERS, ...mirrored }, body: call(tool, id, { _meta: meta }), id };
}

/** The call as older clients send it. It belongs to no session: a guard answers before a server would ask for one. */
export function legacyCall(tool: string, id: string): ProbeMessage {
  return { headers: HEADERS, body: call(tool, id, {}), id };
}

/**
 * A ping with its id twice, which a guard refuses in words of its own, also where it masks its reasons. Readers of JSON take one of the two, so that
 * a server sees an ordinary ping.
 */
export function doubledPing(id: string): ProbeMessage {
  const member = `"id":${JSON.stringify(id)}`;
  return { headers: HEADERS, body: `{"jsonrpc":"2.0",${member},${member},"method":"ping"}`, id };
}

function call(tool: string, id: string, params: object): string {
  return JSON.stringify({ jsonrpc: "2.0", id, method: "tools/call", params: { name: tool, arguments: {}, ...params } });
}

/** A header's value that stands for the name (MCP 2026-07-28: what is not plain is encoded). */
function mirrorText(name: string): string {
  const isPlain = /^[!-~](?:[ -~]*[!-~])?$/.test(name) && !/^=\?base64\?/.test(name);
  return isPlain ? name : `=?base64?${Buffer.from(name).toString("base64")}?=`;
}
