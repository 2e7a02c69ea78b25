// The MCP servers behind the guard: two published ones, and one of the SDK that speaks the modern revision.
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createRequire } from "node:module";
import { type AddressInfo, connect } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { toNodeHandler } from "@modelcontextprotocol/node";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import { createMcpHandler, Server as ModernServer } from "@modelcontextprotocol/server";
import { startChild } from "../../src/child.ts";
import { freePort } from "../free-port.ts";
import { pause } from "./wire.ts";

const START_TIMEOUT_MS = 20_000;

export interface McpServer {
  readonly name: string;
  /** It listens on every interface of this machine: containers reach it from outside. */
  readonly port: number;
  stop(): Promise<void>;
}

/** `@modelcontextprotocol/server-everything` over its streamable HTTP transport. */
export function startEverything(): Promise<McpServer> {
  return startProgram("server-everything", (port) => ({
    command: process.execPath,
    args: [programOf("@modelcontextprotocol/server-everything"), "streamableHttp"],
    env: { PORT: String(port) },
  }));
}

/** How a server's program is started. */
export interface Program {
  readonly command: string;
  readonly args: readonly string[];
  /** In addition to this process's own environment. */
  readonly env: Readonly<Record<string, string>>;
}

/** Starts a server that is a program of its own, on a free port, and waits until it listens. @throws Error when it does not. */
export async function startProgram(name: string, programOn: (port: number) => Program): Promise<McpServer> {
  const port = await freePort();
  const { command, args, env } = programOn(port);
  const child = await startChild(command, args, { stdio: "ignore", env: { ...process.env, ...env } });
  const deadline = performance.now() + START_TIMEOUT_MS;
  while (!(await listens(port))) {
    if (child.running() && performance.now() < deadline) {
      await pause(50);
      continue;
    }
    await child.stop();
    throw new Error(`${name} did not start`);
  }
  return { name, port, stop: () => child.stop() };
}

/**
 * `@modelcontextprotocol/server-filesystem`, which speaks over its standard input and output, behind a bridge: each session
 * of the streamable HTTP transport has a process of its own. The folder that it serves has one file, `hello.txt`.
 */
