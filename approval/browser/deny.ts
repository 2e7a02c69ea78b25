// Saying no. It needs no passkey: a call that is refused by mistake can be made again.
import type { FastifyInstance } from "fastify";
import { approverText } from "../../src/approval/receipt.ts";
import { isOpen, visibleApproval } from "./approvals.ts";
import type { BrowserContext } from "./context.ts";
import { sessionBehindGate } from "./gate.ts";
import { refuse } from "./refusal.ts";

/** Long enough for a sentence, which is what the record is for. */
export const REASON_CHARACTERS_MAX = 300;

const BODY = {
  type: "object",
  properties: { csrf: { type: "string" }, reason: { type: "string", maxLength: REASON_CHARACTERS_MAX } },
  additionalProperties: false,
} as const;

/** Registers the route. */
export function addDeny(app: FastifyInstance, context: BrowserContext): void {
  app.post<{ Params: { id: string }; Body: { reason?: string } }>(
    "/a/:id/deny",
    { schema: { body: BODY } },
    async (request, reply) => {
      const session = sessionBehindGate(request);
      const found = await visibleApproval(request.params.id, session, context);
      if (found === undefined) return refuse(request, reply, "not_found");
      const { approval } = found;
      if (!isOpen(approval, context.clock())) return refuse(request, reply, "not_pending");
      const outcome = await context.store.decide({
        id: approval.id,
        verdict: "denied",
        approver: approverText(session.user),
        reason: (request.body.reason ?? "").trim(),
      });
      if (outcome.kind !== "decided") return refuse(request, reply, "not_pending");
      context.metrics.decisions.inc({ verdict: "denied" });
      // A page that is loaded again shows the outcome and does not send the form twice.
      return reply.redirect(`/a/${approval.id}`, 303);
    },
  );
}
