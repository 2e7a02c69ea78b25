// What the approval service answers, taken to pieces. Goal: an answer is one flat object from its first byte to its last, or it is none, and what it seemed to
// say counts for nothing; each question is asked when it is due, once.

import { describe, expect, test } from "vitest";
import type { HttpStream } from "../../src/host/index.ts";
import { APPROVAL, asked, bodyOf, call, claimed, ID, opened, receiptFor, say, start } from "./approval-calls.ts";
import { type Guard, verdict } from "./guard.ts";

/** Spoils an answer that would be good. */
const SPOILED: readonly (readonly [string, (good: string) => string | Buffer])[] = [
  ["that is cut", (good) => good.slice(0, -1)],
  ["with something behind it", (good) => `${good}x`],
  ["with another object behind it", (good) => `${good}{}`],
  ["with a duplicate member name", (good) => good.replace("{", '{"x":1,"x":2,')],
  ["with a duplicate member name in another spelling", (good) => good.replace("{", '{"x":1,"\\u0078":2,')],
  ["with ill-formed UTF-8", (good) => Buffer.from(good.replace("{", '{"x":"\u00ff",'), "latin1")],
  ["with an unpaired surrogate", (good) => good.replace("{", '{"x":"\\ud800",')],
  ["with a byte order mark", (good) => `\ufeff${good}`],
  ["in a list", (good) => `[${good}]`],
  ["nested too deeply", (good) => good.replace("{", `{"x":${"[".repeat(200)}${"]".repeat(200)},`)],
  ["of more than 64 KiB", (good) => good.replace("{", `{"x":"${"y".repeat(65_536)}",`)],
];
const UNUSUAL: readonly (readonly [string, (good: string) => string])[] = [
  ["with white space around it", (good) => ` \n${good}\r\n\t`],
  ["with a member that nobody knows", (good) => good.replace("{", '{"x":{"id":"y","receipt":["z"]},')],
  ["of exactly 64 KiB", (good) => good.padEnd(65_536)],
];

function nextCall(guard: Guard): void {
  const { plugin } = guard;
  for (let ticks = 0; ticks < 20 && plugin.httpCalls.length === 0 && plugin.tickPeriodMs > 0; ticks++) plugin.tick();
}

/** As many times as it takes. */
function always(guard: Guard, endpoint: "open" | "claim", body: string | Buffer): number {
  let times = 0;
  for (; times < 5; times++) {
    nextCall(guard);
    if (guard.plugin.httpCalls.length === 0) break;
    asked(guard, endpoint).http.answer({ status: 200, body });
  }
  return times;
}

describe.each(SPOILED)("an answer %s", (what, spoil) => {
  test("to the question that opens an approval is none", () => {
    const guard = start();
    const stream = call(guard);
    expect(always(guard, "open", spoil(JSON.stringify({ id: ID, status: "approved", expires: 1 })))).toBe(3);
    expect(verdict(stream)).toBe("refuse approval_unavailable 503");
  });

  test.each(["approved", "denied"])("to a poll, which says %s, changes nothing", (status) => {
    const guard = start();
    const stream = call(guard);
    opened(guard);
    nextCall(guard);
    asked(guard, "poll").http.answer({ status: 200, body: spoil(JSON.stringify({ [ID]: status })) });
    expect([verdict(stream).slice(0, 4), guard.plugin.httpCalls]).toEqual(["open", []]);
  });

  test("to a claim is no receipt", async () => {
    const guard = start();
    const stream = call(guard);
    const open = opened(guard, "approved");
    const { http, question } = asked(guard, "claim");
    http.answer({ status: 200, body: spoil(JSON.stringify({ receipt: await receiptFor(open, question) })) });
    for (let ticks = 0; ticks < 20 && stream.localReply === undefined; ticks++) {
      guard.plugin.tick();
      for (const each of guard.plugin.httpCalls) each.drop();
    }
    expect(verdict(stream)).toMatch(/^refuse approval_(signature 200|unavailable 503)$/);
  });

  test("to a claim is no refusal that says why", () => {
    const guard = start();
    const stream = call(guard);
    opened(guard, "approved");
    asked(guard, "claim").http.answer({ status: 409, body: spoil('{"error":"pending"}') });
    // One that is too large is as good as lost: the claim is made again.
    expect(verdict(stream)).toMatch(what === "of more than 64 KiB" ? /^open/ : /^refuse approval_mismatch 200/);
    nextCall(guard);
    if (!stream.finished) asked(guard, "claim");
  });
});

