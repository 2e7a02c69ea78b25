// The API of the guards: what it takes, what it answers, and to whom.
import { createHash, createPublicKey, generateKeyPairSync } from "node:crypto";
import { SignJWT } from "jose";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { addFilterGate } from "../../approval/filter-api/gate.ts";
import type { Call } from "../../approval/store/store.ts";
import { verifyReceipt } from "../../src/approval/receipt.ts";
import { postgresDatabases, sqliteFiles } from "./databases.ts";
import { type FilterRig, filterRig, openBody, SECRET, START } from "./filter-rig.ts";
import { sampleCall, sampleCalls } from "./sample-call.ts";
import { startSilentProxy } from "./silent-proxy.ts";

const NONCE = "AAAAAAAAAAAAAAAAAAAAAA";
const OTHER_NONCE = "BBBBBBBBBBBBBBBBBBBBBA";
const SECONDS = START / 1_000;
const PATHS = ["/v1/open", "/v1/poll", "/v1/claim"];
const files = sqliteFiles();

beforeAll(() => files.start());
afterAll(() => files.stop());

describe("the API of the guards", () => {
  let rig: FilterRig;
  beforeEach(async () => {
    rig = await filterRig(await files.fresh());
  });
  afterEach(() => rig.close());

  const answerOf = async (route: string, body: unknown) => {
    const answer = await rig.post(route, body);
    expect(answer.headers["content-type"]).toMatch(/^application\/json/);
    return { status: answer.statusCode, body: answer.json<Record<string, unknown>>() };
  };
  const open = (call: Call, changes: Record<string, unknown> = {}) =>
    answerOf("/v1/open", { ...openBody(call), ...changes });
  const claim = (id: string, changes: Record<string, unknown> = {}) =>
    answerOf("/v1/claim", { id, digest: sampleCall().digest, nonce: NONCE, ...changes });

  describe("open", () => {
    it("gives an id that says nothing, and until when it stands", async () => {
      const { status, body } = await open(sampleCall());
      expect({ status, body }).toEqual({
        status: 200,
        body: { id: expect.stringMatching(/^[A-Za-z0-9_-]{22}$/), status: "pending", expires: SECONDS + 300 },
      });
      expect(await open(sampleCall())).toEqual({ status, body });
    });

    it("tells what was decided", async () => {
      const id = await rig.open(sampleCall());
      rig.time.now += 10_000;
      await rig.approve(id);
      expect(await open(sampleCall())).toEqual({
        status: 200,
        body: { id, status: "approved", expires: SECONDS + 310 },
      });
      const other = sampleCall({ arguments: "{}" });
      const denied = await rig.open(other);
      await rig.store.decide({ id: denied, verdict: "denied", approver: "a", reason: "no" });
      expect(await open(other)).toEqual({ status: 200, body: { id: denied, status: "denied", expires: SECONDS + 70 } });
    });

    it("refuses a principal that has too many open, or had too many within the hour", async () => {
      const calls = sampleCalls(61);
      for (const call of calls.slice(0, 5)) expect((await open(call)).status).toBe(200);
      expect(await open(sampleCall())).toEqual({ status: 429, body: { error: "limit" } });
      for (const call of calls.slice(0, 60)) {
        const id = await rig.open(call);
        await rig.store.decide({ id, verdict: "denied", approver: "a", reason: "no" });
      }
      expect(await open(calls[60] as Call)).toEqual({ status: 429, body: { error: "limit" } });
      expect((await open(sampleCall({ principal: "bob" }))).status).toBe(200);
    });

    it.each([
      "server",
      "authority",
      "path",
      "issuer",
      "principal",
      "tool",
      "arguments",
      "task",
      "input_responses",
      "digest",
    ])("refuses a digest that was made with another %s", async (member) => {
      const value = member === "digest" ? "0".repeat(64) : member === "server" || member === "tool" ? "other" : "[]";
      expect(await open(sampleCall(), { [member]: value })).toEqual({ status: 422, body: { error: "digest" } });
      expect(await rig.store.pendingCount()).toBe(0);
    });

    it("takes another workload, which is no part of the digest", async () => {
      expect((await open(sampleCall(), { workload: "" })).status).toBe(200);
    });

    it.each([
      ["white space", '{"a": 1}'],
      ["members in another order", '{"b":1,"a":2}'],
      ["a duplicate member name", '{"a":1,"a":2}'],
      ["a duplicate member name behind an escape", '{"a":1,"\\u0061":2}'],
      ["an escape that need not be", '{"a":"\\u0062"}'],
      ["an escape in upper case", '{"a":"\\u001F"}'],
      ["a byte order mark", '\ufeff{"a":1}'],
      ["something behind the value", '{"a":1}{}'],
      ["a text that is no JSON", "{"],
      ["half of a surrogate pair", '{"a":"\\ud800"}'],
      ["too many containers open at once", `${"[".repeat(65)}${"]".repeat(65)}`],
    ])("refuses %s, though the digest is that of the text", async (_what, text) => {
      for (const member of ["arguments", "task", "inputResponses"] as const) {
        const call = { ...sampleCall(), [member]: text };
        expect(await open({ ...call, digest: rawDigest(call) }), member).toEqual({
          status: 422,
          body: { error: "digest" },
        });
      }
    });

    it("has a way to make a digest that the test above can rely on", () => {
      expect(rawDigest(sampleCall())).toBe(sampleCall().digest);
    });

    it("refuses half of a surrogate pair in a name", async () => {
      expect(await open({ ...sampleCall(), tool: "delete\ud800" })).toEqual({ status: 422, body: { error: "digest" } });
    });

    it("refuses names that no receipt has room for", async () => {
      const call = sampleCall({ principal: "p".repeat(1_550) });
      expect(await open(call)).toEqual({ status: 413, body: { error: "too_large" } });
      const control = sampleCall({ tool: "\u0001".repeat(300) });
      expect(await open(control)).toEqual({ status: 413, body: { error: "too_large" } });
    });

    it("takes the longest names that it takes, and makes a receipt of them", async () => {
      const call = sampleCall({ principal: "\u0001".repeat(250) });
      const id = await rig.open(call);
      const approver = `"${"a".repeat(510)}"`;
      await rig.store.decide({ id, verdict: "approved", approver, assertion: "{}" });
      expect((await claim(id, { digest: call.digest })).status).toBe(200);
    });

    it("takes arguments as large as guards send them, and no body of more than 256 KiB", async () => {
      const worst = sampleCall({ arguments: JSON.stringify('"'.repeat((64 << 10) / 2 - 1)) });
      expect(Buffer.byteLength(worst.arguments)).toBe(64 << 10);
      expect((await open(worst)).status).toBe(200);
      const around = (bytes: number) => {
        const body = JSON.stringify(openBody(sampleCall()));
        return body + " ".repeat(bytes - Buffer.byteLength(body));
      };
      expect((await rig.post("/v1/open", around(256 << 10))).statusCode).toBe(200);
      const larger = await rig.post("/v1/open", around((256 << 10) + 1));
      expect([larger.statusCode, larger.body]).toEqual([413, '{"error":"too_large"}']);
    });
  });

  it.each<[string, string, unknown]>([
    ["an unknown member", "/v1/open", { ...openBody(sampleCall()), more: "" }],
    ["a missing member", "/v1/open", { ...openBody(sampleCall()), task: undefined }],
    ["a number for a text", "/v1/open", { ...openBody(sampleCall()), task: 1 }],
    ["an object for a text", "/v1/open", { ...openBody(sampleCall()), arguments: {} }],
    ["a digest in upper case", "/v1/open", { ...openBody(sampleCall()), digest: sampleCall().digest.toUpperCase() }],
    ["another method", "/v1/open", openBody(sampleCall({ method: "tools/list" }))],
    ["a name with U+0000 in it", "/v1/open", openBody(sampleCall({ principal: "a\u0000b" }))],
    ["no tool", "/v1/open", openBody(sampleCall({ tool: "" }))],
    ["a list", "/v1/open", []],
    ["a text that is no JSON", "/v1/open", "{"],
    ["no body", "/v1/open", ""],
    ["a member that reaches for the prototype", "/v1/open", '{"__proto__":{}}'],
    ["an id that is too short", "/v1/poll", { ids: ["abc"] }],
    ["ids that are no list", "/v1/poll", { ids: NONCE }],
    ["too many ids", "/v1/poll", { ids: Array.from({ length: 1_001 }, () => NONCE) }],
    ["a claim without a nonce", "/v1/claim", { id: NONCE, digest: "0".repeat(64) }],
    ["a nonce that is too long", "/v1/claim", { id: NONCE, digest: "0".repeat(64), nonce: `${NONCE}A` }],
  ])("refuses %s", async (_what, route, body) => {
    expect(await answerOf(route, body)).toEqual({ status: 400, body: { error: "request" } });
  });

  it("refuses another media type, another method and another path", async () => {
    const authorization = `Bearer ${SECRET}`;
    const form = await rig.post("/v1/poll", "ids=1", {
      authorization,
      "content-type": "application/x-www-form-urlencoded",
    });
    expect([form.statusCode, form.body]).toEqual([415, '{"error":"media_type"}']);
    for (const [method, url] of [
      ["GET", "/v1/open"],
      ["POST", "/v1/approve"],
      ["GET", "/"],
    ] as const) {
      const answer = await rig.app.inject({ method, url, headers: { authorization } });
      expect([answer.statusCode, answer.body], url).toEqual([404, '{"error":"not_found"}']);
    }
  });

  it("tells where approvals stand, each once", async () => {
    const pending = await rig.open(sampleCall());
    const approved = await rig.open(sampleCall({ arguments: "{}" }));
    await rig.approve(approved);
    const { status, body } = await answerOf("/v1/poll", { ids: [pending, approved, NONCE, pending] });
    expect({ status, body }).toEqual({
      status: 200,
      body: { [pending]: "pending", [approved]: "approved", [NONCE]: "unknown" },
    });
    expect(await answerOf("/v1/poll", { ids: [] })).toEqual({ status: 200, body: {} });
    const many = Array.from({ length: 1_000 }, (_, index) => `${index}`.padEnd(22, "x"));
    expect(Object.keys((await answerOf("/v1/poll", { ids: many })).body)).toHaveLength(1_000);
    await claim(approved, { digest: sampleCall({ arguments: "{}" }).digest });
    rig.time.now += 300_000;
    expect((await answerOf("/v1/poll", { ids: [pending, approved] })).body).toEqual({
      [pending]: "expired",
      [approved]: "claimed",
    });
  });

  describe("claim", () => {
    it("gives a receipt that says all of the call and of the claim, for a minute", async () => {
      const call = sampleCall();
      const id = await rig.open(call);
      await rig.approve(id);
      rig.time.now += 1_999;
      const { status, body } = await claim(id);
      expect(status).toBe(200);
      const key = createPublicKey({ key: Buffer.from(rig.signer.spki, "base64"), format: "der", type: "spki" });
      expect(await verifyReceipt(String(body.receipt), new Map([["test", key]]))).toEqual({
        kid: "test",
        receipt: {
          ...{
            id,
            nonce: NONCE,
            digest: call.digest,
            server: call.server,
            issuer: call.issuer,
            principal: call.principal,
          },
          ...{ tool: call.tool, approver: "https://id.example.com#alice", iat: SECONDS + 1, exp: SECONDS + 61 },
        },
      });
    });

    it("gives the same nonce the same receipt, byte for byte and at any time, and another nonce nothing", async () => {
      const id = await rig.open(sampleCall());
      await rig.approve(id);
      const first = await claim(id);
      rig.time.now += 1_000_000;
      expect(await claim(id)).toEqual(first);
      expect(await claim(id, { nonce: OTHER_NONCE })).toEqual({ status: 409, body: { error: "replayed" } });
      expect(await claim(id)).toEqual(first);
    });

    it("says why there is nothing to claim", async () => {
      const id = await rig.open(sampleCall());
      expect(await claim(id)).toEqual({ status: 409, body: { error: "pending" } });
      expect(await claim(NONCE)).toEqual({ status: 409, body: { error: "unknown" } });
      await rig.approve(id);
      expect(await claim(id, { digest: "0".repeat(64) })).toEqual({ status: 409, body: { error: "digest" } });
      rig.time.now += 300_000;
      expect(await claim(id)).toEqual({ status: 409, body: { error: "expired" } });
      const denied = await rig.open(sampleCall());
      await rig.store.decide({ id: denied, verdict: "denied", approver: "a", reason: "no" });
      expect(await claim(denied)).toEqual({ status: 409, body: { error: "denied" } });
    });
  });

  describe("its gate", () => {
    /** A token as an agent has it, signed and valid. */
    const agentToken = () => {
      const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
      return new SignJWT({ sub: "alice", scope: "mcp" })
        .setProtectedHeader({ alg: "ES256" })
        .setExpirationTime("1h")
        .sign(privateKey);
    };
    const REFUSED = [401, '{"error":"unauthorized"}'];
    const sent = async (at: FilterRig, path: string, headers: Record<string, string>, body: unknown = {}) => {
      const answer = await at.post(path, body, headers);
      return [answer.statusCode, answer.body];
    };

    it("lets nobody in without the secret, whatever else they have", async () => {
      const strangers: Record<string, string>[] = [
        {},
        { authorization: "" },
        { authorization: "Bearer " },
        { authorization: `Bearer ${SECRET}x` },
        { authorization: `Bearer ${SECRET.slice(0, -1)}` },
        { authorization: `Bearer ${SECRET.toUpperCase()}` },
        { authorization: `Bearer ${SECRET},Bearer ${SECRET}` },
        { authorization: SECRET },
        { authorization: `Basic ${Buffer.from(`guard:${SECRET}`).toString("base64")}` },
        { authorization: `Bearer ${await agentToken()}` },
        { cookie: `authorization=${SECRET}` },
        { "x-authorization": `Bearer ${SECRET}` },
      ];
      for (const path of PATHS) {
        for (const headers of strangers)
          expect(await sent(rig, path, headers), `${path} ${JSON.stringify(headers)}`).toEqual(REFUSED);
      }
    });

    it("lets no browser in, not even with the secret", async () => {
      const authorization = `Bearer ${SECRET}`;
      for (const [name, value] of [
        ["cookie", "a=b"],
        ["origin", "https://approve.example.com"],
        ["sec-fetch-site", "same-origin"],
      ] as const) {
        for (const path of PATHS)
          expect(await sent(rig, path, { authorization, [name]: value }), name).toEqual(REFUSED);
      }
    });

    it("stands in front of the reading of bodies", async () => {
      expect(await sent(rig, "/v1/open", {}, "{")).toEqual(REFUSED);
      expect(await sent(rig, "/v1/open", {}, "x".repeat(300 << 10))).toEqual(REFUSED);
    });

    it("lets guards in with the new secret and the old one while they are changed, and then with the new one alone", async () => {
      const fresh = "new-secret-of-the-guards-0123456789abcdef";
      const changing = await filterRig(await files.fresh(), { FILTER_SECRET: fresh, FILTER_SECRET_PREVIOUS: SECRET });
      const changed = await filterRig(await files.fresh(), { FILTER_SECRET: fresh });
      try {
        const ids = { ids: [] };
        for (const secret of [fresh, SECRET]) {
          expect(await sent(changing, "/v1/poll", { authorization: `bearer ${secret}` }, ids), secret).toEqual([
            200,
            "{}",
          ]);
        }
        expect(await sent(changed, "/v1/poll", { authorization: `Bearer ${fresh}` }, ids)).toEqual([200, "{}"]);
        expect(await sent(changed, "/v1/poll", { authorization: `Bearer ${SECRET}` }, ids)).toEqual(REFUSED);
      } finally {
        await changing.close();
        await changed.close();
      }
    });

    it("where the mesh decides lets in who has no token at all, and no browser", async () => {
      const mesh = await filterRig(await files.fresh(), { FILTER_SECRET: "", FILTER_AUTH: "mesh" });
      try {
        expect(await sent(mesh, "/v1/poll", {}, { ids: [] })).toEqual([200, "{}"]);
        for (const path of PATHS) {
          expect(await sent(mesh, path, { authorization: `Bearer ${await agentToken()}` })).toEqual(REFUSED);
          expect(await sent(mesh, path, { cookie: "a=b" })).toEqual(REFUSED);
        }
      } finally {
        await mesh.close();
      }
    });

    it("is not built without a secret or a mesh", () => {
      const settings = { ...rig.settings, filter: { secrets: [], mesh: false } };
      expect(() => addFilterGate(rig.app, { settings } as unknown as Parameters<typeof addFilterGate>[1])).toThrow(
        /no protection/,
      );
    });

    it("is not to be had on the port of the pages, nor the pages behind it", async () => {
      const authorization = `Bearer ${SECRET}`;
      const headers = { authorization, "content-type": "application/json" };
      for (const url of [...PATHS, "/metrics", "/openapi.json"]) {
        for (const method of ["GET", "POST"] as const) {
          const answer = await rig.browser.inject({
            method,
            url,
            headers,
            ...(method === "POST" ? { payload: "{}" } : {}),
          });
          expect(answer.statusCode, `${method} ${url}`).toBe(404);
        }
      }
      for (const url of ["/", "/sign-in", "/callback", "/events", `/a/${NONCE}`]) {
        expect((await rig.app.inject({ method: "GET", url, headers: { authorization } })).statusCode, url).toBe(404);
      }
    });
  });

  it("describes itself, without a secret", async () => {
    const document = (await rig.app.inject("/openapi.json")).json();
    expect(document.openapi).toBe("3.1.0");
    expect(Object.keys(document.paths).sort()).toEqual(["/v1/claim", "/v1/open", "/v1/poll"]);
    expect(document.security).toEqual([{ guard: [] }]);
    for (const path of PATHS) {
      const { requestBody, responses } = document.paths[path].post;
      expect(requestBody.content["application/json"].schema.additionalProperties, path).toBe(false);
      expect(Object.keys(responses), path).toEqual(["200", "4XX", "5XX"]);
    }
  });

  it("counts what it does", async () => {
    const id = await rig.open(sampleCall());
    await rig.open(sampleCall());
    await claim(id);
    await rig.approve(id);
    await claim(id);
    await claim(id);
    await rig.post("/v1/poll", {}, {});
    await rig.open(sampleCall({ arguments: "{}" }));
    const text = (await rig.app.inject("/metrics")).body;
    for (const line of [
      'opened_total{outcome="new"} 2',
      'opened_total{outcome="same"} 1',
      'claims_total{outcome="pending"} 1',
      'claims_total{outcome="receipt"} 1',
      'claims_total{outcome="repeated"} 1',
      'claims_total{outcome="replayed"} 0',
      "strangers_total 1",
      "pending 1",
      "database_errors_total 0",
      'request_seconds_count{route="/v1/claim",status="200"} 2',
    ]) {
      expect(text.split("\n")).toContain(`mcp_guard_approval_${line}`);
    }
  });

  it("logs what happened, and no secret, no argument and no query", async () => {
    const id = await rig.open(sampleCall({ arguments: '{"password":"argument-text"}' }));
    await rig.post("/v1/poll", {}, { authorization: "Bearer token-of-an-agent" });
    await rig.post("/v1/open?code=query-text", { ...openBody(sampleCall()), more: "body-text" });
    const log = rig.log();
    expect(log).toContain(id);
    expect(log).toContain("not a guard");
    for (const text of ["argument-text", "token-of-an-agent", "query-text", "body-text", SECRET])
      expect(log).not.toContain(text);
  });

  it("says that it lives, and that it can work", async () => {
    for (const app of [rig.app, rig.browser]) {
      for (const url of ["/healthz", "/readyz"]) {
        const answer = await app.inject(url);
        expect([answer.statusCode, answer.body], url).toEqual([200, "ok\n"]);
      }
    }
  });
});

