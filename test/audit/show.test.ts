// src/audit/show.ts and src/audit/visible.ts. Goal: a terminal shows what stands in the record and obeys none of it. Method: records with hostile texts in
// every member.
import fc from "fast-check";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { isWanted, renderJson, renderRecord } from "../../src/audit/show.ts";
import { hasHidden, visible, yamlString } from "../../src/audit/visible.ts";
import { Recorder, toolCall, user } from "./generator.ts";

const record = (members: Record<string, unknown>) =>
  JSON.parse(new Recorder("one").next(members)) as Record<string, unknown>;

test("an exchange as one line", () => {
  expect(renderRecord(record(toolCall("search_code")))).toEqual([
    "2026-11-02T00:00:01.000000Z  allow  -  tools/call search_code  200  total 2.900 ms, guard 0.085 ms, server 2.300 ms",
  ]);
});

test("an exchange with more to say as two lines", () => {
  const members = {
    ...toolCall("search code"),
    ...user("alice"),
    "mcp_guard.user.act": ["agent-1", "agent 2"],
    "mcp_guard.decision": "refuse",
    "mcp_guard.reason": "tool_not_listed",
    "rpc.response.status_code": "-32602",
    "error.type": "tool_not_listed",
    "mcp_guard.duration.server_us": undefined,
    "mcp_guard.ended": "downstream_remote_disconnect",
  };
  expect(renderRecord(record(members))).toEqual([
    '2026-11-02T00:00:01.000000Z  refuse tool_not_listed  alice  tools/call "search code"  200 -32602  total 2.900 ms, guard 0.085 ms',
    '    issuer: https://issuer.example; acting: agent-1 for "agent 2"; ended: downstream_remote_disconnect',
  ]);
});

test("an exchange without a message has its HTTP method and path", () => {
  expect(renderRecord(record({ "http.request.method": "GET" }))[0]).toContain("  GET /mcp  ");
});

test("a record that is none is shown as far as there is something", () => {
  expect(renderRecord({})).toEqual(["-  -  -  -  -  -"]);
  expect(renderRecord({ time: 1, "user.id": { a: "\u202e" }, "mcp_guard.decision": null })[0]).not.toMatch(/\p{Cf}/u);
});

test("records are chosen by user, decision and tool", () => {
  const one = record({ ...toolCall("search_code"), ...user("alice") });
  const wanted = { users: [], decisions: [], tools: [] };
  expect(isWanted(one, wanted)).toBe(true);
  expect(isWanted(one, { users: ["bob", "alice"], decisions: ["allow"], tools: ["search_code"] })).toBe(true);
  expect(isWanted(one, { ...wanted, users: ["bob"] })).toBe(false);
  expect(isWanted(one, { ...wanted, decisions: ["refuse"] })).toBe(false);
  expect(isWanted(one, { ...wanted, tools: ["Search_code"] })).toBe(false);
  expect(isWanted(record({}), { ...wanted, users: ["undefined"] })).toBe(false);
});

const HOSTILE = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        ..."\n\r\t\u001b\u0007\u0085\u200b\u202e\u2066\u3164\u115f\ufeff\u2028\u034f\ufe0f\u00a0\\\"' aé日",
        "\u{e0041}",
        "\ud800",
      ),
      fc.string({ unit: "binary", maxLength: 2 }),
    ),
    { maxLength: 12 },
  )
  .map((parts) => parts.join(""));

/** What moves a cursor, turns a line around, or cannot be seen. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/u;

test("nothing hidden is printed, whatever a record has", () => {
  fc.assert(
    fc.property(HOSTILE, (text) => {
      const hostile = record({
        ...toolCall(text),
        ...user(text),
        "url.path": text,
        "mcp_guard.ended": text,
        [text]: text,
      });
      for (const line of [...renderRecord(hostile), ...renderJson(hostile)]) {
        expect(UNSEEN.test(line), JSON.stringify(line)).toBe(false);
      }
      expect(JSON.parse(renderJson(hostile).join("\n"))).toEqual(hostile);
    }),
  );
});

test("two texts that differ are shown differently, and YAML has the text back", () => {
  fc.assert(
    fc.property(HOSTILE, HOSTILE, (one, other) => {
      if (one !== other) expect(visible(one)).not.toBe(visible(other));
      expect(hasHidden(yamlString(one))).toBe(false);
      if (!/\p{Cs}/u.test(one)) expect(parse(yamlString(one))).toBe(one);
    }),
  );
});
