// The MCP server behind a guard that exchanges tokens, without that guard. Goal: it is the judge of the whole demonstration, so nothing but a good token for
// itself may get it to do anything, and a session is of use to nobody but whose it is.
import { once } from "node:events";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { setTimeout as pause } from "node:timers/promises";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { LoggingMessageNotificationSchema } from "@modelcontextprotocol/sdk/types.js";
import { decodeJwt } from "jose";
import { Agent, fetch as socketFetch } from "undici";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startProvider, type TryProvider } from "../../src/approval/try/provider.ts";
import { ACCESS_TOKEN_TYPE, TOKEN_EXCHANGE } from "../../src/on-behalf/token-exchange.ts";
import {
  startVerifyingServer,
  VERIFYING_SERVER_TOOLS,
  type VerifyingServer,
} from "../../src/on-behalf/verifying-server.ts";

const GATEWAY = "http://127.0.0.1:10000/mcp";
const AUDIENCE = "https://branches.example/mcp";
const METADATA = "http://127.0.0.1:10000/.well-known/oauth-protected-resource/mcp";
const EXCHANGE = {
  clients: [{ id: "gateway", secret: "secret" }],
  servers: [
    { audience: AUDIENCE, scopes: ["mcp"] },
    { audience: `${AUDIENCE}2`, scopes: ["mcp"] },
  ],
};

let provider: TryProvider;
let stranger: TryProvider;
let server: VerifyingServer;
let network: Agent;
const revoked = new Set<unknown>();
const calls: string[] = [];

beforeAll(async () => {
  provider = await startProvider({ port: 0, audience: GATEWAY, exchange: EXCHANGE });
  stranger = await startProvider({ port: 0, audience: GATEWAY, exchange: EXCHANGE });
  server = await startServer(provider);
  network = new Agent({ connect: { socketPath: server.socketPath } });
});

afterAll(async () => {
  // Answers that nobody has read would keep it.
  await network?.destroy();
  await Promise.all([server?.stop(), provider?.stop(), stranger?.stop()]);
});

function startServer({ issuer, jwksUri }: TryProvider): Promise<VerifyingServer> {
  return startVerifyingServer({
    issuer,
    jwksUri,
    audience: AUDIENCE,
    publicUrl: new URL(GATEWAY),
    isRevoked: (id) => revoked.has(id),
    onCall: (tool, { sub }) => calls.push(`${tool} ${sub}`),
  });
}

/** A token for the server, or another one, of a person. */
async function tokenOf(login: string, { by = provider, audience = AUDIENCE } = {}): Promise<string> {
  const response = await fetch(`${by.issuer}/token`, {
    method: "POST",
    headers: { authorization: `Basic ${Buffer.from("gateway:secret").toString("base64")}` },
    body: new URLSearchParams({
      grant_type: TOKEN_EXCHANGE,
      subject_token: await by.accessToken(login),
      subject_token_type: ACCESS_TOKEN_TYPE,
      audience,
    }),
  });
  return ((await response.json()) as { access_token: string }).access_token;
}

const CALL = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: "whoami", arguments: {} } });

function post(headers: [string, string][], dispatcher = network, method = "POST") {
  const all: [string, string][] = [
    ["content-type", "application/json"],
    ["accept", "application/json, text/event-stream"],
    ...headers,
  ];
  const body = method === "POST" ? CALL : null;
  return socketFetch("http://server/mcp", { method, headers: all, body, dispatcher });
}

const bearer = (token: string): [string, string] => ["authorization", `Bearer ${token}`];

async function connect(token: string) {
  const client = new Client({ name: "test", version: "1.0.0" });
  const transport = new StreamableHTTPClientTransport(new URL("http://server/mcp"), {
    fetch: (url, init) =>
      socketFetch(url as URL, { ...(init as object), dispatcher: network }) as unknown as Promise<Response>,
    requestInit: { headers: { authorization: `Bearer ${token}` } },
  });
  const heard: unknown[] = [];
  client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => {
    heard.push(params.data);
  });
  await client.connect(transport);
  return { client, transport, heard };
}

async function textOf(client: Client, name: string, input: Record<string, unknown> = {}): Promise<string> {
  const { content } = await client.callTool({ name, arguments: input });
  return (content as { text: string }[])[0]!.text;
}

