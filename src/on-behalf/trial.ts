// Everything that a guard needs to act on behalf of its callers on one machine: the provider that issues and exchanges tokens, and a server that
// believes nothing but a token for itself.
import { randomBytes } from "node:crypto";
import { TOKEN_PROVIDER } from "../approval/try/guard-policy.ts";
import { startProvider, type TryProvider } from "../approval/try/provider.ts";
import type { Bootstrap } from "../envoy/bootstrap.ts";
import { addLocalCluster } from "../envoy/local-cluster.ts";
import { checkTokensForExchange } from "../envoy/token-check.ts";
import { type ExchangeParts, PROVIDER_CLUSTER, SECRET_VARIABLE } from "./guard-policy.ts";
import { startVerifyingServer, type VerifyingServer } from "./verifying-server.ts";

/** The server, as its tokens call it. No client ever sees this name. */
export const SERVER_AUDIENCE = "https://branches.example/mcp";
const GUARD_CLIENT = "mcp-guard";
const SCOPE = "branches";
const SECRET_BYTES = 32;
const KEY_SECONDS = 300;

/** What a trial is started with. */
export interface TrialOptions {
  /** The provider's port on 127.0.0.1. */
  providerPort: number;
  /** The URL of the guarded server, for which callers get tokens. */
  serverUrl: string;
  /** Receives the lines of the provider, and one for each call that has reached the server. */
  say: (line: string) => void;
}

/** A running trial. */
export interface OnBehalfTrial {
  readonly provider: TryProvider;
  readonly server: VerifyingServer;
  /** For the policy of the guard. */
  readonly policyParts: ExchangeParts;
  /** For the guard's filter: its secret at the provider. */
  readonly environment: { values: Record<string, string> };
  /** Puts the token check and the provider into the bootstrap of an Envoy. */
  edit(bootstrap: Bootstrap): void;
  stop(): Promise<void>;
}

/** Starts a trial. @throws Error when the port is taken. Nothing is left running then. */
export async function startOnBehalfTrial({ providerPort, serverUrl, say }: TrialOptions): Promise<OnBehalfTrial> {
  const secret = randomBytes(SECRET_BYTES).toString("base64url");
  const provider = await startProvider({
    port: providerPort,
    audience: serverUrl,
    exchange: {
      clients: [{ id: GUARD_CLIENT, secret }],
      servers: [{ audience: SERVER_AUDIENCE, scopes: [SCOPE] }],
    },
    say,
  });
  const { issuer, jwksUri } = provider;
  try {
    const server = await startVerifyingServer({
      issuer,
      jwksUri,
      audience: SERVER_AUDIENCE,
      publicUrl: new URL(serverUrl),
      onCall: (tool, { sub }) => say(`the server got a call of ${tool} with a token of ${sub}`),
    });
    return {
      provider,
      server,
      policyParts: {
        issuer,
        port: providerPort,
        client: { id: GUARD_CLIENT, auth: "client_secret_basic", secret_env: SECRET_VARIABLE },
        audience: SERVER_AUDIENCE,
      },
      environment: { values: { [SECRET_VARIABLE]: secret } },
      edit(bootstrap) {
        addLocalCluster(bootstrap, PROVIDER_CLUSTER, providerPort);
        checkTokensForExchange(bootstrap, {
          provider: TOKEN_PROVIDER,
          issuer,
          audience: serverUrl,
          // By its address: the provider listens on no other.
          jwks: {
            uri: `http://127.0.0.1:${providerPort}${new URL(jwksUri).pathname}`,
            cluster: PROVIDER_CLUSTER,
            cacheSeconds: KEY_SECONDS,
          },
        });
      },
      async stop() {
        await server.stop();
        await provider.stop();
      },
    };
  } catch (error) {
    await provider.stop();
    throw error;
  }
}
