// The caller's token and the one that takes its place (`token_exchange`), on both ways that headers can go. Goal: the server sees the token that was given for it
// or nothing at all, no byte of a body goes on without a verdict, a refused call costs no token, and whoever waits has an answer in the end.

import { describe, expect, test } from "vitest";
import { answer, type Guard, JSON_HEADERS, open, send, startGuard, toolCall, verdict } from "./guard.ts";
import {
  ACCESS_TOKEN,
  asked,
  call,
  deliveryOf,
  get,
  grant,
  ISSUER,
  jwt,
  minted,
  policyWith,
  reached,
  recordOf,
  SECRET,
  say,
  start,
  tokenOf,
  validated,
} from "./token-calls.ts";

const HOLD = { request_headers: "hold" };
const BODY = toolCall("safe");

/** A form value as RFC 6749 appendix B has it. */
const encoded = (text: string): string => new URLSearchParams({ x: text }).toString().slice(2);

describe("what the token endpoint is asked", () => {
  test("has the caller's token, the audience and the types", () => {
    const guard = start();
    call(guard);
    const { http, form } = asked(guard);
    expect([...form]).toEqual([
      ["grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"],
      ["audience", "https://mcp.example/mcp"],
      ["requested_token_type", ACCESS_TOKEN],
      ["subject_token", tokenOf("alice")],
      ["subject_token_type", ACCESS_TOKEN],
    ]);
    expect(http.timeoutMs).toBe(2000);
  });

  test("has everything that the policy says", () => {
    const exchange = {
      service: { cluster: "idp", authority: "idp.example", path: "/oauth2/token", timeout_ms: 700 },
      resource: "https://mcp.example/a?b=c&d",
      scope: "read write~x",
      requested_token_type: "urn:ietf:params:oauth:token-type:jwt",
      subject_token_type: "urn:ietf:params:oauth:token-type:id_token",
      actor: { token_env: "ACTOR", token_type: "urn:ietf:params:oauth:token-type:jwt" },
    };
    const guard = start(exchange, {}, { environment: { CLIENT_SECRET: SECRET, ACTOR: "a.b+c/d~e=" } });
    call(guard);
    const { http, form } = asked(guard);
    expect([...form]).toEqual([
      ["grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"],
      ["resource", "https://mcp.example/a?b=c&d"],
      ["audience", "https://mcp.example/mcp"],
      ["scope", "read write~x"],
      ["requested_token_type", "urn:ietf:params:oauth:token-type:jwt"],
      ["subject_token", tokenOf("alice")],
      ["subject_token_type", "urn:ietf:params:oauth:token-type:id_token"],
      ["actor_token", "a.b+c/d~e="],
      ["actor_token_type", "urn:ietf:params:oauth:token-type:jwt"],
    ]);
    // Byte for byte as the URL standard writes a form.
    expect(http.body.toString("latin1")).toBe(form.toString());
    expect(http.timeoutMs).toBe(700);
  });

  test.each([
    ["plain ones", "guard", "abc"],
    ["ones with signs", "a:b%c/d", "p+q=r&s~t*u-v.w_x"],
    ["an id of 512 signs and a secret of 512 signs", "%".repeat(512), "+".repeat(512)],
  ])("says who asks: %s", (_what, id, secret) => {
    const client = { id, auth: "client_secret_basic", secret_env: "S" };
    const guard = start({ client }, {}, { environment: { OTHER: "x", S: secret, LAST: "y" } });
    call(guard);
    const value = asked(guard).http.headers.get("authorization") ?? "";
    expect(value).toMatch(/^Basic /);
    expect(Buffer.from(value.slice(6), "base64").toString("latin1")).toBe(`${encoded(id)}:${encoded(secret)}`);
  });
});

