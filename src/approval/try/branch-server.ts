// A small MCP server with something to lose: the branches of a repository, in memory. It stands behind the guard where somebody tries
// the approval of calls, and says to its owner which calls have come through.
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { Server } from "@modelcontextprotocol/sdk/server/index.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import {
  CallToolRequestSchema,
  type CallToolResult,
  ErrorCode,
  ListToolsRequestSchema,
  McpError,
  type Tool,
} from "@modelcontextprotocol/sdk/types.js";
import { atExit } from "../../at-exit.ts";

const BODY_BYTES_MAX = 1 << 20;
const FIRST_BRANCHES = ["main", "release", "old-experiment"];

/** Its tools; the last one is flagged by its name. */
const TOOLS: readonly Tool[] = [
  tool("list_branches", "Lists the branches.", {}),
  tool("create_branch", "Makes a branch.", { branch: { type: "string", description: "its name" } }),
  tool("delete_branch", "Deletes a branch for good.", {
    branch: { type: "string", description: "its name" },
    reason: { type: "string", description: "why, for whoever looks at it later" },
  }),
];

/** A call that has come through. */
export interface ReceivedCall {
  readonly tool: string;
  /** The body of the HTTP request as it came. */
  readonly body: string;
}

/** A running server. */
export interface BranchServer {
  /** The Unix socket that it listens on: no port by which somebody walks around the guard. */
  readonly socketPath: string;
  /** The path of its MCP endpoint. */
  readonly path: string;
  /** The calls of tools so far, in order. */
  readonly calls: readonly ReceivedCall[];
  stop(): Promise<void>;
}

/** Names of its tools. */
export const BRANCH_TOOLS: readonly string[] = TOOLS.map(({ name }) => name);

/** Starts it. @param onCall is told of each call of a tool before it is done. */
export async function startBranchServer(onCall: (call: ReceivedCall) => void = () => {}): Promise<BranchServer> {
  const branches = new Set(FIRST_BRANCHES);
  const calls: ReceivedCall[] = [];
  const server = createServer((request, response) => {
    void answer(request, response).catch(() => response.destroy());
  });

  /** Each request has a protocol server of its own: nothing but the branches outlives it. */
  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method !== "POST") return void response.writeHead(405, { allow: "POST" }).end();
    const body = await textOf(request);
    // A request that the guard refuses after its headers have gone on is taken back.
    if (body === undefined) return void response.destroy();
    const protocol = new Server({ name: "branches", version: "1.0.0" }, { capabilities: { tools: {} } });
    protocol.setRequestHandler(ListToolsRequestSchema, () => ({ tools: [...TOOLS] }));
    protocol.setRequestHandler(CallToolRequestSchema, ({ params }) => {
      const call = { tool: params.name, body };
      calls.push(call);
      onCall(call);
      return useTool(branches, params.name, params.arguments ?? {});
    });
    const transport = new StreamableHTTPServerTransport({ enableJsonResponse: true });
    response.once("close", () => void protocol.close());
    await protocol.connect(transport as Transport);
    await transport.handleRequest(request, response, JSON.parse(body));
  }

  const folder = mkdtempSync(path.join(tmpdir(), "mcp-guard-branches-"));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  const forget = atExit(remove);
  const socketPath = path.join(folder, "mcp.sock");
  server.listen(socketPath);
  await once(server, "listening");
  return {
    socketPath,
    path: "/mcp",
    calls,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      forget();
      remove();
    },
  };
}

function tool(name: string, description: string, properties: Record<string, object>): Tool {
  const required = Object.keys(properties).filter((property) => property !== "reason");
  return { name, description, inputSchema: { type: "object", properties, required } };
}

function useTool(branches: Set<string>, name: string, input: Record<string, unknown>): CallToolResult {
  const branch = typeof input.branch === "string" ? input.branch : "";
  switch (name) {
    case "list_branches":
      return text([...branches].join(", "));
    case "create_branch":
      branches.add(branch);
      return text(`${branch} is there`);
    case "delete_branch":
      return branches.delete(branch) ? text(`${branch} is deleted`) : { ...text(`no branch ${branch}`), isError: true };
    default:
      throw new McpError(ErrorCode.InvalidParams, `there is no tool ${name}`);
  }
}

function text(value: string): CallToolResult {
  return { content: [{ type: "text", text: value }] };
}

/** The whole body; undefined when the request was cut, or is too large. */
async function textOf(request: IncomingMessage): Promise<string | undefined> {
  const parts: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const part of request) {
      bytes += (part as Buffer).length;
      if (bytes > BODY_BYTES_MAX) throw new Error(`a body of more than ${BODY_BYTES_MAX} bytes`);
      parts.push(part as Buffer);
    }
  } catch {
    return undefined;
  }
  return Buffer.concat(parts).toString();
}
