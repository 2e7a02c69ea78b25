// `claim`: a guard turns an approval into a receipt, once. Whoever has the receipt may forward the call; nobody else ever gets another one.
import type { FastifyInstance } from "fastify";
import type { Receipt } from "../../src/approval/receipt.ts";
import type { ServiceContext } from "../context.ts";
import type { ReceiptSigner } from "../signing.ts";
import type { Approval, Claim, ClaimOutcome, Store } from "../store/store.ts";
import { REFUSAL_SCHEMA, refuse } from "./refusal.ts";
import { DIGEST_SCHEMA, ID_SCHEMA, NONCE_SCHEMA } from "./schemas.ts";

/** The guard verifies a receipt at once: this is for the way, and for its retries. */
const RECEIPT_SECONDS = 60;

const BODY_SCHEMA = {
  type: "object",
  properties: { id: ID_SCHEMA, digest: DIGEST_SCHEMA, nonce: NONCE_SCHEMA },
  required: ["id", "digest", "nonce"],
  additionalProperties: false,
} as const;

const ANSWER_SCHEMA = {
  type: "object",
  properties: { receipt: { type: "string", description: "JWS in compact form, signed with ES256." } },
  required: ["receipt"],
  additionalProperties: false,
} as const;

/** Adds `POST /claim`. */
export function addClaim(app: FastifyInstance, context: ServiceContext, signer: ReceiptSigner): void {
  const { store, clock, metrics } = context;
  const schema = {
    summary: "Turn an approval into a receipt, once",
    description:
      "The same nonce again gets the same receipt, byte for byte. Refused with 409 `replayed` for another nonce after that, and with 409 `pending`, `denied`, `expired`, `unknown` or `digest` when there is nothing to claim.",
    body: BODY_SCHEMA,
    response: { 200: ANSWER_SCHEMA, "4xx": REFUSAL_SCHEMA, "5xx": REFUSAL_SCHEMA },
  };
  app.post<{ Body: Claim }>("/claim", { schema }, async (request, reply) => {
    const { id } = request.body;
    const outcome = await claim(request.body, store, (approval, nonce) =>
      signer.sign(receiptOf(approval, nonce, Math.floor(clock() / 1_000))),
    );
    if (outcome.kind === "refused") {
      metrics.claims.inc({ outcome: outcome.why });
      request.log.warn({ approval: id, why: outcome.why }, "a claim was refused");
      return refuse(reply, 409, outcome.why);
    }
    metrics.claims.inc({ outcome: outcome.fresh ? "receipt" : "repeated" });
    request.log.info({ approval: id, fresh: outcome.fresh }, "claimed");
    return { receipt: outcome.receipt };
  });
}

/**
 * Signs first and stores then, so that no lock is held while a key is used and no approval is spent without a receipt. Of claims at the same time
 * all have signed and one has stored; the others' signatures are dropped here, and never seen.
 */
async function claim(
  asked: Claim,
  store: Store,
  sign: (approval: Approval, nonce: string) => Promise<string>,
): Promise<ClaimOutcome> {
  const before = await store.readyToClaim(asked);
  if (before.kind !== "ready") return before;
  return store.claim(asked, await sign(before.approval, asked.nonce));
}

function receiptOf(approval: Approval, nonce: string, iat: number): Receipt {
  const { id, digest, server, issuer, principal, tool, approver } = approval;
  // The tables hold it to that, too.
  if (approver === null) throw new Error(`approval ${id} has no approver`);
  return { id, nonce, digest, server, issuer, principal, tool, approver, iat, exp: iat + RECEIPT_SECONDS };
}
