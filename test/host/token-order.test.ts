// A token among the other things that a call waits for. Goal: verdict, then a person's approval, then the token, then the acknowledgement of its record; what says no
// comes before what costs something, and each of them still counts when the others have said yes.

import { describe, expect, test } from "vitest";
import { APPROVAL, asked as askedForApproval, claimed, opened, polled, receiptFor } from "./approval-calls.ts";
import { answer, type Guard, open, verdict } from "./guard.ts";
import { asked, call, deliveryOf, get, grant, minted, reached, recordOf, say, start, tokenOf } from "./token-calls.ts";

const TOOL = "delete_repo";
const BODY = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: TOOL } });
const ASKING = { tool_allowlist: ["safe", TOOL], approval: APPROVAL };
const OTLP = { otlp: { cluster: "collector", authority: "otel:4318" } };

const flagged = (guard: Guard, headersStop = true) => call(guard, { tool: TOOL, headersStop });

/** The one request to the collector. */
function records(guard: Guard): string {
  const http = guard.plugin.httpCalls.find(({ cluster }) => cluster === "collector");
  const text = http?.body.toString("utf8") ?? "";
  http?.answer({ status: 200, body: "{}" });
  return text;
}

describe("a person's approval", () => {
  test("comes before the token under hold", async () => {
    const guard = start({}, { ...ASKING, request_headers: "hold" });
    const stream = flagged(guard);
    const question = opened(guard);
    polled(guard, "approved");
    expect(reached(stream)).toBeUndefined();
    await claimed(guard, question);
    expect(reached(stream)).toBeUndefined();
    expect(asked(guard).form.get("subject_token")).toBe(tokenOf("alice"));
    minted(guard);
    expect([reached(stream), stream.upstream.body().toString()]).toEqual([["Bearer minted-1"], BODY]);
    answer(stream);
    expect(verdict(stream, BODY)).toBe("allow");
    expect(recordOf(stream)["mcp_guard.token.exchange"]).toBe("minted");
  });

  test("that is denied costs no token under hold", () => {
    const guard = start({}, { ...ASKING, request_headers: "hold" });
    const stream = flagged(guard);
    opened(guard, "denied");
    expect(verdict(stream, BODY)).toBe("refuse approval_denied 200");
    expect(guard.plugin.httpCalls).toEqual([]);
  });

  test("finds the kept token under hold", async () => {
    const guard = start({}, { ...ASKING, request_headers: "hold" });
    call(guard, { headersStop: true });
    minted(guard);
    const stream = flagged(guard);
    await claimed(guard, opened(guard, "approved"));
    expect(reached(stream)).toEqual(["Bearer minted-1"]);
  });

  test("of a call whose token is refused after it: the call does not go on", async () => {
    const guard = start({}, { ...ASKING, request_headers: "hold" });
    const stream = flagged(guard);
    await claimed(guard, opened(guard, "approved"));
    say(asked(guard).http, { error: "invalid_grant" }, 400);
    expect(verdict(stream, BODY)).toBe("refuse token_exchange_refused 401");
  });

  test("is asked for when the headers have gone under release", async () => {
    const guard = start({}, ASKING);
    const stream = flagged(guard, false);
    minted(guard);
    expect([reached(stream), stream.upstream.body().length]).toEqual([["Bearer minted-1"], 0]);
    await claimed(guard, opened(guard, "approved"));
    expect(stream.upstream.body().toString()).toBe(BODY);
  });

  test("may come before the token, whose question was asked at the headers", async () => {
    const guard = start({}, ASKING);
    const stream = flagged(guard);
    const [token, approval] = guard.plugin.httpCalls;
    expect([token!.cluster, approval!.cluster]).toEqual(["idp", "approval"]);
    const question = JSON.parse(approval!.body.toString("utf8"));
    say(approval!, { id: "AAAAAAAAAAAAAAAAAAAAA0", status: "approved", expires: 2_000_000_000 });
    const claim = guard.plugin.httpCalls.find(({ cluster }) => cluster === "approval")!;
    say(claim, { receipt: await receiptFor(question, JSON.parse(claim.body.toString("utf8"))) });
    expect([reached(stream), stream.upstream.body().length]).toEqual([undefined, 0]);
    say(token!, grant("minted-1"));
    expect([reached(stream), stream.upstream.body().toString()]).toEqual([["Bearer minted-1"], BODY]);
  });

  test("still counts when the token comes first", async () => {
    const guard = start({}, ASKING);
    const stream = flagged(guard);
    say(guard.plugin.httpCalls[0]!, grant("minted-1"));
    expect([reached(stream), stream.upstream.body().length]).toEqual([undefined, 0]);
    await claimed(guard, opened(guard, "approved"));
    expect([reached(stream), stream.upstream.body().toString()]).toEqual([["Bearer minted-1"], BODY]);
  });

  test("is not waited for when the token is refused meanwhile", () => {
    const guard = start({}, ASKING);
    const stream = flagged(guard);
    say(guard.plugin.httpCalls[0]!, { error: "access_denied" }, 403);
    expect(verdict(stream, BODY)).toBe("refuse token_exchange_refused 401");
    // What the approval service says now concerns nobody.
    opened(guard, "approved");
    expect([guard.plugin.httpCalls, guard.vm.failed]).toEqual([[], false]);
  });

  test("that is denied while the token is asked for ends the call", () => {
    const guard = start({}, ASKING);
    const stream = flagged(guard);
    const token = guard.plugin.httpCalls[0]!;
    say(guard.plugin.httpCalls[1]!, { id: "AAAAAAAAAAAAAAAAAAAAA0", status: "denied", expires: 2_000_000_000 });
    expect(verdict(stream, BODY)).toBe("refuse approval_denied 200");
    say(token, grant("minted-1"));
    expect([guard.vm.failed, reached(stream)]).toEqual([false, undefined]);
    expect(() => askedForApproval(guard, "open")).toThrow();
  });
});

