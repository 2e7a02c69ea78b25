// What the probe takes for a refusal of the guard. Goal: it knows every reason of the filter as the filter says it, in every form. Method: the table
// against assembly/policy/reason.ts, then the filter itself, asked with the probe's own messages.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { Answer } from "../../src/probe/exchange.ts";
import { doubledPing, legacyCall, modernCall, type ProbeMessage } from "../../src/probe/messages.ts";
import { readAnswer } from "../../src/probe/reading.ts";
import { REFUSALS, reasonOfText } from "../../src/probe/refusals.ts";
import { projectPath } from "../../src/project.ts";
import { send, startGuard } from "../host/guard.ts";

const SOURCE = readFileSync(projectPath("assembly", "policy", "reason.ts"), "utf8");
const ID = "mcp-guard-probe-0123456789abcdef";
const TOOL = "no_such_tool";

test("the table has the reasons of the filter, each with its code, its text and its kind", () => {
  const codes = new Map(
    [...SOURCE.matchAll(/^const (\w+): i32 = (-\d+);$/gm)].map(([, name, code]) => [name, Number(code)]),
  );
  const row =
    /\b(malformed|denial|fault)\(\s*Reason\.(\w+),\s*"(\w+)",\s*(?:\d+,\s*)?([A-Z_]+),\s*"([^"]*)"(?:,\s*"[^"]*")?,?\s*\);/g;
  const rows = [...SOURCE.matchAll(row)].flatMap(([, kind, member, name = "", code, text = ""]) =>
    member === "None" ? [] : [[name, { code: codes.get(code) ?? 0, text, isDenial: kind === "denial" }] as const],
  );
  const members = /export const enum Reason \{(.*?)\n\}/s.exec(SOURCE)?.[1] ?? "";
  expect(rows).toHaveLength([...members.matchAll(/^ {2}[A-Z]\w+,$/gm)].length - 1);
  expect([...REFUSALS]).toEqual(rows);
});

test("a text says a reason by itself when no two reasons and no usual server have it", () => {
  expect(reasonOfText(-32700, "Parse error: message is incomplete")).toEqual({ name: "json_incomplete", isOurs: true });
  expect(reasonOfText(-32600, "Host not allowed")).toEqual({ name: "host_not_allowed", isOurs: false });
  expect(reasonOfText(-32603, "Internal error")).toEqual({ name: "internal", isOurs: false });
  expect(reasonOfText(-32602, "Parse error: message is incomplete")).toBeUndefined();
  expect(reasonOfText(-32602, "Tool not allowed by policy")).toBeUndefined();
});

/** What the filter answers to a message. */
function answerOf(configuration: object, message: ProbeMessage): Answer {
  const { plugin } = startGuard(configuration);
  const headers = [...Object.entries(message.headers), ["x-request-id", "r-1"]] as [string, string][];
  const stream = send(plugin, { headers, body: message.body });
  const reply = stream.localReply;
  if (reply === undefined) throw new Error("the call passed");
  return {
    kind: "answer",
    status: reply.status,
    type: "application/json",
    location: "",
    server: "",
    text: Buffer.from(reply.body).toString(),
    cut: "",
  };
}

/** The digest that the filter logs for a policy. */
function digestOf(configuration: object): string {
  const { vm } = startGuard(configuration);
  return /policy ([0-9a-f]{16})/.exec(vm.logs[0]?.message ?? "")?.[1] ?? "";
}

const FORMS = ["jsonrpc_error", "tool_error", "http_403"] as const;
const ERAS = { modern: modernCall(TOOL, ID), legacy: legacyCall(TOOL, ID) };

