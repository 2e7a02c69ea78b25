// Tokens that are kept. Goal: each is given to the caller who has brought the one it was given for, as long as it is good and no longer than the policy lets it; how many
// there are has a bound, whoever comes; and of no token or secret anything stays in the module's memory when nobody needs it any more.

import { generateKeyPairSync } from "node:crypto";
import { describe, expect, test } from "vitest";
import { startAgain } from "./configured-again.ts";
import { answer, type Guard, toolCall, verdict } from "./guard.ts";
import {
  asked,
  call,
  clockFrom,
  get,
  grant,
  ISSUER,
  jwt,
  minted,
  policyWith,
  reached,
  SECRET,
  say,
  start,
  timesInMemory,
  tokenOf,
} from "./token-calls.ts";

const BODY = toolCall("safe");

/** Whether a caller's token is known: without asking, the request is at the server at once. */
function knows(guard: Guard, principal: string): boolean {
  const stream = call(guard, { principal });
  const isKnown = guard.plugin.httpCalls.length === 0;
  if (isKnown) answer(stream);
  else say(guard.plugin.httpCalls[0]!, {}, 500);
  return isKnown;
}

function mint(guard: Guard, principal: string, more: object = {}): void {
  const stream = call(guard, { principal });
  minted(guard, `for-${principal}`, more);
  answer(stream);
}

describe("how long", () => {
  const timed = (exchange: object, more: object) => {
    const clock = clockFrom();
    const guard = start(exchange, {}, { now: clock.now });
    mint(guard, "alice", more);
    return { guard, clock };
  };

  test.each([
    ["as long as the token is good, less ten seconds", {}, { expires_in: 40 }, 30],
    ["one second", {}, { expires_in: 11 }, 1],
    ["a minute where nobody says otherwise", {}, { expires_in: 3600 }, 60],
    ["as long as the policy lets it", { max_cache_seconds: 300 }, { expires_in: 3600 }, 300],
    [
      "as long as the token is good where the policy lets it longer",
      { max_cache_seconds: 3600 },
      { expires_in: 200 },
      190,
    ],
    ["an end in the far future", { max_cache_seconds: 3600 }, { expires_in: 9_999_999_999 }, 3600],
  ])("%s", (_what, exchange, more, seconds) => {
    const before = timed(exchange, more);
    before.clock.pass(seconds - 0.001);
    expect(knows(before.guard, "alice")).toBe(true);
    const after = timed(exchange, more);
    after.clock.pass(seconds);
    expect(knows(after.guard, "alice")).toBe(false);
  });

  test("not at all where the policy says 0", () => {
    expect(knows(timed({ max_cache_seconds: 0 }, {}).guard, "alice")).toBe(false);
  });

  test("using it does not make it last", () => {
    const { guard, clock } = timed({}, {});
    for (let second = 0; second < 59; second++) {
      clock.pass(1);
      expect(knows(guard, "alice")).toBe(true);
    }
    clock.pass(1);
    expect(knows(guard, "alice")).toBe(false);
  });

  test("a call that is held finds at its verdict what is good then", () => {
    const clock = clockFrom();
    const guard = start({}, { request_headers: "hold" }, { now: clock.now });
    const begin = () => call(guard, { headersStop: true, delivery: { end: "never" } });
    const [early, late] = [begin(), begin()];
    clock.pass(1);
    call(guard, { headersStop: true });
    minted(guard);
    early.requestEnd();
    expect(reached(early)).toEqual(["Bearer minted-1"]);
    clock.pass(60);
    late.requestEnd();
    minted(guard, "minted-2");
    expect(reached(late)).toEqual(["Bearer minted-2"]);
  });

  test("a clock that is set back makes it last no longer", () => {
    const { guard, clock } = timed({}, {});
    clock.pass(-1);
    expect(knows(guard, "alice")).toBe(false);
  });

  test("without a clock nothing is kept, and what is kept is not used", () => {
    const { guard } = timed({}, {});
    guard.vm.failAll("proxy_get_current_time_nanoseconds", 10);
    expect(knows(guard, "alice")).toBe(false);
    const stream = call(guard, { principal: "bob" });
    minted(guard);
    expect(reached(stream)).toEqual(["Bearer minted-1"]);
    call(guard, { principal: "eve" });
    say(asked(guard).http, { error: "invalid_grant" }, 400);
    for (const principal of ["bob", "eve"]) expect(knows(guard, principal)).toBe(false);
    guard.vm.clearFaults();
    expect(knows(guard, "bob")).toBe(false);
  });

  test("a refusal five seconds", () => {
    const clock = clockFrom();
    const guard = start({}, {}, { now: clock.now });
    call(guard);
    say(asked(guard).http, { error: "invalid_grant" }, 400);
    clock.pass(4.999);
    const stream = call(guard);
    expect([verdict(stream, BODY), guard.plugin.httpCalls.length]).toEqual(["refuse token_exchange_refused 401", 0]);
    clock.pass(0.001);
    call(guard);
    minted(guard);
    expect(knows(guard, "alice")).toBe(true);
  });

  test("a service that does not work is asked again by the next one", () => {
    const guard = start();
    call(guard);
    say(asked(guard).http, {}, 503);
    call(guard);
    minted(guard);
    expect(knows(guard, "alice")).toBe(true);
  });
});

