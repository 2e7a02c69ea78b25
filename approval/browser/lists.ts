// The pages that only show: the list of calls, one call, and its fields for an auditor.
import type { FastifyInstance } from "fastify";
import { approvalPage } from "../pages/approval-page.ts";
import { listPage } from "../pages/list-page.ts";
import type { Approval } from "../store/store.ts";
import { visibleApproval, visibleTo } from "./approvals.ts";
import type { BrowserContext } from "./context.ts";
import { REASON_CHARACTERS_MAX } from "./deny.ts";
import { sessionBehindGate } from "./gate.ts";
import { refuse } from "./refusal.ts";
import { viewerOf } from "./session.ts";

/** The limits per principal keep a list of one person's open calls far below this. */
const OPEN_MAX = 200;
const CLOSED_PER_PAGE = 50;
const AFTER = /^(\d{1,15})\.([\w-]{22})$/;

/** Registers the pages. */
export function addLists(app: FastifyInstance, context: BrowserContext): void {
  const { store, clock } = context;

  app.get<{ Querystring: { after?: unknown } }>("/", async (request, reply) => {
    const session = sessionBehindGate(request);
    const visible = visibleTo(session, context);
    const after = AFTER.exec(typeof request.query.after === "string" ? request.query.after : "");
    const [, openedAt, id] = after ?? [];
    const closed = await store.list(visible, {
      which: "closed",
      limit: CLOSED_PER_PAGE + 1,
      ...(openedAt !== undefined && id !== undefined && { after: { openedAt: Number(openedAt), id } }),
    });
    const shown = closed.slice(0, CLOSED_PER_PAGE);
    const last = shown.at(-1);
    const page = listPage({
      viewer: viewerOf(session),
      open: after === null ? await store.list(visible, { which: "open", limit: OPEN_MAX }) : [],
      closed: shown,
      isGroupApprover: visible === "everybody",
      older: closed.length > shown.length && last !== undefined ? `/?after=${last.openedAt}.${last.id}` : undefined,
      isLater: after !== null,
      now: clock(),
    });
    return reply.type("text/html; charset=utf-8").send(page.text);
  });

  app.get<{ Params: { id: string } }>("/a/:id", async (request, reply) => {
    const session = sessionBehindGate(request);
    const found = await visibleApproval(request.params.id, session, context);
    if (found === undefined) return refuse(request, reply, "not_found");
    const page = approvalPage({
      approval: found.approval,
      history: await store.historyOf(found.approval.id),
      viewer: viewerOf(session),
      isOwn: found.standing === "principal",
      hasPasskey: (await store.passkeysOf(session.user)).length > 0,
      reasonCharactersMax: REASON_CHARACTERS_MAX,
      now: clock(),
    });
    return reply.type("text/html; charset=utf-8").send(page.text);
  });

  app.get<{ Params: { id: string } }>("/a/:id/call.json", async (request, reply) => {
    const session = sessionBehindGate(request);
    const found = await visibleApproval(request.params.id, session, context);
    if (found === undefined) return refuse(request, reply, "not_found");
    return reply.type("application/json; charset=utf-8").send(callJson(found.approval));
  });
}

/** The fields of the digest as JSON. Canonical texts stand in it as they are: reading and writing them again could change numbers. */
function callJson({ server, authority, path, issuer, principal, method, tool, ...texts }: Approval): string {
  const members = Object.entries({ server, authority, path, issuer, principal, method, tool }).map(
    ([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`,
  );
  for (const [name, text] of [
    ["arguments", texts.arguments],
    ["task", texts.task],
    ["input_responses", texts.inputResponses],
  ] as const) {
    if (text !== "") members.push(`${JSON.stringify(name)}:${text}`);
  }
  return `{${members.join(",")}}\n`;
}
