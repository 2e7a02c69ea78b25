// Everything real that an exchange of tokens takes: a provider that issues and exchanges them, an MCP server that takes none but its own, and an Envoy that
// validates the callers' tokens in front of its guards. What reaches the server is kept, and every secret on the way.
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { decodeJwt, type JWTPayload } from "jose";
import { expect } from "vitest";
import { TOKEN_PROVIDER } from "../../src/approval/try/guard-policy.ts";
import type { Person } from "../../src/approval/try/people.ts";
import { startProvider, type TryProvider } from "../../src/approval/try/provider.ts";
import type { AuditRecord } from "../../src/audit/record.ts";
import { buildBootstrap, connectionManager } from "../../src/envoy/bootstrap.ts";
import { addLocalCluster } from "../../src/envoy/local-cluster.ts";
import { type EnvoyProcess, startEnvoy } from "../../src/envoy/process.ts";
import { checkTokensForExchange } from "../../src/envoy/token-check.ts";
import { PROVIDER_CLUSTER, trialRules, withExchange } from "../../src/on-behalf/guard-policy.ts";
import type { ExchangeClient } from "../../src/on-behalf/token-exchange.ts";
import { startVerifyingServer } from "../../src/on-behalf/verifying-server.ts";
import { projectPath } from "../../src/project.ts";
import { createRecordLog, recordOf } from "./record-log.ts";
import { guardIn, type HeaderMode, PATIENCE } from "./rig.ts";
import { startTokenFront, type TokenFront } from "./token-front.ts";
import type { Fields } from "./wire.ts";

/** What callers' tokens are for: the guarded server under the name that clients have. */
export const GATEWAY = "http://127.0.0.1/mcp";
/** What the tokens are for that the server takes. */
export const SERVER = "https://branches.example/mcp";
export const METADATA_PATH = "/.well-known/oauth-protected-resource/mcp";
const KEY_CLUSTER = "token_provider_keys";
/** In a form both have to be encoded (RFC 6749, section 2.3.1). */
const BASIC = { id: "gateway:1&more", secret: "s+/=%3A:&-of-this-test" };

const BEARER_LENGTH = "Bearer ".length;

const ID_PREFIX = "asked-";

/** Whether a request is one of `ExchangeRig.ask`, by its `x-request-id`. */
export function isOfRig(id: string): boolean {
  return id.startsWith(ID_PREFIX);
}

/** How a guard says who it is. */
export type ClientKind = "client_secret_basic" | "RS256" | "ES256";

/** One guard. */
export interface ExchangeGuard {
  readonly name: string;
  readonly mode: HeaderMode;
  /** Default: `client_secret_basic`. */
  readonly client?: ClientKind;
  /** Members of its `token_exchange` that differ; `actor` has `ACTOR_TOKEN` of the environment. */
  readonly exchange?: object;
  /** How long it waits for the provider. */
  readonly timeoutMs?: number;
}

export interface ExchangeRigOptions {
  readonly version?: string;
  readonly guards: readonly ExchangeGuard[];
  /** Who there is besides those of the trial. */
  readonly people?: readonly Person[];
  /** For whom the provider exchanges tokens; for everybody when absent. */
  readonly taken?: readonly string[];
  /** How long Envoy keeps the provider's keys. */
  readonly keySeconds?: number;
}

/** A request as it reached the server. */
export interface ServerArrival {
  readonly method: string;
  readonly path: string;
  readonly id: string;
  /** The values of all Authorization headers. */
  readonly authorization: readonly string[];
  /** The claims of its token, when the server takes that. */
  readonly claims: JWTPayload | undefined;
}