describe("a server's answer", () => {
  const served = (status: number, how: "read" | "not read" | "without a body"): boolean => {
    const guard = start();
    mint(guard, "alice");
    const stream = how === "read" ? call(guard) : get(guard);
    const type = how === "not read" ? "text/html" : "application/json";
    stream.responseHeaders({ ":status": `${status}`, "content-type": type }, how === "without a body");
    if (how !== "without a body") stream.responseBody("{}", true);
    return knows(guard, "alice");
  };

  test.each(["read", "not read", "without a body"] as const)("401 takes the token out (%s)", (how) => {
    expect(served(401, how)).toBe(false);
  });

  test.each([200, 400, 402, 403, 404, 500, 503])("%i does not", (status) => {
    for (const how of ["read", "not read", "without a body"] as const) expect(served(status, how)).toBe(true);
  });

  test("401 to the first request takes out what that has brought", () => {
    const guard = start();
    const [first, second] = [call(guard), call(guard)];
    minted(guard);
    second.responseHeaders({ ":status": "401" }, true);
    expect(knows(guard, "alice")).toBe(false);
    answer(first);
  });

  test("401 that comes late leaves the token that has come since", () => {
    const clock = clockFrom();
    const guard = start({}, {}, { now: clock.now });
    const stream = call(guard);
    minted(guard);
    clock.pass(60);
    mint(guard, "alice");
    stream.responseHeaders({ ":status": "401" }, true);
    expect(knows(guard, "alice")).toBe(true);
  });

  test("401 that comes when the slot is somebody else's leaves that one's", () => {
    const guard = start({ cache_entries: 16 });
    const stream = call(guard, { principal: "first" });
    minted(guard);
    for (let user = 0; user < 16; user++) mint(guard, `user-${user}`);
    stream.responseHeaders({ ":status": "401" }, true);
    for (let user = 0; user < 16; user++) expect(knows(guard, `user-${user}`)).toBe(true);
  });

  test("401 of a reply of ours takes nothing out", () => {
    const guard = start();
    mint(guard, "alice");
    const stream = call(guard, { tool: "drop_tables" });
    expect(stream.localReply?.status).toBe(200);
    const bad = call(guard, { authorization: [`Bearer ${tokenOf("bob")}`] });
    expect(bad.localReply?.status).toBe(401);
    expect(knows(guard, "alice")).toBe(true);
  });
});

