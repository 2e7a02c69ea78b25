// The policies that are compared: what identities may, what becomes of their tokens, how often they may come. And who asks.
import { LISTED } from "./inputs.ts";

/** Who asks, as the proxy has it from a token, and through which workload. */
export const CALLER = {
  provider: "people",
  issuer: "https://issuer.example",
  subject: "0b6f9c1e-5b0a-4a55-9d8f-1f2e3d4c5b6a",
  groups: ["staff", "engineering", "team-caller", "on-call", "vpn"],
  workload: "spiffe://bench.example/ns/agents/sa/assistant",
} as const;

export const SERVICE = "token_endpoint";
/** The variables of the filter's VM. */
export const ENVIRONMENT = { CLIENT_SECRET: "a-secret-of-the-benchmark" };
export const RULES = 1_000;
/** A tool that only the caller's rule lists. */
const GRANTED = "granted";

const KNOWN = {
  tool_allowlist: LISTED,
  audit: { line: "none" },
  // A call without a principal would be refused, so an answer of the server shows that there was one.
  identity: { jwt: [{ provider: CALLER.provider, issuer: CALLER.issuer, claim: "sub" }], require_human: true },
};

/** A rule about one identity, by everything that a rule can ask for, which lists one tool. */
function rule(subject: string, group: string, workload: string, tool: string): object {
  return {
    principals: [{ issuer: CALLER.issuer, value: subject }],
    groups: [{ issuer: CALLER.issuer, claim: "groups", value: group }],
    workloads: [workload],
    tool_allowlist: [tool],
  };
}

/** A policy with so many rules, of which the last is the caller's; `member` makes it another one. */
export function rulesPolicy(rules: number, member: object = {}): object {
  const others = Array.from({ length: rules - 1 }, (_, index) =>
    rule(`person-${index}`, `team-${index}`, `spiffe://bench.example/ns/team-${index}/sa/agent`, `granted_${index}`),
  );
  return { ...KNOWN, rules: [...others, rule(CALLER.subject, "team-caller", CALLER.workload, GRANTED)], ...member };
}

/** A call that passes by the caller's rule alone. */
export const GRANTED_CALL = Buffer.from(
  `{"jsonrpc":"2.0","id":17,"method":"tools/call","params":{"name":"${GRANTED}","arguments":{"query":"repo:octo/hello language:ts streaming parser","page":1,"per_page":30},"_meta":{"progressToken":17}}}`,
);

/** Limits that no load reaches. */
const ENDLESS = { requests: 1_000_000, seconds: 1 };
export const RATE_LIMIT = { per_principal: ENDLESS, per_tool: ENDLESS };

/** The caller's token reaches the server. */
export const PASS_POLICY = { ...KNOWN, authorization: "pass" };

/** Another one reaches it, which is kept as long as it can be. */
export const EXCHANGE_POLICY = {
  ...KNOWN,
  authorization: "exchange",
  token_exchange: {
    service: { cluster: SERVICE, authority: "as.example", path: "/token", timeout_ms: 5_000 },
    client: { id: "bench", auth: "client_secret_basic", secret_env: "CLIENT_SECRET" },
    audience: "https://mcp.example/mcp",
    max_cache_seconds: 3_600,
  },
};

/** The same policy with another digest: Envoy has one plugin for two listeners with the same configuration. */
export function again(policy: object, bodyBytes = 999_999): object {
  return { ...policy, limits: { body_bytes: bodyBytes } };
}

/** A token of the caller with exactly `bytes` bytes, as providers of identities sign them (RS256, 2,048 bits). Nobody verifies it here. */
export function tokenOf(bytes: number): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const head = part({ alg: "RS256", typ: "JWT", kid: "2f6e1c0a9b" });
  const claims = { iss: CALLER.issuer, sub: CALLER.subject, aud: "gateway", iat: 1_790_000_000, exp: 1_790_003_600 };
  const signature = "S".repeat(342);
  for (let filler = 0; ; filler++) {
    const entitlements = Array.from({ length: filler }, (_, index) => `entitlement-${index}`);
    const body = (note: string) => part({ ...claims, groups: CALLER.groups, entitlements, note });
    const left = bytes - `${head}.${body("")}.${signature}`.length;
    if (left > 40) continue;
    // Three bytes are four characters; what is left then the signature takes.
    const text = `${head}.${body("n".repeat(Math.max(0, Math.floor((left * 3) / 4) - 2)))}.${signature}`;
    if (left < 0 || text.length > bytes) throw new Error(`a token of ${bytes} bytes cannot be made`);
    return text + "S".repeat(bytes - text.length);
  }
}
