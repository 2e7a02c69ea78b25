// What the approval service answers, taken to pieces. Goal: an answer is one flat object from its first byte to its last, or it is none, and what it seemed to
// say counts for nothing; each question is asked when it is due, once.

import { describe, expect, test } from "vitest";
import { APPROVAL, asked, bodyOf, call, ID, opened, receiptFor, say, start } from "./approval-calls.ts";
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

  test("that is a number as long as an id with its quotes is none", () => {
    const guard = start();
    const stream = call(guard);
    expect(always(guard, "open", `{"id":${"1".repeat(24)},"status":"approved","expires":1}`)).toBe(3);
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