describe("how many", () => {
  test("the least recently used one makes room", () => {
    const guard = start({ cache_entries: 16 });
    for (let user = 0; user < 16; user++) mint(guard, `user-${user}`);
    // The first is used, so the second is the oldest.
    expect(knows(guard, "user-0")).toBe(true);
    mint(guard, "another");
    expect(knows(guard, "user-0")).toBe(true);
    expect(knows(guard, "another")).toBe(true);
    for (let user = 2; user < 16; user++) expect(knows(guard, `user-${user}`)).toBe(true);
    expect(knows(guard, "user-1")).toBe(false);
  });

  test("one that is given anew counts as used", () => {
    const guard = start({ cache_entries: 16 });
    const first = call(guard, { principal: "user-0" });
    minted(guard);
    for (let user = 1; user < 16; user++) mint(guard, `user-${user}`);
    first.responseHeaders({ ":status": "401" }, true);
    mint(guard, "user-0");
    mint(guard, "another");
    expect([knows(guard, "user-0"), knows(guard, "user-1")]).toEqual([true, false]);
  });

  test("10,000 users leave the memory as it was after the first thousands, and the last ones known", () => {
    const guard = start({ cache_entries: 1024 });
    const filler = "A".repeat(1000);
    const visit = (user: number): void => {
      const principal = `user-${user}`;
      const token = jwt({ iss: ISSUER, sub: principal }, filler);
      const stream = call(guard, { principal, authorization: [`Bearer ${token}`] });
      minted(guard, `${principal}-${filler}`);
      answer(stream);
    };
    for (let user = 0; user < 3000; user++) visit(user);
    const memory = guard.vm.memoryBytes();
    for (let user = 3000; user < 13_000; user++) visit(user);
    expect(guard.vm.memoryBytes()).toBe(memory);
    expect(memory).toBeLessThan(6 << 20);
    const known = (user: number): boolean => {
      const principal = `user-${user}`;
      call(guard, { principal, authorization: [`Bearer ${jwt({ iss: ISSUER, sub: principal }, filler)}`] });
      const isKnown = guard.plugin.httpCalls.length === 0;
      for (const http of guard.plugin.httpCalls) say(http, {}, 500);
      return isKnown;
    };
    expect([known(12_999), known(13_000 - 1024), known(13_000 - 1025), known(0)]).toEqual([true, true, false, false]);
  });

  test("tokens of every size, over and over, leave it as it was", () => {
    const guard = start({ cache_entries: 64 });
    const round = (seed: number): void => {
      for (let user = 0; user < 300; user++) {
        mint(guard, `u-${seed}-${user}`, { access_token: "t".repeat(1 + ((user * 7919 + seed * 104_729) % 8192)) });
      }
    };
    for (let warm = 0; warm < 5; warm++) round(warm);
    const memory = guard.vm.memoryBytes();
    for (let seed = 5; seed < 15; seed++) round(seed);
    expect(guard.vm.memoryBytes() - memory).toBeLessThanOrEqual(128 << 10);
  });

  test("as many refusals as callers have tokens leave it as it was", () => {
    const guard = start({ cache_entries: 64 });
    const refuse = (user: number): void => {
      call(guard, { principal: `user-${user}`, headersStop: true });
      say(asked(guard).http, { error: "invalid_grant" }, 400);
    };
    for (let user = 0; user < 200; user++) refuse(user);
    const memory = guard.vm.memoryBytes();
    for (let user = 200; user < 3000; user++) refuse(user);
    expect(guard.vm.memoryBytes()).toBe(memory);
  });
});

/** A text in the middle of a longer one: the heap writes into both ends of a block that is freed. */
const wrapped = (text: string): string => `${"a".repeat(32)}${text}${"z".repeat(32)}`;

