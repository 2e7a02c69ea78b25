// A guard that acts on behalf of its callers, all parts real: a provider that exchanges tokens, Envoy that validates them, a server that takes none but its
// own. Goal: each caller gets what the rules give them, the server gets a token of its own for each of them and nothing else in Authorization, a call that is
// refused costs no token where that can be had, and the records say who it was.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { LoggingMessageNotificationSchema } from "@modelcontextprotocol/sdk/types.js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { testedVersions } from "../versions.ts";
import { connectHttp1 } from "./http1-wire.ts";
import { connectHttp2 } from "./http2-wire.ts";
import {
  type Asking,
  type ClientKind,
  type ExchangeGuard,
  type ExchangeRig,
  GATEWAY,
  isOfRig,
  METADATA_PATH,
  SERVER,
  startExchangeRig,
} from "./on-behalf-rig.ts";
import { wholeChains } from "./record-log.ts";
import { HEADER_MODE_NAMES, JSON_FIELDS, PATIENCE, PROTOCOLS, toolCall } from "./rig.ts";
import { type Fields, inPieces } from "./wire.ts";

const JWT_TYPE = "urn:ietf:params:oauth:token-type:jwt";
const CLIENTS: readonly ClientKind[] = ["client_secret_basic", "RS256", "ES256"];
const GUARDS: readonly ExchangeGuard[] = [
  ...HEADER_MODE_NAMES.map((mode) => ({ name: mode, mode })),
  ...CLIENTS.slice(1).map((client) => ({ name: client, mode: "hold", client }) as const),
  {
    name: "all members",
    mode: "release",
    client: "ES256",
    exchange: {
      resource: SERVER,
      scope: "read",
      requested_token_type: JWT_TYPE,
      subject_token_type: JWT_TYPE,
      actor: { token_env: "ACTOR_TOKEN", token_type: JWT_TYPE },
    },
  },
];
const LONG_BYTES = 300_000;
const TOOLS = {
  alice: ["whoami", "list_branches", "create_branch", "delete_branch"],
  bob: ["whoami", "list_branches", "create_branch"],
};
const LIST = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list" });
const WHOAMI = toolCall("whoami");
const DELETE = toolCall("delete_branch", { branch: "old-experiment" });

/** The text of a tool's answer, or the reason of a refusal. */
function outcomeOf(text: string): unknown {
  const { result, error } = JSON.parse(text) as {
    result?: { content?: { text: string }[] };
    error?: { data?: { reason?: string } };
  };
  return result?.content?.[0]?.text ?? error?.data?.reason;
}