/** What a client got. */
export interface Reply {
  /** The `x-request-id` of the request. */
  readonly id: string;
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** What a request is made of; by default a `POST` to the endpoint. */
export interface Asking {
  readonly guard: string;
  readonly token?: string;
  readonly headers?: Fields;
  readonly method?: string;
  readonly path?: string;
  readonly body?: string;
}

export interface ExchangeRig {
  readonly envoy: EnvoyProcess;
  readonly provider: TryProvider;
  readonly front: TokenFront;
  readonly arrivals: readonly ServerArrival[];
  /** Tokens that the server is told of as taken back, by `jti`. */
  readonly revoked: Set<unknown>;
  url(guard: string): URL;
  /** A token of a person for the gateway, never the same twice. */
  tokenOf(login: string): Promise<string>;
  ask(asking: Asking): Promise<Reply>;
  /** The records so far. */
  records(): readonly AuditRecord[];
  /** The record of a request, when it has been written. */
  recordOf(reply: Reply): Promise<AuditRecord>;
  recordLines(): readonly string[];
  /** How often the provider has exchanged a token of a person; of anybody when none is named. */
  minted(login?: string): number;
  /** Holds for the whole life of a rig: the server has had no token but its own, and no secret stands in any log. */
  expectNothingLeaked(): void;
  stop(): Promise<void>;
}

/** Starts everything. @throws when something does not start; nothing is left running then. */
export async function startExchangeRig(options: ExchangeRigOptions): Promise<ExchangeRig> {
  const ends: (() => unknown)[] = [];
  const stop = async () => {
    for (const end of ends.splice(0).reverse()) await end();
  };
  try {
    const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const pem = (key: KeyObject) => String(key.export({ type: "pkcs8", format: "pem" }));
    const said: string[] = [];
    const provider = await startProvider({
      port: 0,
      audience: GATEWAY,
      ...(options.people && { people: options.people }),
      exchange: {
        clients: [
          BASIC,
          keyClient("gateway-rs", rsa.publicKey, "RS256"),
          keyClient("gateway-es", ec.publicKey, "ES256"),
        ],
        servers: [{ audience: SERVER, scopes: ["read", "write"], ...(options.taken && { people: options.taken }) }],
      },
      say: (line) => said.push(line),
    });
    ends.push(provider.stop);
    /** A key is there as it is, or with its ends of line written out. */
    const environment = {
      BASIC_SECRET: BASIC.secret,
      RSA_KEY: pem(rsa.privateKey),
      EC_KEY: pem(ec.privateKey).replaceAll("\n", "\\n"),
      ACTOR_TOKEN: await ownToken(provider),
    };
    const providerPort = Number(new URL(provider.issuer).port);
    const front = await startTokenFront(providerPort);
    ends.push(front.stop);

    const arrivals: ServerArrival[] = [];
    const revoked = new Set<unknown>();
    const server = await startVerifyingServer({
      issuer: provider.issuer,
      jwksUri: provider.jwksUri,
      audience: SERVER,
      publicUrl: new URL(GATEWAY),
      isRevoked: (id) => revoked.has(id),
      onRequest({ method = "", url: path = "", headers, headersDistinct }, claims) {
        const id = String(headers["x-request-id"]);
        arrivals.push({ method, path, id, authorization: headersDistinct.authorization ?? [], claims });
      },
    });
    ends.push(server.stop);

    const clients: Record<ClientKind, object> = {
      client_secret_basic: { id: BASIC.id, auth: "client_secret_basic", secret_env: "BASIC_SECRET" },
      RS256: keyMember("gateway-rs", "RS256", "RSA_KEY", provider.issuer),
      ES256: keyMember("gateway-es", "ES256", "EC_KEY", provider.issuer),
    };
    const guards = options.guards.map(({ name, mode, client = "client_secret_basic", exchange, timeoutMs }) => {
      const parts = {
        issuer: provider.issuer,
        port: providerPort,
        client: clients[client],
        audience: SERVER,
        ...(timeoutMs !== undefined && { timeoutMs }),
      };
      const configuration = withExchange(trialRules(provider.issuer), parts) as { token_exchange: object };
      const token_exchange = { ...configuration.token_exchange, ...exchange };
      return guardIn(mode, { ...configuration, token_exchange }, { name, environment: { values: environment } });
    });
    const bootstrap = buildBootstrap({
      template: "test",
      wasmPath: projectPath("build", "plugin.wasm"),
      upstream: { socketPath: server.socketPath },
      guards,
    });
    addLocalCluster(bootstrap, PROVIDER_CLUSTER, front.port);
    // Past the front: keys are there whatever becomes of tokens.
    addLocalCluster(bootstrap, KEY_CLUSTER, providerPort);
    checkTokensForExchange(bootstrap, {
      provider: TOKEN_PROVIDER,
      issuer: provider.issuer,
      audience: GATEWAY,
      jwks: {
        uri: `http://127.0.0.1:${providerPort}/jwks`,
        cluster: KEY_CLUSTER,
        cacheSeconds: options.keySeconds ?? 300,
      },
    });
    for (const listener of bootstrap.static_resources.listeners) {
      connectionManager(listener).preserve_external_request_id = true;
    }
    const log = createRecordLog("process");
    ends.push(log.remove);
    log.add(bootstrap);
    const envoy = await startEnvoy({ bootstrap, ...(options.version !== undefined && { version: options.version }) });
    ends.push(envoy.stop);

    const tokens: string[] = [environment.ACTOR_TOKEN];
    let asked = 0;
    const recordLines = () => log.lines(envoy as never);
    const records = () => recordLines().map((line) => recordOf(line) as AuditRecord);
    const url = (guard: string) => new URL(`http://127.0.0.1:${envoy.ports.get(guard)}/mcp`);
    return {
      envoy,
      provider,
      front,
      arrivals,
      revoked,
      url,
      async tokenOf(login) {
        const token = await provider.accessToken(login);
        tokens.push(token);
        return token;
      },
      ask({ guard, token, headers = [], method = "POST", path = "/mcp", body = "" }) {
        const id = `${ID_PREFIX}${asked++}`;
        const all: Fields = [
          ["host", "127.0.0.1"],
          ["x-request-id", id],
          ["content-type", "application/json"],
          ["accept", "application/json, text/event-stream"],
          ...(method === "POST" ? ([["content-length", String(Buffer.byteLength(body))]] as const) : []),
          ...(token === undefined ? [] : ([["authorization", `Bearer ${token}`]] as const)),
          ...headers,
        ];
        return send(Number(url(guard).port), method, path, all, body, id);
      },
      records,
      async recordOf({ id }) {
        const find = () => records().find((record) => record["http.request.id"] === id);
        await expect.poll(find, PATIENCE).toBeDefined();
        return find()!;
      },
      recordLines,
      minted: (login = "") => said.filter((line) => line.includes(` has exchanged a token of ${login}`)).length,
      expectNothingLeaked() {
        for (const { authorization, path, id } of arrivals) {
          const what = `${path} ${id}: ${authorization.join(", ")}`;
          expect(authorization.length, what).toBeLessThanOrEqual(1);
          for (const value of authorization) {
            expect(value, what).toMatch(/^Bearer /);
            expect(decodeJwt(value.slice(BEARER_LENGTH)).aud, what).toBe(SERVER);
          }
        }
        const exchanged = arrivals.flatMap(({ authorization }) =>
          authorization.map((value) => value.slice(BEARER_LENGTH)),
        );
        // The last part of a token alone would do harm enough; of the keys any line.
        const canaries = [...tokens, ...exchanged].map((token) => token.split(".")[2]!);
        canaries.push(BASIC.secret, encodeURIComponent(BASIC.secret), basicPassword(), ...keyLines(environment));
        // What clients write into a query is in the access log's path, as the template has it.
        const access = envoy.accessLog().map((entry) => ({ ...entry, path: entry.path?.split("?")[0] }));
        const logs = `${envoy.logs()}\n${JSON.stringify(access)}\n${recordLines().join("\n")}`;
        expect(canaries.filter((canary) => logs.includes(canary))).toEqual([]);
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function keyClient(id: string, key: KeyObject, alg: "RS256" | "ES256"): ExchangeClient {
  return { id, publicKey: { kty: "", ...key.export({ format: "jwk" }) } as never, alg };
}

function keyMember(id: string, alg: string, key_env: string, audience: string): object {
  return { id, auth: "private_key_jwt", key_env, alg, audience };
}

/** The secret as it stands in the header, as far as it does not depend on what is in front of it. */
function basicPassword(): string {
  const form = (text: string) => new URLSearchParams([["", text]]).toString().slice(1);
  return Buffer.from(`${form(BASIC.id)}:${form(BASIC.secret)}`).toString("base64");
}

/** A token that says that the guard acts (RFC 6749, section 4.4). */
async function ownToken({ issuer }: TryProvider): Promise<string> {
  const response = await fetch(`${issuer}/token`, {
    method: "POST",
    headers: { authorization: `Basic ${basicPassword()}` },
    body: new URLSearchParams({ grant_type: "client_credentials" }),
  });
  return ((await response.json()) as { access_token: string }).access_token;
}

function keyLines({ RSA_KEY, EC_KEY }: { RSA_KEY: string; EC_KEY: string }): string[] {
  const lines = [...RSA_KEY.split("\n"), ...EC_KEY.split("\\n")];
  return lines.filter((line) => line.length > 20 && !line.startsWith("-----"));
}

function send(port: number, method: string, path: string, headers: Fields, body: string, id: string): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      // A list of names and values is sent as it is, a name that stands twice too.
      { host: "127.0.0.1", port, method, path, headers: headers.flat() as never, agent: false, setHost: false },
      (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (piece: string) => {
          text += piece;
        });
        response.on("error", reject);
        response.on("end", () => resolve({ id, status: response.statusCode ?? 0, headers: response.headers, text }));
      },
    );
    request.on("error", reject);
    request.end(body);
  });
}