describe("nothing stays", () => {
  const CANARY = "canary-of-a-minted-token";
  const MINTED = wrapped(CANARY);
  /** The caller's token, its payload as it stands in it, and as it is decoded. */
  const subject = jwt({ iss: ISSUER, sub: "alice", note: "canary-of-a-payload" }, "canary-of-a-signature");
  const authorization = [`Bearer ${subject}`];
  const ofSubject = ["canary-of-a-signature", subject.split(".")[1]!, "canary-of-a-payload"];
  const times = (guard: Guard, ...texts: string[]): number[] => texts.map((text) => timesInMemory(guard, text));

  test("the search finds what is there", () => {
    const guard = start();
    call(guard, { authorization });
    minted(guard, MINTED);
    expect(times(guard, CANARY, SECRET)).toEqual([1, 1]);
  });

  test.each([{}, { request_headers: "hold" }])(
    "of the caller's token, whether it is asked about, kept or refused (%o)",
    (rest) => {
      const guard = start({}, rest);
      const stream = call(guard, { authorization, headersStop: true });
      expect(times(guard, ...ofSubject)).toEqual([0, 0, 0]);
      minted(guard, MINTED);
      answer(stream);
      call(guard, { authorization, headersStop: true });
      expect(times(guard, ...ofSubject)).toEqual([0, 0, 0]);
      call(guard, { principal: "bob", authorization, headersStop: true });
      call(guard, { authorization: [...authorization, ...authorization], headersStop: true });
      call(guard, { authorization: [`${authorization[0]} x`], headersStop: true });
      call(guard, { authorization, delivery: { path: "/mcp?access_token=x" }, headersStop: true });
      call(guard, { authorization, delivery: { method: "PATCH", end: "headers" } });
      expect(times(guard, ...ofSubject)).toEqual([0, 0, 0]);
    },
  );

  test("of the caller's token under strip", () => {
    const guard = start();
    const plugin = guard.vm.startPlugin(JSON.stringify({ tool_allowlist: ["safe"], authorization: "strip" }));
    call({ vm: guard.vm, plugin }, { authorization });
    expect(times(guard, ...ofSubject)).toEqual([0, 0, 0]);
  });

  test("of a token that a 401 has taken out", () => {
    const guard = start();
    const stream = call(guard, { authorization });
    minted(guard, MINTED);
    stream.responseHeaders({ ":status": "401" }, true);
    expect(times(guard, CANARY)).toEqual([0]);
  });

  test("of a token that has made room", () => {
    const guard = start({ cache_entries: 16 });
    call(guard, { authorization });
    minted(guard, MINTED);
    for (let user = 0; user < 16; user++) mint(guard, `user-${user}`);
    expect(times(guard, CANARY)).toEqual([0]);
  });

  test("of a token whose time is over, once it is asked for", () => {
    const clock = clockFrom();
    const guard = start({}, {}, { now: clock.now });
    call(guard, { authorization });
    minted(guard, MINTED);
    clock.pass(60);
    call(guard, { authorization });
    expect(times(guard, CANARY)).toEqual([0]);
  });

  test("of a token that another one has replaced", () => {
    const clock = clockFrom();
    const guard = start({}, {}, { now: clock.now });
    call(guard, { authorization });
    minted(guard, MINTED);
    clock.pass(60);
    call(guard, { authorization });
    minted(guard, "another");
    expect(times(guard, CANARY, "another")).toEqual([0, 1]);
  });

  test("of a token that is not kept", () => {
    const guard = start();
    const streams = Array.from({ length: 40 }, () => call(guard, { authorization }));
    minted(guard, MINTED, { expires_in: undefined });
    expect(times(guard, CANARY)).toEqual([1]);
    guard.plugin.tick();
    expect(streams.every((stream) => reached(stream) !== undefined)).toBe(true);
    expect(times(guard, CANARY)).toEqual([0]);
  });

  test.each([
    [
      "that is cut inside the token",
      grant(MINTED),
      (text: string) => text.slice(0, text.indexOf(CANARY) + CANARY.length),
    ],
    ["with something behind it", grant(MINTED), (text: string) => `${text}x`],
    ["of another kind", grant(MINTED, { token_type: "x" }), (text: string) => text],
    ["with more tokens than the one", grant("x", { refresh_token: MINTED }), (text: string) => text],
    ["whose token has a space", grant(`${CANARY} x`), (text: string) => text],
    ["whose kind is the token", grant("x", { token_type: MINTED }), (text: string) => text],
  ])("of an answer %s", (_what, body, change) => {
    const guard = start();
    call(guard, { authorization });
    say(asked(guard).http, change(JSON.stringify(body)));
    expect(times(guard, CANARY)).toEqual([0]);
  });

  test("of an answer that nobody waits for any more but the copy that is kept", () => {
    const guard = start();
    call(guard, { authorization }).clientGone();
    minted(guard, MINTED);
    expect(times(guard, CANARY)).toEqual([1]);
  });

  test("when the guard goes: no token, no secret", () => {
    const guard = start(
      { actor: { token_env: "ACTOR" } },
      {},
      { environment: { CLIENT_SECRET: wrapped(SECRET), ACTOR: wrapped("canary-of-an-actor") } },
    );
    call(guard, { authorization }).clientGone();
    minted(guard, MINTED);
    expect(times(guard, CANARY, SECRET, "canary-of-an-actor")).toEqual([1, 1, 1]);
    guard.plugin.stop();
    expect(times(guard, CANARY, SECRET, "canary-of-an-actor")).toEqual([0, 0, 0]);
    const encoded = encodeURIComponent(wrapped(SECRET));
    expect(times(guard, encoded, Buffer.from(`mcp-guard:${encoded}`).toString("base64").slice(0, 30))).toEqual([0, 0]);
  });

  test("of what other variables of the environment hold", () => {
    const environment = { BEFORE: "canary-in-front-of-it", CLIENT_SECRET: SECRET, BEHIND: "canary-behind-it" };
    expect(times(start({}, {}, { environment }), "canary-in-front-of-it", "canary-behind-it")).toEqual([0, 0]);
  });

  test("of an assertion; and of its key nothing but the copy of the guard", () => {
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const pem = privateKey.export({ format: "pem", type: "pkcs8" }).toString();
    const client = {
      id: "canary-of-a-client",
      auth: "private_key_jwt",
      key_env: "K",
      alg: "ES256",
      audience: "https://idp.example",
    };
    const guard = start({ client }, {}, { environment: { K: pem } });
    call(guard, { authorization });
    const [header, claims, signature] = (asked(guard).form.get("client_assertion") ?? "").split(".") as [
      string,
      string,
      string,
    ];
    const der = privateKey.export({ format: "der", type: "pkcs8" }).toString("latin1");
    const lines = pem.split("\n");
    const numbers = Buffer.from(signature, "base64url").toString("latin1");
    const payload = Buffer.from(claims, "base64url").toString("latin1");
    expect(times(guard, header, claims, signature, numbers, payload, lines[1]!, lines[2]!, der)).toEqual([
      0, 0, 0, 0, 0, 0, 0, 1,
    ]);
    guard.plugin.stop();
    expect(times(guard, der)).toEqual([0]);
  });

  test("when a configuration with secrets is refused behind them", () => {
    const guard = start();
    const text = JSON.stringify(policyWith({ actor: { token_env: "NOT_THERE" } }));
    const before = times(guard, SECRET);
    expect(guard.vm.startPlugin(text).accepted).toBe(false);
    expect(times(guard, SECRET)).toEqual(before);
  });
});