test.each(UNUSUAL)("an answer %s is one", async (_what, change) => {
  const guard = start();
  const stream = call(guard);
  const { http, question } = asked(guard, "open");
  say(http, change(JSON.stringify({ id: ID, status: "pending", expires: 1 })));
  nextCall(guard);
  say(asked(guard, "poll").http, change(JSON.stringify({ [ID]: "approved" })));
  const claim = asked(guard, "claim");
  say(claim.http, change(JSON.stringify({ receipt: await receiptFor(question, claim.question) })));
  expect(stream.upstream.body().toString("utf8")).toBe(bodyOf({}));
});

describe("an id", () => {
  test.each([
    ["that is no text", 12],
    ["that is too long", `${ID}A`],
    ["with a quote", `${ID.slice(0, 20)}"`],
    ["with a character that would end the link", `${ID.slice(0, 21)}/`],
    ["with a character beyond ASCII", `${ID.slice(0, 20)}é`],
    ["in another spelling", `${ID.slice(0, 16)}\u0001`],
  ])("%s is none", (_what, id) => {
    const guard = start();
    const stream = call(guard);
    expect(always(guard, "open", JSON.stringify({ id, status: "approved", expires: 1 }))).toBe(3);
    expect(verdict(stream)).toBe("refuse approval_unavailable 503");
  });

  test.each([`${ID}A`, ID.slice(0, 21), `${ID.slice(0, 21)}.`, "x".repeat(70)])(
    "of a poll must be the one that was asked about, and %j is not",
    (id) => {
      const guard = start();
      const stream = call(guard);
      opened(guard);
      nextCall(guard);
      say(asked(guard, "poll").http, { [id]: "denied" });
      expect(verdict(stream)).toMatch(/^open/);
    },
  );

  test("of a poll that says nothing known leaves its call waiting", () => {
    const guard = start();
    const stream = call(guard);
    opened(guard);
    for (const said of ["other", 1, null, { status: "denied" }, ["denied"], true]) {
      nextCall(guard);
      say(asked(guard, "poll").http, { [ID]: said });
      expect(verdict(stream)).toMatch(/^open/);
    }
  });

  test("is the one that the last answer gave, and none of an answer before", () => {
    const guard = start();
    const streams = [call(guard), call(guard, { id: 2 })];
    const [first, second] = guard.plugin.httpCalls;
    say(first!, { id: ID, status: "pending", expires: 0 });
    say(second!, { status: "pending", expires: 0 });
    expect(streams.map((stream) => verdict(stream).slice(0, 4))).toEqual(["open", "open"]);
    nextCall(guard);
    const polls = guard.plugin.httpCalls.filter((http) => http.headers.get(":path") === "/v1/poll");
    expect(polls.map(({ body }) => JSON.parse(body.toString("utf8")))).toEqual([{ ids: [ID] }]);
  });
});

