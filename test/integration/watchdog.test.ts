// Settings under which Envoy stops a stream without a word. Goal: an answer after `stall_ms`, never a hang, and no stream
// left behind. Method: each wrong setting is a guard of its own; raw requests, the clock, and Envoy's gauges.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { testedVersions } from "../versions.ts";
import { answer } from "./origin.ts";
import {
  expectNothingActive,
  guardIn,
  HEADER_MODE_NAMES,
  type HeaderMode,
  JSON_FIELDS,
  named,
  PROTOCOLS,
  type Protocol,
  type Rig,
  startRig,
  toolCall,
} from "./rig.ts";
import { verdictOf } from "./verdict.ts";
import { inPieces, pause, type WireRequest } from "./wire.ts";

const STALL_MS = 300;
/** The guard looks four times in `stall_ms`, and finds a stream two looks late at most. */
const LATEST_MS = STALL_MS * 1.5;
/** A server that takes longer than a request may stall. */
const SLOW_MS = LATEST_MS * 2;
/** For a machine that has other things to do. */
const MARGIN_MS = 2_000;

const POLICY = { tool_allowlist: ["safe"], limits: { stall_ms: STALL_MS } };
/**
 * Envoy 1.37 takes two plugins with one name and one configuration for one, and the flag of the first for both: the
 * guard with the wrong flag has a configuration of its own.
 */
const POLICY_OF_WRONG_FLAG = { ...POLICY, tool_allowlist: ["safe", "other"] };
const LIMIT_BYTES = 64 << 10;
const VERDICT = { safe: "allow", evil: "refuse 200 tool_not_listed" } as const;
const LARGE = (tool: string) => Buffer.from(toolCall(tool, { text: "x".repeat(300_000) }));

