// Exchanges that do not end as they should: the client goes, the server answers too early, or goes. Goal: no call that is not
// allowed is ever seen by the server, and no stream is left in Envoy. Method: raw requests that stop where they are told
// to, a server that answers when it is told to, and Envoy's own gauges.
import type { Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { AccessEntry } from "../../src/envoy/access-log.ts";
import { type Arrival, answer, ORIGIN_ANSWER, type OriginResponse } from "./origin.ts";
import {
  expectNothingActive,
  guardIn,
  HEADER_MODE_NAMES,
  JSON_FIELDS,
  named,
  PATIENCE,
  PROTOCOLS,
  type Protocol,
  type Rig,
  startRig,
  toolCall,
} from "./rig.ts";
import { pause, type WireConnection, type WireHead, type WireRequest } from "./wire.ts";

const EVIL = Buffer.from(toolCall("evil", { text: "x".repeat(1_000) }));
const SAFE = Buffer.from(toolCall("safe", { text: "x".repeat(1_000) }));
/** An event as it comes and as it goes on. */
const event = (progress: number) =>
  `data: {"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":${progress}}}\n\n`;
const EARLY = event(1);

/** What the server does with a request: the first part of its name. */
const BEHAVIOUR: Readonly<Record<string, (arrival: Arrival, response: OriginResponse) => void>> = {
  usual: (arrival, response) => {
    void arrival.ended.then(() => {
      if (arrival.state === "complete") answer(response);
    });
  },
  /** A stream that goes on until somebody ends it. */
  stream: (_arrival, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(EARLY);
    const timer = setInterval(() => response.write(event(2)), 20);
    response.on("close", () => clearInterval(timer));
  },
  /** A whole answer to the headers alone. */
  whole: (_arrival, response) => {
    if ("stream" in response) answer(response);
    else answerAsBytes(response);
  },
  /** The beginning of an answer to the headers alone, and its end behind the request's. */
  begun: (arrival, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(EARLY);
    void arrival.ended.then(() => {
      if (arrival.state === "complete") response.end(event(3));
    });
  },
  /** Gone as soon as it has seen the headers. */
  gone: (_arrival, response) => {
    (response as unknown as { destroy(): void }).destroy();
  },
};

const RUNS = PROTOCOLS.flatMap((upstream) => HEADER_MODE_NAMES.map((mode) => ({ mode, upstream })));

describe.each(RUNS)("header mode $mode, an $upstream server", ({ mode, upstream }) => {
  let rig: Rig;
  let requests = 0;

  beforeAll(async () => {
    rig = await startRig({
      upstream,
      guards: [guardIn(mode, { tool_allowlist: ["safe"] })],
      respond: (arrival, response) => {
        const behaviour = BEHAVIOUR[String(arrival.headers["x-request-id"]).split(".")[0]!];
        behaviour?.(arrival, response);
      },
    });
  });

  afterAll(() => rig?.stop());

  describe.each(PROTOCOLS)("an %s client", (protocol) => {
    test.each([
      ["a listed", SAFE],
      ["an unlisted", EVIL],
    ])("is gone half-way through the body of %s call", async (_which, body) => {
      for (const part of [0, 0.5, 1]) {
        const { request, id, connection } = await open(protocol, "usual", body);
        request.send(body.subarray(0, Math.floor((body.length - 1) * part)));
        await pause(20);
        request.disconnect();
        await request.answer;
        connection.close();
        await expectNothingActive(rig);
        await expectNoByte(id);
        expect((await logged(id)).mcp_decision).toBe("none");
      }
    });

    test("is gone while the answer to a GET streams", async () => {
      const { request, id, connection } = await open(protocol, "stream", undefined);
      await expect.poll(() => String(request.soFar()?.body), PATIENCE).toContain(EARLY);
      request.disconnect();
      connection.close();
      await expectNothingActive(rig);
      expect((await logged(id)).mcp_decision).toBe("pass");
    });

    test("is gone while the answer to a listed call streams", async () => {
      const { request, id, connection } = await open(protocol, "stream", SAFE);
      request.end(SAFE);
      await expect.poll(() => String(request.soFar()?.body), PATIENCE).toContain(event(2));
      request.disconnect();
      connection.close();
      await expectNothingActive(rig);
      expect((await logged(id)).mcp_decision).toBe("allow");
    });

    test("many are gone, each elsewhere, and the guard serves the next", async () => {
      await Promise.all(
        Array.from({ length: 40 }, async (_, index) => {
          const body = index % 2 === 0 ? SAFE : EVIL;
          const { request, connection } = await open(protocol, "usual", body);
          request.send(body.subarray(0, index * 27));
          await pause(index % 5);
          request.disconnect();
          connection.close();
        }),
      );
      await expectNothingActive(rig);
      const { request, connection } = await open(protocol, "usual", SAFE);
      request.end(SAFE);
      expect((await request.answer)?.status).toBe(200);
      connection.close();
    });

    test("an answer before the end of a listed call", async () => {
      const { request, id, connection } = await open(protocol, "begun", SAFE);
      request.send(SAFE.subarray(0, 100));
      await pause(50);
      // What has been held back is the body: the headers alone may have been answered.
      expect(rig.origin.arrivals(id).map(({ body }) => body().length)).toEqual(mode === "hold" ? [] : [0]);
      request.end(SAFE.subarray(100));
      const got = await request.answer;
      expect(got).toMatchObject({ status: 200, isCut: false });
      expect(String(got?.body)).toBe(`${EARLY}${event(3)}`);
      expect(rig.origin.arrivals(id)[0]?.body()).toEqual(SAFE);
      connection.close();
      await expectNothingActive(rig);
    });

    test("an answer that has begun before an unlisted call is refused", async () => {
      const { request, id, connection } = await open(protocol, "begun", EVIL);
      request.send(EVIL.subarray(0, 100));
      if (mode === "release") await expect.poll(() => String(request.soFar()?.body), PATIENCE).toBe(EARLY);
      request.end(EVIL.subarray(100));
      const got = await request.answer;
      connection.close();
      if (mode === "release") {
        // The status is gone already: what is left is to cut the answer.
        expect(got).toMatchObject({ status: 200, isCut: true });
        expect(String(got?.body)).toBe(EARLY);
      } else {
        expect(String(got?.body)).toContain('"reason":"tool_not_listed"');
      }
      await expectNothingActive(rig);
      await expectNoByte(id);
      expect(await logged(id)).toMatchObject({
        mcp_decision: "refuse",
        mcp_reason: "tool_not_listed",
        response_code_details: "mcp_guard.tool_not_listed",
      });
    });

    test("a whole answer before an unlisted call has ended", async () => {
      const { request, id, connection } = await open(protocol, "whole", EVIL);
      request.send(EVIL.subarray(0, 100));
      await pause(50);
      request.end(EVIL.subarray(100));
      await request.answer;
      connection.close();
      await expectNothingActive(rig);
      await expectNoByte(id);
    });

    test("the server is gone before an unlisted call has ended", async () => {
      const { request, id, connection } = await open(protocol, "gone", EVIL);
      request.send(EVIL.subarray(0, 100));
      await pause(50);
      request.end(EVIL.subarray(100));
      const got = await request.answer;
      connection.close();
      expect(got?.status).toBe(mode === "release" ? 503 : 200);
      await expectNothingActive(rig);
      await expectNoByte(id);
    });
  });

  interface Opened {
    readonly request: WireRequest;
    readonly id: string;
    readonly connection: WireConnection;
  }

  /** Sends the headers: of a POST with this body, without one of a GET. */
  async function open(protocol: Protocol, behaviour: string, body: Uint8Array | undefined): Promise<Opened> {
    const id = `${behaviour}.${++requests}`;
    const connection = await rig.connect(protocol);
    const head: WireHead =
      body === undefined
        ? { method: "GET", path: "/mcp", headers: named(id), framing: "none" }
        : {
            method: "POST",
            path: "/mcp",
            headers: [...JSON_FIELDS, ...named(id)],
            framing: "length",
            bodyBytes: body.length,
          };
    return { request: connection.open(head), id, connection };
  }

  /** Of a request that was not allowed the server has the headers at most, and knows that nothing follows. */
  async function expectNoByte(id: string): Promise<void> {
    const seen = () => rig.origin.arrivals(id).map(({ state, body }) => ({ state, bytes: body().length }));
    await expect.poll(() => seen().some(({ state }) => state === "open"), PATIENCE).toBe(false);
    for (const view of seen()) expect(view).toEqual({ state: "cut", bytes: 0 });
    if (mode === "hold") expect(seen()).toEqual([]);
  }

  async function logged(id: string): Promise<AccessEntry> {
    const entry = () => rig.envoy.accessLog().find(({ request_id }) => request_id === id);
    await expect.poll(entry, PATIENCE).toBeDefined();
    return entry()!;
  }
});

/** The answer of an HTTP/1.1 server that still looks at what follows; node:http does not, once it has answered. */
function answerAsBytes(response: OriginResponse): void {
  const head = ["HTTP/1.1 200 OK", "content-type: application/json", `content-length: ${ORIGIN_ANSWER.length}`];
  (response as unknown as { socket: Socket }).socket.write(`${head.join("\r\n")}\r\n\r\n${ORIGIN_ANSWER}`);
}
