// The token endpoint of the suites (RFC 8693): it verifies who asks and the token that is exchanged, and signs the token that it gives. It answers when it is let.
import { createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { createLocalJWKSet, jwtVerify, SignJWT } from "jose";
import type { Issuer } from "./tokens.ts";

const ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token";
const ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
export const ENDPOINT_ISSUER = "https://as.example";
export const CLIENT_ID = "mcp+guard/1";
export const CLIENT_SECRET = "p+q=r&s%t:u~v";

/** What it answers: a token, or this status with this body; `drop` closes the connection, `silent` never answers. */
export type Said = "token" | "drop" | "silent" | { readonly status: number; readonly body: string };

export interface TokenEndpoint {
  readonly port: number;
  /** What is answered to questions about this subject from now on; a promise holds them back. */
  say(subject: string, said: Said | Promise<Said>): void;
  /** How often this subject's tokens have been asked for. */
  questions(subject: string): number;
  /** Who a token of it is for. @throws when it is none, or for another audience. */
  verify(token: string, audience: string): Promise<string>;
  stop(): Promise<void>;
}

/** @param issuer whose tokens it exchanges. @param keys those of clients that sign, by path. */
export async function startTokenEndpoint(
  issuer: Issuer,
  keys: Readonly<Record<string, KeyObject>>,
): Promise<TokenEndpoint> {
  const own = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const jwks = createLocalJWKSet(JSON.parse(issuer.jwks));
  const said = new Map<string, Said | Promise<Said>>();
  const asked = new Map<string, number>();

  const isClient = async (request: IncomingMessage, form: URLSearchParams): Promise<boolean> => {
    const key = keys[request.url ?? ""];
    if (key === undefined) {
      const credentials = Buffer.from(
        (request.headers.authorization ?? "").replace(/^Basic /, ""),
        "base64",
      ).toString();
      const decoded = credentials.split(":").map((part) => new URLSearchParams(`x=${part}`).get("x"));
      return decoded.length === 2 && decoded[0] === CLIENT_ID && decoded[1] === CLIENT_SECRET;
    }
    if (form.get("client_assertion_type") !== ASSERTION || request.headers.authorization !== undefined) return false;
    await jwtVerify(form.get("client_assertion") ?? "", createPublicKey(key), {
      issuer: CLIENT_ID,
      subject: CLIENT_ID,
      audience: ENDPOINT_ISSUER,
      maxTokenAge: 60,
      requiredClaims: ["jti", "exp"],
    });
    return true;
  };

  const onRequest = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const form = new URLSearchParams(Buffer.concat(chunks).toString());
    const reply = (status: number, body: string | object) => {
      response.writeHead(status, { "content-type": "application/json" });
      response.end(typeof body === "string" ? body : JSON.stringify(body));
    };
    const isMeant =
      form.get("grant_type") === "urn:ietf:params:oauth:grant-type:token-exchange" &&
      form.get("subject_token_type") === ACCESS_TOKEN &&
      form.get("requested_token_type") === ACCESS_TOKEN;
    if (!isMeant) return reply(400, { error: "unsupported_grant_type" });
    if (!(await isClient(request, form).catch(() => false))) return reply(401, { error: "invalid_client" });
    const { payload } = await jwtVerify(form.get("subject_token") ?? "", jwks, { issuer: issuer.name });
    const subject = payload.sub ?? "";
    asked.set(subject, (asked.get(subject) ?? 0) + 1);
    const answer = await (said.get(subject) ?? "token");
    if (answer === "silent") return;
    if (answer === "drop") {
      response.destroy();
      return;
    }
    if (answer !== "token") return reply(answer.status, answer.body);
    const token = await new SignJWT({ scope: form.get("scope") ?? "" })
      .setProtectedHeader({ alg: "ES256" })
      .setIssuer(ENDPOINT_ISSUER)
      .setSubject(subject)
      .setAudience(form.get("audience") ?? "")
      .setIssuedAt()
      .setExpirationTime("5m")
      .sign(own.privateKey);
    reply(200, { access_token: token, issued_token_type: ACCESS_TOKEN, token_type: "Bearer", expires_in: 300 });
  };

  const server = createServer((request, response) => void onRequest(request, response).catch(() => response.destroy()));
  // It is Envoy that ends connections: one that the server closes while a request is on its way costs that request.
  server.keepAliveTimeout = 0;
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(0, "0.0.0.0", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    say: (subject, what) => void said.set(subject, what),
    questions: (subject) => asked.get(subject) ?? 0,
    async verify(token, audience) {
      const { payload } = await jwtVerify(token, own.publicKey, { issuer: ENDPOINT_ISSUER, audience });
      return payload.sub ?? "";
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
