// Live updates over real connections. Goal: pages hear of what their readers may see and of nothing else, streams end with the session, and there are only so
// many of them.
import { once } from "node:events";
import { request as httpRequest, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { LiveUpdates, type Sink } from "../../approval/browser/live-updates.ts";
import type { BrowserSession } from "../../approval/browser/session.ts";
import { type PageRig, signedIn, startPages, type Visitor } from "./visitor.ts";

let rig: PageRig;
let port: number;

beforeEach(async () => {
  rig = await startPages();
  await rig.app.listen({ host: "127.0.0.1", port: 0 });
  port = (rig.app.server.address() as AddressInfo).port;
});

afterEach(() => rig.stop());

interface Stream {
  readonly response: IncomingMessage;
  text: string;
  close(): void;
}

/** Opens a stream as a browser's EventSource does. */
async function listen(visitor: Visitor, method = "GET"): Promise<Stream> {
  const cookie = [...visitor.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
  const headers = { cookie, accept: "text/event-stream" };
  const request = httpRequest({ host: "127.0.0.1", port, path: "/events", method, headers, agent: false });
  request.end();
  const [response] = (await once(request, "response")) as [IncomingMessage];
  const stream: Stream = { response, text: "", close: () => request.destroy() };
  request.on("error", () => {});
  response.on("error", () => {});
  response.setEncoding("utf8").on("data", (piece: string) => {
    stream.text += piece;
  });
  return stream;
}

async function until(what: () => boolean): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    if (what()) return;
    await sleep(25);
  }
  throw new Error("it has not happened within five seconds");
}

describe("a stream", () => {
  test("has what happens to the reader's calls, for groups to everybody's, and nothing else", async () => {
    const [alice, bob, carol] = [
      await signedIn(rig, "alice"),
      await signedIn(rig, "bob"),
      await signedIn(rig, "carol"),
    ];
    const streams = [await listen(alice), await listen(bob), await listen(carol)];
    const [ofAlice, ofBob, ofCarol] = streams as [Stream, Stream, Stream];
    expect(ofAlice.response.statusCode).toBe(200);
    expect(ofAlice.response.headers).toMatchObject({
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-store",
      "x-frame-options": "DENY",
    });
    const id = await rig.open();
    const other = await rig.open({ principal: "bob" });
    await rig.store.decide({ id, verdict: "denied", approver: "x#y", reason: "" });
    await until(() => ofCarol.text.includes(`{"id":"${id}","event":"denied"}`));
    await until(() => ofAlice.text.includes(`event: approval\ndata: {"id":"${id}","event":"denied"}\n\n`));
    await until(() => ofBob.text.includes(`{"id":"${other}","event":"opened"}`));
    expect(ofAlice.text).not.toContain(other);
    expect(ofBob.text).not.toContain(id);
    expect(ofCarol.text).toContain(`{"id":"${other}","event":"opened"}`);
    for (const stream of streams) stream.close();
  });

  test("does not tell what was before", async () => {
    const alice = await signedIn(rig, "alice");
    const before = await rig.open();
    const stream = await listen(alice);
    const after = await rig.open();
    await until(() => stream.text.includes(after));
    expect(stream.text).not.toContain(before);
    stream.close();
  });

  test("is not for whoever has no session, and is not opened by a HEAD", async () => {
    const nobody = await signedIn(rig, "alice");
    nobody.cookies.clear();
    expect((await listen(nobody)).response.statusCode).toBe(401);
    expect((await listen(await signedIn(rig, "alice"), "HEAD")).response.statusCode).toBe(404);
  });

  test("is one of a few of its session, until another one ends", async () => {
    const alice = await signedIn(rig, "alice");
    const streams = await Promise.all([1, 2, 3, 4].map(() => listen(alice)));
    expect(streams.map(({ response }) => response.statusCode)).toEqual([200, 200, 200, 200]);
    expect((await listen(alice)).response.statusCode).toBe(429);
    expect((await listen(await signedIn(rig, "alice"))).response.statusCode).toBe(200);
    streams[0]?.close();
    let status: number | undefined;
    for (let tries = 0; status !== 200 && tries < 50; tries++) {
      status = (await listen(alice)).response.statusCode;
      if (status !== 200) await sleep(20);
    }
    expect(status).toBe(200);
  });

  test("does not hold the service back when it ends", async () => {
    const stream = await listen(await signedIn(rig, "alice"));
    const ended = once(stream.response, "end");
    const start = performance.now();
    await rig.app.close();
    await ended;
    expect(performance.now() - start).toBeLessThan(2_000);
  });
});

describe("the session of a stream", () => {
  /** A reader that never reads. */
  class Unread implements Sink {
    text = "";
    isEnded = false;
    get writableLength(): number {
      return this.text.length;
    }
    write(text: string): boolean {
      this.text += text;
      return true;
    }
    end(): void {
      this.isEnded = true;
    }
  }

  async function sessionOf(login: string): Promise<{ visitor: Visitor; session: BrowserSession }> {
    const visitor = await signedIn(rig, login);
    const { createHash } = await import("node:crypto");
    const [id = ""] = (visitor.cookies.get("__Host-mcp-guard-session") ?? "").split(".");
    const idHash = createHash("sha256").update(id).digest("base64url");
    const stored = await rig.store.session(idHash);
    if (stored === undefined) throw new Error("no session");
    const user = { issuer: stored.issuer, subject: stored.subject };
    const claims = JSON.parse(stored.claims) as Record<string, unknown>;
    const { signedInAt, expiresAt } = stored;
    return { visitor, session: { idHash, user, issuer: stored.issuer, claims, signedInAt, expiresAt, csrfToken: "" } };
  }

  test("ends the stream with it", async () => {
    const { visitor, session } = await sessionOf("alice");
    const updates = new LiveUpdates({ ...rig, clock: rig.now }, rig.app.log, 20);
    const sink = new Unread();
    await updates.add(session, sink);
    await visitor.form("/sign-out");
    await until(() => sink.isEnded);
    updates.close();
  });

  test("has no stream that is not read", async () => {
    const { session } = await sessionOf("alice");
    const updates = new LiveUpdates({ ...rig, clock: rig.now }, rig.app.log, 20);
    const sink = new Unread();
    await updates.add(session, sink);
    sink.text = "x".repeat(70_000);
    await rig.open();
    await until(() => sink.isEnded);
    expect(updates.hasRoomFor(session)).toBe(true);
    updates.close();
  });
});
