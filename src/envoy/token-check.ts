// Envoy's filter that checks JSON Web Tokens, in front of the guards of a bootstrap.
import { type Bootstrap, connectionManager } from "./bootstrap.ts";

/** Whose tokens are taken. */
export interface TokenCheck {
  /** The name under which Envoy keeps the payload of a token: `identity.jwt[].provider` of a guard's policy. */
  readonly provider: string;
  /** `iss` of the tokens. */
  readonly issuer: string;
  /** `aud` of the tokens: one of an issuer's tokens for another server is not taken. */
  readonly audience: string;
  /** The issuer's public keys as a JSON Web Key Set, as text. */
  readonly jwks: string;
}

/** Every request to a guard needs a valid token (RFC 6750, section 2.1), which ends there: the server behind it does not get it. */
export function requireTokens(bootstrap: Bootstrap, { provider, issuer, audience, jwks }: TokenCheck): void {
  const check = {
    "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
    providers: {
      [provider]: {
        issuer,
        audiences: [audience],
        local_jwks: { inline_string: jwks },
        payload_in_metadata: provider,
        forward: false,
      },
    },
    rules: [{ match: { prefix: "/" }, requires: { provider_name: provider } }],
  };
  for (const listener of bootstrap.static_resources.listeners) {
    const filters: { name: string; typed_config: object }[] = connectionManager(listener).http_filters;
    const guard = filters.findIndex(({ name }) => name === "mcp-guard");
    if (guard < 0) throw new Error(`listener ${listener.name} has no filter mcp-guard`);
    filters.splice(guard, 0, { name: "envoy.filters.http.jwt_authn", typed_config: check });
  }
}