export async function startFilesystem(): Promise<McpServer & { readonly folder: string }> {
  const folder = mkdtempSync(path.join(tmpdir(), "mcp-guard-files-"));
  writeFileSync(path.join(folder, "hello.txt"), "hello from a file\n");
  const sessions = new Map<string, StreamableHTTPServerTransport>();
  const children = new Set<StdioClientTransport>();

  const openSession = async (): Promise<StreamableHTTPServerTransport> => {
    const http: StreamableHTTPServerTransport = new StreamableHTTPServerTransport({
      sessionIdGenerator: () => randomUUID(),
      onsessioninitialized: (id) => {
        sessions.set(id, http);
      },
    });
    const args = [programOf("@modelcontextprotocol/server-filesystem"), folder];
    const stdio = new StdioClientTransport({ command: process.execPath, args, stderr: "ignore" });
    children.add(stdio);
    join(http as Transport, stdio);
    http.onclose = () => {
      children.delete(stdio);
      void stdio.close();
    };
    await stdio.start();
    await http.start();
    return http;
  };
  const server = createServer(async (request, response) => {
    const id = request.headers["mcp-session-id"];
    const session = typeof id === "string" ? sessions.get(id) : await openSession();
    if (session === undefined) response.writeHead(404).end();
    else await session.handleRequest(request, response);
  });
  const port = await listening(server);
  return {
    name: "filesystem",
    port,
    folder,
    async stop() {
      await Promise.all([...children].map((stdio) => stdio.close()));
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/**
 * The second generation of the official TypeScript SDK, which serves the revision 2026-07-28: whatever tool, prompt or resource is
 * asked for, the answer says what it was.
 */
export async function startModern(): Promise<McpServer & { readonly called: readonly string[] }> {
  const called: string[] = [];
  const handler = createMcpHandler(modernServer);
  const answer = toNodeHandler(handler);
  const server = createServer(async (request: IncomingMessage, response: ServerResponse) => {
    const text = await textOf(request);
    // A request that the guard refuses after its headers have gone on is taken back.
    if (text === undefined) return;
    const body = text === "" ? undefined : (JSON.parse(text) as ModernRequest);
    if (body !== undefined) called.push(callOf(body));
    // A server's request always has the two members that the type leaves open.
    const answered = answer(request as IncomingMessage & { method: string; url: string }, response, body);
    const subscribed = body?.params?.notifications?.resourceSubscriptions ?? [];
    while (subscribed.length > 0 && !response.headersSent) await pause(10);
    for (const uri of subscribed) handler.notify.resourceUpdated(uri);
    await answered;
  });
  const port = await listening(server);
  return {
    name: "modern",
    port,
    called,
    async stop() {
      await handler.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function modernServer(): ModernServer {
  const capabilities = { tools: {}, prompts: {}, resources: { subscribe: true }, completions: {} };
  const server = new ModernServer({ name: "modern", version: "1.0.0" }, { capabilities });
  server.setRequestHandler("tools/list", () => ({
    tools: ["repeat", "system_exec"].map((name) => ({ name, inputSchema: { type: "object" as const } })),
  }));
  server.setRequestHandler("tools/call", ({ params }) => ({
    content: [{ type: "text", text: `${params.name} ${JSON.stringify(params.arguments)}` }],
  }));
  server.setRequestHandler("prompts/list", () => ({ prompts: [{ name: "greet" }, { name: "secret" }] }));
  server.setRequestHandler("prompts/get", ({ params }) => ({
    messages: [{ role: "user", content: { type: "text", text: `prompt ${params.name}` } }],
  }));
  server.setRequestHandler("resources/list", () => ({
    resources: ["docs://guide/start", "docs://private/keys"].map((uri) => ({ uri, name: uri })),
  }));
  server.setRequestHandler("resources/templates/list", () => ({
    resourceTemplates: [{ uriTemplate: "docs://guide/{page}", name: "guide" }],
  }));
  server.setRequestHandler("resources/read", ({ params }) => ({
    contents: [{ uri: params.uri, text: `text of ${params.uri}` }],
  }));
  server.setRequestHandler("completion/complete", ({ params: { ref, argument } }) => ({
    completion: { values: [`${argument.value} for ${ref.type === "ref/prompt" ? ref.name : ref.uri}`] },
  }));
  return server;
}

/** The method, and what it is about. */
function callOf({ method, params }: ModernRequest): string {
  const subject = params?.name ?? params?.uri ?? params?.ref?.name ?? params?.ref?.uri;
  return subject === undefined ? method : `${method} ${subject}`;
}

interface ModernRequest {
  method: string;
  params?: {
    name?: string;
    uri?: string;
    ref?: { name?: string; uri?: string };
    notifications?: { resourceSubscriptions?: string[] };
  };
}

/** The whole body; undefined when the request was cut. */
async function textOf(request: IncomingMessage): Promise<string | undefined> {
  const parts: Buffer[] = [];
  try {
    for await (const part of request) parts.push(part as Buffer);
  } catch {
    return undefined;
  }
  return Buffer.concat(parts).toString();
}

/** Each message of one goes to the other. */
function join(one: Transport, other: Transport): void {
  one.onmessage = (message) => void other.send(message).catch(() => {});
  other.onmessage = (message) => void one.send(message).catch(() => {});
}

function programOf(name: string): string {
  const manifest = createRequire(import.meta.url).resolve(`${name}/package.json`);
  return path.join(path.dirname(manifest), "dist", "index.js");
}

async function listening(server: ReturnType<typeof createServer>): Promise<number> {
  server.listen(0, "0.0.0.0");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
