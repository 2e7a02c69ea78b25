// Callers whose tokens are exchanged, in the Node host: a guard that asks a token endpoint, requests with a token in somebody's name, and what the token
// endpoint would answer, said by the test question by question.

import { expect } from "vitest";
import type { HeaderPair, HttpCall, HttpStream, VmOptions } from "../../src/host/index.ts";
import { type Build, type Delivery, type Guard, JSON_HEADERS, send, startGuard, toolCall } from "./guard.ts";

export const ISSUER = "https://idp.example";
export const SECRET = "s3cret-of+the/client";
export const ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token";
export const TOKEN_EXCHANGE = {
  service: { cluster: "idp", authority: "idp.example", path: "/oauth2/token" },
  client: { id: "mcp-guard", auth: "client_secret_basic", secret_env: "CLIENT_SECRET" },
  audience: "https://mcp.example/mcp",
} as const;

/** A policy under which tokens are exchanged, and `safe` may be called. */
export function policyWith(exchange: object = {}, rest: object = {}): Record<string, unknown> {
  return {
    tool_allowlist: ["safe"],
    identity: { jwt: [{ provider: "people", issuer: ISSUER, claim: "sub" }] },
    authorization: "exchange",
    token_exchange: { ...TOKEN_EXCHANGE, ...exchange },
    ...rest,
  };
}

export interface StartOptions extends VmOptions {
  readonly build?: Build;
}

export function start(exchange: object = {}, rest: object = {}, options: StartOptions = {}): Guard {
  return startGuard(policyWith(exchange, rest), {
    clusters: ["idp", "collector", "approval"],
    environment: { CLIENT_SECRET: SECRET },
    ...options,
  });
}

/** A JWT with these claims, as an issuer would sign it; nobody here verifies that. */
export function jwt(claims: object | string, filler = "c2ln"): string {
  const parts = [
    JSON.stringify({ alg: "ES256", typ: "JWT" }),
    typeof claims === "string" ? claims : JSON.stringify(claims),
  ];
  return [...parts.map((part) => Buffer.from(part).toString("base64url")), filler].join(".");
}

/** The token with which somebody comes. `more` makes it another one. */
export function tokenOf(principal: string, more: object = {}): string {
  return jwt({ iss: ISSUER, sub: principal, aud: "gateway", ...more });
}

/** What the proxy knows of a validated token. */
export function validated(
  principal: string,
  provider = "people",
  claim = "sub",
  issuer = ISSUER,
): Record<string, string> {
  const at = `metadata.filter_metadata.envoy.filters.http.jwt_authn.${provider}`;
  return { [`${at}.iss`]: issuer, [`${at}.${claim}`]: principal };
}

export interface CallOptions {
  readonly principal?: string;
  /** Default: that of the principal. */
  readonly authorization?: readonly string[];
  readonly tool?: string;
  readonly headersStop?: boolean;
  readonly delivery?: Delivery;
}

export function deliveryOf({
  principal = "alice",
  authorization,
  tool = "safe",
  headersStop = false,
  delivery = {},
}: CallOptions): Delivery {
  const values = authorization ?? [`Bearer ${tokenOf(principal)}`];
  const own = delivery.headers ?? (delivery.end === "headers" ? [] : JSON_HEADERS);
  const headers: HeaderPair[] = [...own, ...values.map((value): HeaderPair => ["authorization", value])];
  return {
    body: toolCall(tool),
    ...delivery,
    headers,
    stream: { properties: validated(principal), headersStop, ...delivery.stream },
  };
}

/** Sends a whole call in somebody's name; the server does not answer. */
export function call({ plugin }: Guard, options: CallOptions = {}): HttpStream {
  return send(plugin, deliveryOf(options));
}

/** A request without a body, in somebody's name. */
export function get(guard: Guard, options: CallOptions = {}): HttpStream {
  return call(guard, { ...options, delivery: { method: "GET", end: "headers", ...options.delivery } });
}

/** The one question that is under way, and its fields. */
export function asked({ plugin }: Guard): { http: HttpCall; form: URLSearchParams } {
  expect(plugin.httpCalls.map(({ headers }) => headers.get(":path"))).toEqual(["/oauth2/token"]);
  const http = plugin.httpCalls[0]!;
  expect([
    http.cluster,
    http.headers.get(":method"),
    http.headers.get(":authority"),
    http.headers.get("content-type"),
  ]).toEqual(["idp", "POST", "idp.example", "application/x-www-form-urlencoded"]);
  return { http, form: new URLSearchParams(http.body.toString("latin1")) };
}

/** A good answer. */
export function grant(token: string, more: object = {}): Record<string, unknown> {
  return { access_token: token, issued_token_type: ACCESS_TOKEN, token_type: "Bearer", expires_in: 300, ...more };
}

export function say(http: HttpCall, body: object | string | Uint8Array, status = 200): void {
  const text = typeof body === "string" || body instanceof Uint8Array ? body : JSON.stringify(body);
  http.answer({ status, headers: [["content-type", "application/json"]], body: text });
}

/** Answers the one question that is under way with this token. */
export function minted(guard: Guard, token = "minted-1", more: object = {}): void {
  say(asked(guard).http, grant(token, more));
}

/** The tokens with which the request has reached the server; undefined when it has not. */
export function reached(stream: HttpStream): string[] | undefined {
  return stream.upstream.headers?.getAll("authorization");
}

export function recordOf(stream: HttpStream): Record<string, unknown> {
  return JSON.parse(stream.filterState.get("mcp_audit") ?? "{}");
}

/** A clock that stands until it is told to go on. */
export function clockFrom(seconds = 1_800_000_000): { now: () => bigint; pass: (seconds: number) => void } {
  let at = BigInt(seconds) * 1_000_000_000n;
  return {
    now: () => at,
    pass: (more) => {
      at += BigInt(Math.round(more * 1000)) * 1_000_000n;
    },
  };
}

/** How often a text stands in the module's memory. */
export function timesInMemory({ vm }: Guard, text: string): number {
  const memory = vm.readMemory();
  let times = 0;
  for (let at = memory.indexOf(text, 0, "latin1"); at >= 0; at = memory.indexOf(text, at + 1, "latin1")) times++;
  return times;
}
