// Live updates for a page: server-sent events (HTML, section 9.2) about the approvals that its reader may see.
import type { FastifyInstance } from "fastify";
import type { BrowserContext } from "./context.ts";
import { sessionBehindGate } from "./gate.ts";
import { LiveUpdates, type Sink } from "./live-updates.ts";
import { refuse } from "./refusal.ts";

/** How long a browser waits before it connects again. */
const RETRY_MS = 3_000;
/** An answer without a body would be a stream that nobody reads and nobody ends. */
const WITHOUT_HEAD = { exposeHeadRoute: false } as const;

/** Registers the route. Open streams end in front of the server. */
export function addEvents(app: FastifyInstance, context: BrowserContext): void {
  const updates = new LiveUpdates(context, app.log);
  app.addHook("preClose", async () => updates.close());

  app.get("/events", WITHOUT_HEAD, async (request, reply) => {
    const session = sessionBehindGate(request);
    if (!updates.hasRoomFor(session)) return refuse(request, reply, "streams");
    const { raw } = reply;
    reply.header("content-type", "text/event-stream; charset=utf-8");
    // A proxy that collects an answer before it passes it on would keep the news for itself.
    reply.header("x-accel-buffering", "no");
    let isBegun = false;
    const begin = () => {
      if (isBegun) return;
      isBegun = true;
      reply.hijack();
      raw.writeHead(200, reply.getHeaders() as Record<string, string>);
      raw.write(`retry: ${RETRY_MS}\n\n`);
    };
    // The first thing that is written is the head, whoever writes first: news, or the end of the service.
    const sink: Sink = {
      write: (text) => {
        begin();
        return raw.write(text);
      },
      end: () => {
        begin();
        raw.end();
      },
      get writableLength() {
        return raw.writableLength;
      },
    };
    const end = await updates.add(session, sink);
    raw.on("close", end);
    // It may have gone away while the history was asked where it stands.
    if (raw.destroyed) end();
    else begin();
    return reply;
  });
}
