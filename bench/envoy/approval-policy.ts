// The two policies that are compared: they differ in nothing but approvals.
import { generateKeyPairSync } from "node:crypto";
import { LISTED } from "./inputs.ts";

/** Who asks, as the proxy has it from a token. */
export const CALLER = {
  provider: "people",
  issuer: "https://issuer.example",
  subject: "0b6f9c1e-5b0a-4a55-9d8f-1f2e3d4c5b6a",
} as const;

/** Under it nobody is asked. */
export const PLAIN_POLICY = {
  tool_allowlist: LISTED,
  limits: { body_bytes: 2_000_000 },
  audit: { line: "none" },
  // A call without a principal would be refused, so an answer of the server shows that there was one.
  identity: { jwt: [{ provider: CALLER.provider, issuer: CALLER.issuer, claim: "sub" }], require_human: true },
};

/** Nobody signs with it. */
const KEY = generateKeyPairSync("ec", { namedCurve: "P-256" })
  .publicKey.export({ format: "der", type: "spki" })
  .toString("base64");

/** Under it people are asked about calls that none of the measured ones is. */
export function guardPolicy(cluster: string): object {
  return { ...PLAIN_POLICY, approval: approvalAt(cluster) };
}

/** The member `approval` of a policy. */
export function approvalAt(cluster: string) {
  return {
    mode: "required",
    server: "bench",
    page: "https://approve.example/a/",
    service: { cluster, authority: "approval:8081" },
    keys: [{ kid: "bench", spki: KEY }],
  };
}
