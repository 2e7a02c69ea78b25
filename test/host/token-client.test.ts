// As whom the filter asks for tokens with a key of its own (`private_key_jwt`, RFC 7523), and where its secrets come from. Goal: an authorization server that reads
// the specifications takes its assertion, each is another one, and a key that cannot be used is told with the member that names it.

import { createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { decodeProtectedHeader, jwtVerify } from "jose";
import { describe, expect, test } from "vitest";
import { Vm } from "../../src/host/index.ts";
import { BUILDS, type Guard, toolCall, verdict } from "./guard.ts";
import {
  asked,
  call,
  clockFrom,
  minted,
  policyWith,
  reached,
  SECRET,
  type StartOptions,
  start,
} from "./token-calls.ts";

const BODY = toolCall("safe");
const p256 = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
const pem = (key: KeyObject): string => key.export({ format: "pem", type: "pkcs8" }).toString();
const der = (key: KeyObject): Buffer => key.export({ format: "der", type: "pkcs8" });

const CLIENT = { id: "mcp-guard", auth: "private_key_jwt", key_env: "CLIENT_KEY", audience: "https://idp.example" };
const ES256 = { ...CLIENT, alg: "ES256" };
const RS256 = { ...CLIENT, alg: "RS256" };

const startWith = (client: object, key: string, options: StartOptions = {}): Guard =>
  start({ client }, {}, { environment: { CLIENT_KEY: key }, ...options });

/** The assertion of the one question that is under way, verified. */
async function assertionOf(guard: Guard, key: KeyObject, currentDate = new Date()) {
  const { http, form } = asked(guard);
  expect(http.headers.get("authorization")).toBeUndefined();
  expect(form.get("client_assertion_type")).toBe("urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
  const assertion = form.get("client_assertion") ?? "";
  const { payload } = await jwtVerify(assertion, createPublicKey(key), {
    issuer: "mcp-guard",
    subject: "mcp-guard",
    audience: "https://idp.example",
    currentDate,
  });
  return { header: decodeProtectedHeader(assertion), payload };
}

describe.each([
  ["ES256", ES256, p256],
  ["RS256", RS256, rsa],
  ["RS256 with 4,096 bits", RS256, generateKeyPairSync("rsa", { modulusLength: 4096 }).privateKey],
] as const)("%s", (_what, client, key) => {
  test("the assertion is one that anybody takes", async () => {
    const clock = clockFrom(1_800_000_123);
    const guard = startWith(client, pem(key), { now: clock.now });
    const stream = call(guard);
    const { header, payload } = await assertionOf(guard, key, new Date(1_800_000_123_000));
    expect(header).toEqual({ alg: client.alg, typ: "JWT" });
    expect(payload).toEqual({
      iss: "mcp-guard",
      sub: "mcp-guard",
      aud: "https://idp.example",
      jti: expect.stringMatching(/^[\w-]{22}$/),
      iat: 1_800_000_123,
      exp: 1_800_000_183,
    });
    minted(guard);
    expect(reached(stream)).toEqual(["Bearer minted-1"]);
  });
});

test("the header names the key when the policy does", async () => {
  const guard = startWith({ ...ES256, kid: 'k"1\\' }, pem(p256));
  call(guard);
  expect((await assertionOf(guard, p256)).header).toEqual({ alg: "ES256", kid: 'k"1\\', typ: "JWT" });
});

test("each question has an assertion of its own", async () => {
  const guard = startWith(ES256, pem(p256));
  const ids = new Set<unknown>();
  for (let round = 0; round < 50; round++) {
    call(guard, { principal: `user-${round}` });
    // Every length that r and s have in DER comes up in so many.
    ids.add((await assertionOf(guard, p256)).payload.jti);
    minted(guard);
  }
  expect(ids.size).toBe(50);
});

test("the longest texts have room", async () => {
  const id = '"'.repeat(512);
  const client = { ...ES256, id, audience: "\\".repeat(512), kid: '"'.repeat(128) };
  const guard = startWith(client, pem(p256));
  call(guard);
  const assertion = asked(guard).form.get("client_assertion") ?? "";
  const { payload } = await jwtVerify(assertion, createPublicKey(p256));
  expect([payload.iss, payload.sub, payload.aud]).toEqual([id, id, client.audience]);
});

describe("the key", () => {
  test.each([
    ["PEM", pem(p256)],
    ["PEM without a line break at its end", pem(p256).trim()],
    ["PEM with line breaks of two bytes", pem(p256).replaceAll("\n", "\r\n")],
    ["PEM with line breaks written out", pem(p256).replaceAll("\n", "\\n")],
    ["PEM in one line", pem(p256).replaceAll("\n", "")],
    ["PEM with blanks around it", ` \t\n${pem(p256)}\n\n`],
    ["base64", der(p256).toString("base64")],
    ["base64 in lines", der(p256).toString("base64").replaceAll(/.{64}/g, "$&\n")],
  ])("is taken as %s", async (_what, key) => {
    const guard = startWith(ES256, key);
    call(guard);
    await assertionOf(guard, p256);
  });

  const b64 = der(p256).toString("base64");
  test.each([
    ["nothing", ""],
    ["blanks", " \n "],
    ["a text", "secret"],
    ["PEM of a public key", createPublicKey(p256).export({ format: "pem", type: "spki" }).toString()],
    ["PEM of another form", p256.export({ format: "pem", type: "sec1" }).toString()],
    [
      "PEM that is encrypted",
      p256.export({ format: "pem", type: "pkcs8", cipher: "aes-256-cbc", passphrase: "x" }).toString(),
    ],
    ["PEM without its end", pem(p256).split("-----END")[0]!],
    ["PEM without its beginning", pem(p256).split("KEY-----\n")[1]!],
    ["PEM of nothing", "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----"],
    ["two keys", pem(p256) + pem(p256)],
    ["base64 that is cut", b64.slice(0, -4)],
    ["base64 without its padding", der(rsa).subarray(0).toString("base64").replace(/=*$/, "").slice(0, -1)],
    ["base64 with padding inside", `${b64.slice(0, 8)}====${b64.slice(8)}`],
    ["base64 with a sign", `${b64.slice(0, 8)}-${b64.slice(9)}`],
    ["base64 of something behind the key", Buffer.concat([der(p256), Buffer.of(0, 0, 0)]).toString("base64")],
    ["base64 of something else", Buffer.from("not a key at all").toString("base64")],
    ["more than 8,192 bytes", pem(p256).padEnd(8193, "\n")],
  ])("is refused as %s", (_what, key) => {
    const vm = Vm.load(BUILDS.release, { environment: { CLIENT_KEY: key } });
    expect(vm.startPlugin(JSON.stringify(policyWith({ client: ES256 }))).accepted).toBe(false);
    expect(vm.logs.map(({ message }) => message)).toEqual([
      "mcp-guard: configuration refused: token_exchange.client.key_env: found no variable CLIENT_KEY with a private key in PKCS#8 (RFC 5958), as PEM or as its base64 alone, of at most 8192 bytes, expected it in the environment of the VM (vm_config.environment_variables)",
    ]);
  });
});

describe("a key that the proxy cannot sign with", () => {
  const p384 = generateKeyPairSync("ec", { namedCurve: "P-384" }).privateKey;
  const small = generateKeyPairSync("rsa", { modulusLength: 1024 }).privateKey;

  test.each([
    ["of RSA for ES256", ES256, rsa],
    ["on a curve for RS256", RS256, p256],
    ["on another curve", ES256, p384],
    ["of RSA that is too short", RS256, small],
    ["of a kind that is not supported", ES256, generateKeyPairSync("ed25519").privateKey],
  ])("%s: there are no tokens, and the log names the member", (_what, client, key) => {
    const guard = startWith(client, pem(key));
    expect(verdict(call(guard), BODY)).toBe("refuse token_exchange_unavailable 503");
    expect(guard.plugin.httpCalls).toEqual([]);
    expect(guard.vm.logs.filter(({ message }) => message.includes("token_exchange.client.key_env"))).toHaveLength(1);
    expect(guard.vm.failed).toBe(false);
  });

  test.each([1, 2, 10, 12])("on a host that cannot sign (status %i)", (status) => {
    const guard = startWith(ES256, pem(p256));
    guard.vm.failNext("proxy_call_foreign_function", status);
    expect(verdict(call(guard), BODY)).toBe("refuse token_exchange_unavailable 503");
    call(guard);
    minted(guard);
    expect(reached(call(guard))).toEqual(["Bearer minted-1"]);
  });

  test("on a host without random numbers, or without the time", () => {
    const guard = startWith(ES256, pem(p256));
    for (const name of ["random_get", "proxy_get_current_time_nanoseconds"]) {
      guard.vm.failAll(name, 10);
      expect(call(guard).localReply?.details).toBe("mcp_guard.token_exchange_unavailable");
      guard.vm.clearFaults();
    }
  });
});

describe("a secret of the environment", () => {
  const refusal = (exchange: object, environment: Record<string, string>): string[] => {
    const vm = Vm.load(BUILDS.release, { environment });
    expect(vm.startPlugin(JSON.stringify(policyWith(exchange))).accepted).toBe(false);
    return vm.logs.map(({ message }) => message.replace(/, expected it in the environment of the VM.*/, ""));
  };
  const said = (member: string, variable: string, what: string) => [
    `mcp-guard: configuration refused: token_exchange.${member}: found no variable ${variable} ${what}`,
  ];

  test.each([
    ["is not there", {}],
    ["is empty", { CLIENT_SECRET: "" }],
    ["has a space", { CLIENT_SECRET: "a b" }],
    ["has a line break", { CLIENT_SECRET: "ab\n" }],
    ["has a character beyond ASCII", { CLIENT_SECRET: "é" }],
    ["is too long", { CLIENT_SECRET: "x".repeat(513) }],
    ["has another name", { client_secret: "x", CLIENT_SECRET_: "x" }],
  ])("of the client that %s is told", (_what, environment) => {
    expect(refusal({}, environment)).toEqual(said("client.secret_env", "CLIENT_SECRET", "of 1 to 512 printable bytes"));
  });

  test.each([
    ["is not there", {}],
    ["has a space", { ACTOR: "a b" }],
    ["is too long", { ACTOR: "x".repeat(8193) }],
  ])("of the actor that %s is told", (_what, environment) => {
    const exchange = { actor: { token_env: "ACTOR" } };
    const what = "of 1 to 8192 printable bytes";
    expect(refusal(exchange, { CLIENT_SECRET: SECRET, ...environment })).toEqual(
      said("actor.token_env", "ACTOR", what),
    );
  });

  test("of the actor of the largest size is sent", () => {
    const ACTOR = "~".repeat(8192);
    const guard = start({ actor: { token_env: "ACTOR" } }, {}, { environment: { CLIENT_SECRET: SECRET, ACTOR } });
    call(guard, { authorization: [`Bearer ${"x".repeat(2)}`] });
    expect(guard.plugin.httpCalls).toEqual([]);
    call(guard);
    expect(asked(guard).form.get("actor_token")).toBe(ACTOR);
  });
});
