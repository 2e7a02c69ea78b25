// `request_body: stream`. Goal: the verdicts are those of `whole`, the server never has a complete JSON text of what is refused, it has
// what is allowed byte for byte, and what is held does not grow with the body.

import { describe, expect, test } from "vitest";
import type { HeaderPair, HttpStream, Plugin } from "../../src/host/index.ts";
import type { RequestPolicy } from "../oracle/exchange.ts";
import { hasText } from "../oracle/has-text.ts";
import { ARGUMENT_VECTORS } from "../vectors/arguments.ts";
import { ENTRY_VECTORS } from "../vectors/entries.ts";
import { POLICY_VECTORS } from "../vectors/policy.ts";
import { THREAT_POLICY, THREAT_VECTORS } from "../vectors/threats.ts";
import {
  answer,
  BUILDS,
  type Build,
  type Delivery,
  everyCut,
  type Guard,
  JSON_HEADERS,
  open,
  pieces,
  send,
  startGuard,
  toolCall,
} from "./guard.ts";

const STREAM = { request_body: "stream" } as const;
const POLICY = { ...THREAT_POLICY, ...STREAM };
const EVERY_CUT_BYTES = 300;

/** The verdict, once it is shown that server and client have seen what fits it. */
function verdictOf(stream: HttpStream, sent: Uint8Array): string {
  const { upstream, downstream, filterState, localReply, codeDetails, finished } = stream;
  const passed = upstream.body();
  const reason = filterState.get("mcp_reason");
  if (!finished) return "open";
  if (!Buffer.from(sent).subarray(0, passed.length).equals(passed)) return "the server has other bytes";
  if (localReply === undefined) {
    const isWhole =
      upstream.ended && passed.length === sent.length && downstream.status === 200 && reason === undefined;
    return isWhole ? "allow" : `passes, but ${passed.length} of ${sent.length} bytes, ${reason}`;
  }
  if (upstream.ended || hasText(passed)) return `refused for ${reason}, but the server has ${passed}`;
  return codeDetails === `mcp_guard.${reason}` ? `refuse ${reason}` : `details ${codeDetails}, but ${reason}`;
}

function exchange(guard: Guard, delivery: Delivery & { readonly body: Uint8Array }): string {
  const stream = send(guard.plugin, delivery);
  if (stream.upstream.ended) answer(stream);
  guard.vm.logs.length = 0;
  return verdictOf(stream, delivery.body);
}

function* cutsOf(bytes: number, build: Build): Generator<Iterable<number>> {
  yield [];
  yield pieces(bytes, bytes > 100_000 ? 65_521 : 1);
  if (build === "debug") return;
  if (bytes <= EVERY_CUT_BYTES) yield* everyCut(bytes);
  else yield [1, bytes - 1];
}