describe("request_headers: release", () => {
  test.each([false, true])(
    "a call waits at its headers, and goes on with the new token (body callbacks meanwhile: %s)",
    (headersStop) => {
      const guard = start();
      const stream = call(guard, { headersStop });
      expect(reached(stream)).toBeUndefined();
      minted(guard);
      expect(reached(stream)).toEqual(["Bearer minted-1"]);
      answer(stream);
      expect(verdict(stream, BODY)).toBe("allow");
      expect(recordOf(stream)["mcp_guard.token.exchange"]).toBe("minted");
    },
  );

  test.each([false, true])("the next one finds it and does not wait (body callbacks meanwhile: %s)", (headersStop) => {
    const guard = start();
    call(guard, { headersStop });
    minted(guard);
    const stream = call(guard, { headersStop });
    expect(guard.plugin.httpCalls).toEqual([]);
    expect(reached(stream)).toEqual(["Bearer minted-1"]);
    answer(stream);
    expect(verdict(stream, BODY)).toBe("allow");
    expect(recordOf(stream)["mcp_guard.token.exchange"]).toBe("cached");
  });

  test("headers alone go on before the body has come", () => {
    const guard = start();
    const stream = open(guard.plugin, deliveryOf({ headersStop: true }));
    minted(guard);
    expect(reached(stream)).toEqual(["Bearer minted-1"]);
    stream.requestBody(BODY, false);
    expect(stream.upstream.body().length).toBe(0);
    stream.requestEnd();
    answer(stream);
    expect(verdict(stream, BODY)).toBe("allow");
  });

  test("of a body that has come in part nothing goes on with the token", () => {
    const guard = start();
    const stream = open(guard.plugin, deliveryOf({ headersStop: true }));
    stream.requestBody(BODY.slice(0, 20), false);
    minted(guard);
    expect([reached(stream), stream.upstream.body().length]).toEqual([undefined, 0]);
    stream.requestBody(BODY.slice(20), false);
    expect([reached(stream), stream.upstream.body().length]).toEqual([undefined, 0]);
    stream.requestEnd();
    expect(reached(stream)).toEqual(["Bearer minted-1"]);
    answer(stream);
    expect(verdict(stream, BODY)).toBe("allow");
  });

  test("nor when the verdict on it is no", () => {
    const guard = start();
    const body = toolCall("drop_tables");
    const stream = open(guard.plugin, deliveryOf({ headersStop: true }));
    stream.requestBody(body.slice(0, 20), false);
    minted(guard);
    stream.requestBody(body.slice(20), true);
    expect(verdict(stream, body)).toBe("refuse tool_not_listed 200");
    expect(reached(stream)).toBeUndefined();
  });

  test("a body that has its verdict before the token comes waits for it", () => {
    const guard = start();
    const stream = call(guard, { headersStop: true });
    expect([reached(stream), stream.upstream.body().length]).toEqual([undefined, 0]);
    minted(guard);
    expect([stream.upstream.body().toString(), stream.upstream.ended]).toEqual([BODY, true]);
  });

  test("so does one that ends with trailers, and no token goes on in these", () => {
    const guard = start();
    const stream = open(guard.plugin, deliveryOf({ headersStop: true }));
    stream.requestBody(BODY, false);
    stream.requestTrailers([
      ["authorization", "Bearer smuggled"],
      ["x-checksum", "0"],
    ]);
    expect(reached(stream)).toBeUndefined();
    minted(guard);
    expect(reached(stream)).toEqual(["Bearer minted-1"]);
    expect([...(stream.upstream.trailers?.pairs() ?? [])]).toEqual([["x-checksum", "0"]]);
    expect(stream.upstream.ended).toBe(true);
  });

  test("one that ends with trailers goes on from the next tick when its headers have waited", () => {
    const guard = start();
    const stream = call(guard, { delivery: { end: "trailers" } });
    minted(guard);
    // Which comes at once.
    expect([stream.upstream.body().length, guard.plugin.tickPeriodMs]).toEqual([0, 1]);
    guard.plugin.tick();
    expect([reached(stream), stream.upstream.body().toString(), stream.upstream.ended]).toEqual([
      ["Bearer minted-1"],
      BODY,
      true,
    ]);
    answer(stream);
    expect(verdict(stream, BODY)).toBe("allow");
    // One whose headers have not waited needs no tick.
    const next = call(guard, { delivery: { end: "trailers" } });
    expect([reached(next), next.upstream.ended]).toEqual([["Bearer minted-1"], true]);
  });

  test("nor is it given up when that tick comes late", () => {
    const guard = start({}, { limits: { stall_ms: 1000 } });
    const stream = open(guard.plugin, deliveryOf({}));
    minted(guard);
    stream.requestBody(BODY, false);
    for (let tick = 0; tick < 4; tick++) guard.plugin.tick();
    guard.vm.failNext("proxy_set_tick_period_milliseconds", 2);
    stream.requestTrailers({ "x-checksum": "0" });
    guard.plugin.tick();
    expect([stream.localReply, stream.upstream.ended]).toEqual([undefined, true]);
  });

  test("one that is refused in its trailers is refused at once", () => {
    const guard = start();
    const stream = call(guard, { tool: "drop_tables", delivery: { end: "trailers" } });
    minted(guard);
    expect(stream.localReply?.details).toBe("mcp_guard.tool_not_listed");
    expect(stream.upstream.body().length).toBe(0);
  });

  test("one whose refusal the proxy does not take at once does not take the token either", () => {
    const guard = start();
    guard.vm.failNext("proxy_send_local_response", 2);
    const stream = call(guard, { tool: "drop_tables", headersStop: true });
    expect(stream.finished).toBe(false);
    minted(guard);
    expect(reached(stream)).toBeUndefined();
    for (let tick = 0; tick < 12 && !stream.finished; tick++) guard.plugin.tick();
    expect(stream.localReply?.details).toBe("mcp_guard.tool_not_listed");
    expect(recordOf(stream)["mcp_guard.token.exchange"]).toBeUndefined();
  });

  test("a verdict that is no refuses at once, and the answer is kept all the same", () => {
    const guard = start();
    const stream = call(guard, { tool: "drop_tables", headersStop: true });
    expect(verdict(stream, toolCall("drop_tables"))).toBe("refuse tool_not_listed 200");
    minted(guard);
    expect(reached(call(guard))).toEqual(["Bearer minted-1"]);
  });

  test.each(["GET", "DELETE"])("%s waits for its token too", (method) => {
    const guard = start();
    const stream = get(guard, { delivery: { method } });
    expect(reached(stream)).toBeUndefined();
    minted(guard);
    expect(reached(stream)).toEqual(["Bearer minted-1"]);
    expect(stream.upstream.ended).toBe(true);
    answer(stream);
    expect(stream.filterState.get("mcp_decision")).toBe("pass");
  });

  test("a body that streams flows when the token has come, and its end waits for the verdict", () => {
    const guard = start({}, { request_body: "stream" });
    const stream = open(guard.plugin, deliveryOf({ headersStop: true }));
    stream.requestBody(BODY.slice(0, 20), false);
    expect(reached(stream)).toBeUndefined();
    minted(guard);
    expect([reached(stream), stream.upstream.body().toString()]).toEqual([["Bearer minted-1"], BODY.slice(0, 20)]);
    stream.requestBody(BODY.slice(20), false);
    expect(stream.upstream.body().toString()).toBe(BODY.slice(0, 20));
    stream.requestEnd();
    expect(stream.upstream.body().toString()).toBe(BODY);
  });

  test("a body that streams and flows already goes on with its trailers at once", () => {
    const guard = start({}, { request_body: "stream" });
    const stream = open(guard.plugin, deliveryOf({ headersStop: true }));
    stream.requestBody(BODY.slice(0, 20), false);
    minted(guard);
    // Nor is it watched while it flows.
    guard.plugin.tick();
    expect(guard.plugin.tickPeriodMs).toBe(0);
    stream.requestBody(BODY.slice(20), false);
    stream.requestTrailers({ "x-checksum": "0" });
    expect([stream.upstream.body().toString(), stream.upstream.ended]).toEqual([BODY, true]);
  });

  test("a body that streams and has come to its end before the token waits for the verdict", () => {
    const guard = start({}, { request_body: "stream" });
    const stream = open(guard.plugin, deliveryOf({ headersStop: true }));
    stream.requestBody(toolCall("drop_tables"), false);
    minted(guard);
    expect([reached(stream), stream.upstream.body().length]).toEqual([undefined, 0]);
    stream.requestEnd();
    expect(verdict(stream, toolCall("drop_tables"))).toBe("refuse tool_not_listed 200");
  });
});

