// `mcp-guard probe`: whether a guard is in the path of a URL, with which policy, in which mode.
import { parseArgs } from "node:util";
import { visible } from "../../audit/visible.ts";
import { GuardError } from "../../error.ts";
import type { Span, Tone } from "../../paint.ts";
import { probe as ask, type ProbeResult, shownUrl, type Verdict } from "../../probe/probe.ts";
import type { Command } from "../command.ts";
import { plainLines, show } from "../show.ts";

const USAGE = `usage: mcp-guard probe [options] URL

Calls a tool that no server has, which a guard must refuse, and says whether one did, with which policy and in which mode. Nothing is
changed by it: a server without a guard answers that it does not know the tool.

  URL                     the MCP endpoint, http or https
  --header <NAME:VALUE>   a header to send to it, for example with a token; can be given more than once
  --admin <URL>           Envoy's administration interface, http://127.0.0.1:15000 in a pod of Istio: tells a guard in
                          monitor mode from none, and which policy is in force
  --tool <NAME>           the tool to call; it is called without arguments, so name one that no server has
  --timeout <seconds>     for everything together (10)
  --format <format>       table (the default) or json

Ends with status 0 when a guard enforces, 1 when none does or one only monitors, 2 for a wrong command line, 3 when the answer does
not tell. Redirects are not followed, proxies of the environment not used: the headers go to the URL and nowhere else.

  mcp-guard probe http://127.0.0.1:10000/mcp
  mcp-guard probe https://mcp.example/mcp --header "Authorization: Bearer $TOKEN" --admin http://127.0.0.1:15000
`;

const TIMEOUT_S_DEFAULT = "10";
const TIMEOUT_S_MAX = 600;

const STATUS: Readonly<Record<Verdict, number>> = { enforces: 0, monitors: 1, absent: 1, unknown: 3 };

/** A field name (RFC 9110 section 5.1). */
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** What a field value may have (RFC 9110 section 5.5), and undici sends. */
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** Headers that make the probe what it is, and those of the connection itself. */
const OWN_HEADERS = new Set([
  ...["content-type", "content-length", "content-encoding", "accept", "accept-encoding", "transfer-encoding"],
  ...["connection", "upgrade", "expect", "keep-alive", "te", "trailer"],
  ...["mcp-protocol-version", "mcp-method", "mcp-name"],
]);

/** Asks and prints what came of it. */
export const probe: Command = async (args, context) => {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      header: { type: "string", multiple: true, default: [] as string[] },
      admin: { type: "string" },
      tool: { type: "string" },
      timeout: { type: "string", default: TIMEOUT_S_DEFAULT },
      format: { type: "string", default: "table" },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help) {
    context.out(USAGE);
    return 0;
  }
  const { format } = values;
  if (format !== "table" && format !== "json") {
    throw new GuardError("ERR_USAGE", `--format ${format}: expected table or json`);
  }
  const [text, ...more] = positionals;
  if (text === undefined)
    throw new GuardError("ERR_USAGE", "found no URL, expected one like http://127.0.0.1:10000/mcp");
  if (more.length > 0) throw new GuardError("ERR_USAGE", `found ${positionals.length} URLs, expected one`);
  const url = parseUrl(text, "URL");
  const options = {
    url,
    headers: parseHeaders(values.header),
    timeoutMs: parseTimeout(values.timeout),
    signal: context.signal,
    ...(values.admin !== undefined && { admin: parseUrl(values.admin, "--admin") }),
    ...(values.tool !== undefined && { tool: parseTool(values.tool) }),
  };
  context.status(`asking ${shownUrl(url)} ...`);
  const result = await askUntilDone(options);
  context.status("");
  show(context, format === "json" ? plainLines(renderJson(url, result)) : renderTable(url, result));
  return STATUS[result.verdict];
};

async function askUntilDone(options: Parameters<typeof ask>[0]): Promise<ProbeResult> {
  try {
    return await ask(options);
  } catch (error) {
    if (options.signal.aborted) throw new GuardError("ERR_INTERRUPTED", "interrupted", { cause: error });
    throw error;
  }
}