describe("the acknowledgement of the record", () => {
  test.each(["hold", "release"])("comes after the token (%s)", (requestHeaders) => {
    const guard = start({}, { request_headers: requestHeaders, audit: { ...OTLP, required: "all" } });
    const stream = call(guard, { headersStop: true });
    expect(guard.plugin.httpCalls.map(({ cluster }) => cluster)).toEqual(["idp"]);
    minted(guard);
    expect(guard.plugin.httpCalls.map(({ cluster }) => cluster)).toEqual(["collector"]);
    expect(reached(stream)).toBeUndefined();
    expect(records(guard)).toContain('mcp_guard.token.exchange\\":\\"minted');
    expect([reached(stream), stream.upstream.ended]).toEqual([["Bearer minted-1"], true]);
    answer(stream);
    expect(stream.filterState.get("mcp_decision")).toBe("allow");
  });

  test("that does not come ends the call, whose token is kept", () => {
    const guard = start({}, { audit: { ...OTLP, required: "all" } });
    const stream = call(guard, { headersStop: true });
    minted(guard);
    guard.plugin.httpCalls[0]!.refuse();
    expect(stream.localReply?.details).toBe("mcp_guard.audit_unavailable");
    expect(reached(get(guard))).toEqual(["Bearer minted-1"]);
  });

  test("is not waited for by a request without a body", () => {
    const guard = start({}, { audit: { ...OTLP, required: "all" } });
    const stream = get(guard);
    minted(guard);
    expect(reached(stream)).toEqual(["Bearer minted-1"]);
  });
});

describe("the collector's record of a message", () => {
  const startExporting = (rest: object = {}) => start({}, { audit: OTLP, ...rest });
  /** What it gets of messages with the next tick, a line each. */
  const sent = (guard: Guard): string => {
    guard.plugin.tick();
    const logs: { eventName: string }[] = JSON.parse(records(guard)).resourceLogs[0].scopeLogs[0].logRecords;
    return logs
      .filter(({ eventName }) => eventName === "mcp_guard.message")
      .map((log) => JSON.stringify(log))
      .join("\n");
  };

  test("that waited for its token is written when that has come", () => {
    const guard = startExporting({ request_headers: "hold" });
    call(guard, { headersStop: true });
    minted(guard);
    expect(sent(guard)).toMatch(/mcp_guard.token.exchange\\":\\"minted/);
  });

  test.each(["hold", "release"])("that is refused for its token says so (%s)", (requestHeaders) => {
    const guard = startExporting({ request_headers: requestHeaders });
    call(guard, { headersStop: true });
    say(asked(guard).http, { error: "invalid_grant" }, 400);
    const told = /token_exchange_refused.*mcp_guard.token.exchange\\":\\"refused/;
    expect(sent(guard)).toMatch(told);
    // The next one is refused without a question.
    call(guard, { headersStop: true });
    expect(sent(guard)).toMatch(told);
  });

  test("that has waited for the tick is sent from it", () => {
    const guard = startExporting();
    call(guard, { delivery: { end: "trailers" } });
    minted(guard);
    expect(sent(guard)).toMatch(/mcp_guard.token.exchange\\":\\"minted/);
  });

  test("is none where there is no message", () => {
    const guard = startExporting();
    get(guard);
    say(asked(guard).http, { error: "invalid_grant" }, 400);
    expect(sent(guard)).toBe("");
  });

  test("whose token does not come in time is sent from the tick that ends it", () => {
    const guard = startExporting({ audit: { otlp: { ...OTLP.otlp, flush_ms: 1000 } } });
    call(guard, { headersStop: true });
    // 2 s and two ticks are over with the fourth.
    for (let tick = 0; tick < 3; tick++) guard.plugin.tick();
    expect(sent(guard)).toMatch(/token_exchange_unavailable.*mcp_guard.token.exchange\\":\\"failed/);
  });

  test("that the proxy does not let go on says so", () => {
    const guard = startExporting();
    call(guard, { headersStop: true });
    guard.vm.failNext("proxy_continue_stream", 2);
    minted(guard);
    expect(sent(guard)).toMatch(/mcp_guard.reason\\":\\"internal/);
  });
});

test("a token of many callers does not let a held body go on that has no verdict", () => {
  const guard = start();
  const streams = Array.from({ length: 5 }, () => {
    const stream = open(guard.plugin, deliveryOf({ headersStop: true }));
    stream.requestBody("{", false);
    return stream;
  });
  const whole = call(guard, { headersStop: true });
  minted(guard);
  expect(streams.map(reached)).toEqual(streams.map(() => undefined));
  expect(reached(whole)).toEqual(["Bearer minted-1"]);
});
