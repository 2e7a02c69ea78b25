// `authorization` and `token_exchange` in a configuration. Goal: what cannot be meant is refused, in a sentence that says where, what was found, and what was expected;
// each way of writing the same policy has one digest, and what is not said is no part of it.

import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { Vm } from "../../src/host/index.ts";
import { BUILDS } from "./guard.ts";
import { ACCESS_TOKEN, policyWith, SECRET, TOKEN_EXCHANGE } from "./token-calls.ts";

const ENVIRONMENT = { CLIENT_SECRET: SECRET, ACTOR: "x" };
const SECRET_CLIENT = TOKEN_EXCHANGE.client;
const KEY_CLIENT = { id: "c", auth: "private_key_jwt", key_env: "K", alg: "ES256", audience: "https://idp.example" };
const SERVICE = TOKEN_EXCHANGE.service;
const TYPES =
  "urn:ietf:params:oauth:token-type:access_token urn:ietf:params:oauth:token-type:jwt urn:ietf:params:oauth:token-type:id_token";
const RESOURCE = "expected an absolute URI without a fragment, 1 to 512 bytes (RFC 8707 section 2)";
const SCOPE = "expected scopes with one space between them, 1 to 512 bytes (RFC 6749 section 3.3)";
const PATH = "expected a path like /oauth2/token of 1 to 512 bytes of printable ASCII that begins with a slash";

/** What the log says behind `configuration refused: `; undefined when it is accepted. */
function refusal(policy: object): string | undefined {
  const vm = Vm.load(BUILDS.release, { environment: ENVIRONMENT });
  if (vm.startPlugin(JSON.stringify(policy)).accepted) return undefined;
  expect(vm.logs).toHaveLength(1);
  return vm.logs[0]!.message.replace("mcp-guard: configuration refused: ", "");
}

function without<T extends object>(value: T, ...names: (keyof T)[]): object {
  return Object.fromEntries(Object.entries(value).filter(([name]) => !names.includes(name as keyof T)));
}

describe("is accepted", () => {
  test.each([
    ["the least that there is", {}],
    ["resource in the place of audience", { audience: undefined, resource: "https://mcp.example/mcp?x=y" }],
    ["both", { resource: "urn:example:mcp" }],
    ["a scope", { scope: "a" }],
    ["scopes", { scope: "a b:c/d !#[]~" }],
    ["an actor", { actor: { token_env: "ACTOR" } }],
    ["an actor of a type", { actor: { token_env: "ACTOR", token_type: "urn:ietf:params:oauth:token-type:id_token" } }],
    ["the least bounds", { service: { ...SERVICE, timeout_ms: 100 }, cache_entries: 16, max_cache_seconds: 0 }],
    [
      "the largest bounds",
      { service: { ...SERVICE, timeout_ms: 30_000 }, cache_entries: 16_384, max_cache_seconds: 3600 },
    ],
    [
      "the longest texts",
      { audience: "a".repeat(512), scope: "s".repeat(512), service: { ...SERVICE, path: `/${"p".repeat(511)}` } },
    ],
    ["a query in the path", { service: { ...SERVICE, path: "/token?tenant=x" } }],
  ])("%s", (_what, exchange) => {
    expect(refusal(policyWith(exchange))).toBeUndefined();
  });

  test.each(["pass", "strip"])("authorization: %s without anything else", (authorization) => {
    expect(refusal({ tool_allowlist: [], authorization })).toBeUndefined();
  });
});

