// What the module keeps for a call that waits for a person, in the Node host: what it asks for does not depend on the host.
import { approvalAt, CALLER, PLAIN_POLICY } from "./approval-policy.ts";
import { bytesOf, start } from "./memory.ts";

const CLUSTER = "approval";
const TOOL = "delete_branch";
const TOKEN = `metadata.filter_metadata.envoy.filters.http.jwt_authn.${CALLER.provider}`;
/** The most that a policy takes, so that it is memory that ends first. */
const WAITING = 10_000;

/** Bytes for each call that waits, with arguments as agents send them. */
export function bytesPerWaitingCall(module: Uint8Array): number {
  const approval = { ...approvalAt(CLUSTER), waiting: WAITING };
  const policy = { ...PLAIN_POLICY, tool_allowlist: [TOOL], approval };
  const { vm, plugin } = start(module, JSON.stringify(policy), [CLUSTER]);
  let calls = 0;
  return bytesOf({ vm, plugin }, () => {
    const stream = plugin.openStream({
      properties: { [`${TOKEN}.iss`]: CALLER.issuer, [`${TOKEN}.sub`]: `person-${calls}` },
    });
    const fields = { ":method": "POST", ":path": "/mcp", ":scheme": "http", ":authority": "server" };
    stream.requestHeaders({ ...fields, "content-type": "application/json" }, false);
    const params = { name: TOOL, arguments: { branch: `round/${calls}`, force: true } };
    stream.requestBody(JSON.stringify({ jsonrpc: "2.0", id: calls, method: "tools/call", params }), false);
    stream.requestEnd();
    const [question] = plugin.httpCalls;
    const id = String(calls++).padStart(22, "0");
    question?.answer({
      status: 200,
      headers: [],
      body: JSON.stringify({ id, status: "pending", expires: 2_000_000_000 }),
    });
    if (question === undefined || stream.localReply !== undefined) throw new Error("the call does not wait");
  });
}