describe("what is asked", () => {
  test("is asked once at a time", () => {
    const guard = start({ hold_seconds: 300 });
    call(guard);
    opened(guard);
    for (let tick = 0; tick < 20; tick++) guard.plugin.tick();
    asked(guard, "poll");
    call(guard, { id: 2 });
    for (let tick = 0; tick < 20; tick++) guard.plugin.tick();
    expect(guard.plugin.httpCalls.map((http) => http.headers.get(":path"))).toEqual(["/v1/poll", "/v1/open"]);
  });

  test("is asked as often as poll_ms says, whatever the ticks are", () => {
    const guard = start({ hold_seconds: 300 }, { limits: { stall_ms: 1000 } });
    call(guard);
    opened(guard);
    expect(guard.plugin.tickPeriodMs).toBe(250);
    const ticks: number[] = [];
    for (let tick = 1; tick <= 16; tick++) {
      guard.plugin.tick();
      if (guard.plugin.httpCalls.length === 0) continue;
      ticks.push(tick);
      say(asked(guard, "poll").http, { [ID]: "pending" });
    }
    expect(ticks).toEqual([1, 5, 9, 13]);
  });

  test("later and later while nobody answers, and as before when somebody does", () => {
    const guard = start({ hold_seconds: 300 });
    call(guard);
    opened(guard);
    const gaps: number[] = [];
    for (let round = 0; round < 9; round++) {
      let ticks = 0;
      for (; guard.plugin.httpCalls.length === 0; ticks++) guard.plugin.tick();
      gaps.push(ticks);
      const { http } = asked(guard, "poll");
      if (round < 6) http.refuse();
      else say(http, { [ID]: "pending" });
    }
    expect(gaps).toEqual([1, 2, 4, 8, 16, 16, 16, 1, 1]);
  });

  test("about more calls than fit into one poll, each in its turn", () => {
    const guard = start({ waiting: 2500, waiting_per_principal: 1000, hold_seconds: 300 });
    const ids = Array.from({ length: 2100 }, (_, index) => String(index).padStart(22, "0"));
    for (const [index, id] of ids.entries()) {
      call(guard, { principal: `p${index % 20}`, id: index });
      opened(guard, "pending", id);
    }
    const seen: string[][] = [];
    while (seen.length < 4) {
      guard.plugin.tick();
      if (guard.plugin.httpCalls.length === 0) continue;
      const { http, question } = asked(guard, "poll");
      seen.push([...question.ids]);
      say(http, Object.fromEntries(question.ids.map((id) => [id, "pending"])));
    }
    expect(seen.slice(0, 3).flat()).toEqual(ids);
    expect(seen[3]).toEqual(ids.slice(0, 1000));
  });

  test("about an approval that is being claimed, by no poll", () => {
    const guard = start({ hold_seconds: 300 });
    call(guard);
    opened(guard, "approved");
    call(guard, { id: 2 });
    say(guard.plugin.httpCalls.at(-1)!, { id: "B".repeat(22), status: "pending", expires: 0 });
    guard.plugin.tick();
    const poll = guard.plugin.httpCalls.find((http) => http.headers.get(":path") === "/v1/poll");
    expect(JSON.parse(String(poll?.body))).toEqual({ ids: ["B".repeat(22)] });
  });

  test("a claim that failed does not count for one after another approval", async () => {
    const guard = start();
    const stream = call(guard);
    const open = opened(guard, "approved");
    const nonces: string[] = [];
    for (let attempt = 0; attempt < 2; attempt++) {
      nextCall(guard);
      nonces.push(asked(guard, "claim").question.nonce);
      asked(guard, "claim").http.drop();
    }
    nextCall(guard);
    say(asked(guard, "claim").http, { error: "pending" }, 409);
    nextCall(guard);
    say(asked(guard, "poll").http, { [ID]: "approved" });
    asked(guard, "claim").http.drop();
    nextCall(guard);
    nonces.push(asked(guard, "claim").question.nonce);
    await claimed(guard, open);
    expect(stream.upstream.ended).toBe(true);
    expect(new Set(nonces).size).toBe(2);
  });

  test("an opening that failed does not count for the claim", async () => {
    const guard = start();
    const stream = call(guard);
    for (let attempt = 0; attempt < 2; attempt++) {
      nextCall(guard);
      asked(guard, "open").http.drop();
    }
    nextCall(guard);
    const open = opened(guard, "approved");
    for (let attempt = 0; attempt < 2; attempt++) {
      nextCall(guard);
      asked(guard, "claim").http.timeOut();
    }
    nextCall(guard);
    await claimed(guard, open);
    expect(stream.upstream.ended).toBe(true);
  });

  test.each([408, 500, 503])("again, when the service says %i", (status) => {
    const guard = start();
    const stream = call(guard);
    say(asked(guard, "open").http, { error: "x" }, status);
    expect(verdict(stream)).toMatch(/^open/);
    nextCall(guard);
    opened(guard, "denied");
    expect(verdict(stream)).toBe("refuse approval_denied 200");
  });

  test.each(["denied", "pending"])("with another status than 200 nothing is %s, whatever the text says", (status) => {
    const guard = start({ hold_seconds: 0 });
    const stream = call(guard);
    say(asked(guard, "open").http, { id: ID, status }, 202);
    expect(verdict(stream)).toMatch(/^open/);
    nextCall(guard);
    say(asked(guard, "open").http, { id: ID, status: "denied" });
    expect(verdict(stream)).toBe("refuse approval_denied 200");
  });

  test.each([
    [429, "refuse approval_limit 429"],
    [401, "refuse approval_unavailable 503"],
  ])("not again, when the service says %i and nothing else", (status, expected) => {
    const guard = start();
    const stream = call(guard);
    say(asked(guard, "open").http, "", status);
    expect(verdict(stream)).toBe(expected);
  });

  test.each([202, 500])("by a poll, whose answer with status %i says nothing", (status) => {
    const guard = start();
    const stream = call(guard);
    opened(guard);
    nextCall(guard);
    say(asked(guard, "poll").http, { [ID]: "denied" }, status);
    expect(verdict(stream)).toMatch(/^open/);
  });

  test("for a receipt once, however many ticks pass before the answer", async () => {
    const guard = start();
    const stream = call(guard);
    const open = opened(guard);
    nextCall(guard);
    say(asked(guard, "poll").http, { [ID]: "approved" });
    for (let tick = 0; tick < 8; tick++) guard.plugin.tick();
    await claimed(guard, open);
    expect(stream.upstream.ended).toBe(true);
  });

  test("no more, when a claim is refused as if it had been approved", () => {
    const guard = start();
    const stream = call(guard);
    opened(guard, "approved");
    say(asked(guard, "claim").http, { error: "approved" }, 409);
    expect([verdict(stream), guard.plugin.httpCalls]).toEqual(["refuse approval_expired 200", []]);
  });

  test("for one call, and what a poll says of an identical one does not end it", async () => {
    const guard = start();
    const first = call(guard);
    const open = opened(guard, "approved");
    const claim = asked(guard, "claim");
    const second = call(guard, { id: 2 });
    say(guard.plugin.httpCalls[1]!, { id: ID, status: "pending", expires: 0 });
    guard.plugin.tick();
    say(guard.plugin.httpCalls[1]!, { [ID]: "claimed" });
    expect([verdict(first).slice(0, 4), verdict(second)]).toEqual(["open", "refuse approval_replayed 200"]);
    say(claim.http, { receipt: await receiptFor(open, claim.question) });
    expect(first.upstream.ended).toBe(true);
  });

  test("the answer that comes twice to one call, by another's token, is nobody's", () => {
    const guard = start();
    const [one, two] = [call(guard), call(guard, { id: 2, principal: "bob" })];
    say(guard.plugin.httpCalls[1]!, { id: ID, status: "denied", expires: 0 });
    expect(verdict(one)).toMatch(/^open/);
    expect(verdict(two)).toBe("refuse approval_denied 200");
  });
});

