// JSON Web Tokens that the tests issue, and Envoy's filter that checks them in front of a guard.
import { CompactSign, exportJWK, generateKeyPair } from "jose";
import type { Bootstrap } from "../../src/envoy/bootstrap.ts";
import { listenersOf, putBeforeGuard } from "./listeners.ts";

/** The filter's name, and the namespace in dynamic metadata under which it keeps payloads. */
export const JWT_AUTHN = "envoy.filters.http.jwt_authn";
const LIFETIME_S = 60 * 60;

export interface Issuer {
  /** `iss` of its tokens. */
  readonly name: string;
  /** Its public key as a JSON Web Key Set, as text. */
  readonly jwks: string;
  /**
   * A token with these claims. `iss`, `iat` and `exp` (in an hour) are added unless they are among the claims; `undefined`
   * leaves one out. A string is signed as it stands, also when it is no JSON.
   */
  sign(claims: Readonly<Record<string, unknown>> | string): Promise<string>;
}

/** An issuer with a key of its own (ES256). */
export async function createIssuer(name: string): Promise<Issuer> {
  const { publicKey, privateKey } = await generateKeyPair("ES256");
  // The same for every issuer, so that a token of another one fails by its signature.
  const header = { alg: "ES256", kid: "key", typ: "JWT" };
  return {
    name,
    jwks: JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), alg: header.alg, kid: header.kid, use: "sig" }] }),
    sign(claims) {
      const now = Math.floor(Date.now() / 1000);
      const text =
        typeof claims === "string" ? claims : JSON.stringify({ iss: name, iat: now, exp: now + LIFETIME_S, ...claims });
      return new CompactSign(Buffer.from(text)).setProtectedHeader(header).sign(privateKey);
    },
  };
}

/** Whose tokens are taken from where. */
export interface TokenProvider {
  /** How Envoy's configuration calls it. */
  readonly name: string;
  readonly issuer: Issuer;
  /** `payload_in_metadata`: the key of the payload in dynamic metadata. Default: the name. Istio says `payload` for each. */
  readonly metadataKey?: string;
  /** The header whose whole value is the token. Default: `authorization`, behind `Bearer `. */
  readonly header?: string;
}

/**
 * For `RigOptions.edit`: puts jwt_authn in front of guards, all of them unless some are named. Each provider's token may be
 * missing, but one that is there has to be valid. Tokens are passed on.
 */
export function checkTokens(
  bootstrap: Bootstrap,
  providers: readonly TokenProvider[],
  guards?: readonly string[],
): void {
  for (const listener of listenersOf(bootstrap, guards))
    putBeforeGuard(listener, JWT_AUTHN, jwtAuthentication(providers));
}

function jwtAuthentication(providers: readonly TokenProvider[]): object {
  return {
    "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
    providers: Object.fromEntries(
      providers.map(({ name, issuer, metadataKey = name, header }) => [
        name,
        {
          issuer: issuer.name,
          local_jwks: { inline_string: issuer.jwks },
          payload_in_metadata: metadataKey,
          forward: true,
          from_headers: [header === undefined ? { name: "authorization", value_prefix: "Bearer " } : { name: header }],
        },
      ]),
    ),
    rules: [{ match: { prefix: "/" }, requires: allOf(providers.map(({ name }) => optional(name))) }],
  };
}

function optional(provider: string): object {
  return { requires_any: { requirements: [{ provider_name: provider }, { allow_missing: {} }] } };
}

/** Envoy wants two or more in `requires_all`. */
function allOf(requirements: readonly object[]): object {
  return requirements.length === 1 ? requirements[0]! : { requires_all: { requirements } };
}