describe.each(testedVersions())("Envoy %s", (version) => {
  let rig: Rig;
  let requests = 0;

  beforeAll(async () => {
    rig = await startRig({
      version,
      respond: (arrival, response) => {
        const isSlow = String(arrival.headers["x-request-id"]).startsWith("slow");
        void arrival.ended.then(() => {
          if (arrival.state === "complete") setTimeout(() => answer(response), isSlow ? SLOW_MS : 0);
        });
      },
      guards: [
        guardIn("release", POLICY, { name: "release" }),
        guardIn("hold", POLICY, { name: "hold" }),
        // What is configured and what Envoy has been told contradict each other.
        guardIn("hold", POLICY_OF_WRONG_FLAG, { name: "hold, flag off", allowOnHeadersStop: false }),
        guardIn("release", POLICY, { name: "release, flag on", allowOnHeadersStop: true }),
        guardIn("release", POLICY, { name: "release, 64 KiB", perConnectionBufferLimitBytes: LIMIT_BYTES }),
        guardIn("hold", POLICY, { name: "hold, 64 KiB", perConnectionBufferLimitBytes: LIMIT_BYTES }),
      ],
    });
  });

  afterAll(() => rig?.stop());

  describe.each(PROTOCOLS)("over %s", (protocol) => {
    test("request_headers: hold without Envoy's flag: an answer that says so, for every call", async () => {
      await both(async (tool) => {
        const body = Buffer.from(toolCall(tool));
        const { verdict, ms } = await exchange(protocol, "hold, flag off", body, (request) => request.end(body));
        expect(verdict).toBe("refuse 503 headers_mode");
        expectInTime(ms);
      });
      await expectNothingActive(rig);
    });

    test("request_headers: hold without Envoy's flag: a request without a body passes", async () => {
      const connection = await rig.connect(protocol, "hold, flag off");
      const answer = await connection.open({ method: "GET", path: "/mcp", headers: [], framing: "none" }).answer;
      connection.close();
      expect(answer?.status).toBe(200);
    });

    test("request_headers: release with Envoy's flag works", async () => {
      await both(async (tool) => {
        const body = Buffer.from(toolCall(tool));
        const { verdict } = await exchange(protocol, "release, flag on", body, (request) => request.end(body));
        expect(verdict).toBe(VERDICT[tool]);
      });
    });

    test.each(HEADER_MODE_NAMES)("%s: 300 KB where Envoy buffers 64 KiB get an answer", async (mode) => {
      const guard = `${mode}, 64 KiB`;
      await both(async (tool) => {
        const body = LARGE(tool);
        const { verdict, ms } = await exchange(protocol, guard, body, (request) => request.end(body));
        if (protocol === "h1") {
          expect(verdict).toBe("refuse 408 stalled");
          expectInTime(ms);
        } else {
          // HTTP/2 bodies are bounded by the stream's window, not by this limit, so they are read to the end.
          expect(verdict).toBe(VERDICT[tool]);
        }
      });
      await expectNothingActive(rig);
    });

    test.each(HEADER_MODE_NAMES)("%s: a client that is gone behind a full buffer leaves nothing", async (mode) => {
      const connection = await rig.connect(protocol, `${mode}, 64 KiB`);
      const request = connection.open({ ...head("gone", 300_000) });
      request.send(LARGE("evil").subarray(0, 250_000));
      await pause(50);
      connection.close();
      // Over HTTP/1.1 Envoy does not read while its buffer is full, and so does not see the client go.
      await expectNothingActive(rig, LATEST_MS + MARGIN_MS);
    });

    test.each(HEADER_MODE_NAMES)("%s: a body that stops half-way gets an answer", async (mode) => {
      const body = Buffer.from(toolCall("safe"));
      const { verdict, ms } = await exchange(protocol, mode, body, (request) => request.send(body.subarray(0, 20)));
      expect(verdict).toBe("refuse 408 stalled");
      expectInTime(ms);
      await expectNothingActive(rig);
    });

    test.each(HEADER_MODE_NAMES)("%s: a body that never begins gets an answer", async (mode) => {
      const body = Buffer.from(toolCall("safe"));
      // A body has come under `hold` in this worker, so the setting is right, and it is the client that is slow.
      expect((await exchange(protocol, mode, body, (request) => request.end(body))).verdict).toBe("allow");
      const { verdict, ms } = await exchange(protocol, mode, body, () => {});
      expect(verdict).toBe("refuse 408 stalled");
      expectInTime(ms);
      await expectNothingActive(rig);
    });

    test.each(HEADER_MODE_NAMES)("%s: a slow body that makes progress is waited for", async (mode) => {
      await both(async (tool) => {
        const body = Buffer.from(toolCall(tool));
        const { verdict, ms } = await exchange(protocol, mode, body, async (request) => {
          for (const piece of inPieces(body, Math.ceil(body.length / 8))) {
            request.send(piece);
            await pause(STALL_MS / 3);
          }
          request.end();
        });
        expect(verdict).toBe(VERDICT[tool]);
        expect(ms).toBeGreaterThan(STALL_MS * 2);
      });
    });

    test("a call is waited for after its verdict, however long the server takes", async () => {
      const body = Buffer.from(toolCall("safe"));
      const { verdict, ms } = await exchange(protocol, "release", body, (request) => request.end(body), "slow");
      expect(verdict).toBe("allow");
      expect(ms).toBeGreaterThan(LATEST_MS);
    });
  });

  test("nothing is left under way", () => expectNothingActive(rig));

  function head(requestId: string, bodyBytes: number) {
    const headers = [...JSON_FIELDS, ...named(requestId)];
    return { method: "POST", path: "/mcp", headers, framing: "length", bodyBytes } as const;
  }

  async function exchange(
    protocol: Protocol,
    guard: string,
    body: Uint8Array,
    send: (request: WireRequest) => void | Promise<void>,
    behaviour = "usual",
  ): Promise<{ verdict: string; ms: number }> {
    const requestId = `${behaviour}.${++requests}`;
    const connection = await rig.connect(protocol, guard);
    try {
      const start = performance.now();
      const request = connection.open(head(requestId, body.length));
      await send(request);
      const answer = await request.answer;
      const ms = performance.now() - start;
      const mode: HeaderMode = guard.startsWith("hold") ? "hold" : "release";
      return { verdict: verdictOf(rig.origin, requestId, mode, body, answer), ms };
    } finally {
      connection.close();
    }
  }
});

/** Does the same with a listed and an unlisted tool, at the same time. */
async function both(attempt: (tool: keyof typeof VERDICT) => Promise<void>): Promise<void> {
  await Promise.all([attempt("safe"), attempt("evil")]);
}

function expectInTime(ms: number): void {
  expect(ms).toBeGreaterThanOrEqual(STALL_MS);
  expect(ms).toBeLessThan(LATEST_MS + MARGIN_MS);
}
