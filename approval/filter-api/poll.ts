// `poll`: a guard asks about all that it has waiting, at once.
import type { FastifyInstance } from "fastify";
import type { ServiceContext } from "../context.ts";
import { REFUSAL_SCHEMA } from "./refusal.ts";
import { ID_SCHEMA } from "./schemas.ts";

/** As many as a guard has waiting per worker by default. 25 bytes each in the request. */
const IDS_MAX = 1_000;

const BODY_SCHEMA = {
  type: "object",
  properties: { ids: { type: "array", items: ID_SCHEMA, maxItems: IDS_MAX } },
  required: ["ids"],
  additionalProperties: false,
} as const;

const ANSWER_SCHEMA = {
  type: "object",
  description: "One member for each id that was asked for.",
  additionalProperties: { type: "string", enum: ["pending", "approved", "denied", "expired", "claimed", "unknown"] },
} as const;

/** Adds `POST /poll`. */
export function addPoll(app: FastifyInstance, { store }: ServiceContext): void {
  const schema = {
    summary: "Say where approvals stand",
    body: BODY_SCHEMA,
    response: { 200: ANSWER_SCHEMA, "4xx": REFUSAL_SCHEMA, "5xx": REFUSAL_SCHEMA },
  };
  // Every guard asks every second: what is worth a line is what goes wrong.
  app.post<{ Body: { ids: string[] } }>("/poll", { schema, logLevel: "warn" }, async (request) => {
    const states = await store.states(request.body.ids);
    return Object.fromEntries(request.body.ids.map((id) => [id, states.get(id) ?? "unknown"]));
  });
}
