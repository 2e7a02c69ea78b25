// What a policy says about the tokens of its callers, as far as `mcp-guard render` looks at it before the filter judges it.
import { TOKEN_SECRET_MEMBERS, valuesOf } from "../policy/secret-members.ts";

const HTTPS = 443;

interface TokenMember {
  readonly service?: { readonly cluster?: unknown; readonly authority?: unknown };
}

function memberOf(policy: object): TokenMember | undefined {
  const { token_exchange: member } = policy as { token_exchange?: TokenMember };
  return typeof member === "object" && member !== null ? member : undefined;
}

/** Whether the guard exchanges the tokens of its callers. */
export function exchangesTokens(policy: object): boolean {
  return (policy as { authorization?: unknown }).authorization === "exchange" && memberOf(policy) !== undefined;
}

/** The variables that the guard's own credentials for the token service are in. */
export function tokenVariables(policy: object): string[] {
  return valuesOf(policy, TOKEN_SECRET_MEMBERS).filter((name) => typeof name === "string");
}

/** Envoy's name for a host outside of the mesh, on the port of HTTPS. */
export function tokenCluster(host: string): string {
  return `outbound|${HTTPS}||${host}`;
}

/** The cluster that the policy itself names. */
export function namedTokenCluster(policy: object): unknown {
  return memberOf(policy)?.service?.cluster;
}

/** The policy with the place of the token service in it, where it leaves it out. */
export function withTokenPlace(host: string | undefined, policy: object): object {
  const member = memberOf(policy);
  if (host === undefined || member === undefined) return policy;
  const service = { cluster: tokenCluster(host), authority: host, ...member.service };
  return { ...policy, token_exchange: { ...member, service } };
}

/** The issuers of `identity.jwt`. */
export function namedIssuers(policy: object): unknown[] {
  const { identity } = policy as { identity?: { jwt?: unknown } };
  const sources = identity?.jwt;
  return Array.isArray(sources) ? sources.map((source: { issuer?: unknown } | null) => source?.issuer) : [];
}