describe.each(FORMS)("refusal: %s", (form) => {
  test.each(Object.entries(ERAS))("of a %s call is known, with its reason and its policy", (_, message) => {
    const configuration = { tool_allowlist: ["echo"], refusal: form };
    const isResult = form === "tool_error";
    expect(readAnswer(answerOf(configuration, message), ID)).toEqual({
      kind: "guard",
      reason: "tool_not_listed",
      form,
      isMasked: false,
      policy: isResult ? "" : digestOf(configuration),
      requestId: isResult ? "" : "r-1",
    });
  });

  test.each(Object.entries(ERAS))("of a %s call that is masked may be a server's too", (_, message) => {
    const configuration = { tool_allowlist: ["echo"], refusal: form, refusal_detail: "masked" };
    expect(readAnswer(answerOf(configuration, message), ID)).toEqual({ kind: "masked", form });
  });

  test.each(["explain", "masked"])("of a ping with its id twice is the guard's own (%s)", (detail) => {
    const configuration = { tool_allowlist: ["echo"], refusal: form, refusal_detail: detail };
    expect(readAnswer(answerOf(configuration, doubledPing(ID)), ID)).toMatchObject({
      kind: "guard",
      reason: "json_duplicate_member",
      form: "http",
      isMasked: detail === "masked",
    });
  });
});

test("a refusal before the call was read is known, unless it is masked and others say the same", () => {
  const hosts = { tool_allowlist: ["echo"], allowed_hosts: ["other.example"] };
  expect(readAnswer(answerOf(hosts, ERAS.modern), ID)).toMatchObject({
    kind: "guard",
    reason: "host_not_allowed",
    form: "http",
  });
  expect(readAnswer(answerOf({ ...hosts, refusal_detail: "masked" }, ERAS.modern), ID)).toEqual({
    kind: "ambiguous",
    reason: "host_not_allowed",
  });
});

describe("somebody else's answer", () => {
  const answer = (value: unknown, status = 200): Answer => ({
    kind: "answer",
    status,
    type: "application/json",
    location: "",
    server: "",
    text: typeof value === "string" ? value : JSON.stringify(value),
    cut: "",
  });
  const error = (code: number, message: string, data?: unknown) =>
    answer({ jsonrpc: "2.0", id: ID, error: { code, message, data } });
  const result = (content: unknown, isError = true) => answer({ jsonrpc: "2.0", id: ID, result: { isError, content } });
  const text = (words: string) => [{ type: "text", text: words }];

  test.each([
    ["an error without a reason", error(-32602, "Tool not allowed by policy"), "server"],
    ["a reason that the filter does not have", error(-32602, "No", { reason: "nothing" }), "server"],
    ["a reason with another text", error(-32602, "Not allowed", { reason: "tool_not_listed" }), "server"],
    [
      "a reason with another code",
      error(-32601, "Tool not allowed by policy", { reason: "tool_not_listed" }),
      "server",
    ],
    ["the name of a member of every object", error(-32602, "No", { reason: "constructor" }), "server"],
    ["an unknown tool that is named", error(-32602, `Unknown tool: ${TOOL}`), "server"],
    ["an unknown tool with data", error(-32602, "Unknown tool", {}), "server"],
    ["an unknown tool with another code", error(-32603, "Unknown tool"), "server"],
    ["a tool's error", result(text("MCP error -32602: Tool not found")), "server"],
    ["a tool's error with a reason in it that is no denial", result(text("Internal error (internal)")), "server"],
    ["a tool's error with another text", result(text("Denied (tool_not_listed)")), "server"],
    ["a tool's error without text", result([]), "server"],
    [
      "a success that says what a guard says",
      result(text("Tool not allowed by policy (tool_not_listed)"), false),
      "server",
    ],
    ["an answer to another call", answer({ jsonrpc: "2.0", id: 7, result: {} }), "other"],
    ["no JSON-RPC", answer({ error: "no" }), "other"],
    ["another version", answer({ jsonrpc: "1.0", id: ID, error: { code: -32602, message: "Unknown tool" } }), "other"],
    ["a list", answer([]), "other"],
    ["null", answer("null"), "other"],
    ["no JSON", answer("<html>"), "other"],
    ["an error that is a text", answer({ jsonrpc: "2.0", id: ID, error: "no" }), "other"],
    [
      "an error with a code that is a text",
      answer({ jsonrpc: "2.0", id: ID, error: { code: "1", message: "a" } }),
      "other",
    ],
  ])("%s", (_, given, kind) => {
    expect(readAnswer(given, ID).kind).toBe(kind);
  });

  test("a digest that is none is not shown", () => {
    const data = { reason: "tool_not_listed", policy: "4FD27E1182F4CCA0\u001b", request_id: 7 };
    expect(readAnswer(error(-32602, "Tool not allowed by policy", data), ID)).toMatchObject({
      policy: "",
      requestId: "",
    });
  });
});
