// What a guard's policy has to say so that the tokens of its callers are exchanged at the provider for trying, and who may do what.
import { TOKEN_PROVIDER } from "../approval/try/guard-policy.ts";
import { PEOPLE } from "../approval/try/people.ts";

/** The proxy's name for the provider. */
export const PROVIDER_CLUSTER = "token_provider";
/** The variable of the filter's environment that has the guard's secret at the provider. */
export const SECRET_VARIABLE = "MCP_GUARD_TOKEN_SECRET";
/** The path of the provider's token endpoint. */
const TOKEN_PATH = "/token";

/** What the policy refers to. */
export interface ExchangeParts {
  /** Who issues the tokens of callers, and exchanges them. */
  issuer: string;
  /** The provider's port on 127.0.0.1. */
  port: number;
  /** The guard as a client of the provider: `token_exchange.client`. */
  client: object;
  /** The server for which there are tokens. */
  audience: string;
  /** How long the guard waits for the provider; its own default when absent. */
  timeoutMs?: number;
}

/** A policy under which the server gets tokens of its own for each caller; everything else in it stays. */
export function withExchange<T extends object>(policy: T, parts: ExchangeParts): T {
  const { issuer, port, client, audience, timeoutMs } = parts;
  return {
    ...policy,
    identity: { jwt: [{ provider: TOKEN_PROVIDER, issuer, claim: "sub" }] },
    authorization: "exchange",
    token_exchange: {
      service: {
        cluster: PROVIDER_CLUSTER,
        authority: `127.0.0.1:${port}`,
        path: TOKEN_PATH,
        ...(timeoutMs !== undefined && { timeout_ms: timeoutMs }),
      },
      client,
      audience,
    },
  };
}

/** Everybody may look, the first of the people may delete too, and the second may add. */
export function trialRules(issuer: string): object {
  const [first, second] = PEOPLE.map(({ sub }) => [{ issuer, value: sub }]);
  return {
    tool_allowlist: ["whoami", "list_branches"],
    rules: [
      {
        principals: first,
        tool_allowlist: ["create_branch", "delete_branch"],
        // Its name is flagged: somebody else would have to approve each call of it.
        approval: { exempt: ["delete_branch"] },
      },
      { principals: second, tool_allowlist: ["create_branch"] },
    ],
  };
}