describe("is refused", () => {
  const members =
    "service client audience resource scope requested_token_type subject_token_type actor cache_entries max_cache_seconds";

  test.each<[string, object, string]>([
    [
      "an unknown member",
      { timeout_ms: 1 },
      `token_exchange: found the unknown member "timeout_ms", expected one of ${members}`,
    ],
    [
      "no service",
      { service: undefined },
      "token_exchange: found no service, expected the cluster, the authority and the path of the token endpoint",
    ],
    [
      "no client",
      { client: undefined },
      "token_exchange: found no client, expected as whom the token endpoint knows the filter",
    ],
    [
      "neither audience nor resource",
      { audience: undefined },
      "token_exchange: found no audience and no resource, expected for which server the tokens are",
    ],
    [
      "an empty audience",
      { audience: "" },
      'token_exchange.audience: found the string "", expected an audience of 1 to 512 bytes of printable ASCII',
    ],
    [
      "an audience with a space",
      { audience: "a b" },
      'token_exchange.audience: found the string "a b", expected an audience of 1 to 512 bytes of printable ASCII',
    ],
    [
      "audiences",
      { audience: ["a"] },
      "token_exchange.audience: found a list, expected an audience of 1 to 512 bytes of printable ASCII",
    ],
    [
      "a resource with a fragment",
      { resource: "https://a/b#c" },
      `token_exchange.resource: found the string "https://a/b#c", ${RESOURCE}`,
    ],
    [
      "a resource that is relative",
      { resource: "/mcp" },
      `token_exchange.resource: found the string "/mcp", ${RESOURCE}`,
    ],
    [
      "a resource without a scheme",
      { resource: "://a" },
      `token_exchange.resource: found the string "://a", ${RESOURCE}`,
    ],
    [
      "a resource whose scheme begins with a digit",
      { resource: "1a:b" },
      `token_exchange.resource: found the string "1a:b", ${RESOURCE}`,
    ],
    [
      "a resource that is a scheme",
      { resource: "urn:" },
      `token_exchange.resource: found the string "urn:", ${RESOURCE}`,
    ],
    ["scopes with two spaces", { scope: "a  b" }, `token_exchange.scope: found the string "a  b", ${SCOPE}`],
    ["a scope with a space in front", { scope: " a" }, `token_exchange.scope: found the string " a", ${SCOPE}`],
    ["a scope with a space behind", { scope: "a " }, `token_exchange.scope: found the string "a ", ${SCOPE}`],
    ["a scope with a quote", { scope: 'a"' }, `token_exchange.scope: found the string "a\\u0022", ${SCOPE}`],
    ["scopes that are a list", { scope: ["a"] }, `token_exchange.scope: found a list, ${SCOPE}`],
    [
      "an id token asked for",
      { requested_token_type: "urn:ietf:params:oauth:token-type:id_token" },
      'token_exchange.requested_token_type: found the string "urn:ietf:params:oauth:token-type:id_token", expected one of urn:ietf:params:oauth:token-type:access_token urn:ietf:params:oauth:token-type:jwt',
    ],
    [
      "a refresh token exchanged",
      { subject_token_type: "urn:ietf:params:oauth:token-type:refresh_token" },
      `token_exchange.subject_token_type: found the string "urn:ietf:params:oauth:token-type:refresh_token", expected one of ${TYPES}`,
    ],
    [
      "a cache that is too small",
      { cache_entries: 15 },
      "token_exchange.cache_entries: found the number 15, expected a whole number from 16 to 16384",
    ],
    [
      "a cache that is too large",
      { cache_entries: 16_385 },
      "token_exchange.cache_entries: found the number 16385, expected a whole number from 16 to 16384",
    ],
    [
      "a time that is too long",
      { max_cache_seconds: 3601 },
      "token_exchange.max_cache_seconds: found the number 3601, expected a whole number from 0 to 3600",
    ],
    [
      "a service without a cluster",
      { service: without(SERVICE, "cluster") },
      "token_exchange.service: found no cluster, expected the name of the proxy's cluster for the service",
    ],
    [
      "a service without an authority",
      { service: without(SERVICE, "authority") },
      "token_exchange.service: found no authority, expected the service's host like idp.example.com",
    ],
    [
      "a service without a path",
      { service: without(SERVICE, "path") },
      "token_exchange.service: found no path, expected that of the token endpoint like /oauth2/token",
    ],
    [
      "a path without a slash",
      { service: { ...SERVICE, path: "token" } },
      `token_exchange.service.path: found the string "token", ${PATH}`,
    ],
    [
      "a path with a fragment",
      { service: { ...SERVICE, path: "/a#b" } },
      `token_exchange.service.path: found the string "/a#b", ${PATH}`,
    ],
    [
      "a path with a line break",
      { service: { ...SERVICE, path: "/a\r\nx: y" } },
      `token_exchange.service.path: found the string "/a\\u000d\\u000ax: y", ${PATH}`,
    ],
    [
      "a timeout that is too short",
      { service: { ...SERVICE, timeout_ms: 99 } },
      "token_exchange.service.timeout_ms: found the number 99, expected a whole number from 100 to 30000",
    ],
    [
      "a timeout that is too long",
      { service: { ...SERVICE, timeout_ms: 30_001 } },
      "token_exchange.service.timeout_ms: found the number 30001, expected a whole number from 100 to 30000",
    ],
    [
      "an unknown member of the service",
      { service: { ...SERVICE, url: "x" } },
      'token_exchange.service: found the unknown member "url", expected one of cluster authority path timeout_ms',
    ],
    [
      "a client without an id",
      { client: without(SECRET_CLIENT, "id") },
      "token_exchange.client: found no id, expected the client's id at the token endpoint",
    ],
    [
      "a client that does not say how",
      { client: without(SECRET_CLIENT, "auth") },
      "token_exchange.client: found no auth, expected client_secret_basic or private_key_jwt",
    ],
    [
      "a client that says it in another way",
      { client: { ...SECRET_CLIENT, auth: "client_secret_post" } },
      'token_exchange.client.auth: found the string "client_secret_post", expected one of client_secret_basic private_key_jwt; did you mean "client_secret_basic"?',
    ],
    [
      "a client with its secret in the configuration",
      { client: { ...SECRET_CLIENT, secret: "x" } },
      'token_exchange.client: found the unknown member "secret", expected one of id auth secret_env key_env alg kid audience',
    ],
    [
      "a client without its secret",
      { client: without(SECRET_CLIENT, "secret_env") },
      "token_exchange.client: found auth: client_secret_basic without secret_env, expected the variable that holds the secret",
    ],
    [
      "a variable that is none",
      { client: { ...SECRET_CLIENT, secret_env: "1A" } },
      'token_exchange.client.secret_env: found the string "1A", expected the name of a variable like MCP_GUARD_CLIENT_SECRET, 1 to 128 bytes',
    ],
    ...(["key_env", "alg", "kid", "audience"] as const).map((name): [string, object, string] => [
      `a client with a secret and ${name}`,
      { client: { ...SECRET_CLIENT, [name]: name === "alg" ? "ES256" : "x" } },
      `token_exchange.client.${name}: found it with auth: client_secret_basic, expected it with auth: private_key_jwt only`,
    ]),
    [
      "a client with a key and a secret",
      { client: { ...KEY_CLIENT, secret_env: "S" } },
      "token_exchange.client.secret_env: found it with auth: private_key_jwt, expected it with auth: client_secret_basic only",
    ],
    [
      "a client without its key",
      { client: without(KEY_CLIENT, "key_env") },
      "token_exchange.client: found auth: private_key_jwt without key_env, expected the variable that holds the private key",
    ],
    [
      "a client without its algorithm",
      { client: without(KEY_CLIENT, "alg") },
      "token_exchange.client: found auth: private_key_jwt without alg, expected RS256 or ES256",
    ],
    [
      "a client with an algorithm that is none",
      { client: { ...KEY_CLIENT, alg: "none" } },
      'token_exchange.client.alg: found the string "none", expected one of RS256 ES256',
    ],
    [
      "a client with an algorithm of a shared secret",
      { client: { ...KEY_CLIENT, alg: "HS256" } },
      'token_exchange.client.alg: found the string "HS256", expected one of RS256 ES256; did you mean "RS256"?',
    ],
    [
      "a client whose assertion is for nobody",
      { client: without(KEY_CLIENT, "audience") },
      "token_exchange.client: found auth: private_key_jwt without audience, expected the issuer, or the URL of the token endpoint",
    ],
    [
      "an actor without a token",
      { actor: {} },
      "token_exchange.actor: found no token_env, expected the variable that holds the actor's token",
    ],
    [
      "an actor with its token in the configuration",
      { actor: { token: "x" } },
      'token_exchange.actor: found the unknown member "token", expected one of token_env token_type',
    ],
  ])("%s", (_what, exchange, told) => {
    expect(
      refusal(policyWith(exchange))?.replace(/; did you mean.*/, (hint) => (told.endsWith(hint) ? hint : "")),
    ).toBe(told);
  });

  test.each<[string, object, string]>([
    [
      "authorization: exchange alone",
      { authorization: "exchange" },
      "configuration: found authorization: exchange without token_exchange, expected both",
    ],
    [
      "token_exchange alone",
      { token_exchange: TOKEN_EXCHANGE },
      "configuration: found token_exchange without authorization: exchange, expected both",
    ],
    [
      "token_exchange with strip",
      { authorization: "strip", token_exchange: TOKEN_EXCHANGE },
      "configuration: found token_exchange without authorization: exchange, expected both",
    ],
    [
      "callers that nobody validates",
      { authorization: "exchange", token_exchange: TOKEN_EXCHANGE },
      "configuration: found token_exchange without identity.jwt, expected whose tokens are exchanged",
    ],
    [
      "callers whom only a gateway names",
      {
        authorization: "exchange",
        token_exchange: TOKEN_EXCHANGE,
        identity: { header: { name: "user-identity", trusted_gateways: ["spiffe://a/b"] } },
      },
      "configuration: found token_exchange without identity.jwt, expected whose tokens are exchanged",
    ],
    [
      "another word",
      { authorization: "drop" },
      'authorization: found the string "drop", expected one of pass strip exchange',
    ],
  ])("%s", (_what, members, told) => {
    expect(refusal({ tool_allowlist: [], ...members })).toBe(told);
  });
});