describe.each(Object.keys(BUILDS) as Build[])("%s build", (build) => {
  const guards = new Map<string, Guard>();

  function guardOf(policy: RequestPolicy): Guard {
    const key = JSON.stringify(policy);
    const known = guards.get(key) ?? startGuard({ ...policy, ...STREAM }, { build });
    guards.set(key, known);
    return known;
  }

  // Which host is asked is a pseudo-header, which these requests do not choose.
  const vectors = THREAT_VECTORS.filter(({ policy }) => policy?.allowed_hosts === undefined);

  test.each(vectors.map((vector) => [vector.row, vector.name, vector] as const))(
    "threat vectors, row %i: %s",
    (_row, _name, { request, policy = THREAT_POLICY, expect: expected }) => {
      const { method, path, body, framing = "length", trailers } = request;
      const headers = request.headers.map(([name, value]): HeaderPair => [name.toLowerCase(), value]);
      const ends = framing === "headers_only" ? ["headers"] : trailers ? ["trailers"] : ["separate", "merged"];
      for (const end of ends as NonNullable<Delivery["end"]>[]) {
        for (const cuts of cutsOf(body.length, build)) {
          const found = exchange(guardOf(policy), { method, path, headers, body, cuts, end });
          if (expected.verdict === "allow") expect(found).toBe("allow");
          else expect(expected.reasons.map((reason) => `refuse ${reason}`)).toContain(found);
        }
      }
    },
  );

  test("the vectors about policies and arguments", () => {
    for (const { policy, body, reasons } of [...POLICY_VECTORS, ...ENTRY_VECTORS, ...ARGUMENT_VECTORS]) {
      for (const cuts of [[], pieces(body.length, 7), [body.length - 1]]) {
        const found = exchange(guardOf(policy), { body, cuts, headers: JSON_HEADERS });
        if (reasons.length === 0) expect(found).toBe("allow");
        else expect(reasons.map((reason) => `refuse ${reason}`)).toContain(found);
      }
    }
  });

  test("each byte goes on when it comes, but for the one that ends the message and those behind it", () => {
    for (const tool of ["safe", "evil"]) {
      const body = Buffer.from(`${toolCall(tool)} \r\n `);
      const root = toolCall(tool).length - 1;
      const stream = open(guardOf(THREAT_POLICY).plugin);
      for (let at = 0; at < body.length; at++) {
        stream.requestBody(body.subarray(at, at + 1), false);
        expect(stream.upstream.body()).toHaveLength(Math.min(at + 1, root));
      }
      stream.requestEnd();
      if (stream.upstream.ended) answer(stream);
      expect(verdictOf(stream, body)).toBe(tool === "safe" ? "allow" : "refuse tool_not_listed");
    }
  });

  test("what cannot become acceptable any more is refused at once, and no later byte goes on", () => {
    const body = Buffer.from(toolCall("safe").replace("}}", ',"a":1,"a":2,"b":3}}'));
    const stream = open(guardOf(THREAT_POLICY).plugin);
    for (const byte of body) {
      if (stream.finished) break;
      stream.requestBody(Uint8Array.of(byte), false);
    }
    expect(verdictOf(stream, body)).toBe("refuse json_duplicate_member");
    expect(stream.upstream.body().toString()).toMatch(/"a":1,"a$/);
  });

  test("an answer of the server that came first is cut when the verdict is a refusal", () => {
    const stream = open(guardOf(THREAT_POLICY).plugin);
    stream.requestBody(toolCall("evil").slice(0, -1), false);
    stream.responseHeaders({ ":status": "200", "content-type": "application/json" }, false);
    stream.requestBody("}", true);
    expect([stream.downstream.reset, stream.codeDetails]).toEqual([true, "mcp_guard.tool_not_listed"]);
    expect(hasText(stream.upstream.body())).toBe(false);
  });
});

describe("what is held", () => {
  const call = (bytes: number): string =>
    toolCall("safe").replace("}}", `,"arguments":{"text":"${"x".repeat(bytes)}"}}}`);

  test("does not grow with the body", () => {
    const guard = startGuard({ ...POLICY, limits: { in_flight_bytes: 200_000, body_bytes: 67_108_864 } });
    const body = Buffer.from(call(20_000_000));
    expect(exchange(guard, { body, cuts: pieces(body.length, 100_000) })).toBe("allow");
    const whole = startGuard({ ...THREAT_POLICY, limits: { in_flight_bytes: 200_000, body_bytes: 67_108_864 } });
    expect(send(whole.plugin, { body, cuts: pieces(body.length, 100_000) }).codeDetails).toBe("mcp_guard.overloaded");
  });

  test("is the last part, and counts", () => {
    const guard = startGuard({ ...POLICY, limits: { in_flight_bytes: 100_000, body_bytes: 67_108_864 } });
    const body = Buffer.from(call(300_000));
    expect(exchange(guard, { body, cuts: [body.length - 50_000] })).toBe("refuse overloaded");
    expect(exchange(guard, { body, cuts: pieces(body.length, 50_000) })).toBe("allow");
  });

  test("behind the message is white space, 64 KiB of it", () => {
    const guard = startGuard({ ...POLICY, limits: { body_bytes: 67_108_864 } });
    const message = toolCall("safe");
    for (const [spaces, expected] of [
      [65_536, "allow"],
      [65_537, "refuse body_too_large"],
    ] as const) {
      const body = Buffer.from(message.padEnd(message.length + spaces));
      expect(exchange(guard, { body, cuts: pieces(body.length, message.length) })).toBe(expected);
      // In one piece it is no more than what Envoy gives at once.
      expect(exchange(guard, { body })).toBe("allow");
    }
  });

  test("over body_bytes it is refused in the callback that crosses it", () => {
    const guard = startGuard({ ...POLICY, limits: { body_bytes: 100_000 } });
    const body = Buffer.from(call(200_000));
    const stream = open(guard.plugin);
    for (let at = 0; at < body.length && !stream.finished; at += 10_000) {
      stream.requestBody(body.subarray(at, at + 10_000), false);
    }
    expect(verdictOf(stream, body)).toBe("refuse body_too_large");
    expect(stream.upstream.body()).toHaveLength(100_000);
  });

  test("nothing, after it all", () => {
    const guard = startGuard({ ...POLICY, limits: { in_flight_bytes: 65_536 } });
    for (let round = 0; round < 200; round++) {
      for (const tool of ["safe", "evil"]) {
        const stream = open(guard.plugin);
        stream.requestBody(toolCall(tool).slice(0, 40), false);
        stream.clientGone();
        const body = Buffer.from(toolCall(tool));
        expect(exchange(guard, { body, cuts: pieces(body.length, 9) })).toBe(
          tool === "safe" ? "allow" : "refuse tool_not_listed",
        );
      }
    }
  });
});

describe("the watchdog", () => {
  const policy = { ...POLICY, limits: { stall_ms: 1000 } };

  /** Ticks for five times `stall_ms`, or until none is wanted. */
  function tickOn(plugin: Plugin): void {
    for (let tick = 0; tick < 20 && plugin.tickPeriodMs !== 0; tick++) plugin.tick();
  }

  test("lets a body wait for the server, and not for its end", () => {
    const { plugin } = startGuard(policy);
    const stream = open(plugin);
    stream.requestBody(toolCall("safe").slice(0, -1), false);
    tickOn(plugin);
    expect(stream.finished).toBe(false);
    stream.requestBody("}", false);
    tickOn(plugin);
    expect([stream.finished, stream.codeDetails]).toEqual([true, "mcp_guard.stalled"]);
  });

  test("answers for a body of which nothing comes", () => {
    const { plugin } = startGuard(policy);
    const stream = open(plugin);
    tickOn(plugin);
    expect([stream.finished, stream.codeDetails]).toEqual([true, "mcp_guard.stalled"]);
  });
});
