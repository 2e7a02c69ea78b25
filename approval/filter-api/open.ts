// `open`: a guard has a call that a human has to approve.
import type { FastifyInstance } from "fastify";
import { callDigest } from "../../src/approval/digest.ts";
import { GuardError } from "../../src/error.ts";
import type { ServiceContext } from "../context.ts";
import type { Call } from "../store/store.ts";
import { REFUSAL_SCHEMA, refuse } from "./refusal.ts";
import { DIGEST_SCHEMA, ID_SCHEMA } from "./schemas.ts";

/**
 * Bytes of JSON text that `server`, `issuer`, `principal` and `tool` may have together: with them, an approver and a signature a receipt stays
 * below what the filter takes. A call whose receipt could not be made must not be shown to anybody.
 */
const NAMES_BYTES_MAX = 1_600;
/** PostgreSQL has no text with U+0000 in it, and no such name exists. */
const NAME = { type: "string", pattern: "^[^\\u0000]*$" } as const;
const TEXT = { type: "string", description: "Canonical text, empty when the call has none." } as const;

const BODY_SCHEMA = {
  type: "object",
  properties: {
    digest: DIGEST_SCHEMA,
    server: { ...NAME, minLength: 1, maxLength: 128 },
    authority: { ...NAME, maxLength: 1_024 },
    path: { ...NAME, maxLength: 65_536 },
    issuer: NAME,
    principal: NAME,
    workload: { ...NAME, maxLength: 2_048, description: "Shown to the human, and no part of the digest." },
    method: { type: "string", const: "tools/call" },
    tool: { ...NAME, minLength: 1 },
    arguments: TEXT,
    task: TEXT,
    input_responses: TEXT,
  },
  required: [
    ...["digest", "server", "authority", "path", "issuer", "principal", "workload", "method", "tool"],
    ...["arguments", "task", "input_responses"],
  ],
  additionalProperties: false,
} as const;

interface OpenBody extends Record<Exclude<keyof typeof BODY_SCHEMA.properties, "input_responses">, string> {
  input_responses: string;
}

const ANSWER_SCHEMA = {
  type: "object",
  properties: {
    id: ID_SCHEMA,
    status: { type: "string", enum: ["pending", "approved", "denied"] },
    expires: { type: "integer", description: "Until when this stands, in seconds since 1970." },
  },
  required: ["id", "status", "expires"],
  additionalProperties: false,
} as const;

/** Adds `POST /open`. */
export function addOpen(app: FastifyInstance, { store, metrics }: ServiceContext): void {
  const schema = {
    summary: "Find the approval of a call, or make one",
    description:
      "A call whose digest has an approval that is pending, or approved and not claimed, is given that one. Refused with 422 `digest` when the digest is not that of these texts or a text is not canonical, with 413 `too_large` when the names are too long for a receipt, with 429 `limit` when the principal has too many.",
    body: BODY_SCHEMA,
    response: { 200: ANSWER_SCHEMA, "4xx": REFUSAL_SCHEMA, "5xx": REFUSAL_SCHEMA },
  };
  app.post<{ Body: OpenBody }>("/open", { schema }, async (request, reply) => {
    const call = callOf(request.body);
    if (namesBytes(call) > NAMES_BYTES_MAX) return refuse(reply, 413, "too_large");
    // What a human will be shown is what was sent here, so the digest is that of what was sent here and not what the guard says it is.
    if (digestOf(call) !== call.digest) {
      metrics.opened.inc({ outcome: "digest" });
      request.log.warn({ server: call.server, tool: call.tool }, "the digest is not that of the call");
      return refuse(reply, 422, "digest");
    }
    const outcome = await store.open(call);
    if (outcome.kind === "limit") {
      metrics.opened.inc({ outcome: `limit_${outcome.limit}` });
      request.log.warn({ server: call.server, limit: outcome.limit }, "the principal has too many calls");
      return refuse(reply, 429, "limit");
    }
    const { id, state, expiresAt, fresh } = outcome;
    metrics.opened.inc({ outcome: fresh ? "new" : state === "denied" ? "denied" : "same" });
    request.log.info({ approval: id, state, fresh, server: call.server, tool: call.tool }, "open");
    return { id, status: state, expires: Math.floor(expiresAt / 1_000) };
  });
}

function callOf({ input_responses, ...rest }: OpenBody): Call {
  return { ...rest, inputResponses: input_responses };
}

/** The digest of what was sent; undefined when a text is not canonical, which has none. */
function digestOf(call: Call): string | undefined {
  try {
    return callDigest(call);
  } catch (error) {
    if (error instanceof GuardError) return undefined;
    throw error;
  }
}

function namesBytes({ server, issuer, principal, tool }: Call): number {
  return Buffer.byteLength(JSON.stringify([server, issuer, principal, tool]));
}