describe("request_headers: hold", () => {
  const held = (guard: Guard, options: Parameters<typeof call>[1] = {}) =>
    call(guard, { headersStop: true, ...options });

  test("a call is asked about after its verdict", () => {
    const guard = start({}, HOLD);
    const stream = open(guard.plugin, deliveryOf({ headersStop: true }));
    stream.requestBody(BODY, false);
    expect(guard.plugin.httpCalls).toEqual([]);
    stream.requestEnd();
    expect(asked(guard).form.get("subject_token")).toBe(tokenOf("alice"));
    expect(reached(stream)).toBeUndefined();
    minted(guard);
    expect(reached(stream)).toEqual(["Bearer minted-1"]);
    answer(stream);
    expect(verdict(stream, BODY)).toBe("allow");
  });

  test("a call that is refused costs no token", () => {
    const guard = start({}, HOLD);
    const stream = held(guard, { tool: "drop_tables" });
    expect(verdict(stream, toolCall("drop_tables"))).toBe("refuse tool_not_listed 200");
    expect(guard.plugin.httpCalls).toEqual([]);
    expect(recordOf(stream)["mcp_guard.token.exchange"]).toBeUndefined();
  });

  test("the next call finds the token", () => {
    const guard = start({}, HOLD);
    held(guard);
    minted(guard);
    const stream = held(guard);
    expect(guard.plugin.httpCalls).toEqual([]);
    answer(stream);
    expect([verdict(stream, BODY), reached(stream)]).toEqual(["allow", ["Bearer minted-1"]]);
  });

  test("a request without a body does not wait for a verdict", () => {
    const guard = start({}, HOLD);
    const stream = get(guard);
    minted(guard);
    expect(reached(stream)).toEqual(["Bearer minted-1"]);
  });

  test("a call that ends with trailers waits in them", () => {
    const guard = start({}, HOLD);
    const stream = held(guard, { delivery: { end: "trailers" } });
    expect(reached(stream)).toBeUndefined();
    minted(guard);
    expect([reached(stream), stream.upstream.body().toString(), stream.upstream.ended]).toEqual([
      ["Bearer minted-1"],
      BODY,
      true,
    ]);
  });

  test("calls that have gone on take no room from those that are read", () => {
    const guard = start({}, { ...HOLD, limits: { in_flight_bytes: 65_536 } });
    const last = Array.from({ length: 50 }, (_, user) => {
      const stream = held(guard, { principal: `user-${user}` });
      minted(guard);
      return stream;
    }).at(-1)!;
    expect(reached(last)).toEqual(["Bearer minted-1"]);
  });

  test("a token of another kind is refused at the headers", () => {
    const guard = start({}, HOLD);
    const stream = open(guard.plugin, deliveryOf({ headersStop: true, authorization: ["Basic eDp5"] }));
    expect(stream.localReply?.details).toBe("mcp_guard.token_invalid");
  });
});