describe("the API of the guards without its database", () => {
  const databases = postgresDatabases();
  const UNAVAILABLE = [503, '{"error":"unavailable"}'];
  beforeAll(() => databases.start());
  afterAll(() => databases.stop());

  const answers = async (rig: FilterRig, id: string) => {
    const bodies: [string, unknown][] = [
      ["/v1/open", openBody(sampleCall())],
      ["/v1/poll", { ids: [id] }],
      ["/v1/claim", { id, digest: sampleCall().digest, nonce: NONCE }],
    ];
    const all = await Promise.all(bodies.map(([path, body]) => rig.post(path, body)));
    return all.map((answer) => [answer.statusCode, answer.body]);
  };

  it("grants nothing, says so, and goes on when the database is back", async () => {
    const rig = await filterRig(await databases.fresh());
    try {
      const id = await rig.open(sampleCall());
      await rig.approve(id);
      await databases.server().kill();
      expect(await answers(rig, id)).toEqual([UNAVAILABLE, UNAVAILABLE, UNAVAILABLE]);
      expect((await rig.app.inject("/readyz")).statusCode).toBe(503);
      expect((await rig.app.inject("/healthz")).statusCode).toBe(200);
      const metrics = await rig.app.inject("/metrics");
      expect(metrics.statusCode).toBe(200);
      expect(metrics.body).toMatch(/^mcp_guard_approval_pending nan$/im);
      await databases.server().start();
      const [opened, polled, claimed] = await answers(rig, id);
      expect([opened?.[0], polled?.[0], claimed?.[0]]).toEqual([200, 200, 200]);
      expect((await rig.app.inject("/readyz")).statusCode).toBe(200);
    } finally {
      await rig.close();
    }
  });

  it("does not wait for a database that has gone silent", async () => {
    const place = await databases.fresh();
    if (place.kind !== "postgres") throw new Error("no PostgreSQL");
    const proxy = await startSilentProxy(new URL(place.url));
    const rig = await filterRig({ kind: "postgres", url: proxy.url });
    try {
      const id = await rig.open(sampleCall());
      proxy.silence();
      const before = performance.now();
      expect(await answers(rig, id)).toEqual([UNAVAILABLE, UNAVAILABLE, UNAVAILABLE]);
      // What a guard waits by default.
      expect(performance.now() - before).toBeLessThan(5_000);
      proxy.speak();
      expect((await answers(rig, id)).map(([status]) => status)).toEqual([200, 200, 409]);
    } finally {
      await rig.close();
      await proxy.stop();
    }
  });
});

/** The digest of schema/canonical-arguments.md, over whatever the texts are. */
function rawDigest(call: Omit<Call, "digest">): string {
  const { server, authority, path, issuer, principal, method, tool, task, inputResponses } = call;
  const hash = createHash("sha256");
  const fields = [
    "mcp-guard-approval-v1",
    server,
    authority,
    path,
    issuer,
    principal,
    method,
    tool,
    call.arguments,
    task,
    inputResponses,
  ];
  for (const field of fields) {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(Buffer.byteLength(field));
    hash.update(length).update(field);
  }
  return hash.digest("hex");
}
