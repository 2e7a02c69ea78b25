// A guard that gets another policy while calls wait. Goal: no call goes on under a policy by which it would be another one, and what the earlier service says
// afterwards counts for nothing.

import { describe, expect, test } from "vitest";
import { asked, bodyOf, call, claimed, ID, opened, policyWith, receiptFor, say } from "./approval-calls.ts";
import { startAgain } from "./configured-again.ts";
import { verdict } from "./guard.ts";

const OTHERS: readonly (readonly [string, object])[] = [
  ["without an approval service", { tool_allowlist: ["delete_repo"], approval: { mode: "off" } }],
  ["with another name of the server", policyWith({ server: "other" })],
  ["with another service", policyWith({ service: { cluster: "elsewhere", authority: "b:1" } })],
  ["that only watches", policyWith({}, { mode: "monitor" })],
  ["that asks other providers who it is", policyWith({}, { identity: {} })],
  ["that has its tool no more", policyWith({}, { tool_allowlist: ["safe"] })],
  ["that is the same", policyWith()],
];

describe.each(OTHERS)("under a policy %s, a call that waited before", (_what, next) => {
  test("ends with the next tick, whatever the service has said of it", () => {
    for (const status of [undefined, "pending", "approved"]) {
      const guard = startAgain(policyWith());
      const stream = call(guard);
      if (status !== undefined) opened(guard, status);
      guard.configure(next);
      expect(verdict(stream)).toMatch(/^open/);
      guard.plugin.tick();
      expect(verdict(stream)).toBe("refuse approval_unavailable 503");
    }
  });

  test("does not go on with the receipt that it had asked for", async () => {
    const guard = startAgain(policyWith());
    const stream = call(guard);
    const open = opened(guard, "approved");
    const { http, question } = asked(guard, "claim");
    guard.configure(next);
    say(http, { receipt: await receiptFor(open, question) });
    expect(verdict(stream)).toBe("refuse approval_unavailable 503");
    expect(guard.plugin.httpCalls).toEqual([]);
  });
});

test("a poll of the earlier policy says nothing about calls of the later one, which are asked about at once", async () => {
  const guard = startAgain(policyWith());
  call(guard);
  opened(guard);
  guard.plugin.tick();
  const early = asked(guard, "poll").http;
  guard.configure(policyWith({ server: "other" }));
  const stream = call(guard, { id: 2 });
  const open = JSON.parse(guard.plugin.httpCalls[1]!.body.toString("utf8"));
  say(guard.plugin.httpCalls[1]!, { id: ID, status: "pending", expires: 0 });
  say(early, { [ID]: "denied" });
  expect(verdict(stream)).toMatch(/^open/);
  guard.plugin.tick();
  guard.plugin.tick();
  say(asked(guard, "poll").http, { [ID]: "approved" });
  await claimed(guard, open);
  expect(stream.upstream.body().toString("utf8")).toBe(bodyOf({ id: 2 }));
});

test("what has been counted is counted no more", () => {
  const guard = startAgain(policyWith({ waiting: 2 }));
  for (const id of [1, 2]) call(guard, { id });
  expect(verdict(call(guard))).toBe("refuse approval_limit 429");
  guard.configure(policyWith({ waiting: 2 }));
  guard.plugin.tick();
  for (const id of [3, 4]) expect(verdict(call(guard, { id }))).toMatch(/^open/);
});

test("a service that did not answer under the earlier policy makes nobody wait under the later one", () => {
  const guard = startAgain(policyWith({ hold_seconds: 300 }));
  const fail = (): number => {
    let ticks = 0;
    for (; guard.plugin.httpCalls.length === 0; ticks++) guard.plugin.tick();
    asked(guard, "poll").http.drop();
    return ticks;
  };
  call(guard);
  opened(guard);
  expect([fail(), fail(), fail(), fail()]).toEqual([1, 2, 4, 8]);
  guard.configure(policyWith({ hold_seconds: 300, server: "other" }));
  call(guard, { id: 2 });
  opened(guard);
  expect([fail(), fail(), fail()]).toEqual([1, 2, 4]);
});

test.each(["proxy_on_request_body", "proxy_on_request_trailers"])(
  "a host that brings %s once more for a call that waits changes nothing",
  async (name) => {
    const guard = startAgain(policyWith());
    const stream = call(guard);
    expect(guard.callback(name, stream.contextId)).not.toBe(0);
    const open = opened(guard, "approved");
    expect(guard.callback(name, stream.contextId)).not.toBe(0);
    await claimed(guard, open);
    expect(stream.upstream.body().toString("utf8")).toBe(bodyOf({}));
  },
);
