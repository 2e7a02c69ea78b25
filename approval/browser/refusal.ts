// Every way in which the browser's side says no: one list, one function. Pages get a page, scripts get JSON.
import type { FastifyReply, FastifyRequest } from "fastify";
import { messagePage } from "../pages/message-page.ts";

interface RefusalAnswer {
  readonly status: number;
  readonly title: string;
  readonly text: string;
}

const ANSWERS = {
  signed_out: { status: 401, title: "Sign in first", text: "You are not signed in, or you were away for too long." },
  cross_site: {
    status: 403,
    title: "Not from this page",
    text: "The request does not come from one of these pages. Open the approval from your own link and try again.",
  },
  token: {
    status: 403,
    title: "The page is out of date",
    text: "The page was made for another session. Load it again.",
  },
  not_found: {
    status: 404,
    title: "Nothing here for you",
    text: "There is no such approval, or it is not yours to decide. If the call was made with another account, sign in with that one.",
  },
  not_pending: {
    status: 409,
    title: "Too late",
    text: "The call was decided already, or its time is over. Nothing has changed.",
  },
  challenge: {
    status: 409,
    title: "That question is over",
    text: "The passkey answered a question that was answered already, was not for this call, or is too old. Load the page and try again.",
  },
  assertion: {
    status: 403,
    title: "The passkey was not accepted",
    text: "The passkey's answer is not valid for this call. It was not approved.",
  },
  no_passkey: { status: 403, title: "No passkey yet", text: "You have no passkey here. Add one first." },
  not_fresh: {
    status: 403,
    title: "Sign in again",
    text: "Passkeys can be added and removed only within five minutes after a sign-in.",
  },
  registration: {
    status: 400,
    title: "The passkey was not added",
    text: "The passkey's answer is not valid. Load the page and try again.",
  },
  passkey_limit: { status: 409, title: "Too many passkeys", text: "Remove one that you do not use any more." },
  sign_in: {
    status: 400,
    title: "The sign-in did not work",
    text: "It was not completed, took too long, or was begun in another browser.",
  },
  crowded: {
    status: 503,
    title: "Too many sign-ins",
    text: "More people are signing in than the service takes at a time. Try again in a minute.",
  },
  provider: {
    status: 503,
    title: "The sign-in service does not answer",
    text: "You cannot be signed in at the moment. Try again in a minute.",
  },
  streams: {
    status: 429,
    title: "Too many pages",
    text: "Too many pages are open for live updates. Load the page to see what is new.",
  },
  unavailable: {
    status: 503,
    title: "Not available",
    text: "The service cannot reach its database. Nothing was approved. Try again in a minute.",
  },
  malformed: { status: 400, title: "Not understood", text: "The request is not one that these pages make." },
  internal: { status: 500, title: "A mistake of ours", text: "Something went wrong. Nothing was approved." },
} as const satisfies Record<string, RefusalAnswer>;

export type Refusal = keyof typeof ANSWERS;

/** Whether a person looks at the answer, and not a script. */
export function wantsPage(request: FastifyRequest): boolean {
  return (request.headers.accept ?? "").includes("text/html");
}

/** Says no. The return value is what a handler gives back. */
export function refuse(request: FastifyRequest, reply: FastifyReply, refusal: Refusal): FastifyReply {
  const { status, title, text }: RefusalAnswer = ANSWERS[refusal];
  reply.code(status);
  if (!wantsPage(request)) return reply.send({ error: refusal, message: text });
  return reply.type("text/html; charset=utf-8").send(messagePage(title, text).text);
}