describe("a request without a token", () => {
  test.each([{}, HOLD])("goes on without one, and is asked about by nobody (%o)", (rest) => {
    const guard = start({}, rest);
    const stream = call(guard, { authorization: [], headersStop: true });
    answer(stream);
    expect([verdict(stream, BODY), reached(stream), guard.plugin.httpCalls]).toEqual(["allow", [], []]);
    expect(recordOf(stream)["mcp_guard.token.exchange"]).toBeUndefined();
  });

  test("gets the server's challenge as it is", () => {
    const guard = start();
    const stream = get(guard, { authorization: [], delivery: { path: "/.well-known/oauth-protected-resource" } });
    stream.responseHeaders({ ":status": "401", "www-authenticate": 'Bearer resource_metadata="https://x/y"' }, true);
    expect(stream.downstream.headers?.get("www-authenticate")).toBe('Bearer resource_metadata="https://x/y"');
  });
});

describe("authorization: strip", () => {
  const strip = () => startGuard({ tool_allowlist: ["safe"], authorization: "strip" });

  test.each([[["Bearer a.b.c"]], [["Basic eDp5"]], [["Bearer a", "Bearer b"]], [[]]])(
    "the server sees no token of %o",
    (authorization) => {
      const guard = strip();
      const stream = call(guard, { authorization });
      answer(stream);
      expect([verdict(stream, BODY), reached(stream)]).toEqual(["allow", []]);
    },
  );

  test("nor one in trailers", () => {
    const stream = open(strip().plugin);
    stream.requestBody(BODY, false);
    stream.requestTrailers({ authorization: "Bearer a" });
    expect([...(stream.upstream.trailers?.pairs() ?? [])]).toEqual([]);
  });
});

