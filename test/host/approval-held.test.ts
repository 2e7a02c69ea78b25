// What a guard holds while calls wait. Goal: it is counted, bounded and given back, whatever ends a call and whichever host call fails; no callback ends more
// streams than the proxy's stack has room for; and two guards of one VM know nothing of each other's calls.

import { describe, expect, test } from "vitest";
import type { HttpStream } from "../../src/host/index.ts";
import {
  asked,
  bodyOf,
  call,
  claimed,
  ID,
  opened,
  policyWith,
  polled,
  receiptFor,
  say,
  start,
  TOOL,
  tokenOf,
} from "./approval-calls.ts";
import { addPlugin, answer, type Guard, modernHeaders, send, startGuard, verdict } from "./guard.ts";

const nothing = (stream: HttpStream): void => {
  expect([stream.upstream.ended, stream.upstream.body().length]).toEqual([false, 0]);
};
const idOf = (index: number): string => String(index).padStart(22, "0");

/** That many calls, whose approvals are pending. */
function waiting(guard: Guard, count: number): HttpStream[] {
  return Array.from({ length: count }, (_, index) => {
    const stream = call(guard, { id: index });
    opened(guard, "pending", idOf(index));
    return stream;
  });
}

/** Ticks until nothing is asked for any more; each poll is answered by `status`. */
function settle({ plugin }: Guard, status = "denied"): void {
  for (let ticks = 0; ticks < 500 && plugin.tickPeriodMs > 0; ticks++) {
    plugin.tick();
    for (const http of plugin.httpCalls) {
      const { ids = [] } = JSON.parse(http.body.toString("utf8")) as { ids?: string[] };
      say(http, Object.fromEntries(ids.map((id) => [id, status])));
    }
  }
}

describe("what calls that wait hold", () => {
  test("counts into in_flight_bytes; a call too many is refused, and asks for nothing", () => {
    const guard = start({ waiting: 1 }, { limits: { in_flight_bytes: 65_536 } });
    const params = { arguments: { text: "x".repeat(20_000) } };
    expect(verdict(call(guard, { params }))).toBe("refuse overloaded 503");
    expect(guard.plugin.httpCalls).toEqual([]);
    // It does not wait, and so counts for nothing.
    const stream = call(guard);
    expect(verdict(stream)).toMatch(/^open/);
    stream.clientGone();
  });

  test("is none for a call too many whose reply the host refuses: nobody is asked later either", () => {
    const guard = start({}, { limits: { in_flight_bytes: 65_536 } });
    guard.vm.failAll("proxy_send_local_response", 1);
    const stream = call(guard, { params: { arguments: { text: "x".repeat(20_000) } } });
    for (let ticks = 0; ticks < 5; ticks++) guard.plugin.tick();
    expect(guard.plugin.httpCalls).toEqual([]);
    nothing(stream);
  });

  test.each([
    ["it is denied", (guard: Guard) => opened(guard, "denied")],
    ["it is still pending", (guard: Guard) => opened(guard)],
    ["the service does not take it", (guard: Guard) => say(asked(guard, "open").http, "{}", 401)],
    ["the client goes", (_guard: Guard, stream: HttpStream) => stream.clientGone()],
    ["the server answers early", (_guard: Guard, stream: HttpStream) => answer(stream)],
  ])("is given back when %s", (_how, end) => {
    const guard = start({ hold_seconds: 0 }, { limits: { in_flight_bytes: 200_000 } });
    for (let index = 0; index < 100; index++) {
      const stream = call(guard, { params: { arguments: { text: "x".repeat(20_000) } } });
      expect(verdict(stream)).toMatch(/^open/);
      end(guard, stream);
      for (const http of guard.plugin.httpCalls) http.drop();
      expect(stream.finished).toBe(true);
    }
  });

  test("is given back when it goes on", async () => {
    const guard = start({}, { limits: { in_flight_bytes: 200_000 } });
    const params = { arguments: { text: "x".repeat(20_000) } };
    for (let index = 0; index < 50; index++) {
      const stream = call(guard, { params });
      await claimed(guard, opened(guard, "approved"));
      expect(stream.upstream.body().toString("utf8")).toBe(bodyOf({ params }));
    }
  });

  test.each([
    ["calls that are refused before anybody is asked", { inputResponses: { "guard.approval": { action: "cancel" } } }],
    ["later rounds", { requestState: `mg1.${ID}.YQ.` }],
  ])("does not grow with %s", (_what, more) => {
    const guard = start({ hold_seconds: 0 });
    const params = { arguments: { text: "x".repeat(20_000) }, ...more };
    const round = () => {
      const stream = call(guard, { client: "modern with links", params });
      for (const http of guard.plugin.httpCalls) say(http, { id: ID, status: "pending", expires: 0 });
      expect(stream.finished).toBe(true);
    };
    for (let index = 0; index < 30; index++) round();
    const before = guard.vm.memoryBytes();
    for (let index = 0; index < 500; index++) round();
    expect(guard.vm.memoryBytes()).toBe(before);
  });
});

