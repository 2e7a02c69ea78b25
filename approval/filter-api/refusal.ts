// How the guards are told no: a status, and a flat object with one word.
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Metrics } from "../metrics.ts";
import { StoreUnavailableError } from "../store/store.ts";

/** The answer of everything that is no success. */
export const REFUSAL_SCHEMA = {
  type: "object",
  properties: { error: { type: "string", description: "One word that says why." } },
  required: ["error"],
  additionalProperties: false,
} as const;

/** What Fastify and our own handlers throw, by status; anything else is 500. */
const WORDS: Readonly<Record<number, string>> = {
  400: "request",
  408: "timeout",
  413: "too_large",
  415: "media_type",
  503: "unavailable",
};

/** Answers with one word. */
export function refuse(reply: FastifyReply, status: number, error: string): FastifyReply {
  return reply.code(status).send({ error });
}

/** Makes every error of an instance an answer of this form. A database that does not answer is 503: never a grant, and worth another try. */
export function answerErrors(app: FastifyInstance, metrics: Metrics): void {
  app.setErrorHandler((error: unknown, request: FastifyRequest, reply) => {
    if (error instanceof StoreUnavailableError) {
      metrics.databaseErrors.inc();
      request.log.error({ err: error }, "the database does not answer");
      return refuse(reply, 503, "unavailable");
    }
    const status = error instanceof Error && "statusCode" in error ? Number(error.statusCode) : 500;
    const word = WORDS[status];
    if (word === undefined) {
      request.log.error({ err: error }, "a request has failed");
      return refuse(reply, 500, "internal");
    }
    // Whoever wrote the guard finds out here which member was wrong; the guard has no use for it.
    request.log.warn({ reason: error instanceof Error ? error.message : "" }, "a request was refused");
    return refuse(reply, status, word);
  });
  app.setNotFoundHandler((_request, reply) => refuse(reply, 404, "not_found"));
}