describe("the digest", () => {
  function digestOf(policy: object, environment: Record<string, string> = ENVIRONMENT): string {
    const vm = Vm.load(BUILDS.release, { environment });
    const plugin = vm.startPlugin(JSON.stringify(policy));
    expect(plugin.accepted).toBe(true);
    return /policy ([0-9a-f]{16})/.exec(vm.logs[0]!.message)![1]!;
  }

  /** RFC 8785, for values as policies have them. */
  function canonical(value: unknown): string {
    if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
    if (typeof value !== "object" || value === null) return JSON.stringify(value);
    const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${members.map(([name, inner]) => `${JSON.stringify(name)}:${canonical(inner)}`).join(",")}}`;
  }

  /** All that a policy is beside these members, which nothing here changes. */
  const rest = {
    allowed_origins: [],
    argument_rules: [],
    audit: { arguments: "none", line: "json", record_bytes: 16_384, required: "none", response: "none" },
    direction: "inbound",
    elicitation: "allow",
    hidden_text: "strip",
    limits: {
      ...{ body_bytes: 1_000_000, depth: 64, event_bytes: 16 << 20, in_flight_bytes: 64 << 20, key_bytes: 256 },
      ...{ list_bytes: 1 << 20, members_per_object: 1024, open_members: 4096, stall_ms: 10_000 },
    },
    method_allowlist: [],
    metrics: { tools: 100 },
    mode: "enforce",
    prompt_allowlist: [],
    refusal: "jsonrpc_error",
    refusal_detail: "explain",
    request_body: "whole",
    request_headers: "release",
    resource_roots: [],
    response_uris: { schemes: ["https"] },
    roots: "allow",
    sampling: "deny",
    tasks: "deny",
    unguarded: [],
    uri_traversal: "literal",
  };

  const expected = (policy: object): string =>
    createHash("sha256")
      .update(canonical({ ...rest, ...policy }))
      .digest("hex")
      .slice(0, 16);

  test("has nothing of what is not said", () => {
    expect(digestOf({ tool_allowlist: [] })).toBe(expected({ tool_allowlist: [] }));
    expect(digestOf({ tool_allowlist: [], authorization: "pass" })).toBe(expected({ tool_allowlist: [] }));
    const strip = { tool_allowlist: [], authorization: "strip" };
    expect(digestOf(strip)).toBe(expected(strip));
  });

  const key = "-----BEGIN PRIVATE KEY-----MAIEAA==-----END PRIVATE KEY-----";

  test.each([
    ["with a secret", {}],
    [
      "with everything",
      {
        actor: { token_type: ACCESS_TOKEN, token_env: "ACTOR" },
        audience: 'a\\b"c',
        resource: "urn:x:y",
        scope: "b a",
        client: { ...KEY_CLIENT, kid: "k" },
        cache_entries: 16,
        max_cache_seconds: 0,
        requested_token_type: "urn:ietf:params:oauth:token-type:jwt",
        subject_token_type: "urn:ietf:params:oauth:token-type:id_token",
        service: { ...SERVICE, timeout_ms: 100 },
      },
    ],
    ["with RSA", { client: { ...KEY_CLIENT, alg: "RS256" } }],
  ])("has every member, with its default: %s", (_what, exchange) => {
    const policy = policyWith(exchange);
    const whole = {
      ...policy,
      identity: { ...(policy.identity as object), require_human: false },
      token_exchange: {
        ...{ cache_entries: 1024, max_cache_seconds: 60 },
        ...{ requested_token_type: ACCESS_TOKEN, subject_token_type: ACCESS_TOKEN },
        ...(policy.token_exchange as object),
        service: { timeout_ms: 2000, ...(policy.token_exchange as typeof TOKEN_EXCHANGE).service },
      },
    };
    expect(digestOf(policy, { ...ENVIRONMENT, K: key })).toBe(expected(whole));
  });

  test("has nothing of the secrets", () => {
    expect(digestOf(policyWith(), { CLIENT_SECRET: "one" })).toBe(digestOf(policyWith(), { CLIENT_SECRET: "another" }));
  });
});