describe("many calls that end at once", () => {
  test("end a few in each callback, in ticks that come at once and count for no time", () => {
    const guard = start({ hold_seconds: 60, waiting_per_principal: 1000 });
    const streams = waiting(guard, 100);
    const period = guard.plugin.tickPeriodMs;
    const late = call(guard, { id: 1000 });
    opened(guard, "pending", idOf(1000));
    guard.plugin.tick();
    const { http, question } = asked(guard, "poll");
    say(http, Object.fromEntries(question.ids.map((id) => [id, id === idOf(1000) ? "pending" : "denied"])));
    const ended = (): number => streams.filter((stream) => stream.localReply !== undefined).length;
    const steps = [ended()];
    while (guard.plugin.tickPeriodMs !== period) {
      expect(guard.plugin.tickPeriodMs).toBe(1);
      guard.plugin.tick();
      steps.push(ended());
      for (const each of guard.plugin.httpCalls) say(each, { [idOf(1000)]: "pending" });
    }
    expect(steps).toEqual([32, 64, 96, 100]);
    // The hurried ticks were no time: the one that is left waits as long as it would have.
    let ticks = 1;
    while (late.localReply === undefined) {
      guard.plugin.tick();
      ticks++;
      for (const each of guard.plugin.httpCalls) say(each, { [idOf(1000)]: "pending" });
    }
    expect(ticks).toBe(Math.ceil(60_000 / period));
  });

  test("end a few in each tick when their time is over, and all of them", () => {
    const guard = start({ hold_seconds: 1, waiting_per_principal: 1000 });
    const streams = waiting(guard, 70);
    const ended = (): number => streams.filter((stream) => stream.localReply !== undefined).length;
    const steps: number[] = [];
    for (let ticks = 0; ticks < 10 && ended() < 70; ticks++) {
      const before = ended();
      guard.plugin.tick();
      if (ended() > before) steps.push(ended() - before);
    }
    expect(steps).toEqual([32, 32, 6]);
  });
});

describe("a host call that fails", () => {
  test("random numbers: a claim has no nonce, so that the call is refused", () => {
    const guard = start();
    const stream = call(guard);
    guard.vm.failAll("random_get", 1);
    opened(guard, "approved");
    expect(verdict(stream)).toBe("refuse internal 500");
    expect(guard.plugin.httpCalls).toEqual([]);
  });

  test("going on: the call is refused", async () => {
    const guard = start();
    const stream = call(guard);
    const open = opened(guard, "approved");
    guard.vm.failAll("proxy_continue_stream", 1);
    await claimed(guard, open);
    expect(verdict(stream)).toBe("refuse internal 500");
  });

  test("the change of a body: the call is refused, and not sent as it came", async () => {
    const guard = start();
    const stream = call(guard, { client: "modern with links", params: { requestState: `mg1.${ID}..` } });
    const open = opened(guard, "approved");
    guard.vm.failAll("proxy_set_buffer_bytes", 1);
    await claimed(guard, open);
    expect(verdict(stream)).toBe("refuse internal 500");
  });

  test("the answer of the service cannot be read: as if there was none", () => {
    const guard = start();
    const stream = call(guard);
    guard.vm.failNext("proxy_get_buffer_bytes", 1);
    opened(guard, "approved");
    expect(guard.plugin.httpCalls).toEqual([]);
    guard.plugin.tick();
    opened(guard, "denied");
    expect(verdict(stream)).toBe("refuse approval_denied 200");
  });

  test("a reply: nothing passes, and the next ticks try again", () => {
    const guard = start();
    const stream = call(guard);
    guard.vm.failAll("proxy_send_local_response", 1);
    opened(guard, "denied");
    nothing(stream);
    expect(stream.localReply).toBeUndefined();
    guard.vm.clearFaults();
    for (let ticks = 0; ticks < 100 && stream.localReply === undefined; ticks++) guard.plugin.tick();
    expect(stream.codeDetails).toBe("mcp_guard.approval_denied");
    settle(guard);
    expect(guard.plugin.tickPeriodMs).toBe(0);
  });

  test("a poll: it is made again later and later", () => {
    const guard = start({ hold_seconds: 300 });
    waiting(guard, 1);
    guard.vm.failAll("proxy_http_call", 1);
    const made: number[] = [];
    for (let tick = 1; tick <= 40; tick++) {
      const before = guard.vm.calls.proxy_http_call;
      guard.plugin.tick();
      if (guard.vm.calls.proxy_http_call !== before) made.push(tick);
    }
    expect(made).toEqual([1, 3, 7, 15, 31]);
  });
});

