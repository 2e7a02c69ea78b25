// Calls that are refused while they wait, or before. Goal: each way in which an approval can fail has its own reason, and nothing of such a call reaches the server.

import { describe, expect, test } from "vitest";
import { asked, bodyOf, call, claimed, ID, opened, polled, receiptFor, say, start, TOOL } from "./approval-calls.ts";
import { pieces, verdict } from "./guard.ts";

describe("a call is refused with its own reason", () => {
  test.each([
    ["denied", "approval_denied"],
    ["expired", "approval_expired"],
    ["unknown", "approval_expired"],
    ["claimed", "approval_replayed"],
  ])("when its approval is %s", (status, reason) => {
    const guard = start();
    const stream = call(guard);
    opened(guard);
    polled(guard, status);
    expect(verdict(stream)).toBe(`refuse ${reason} 200`);
  });

  test("when it has been denied a moment ago", () => {
    const guard = start();
    const stream = call(guard);
    opened(guard, "denied");
    expect(verdict(stream)).toBe("refuse approval_denied 200");
  });

  test.each([
    ["replayed", "approval_replayed"],
    ["denied", "approval_denied"],
    ["expired", "approval_expired"],
    ["unknown", "approval_expired"],
    ["digest", "approval_mismatch"],
  ])("when its claim is answered %s", (error, reason) => {
    const guard = start();
    const stream = call(guard);
    opened(guard, "approved");
    say(asked(guard, "claim").http, { error }, 409);
    expect(verdict(stream)).toBe(`refuse ${reason} 200`);
  });

  test("waits on when its claim is answered pending", async () => {
    const guard = start();
    const stream = call(guard);
    const open = opened(guard, "approved");
    say(asked(guard, "claim").http, { error: "pending" }, 409);
    polled(guard, "approved");
    await claimed(guard, open);
    expect(stream.upstream.body().toString("utf8")).toBe(bodyOf({}));
  });

  test.each([
    ["another digest", { digest: "0".repeat(64) }, "approval_mismatch"],
    ["another id", { id: "B".repeat(22) }, "approval_mismatch"],
    ["another nonce", { nonce: "B".repeat(22) }, "approval_mismatch"],
    ["another server", { server: "other" }, "approval_mismatch"],
    ["another tool", { tool: "delete_all" }, "approval_mismatch"],
    ["another principal", { principal: "bob" }, "approval_principal"],
    ["another issuer", { issuer: "https://other.example" }, "approval_principal"],
    ["a time that is over", { iat: 1_700_000_000, exp: 1_700_000_060 }, "approval_mismatch"],
  ])("when its receipt has %s", async (_what, changes, reason) => {
    const guard = start();
    const stream = call(guard);
    const open = opened(guard, "approved");
    await claimed(guard, open, changes);
    expect(verdict(stream)).toBe(`refuse ${reason} 200`);
  });

  test("when its receipt is not signed by the service", async () => {
    const guard = start();
    const stream = call(guard);
    const open = opened(guard, "approved");
    const { http, question } = asked(guard, "claim");
    const receipt = await receiptFor(open, question);
    say(http, { receipt: `${receipt.slice(0, -4)}AAAA` });
    expect(verdict(stream)).toBe("refuse approval_signature 200");
  });

  test.each(["{}", "[]", "", '{"receipt":1}', '{"receipt":""}', '{"receipt":"a.b.c"}', "{"])(
    "when a claim is answered %j",
    (body) => {
      const guard = start();
      const stream = call(guard);
      opened(guard, "approved");
      say(asked(guard, "claim").http, body);
      expect(verdict(stream)).toBe("refuse approval_signature 200");
    },
  );

  test("when the service takes no more than that", () => {
    const guard = start();
    const stream = call(guard);
    say(asked(guard, "open").http, { error: "too_large" }, 413);
    expect(verdict(stream)).toBe("refuse arguments_too_large 200");
  });

  test.each([[401], [403], [404], [422], [400]])("when the service says %i", (status) => {
    const guard = start();
    const stream = call(guard);
    say(asked(guard, "open").http, { error: "x" }, status);
    expect(verdict(stream)).toBe("refuse approval_unavailable 503");
  });

  test.each(["{}", "[]", "", `{"id":"${ID}"}`, `{"id":"short","status":"approved"}`, `{"id":"${ID}","status":"yes"}`])(
    "when opening is answered %j, three times",
    (body) => {
      const guard = start();
      const stream = call(guard);
      for (let attempt = 0; attempt < 3; attempt++) {
        for (let ticks = 0; ticks < 8 && guard.plugin.httpCalls.length === 0; ticks++) guard.plugin.tick();
        expect(stream.localReply).toBeUndefined();
        say(asked(guard, "open").http, body);
      }
      expect(verdict(stream)).toBe("refuse approval_unavailable 503");
    },
  );

  test("when the service is gone: three attempts, each later than the one before", () => {
    const guard = start();
    const stream = call(guard);
    const gaps: number[] = [];
    for (let attempt = 0; attempt < 3; attempt++) {
      let ticks = 0;
      while (guard.plugin.httpCalls.length === 0 && ticks < 20) {
        guard.plugin.tick();
        ticks++;
      }
      gaps.push(ticks);
      asked(guard, "open").http.refuse();
    }
    expect(gaps).toEqual([0, 1, 2]);
    expect(verdict(stream)).toBe("refuse approval_unavailable 503");
    expect(guard.plugin.httpCalls).toEqual([]);
  });

  test("when there is no such cluster", () => {
    const guard = start({ service: { cluster: "nowhere", authority: "a" } });
    const stream = call(guard);
    for (let ticks = 0; ticks < 20 && stream.localReply === undefined; ticks++) guard.plugin.tick();
    expect(verdict(stream)).toBe("refuse approval_unavailable 503");
  });

  test("when the answer to its claim is lost: the same nonce again, then no more, and nothing is sent", () => {
    const guard = start();
    const stream = call(guard);
    opened(guard, "approved");
    const nonces: string[] = [];
    for (let attempt = 0; attempt < 3; attempt++) {
      for (let ticks = 0; ticks < 8 && guard.plugin.httpCalls.length === 0; ticks++) guard.plugin.tick();
      const { http, question } = asked(guard, "claim");
      nonces.push(question.nonce);
      if (attempt === 0) http.timeOut();
      else if (attempt === 1) http.cut();
      else http.drop();
    }
    expect(new Set(nonces).size).toBe(1);
    expect(nonces[0]).toMatch(/^[A-Za-z0-9_-]{22}$/);
    expect(verdict(stream)).toBe("refuse approval_unavailable 503");
    for (let ticks = 0; ticks < 5 && guard.plugin.tickPeriodMs > 0; ticks++) guard.plugin.tick();
    expect(guard.plugin.httpCalls).toEqual([]);
  });

  test("when too many wait: the service says so", () => {
    const guard = start();
    const stream = call(guard);
    say(asked(guard, "open").http, { error: "limit" }, 429);
    expect(verdict(stream)).toBe("refuse approval_limit 429");
  });

  test("when too many wait: of one principal, and in all", () => {
    const guard = start({ waiting: 3, waiting_per_principal: 2 });
    const waiting = [call(guard), call(guard, { id: 2 })];
    expect(verdict(call(guard, { id: 3 }))).toBe("refuse approval_limit 429");
    waiting.push(call(guard, { principal: "bob" }));
    expect(verdict(call(guard, { principal: "carol" }))).toBe("refuse approval_limit 429");
    for (const stream of waiting) stream.clientGone();
    expect(verdict(call(guard))).toMatch(/^open/);
  });

  test.each([
    ["in front of its name", (text: string) => `{"arguments":{"a":"${text}"},"name":"${TOOL}"}`],
    ["behind its name", (text: string) => `{"name":"${TOOL}","arguments":{"a":"${text}"}}`],
    ["as white space", (text: string) => `{"name":"${TOOL}","arguments":{${text.replaceAll("x", " ")}}}`],
    ["in inputResponses", (text: string) => `{"name":"${TOOL}","inputResponses":{"a":"${text}"}}`],
  ])("when there is more to read than a human can: %s", (_where, paramsOf) => {
    const guard = start({ arguments_bytes: 1024 });
    const sent = (bytes: number) => {
      const body = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":${paramsOf("x".repeat(bytes))}}`;
      return call(guard, { delivery: { body, cuts: pieces(body.length, 999) } });
    };
    expect(verdict(sent(1024))).toBe("refuse arguments_too_large 200");
    expect(verdict(sent(300_000))).toBe("refuse arguments_too_large 200");
    expect(verdict(sent(900))).toMatch(/^open/);
  });
});
