// What a guard says to the approval service, over the same HTTP: for tests of the pages, which need no proxy.
import { randomBytes } from "node:crypto";
import { canonicalise } from "../../src/approval/canonical.ts";
import { type CallFields, callDigest } from "../../src/approval/digest.ts";

/** What the service answers. */
export interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

/** A call that is waiting. */
export interface Waiting {
  readonly id: string;
  readonly digest: string;
  readonly fields: CallFields;
}

export interface GuardSide {
  /** Asks for an approval. @param call what differs from an ordinary call of alice's. `arguments` is any JSON text. */
  open(call?: Partial<CallFields>): Promise<Waiting>;
  /** Where an approval stands. */
  stateOf(id: string): Promise<unknown>;
  /** Claims an approval, by default with a nonce of its own. */
  claim(waiting: Waiting, nonce?: string): Promise<Answer>;
  /** Any other request. */
  post(path: string, body: object): Promise<Answer>;
}

/**
 * A guard at a service.
 * @param filterUrl the service's port for guards, with the path in front of its operations.
 * @param issuer who issued the tokens of the calls.
 */
export function guardSide(filterUrl: string, secret: string, issuer: string): GuardSide {
  const post = async (path: string, body: object): Promise<Answer> => {
    const response = await fetch(`${filterUrl}/${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${secret}` },
      body: JSON.stringify(body),
    });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };
  return {
    post,
    async open(call = {}) {
      const fields: CallFields = {
        server: "branches",
        authority: "127.0.0.1:10000",
        path: "/mcp",
        issuer,
        principal: "alice",
        method: "tools/call",
        tool: "delete_branch",
        task: "",
        inputResponses: "",
        ...call,
        arguments: canonicalise(call.arguments ?? newArguments()),
      };
      const digest = callDigest(fields);
      const { inputResponses, ...rest } = fields;
      const workload = "spiffe://cluster.local/ns/agents/sa/planner";
      const answer = await post("open", { ...rest, input_responses: inputResponses, digest, workload });
      if (answer.status !== 200) throw new Error(`open: ${answer.status} ${JSON.stringify(answer.body)}`);
      return { id: String(answer.body.id), digest, fields };
    },
    async stateOf(id) {
      return (await post("poll", { ids: [id] })).body[id];
    },
    claim: ({ id, digest }, nonce = newNonce()) => post("claim", { id, digest, nonce }),
  };
}

/** As a guard makes one: 128 bits. */
export function newNonce(): string {
  return randomBytes(16).toString("base64url");
}

/** No two calls of a suite are the same one unless it says so. */
function newArguments(): string {
  return JSON.stringify({ branch: `feature/${randomBytes(4).toString("hex")}`, force: true });
}