describe("a guard that is configured again", () => {
  const again = (policy: object) => startAgain(policy, { clusters: ["idp"], environment: { CLIENT_SECRET: SECRET } });

  test("keeps no token of before, and drops the answer to what was asked before", () => {
    const guard = again(policyWith());
    call(guard, { principal: "bob" });
    minted(guard, wrapped("canary-of-bob"));
    const stream = call(guard);
    const { http } = asked(guard);
    guard.configure(policyWith({ audience: "another" }));
    expect(timesInMemory(guard, "canary-of-bob")).toBe(0);
    say(http, grant("canary-that-is-late"));
    expect([timesInMemory(guard, "canary-that-is-late"), reached(stream)]).toEqual([0, undefined]);
    guard.plugin.tick();
    expect(stream.localReply?.details).toBe("mcp_guard.token_exchange_unavailable");
    expect(guard.machine.failure).toBeUndefined();
    // Both are asked about anew, under the policy of now.
    call(guard, { principal: "bob" });
    expect(asked(guard).form.get("audience")).toBe("another");
    minted(guard, "new-one");
    expect(reached(call(guard, { principal: "bob" }))).toEqual(["Bearer new-one"]);
  });

  test("does not take out a new token because of a server's answer to an old one", () => {
    const guard = again(policyWith());
    const old = call(guard, { principal: "bob" });
    minted(guard, "old");
    guard.configure(policyWith());
    call(guard, { principal: "bob" });
    minted(guard, "new");
    old.responseHeaders({ ":status": "401" }, true);
    expect(reached(call(guard, { principal: "bob" }))).toEqual(["Bearer new"]);
  });

  test("into one without tokens: those who wait are answered", () => {
    const service = { cluster: "idp", authority: "idp.example", path: "/oauth2/token", timeout_ms: 30_000 };
    const guard = again(policyWith({ service }));
    const stream = call(guard);
    // Longer than a request may stall.
    for (let tick = 0; tick < 6; tick++) guard.plugin.tick();
    guard.configure({ tool_allowlist: ["safe"] });
    guard.plugin.tick();
    expect(stream.localReply?.details).toBe("mcp_guard.token_exchange_unavailable");
  });

  test("keeps nothing of a token that some still wait for", () => {
    const guard = again(policyWith());
    for (let caller = 0; caller < 40; caller++) call(guard);
    minted(guard, wrapped("canary-that-some-wait-for"), { expires_in: undefined });
    expect(timesInMemory(guard, "canary-that-some-wait-for")).toBe(1);
    guard.configure(policyWith());
    expect(timesInMemory(guard, "canary-that-some-wait-for")).toBe(0);
  });

  test("answers no more of those who wait than a callback may end", () => {
    const guard = again(policyWith());
    const streams = Array.from({ length: 40 }, () => call(guard));
    guard.configure(policyWith());
    guard.plugin.tick();
    expect(streams.filter(({ finished }) => finished).length).toBe(32);
    guard.plugin.tick();
    expect(streams.every(({ finished }) => finished)).toBe(true);
  });

  test("lets nobody go on who only waited for the tick", () => {
    const guard = again(policyWith());
    const stream = call(guard, { delivery: { end: "trailers" } });
    minted(guard);
    guard.configure(policyWith());
    guard.plugin.tick();
    expect([stream.localReply?.details, stream.upstream.body().length]).toEqual([
      "mcp_guard.token_exchange_unavailable",
      0,
    ]);
  });

  test("gives no other answer to who has been refused before", () => {
    const guard = again(policyWith());
    guard.machine.faults.next("proxy_send_local_response", 2, 0);
    const stream = call(guard, { tool: "drop_tables", headersStop: true });
    expect(stream.finished).toBe(false);
    guard.configure(policyWith());
    for (let tick = 0; tick < 12 && !stream.finished; tick++) guard.plugin.tick();
    expect(stream.localReply?.details).toBe("mcp_guard.tool_not_listed");
  });

  test("while a request waits for its verdict: nothing of it goes on", () => {
    const guard = again(policyWith({}, { request_headers: "hold" }));
    const stream = call(guard, { headersStop: true, delivery: { end: "never" } });
    guard.configure(policyWith({}, { request_headers: "hold" }));
    stream.requestEnd();
    expect(stream.localReply?.details).toBe("mcp_guard.internal");
    expect(guard.plugin.httpCalls).toEqual([]);
  });
});