describe.each(testedVersions())("Envoy %s", (version) => {
  let rig: ExchangeRig;

  beforeAll(async () => {
    rig = await startExchangeRig({ version, guards: GUARDS });
  });

  afterAll(() => rig?.stop());

  describe.each(HEADER_MODE_NAMES)("with headers on %s", (guard) => {
    test("two users, one server: other tools, other tokens, and a record that names each", async () => {
      for (const [login, tools] of Object.entries(TOOLS)) {
        const token = await rig.tokenOf(login);
        const listed = await rig.ask({ guard, token, body: LIST });
        const { result } = JSON.parse(listed.text) as { result: { tools: { name: string }[] } };
        expect(result.tools.map(({ name }) => name)).toEqual(tools);
        const who = await rig.ask({ guard, token, body: WHOAMI });
        const act = { sub: "gateway:1&more" };
        expect(JSON.parse(String(outcomeOf(who.text)))).toEqual({ sub: login, aud: SERVER, act, scope: "read write" });
        const deleted = await rig.ask({ guard, token, body: DELETE });
        const mayDelete = login === "alice";
        expect(outcomeOf(deleted.text)).toMatch(mayDelete ? /^(no branch )?old-experiment/ : /^tool_not_listed$/);

        const rule = login === "alice" ? [0] : [1];
        expect(await rig.recordOf(who)).toMatchObject({
          "user.id": login,
          "mcp_guard.user.issuer": rig.provider.issuer,
          "mcp_guard.token.exchange": "cached",
          "mcp_guard.rules": rule,
        });
        expect(await rig.recordOf(listed)).toMatchObject({ "user.id": login, "mcp_guard.token.exchange": "minted" });
        expect(await rig.recordOf(deleted)).toMatchObject({
          "user.id": login,
          "gen_ai.tool.name": "delete_branch",
          "mcp_guard.decision": mayDelete ? "allow" : "refuse",
          "mcp_guard.rules": rule,
        });
      }
      const tokenOf = (login: string) => rig.arrivals.find(({ claims }) => claims?.sub === login)!.authorization[0];
      expect(tokenOf("alice")).not.toBe(tokenOf("bob"));
    });

    test("a token of its own comes with every request of a whole session: POST, the stream of GET, DELETE", async () => {
      const before = rig.arrivals.length;
      const minted = rig.minted("alice");
      const client = new Client({ name: "test", version: "1.0.0" });
      const headers = { authorization: `Bearer ${await rig.tokenOf("alice")}` };
      const transport = new StreamableHTTPClientTransport(rig.url(guard), { requestInit: { headers } });
      const heard: unknown[] = [];
      client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => {
        heard.push(params.data);
      });
      await client.connect(transport);
      expect((await client.listTools()).tools.map(({ name }) => name)).toEqual(TOOLS.alice);
      const call = { name: "create_branch", arguments: { branch: `of-${guard}` } };
      expect((await client.callTool(call)).content).toEqual([{ type: "text", text: `of-${guard} is there` }]);
      await expect.poll(() => heard, PATIENCE).toEqual(["alice: create_branch"]);
      await transport.terminateSession();
      await client.close();

      // One that the guard has refused in the middle may still come to the server now.
      const arrivals = rig.arrivals.slice(before).filter(({ id }) => !isOfRig(id));
      expect(new Set(arrivals.map(({ method }) => method))).toEqual(new Set(["POST", "GET", "DELETE"]));
      expect(new Set(arrivals.map(({ claims }) => claims?.sub))).toEqual(new Set(["alice"]));
      expect(rig.minted("alice") - minted).toBe(1);
    });

    test("a call that is refused does not reach the server, and under hold costs no token", async () => {
      const minted = rig.minted();
      const requests = rig.front.requests.length;
      const refused = await rig.ask({ guard, token: await rig.tokenOf("bob"), body: DELETE });
      expect(outcomeOf(refused.text)).toBe("tool_not_listed");
      if (guard === "hold") {
        expect(await rig.recordOf(refused)).not.toHaveProperty(["mcp_guard.token.exchange"]);
        expect(rig.front.requests.length).toBe(requests);
        expect(rig.minted()).toBe(minted);
        expect(rig.arrivals.filter(({ id }) => id === refused.id)).toEqual([]);
      } else {
        // The headers have gone on, with the server's own token, before the call was read.
        expect(await rig.recordOf(refused)).toHaveProperty(["mcp_guard.token.exchange"], "minted");
        expect(rig.minted()).toBe(minted + 1);
      }
    });

    test.each(PROTOCOLS)(
      "a long call arrives whole over %s, when its token comes in the middle too",
      async (protocol) => {
        const connect = protocol === "h1" ? connectHttp1 : connectHttp2;
        const connection = await connect(rig.url(guard).origin);
        try {
          const branch = `${guard}-${protocol}-${"x".repeat(LONG_BYTES)}`;
          const body = Buffer.from(toolCall("create_branch", { branch }));
          const minted = rig.minted("bob");
          const headers: Fields = [...JSON_FIELDS, ["authorization", `Bearer ${await rig.tokenOf("bob")}`]];
          const head = { method: "POST", path: "/mcp", headers, framing: "length", bodyBytes: body.length } as const;
          const request = connection.open(head);
          request.send(body.subarray(0, 1_000));
          // Under hold it is asked for at the end.
          if (guard === "release") await expect.poll(() => rig.minted("bob") - minted, PATIENCE).toBe(1);
          for (const piece of inPieces(body.subarray(1_000), 16_000)) request.send(piece);
          request.end();
          const answer = await request.answer;
          expect(outcomeOf(String(answer?.body))).toBe(`${branch} is there`);
          expect(rig.minted("bob") - minted).toBe(1);
        } finally {
          connection.close();
        }
      },
    );

    test("nothing but the server's own token is in Authorization", async () => {
      const token = await rig.tokenOf("alice");
      const another = await rig.tokenOf("alice");
      const cases: [string, Partial<Asking>][] = [
        ["another scheme", { headers: [["authorization", "Basic YWxpY2U6c2VjcmV0"]] }],
        ["another scheme beside the token", { token, headers: [["authorization", "Basic YWxpY2U6c2VjcmV0"]] }],
        ["two tokens", { token, headers: [["authorization", `Bearer ${another}`]] }],
        ["the token in the query", { path: `/mcp?access_token=${token}` }],
        ["a token in the query beside it", { token, path: `/mcp?access_token=${another}` }],
        ["one whose name is encoded", { token, path: `/mcp?access%5Ftoken=${another}` }],
      ];
      for (const [what, asking] of cases) {
        for (const method of ["POST", "GET"]) {
          const before = rig.arrivals.length;
          const reply = await rig.ask({ guard, method, body: method === "POST" ? WHOAMI : "", ...asking });
          // What is no token for it at all, Envoy's own filter refuses.
          expect(reply.status, `${what}, ${method}: ${reply.text}`).toBe(401);
          expect(rig.arrivals.length, `${what}, ${method}`).toBe(before);
        }
      }
    });

    test("what the server says about authorization comes to the client as it is", async () => {
      const reply = await rig.ask({ guard, body: WHOAMI });
      expect(reply.status).toBe(401);
      expect(reply.headers["www-authenticate"]).toBe(`Bearer resource_metadata="http://127.0.0.1${METADATA_PATH}"`);
      const metadata = await rig.ask({ guard, method: "GET", path: METADATA_PATH });
      expect(JSON.parse(metadata.text)).toEqual({ resource: GATEWAY, authorization_servers: [rig.provider.issuer] });
      const arrived = rig.arrivals.filter(({ id }) => id === reply.id || id === metadata.id);
      expect(arrived.map(({ authorization }) => authorization)).toEqual([[], []]);
    });
  });

  test.each(CLIENTS.slice(1))("a guard with a key for %s gets tokens as well", async (guard) => {
    const who = await rig.ask({ guard, token: await rig.tokenOf("bob"), body: WHOAMI });
    const act = { sub: guard === "RS256" ? "gateway-rs" : "gateway-es" };
    expect(JSON.parse(String(outcomeOf(who.text)))).toMatchObject({ sub: "bob", aud: SERVER, act });
    // An assertion is used once.
    const again = await rig.ask({ guard, token: await rig.tokenOf("bob"), body: WHOAMI });
    expect(await rig.recordOf(again)).toMatchObject({ "mcp_guard.token.exchange": "minted" });
  });

  test("a guard that says all that it can gets what it has asked for", async () => {
    const who = await rig.ask({ guard: "all members", token: await rig.tokenOf("alice"), body: WHOAMI });
    const act = { sub: "gateway:1&more" };
    expect(JSON.parse(String(outcomeOf(who.text)))).toEqual({ sub: "alice", aud: SERVER, act, scope: "read" });
    expect(rig.arrivals.find(({ id }) => id === who.id)!.claims).toMatchObject({ client_id: "gateway-es" });
  });

  test("the records are whole chains, and no secret is in any log", async () => {
    await expect.poll(() => rig.recordLines().length, PATIENCE).toBeGreaterThanOrEqual(rig.arrivals.length);
    await wholeChains(rig.recordLines());
    expect(rig.arrivals.length).toBeGreaterThan(20);
    rig.expectNothingLeaked();
  });
});
