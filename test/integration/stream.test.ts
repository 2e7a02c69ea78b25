// `request_body: stream` through a real Envoy. Goal: a server that counts complete JSON texts counts none of a call that is refused, however
// the client frames and cuts it; the client has a clean answer all the same; what is allowed arrives whole; and memory does not
// depend on the body. Method: a server that keeps the bytes of each request, raw clients, Envoy's own account of its memory.

import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { hasText } from "../oracle/has-text.ts";
import type { RunningEnvoy } from "./drivers/driver.ts";
import { drivers } from "./drivers/drivers.ts";
import { connectHttp1 } from "./http1-wire.ts";
import { connectHttp2 } from "./http2-wire.ts";
import {
  expectNothingActive,
  guardIn,
  JSON_FIELDS,
  named,
  PATIENCE,
  PROTOCOLS,
  type Protocol,
  type Rig,
  startRig,
  toolCall,
} from "./rig.ts";
import { type Answer, type Fields, inPieces, pause, sendPieces, type WireHead } from "./wire.ts";

const POLICY = { tool_allowlist: ["safe"], request_body: "stream" };
const PAUSE_MS = 1;
const CUTS = 12;

const long = (tool: string, bytes: number): string => toolCall(tool, { text: "x".repeat(bytes), list: [{ a: 1 }] });

describe.each(PROTOCOLS)("an %s server", (upstream) => {
  let rig: Rig;
  let requests = 0;

  beforeAll(async () => {
    rig = await startRig({ upstream, guards: [guardIn("release", POLICY, { http1Trailers: true })] });
  });

  afterAll(() => rig?.stop());

  /** Sends one call in these pieces; gives what the client got. */
  async function post(
    protocol: Protocol,
    pieces: Iterable<Uint8Array>,
    bodyBytes: number,
    framing: WireHead["framing"],
    trailers?: Fields,
  ): Promise<{ id: string; answer: Answer | undefined }> {
    const id = `stream.${++requests}`;
    const connection = await rig.connect(protocol);
    const request = connection.open({
      method: "POST",
      path: "/mcp",
      headers: [...JSON_FIELDS, ...named(id)],
      framing,
      bodyBytes,
    });
    await sendPieces(request, pieces, { pauseMs: PAUSE_MS, trailers });
    const answer = await request.answer;
    connection.close();
    return { id, answer };
  }

  async function expectNoText(id: string): Promise<void> {
    for (const arrival of rig.origin.arrivals(id)) {
      await arrival.ended;
      expect([arrival.state, hasText(arrival.body())]).toEqual(["cut", false]);
    }
  }

  describe.each(PROTOCOLS)("an %s client", (protocol) => {
    const framings: readonly [name: string, WireHead["framing"], Fields | undefined][] = [
      ["a declared length", "length", undefined],
      ["no declared length", "chunked", undefined],
      ["trailers", "chunked", [["x-checksum", "0"]]],
    ];

    test.each(framings)("a call that is not listed, with %s, cut anywhere", async (_name, framing, trailers) => {
      const body = Buffer.from(`${long("evil", 300)}\n`);
      for (let index = 0; index < CUTS; index++) {
        const at = body.length - 1 - Math.floor((index * body.length) / CUTS);
        const { id, answer } = await post(
          protocol,
          [body.subarray(0, at), body.subarray(at)],
          body.length,
          framing,
          trailers,
        );
        expect([answer?.status, answer?.isCut]).toEqual([200, false]);
        expect(String(answer?.body)).toContain('"reason":"tool_not_listed"');
        await expectNoText(id);
      }
      await expectNothingActive(rig);
    });

    test.each(framings)("a call that is listed arrives as it was sent, with %s", async (_name, framing, trailers) => {
      const body = Buffer.from(`${long("safe", 100_000)} \n `);
      for (const size of [body.length, 9_000]) {
        const { id, answer } = await post(protocol, inPieces(body, size), body.length, framing, trailers);
        expect([answer?.status, answer?.isCut]).toEqual([200, false]);
        const [arrival] = rig.origin.arrivals(id);
        expect(arrival?.state).toBe("complete");
        expect(Buffer.compare(arrival!.body(), body)).toBe(0);
      }
    });

    test("the server has the beginning while the client still sends, and the end only with the verdict", async () => {
      const body = Buffer.from(long("safe", 50_000));
      const id = `stream.${++requests}`;
      const connection = await rig.connect(protocol);
      const head = {
        method: "POST",
        path: "/mcp",
        headers: [...JSON_FIELDS, ...named(id)],
        framing: "chunked",
      } as const;
      const request = connection.open(head);
      request.send(body.subarray(0, 40_000));
      const arrived = () => rig.origin.arrivals(id)[0]?.body().length;
      await expect.poll(arrived, PATIENCE).toBe(40_000);
      request.send(body.subarray(40_000));
      await pause(50);
      // HTTP/2 cuts what is sent at 16 KiB: only the last frame has the end.
      expect(hasText(rig.origin.arrivals(id)[0]!.body())).toBe(false);
      request.end();
      expect((await request.answer)?.status).toBe(200);
      expect(Buffer.compare(rig.origin.arrivals(id)[0]!.body(), body)).toBe(0);
      connection.close();
    });

    test("a fault in the middle", async () => {
      const body = Buffer.from(long("safe", 100_000).replace('"list"', '"text"'));
      const { id, answer } = await post(protocol, inPieces(body, 20_000), body.length, "chunked");
      expect([answer?.status, answer?.isCut]).toEqual([400, false]);
      expect(String(answer?.body)).toContain('"reason":"json_duplicate_member"');
      await expectNoText(id);
    });

    test("a client that leaves in the middle", async () => {
      const id = `stream.${++requests}`;
      const connection = await rig.connect(protocol);
      const head = {
        method: "POST",
        path: "/mcp",
        headers: [...JSON_FIELDS, ...named(id)],
        framing: "chunked",
      } as const;
      const request = connection.open(head);
      request.send(Buffer.from(long("safe", 1_000)).subarray(0, 900));
      await expect.poll(() => rig.origin.arrivals(id).length, PATIENCE).toBe(1);
      request.disconnect();
      connection.close();
      await expectNothingActive(rig);
      await expectNoText(id);
    });
  });
});

