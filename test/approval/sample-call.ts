// Calls to open approvals for.

import type { Call } from "../../approval/store/store.ts";
import { callDigest } from "../../src/approval/digest.ts";

/** A call of a principal, with its right digest. */
export function sampleCall(changes: Partial<Omit<Call, "digest">> = {}): Call {
  const call = {
    server: "github-mcp-server",
    authority: "github-mcp-server.ai-agents:8080",
    path: "/rpc",
    issuer: "https://issuer.example",
    principal: "alice",
    workload: "spiffe://cluster.local/ns/ai-agents/sa/agent",
    method: "tools/call",
    tool: "delete_repository",
    arguments: '{"name":"scratch","owner":"alice"}',
    task: "",
    inputResponses: "",
    ...changes,
  };
  return { ...call, digest: callDigest(call) };
}

/** Calls of one principal that differ in their arguments. */
export function sampleCalls(count: number, changes: Partial<Omit<Call, "digest">> = {}): Call[] {
  return Array.from({ length: count }, (_, index) => sampleCall({ ...changes, arguments: `{"n":${index}}` }));
}