test.each([
  ["401", 401],
  ["204, without a receipt", 204],
  ["500", 500],
])("a receipt with status %s is none", async (_what, status) => {
  const guard = start();
  const stream = call(guard);
  const open = opened(guard, "approved");
  const { http, question } = asked(guard, "claim");
  say(http, { receipt: await receiptFor(open, question) }, status);
  expect([stream.upstream.ended, stream.upstream.body().length]).toEqual([false, 0]);
});

test("while hold_seconds are no whole number of ticks, a call waits that long at least", () => {
  const guard = start({ hold_seconds: 1, service: { ...APPROVAL.service, poll_ms: 300 } });
  const stream = call(guard);
  opened(guard);
  let waited = 0;
  while (stream.localReply === undefined) {
    guard.plugin.tick();
    waited += guard.plugin.tickPeriodMs || 300;
    for (const http of guard.plugin.httpCalls) say(http, { [ID]: "pending" });
  }
  expect(waited).toBe(1200);
});

describe("polls", () => {
  test("ask about all that wait at once, and back off while nobody answers", () => {
    const guard = start({ hold_seconds: 300 });
    const ids = ["A", "B", "C"].map((letter) => letter.repeat(22));
    const streams = ids.map((id, index) => {
      const stream = call(guard, { principal: `p${index}` });
      opened(guard, "pending", id);
      return stream;
    });
    const gaps: number[] = [];
    for (let round = 0; round < 6; round++) {
      let ticks = 0;
      while (guard.plugin.httpCalls.length === 0 && ticks < 100) {
        guard.plugin.tick();
        ticks++;
      }
      gaps.push(ticks);
      const { http, question } = asked(guard, "poll");
      expect(question.ids).toEqual(ids);
      if (round < 4) http.timeOut();
      else say(http, round === 4 ? "[]" : Object.fromEntries(ids.map((id) => [id, "denied"])));
    }
    expect(gaps).toEqual([1, 2, 4, 8, 16, 16]);
    expect(streams.map((stream) => verdict(stream))).toEqual(Array(3).fill("refuse approval_denied 200"));
  });

  test("have at most a thousand ids, and reach all", () => {
    const guard = start({ waiting: 2500, waiting_per_principal: 1000 });
    const idOf = (index: number) => String(index).padStart(22, "0");
    const streams = Array.from({ length: 2100 }, (_, index) => {
      const stream = call(guard, { principal: `p${index % 20}`, id: index });
      opened(guard, "pending", idOf(index));
      return stream;
    });
    const seen: string[] = [];
    for (let ticks = 0; ticks < 200 && guard.plugin.tickPeriodMs > 0; ticks++) {
      guard.plugin.tick();
      for (const http of guard.plugin.httpCalls) {
        const { ids } = JSON.parse(http.body.toString("utf8")) as { ids: string[] };
        expect(ids.length).toBeLessThanOrEqual(1000);
        seen.push(...ids);
        say(http, Object.fromEntries(ids.map((id) => [id, "denied"])));
      }
    }
    expect(new Set(seen).size).toBe(2100);
    expect(streams.every((stream) => stream.localReply !== undefined)).toBe(true);
  });

  test("tell two calls with one approval the same; one of them gets it", async () => {
    const guard = start();
    const streams = [call(guard), undefined] as [HttpStream, HttpStream | undefined];
    const open = opened(guard);
    streams[1] = call(guard, { id: 2 });
    opened(guard);
    guard.plugin.tick();
    const { http } = asked(guard, "poll");
    say(http, { [ID]: "approved" });
    const [first, second] = guard.plugin.httpCalls;
    const questions = [first!, second!].map(({ body }) => JSON.parse(body.toString("utf8")));
    expect(questions[0].nonce).not.toBe(questions[1].nonce);
    say(first!, { receipt: await receiptFor(open, questions[0]) });
    say(second!, { error: "replayed" }, 409);
    expect([streams[0].upstream.body().toString("utf8"), verdict(streams[1]!)]).toEqual([
      bodyOf({}),
      "refuse approval_replayed 200",
    ]);
  });

  test("one receipt does not let two calls on", async () => {
    const guard = start();
    call(guard);
    const open = opened(guard, "approved");
    const { http, question } = asked(guard, "claim");
    const receipt = await receiptFor(open, question);
    say(http, { receipt });
    const again = call(guard);
    opened(guard, "approved");
    say(asked(guard, "claim").http, { receipt });
    expect(verdict(again)).toBe("refuse approval_mismatch 200");
  });
});