describe("a body of 64 MB", () => {
  const MIB = 1_048_576;
  const PIECE = Buffer.alloc(65_536, "y");
  const PIECES = 1_023;
  /** Envoy's own buffers for one stream, and what tcmalloc keeps: far below the body. */
  const GROWTH_MAX = 12 * MIB;
  let envoy: RunningEnvoy;
  let server: Server;
  let received = 0;
  let tail = "";

  beforeAll(async () => {
    server = createServer((request, response) => {
      received = 0;
      request.on("data", (bytes: Buffer) => {
        received += bytes.length;
        tail = bytes.toString("latin1").slice(-40);
      });
      request.on("error", () => {});
      request.on("end", () => response.writeHead(200, { "content-type": "application/json" }).end("{}"));
    });
    await new Promise<void>((resolve) => server.listen(0, "0.0.0.0", resolve));
    const guards = [guardIn("release", { ...POLICY, limits: { body_bytes: 64 * MIB } })];
    envoy = await drivers[0]!.start({ upstreamPort: (server.address() as AddressInfo).port, guards });
  });

  afterAll(async () => {
    await envoy?.stop();
    await new Promise((resolve) => server.close(resolve));
  });

  const allocated = async (): Promise<number> =>
    (await envoy.stats("^server.memory_allocated$")).values().next().value ?? 0;

  test.each(PROTOCOLS)("passes over %s, and memory stays where it is", { timeout: 60_000 }, async (protocol) => {
    const [before, after] = toolCall("safe", { text: "@" }).split("@") as [string, string];
    const connection = await (protocol === "h1" ? connectHttp1(envoy.url()) : connectHttp2(envoy.url()));
    const bodyBytes = before.length + PIECES * PIECE.length + after.length;
    const request = connection.open({
      method: "POST",
      path: "/mcp",
      headers: JSON_FIELDS,
      framing: "length",
      bodyBytes,
    });
    request.send(Buffer.from(before));
    const start = await allocated();
    const seen: number[] = [];
    for (let index = 0; index < PIECES; index++) {
      request.send(PIECE);
      // The server's pace, so that nothing waits in this process.
      while ((index + 1) * PIECE.length - received > 2 * MIB) await pause(1);
      if (index % 100 === 99) seen.push((await allocated()) - start);
    }
    request.end(Buffer.from(after));
    expect((await request.answer)?.status).toBe(200);
    expect([received, tail.endsWith(after)]).toEqual([bodyBytes, true]);
    expect(Math.max(...seen)).toBeLessThan(GROWTH_MAX);
    connection.close();
  });
});
