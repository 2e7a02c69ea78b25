// The headers in which a modern request repeats its body (MCP 2026-07-28, "Standard headers"), where the table of vectors
// says nothing: the longest values, every encoding of the last characters, bodies in pieces, and many exchanges at once.

import { describe, expect, test } from "vitest";
import {
  answer,
  everyCut,
  JSON_HEADERS,
  MODERN_META,
  modernHeaders,
  open,
  post,
  startGuard,
  verdict,
} from "./guard.ts";

const ROOT = "file:///docs/";
const LONGEST_METHOD = `vendor/${"m".repeat(121)}`;
const LONGEST_TOOL = "n".repeat(256);
const POLICY = {
  tool_allowlist: ["safe", "two words", LONGEST_TOOL],
  method_allowlist: [LONGEST_METHOD],
  resource_roots: [ROOT],
  tasks: "allow",
};

const message = (method: string, params: object = {}): string =>
  JSON.stringify({ jsonrpc: "2.0", id: 1, method, params: { ...params, _meta: MODERN_META } });
const inBase64 = (text: string): string => `=?base64?${Buffer.from(text).toString("base64")}?=`;

const MISMATCH = "refuse header_mismatch 400";
const SAFE = message("tools/call", { name: "safe" });

describe.each(["release", "debug"] as const)("%s build", (build) => {
  const { vm, plugin } = startGuard(POLICY, { build });
  const judge = (method: string, name: string | undefined, body: string, cuts: Iterable<number> = []): string => {
    vm.logs.length = 0;
    return post(plugin, { headers: modernHeaders(method, name), body, cuts });
  };

  test("the longest values are compared to their last byte", () => {
    expect(judge(LONGEST_METHOD, undefined, message(LONGEST_METHOD))).toBe("allow");
    for (const method of [`${LONGEST_METHOD}m`, LONGEST_METHOD.slice(0, -1), `${LONGEST_METHOD.slice(0, -1)}x`])
      expect(judge(method, undefined, message(LONGEST_METHOD))).toBe(MISMATCH);
    const uri = ROOT.padEnd(4096, "u");
    for (const [method, member, value] of [
      ["tools/call", "name", LONGEST_TOOL],
      ["resources/read", "uri", uri],
      ["tasks/get", "taskId", "t".repeat(4096)],
    ] as const) {
      const body = message(method, { [member]: value });
      for (const form of [(text: string) => text, inBase64]) {
        expect(judge(method, form(value), body)).toBe("allow");
        for (const other of [`${value}x`, value.slice(0, -1), `${value.slice(0, -1)}x`, `x${value.slice(1)}`])
          expect([method, judge(method, form(other), body)]).toEqual([method, MISMATCH]);
      }
    }
  });

  test("values that are longer than any name are no name", () => {
    for (const bytes of [4097, 5470, 5476, 5477, 8192, 60_000]) {
      const value = "n".repeat(bytes);
      for (const name of [value, inBase64(value), `=?base64?${value}`])
        expect([bytes, judge("tools/call", name, SAFE)]).toEqual([bytes, MISMATCH]);
      expect(judge("tools/call", "safe".padEnd(Math.min(bytes, 5000)), SAFE)).toBe("allow");
    }
  });

  test("of all last quartets that decode to the name one passes", () => {
    const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=-_";
    // "safe" ends in the padded quartet "ZQ==".
    const passed = [...DIGITS].flatMap((digit) =>
      ["==", "=", "", "=A", "A=", "==="]
        .map((end) => `Z${digit}${end}`)
        .filter((quartet) => judge("tools/call", `=?base64?c2Fm${quartet}?=`, SAFE) === "allow"),
    );
    expect(passed).toEqual(["ZQ=="]);
  });

  test("the header may be encoded whatever the name's length", () => {
    for (let length = 0; length <= 9; length++) {
      const taskId = "\u00fc\u6587t-1xyz".slice(0, length);
      expect([length, judge("tasks/get", inBase64(taskId), message("tasks/get", { taskId }))]).toEqual([
        length,
        "allow",
      ]);
    }
  });

  test("however the body spells the name, and wherever it is cut", () => {
    for (const [method, member, spelled, name] of [
      ["tools/call", "name", "s\\u0061fe", "safe"],
      ["resources/read", "uri", "file:\\/\\/\\/docs\\/\\u00fc", inBase64(`${ROOT}\u00fc`)],
      ["tasks/cancel", "taskId", "\\ud83d\\ude00\\n", inBase64("\u{1f600}\n")],
    ] as const) {
      const body = message(method, { [member]: "@" }).replace("@", spelled);
      for (const cuts of [[], [...body].map((_, at) => at).slice(1), ...everyCut(body.length)]) {
        expect(judge(method, name, body, cuts)).toBe("allow");
        expect(judge(method, `${name}x`, body, cuts)).toBe(MISMATCH);
      }
    }
  });

  test("nothing of one exchange is left for the next, or mixed up with another at the same time", () => {
    const uri = `${ROOT}a`;
    const read = message("resources/read", { uri });
    for (let round = 0; round < 3; round++) {
      expect(judge("tools/call", "safe", SAFE)).toBe("allow");
      expect(judge("tools/call", undefined, SAFE)).toBe(MISMATCH);
      expect(judge("resources/read", uri, read)).toBe("allow");
      expect(judge("resources/read", undefined, read)).toBe(MISMATCH);
      expect(post(plugin, { headers: JSON_HEADERS, body: SAFE })).toBe(MISMATCH);
      expect(post(plugin, { body: SAFE.replace(/,"_meta":\{.*?\}\}/, "") })).toBe("allow");
    }
    const started = [
      { name: "safe", body: SAFE, expected: "allow" },
      { name: uri, body: SAFE, expected: MISMATCH },
      { name: LONGEST_TOOL, body: message("tools/call", { name: LONGEST_TOOL }), expected: "allow" },
      { name: undefined, body: SAFE, expected: MISMATCH },
      { name: inBase64("safe"), body: SAFE, expected: "allow" },
    ].map((each) => ({ ...each, stream: open(plugin, { headers: modernHeaders("tools/call", each.name) }) }));
    for (const { stream, body } of started) stream.requestBody(body.slice(0, 40), false);
    for (const { stream, body } of started.toReversed()) stream.requestBody(body.slice(40), true);
    for (const { stream, body, expected } of started) {
      if (stream.upstream.ended) answer(stream);
      expect(verdict(stream, body)).toBe(expected);
    }
  });
});