describe("a token in the query", () => {
  const guards = {
    exchange: () => start(),
    strip: () => startGuard({ tool_allowlist: ["safe"], authorization: "strip" }),
  };

  test.each([
    "/mcp?access_token=x",
    "/mcp?a=b&access_token=x",
    "/mcp?access_token",
    "/mcp?a=b;access_token=x",
    "/mcp?%61ccess_token=x",
    "/mcp?access%5Ftoken=x",
    "/mcp?access%5ftoken=x&a",
    "/mcp?&&access_token=",
    "/mcp?a;access_token",
    "/mcp?access_toke%6e",
    "/mcp?access_toke%6E",
  ])("is refused: %s", (path) => {
    for (const guard of Object.values(guards)) {
      const posted = send(guard().plugin, { ...deliveryOf({}), path });
      expect(verdict(posted, BODY)).toBe("refuse token_invalid 401");
      expect(posted.downstream.headers?.get("www-authenticate")).toBe('Bearer error="invalid_token"');
      const got = get(guard(), { delivery: { path } });
      expect(got.localReply?.details).toBe("mcp_guard.token_invalid");
    }
  });

  test.each([
    "/mcp?access_tokens=x",
    "/mcp?x_access_token=x",
    "/mcp?a=access_token",
    "/access_token=x",
    "/mcp?%2561ccess_token=x",
    "/mcp?access_toke",
    "/mcp?access_toke%6",
    "/mcp?%",
    "/mcp?a=b=access_token=c",
  ])("is something else: %s", (path) => {
    const stream = send(guards.strip().plugin, { body: BODY, path });
    expect(reached(stream)).toEqual([]);
  });

  test("passes where the policy does nothing with tokens", () => {
    const stream = send(startGuard({ tool_allowlist: ["safe"] }).plugin, { body: BODY, path: "/mcp?access_token=x" });
    expect(reached(stream)).toEqual([]);
  });
});

describe("what the policy does not touch", () => {
  const twice = ["Bearer a", "Basic b"];

  test("monitor mode", () => {
    const guard = start({}, { mode: "monitor" });
    const stream = call(guard, { authorization: twice, delivery: { path: "/mcp?access_token=x" } });
    answer(stream);
    expect([verdict(stream, BODY), reached(stream), guard.plugin.httpCalls]).toEqual(["allow", twice, []]);
  });

  test("outbound listeners, trailers included", () => {
    const guard = start();
    const outbound = { authorization: twice, delivery: { stream: { listenerDirection: 2 } } } as const;
    const stream = open(guard.plugin, deliveryOf(outbound));
    stream.requestBody("x", false);
    stream.requestTrailers({ authorization: "Bearer c" });
    expect([reached(stream), guard.plugin.httpCalls]).toEqual([twice, []]);
    expect(stream.upstream.trailers?.get("authorization")).toBe("Bearer c");
  });

  test("unguarded endpoints, trailers included", () => {
    const unguarded = [{ methods: ["POST"], path: "/oauth/token", reason: "the server's own" }];
    const guard = start({}, { unguarded });
    const stream = open(guard.plugin, deliveryOf({ authorization: twice, delivery: { path: "/oauth/token" } }));
    stream.requestBody("x", false);
    stream.requestTrailers({ authorization: "Bearer c" });
    expect([reached(stream), guard.plugin.httpCalls]).toEqual([twice, []]);
    expect(stream.upstream.trailers?.get("authorization")).toBe("Bearer c");
  });

  test.each([
    ["in monitor mode", policyWith({}, { mode: "monitor" })],
    ["with authorization: pass", { tool_allowlist: ["safe"], authorization: "pass" }],
  ])("trailers %s", (_what, policy) => {
    const guard = startGuard(policy, { clusters: ["idp"], environment: { CLIENT_SECRET: SECRET } });
    const stream = open(guard.plugin, deliveryOf({}));
    stream.requestBody(BODY, false);
    stream.requestTrailers({ authorization: "Bearer c" });
    expect([...(stream.upstream.trailers?.pairs() ?? [])]).toEqual([["authorization", "Bearer c"]]);
  });

  test("authorization: pass", () => {
    const stream = call(startGuard({ tool_allowlist: ["safe"], authorization: "pass" }), {
      authorization: ["Bearer a"],
    });
    expect(reached(stream)).toEqual(["Bearer a"]);
  });
});

