// `mcp-guard try`: the official MCP client SDK against a running guard, and a table of what came of it.
import { parseArgs } from "node:util";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport, StreamableHTTPError } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { McpError } from "@modelcontextprotocol/sdk/types.js";
import { GuardError } from "../../error.ts";
import { MASKED_TEXT, REFUSALS } from "../../probe/refusals.ts";
import { oneLine } from "../../terminal.ts";
import { callForApproval } from "../approval-call.ts";
import { renderColumns } from "../columns.ts";
import type { Command } from "../command.ts";
import { parsePort, tryConnect } from "../network.ts";
import { isSwitchedOn } from "../switch.ts";

const DEFAULT_URL = "http://127.0.0.1:10000/mcp";
const CALL_TIMEOUT_MS = 10_000;
/** For a tool that was asked for by name: a person may have to approve its call, for which the guard waits `approval.hold_seconds` (45). */
const NAMED_CALL_TIMEOUT_MS = 60_000;

const USAGE = `usage: mcp-guard try [url] [options]

Connects the MCP client SDK to a running guard (${DEFAULT_URL}; also by the environment variable URL), makes a few
calls and shows which were allowed and which were refused, and why. Exit status 1 when system_exec was not refused.

  --tool <name>        a further tool to call: without it only tools that are known to be harmless are called
  --arguments <json>   its arguments ({})

  --approval           (APPROVAL=1) instead: a call for alice that waits until somebody has approved it, through
                       the guard of mcp-guard run --approval
  --as <login>         (LOGIN) the call is for somebody else
  --pages <port>       (APPROVAL_PORT) the port of the approval service's pages (8080)
  --provider <port>    (PROVIDER_PORT) the port of the provider of sign-ins (8082)
`;

/** Tools of the demonstration server that change nothing, with arguments that they accept. */
const HARMLESS: Readonly<Record<string, Record<string, unknown>>> = {
  echo: { message: "hello" },
  "get-sum": { a: 2, b: 3 },
  "get-env": {},
};

/** The shadow tool: a name that no server announces and no policy should list. */
const SHADOW_TOOL = "system_exec";

/** The reason at the end of the text that `refusal: tool_error` gives the model. */
const TOOL_ERROR_REASON = / \((\w+)\)$/;

/** MCP 2025-11-25: a person has to open a link first, here that of an approval. */
const URL_ELICITATION_REQUIRED = -32042;

interface Judgement {
  verdict: "allowed" | "refused" | "failed";
  why: string;
}

interface Outcome extends Judgement {
  what: string;
}

const MASKED_REFUSAL: Judgement = { verdict: "refused", why: `${MASKED_TEXT} (the reason is masked)` };

/** Makes the calls one after the other and prints the table. */
export const tryGuard: Command = async (args, context) => {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      tool: { type: "string" },
      arguments: { type: "string" },
      approval: { type: "boolean" },
      as: { type: "string" },
      pages: { type: "string" },
      provider: { type: "string" },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help) {
    context.out(USAGE);
    return 0;
  }
  const url = parseUrl(positionals[0] ?? (context.env.URL || DEFAULT_URL));
  if (values.approval ?? isSwitchedOn(context.env.APPROVAL)) {
    const local = (port: string, option: string) => `http://localhost:${parsePort(port, option)}`;
    const call = {
      url,
      provider: local(values.provider ?? (context.env.PROVIDER_PORT || "8082"), "PROVIDER_PORT"),
      pages: local(values.pages ?? (context.env.APPROVAL_PORT || "8080"), "APPROVAL_PORT"),
      login: values.as ?? (context.env.LOGIN || "alice"),
    };
    await checkAnswers(url, "make run APPROVAL=1");
    return callForApproval(call, context);
  }
  const further: [string, Record<string, unknown>][] =
    values.tool === undefined ? [] : [[values.tool, parseArguments(values.arguments ?? "{}")]];

  const client = await connect(url);
  try {
    const outcomes = await makeCalls(client, further);
    const rows = outcomes.map(({ what, verdict, why }) => [what, verdict, why]);
    for (const line of renderColumns(["request", "verdict", "why"], rows, [44, 8, 66])) context.out(line);
    const shadow = outcomes.find(({ what }) => what === `tools/call ${SHADOW_TOOL}`);
    if (shadow?.verdict === "refused") return 0;
    throw new GuardError(
      "ERR_UNGUARDED",
      `${SHADOW_TOOL} was not refused by a guard: ${url.href} is not guarded, or its policy lists it`,
    );
  } finally {
    await client.close();
  }
};

function parseUrl(text: string): URL {
  if (!URL.canParse(text)) throw new GuardError("ERR_USAGE", `${text} is no URL; expected one like ${DEFAULT_URL}`);
  return new URL(text);
}

function parseArguments(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // The message below says what was expected.
  }
  throw new GuardError("ERR_USAGE", `--arguments ${text}: expected a JSON object`);
}

async function checkAnswers(url: URL, start = "make run"): Promise<void> {
  const port = Number(url.port) || (url.protocol === "https:" ? 443 : 80);
  await tryConnect({ host: url.hostname.replace(/^\[(.*)\]$/, "$1"), port }).catch((error: unknown) => {
    throw new GuardError("ERR_UPSTREAM", `nothing answers at ${url.href}: start it with ${start}`, { cause: error });
  });
}

async function connect(url: URL): Promise<Client> {
  await checkAnswers(url);
  const client = new Client({ name: "mcp-guard-try", version: "0.1.0" });
  try {
    await client.connect(new StreamableHTTPClientTransport(url), { timeout: CALL_TIMEOUT_MS });
  } catch (error) {
    throw new GuardError("ERR_UPSTREAM", `${url.href} did not take the MCP handshake: ${explain(error).why}`, {
      cause: error,
    });
  }
  return client;
}

