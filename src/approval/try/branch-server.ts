// A small MCP server with something to lose: the branches of a repository, in memory. It stands behind the guard where somebody tries
// the approval of calls, and says to its owner which calls have come through.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { Server } from "@modelcontextprotocol/sdk/server/index.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import { CallToolRequestSchema, ListToolsRequestSchema } from "@modelcontextprotocol/sdk/types.js";
import { BRANCH_TOOL_LIST, createBranches } from "./branches.ts";
import { listenPrivately } from "./private-socket.ts";
import { requestText } from "./request-text.ts";

/** A call that has come through. */
export interface ReceivedCall {
  readonly tool: string;
  /** The body of the HTTP request as it came. */
  readonly body: string;
}

/** A running server. */
export interface BranchServer {
  /** The Unix socket that it listens on. */
  readonly socketPath: string;
  /** The path of its MCP endpoint. */
  readonly path: string;
  /** The calls of tools so far, in order. */
  readonly calls: readonly ReceivedCall[];
  stop(): Promise<void>;
}

/** Names of its tools. */
export const BRANCH_TOOLS: readonly string[] = BRANCH_TOOL_LIST.map(({ name }) => name);

/** Starts it. @param onCall is told of each call of a tool before it is done. */
export async function startBranchServer(onCall: (call: ReceivedCall) => void = () => {}): Promise<BranchServer> {
  const useTool = createBranches();
  const calls: ReceivedCall[] = [];
  const server = createServer((request, response) => {
    void answer(request, response).catch(() => response.destroy());
  });

  /** Each request has a protocol server of its own: nothing but the branches outlives it. */
  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method !== "POST") return void response.writeHead(405, { allow: "POST" }).end();
    const body = await requestText(request);
    if (body === undefined) return void response.destroy();
    const protocol = new Server({ name: "branches", version: "1.0.0" }, { capabilities: { tools: {} } });
    protocol.setRequestHandler(ListToolsRequestSchema, () => ({ tools: [...BRANCH_TOOL_LIST] }));
    protocol.setRequestHandler(CallToolRequestSchema, ({ params }) => {
      const call = { tool: params.name, body };
      calls.push(call);
      onCall(call);
      return useTool(params.name, params.arguments ?? {});
    });
    const transport = new StreamableHTTPServerTransport({ enableJsonResponse: true });
    response.once("close", () => void protocol.close());
    await protocol.connect(transport as Transport);
    await transport.handleRequest(request, response, JSON.parse(body));
  }

  const socket = await listenPrivately(server);
  return { socketPath: socket.path, path: "/mcp", calls, stop: socket.close };
}