describe("many requests and one token", () => {
  test("those of one caller wait for one question, those of another for their own", () => {
    const guard = start();
    const alices = [1, 2, 3].map(() => call(guard));
    const bob = call(guard, { principal: "bob" });
    expect(guard.plugin.httpCalls.length).toBe(2);
    const [first, second] = guard.plugin.httpCalls;
    say(second!, grant("for-bob"));
    expect([alices.map(reached), reached(bob)]).toEqual([[undefined, undefined, undefined], ["Bearer for-bob"]]);
    say(first!, grant("for-alice"));
    expect(alices.map(reached)).toEqual([["Bearer for-alice"], ["Bearer for-alice"], ["Bearer for-alice"]]);
    const values = alices.map((stream) => {
      answer(stream);
      return recordOf(stream)["mcp_guard.token.exchange"];
    });
    expect(values).toEqual(["minted", "cached", "cached"]);
  });

  test("more than a callback may end go on from the next ticks, all of them, though the question's time is over then", () => {
    const guard = start({
      service: { cluster: "idp", authority: "idp.example", path: "/oauth2/token", timeout_ms: 100 },
    });
    const streams = Array.from({ length: 200 }, () => call(guard));
    // The next ticks are none that come at once, and count.
    guard.vm.failAll("proxy_set_tick_period_milliseconds", 2);
    minted(guard);
    const gone = () => streams.filter((stream) => reached(stream) !== undefined).length;
    expect(gone()).toBe(32);
    guard.plugin.tick();
    expect(gone()).toBe(64);
    for (let tick = 0; tick < 5; tick++) guard.plugin.tick();
    expect(gone()).toBe(200);
  });

  test("a token of which nobody says how long it is good serves those who wait, and nobody after them", () => {
    const guard = start();
    const streams = Array.from({ length: 40 }, () => call(guard));
    minted(guard, "once", { expires_in: undefined });
    // Its flight is over: who comes now asks anew, whether others still wait or not.
    const late = call(guard);
    guard.plugin.tick();
    expect(streams.map(reached)).toEqual(streams.map(() => ["Bearer once"]));
    expect(reached(late)).toBeUndefined();
    minted(guard, "twice");
    expect(reached(late)).toEqual(["Bearer twice"]);
  });

  test("a refusal reaches all of them", () => {
    const guard = start();
    const streams = Array.from({ length: 40 }, () => call(guard, { headersStop: true }));
    say(asked(guard).http, { error: "invalid_grant" }, 400);
    guard.plugin.tick();
    expect(new Set(streams.map((stream) => verdict(stream, BODY)))).toEqual(
      new Set(["refuse token_exchange_refused 401"]),
    );
    expect(streams[0]!.downstream.headers?.get("www-authenticate")).toBe('Bearer error="invalid_token"');
  });

  test("no more than 256 questions are under way at once", () => {
    const guard = start();
    const streams = Array.from({ length: 257 }, (_, index) => call(guard, { principal: `user-${index}` }));
    expect(guard.plugin.httpCalls.length).toBe(256);
    expect(streams[256]!.localReply?.details).toBe("mcp_guard.token_exchange_unavailable");
    expect(streams[255]!.localReply).toBeUndefined();
    say(guard.plugin.httpCalls[0]!, grant("x"));
    call(guard, { principal: "user-257" });
    expect(guard.plugin.httpCalls.length).toBe(256);
  });

  test("questions whose askers were refused are not under way any more once they are answered", () => {
    const guard = start();
    for (let round = 0; round < 3; round++) {
      for (let user = 0; user < 256; user++) {
        call(guard, { principal: `user-${round}-${user}`, tool: "drop_tables", headersStop: true });
      }
      expect(guard.plugin.httpCalls.length).toBe(256);
      for (const http of guard.plugin.httpCalls) say(http, {}, 500);
    }
  });
});

