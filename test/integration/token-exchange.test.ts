// Callers' tokens in a real Envoy, with jwt_authn in front of the guard and a token endpoint behind it that verifies everything. Goal: that a request waits at its headers
// or in its body, goes on with another token, and is answered when there is none, is no property of our own host; nor is what signs the filter's assertions.
import { generateKeyPairSync } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { GuardOptions } from "../../src/envoy/bootstrap.ts";
import { addCluster } from "./collector.ts";
import { versionRuns } from "./drivers/drivers.ts";
import {
  expectLogged,
  expectNothingActive,
  guardIn,
  HEADER_MODE_NAMES,
  type HeaderMode,
  JSON_FIELDS,
  named,
  PATIENCE,
  PROTOCOLS,
  type Protocol,
  type Rig,
  startRig,
  toolCall,
} from "./rig.ts";
import {
  CLIENT_ID,
  CLIENT_SECRET,
  ENDPOINT_ISSUER,
  type Said,
  startTokenEndpoint,
  type TokenEndpoint,
} from "./token-endpoint.ts";
import { checkTokens, createIssuer, type Issuer } from "./tokens.ts";
import { type Answer, type Fields, inPieces, pause, sendPieces, type WireConnection } from "./wire.ts";

const AUDIENCE = "https://mcp.example/mcp";
const ISSUER = "https://people.example";
const KEYS = {
  "/es256": generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey,
  "/rs256": generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey,
} as const;
const LARGE = Buffer.from(toolCall("safe", { text: "x".repeat(300_000) }));
const TIMEOUT_MS = 500;

const pem = (key: (typeof KEYS)[keyof typeof KEYS]): string => key.export({ format: "pem", type: "pkcs8" }).toString();
const byKey = (alg: string) => ({
  id: CLIENT_ID,
  auth: "private_key_jwt",
  key_env: alg,
  alg,
  audience: ENDPOINT_ISSUER,
});
const BY_SECRET = { id: CLIENT_ID, auth: "client_secret_basic", secret_env: "SECRET" };

function guard(name: string, mode: HeaderMode, path: string, client: object, options: GuardOptions = {}): GuardOptions {
  const service = { cluster: "idp", authority: "as.example", path, timeout_ms: TIMEOUT_MS };
  const configuration = {
    tool_allowlist: ["safe"],
    identity: { jwt: [{ provider: "people", issuer: ISSUER, claim: "sub" }] },
    authorization: "exchange",
    token_exchange: { service, client, audience: AUDIENCE },
  };
  const values = { SECRET: CLIENT_SECRET, ES256: pem(KEYS["/es256"]), RS256: pem(KEYS["/rs256"]) };
  return guardIn(mode, configuration, { name, http1Trailers: true, environment: { values }, ...options });
}

