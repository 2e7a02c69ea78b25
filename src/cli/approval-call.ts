// A call that has to be approved, made the way an agent makes it: with a token of the person it works for, through a guard of `run --approval`.
import { randomBytes } from "node:crypto";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { McpError } from "@modelcontextprotocol/sdk/types.js";
import { COMMAND_LINE_CLIENT, PERSON_GRANT } from "../approval/try/provider.ts";
import { GuardError } from "../error.ts";
import { oneLine } from "../terminal.ts";
import type { CommandContext } from "./command.ts";

/** Longer than a guard holds a call. */
const CALL_TIMEOUT_MS = 320_000;
/** As often as an approval can still come: a guard holds a call for less than a minute, and nobody has more than five. */
const ATTEMPTS_MAX = 10;
/** The reason that a guard puts at the end of a refusal that the model sees. */
const REASON_AT_END = / \((\w+)\)$/;
const APPROVAL_LINK = /https?:\/\/[^\s"]+\/a\/[\w-]{22}/;

/** What the call is made with. */
export interface ApprovalCall {
  /** The guard. */
  url: URL;
  /** The provider of tokens, `http://localhost:port`. */
  provider: string;
  /** Where people approve. */
  pages: string;
  /** For whom the agent works. */
  login: string;
}

/** What came of one attempt. */
interface Attempt {
  kind: "done" | "waiting" | "refused";
  text: string;
}

/**
 * Makes a branch, and deletes it as soon as that has been approved.
 * @returns 0 when the call was made or somebody has denied it, 1 when nothing of that happened.
 * @throws GuardError `ERR_UPSTREAM` when the provider or the guard does not answer.
 */
export async function callForApproval(call: ApprovalCall, context: CommandContext): Promise<number> {
  const client = await connect(call);
  try {
    const branch = `trial-${randomBytes(3).toString("hex")}`;
    const made = await attempt(client, "create_branch", { branch });
    context.out(`create_branch ${branch}: ${made.text}`);
    if (made.kind !== "done") return 1;
    const input = { branch, reason: "to see who is asked" };
    context.out(`delete_branch ${JSON.stringify(input)} waits for ${call.login}: open ${call.pages}/ and decide`);
    for (let attempts = 0; attempts < ATTEMPTS_MAX && !context.signal.aborted; attempts++) {
      const outcome = await attempt(client, "delete_branch", input);
      context.out(`delete_branch ${branch}: ${outcome.text}`);
      if (outcome.kind !== "waiting") return outcome.kind === "done" || outcome.text === "approval_denied" ? 0 : 1;
      // What an agent does with this answer: the same call again, which picks the approval up.
      context.out("the same call again");
    }
    return 1;
  } finally {
    await client.close();
  }
}

async function connect({ url, provider, login }: ApprovalCall): Promise<Client> {
  const token = await tokenOf(provider, login);
  const client = new Client({ name: "mcp-guard-try", version: "0.1.0" });
  const headers = { authorization: `Bearer ${token}` };
  try {
    await client.connect(new StreamableHTTPClientTransport(url, { requestInit: { headers } }));
  } catch (error) {
    throw new GuardError("ERR_UPSTREAM", `${url.href} did not take the MCP handshake: ${textOf(error)}`, {
      cause: error,
    });
  }
  return client;
}

async function tokenOf(provider: string, login: string): Promise<string> {
  const form = { grant_type: PERSON_GRANT, client_id: COMMAND_LINE_CLIENT, login };
  const response = await fetch(`${provider}/token`, { method: "POST", body: new URLSearchParams(form) }).catch(
    (error: unknown) => {
      const message = `nothing answers at ${provider}: start it with make run APPROVAL=1`;
      throw new GuardError("ERR_UPSTREAM", message, { cause: error });
    },
  );
  const body = (await response.json().catch(() => ({}))) as { access_token?: string; error_description?: string };
  if (typeof body.access_token === "string") return body.access_token;
  throw new GuardError("ERR_UPSTREAM", `${provider} gives no token for ${login}: ${body.error_description}`);
}

async function attempt(client: Client, name: string, input: Record<string, unknown>): Promise<Attempt> {
  try {
    const options = { timeout: CALL_TIMEOUT_MS };
    const result = await client.callTool({ name, arguments: input }, undefined, options);
    const [first] = Array.isArray(result.content) ? (result.content as { text?: string }[]) : [];
    const text = oneLine(first?.text ?? "");
    if (result.isError !== true) return { kind: "done", text };
    return refusal(REASON_AT_END.exec(text)?.[1] ?? "", text);
  } catch (error) {
    if (!(error instanceof McpError)) return { kind: "refused", text: textOf(error) };
    const data = error.data as { reason?: unknown } | undefined;
    return refusal(typeof data?.reason === "string" ? data.reason : "", `${error.message} ${JSON.stringify(data)}`);
  }
}

function refusal(reason: string, text: string): Attempt {
  const link = APPROVAL_LINK.exec(text)?.[0];
  if (link !== undefined) return { kind: "waiting", text: `not approved yet, ${link}` };
  return { kind: "refused", text: reason === "" ? oneLine(text) : reason };
}

function textOf(error: unknown): string {
  return oneLine(error instanceof Error ? error.message : String(error));
}
