// Calls that a human has to approve, in the Node host: a guard with a key of its own, calls in somebody's name, and what the approval service
// would answer, said by the test request by request.

import { generateKeyPairSync, sign } from "node:crypto";
import { expect } from "vitest";
import { RECEIPT_TYPE, type Receipt, signReceipt } from "../../src/approval/receipt.ts";
import type { HeaderPair, HttpCall, HttpStream } from "../../src/host/index.ts";
import {
  type Build,
  type Delivery,
  type Guard,
  JSON_HEADERS,
  MODERN_META,
  modernHeaders,
  send,
  startGuard,
} from "./guard.ts";

export const ISSUER = "https://idp.example";
export const PAGE = "https://approve.example/a/";
export const SERVER = "github";
export const ID = "AAAAAAAAAAAAAAAAAAAAA0";
export const TOOL = "delete_repo";
export const KEY = generateKeyPairSync("ec", { namedCurve: "P-256" });
export const KID = "k1";
const SPKI = KEY.publicKey.export({ format: "der", type: "spki" }).toString("base64");

export const APPROVAL = {
  mode: "required",
  server: SERVER,
  page: PAGE,
  service: { cluster: "approval", authority: "approval:8081" },
  keys: [{ kid: KID, spki: SPKI }],
} as const;

/** A policy under which `delete_repo` needs an approval and `safe` does not. */
export function policyWith(approval: object = {}, rest: object = {}): Record<string, unknown> {
  return {
    tool_allowlist: ["safe", TOOL],
    identity: { jwt: [{ provider: "people", issuer: ISSUER, claim: "sub" }] },
    approval: { ...APPROVAL, ...approval },
    ...rest,
  };
}

export function start(approval: object = {}, rest: object = {}, build: Build = "release"): Guard {
  return startGuard(policyWith(approval, rest), { clusters: ["approval", "collector"], build });
}

/** What the proxy knows of a caller's token. */
export function tokenOf(principal: string): Record<string, string> {
  const at = "metadata.filter_metadata.envoy.filters.http.jwt_authn.people";
  return { [`${at}.iss`]: ISSUER, [`${at}.sub`]: principal };
}

export interface CallOptions {
  readonly principal?: string;
  readonly id?: number;
  readonly params?: object;
  /** Of the client: a legacy one, one of MCP 2025-11-25, a modern one, and a modern one that can show its user a link. */
  readonly client?: "legacy" | "2025-11-25" | "modern" | "modern with links";
  readonly delivery?: Delivery;
}

export function bodyOf({ id = 1, params = {}, client = "legacy" }: CallOptions): string {
  const isModern = client.startsWith("modern");
  const capabilities = client === "modern with links" ? { elicitation: { form: {}, url: {} } } : { elicitation: {} };
  const meta = { ...MODERN_META, "io.modelcontextprotocol/clientCapabilities": capabilities };
  const all = { name: TOOL, arguments: { repo: "acme/prod" }, ...params, ...(isModern && { _meta: meta }) };
  return JSON.stringify({ jsonrpc: "2.0", id, method: "tools/call", params: all });
}

export function headersOf(client: CallOptions["client"], tool: string = TOOL): readonly HeaderPair[] {
  if (client === "2025-11-25") return [...JSON_HEADERS, ["mcp-protocol-version", "2025-11-25"]];
  return client?.startsWith("modern") ? modernHeaders("tools/call", tool) : JSON_HEADERS;
}

/** Sends a whole call in somebody's name. */
export function call({ plugin }: Guard, options: CallOptions = {}): HttpStream {
  const { principal = "alice", client, delivery = {} } = options;
  return send(plugin, {
    body: bodyOf(options),
    headers: headersOf(client),
    stream: { properties: tokenOf(principal) },
    ...delivery,
  });
}

export interface Question {
  readonly [member: string]: unknown;
  readonly digest: string;
  readonly nonce: string;
  readonly ids: readonly string[];
}

/** The one request that is under way, which goes to this endpoint of the service. */
export function asked({ plugin }: Guard, endpoint: "open" | "poll" | "claim"): { http: HttpCall; question: Question } {
  expect(plugin.httpCalls.map(({ headers }) => headers.get(":path"))).toEqual([`/v1/${endpoint}`]);
  const http = plugin.httpCalls[0]!;
  expect([http.cluster, http.headers.get(":method"), http.headers.get(":authority")]).toEqual([
    "approval",
    "POST",
    "approval:8081",
  ]);
  return { http, question: JSON.parse(http.body.toString("utf8")) as Question };
}

export function say(http: HttpCall, body: object | string, status = 200): void {
  http.answer({
    status,
    headers: [["content-type", "application/json"]],
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
}

/** Answers the question that opens an approval; gives that question. */
export function opened(guard: Guard, status = "pending", id: string = ID): Question {
  const { http, question } = asked(guard, "open");
  say(http, { id, status, expires: 2_000_000_000 });
  return question;
}

/** Lets time pass until the guard asks about those that wait, and answers. */
export function polled(guard: Guard, status: string, id: string = ID): void {
  for (let ticks = 0; ticks < 100 && guard.plugin.httpCalls.length === 0; ticks++) guard.plugin.tick();
  const { http, question } = asked(guard, "poll");
  expect(question).toEqual({ ids: [id] });
  say(http, { [id]: status });
}

/** The receipt that the service would give for a claim; `changes` are made before it is signed. */
export function receiptFor(open: Question, claim: Question, changes: Partial<Receipt> = {}): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  const receipt: Receipt = {
    id: String(claim.id),
    nonce: claim.nonce,
    digest: claim.digest,
    server: String(open.server),
    issuer: String(open.issuer),
    principal: String(open.principal),
    tool: String(open.tool),
    approver: "https://idp.example#alice",
    iat: now,
    exp: now + 60,
    ...changes,
  };
  return signReceipt(receipt, KEY.privateKey, KID);
}

/** The same without waiting, as `node:crypto` signs. */
export function receiptAtOnce(open: Partial<Question>, claim: Question): string {
  const now = Math.floor(Date.now() / 1000);
  const { server, issuer, principal, tool } = open;
  const { id, nonce, digest } = claim;
  const payload = {
    v: 1,
    id,
    nonce,
    digest,
    server,
    issuer,
    principal,
    tool,
    approver: "a#alice",
    iat: now,
    exp: now + 60,
  };
  const parts = [{ alg: "ES256", kid: KID, typ: RECEIPT_TYPE }, payload];
  const text = parts.map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".");
  const signature = sign("sha256", Buffer.from(text), { key: KEY.privateKey, dsaEncoding: "ieee-p1363" });
  return `${text}.${signature.toString("base64url")}`;
}

/** Answers the claim that is under way with a good receipt, or one that is changed. */
export async function claimed(guard: Guard, open: Question, changes: Partial<Receipt> = {}): Promise<void> {
  const { http, question } = asked(guard, "claim");
  say(http, { receipt: await receiptFor(open, question, changes) });
}

/** Ticks until the stream has its answer. */
export function waitFor({ plugin }: Guard, stream: HttpStream, ticks = 200): void {
  for (let round = 0; round < ticks && stream.localReply === undefined; round++) {
    plugin.tick();
    for (const http of plugin.httpCalls) {
      if (http.headers.get(":path") === "/v1/poll") say(http, { [ID]: "pending" });
    }
  }
}

export function replyOf(stream: HttpStream): Record<string, unknown> {
  return JSON.parse(Buffer.from(stream.localReply?.body ?? "{}").toString("utf8"));
}