test("each call has its message's record, once, with what became of it", async () => {
  const otlp = { cluster: "collector", authority: "otel:4318", messages: "all" };
  const guard = start({ waiting: 1 }, { audit: { otlp } });
  call(guard);
  await claimed(guard, opened(guard, "approved"));
  call(guard, { id: 2 });
  call(guard, { id: 3 });
  opened(guard, "denied");
  let sent = "";
  for (let ticks = 0; ticks < 20 && guard.plugin.tickPeriodMs > 0; ticks++) {
    for (const http of guard.plugin.httpCalls) {
      sent += String(http.body);
      say(http, "{}");
    }
    guard.plugin.tick();
  }
  const told = sent.split('"eventName":"mcp_guard.message"').length - 1;
  expect([told, sent.includes("approval_limit"), sent.includes("approval_denied")]).toEqual([3, true, true]);
});

test("a call that has gone on is its server's: no tick ends it, and none is left", async () => {
  const guard = start();
  const stream = call(guard);
  await claimed(guard, opened(guard, "approved"));
  for (let ticks = 0; ticks < 100 && guard.plugin.tickPeriodMs > 0; ticks++) guard.plugin.tick();
  expect([guard.plugin.tickPeriodMs, stream.localReply]).toEqual([0, undefined]);
  answer(stream);
  expect(verdict(stream, bodyOf({}))).toBe("allow");
});

describe("two guards of one VM", () => {
  test("do not lend each other a principal", () => {
    const known = start();
    call(known);
    for (const identity of [undefined, {}]) {
      const plugin = addPlugin(known.vm, policyWith({}, { identity }));
      const stream = call({ vm: known.vm, plugin });
      expect(stream.codeDetails).toBe("mcp_guard.human_required");
      expect(plugin.httpCalls).toEqual([]);
      // The next one of the first guard: what was found last is somebody's again.
      call(known);
    }
  });

  test("have their own services, servers, bounds and calls", async () => {
    const one = start({ waiting: 1 });
    const service = { cluster: "approval", authority: "approval:8081" };
    const two = { vm: one.vm, plugin: addPlugin(one.vm, policyWith({ waiting: 1, server: "second", service })) };
    const streams = [call(one), call(two)] as const;
    const digests = [one, two].map((guard) => asked(guard, "open").question);
    expect(digests[0]!.digest).not.toBe(digests[1]!.digest);
    expect(digests.map(({ server }) => server)).toEqual(["github", "second"]);
    for (const guard of [one, two]) expect(verdict(call(guard))).toBe("refuse approval_limit 429");
    const opens = [one, two].map((guard) => opened(guard, "approved"));
    // The receipt of the one call, given to the other one.
    const claim = asked(one, "claim").question;
    say(asked(two, "claim").http, { receipt: await receiptFor(opens[0]!, claim) });
    expect(verdict(streams[1])).toBe("refuse approval_mismatch 200");
    await claimed(one, opens[0]!);
    expect(streams[0].upstream.ended).toBe(true);
  });
});

