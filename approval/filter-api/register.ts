// The API of the guards.
import type { FastifyInstance } from "fastify";
import type { ServiceContext } from "../context.ts";
import type { ReceiptSigner } from "../signing.ts";
import { addClaim } from "./claim.ts";
import { addFilterGate } from "./gate.ts";
import { addOpen } from "./open.ts";
import { addPoll } from "./poll.ts";

/** Adds `/v1/open`, `/v1/poll` and `/v1/claim`, and the gate in front of them. */
export async function registerFilterApi(
  app: FastifyInstance,
  context: ServiceContext,
  signer: ReceiptSigner,
): Promise<void> {
  await app.register(
    async (api) => {
      addFilterGate(api, context);
      addOpen(api, context);
      addPoll(api, context);
      addClaim(api, context, signer);
    },
    { prefix: "/v1" },
  );
}
