// Envoy's filter that checks JSON Web Tokens, in front of the guards of a bootstrap.
import { type Bootstrap, connectionManager } from "./bootstrap.ts";

const FETCH_TIMEOUT_S = 5;

/** Whose tokens are taken. */
export interface TokenCheck {
  /** The name under which Envoy keeps the payload of a token: `identity.jwt[].provider` of a guard's policy. */
  readonly provider: string;
  /** `iss` of the tokens. */
  readonly issuer: string;
  /** `aud` of the tokens: one of an issuer's tokens for another server is not taken. */
  readonly audience: string;
  /** The issuer's public keys as a JSON Web Key Set, as text, or where Envoy fetches them. */
  readonly jwks: string | RemoteKeys;
}

/** Keys that Envoy fetches, anew when they are older than it is told. */
export interface RemoteKeys {
  readonly uri: string;
  /** Envoy's name for the server of that URI. */
  readonly cluster: string;
  readonly cacheSeconds: number;
}

/** Every request to a guard needs a valid token (RFC 6750, section 2.1), which ends there: the server behind it does not get it. */
export function requireTokens(bootstrap: Bootstrap, check: TokenCheck): void {
  addTokenCheck(bootstrap, check, { forward: false, requires: { provider_name: check.provider } });
}

/**
 * A request to a guard may come without a token, and a token that is there has to be valid. The guard gets it: for a policy with
 * `authorization: exchange`, which takes it away.
 */
export function checkTokensForExchange(bootstrap: Bootstrap, check: TokenCheck): void {
  const requirements = [{ provider_name: check.provider }, { allow_missing: {} }];
  addTokenCheck(bootstrap, check, { forward: true, requires: { requires_any: { requirements } } });
}

function addTokenCheck(
  bootstrap: Bootstrap,
  { provider, issuer, audience, jwks }: TokenCheck,
  { forward, requires }: { forward: boolean; requires: object },
): void {
  const check = {
    "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
    providers: {
      [provider]: {
        issuer,
        audiences: [audience],
        ...keysOf(jwks),
        payload_in_metadata: provider,
        forward,
      },
    },
    rules: [{ match: { prefix: "/" }, requires }],
  };
  for (const listener of bootstrap.static_resources.listeners) {
    const filters: { name: string; typed_config: object }[] = connectionManager(listener).http_filters;
    const guard = filters.findIndex(({ name }) => name === "mcp-guard");
    if (guard < 0) throw new Error(`listener ${listener.name} has no filter mcp-guard`);
    filters.splice(guard, 0, { name: "envoy.filters.http.jwt_authn", typed_config: check });
  }
}

function keysOf(jwks: string | RemoteKeys): object {
  if (typeof jwks === "string") return { local_jwks: { inline_string: jwks } };
  const { uri, cluster, cacheSeconds } = jwks;
  const http_uri = { uri, cluster, timeout: `${FETCH_TIMEOUT_S}s` };
  return { remote_jwks: { http_uri, cache_duration: `${cacheSeconds}s` } };
}
