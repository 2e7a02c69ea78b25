// What a guard's policy has to say so that calls wait for the approval service of a trial, and who asks is known from a token.
import type { SigningKey } from "./service-process.ts";

/** The proxy's name for the ports of the service that are for guards. */
export const SERVICE_CLUSTER = "approval";
/** The path of the service's part for guards. */
export const SERVICE_PATH = "/v1";
/** The variable of the filter's environment that has the secret. */
export const SECRET_VARIABLE = "MCP_GUARD_APPROVAL_SECRET";
/** The name under which the proxy's token check keeps what it has found valid. */
export const TOKEN_PROVIDER = "trying";

/** What the policy refers to. */
export interface PolicyParts {
  /** The id under which the service knows the server. */
  server: string;
  /** Where people find the service, without a slash at the end. */
  publicUrl: string;
  /** The port of the service for guards, on 127.0.0.1. */
  filterPort: number;
  signingKey: SigningKey;
  /** Who issues the tokens of calls. */
  issuer: string;
}

/** A policy with approvals required and people known; everything else in it, the lists of flagged and exempt tools too, stays. */
export function withApproval<T extends object>(policy: T & { approval?: object }, parts: PolicyParts): T {
  return {
    ...policy,
    approval: {
      ...policy.approval,
      mode: "required",
      server: parts.server,
      page: `${parts.publicUrl}/a/`,
      service: {
        cluster: SERVICE_CLUSTER,
        authority: `127.0.0.1:${parts.filterPort}`,
        path: SERVICE_PATH,
        secret_env: SECRET_VARIABLE,
      },
      keys: [{ kid: parts.signingKey.kid, spki: parts.signingKey.spki }],
    },
    identity: { jwt: [{ provider: TOKEN_PROVIDER, issuer: parts.issuer, claim: "sub" }], require_human: true },
  };
}
