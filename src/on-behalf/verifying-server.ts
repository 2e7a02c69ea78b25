// An MCP server that believes nothing but a token for itself (MCP 2025-11-25, authorization): signed by the provider, issued for this server
// and nobody else. Its tools are those of the branches, and one that says whose token has come.
import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AuthInfo } from "@modelcontextprotocol/sdk/server/auth/types.js";
import { Server } from "@modelcontextprotocol/sdk/server/index.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import {
  CallToolRequestSchema,
  isInitializeRequest,
  ListToolsRequestSchema,
  type Tool,
} from "@modelcontextprotocol/sdk/types.js";
import { createRemoteJWKSet, errors, type JWTPayload, jwtVerify } from "jose";
import { BRANCH_TOOL_LIST, createBranches, textResult } from "../approval/try/branches.ts";
import { listenPrivately } from "../approval/try/private-socket.ts";
import { requestText } from "../approval/try/request-text.ts";

/** A key that is not known is looked for at the provider this often at most: a provider on this machine does not mind. */
const KEY_FETCH_PAUSE_MS = 1_000;
/** RFC 9728, section 3. */
const METADATA_PREFIX = "/.well-known/oauth-protected-resource";
const WHOAMI: Tool = {
  name: "whoami",
  description: "Says whose token has come, for whom it is, and who acts.",
  inputSchema: { type: "object" },
};
const TOOLS: readonly Tool[] = [WHOAMI, ...BRANCH_TOOL_LIST];

/** Names of its tools. */
export const VERIFYING_SERVER_TOOLS: readonly string[] = TOOLS.map(({ name }) => name);

/** Whom the server believes. */
export interface VerifyingServerOptions {
  issuer: string;
  /** Where the issuer's keys are. */
  jwksUri: string;
  /** `aud` of the tokens that it takes. */
  audience: string;
  /** Its URL as clients have it: with a guard that exchanges tokens in between, what their tokens are for. */
  publicUrl: URL;
  /** Whether a token has been taken back, by its `jti`. Default: none has. */
  isRevoked?: (id: unknown) => boolean;
  /** Told of each request, with the claims of its token when that is good. */
  onRequest?: (request: IncomingMessage, claims: JWTPayload | undefined) => void;
  /** Told of each call of a tool before it is done. */
  onCall?: (tool: string, claims: JWTPayload) => void;
}

/** A running server. */
export interface VerifyingServer {
  /** The Unix socket that it listens on. */
  readonly socketPath: string;
  /** The path of its MCP endpoint. */
  readonly path: string;
  stop(): Promise<void>;
}

interface Session {
  readonly transport: StreamableHTTPServerTransport;
  /** Whose it is: the id of a session is no proof of anything. */
  readonly sub: string;
}