describe("a flagged name", () => {
  test("asks nobody when it is no tool's", () => {
    const guard = start({}, { prompt_allowlist: [TOOL] });
    const body = `{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"${TOOL}"}}`;
    const stream = send(guard.plugin, { body, stream: { properties: tokenOf("alice") } });
    expect([stream.upstream.body().toString("utf8"), guard.plugin.httpCalls]).toEqual([body, []]);
  });

  test("is one however it is spelled", () => {
    const guard = start();
    const body = `{"jsonrpc":"2.0","id":1,"method":"tools\\/call","params":{"name":"dele\\u0074e_repo"}}`;
    const stream = call(guard, { delivery: { body } });
    expect(asked(guard, "open").question.tool).toBe(TOOL);
    nothing(stream);
  });

  test("with characters that a text escapes stands in answer and question as it is", () => {
    const name = 'delete_"\\\u0001\n\u007f\u00e9';
    const guard = start({ hold_seconds: 0 }, { tool_allowlist: [name] });
    const encodedName = `=?base64?${Buffer.from(name).toString("base64")}?=`;
    const stream = call(guard, {
      client: "modern with links",
      params: { name },
      delivery: { headers: modernHeaders("tools/call", encodedName) },
    });
    expect(opened(guard).tool).toBe(name);
    const reply = JSON.parse(Buffer.from(stream.localReply?.body ?? []).toString("utf8"));
    const { message } = reply.result.inputRequests["guard.approval"].params;
    expect(message).toBe(`Approve the call of ${name}?`);
  });

  test("that is longer than any that can be listed is refused", () => {
    const guard = start();
    expect(verdict(call(guard, { params: { name: `${TOOL}${"x".repeat(256)}` } }))).toBe("refuse tool_not_listed 200");
    expect(guard.plugin.httpCalls).toEqual([]);
  });
});

describe("with the headers held", () => {
  test.each(["separate", "merged", "trailers"] as const)("a call goes on with its headers, %s end", async (end) => {
    const guard = start({}, { request_headers: "hold" });
    const stream = call(guard, { delivery: { end, stream: { properties: tokenOf("alice"), headersStop: true } } });
    expect(stream.upstream.headers).toBeUndefined();
    const open = opened(guard);
    polled(guard, "approved");
    expect(stream.upstream.headers).toBeUndefined();
    await claimed(guard, open);
    expect([stream.upstream.headers === undefined, stream.upstream.body().toString("utf8")]).toEqual([
      false,
      bodyOf({}),
    ]);
  });
});

describe("with a record that must be safe first", () => {
  const otlp = { cluster: "collector", authority: "otel:4318", messages: "none" };

  test("a call with its receipt waits for that, and is refused when it does not come", async () => {
    const guard = start({}, { audit: { otlp, required: "all" } });
    const stream = call(guard);
    await claimed(guard, opened(guard, "approved"));
    nothing(stream);
    guard.plugin.httpCalls[0]!.drop();
    expect(verdict(stream)).toBe("refuse audit_unavailable 503");
  });

  test("a later round waits for it with its body as it will go on", async () => {
    const guard = start({}, { audit: { otlp, required: "all" } });
    const params = { requestState: `mg1.${ID}..` };
    const stream = call(guard, { client: "modern with links", params });
    await claimed(guard, opened(guard, "approved"));
    nothing(stream);
    say(guard.plugin.httpCalls[0]!, "{}");
    expect(JSON.parse(stream.upstream.body().toString("utf8"))).toEqual(
      JSON.parse(bodyOf({ client: "modern with links" })),
    );
  });

  test("while the collector is not asked, a call with its receipt is refused at once", async () => {
    const guard = start({}, { audit: { otlp, required: "all" } });
    const first = call(guard);
    await claimed(guard, opened(guard, "approved"));
    guard.plugin.httpCalls[0]!.drop();
    expect(verdict(first)).toBe("refuse audit_unavailable 503");
    const late = call(guard, { id: 2 });
    await claimed(guard, opened(guard, "approved"));
    expect(verdict(late)).toBe("refuse audit_unavailable 503");
  });
});

test("the count of one principal is not another's of the same name", () => {
  const jwt = ["one", "two"].map((provider) => ({ provider, issuer: `https://${provider}.example`, claim: "sub" }));
  const guard = startGuard(policyWith({ waiting_per_principal: 1 }, { identity: { jwt } }), { clusters: ["approval"] });
  const by = (provider: string): HttpStream => {
    const at = `metadata.filter_metadata.envoy.filters.http.jwt_authn.${provider}`;
    const properties = { [`${at}.iss`]: `https://${provider}.example`, [`${at}.sub`]: "alice" };
    return send(guard.plugin, { body: bodyOf({}), stream: { properties } });
  };
  const streams = [by("one"), by("two")];
  expect(streams.map((stream) => verdict(stream).slice(0, 4))).toEqual(["open", "open"]);
  expect(verdict(by("one"))).toBe("refuse approval_limit 429");
});