describe("while a question is under way", () => {
  test("the client goes away: the answer is kept", () => {
    const guard = start();
    const stream = call(guard);
    stream.clientGone();
    expect(stream.finished).toBe(true);
    minted(guard);
    expect(reached(call(guard))).toEqual(["Bearer minted-1"]);
  });

  test("a client of several goes away: the others go on", () => {
    const guard = start();
    const [first, second] = [call(guard), call(guard)];
    first.clientGone();
    minted(guard);
    expect([reached(first), reached(second)]).toEqual([undefined, ["Bearer minted-1"]]);
  });

  test("the guard goes: the answer is dropped", () => {
    const guard = start();
    const stream = call(guard);
    const { http } = asked(guard);
    stream.clientGone();
    guard.plugin.stop();
    say(http, grant("late"));
    expect([guard.vm.failed, guard.vm.contextCount()]).toEqual([false, 0]);
  });

  test("no stream is refused before its time, and none waits for ever", () => {
    const service = { cluster: "idp", authority: "idp.example", path: "/oauth2/token", timeout_ms: 30_000 };
    const guard = start({ service }, { limits: { stall_ms: 1000 } });
    // The guard has been at work for a while.
    call(guard, { principal: "bob" });
    for (let tick = 0; tick < 100; tick++) guard.plugin.tick();
    say(asked(guard).http, {}, 500);
    const stream = call(guard);
    // 30 s are 120 ticks of 250 ms.
    for (let tick = 0; tick < 120; tick++) guard.plugin.tick();
    expect([stream.finished, guard.plugin.httpCalls.length]).toEqual([false, 1]);
    // And two more, for a proxy that is late.
    for (let tick = 0; tick < 2; tick++) guard.plugin.tick();
    expect(verdict(stream, "")).toBe("refuse token_exchange_unavailable 503");
    say(asked(guard).http, grant("late"));
    expect(reached(call(guard))).toBeUndefined();
  });

  test("an answer that comes when its time is over serves nobody, not even who has not been told yet", () => {
    const guard = start();
    const streams = Array.from({ length: 40 }, () => call(guard));
    for (let tick = 0; tick < 3; tick++) guard.plugin.tick();
    expect(streams.filter(({ finished }) => finished).length).toBe(32);
    minted(guard);
    guard.plugin.tick();
    expect(new Set(streams.map((stream) => verdict(stream, "")))).toEqual(
      new Set(["refuse token_exchange_unavailable 503"]),
    );
  });

  test("a request that has its token is watched as any other", () => {
    const guard = start({}, { limits: { stall_ms: 1000 } });
    const stream = open(guard.plugin, deliveryOf({ headersStop: true }));
    for (let tick = 0; tick < 7; tick++) guard.plugin.tick();
    minted(guard);
    for (let tick = 0; tick < 4; tick++) guard.plugin.tick();
    expect(stream.finished).toBe(false);
    guard.plugin.tick();
    expect(verdict(stream, "")).toBe("refuse stalled 408");
  });

  test("the timer runs, and stops when nothing waits any more", () => {
    const guard = start();
    const stream = call(guard);
    stream.clientGone();
    guard.plugin.tick();
    expect(guard.plugin.tickPeriodMs).toBeGreaterThan(0);
    minted(guard);
    guard.plugin.tick();
    expect(guard.plugin.tickPeriodMs).toBe(0);
    // A request that has gone on waits for nothing, however late the server answers.
    get(guard, { principal: "bob" });
    minted(guard);
    guard.plugin.tick();
    expect(guard.plugin.tickPeriodMs).toBe(0);
  });
});

describe("figures", () => {
  const counted = ({ vm }: Guard, name: string): bigint | number | undefined =>
    vm.metrics.value(`mcp_guard_token_${name}`);

  test("what was given, what was found, what failed", () => {
    const guard = start();
    call(guard);
    call(guard);
    minted(guard);
    call(guard);
    call(guard, { principal: "bob" });
    say(asked(guard).http, { error: "access_denied" }, 403);
    call(guard, { principal: "bob" });
    call(guard, { principal: "eve" });
    asked(guard).http.refuse();
    expect([counted(guard, "minted"), counted(guard, "cached"), counted(guard, "failed")].map(Number)).toEqual([
      1, 2, 2,
    ]);
  });
});