/** No message repeats the text: it may hold what nobody should see. */
function parseUrl(text: string, what: string): URL {
  const example = what === "URL" ? "http://127.0.0.1:10000/mcp" : "http://127.0.0.1:15000";
  if (!URL.canParse(text)) throw new GuardError("ERR_USAGE", `${what}: found no URL, expected one like ${example}`);
  const url = new URL(text);
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw new GuardError("ERR_USAGE", `${what}: found ${url.protocol}, expected http or https`);
  }
  if (url.username !== "" || url.password !== "") {
    throw new GuardError(
      "ERR_USAGE",
      `${what}: found a user name or a password in it, expected them in --header Authorization`,
    );
  }
  url.hash = "";
  return url;
}

function parseHeaders(entries: readonly string[]): Record<string, string> {
  const headers: Record<string, string> = {};
  entries.forEach((entry, index) => {
    const colon = entry.indexOf(":");
    const name = entry.slice(0, Math.max(colon, 0)).trim().toLowerCase();
    const value = entry.slice(colon + 1).trim();
    const where = `--header ${index + 1}`;
    if (colon < 0 || !HEADER_NAME.test(name)) {
      throw new GuardError("ERR_USAGE", `${where}: found no header's name, expected NAME:VALUE`);
    }
    if (!HEADER_VALUE.test(value)) {
      throw new GuardError("ERR_USAGE", `${where} (${name}): found a value that no header can have`);
    }
    if (OWN_HEADERS.has(name)) throw new GuardError("ERR_USAGE", `${where}: ${name} is the probe's own`);
    if (Object.hasOwn(headers, name)) throw new GuardError("ERR_USAGE", `${where}: found ${name} a second time`);
    headers[name] = value;
  });
  return headers;
}

function parseTimeout(text: string): number {
  const seconds = /^\d{1,3}(?:\.\d{1,3})?$/.test(text) ? Number(text) : 0;
  if (seconds <= 0 || seconds > TIMEOUT_S_MAX) {
    throw new GuardError("ERR_USAGE", `--timeout ${text}: expected seconds, up to ${TIMEOUT_S_MAX}`);
  }
  return Math.round(seconds * 1000);
}

function parseTool(text: string): string {
  if (text === "") throw new GuardError("ERR_USAGE", "--tool: found an empty name, expected that of a tool");
  return text;
}

const TONES: Readonly<Record<ProbeResult["verdict"], Tone>> = {
  enforces: "good",
  monitors: "bad",
  absent: "bad",
  unknown: "open",
};

function renderTable(url: URL, result: ProbeResult): Span[][] {
  const rows: (readonly [string, string | number | undefined])[] = [
    ["verdict", result.verdict],
    ["mode", result.mode],
    ["policy", result.policy],
    ["reason", result.reason],
    ["refusal", result.form === "http" ? undefined : result.form],
    ["detail", result.detail],
    ["HTTP status", result.httpStatus],
    ["request id", result.requestId],
    ["tool", visible(result.tool)],
  ];
  return [
    [{ text: shownUrl(url), tone: "strong" }],
    [{ text: result.text, tone: TONES[result.verdict] }],
    [{ text: "" }],
    ...plainLines(rows.flatMap(([name, value]) => (value === undefined ? [] : `${name.padEnd(13)}${value}`))),
    ...plainLines(result.notes.map((note) => `${"note".padEnd(13)}${note}`)),
  ];
}

function renderJson(url: URL, result: ProbeResult): string[] {
  const { verdict, finding, text, tool, mode, policy, reason, form, detail, httpStatus, requestId, notes } = result;
  const shown = {
    url: shownUrl(url),
    verdict,
    finding,
    text,
    tool: visible(tool),
    mode: mode ?? null,
    policy: policy ?? null,
    reason: reason ?? null,
    refusal: form ?? null,
    refusal_detail: detail ?? null,
    http_status: httpStatus ?? null,
    request_id: requestId ?? null,
    notes,
  };
  return JSON.stringify(shown, undefined, 2).split("\n");
}
