// Questions to the approval service, and the polls about all calls that wait. Goal: each is asked when it is due and once, as seldom as it can be while nobody answers, and
// its answer is about the calls that it names alone.

import { describe, expect, test } from "vitest";
import type { HttpStream } from "../../src/host/index.ts";
import { asked, bodyOf, call, claimed, ID, opened, receiptFor, say, start } from "./approval-calls.ts";
import { type Guard, verdict } from "./guard.ts";

function nextCall(guard: Guard): void {
  const { plugin } = guard;
  for (let ticks = 0; ticks < 20 && plugin.httpCalls.length === 0 && plugin.tickPeriodMs > 0; ticks++) plugin.tick();
}

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

  test("that are just full are whole rounds: each tick asks about all again", () => {
    const guard = start({ waiting_per_principal: 1000 });
    for (let index = 0; index < 1000; index++) {
      call(guard, { principal: `p${index % 20}`, id: index });
      opened(guard, "pending", String(index).padStart(22, "0"));
    }
    const askedAt: number[] = [];
    for (let tick = 0; tick < 20; tick++) {
      guard.plugin.tick();
      for (const http of guard.plugin.httpCalls) {
        const { ids } = JSON.parse(http.body.toString("utf8")) as { ids: string[] };
        expect(ids).toHaveLength(1000);
        askedAt.push(tick);
        say(http, Object.fromEntries(ids.map((id) => [id, "pending"])));
      }
    }
    expect(askedAt).toEqual(Array.from({ length: 20 }, (_, tick) => tick));
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