describe("the log", () => {
  test("tells once that there are no tokens, and once that there are", () => {
    const guard = start();
    const lines = () =>
      guard.vm.logs
        .filter(({ message }) => message.includes("token_exchange:"))
        .map(({ level, message }) => `${level} ${message}`);
    for (let round = 0; round < 3; round++) {
      call(guard);
      say(asked(guard).http, { error: "invalid_client" }, 401);
    }
    call(guard);
    minted(guard);
    expect(lines()).toEqual([
      "warn mcp-guard: token_exchange: the token endpoint gives no token, status 401",
      "info mcp-guard: token_exchange: the token endpoint answers again",
    ]);
  });

  test("never has a token or a secret, nor has a record", () => {
    const guard = start();
    const token = tokenOf("alice");
    const streams = [call(guard), call(guard), call(guard, { authorization: [`Bearer ${token} x`] })];
    minted(guard, "minted-and-secret");
    for (const stream of streams.slice(0, 2)) answer(stream);
    const texts = [
      ...guard.vm.logs.map(({ message }) => message),
      ...streams.map((stream) => stream.filterState.get("mcp_audit") ?? ""),
    ];
    expect(texts.length).toBeGreaterThan(3);
    for (const secret of [token, token.split(".")[1]!, SECRET, encoded(SECRET), "minted-and-secret"]) {
      expect(texts.filter((text) => text.includes(secret))).toEqual([]);
    }
  });
});

test("the host refuses to put the token into the request: nothing goes on", () => {
  const guard = start();
  const stream = call(guard);
  guard.vm.failAll("proxy_replace_header_map_value", 2);
  minted(guard);
  expect(verdict(stream, "")).toBe("refuse internal 500");
  guard.vm.clearFaults();
  const next = call(guard);
  expect(reached(next)).toEqual(["Bearer minted-1"]);
  guard.vm.failNext("proxy_replace_header_map_value", 2);
  expect(call(guard).localReply?.details).toBe("mcp_guard.internal");
});

test("the host does not give the headers at the verdict: nobody is asked, and nothing goes on", () => {
  const guard = start({}, HOLD);
  const stream = call(guard, { headersStop: true, delivery: { end: "never" } });
  guard.vm.failNext("proxy_get_header_map_pairs", 2);
  stream.requestEnd();
  expect([verdict(stream, BODY), guard.plugin.httpCalls]).toEqual(["refuse internal 500", []]);
});

test("the host refuses to take the token out of the request: nothing goes on", () => {
  const guard = startGuard({ tool_allowlist: ["safe"], authorization: "strip" });
  guard.vm.failNext("proxy_remove_header_map_value", 2);
  expect(call(guard).localReply?.details).toBe("mcp_guard.internal");
  const stream = open(guard.plugin, { headers: JSON_HEADERS });
  stream.requestBody(BODY, false);
  guard.vm.failNext("proxy_remove_header_map_value", 2);
  stream.requestTrailers({ authorization: "Bearer a" });
  expect([stream.localReply?.details, stream.upstream.ended]).toEqual(["mcp_guard.internal", false]);
});

test("the host refuses to let the request go on: it is answered", () => {
  const guard = start();
  const stream = call(guard);
  guard.vm.failNext("proxy_continue_stream", 2);
  minted(guard);
  expect(verdict(stream, "")).toBe("refuse internal 500");
});

test("two guards in one VM share no token", () => {
  const guard = start();
  const other = { vm: guard.vm, plugin: guard.vm.startPlugin(JSON.stringify(policyWith())) };
  other.plugin.tick();
  call(guard);
  minted(guard, "first");
  const stream = call(other);
  expect(reached(stream)).toBeUndefined();
  minted(other, "second");
  expect(reached(stream)).toEqual(["Bearer second"]);
  expect(reached(call(guard))).toEqual(["Bearer first"]);
});

test("a second provider's claim makes another caller of the same token", () => {
  const jwtEntries = [
    { provider: "people", issuer: ISSUER, claim: "sub" },
    { provider: "staff", issuer: ISSUER, claim: "mail" },
  ];
  const guard = start({}, { identity: { jwt: jwtEntries } });
  const token = jwt({ iss: ISSUER, sub: "alice" });
  const authorization = [`Bearer ${token}`];
  call(guard, { authorization });
  minted(guard);
  const stream = call(guard, {
    authorization,
    delivery: { stream: { properties: validated("alice", "staff", "mail") } },
  });
  expect(stream.localReply?.details).toBe("mcp_guard.token_invalid");
});
