// Token exchange (RFC 8693) at the provider for trying: the token of a person for the gateway becomes one for the server behind it. The
// provider's package has no such grant, but a place for further ones.
import { type JWTPayload, type JWTVerifyGetKey, errors as joseErrors, jwtVerify } from "jose";
import type { ClientMetadata, errors, JWK, default as Provider, TokenEndpointGrantContext } from "oidc-provider";

/** RFC 8693, section 2.1. */
export const TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange";
/** RFC 8693, section 3. */
export const ACCESS_TOKEN_TYPE = "urn:ietf:params:oauth:token-type:access_token";
const JWT_TYPE = "urn:ietf:params:oauth:token-type:jwt";
/** Access tokens here are JSON Web Tokens: both names are right for them. */
const TOKEN_TYPES: readonly string[] = [ACCESS_TOKEN_TYPE, JWT_TYPE];
/** No longer than this, and never longer than the token that it comes from. */
const TOKEN_SECONDS_MAX = 300;

/** What is exchanged by whom. */
export interface TokenExchange {
  clients: readonly ExchangeClient[];
  servers: readonly TargetServer[];
}

/** A client that may exchange tokens, and how it says that it is itself (OpenID Connect Core, section 9). */
export type ExchangeClient =
  | { readonly id: string; readonly secret: string }
  | { readonly id: string; readonly publicKey: JWK; readonly alg: "RS256" | "ES256" };

/** A server for which there are tokens. */
export interface TargetServer {
  /** `audience` or `resource` of a request, and `aud` of the token. */
  readonly audience: string;
  readonly scopes: readonly string[];
  /** Whose tokens are exchanged for it; everybody's when absent. */
  readonly people?: readonly string[];
}

/** What the grant needs of its provider. */
export interface GrantPlace {
  provider: Provider;
  /** The package's errors: it is loaded when a provider starts. */
  errors: typeof errors;
  /** `aud` of the tokens that are exchanged. */
  audience: string;
  /** The keys with which the provider's tokens are verified. */
  keys: JWTVerifyGetKey;
  algorithm: "ES256";
  /** Whether there is such a person. */
  isKnown(sub: unknown): boolean;
  /** The claims that a token gets besides, by token. */
  claims: WeakMap<object, Record<string, unknown>>;
  say(line: string): void;
}

interface Parameters {
  subject_token?: string;
  subject_token_type?: string;
  actor_token?: string;
  actor_token_type?: string;
  audience?: string;
  resource?: string;
  scope?: string;
  requested_token_type?: string;
}

const PARAMETERS = [
  "subject_token",
  "subject_token_type",
  "actor_token",
  "actor_token_type",
  "audience",
  "resource",
  "scope",
  "requested_token_type",
] as const satisfies readonly (keyof Parameters)[];

/** A client that exchanges tokens, as the provider's configuration has clients. */
export function exchangeClient(client: ExchangeClient, signedWith: "ES256"): ClientMetadata {
  const metadata = {
    client_id: client.id,
    // With the second it gets a token of its own, which says who acts.
    grant_types: [TOKEN_EXCHANGE, "client_credentials"],
    response_types: [],
    redirect_uris: [],
    id_token_signed_response_alg: signedWith,
  };
  if ("secret" in client) return { ...metadata, client_secret: client.secret };
  return {
    ...metadata,
    token_endpoint_auth_method: "private_key_jwt",
    token_endpoint_auth_signing_alg: client.alg,
    jwks: { keys: [client.publicKey] },
  };
}

/** Adds the grant to a provider. */
export function addTokenExchange(place: GrantPlace, servers: readonly TargetServer[]): void {
  const { provider } = place;
  const { InvalidRequest, InvalidScope } = place.errors;
  provider.registerGrantType<Parameters>(TOKEN_EXCHANGE, exchange, PARAMETERS);

  async function exchange(ctx: TokenEndpointGrantContext<Parameters>): Promise<void> {
    const { params, client } = ctx.oidc;
    const { requested_token_type: type = ACCESS_TOKEN_TYPE } = params;
    if (!TOKEN_TYPES.includes(type)) throw new InvalidRequest(`there are no tokens of the type ${type}`);
    const server = findServer(params);
    const subject = await verify("subject_token", params.subject_token, params.subject_token_type);
    if (!place.isKnown(subject.sub)) throw new InvalidRequest("subject_token is of nobody who is here");
    // RFC 8693, section 2.2.2: a token that policy does not take is an invalid request too.
    if (server.people?.includes(subject.sub!) === false) {
      throw new InvalidRequest(`${subject.sub} has no access to ${server.audience}`);
    }
    if (params.actor_token === undefined && params.actor_token_type !== undefined) {
      throw new InvalidRequest("actor_token_type is there without actor_token");
    }
    const actor =
      params.actor_token === undefined
        ? client.clientId
        : (await verify("actor_token", params.actor_token, params.actor_token_type)).sub!;
    const scope = params.scope ?? server.scopes.join(" ");
    const [unknown] = scope.split(" ").filter((name) => !server.scopes.includes(name));
    if (unknown !== undefined) throw new InvalidScope(`${server.audience} has no such scope`, unknown);

    const left = subject.exp! - Math.floor(Date.now() / 1000);
    const seconds = Math.max(1, Math.min(TOKEN_SECONDS_MAX, left));
    const grant = new provider.Grant({ accountId: subject.sub!, clientId: client.clientId });
    grant.addResourceScope(server.audience, scope);
    const token = new provider.AccessToken({
      accountId: subject.sub!,
      client,
      expiresIn: seconds,
      grantId: await grant.save(),
      gty: TOKEN_EXCHANGE,
      scope,
      resourceServer: new provider.ResourceServer(server.audience, {
        audience: server.audience,
        scope,
        accessTokenFormat: "jwt",
        jwt: { sign: { alg: place.algorithm } },
      }),
    });
    // RFC 8693, section 4.1: who acts stands outside, who acted before stands inside.
    const act = { sub: actor, ...(subject.act !== undefined && { act: subject.act }) };
    place.claims.set(token, { act });
    const value = await token.save();
    place.say(`${actor} has exchanged a token of ${subject.sub} for one for ${server.audience}`);
    ctx.body = { access_token: value, issued_token_type: type, token_type: "Bearer", expires_in: seconds, scope };
  }

  /** The one server that is meant; both parameters may name it. */
  function findServer({ audience, resource }: Parameters): TargetServer {
    const names = [audience, resource].filter((name) => name !== undefined);
    const server = servers.find((one) => one.audience === names[0]);
    if (server === undefined || names.some((name) => name !== server.audience)) {
      throw new place.errors.InvalidTarget(`expected a server of ${servers.map((one) => one.audience).join(", ")}`);
    }
    return server;
  }

  /** A token of this provider for the gateway, still valid. */
  async function verify(name: string, token: string | undefined, type: string | undefined): Promise<JWTPayload> {
    if (token === undefined || type === undefined) {
      throw new InvalidRequest(`${name} and ${name}_type are expected`);
    }
    if (!TOKEN_TYPES.includes(type)) throw new InvalidRequest(`${name}_type: expected ${TOKEN_TYPES.join(" or ")}`);
    try {
      const { payload } = await jwtVerify(token, place.keys, {
        issuer: provider.issuer,
        audience: place.audience,
        algorithms: [place.algorithm],
        typ: "at+jwt",
        requiredClaims: ["sub", "exp"],
      });
      return payload;
    } catch (error) {
      if (!(error instanceof joseErrors.JOSEError)) throw error;
      throw new InvalidRequest(`${name} is not valid: ${error.code}`);
    }
  }
}