describe("the server does nothing", () => {
  const cases: [string, () => [string, string][] | Promise<[string, string][]>][] = [
    ["of the gateway's audience", async () => [bearer(await provider.accessToken("alice"))]],
    ["of another server's audience", async () => [bearer(await tokenOf("alice", { audience: `${AUDIENCE}2` }))]],
    ["of another issuer", async () => [bearer(await tokenOf("alice", { by: stranger }))]],
    ["with other claims than were signed", async () => [bearer(await changed())]],
    ["that was taken back", async () => [bearer(await takenBack())]],
    ["of another scheme", async () => [["authorization", `DPoP ${await tokenOf("alice")}`]]],
    ["that is none", () => [bearer("abc")]],
  ];
  test.each(cases)("for a token %s", async (_what, headers) => {
    const response = await post(await headers());
    expect(response.status).toBe(401);
    expect(response.headers.get("www-authenticate")).toBe(
      `Bearer error="invalid_token", resource_metadata="${METADATA}"`,
    );
    expect(calls).toEqual([]);
  });

  test("for two tokens in two headers", async () => {
    const names = async () => ["authorization", `Bearer ${await tokenOf("alice")}`];
    const headers = ["host", "server", "content-type", "application/json", ...(await names()), ...(await names())];
    // A list goes out as it is; fetch would make one header of them.
    const request = httpRequest({
      socketPath: server.socketPath,
      method: "POST",
      path: "/mcp",
      headers: headers as never,
    });
    request.end(CALL);
    const [response] = (await once(request, "response")) as [IncomingMessage];
    response.resume();
    expect(response.statusCode).toBe(401);
    expect(calls).toEqual([]);
  });

  test("without a token, and says where one is to be had", async () => {
    const response = await post([]);
    expect(response.status).toBe(401);
    expect(response.headers.get("www-authenticate")).toBe(`Bearer resource_metadata="${METADATA}"`);
    const metadata = await socketFetch(`http://server${new URL(METADATA).pathname}`, { dispatcher: network });
    expect(await metadata.json()).toEqual({ resource: GATEWAY, authorization_servers: [provider.issuer] });
    expect(calls).toEqual([]);
  });

  async function changed(): Promise<string> {
    const [header, , signature] = (await tokenOf("alice")).split(".");
    const claims = { ...decodeJwt(await tokenOf("alice")), sub: "bob" };
    return `${header}.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.${signature}`;
  }

  async function takenBack(): Promise<string> {
    const token = await tokenOf("alice");
    revoked.add(decodeJwt(token).jti);
    return token;
  }
});

describe("a session", () => {
  test("is whole: tools, who is asking, a stream, an end", async () => {
    const { client, transport, heard } = await connect(await tokenOf("alice"));
    expect((await client.listTools()).tools.map(({ name }) => name)).toEqual(VERIFYING_SERVER_TOOLS);
    const act = { sub: "gateway" };
    expect(JSON.parse(await textOf(client, "whoami"))).toEqual({ sub: "alice", aud: AUDIENCE, act, scope: "mcp" });
    expect(await textOf(client, "create_branch", { branch: "new" })).toBe("new is there");
    await expect.poll(() => heard).toEqual(["alice: create_branch"]);
    expect(calls).toEqual(["whoami alice", "create_branch alice"]);
    const id = transport.sessionId!;
    await transport.terminateSession();
    expect((await post([bearer(await tokenOf("alice")), ["mcp-session-id", id]])).status).toBe(404);
    await client.close();
  });

  test("is nobody else's", async () => {
    const { client, transport } = await connect(await tokenOf("alice"));
    const id: [string, string] = ["mcp-session-id", transport.sessionId!];
    expect((await post([bearer(await tokenOf("bob")), id])).status).toBe(404);
    expect((await post([bearer(await tokenOf("bob")), id], network, "DELETE")).status).toBe(404);
    expect((await post([bearer(await tokenOf("alice")), id])).status).toBe(200);
    await client.close();
  });
});

test("a token of a new key is good at once, and without the provider's keys nothing is", async () => {
  await provider.rotateKey("published");
  // No sooner than this does the server look for keys again.
  await pause(1_000);
  const { client } = await connect(await tokenOf("bob"));
  expect(JSON.parse(await textOf(client, "whoami"))).toMatchObject({ sub: "bob" });
  await client.close();

  const token = await tokenOf("alice");
  const alone = await startServer(provider);
  const way = new Agent({ connect: { socketPath: alone.socketPath } });
  await provider.stop();
  expect((await post([bearer(token)], way)).status).toBe(503);
  await way.destroy();
  await alone.stop();
});
