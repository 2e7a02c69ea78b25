// The server that the official conformance suite is run against: `node server.ts <port>`, at /mcp of the loopback address.
// It serves the revisions up to 2025-11-25 with sessions that can be resumed, and 2026-07-28.
import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { NodeStreamableHTTPServerTransport, toNodeHandler } from "@modelcontextprotocol/node";
import {
  classifyInboundRequest,
  createMcpHandler,
  type EventStore,
  isInitializeRequest,
  type JSONRPCMessage,
  localhostAllowedHostnames,
  validateHostHeader,
} from "@modelcontextprotocol/server";
import { createFixture } from "./fixture.ts";
import type { Surroundings } from "./tools.ts";

const HOST = "127.0.0.1";
/** How long a client waits before it comes back for the rest of a stream. */
const RETRY_MS = 500;

type NodeRequest = IncomingMessage & { method: string; url: string };

const sessions = new Map<string, NodeStreamableHTTPServerTransport>();
const around: Surroundings = {
  announce(list) {
    if (list === "tools") modern.notify.toolsChanged();
    else modern.notify.promptsChanged();
  },
  cutStream(sessionId, id) {
    sessions.get(sessionId)?.closeSSEStream(id);
  },
};
const modern = createMcpHandler(() => createFixture(around));
const answerModern = toNodeHandler(modern);

const port = Number(process.argv[2]);
createServer((request, response) => {
  answer(request as NodeRequest, response).catch((error: unknown) => {
    console.error(error);
    if (response.headersSent) response.destroy();
    else refuse(response, 500, -32603, "Internal error");
  });
}).listen(port, HOST);

async function answer(request: NodeRequest, response: ServerResponse): Promise<void> {
  // The suite checks that a page which has rebound its name to the loopback address gets nothing.
  if (!validateHostHeader(request.headers.host, localhostAllowedHostnames()).ok) {
    return refuse(response, 403, -32000, "Invalid host");
  }
  if (new URL(request.url, `http://${HOST}`).pathname !== "/mcp") return refuse(response, 404, -32000, "Not found");

  const read = await bodyOf(request);
  if (read === undefined) return refuse(response, 400, -32700, "Parse error");
  const { body } = read;
  const version = headerOf(request, "mcp-protocol-version");
  const method = headerOf(request, "mcp-method");
  const { kind } = classifyInboundRequest({
    httpMethod: request.method,
    ...(version !== undefined && { protocolVersionHeader: version }),
    ...(method !== undefined && { mcpMethodHeader: method }),
    body,
  });
  const isPost = request.method === "POST";
  if (isPost && kind !== "legacy") return answerModern(request, response, body);

  const id = headerOf(request, "mcp-session-id");
  const session = id === undefined ? undefined : sessions.get(id);
  if (session !== undefined) return session.handleRequest(request, response, body);
  if (id !== undefined) return refuse(response, 404, -32001, "Session not found");
  if (!isPost || !isInitializeRequest(body)) return refuse(response, 400, -32000, "Session id required");
  return (await openSession()).handleRequest(request, response, body);
}

async function openSession(): Promise<NodeStreamableHTTPServerTransport> {
  const session: NodeStreamableHTTPServerTransport = new NodeStreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    eventStore: createEventStore(),
    retryInterval: RETRY_MS,
    onsessioninitialized(id) {
      sessions.set(id, session);
    },
    onsessionclosed(id) {
      sessions.delete(id);
    },
  });
  await createFixture(around).connect(session);
  return session;
}

/** The events of one session, in their order: an id is a place in it. */
function createEventStore(): EventStore {
  const events: { streamId: string; message: JSONRPCMessage }[] = [];
  return {
    async storeEvent(streamId, message) {
      return String(events.push({ streamId, message }));
    },
    async replayEventsAfter(lastEventId, { send }) {
      const place = Number(lastEventId);
      const streamId = events[place - 1]?.streamId ?? "";
      for (const [index, event] of events.entries()) {
        // What is stored for a priming event is an empty object.
        const isMessage = Object.keys(event.message).length > 0;
        if (index >= place && event.streamId === streamId && isMessage) await send(String(index + 1), event.message);
      }
      return streamId;
    },
  };
}

function headerOf(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

/** The JSON of a body, undefined where there is none; undefined in all when it is no JSON. */
async function bodyOf(request: IncomingMessage): Promise<{ body: unknown } | undefined> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  const text = Buffer.concat(parts).toString();
  try {
    return { body: text === "" ? undefined : JSON.parse(text) };
  } catch {
    return undefined;
  }
}

function refuse(response: ServerResponse, status: number, code: number, message: string): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify({ jsonrpc: "2.0", id: null, error: { code, message } }));
}