async function makeCalls(client: Client, further: [string, Record<string, unknown>][]): Promise<Outcome[]> {
  const options = { timeout: CALL_TIMEOUT_MS };
  const outcomes: Outcome[] = [];
  const attempt = async <T>(
    what: string,
    request: () => Promise<T>,
    describe: (result: T) => string,
  ): Promise<T | undefined> => {
    try {
      const result = await request();
      outcomes.push({ what, ...judge(result, describe) });
      return result;
    } catch (error) {
      outcomes.push({ what, ...explain(error) });
      return undefined;
    }
  };
  const names = (list: readonly { name: string }[]) => list.map((entry) => entry.name);

  const tools = await attempt(
    "tools/list",
    () => client.listTools({}, options),
    ({ tools }) => `${tools.length} tools`,
  );
  const announced = new Set(names(tools?.tools ?? []));
  const known = Object.entries(HARMLESS).filter(([name]) => announced.has(name));
  const tool = async (name: string, input: Record<string, unknown>, timeout: number): Promise<void> => {
    const call = () => client.callTool({ name, arguments: input }, undefined, { timeout });
    await attempt(`tools/call ${name}`, call, (result) => firstText(result.content));
  };
  for (const [name, input] of known) await tool(name, input, CALL_TIMEOUT_MS);
  for (const [name, input] of further) await tool(name, input, NAMED_CALL_TIMEOUT_MS);
  await tool(SHADOW_TOOL, { cmd: "id" }, CALL_TIMEOUT_MS);
  const prompts = await attempt(
    "prompts/list",
    () => client.listPrompts({}, options),
    ({ prompts }) => `${prompts.length} prompts`,
  );
  const prompt = prompts?.prompts[0]?.name ?? "example";
  await attempt(
    `prompts/get ${prompt}`,
    () => client.getPrompt({ name: prompt }, options),
    ({ messages }) => `${messages.length} messages`,
  );
  const resources = await attempt(
    "resources/list",
    () => client.listResources({}, options),
    ({ resources }) => `${resources.length} resources`,
  );
  const uri = resources?.resources[0]?.uri ?? "file:///etc/hostname";
  await attempt(
    `resources/read ${uri}`,
    () => client.readResource({ uri }, options),
    ({ contents }) => `${contents.length} contents`,
  );
  return outcomes;
}

/** A result is an allowed call, unless it carries a refusal in the form that `refusal: tool_error` gives it. */
function judge<T>(result: T, describe: (result: T) => string): Judgement {
  const failed = typeof result === "object" && result !== null && "isError" in result && result.isError === true;
  if (!failed) return { verdict: "allowed", why: shorten(describe(result)) };
  const text = "content" in result ? firstText(result.content) : "";
  const reason = TOOL_ERROR_REASON.exec(text)?.[1];
  if (reason !== undefined && REFUSALS.get(reason)?.isDenial === true) {
    const link = /\bhttps?:\/\/\S+/.exec(text)?.[0];
    if (reason === "approval_pending" && link !== undefined) return { verdict: "refused", why: askedFor(link) };
    return { verdict: "refused", why: `${reason} (a tool error that the model sees)` };
  }
  if (text === MASKED_TEXT) return MASKED_REFUSAL;
  return { verdict: "failed", why: shorten(text) };
}

/** A refusal of the guard carries its reason in the error's data; every other error is the server's own. */
function explain(error: unknown): Judgement {
  if (error instanceof McpError) {
    const reason = reasonOf(error.data);
    if (reason !== undefined) return { verdict: "refused", why: `${reason} (${error.code})` };
    const link = error.code === URL_ELICITATION_REQUIRED ? linkOf(error.data) : undefined;
    if (link !== undefined) return { verdict: "refused", why: askedFor(link) };
    if (error.message.endsWith(`: ${MASKED_TEXT}`)) return MASKED_REFUSAL;
    return { verdict: "failed", why: shorten(error.message) };
  }
  if (error instanceof StreamableHTTPError) {
    const reason = /"reason":"(\w+)"/.exec(error.message)?.[1];
    if (reason !== undefined) return { verdict: "refused", why: `${reason} (HTTP ${error.code})` };
    if (error.message.includes(`"message":"${MASKED_TEXT}"`)) return MASKED_REFUSAL;
  }
  return { verdict: "failed", why: shorten(error instanceof Error ? error.message : String(error)) };
}

function reasonOf(data: unknown): string | undefined {
  if (typeof data !== "object" || data === null || !("reason" in data)) return undefined;
  return typeof data.reason === "string" ? data.reason : undefined;
}

/** Where a person decides about the call, whole: it is there to be opened. */
function askedFor(link: string): string {
  return `a person has to approve it at ${oneLine(link)}, then call it again`;
}

/** The link of the first elicitation in an error's data. */
function linkOf(data: unknown): string | undefined {
  if (typeof data !== "object" || data === null || !("elicitations" in data)) return undefined;
  const [first] = Array.isArray(data.elicitations) ? (data.elicitations as unknown[]) : [];
  if (typeof first !== "object" || first === null || !("url" in first)) return undefined;
  return typeof first.url === "string" ? first.url : undefined;
}

function firstText(content: unknown): string {
  const [first] = Array.isArray(content) ? (content as { type: string; text?: string }[]) : [];
  return first?.text ?? (first === undefined ? "an empty result" : first.type);
}

/** What a server answers is shown on one line. */
function shorten(text: string): string {
  const line = oneLine(text);
  return line.length > 60 ? `${line.slice(0, 57)}...` : line;
}