describe.each(versionRuns())("$name, Envoy $version", ({ driver, version }) => {
  let rig: Rig;
  let endpoint: TokenEndpoint;
  let issuer: Issuer;
  let users = 0;
  const connections: WireConnection[] = [];

  beforeAll(async () => {
    issuer = await createIssuer(ISSUER);
    endpoint = await startTokenEndpoint(issuer, KEYS);
    rig = await startRig({
      driver,
      version,
      guards: [
        ...HEADER_MODE_NAMES.map((mode) => guard(mode, mode, "/basic", BY_SECRET)),
        guard("flag", "release", "/basic", BY_SECRET, { allowOnHeadersStop: true }),
        guard("es256", "release", "/es256", byKey("ES256")),
        guard("rs256", "hold", "/rs256", byKey("RS256")),
        guard("wrong", "release", "/es256", { ...byKey("ES256"), key_env: "RS256" }),
      ],
      edit: (bootstrap) => {
        addCluster(bootstrap, "idp", endpoint.port);
        checkTokens(bootstrap, [{ name: "people", issuer }]);
      },
    });
  });

  afterAll(async () => {
    for (const connection of connections) connection.close();
    await rig?.stop();
    await endpoint?.stop();
  });

  const newUser = (): string => `user-${++users}`;

  const tokens = new Map<string, Promise<string>>();
  /** The one token of a user: signed again it would be another one. */
  function tokenOf(user: string): Promise<string> {
    const token = tokens.get(user) ?? issuer.sign({ sub: user });
    tokens.set(user, token);
    return token;
  }

  interface Sent {
    readonly id: string;
    readonly answer: Promise<Answer | undefined>;
    readonly disconnect: () => void;
  }

  async function send(
    to: string,
    protocol: Protocol,
    user: string,
    body?: Buffer,
    end: { trailers?: Fields } = {},
  ): Promise<Sent> {
    const connection = await rig.connect(protocol, to);
    connections.push(connection);
    const id = `request-${user}-${connections.length}`;
    const authorization: Fields = [["authorization", `Bearer ${await tokenOf(user)}`]];
    const head = { path: "/mcp", bodyBytes: body?.length ?? 0 };
    const request =
      body === undefined
        ? connection.open({ ...head, method: "GET", framing: "none", headers: [...named(id), ...authorization] })
        : connection.open({
            ...head,
            method: "POST",
            framing: end.trailers === undefined ? "length" : "chunked",
            headers: [...JSON_FIELDS, ...named(id), ...authorization],
          });
    if (body !== undefined) void sendPieces(request, inPieces(body, 16_384), end).catch(() => {});
    return { id, answer: request.answer, disconnect: () => request.disconnect() };
  }

  /** What the server has: whom the one token is for, and the body. */
  async function arrived({ id }: Sent): Promise<{ user: string; body: Buffer }> {
    const arrivals = rig.origin.arrivals(id);
    expect(arrivals).toHaveLength(1);
    const values = arrivals[0]!.fields
      .filter(([name]) => name.toLowerCase() === "authorization")
      .map(([, value]) => value);
    expect(values).toHaveLength(1);
    const user = await endpoint.verify(values[0]!.replace(/^Bearer /, ""), AUDIENCE);
    await arrivals[0]!.ended;
    return { user, body: arrivals[0]!.body() };
  }

  const GUARDS = ["release", "hold", "flag", "es256", "rs256"];

  describe.each(GUARDS.flatMap((to) => PROTOCOLS.map((protocol) => [to, protocol] as const)))(
    "%s, %s",
    (to, protocol) => {
      test.each([
        ["a small body", Buffer.from(toolCall("safe"))],
        ["a body of 300 KB", LARGE],
        ["no body", undefined],
      ])("%s waits for its token, and the next one does not", async (_what, body) => {
        const user = newUser();
        for (let round = 0; round < 2; round++) {
          const sent = await send(to, protocol, user, body);
          const answer = await sent.answer;
          expect([answer?.status, answer?.isCut]).toEqual([200, false]);
          const seen = await arrived(sent);
          expect([seen.user, seen.body.equals(body ?? Buffer.alloc(0))]).toEqual([user, true]);
        }
        expect(endpoint.questions(user)).toBe(1);
      });

      test("a body that ends with trailers waits too", async () => {
        const user = newUser();
        const sent = await send(to, protocol, user, LARGE, { trailers: [["x-checksum", "0"]] });
        expect((await sent.answer)?.status).toBe(200);
        const seen = await arrived(sent);
        expect([seen.user, seen.body.equals(LARGE)]).toEqual([user, true]);
      });

      test("while it waits nothing is at the server, and a refusal keeps it so", async () => {
        const user = newUser();
        let decide: (said: Said) => void = () => {};
        endpoint.say(user, new Promise<Said>((resolve) => (decide = resolve)));
        const sent = await send(to, protocol, user, LARGE);
        await expect.poll(() => endpoint.questions(user), PATIENCE).toBe(1);
        await pause(30);
        expect(rig.origin.arrivals(sent.id)).toEqual([]);
        decide({ status: 400, body: '{"error":"invalid_grant"}' });
        const answer = await sent.answer;
        expect([answer?.status, answer?.headers.get("www-authenticate")]).toEqual([
          401,
          'Bearer error="invalid_token"',
        ]);
        expect(rig.origin.arrivals(sent.id)).toEqual([]);
      });

      test.each<[string, Said]>([
        ["silent", "silent"],
        ["dropped", "drop"],
        ["of status 500", { status: 500, body: "{}" }],
        ["a page", { status: 200, body: "<html>" }],
      ])("an answer that is %s: 503 in time, and nothing at the server", async (_what, said) => {
        const user = newUser();
        endpoint.say(user, said);
        const sent = await send(to, protocol, user, LARGE);
        expect((await sent.answer)?.status).toBe(503);
        expect(rig.origin.arrivals(sent.id)).toEqual([]);
      });

      test("the client goes while it waits: the next one finds the token", async () => {
        const user = newUser();
        let decide: (said: Said) => void = () => {};
        endpoint.say(user, new Promise<Said>((resolve) => (decide = resolve)));
        const sent = await send(to, protocol, user, Buffer.from(toolCall("safe")));
        await expect.poll(() => endpoint.questions(user), PATIENCE).toBe(1);
        sent.disconnect();
        await pause(30);
        decide("token");
        const next = await send(to, protocol, user, LARGE);
        expect((await next.answer)?.status).toBe(200);
        expect((await arrived(next)).user).toBe(user);
        expect(rig.origin.arrivals(sent.id)).toEqual([]);
        expect(endpoint.questions(user)).toBe(1);
      });
    },
  );

  test.each(["hold", "rs256"])("%s: a call that is refused costs no token", async (to) => {
    const user = newUser();
    const sent = await send(to, "h1", user, Buffer.from(toolCall("drop_tables")));
    expect((await sent.answer)?.status).toBe(200);
    expect([endpoint.questions(user), rig.origin.arrivals(sent.id)]).toEqual([0, []]);
  });

  test.each(["release", "hold", "flag"])("%s: fifty at once wait for one question", async (to) => {
    const user = newUser();
    let decide: (said: Said) => void = () => {};
    endpoint.say(user, new Promise<Said>((resolve) => (decide = resolve)));
    const all = await Promise.all(
      Array.from({ length: 50 }, () => send(to, "h1", user, Buffer.from(toolCall("safe")))),
    );
    await expect.poll(() => endpoint.questions(user), PATIENCE).toBeGreaterThan(0);
    await pause(50);
    decide("token");
    for (const sent of all) {
      expect((await sent.answer)?.status).toBe(200);
      expect((await arrived(sent)).user).toBe(user);
    }
    expect(endpoint.questions(user)).toBe(1);
  });

  test("a key that is not of its algorithm: 503, a line that names it, and no trap", async () => {
    const sent = await send("wrong", "h1", newUser(), Buffer.from(toolCall("safe")));
    expect((await sent.answer)?.status).toBe(503);
    await expectLogged(rig.envoy, "token_exchange.client.key_env");
    expect((await (await send("wrong", "h1", newUser())).answer)?.status).toBe(503);
  });

  test("no log has a secret", () => {
    const logs = rig.envoy.logs();
    for (const secret of [CLIENT_SECRET, encodeURIComponent(CLIENT_SECRET), pem(KEYS["/es256"]).split("\n")[1]!]) {
      expect(logs.includes(secret)).toBe(false);
    }
    expect(logs).not.toMatch(/eyJ[\w-]{20,}\./);
  });

  test("nothing is left", () => expectNothingActive(rig));
});
