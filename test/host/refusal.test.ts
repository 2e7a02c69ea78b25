// How a request is told no: form, detail, era and shape of the message (MCP: refusals; JSON-RPC 2.0 section 5.1).

import { describe, expect, test } from "vitest";
import type { HttpStream, Vm } from "../../src/host/index.ts";
import { JSON_HEADERS, MODERN_META, modernHeaders, send, startGuard, toolCall } from "./guard.ts";

const FORMS = ["jsonrpc_error", "tool_error", "http_403"] as const;
const DETAILS = ["explain", "masked"] as const;
const META = `"_meta":${JSON.stringify(MODERN_META)}`;

const ERAS = {
  legacy: (members: string) => `{${members}}`,
  modern: (members: string) => `{${members === "" ? "" : `${members},`}${META}}`,
} as const;
type Era = keyof typeof ERAS;

const status = ({ downstream }: HttpStream): number | undefined => downstream.status;
const bodyOf = ({ downstream }: HttpStream) => JSON.parse(downstream.body().toString("utf8"));

const request = (era: Era, method: string, params: string, id = "7"): string =>
  `{"jsonrpc":"2.0","id":${id},"method":"${method}","params":${ERAS[era](params)}}`;

/** The headers that say what the message says, where its era has such headers. */
function headersOf(era: Era, method: string, params = ""): typeof JSON_HEADERS {
  if (era === "legacy") return JSON_HEADERS;
  const { name, uri, taskId } = JSON.parse(`{${params}}`);
  const mirrored = name ?? uri ?? taskId;
  return modernHeaders(method, typeof mirrored === "string" ? mirrored : undefined);
}

/** The digest of the policy in force, as the filter logs it when it takes the policy. */
function digestOf({ logs }: Vm): string {
  const digest = /^mcp-guard: policy ([0-9a-f]{16}) in force/.exec(logs[0]!.message)?.[1];
  if (digest === undefined) throw new Error(`no policy in force: ${logs[0]!.message}`);
  return digest;
}

const CASES = FORMS.flatMap((refusal) =>
  DETAILS.flatMap((refusal_detail) => (Object.keys(ERAS) as Era[]).map((era) => ({ refusal, refusal_detail, era }))),
);