/** Starts it. */
export async function startVerifyingServer(options: VerifyingServerOptions): Promise<VerifyingServer> {
  const { issuer, audience, publicUrl, isRevoked = () => false, onRequest, onCall } = options;
  const keys = createRemoteJWKSet(new URL(options.jwksUri), { cooldownDuration: KEY_FETCH_PAUSE_MS });
  const metadataPath = `${METADATA_PREFIX}${publicUrl.pathname}`;
  const metadataUrl = `${publicUrl.origin}${metadataPath}`;
  const useTool = createBranches();
  const sessions = new Map<string, Session>();
  const server = createServer((request, response) => {
    void answer(request, response).catch(() => {
      if (response.headersSent) response.destroy();
      else response.writeHead(503).end();
    });
  });

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(request.url ?? "/", publicUrl);
    const claims = await claimsOf(request);
    onRequest?.(request, claims);
    if (pathname === metadataPath) {
      const metadata = { resource: publicUrl.href, authorization_servers: [issuer] };
      return void response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(metadata));
    }
    if (pathname !== publicUrl.pathname) return void response.writeHead(404).end();
    if (claims === undefined) return void challenge(request, response);
    const id = request.headers["mcp-session-id"];
    const session = typeof id === "string" ? sessions.get(id) : undefined;
    if (typeof id === "string" && session?.sub !== claims.sub) return void response.writeHead(404).end();
    const text = request.method === "POST" ? await requestText(request) : "";
    if (text === undefined) return void response.destroy();
    const body: unknown = text === "" ? undefined : JSON.parse(text);
    // A single call by hand needs no session.
    const isSingle = session === undefined && body !== undefined && !isInitializeRequest(body);
    const transport = session?.transport ?? (await open(isSingle ? undefined : claims.sub!));
    if (isSingle) response.once("close", () => void transport.close());
    await transport.handleRequest(Object.assign(request, { auth: authInfo(request, claims) }), response, body);
  }

  /** The claims of the one good token of a request. @throws Error when the provider's keys are not to be had. */
  async function claimsOf(request: IncomingMessage): Promise<JWTPayload | undefined> {
    const token = bearerToken(request);
    if (token === undefined) return undefined;
    try {
      const { payload } = await jwtVerify(token, keys, {
        issuer,
        audience,
        typ: "at+jwt",
        requiredClaims: ["sub", "exp", "jti"],
      });
      return isRevoked(payload.jti) ? undefined : payload;
    } catch (error) {
      // What says nothing about the token: no answer of the provider, or another than its keys.
      if (!(error instanceof errors.JOSEError) || /^ERR_(JOSE_GENERIC|JWKS_TIMEOUT)$/.test(error.code)) throw error;
      return undefined;
    }
  }

  /** RFC 6750, section 3, and RFC 9728, section 5.1: what is missing, and where tokens are to be had. */
  function challenge(request: IncomingMessage, response: ServerResponse): void {
    const error = request.headers.authorization === undefined ? "" : 'error="invalid_token", ';
    response.writeHead(401, { "www-authenticate": `Bearer ${error}resource_metadata="${metadataUrl}"` }).end();
  }

  /** A protocol server, for a session of somebody or for a single request. */
  async function open(sub: string | undefined): Promise<StreamableHTTPServerTransport> {
    const transport: StreamableHTTPServerTransport = new StreamableHTTPServerTransport(
      sub === undefined
        ? { enableJsonResponse: true }
        : {
            sessionIdGenerator: randomUUID,
            onsessioninitialized: (id) => void sessions.set(id, { transport, sub }),
            onsessionclosed: (id) => void sessions.delete(id),
          },
    );
    const protocol = new Server({ name: "branches", version: "1.0.0" }, { capabilities: { tools: {}, logging: {} } });
    protocol.setRequestHandler(ListToolsRequestSchema, () => ({ tools: [...TOOLS] }));
    protocol.setRequestHandler(CallToolRequestSchema, async ({ params }, { authInfo }) => {
      const claims = authInfo?.extra as JWTPayload;
      onCall?.(params.name, claims);
      if (params.name === WHOAMI.name) {
        const { sub, aud, act, scope } = claims;
        return textResult(JSON.stringify({ sub, aud, act, scope }));
      }
      const result = useTool(params.name, params.arguments ?? {});
      // Without a request that it belongs to, it goes out on the stream that the client has opened with GET.
      await protocol.sendLoggingMessage({ level: "info", data: `${claims.sub}: ${params.name}` });
      return result;
    });
    await protocol.connect(transport as Transport);
    return transport;
  }

  const socket = await listenPrivately(server);
  return { socketPath: socket.path, path: publicUrl.pathname, stop: socket.close };
}

/** The token of a request with exactly one `Authorization: Bearer` (RFC 6750, section 2.1). */
function bearerToken(request: IncomingMessage): string | undefined {
  const values = request.headersDistinct.authorization ?? [];
  return values.length === 1 ? /^Bearer ([\w.~+/-]+=*)$/i.exec(values[0]!)?.[1] : undefined;
}

function authInfo(request: IncomingMessage, claims: JWTPayload): AuthInfo {
  const scopes = typeof claims.scope === "string" ? claims.scope.split(" ") : [];
  return { token: bearerToken(request)!, clientId: String(claims.client_id), scopes, extra: claims };
}