describe.each(CASES)("$refusal, $refusal_detail, $era", ({ refusal, refusal_detail, era }) => {
  const { vm, plugin } = startGuard({ tool_allowlist: ["safe", "delete_all"], refusal, refusal_detail });
  const policy = digestOf(vm);
  const isMasked = refusal_detail === "masked";
  const ask = (method: string, params: string) =>
    send(plugin, { headers: headersOf(era, method, params), body: request(era, method, params) });

  test("a call of a tool that is not listed", () => {
    const stream = ask("tools/call", '"name":"evil"');
    expect(stream.downstream.headers?.get("content-type")).toBe("application/json");
    if (refusal === "tool_error") {
      expect(status(stream)).toBe(200);
      expect(bodyOf(stream)).toEqual({
        jsonrpc: "2.0",
        id: 7,
        result: {
          ...(era === "modern" && { resultType: "complete" }),
          content: [{ type: "text", text: isMasked ? "Unknown tool" : "Tool not allowed by policy (tool_not_listed)" }],
          isError: true,
        },
      });
      return;
    }
    expect(status(stream)).toBe(refusal === "http_403" ? 403 : 200);
    expect(bodyOf(stream)).toEqual({
      jsonrpc: "2.0",
      id: 7,
      error: isMasked
        ? { code: -32602, message: "Unknown tool" }
        : { code: -32602, message: "Tool not allowed by policy", data: { reason: "tool_not_listed", policy } },
    });
  });

  test.each([
    ["prompts/get", '"name":"p"', "prompt_not_listed", "Prompt not allowed by policy"],
    ["resources/read", '"uri":"a:b"', "resource_not_listed", "Resource not allowed by policy"],
    ["tasks/get", '"taskId":"t"', "task_denied", "Tasks are not allowed by policy"],
  ])("%s is an error, never a tool's result", (method, params, reason, message) => {
    const stream = ask(method, params);
    expect(status(stream)).toBe(refusal === "http_403" ? 403 : 200);
    expect(bodyOf(stream)).toEqual({
      jsonrpc: "2.0",
      id: 7,
      error: { code: -32602, ...(isMasked ? { message: "Unknown tool" } : { message, data: { reason, policy } }) },
    });
  });

  test("an unknown method: 404 in the modern era only, where it means no lost session", () => {
    const stream = ask("vendor/x", "");
    expect(status(stream)).toBe(refusal === "http_403" ? 403 : era === "modern" ? 404 : 200);
    const error = { code: -32601, message: "Method not found" };
    expect(bodyOf(stream)).toEqual({
      jsonrpc: "2.0",
      id: 7,
      error: isMasked ? error : { ...error, data: { reason: "method_not_listed", policy } },
    });
  });

  test("a flagged tool and wrong params", () => {
    const [flagged, wrong] = [ask("tools/call", '"name":"delete_all"'), ask("tools/call", '"name":1')];
    for (const stream of [flagged, wrong]) {
      expect(status(stream)).toBe(refusal === "http_403" ? 403 : 200);
      expect(bodyOf(stream)).toMatchObject(
        refusal === "tool_error" ? { id: 7, result: {} } : { error: { code: -32602 } },
      );
    }
    const reasons = [flagged, wrong].map(({ codeDetails }) => codeDetails);
    expect(reasons).toEqual(["mcp_guard.approval_not_configured", "mcp_guard.params_invalid"]);
  });

  test("a notification has no id, so its refusal has the status", () => {
    const message = (method: string) => `{"jsonrpc":"2.0","method":"${method}","params":${ERAS[era]("")}}`;
    for (const [method, reason, code] of [
      ["notifications/tasks/status", "task_denied", -32602],
      ["notifications/vendor", "method_not_listed", -32601],
    ] as const) {
      const stream = send(plugin, { headers: headersOf(era, method), body: message(method) });
      expect([status(stream), stream.codeDetails]).toEqual([403, `mcp_guard.${reason}`]);
      expect(Object.keys(bodyOf(stream))).toEqual(["jsonrpc", "error"]);
      expect(bodyOf(stream).error.code).toBe(code);
    }
  });

  test("malformed input has no id, whatever the form", () => {
    for (const body of ["{", `${request(era, "tools/call", '"name":"safe"')}x`, `[${request(era, "ping", "")}]`]) {
      const stream = send(plugin, { body });
      expect(status(stream)).toBe(400);
      expect(Object.keys(bodyOf(stream))).toEqual(["jsonrpc", "error"]);
      expect(Object.keys(bodyOf(stream).error)).toEqual(isMasked ? ["code", "message"] : ["code", "message", "data"]);
    }
  });
});

describe.each(FORMS)("%s: what contradicts its headers or its revision", (refusal) => {
  const { plugin } = startGuard({ tool_allowlist: ["safe"], refusal });
  const VERSION = "io.modelcontextprotocol/protocolVersion";
  const call = (meta: object, method = "tools/call"): string =>
    JSON.stringify({ jsonrpc: "2.0", id: 7, method, params: { name: "safe", _meta: { ...MODERN_META, ...meta } } });
  const versions = (version: string) => [...JSON_HEADERS, ["mcp-protocol-version", version] as const];

  test.each([
    ["header_mismatch", -32020, call({}), modernHeaders("tools/call", "other")],
    ["header_mismatch", -32020, call({}), JSON_HEADERS],
    ["version_unsupported", -32022, call({ [VERSION]: "" }), versions("")],
    ["meta_invalid", -32602, call({ [VERSION]: 1 }), modernHeaders("tools/call", "safe")],
    ["meta_invalid", -32602, toolCall("safe").replace(":1,", ":7,"), versions("2026-07-28")],
    ["era_mixed", -32600, call({}, "initialize"), versions("2025-11-25")],
  ] as const)("%s has HTTP status 400, the code %i and the id", (reason, code, body, headers) => {
    const stream = send(plugin, { headers, body });
    expect([status(stream), stream.codeDetails]).toEqual([400, `mcp_guard.${reason}`]);
    expect(bodyOf(stream)).toMatchObject({ jsonrpc: "2.0", id: 7, error: { code, data: { reason } } });
  });
});

test("a response that is refused is not answered as a request", () => {
  const { plugin } = startGuard({ tool_allowlist: [] });
  for (const members of ['"result":{},"params":1', '"error":{},"params":[]', '"result":{},"params":{"_meta":1}']) {
    const stream = send(plugin, { body: `{"jsonrpc":"2.0","id":7,${members}}` });
    expect(stream.codeDetails).toBe("mcp_guard.params_invalid");
    expect([status(stream), Object.keys(bodyOf(stream))]).toEqual([400, ["jsonrpc", "error"]]);
  }
});

describe("the id is echoed byte for byte", () => {
  const { plugin } = startGuard({ tool_allowlist: [] });

  test.each([
    "0",
    "-0",
    "9007199254740991",
    "-9007199254740991",
    '""',
    '"a"',
    '"\\u0061\\/\\n\\"\\\\"',
    '"\\ud83d\\uDE00"',
    '"\u00e9\u{1f600}\u007f"',
    '"},\\"error\\":{"',
    `"${"i".repeat(256)}"`,
    `"${"\\u0069".repeat(42)}abcd"`,
  ])("%s", (id) => {
    const body = request("legacy", "tools/call", '"name":"evil"', id);
    for (const cuts of [[], [20], [body.indexOf(id) + 1], [body.indexOf(id) + id.length - 1]]) {
      const stream = send(plugin, { body, cuts });
      expect(stream.downstream.body().toString()).toContain(`{"jsonrpc":"2.0","id":${id},"error":{`);
      expect(() => bodyOf(stream)).not.toThrow();
    }
  });

  test("also when the id stands last", () => {
    const body = '{"jsonrpc":"2.0","method":"tools/call","params":{"name":"evil"},"id":"last"}';
    expect(bodyOf(send(plugin, { body })).id).toBe("last");
  });
});

test("an integer that only wraps around to a small one is no id", () => {
  const { plugin } = startGuard({ tool_allowlist: ["safe"] });
  const [word, doubled] = [2n ** 64n, 2n ** 128n];
  for (const id of [word, word + 1n, -word - 1n, 2n * word + 7n, 10n ** 17n, doubled + 1n, 10n ** 256n, 10n ** 300n]) {
    const stream = send(plugin, { body: request("legacy", "tools/call", '"name":"safe"', String(id)) });
    expect([id, stream.codeDetails, status(stream)]).toEqual([id, "mcp_guard.id_invalid", 400]);
  }
});

describe("the x-request-id", () => {
  const { vm, plugin } = startGuard({ tool_allowlist: [] });
  const policy = digestOf(vm);
  const withId = (id: string) =>
    bodyOf(send(plugin, { headers: [...JSON_HEADERS, ["x-request-id", id]], body: toolCall("evil") })).error.data;

  test("is repeated", () => {
    const id = "0b9a9c0e-1a4f-4c5b-8d2e-6f7a8b9c0d1e";
    expect(withId(id)).toEqual({ reason: "tool_not_listed", request_id: id, policy });
    expect(withId("x".repeat(64)).request_id).toBe("x".repeat(64));
  });

  test("is left out when it is too long or empty", () => {
    expect(withId("x".repeat(65))).toEqual({ reason: "tool_not_listed", policy });
    expect(withId("")).toEqual({ reason: "tool_not_listed", policy });
  });

  test("stays inside its string", () => {
    expect(withId('","reason":"none')).toEqual({
      reason: "tool_not_listed",
      request_id: '","reason":"none',
      policy,
    });
    expect(withId("a\\").request_id).toBe("a\\");
    expect(withId("\x7f\xff\x80").request_id).toBe("\x7f\xff\x80");
  });

  test("is in refusals at the headers too", () => {
    const stream = send(plugin, { method: "PUT", headers: [["x-request-id", "r1"]], end: "headers" });
    expect(bodyOf(stream).error.data).toEqual({ reason: "http_method", request_id: "r1", policy });
  });
});
