// A request from its headers to its end, in both header modes. Goal: nothing passes before the verdict, whatever says that
// the body has ended, and whatever the other two ends do meanwhile.

import { describe, expect, test } from "vitest";
import {
  answer,
  type Delivery,
  type Guard,
  JSON_HEADERS,
  open,
  post,
  send,
  startGuard,
  toolCall,
  verdict,
} from "./guard.ts";

const POLICY = { tool_allowlist: ["safe"] };
const SAFE = toolCall("safe");
const EVIL = toolCall("evil");

/** Both ways in which a proxy runs the filter. */
const MODES = [
  ["headers released, flag off", POLICY, false],
  ["headers released, flag on", POLICY, true],
  ["headers held, flag on", { ...POLICY, request_headers: "hold" }, true],
] as const;

const ENDS = ["separate", "merged", "trailers"] as const;

describe.each(MODES)("%s", (mode, configuration, headersStop) => {
  const isHeld = mode.startsWith("headers held");
  const start = (limits: object = {}): Guard => startGuard({ ...configuration, limits });
  const stream = { headersStop };

  test.each(ENDS)("the end is %s: allowed", (end) => {
    expect(post(start().plugin, { body: SAFE, end, stream })).toBe("allow");
  });

  test.each(ENDS)("the end is %s: refused", (end) => {
    expect(post(start().plugin, { body: EVIL, end, stream })).toBe("refuse tool_not_listed 200");
  });

  test.each(ENDS)("the end is %s, without a byte before: refused", (end) => {
    expect(post(start().plugin, { end, stream })).toBe("refuse json_incomplete 400");
  });

  test("nothing of the body passes before the end", () => {
    const request = open(start().plugin, { stream });
    expect(request.upstream.headers === undefined).toBe(isHeld);
    for (const byte of Buffer.from(SAFE)) {
      request.requestBody(Buffer.of(byte), false);
      expect([request.upstream.body().length, request.upstream.ended, request.finished]).toEqual([0, false, false]);
    }
    request.requestEnd();
    answer(request);
    expect(verdict(request, SAFE)).toBe("allow");
  });

  test("a refusal comes in the callback that justifies it, and what follows is not looked at", () => {
    const request = open(start().plugin, { stream });
    request.requestBody('{"jsonrpc":', false);
    expect(request.finished).toBe(false);
    request.requestBody("}", false);
    expect(verdict(request)).toBe("refuse json_syntax 400");
    request.requestBody(SAFE, true);
    expect(request.upstream.body()).toHaveLength(0);
  });

  test("a POST without a body is refused at its headers", () => {
    const request = send(start().plugin, { end: "headers", stream });
    expect([verdict(request), request.upstream.headers]).toEqual(["refuse body_missing 400", undefined]);
  });

  test("a declared length over the cap is refused at the headers", () => {
    const { plugin } = start({ body_bytes: 1000 });
    const headers = (bytes: string) => [...JSON_HEADERS, ["content-length", bytes] as const];
    for (const bytes of ["1001", "99999999999999999999", "18446744073709551617", "1e3", "-1", "", " 10", "10,10"]) {
      const request = open(plugin, { headers: headers(bytes), stream });
      expect([bytes, verdict(request), request.upstream.headers]).toEqual([
        bytes,
        "refuse body_too_large 413",
        undefined,
      ]);
    }
    expect(post(plugin, { headers: headers("1000"), body: SAFE.padEnd(1000), stream })).toBe("allow");
    expect(post(plugin, { headers: headers("000000000000001000"), body: SAFE.padEnd(1000), stream })).toBe("allow");
  });

  test("a charset behind anything but a semicolon is refused", () => {
    const { plugin } = start();
    for (const between of [",", " ", "x", ":", "", ";;", ";,", "; ;", ";x=y;", "\t", "/"]) {
      const headers = [["content-type", `application/json${between}charset=utf-8`]] as const;
      expect([between, verdict(open(plugin, { headers, stream }))]).toEqual([between, "refuse content_type 415"]);
    }
    for (const behind of [
      ";",
      "; ",
      ";charset",
      ";charset=utf-8;",
      ";charset=utf-8,",
      ';charset="utf-8',
      ";charset=utf-88",
    ]) {
      const headers = [["content-type", `application/json${behind}`]] as const;
      expect([behind, verdict(open(plugin, { headers, stream }))]).toEqual([behind, "refuse content_type 415"]);
    }
  });

  test("a coding is refused wherever it stands among others", () => {
    const { plugin } = start();
    const coded = (...codings: string[]) => [
      ...JSON_HEADERS,
      ...codings.map((each) => ["content-encoding", each] as const),
    ];
    for (const codings of [
      ["gzip", "identity"],
      ["identity", "gzip"],
      ["gzip", ""],
      ["identity", "br", "identity"],
    ]) {
      expect(verdict(open(plugin, { headers: coded(...codings), stream }))).toBe("refuse content_encoding 415");
    }
    for (const codings of [["identity", "identity"], ["", "Identity"], [""]]) {
      expect(post(plugin, { headers: coded(...codings), body: SAFE, stream })).toBe("allow");
    }
  });

  test("a body that crosses the cap is refused in the callback that does so", () => {
    const { plugin } = start({ body_bytes: 1000 });
    const request = open(plugin, { stream });
    request.requestBody(SAFE.padEnd(1000), false);
    expect(request.finished).toBe(false);
    request.requestBody(" ", false);
    expect(verdict(request)).toBe("refuse body_too_large 413");
    expect(post(plugin, { body: SAFE.padEnd(1001), stream })).toBe("refuse body_too_large 413");
    expect(post(plugin, { body: SAFE.padEnd(1000), cuts: [999], stream })).toBe("allow");
  });

  test("a body in pieces of more than the module reads at once", () => {
    const { plugin } = start();
    const body = (tool: string) => toolCall(tool).replace("}}", `,"arguments":{"x":"${"a".repeat(300_000)}"}}}`);
    expect(post(plugin, { body: body("safe"), stream })).toBe("allow");
    expect(post(plugin, { body: body("evil"), stream })).toBe("refuse tool_not_listed 200");
    expect(post(plugin, { body: `${body("safe")}x`, stream })).toBe("refuse json_trailing_data 400");
  });

  test.each(["GET", "HEAD", "DELETE", "OPTIONS"])("%s passes without a body and is refused with one", (method) => {
    const { plugin } = start();
    const request = { method, headers: [], stream } satisfies Delivery;
    expect(post(plugin, { ...request, end: "headers" })).toBe("pass");
    const withBody = open(plugin, request);
    expect(withBody.upstream.headers).toBeUndefined();
    expect([withBody.codeDetails, withBody.downstream.status]).toEqual(["mcp_guard.body_unexpected", 400]);
  });

  test.each(["PUT", "PATCH", "TRACE", "QUERY", "post", "POST ", ""])("the method %j is refused", (method) => {
    for (const end of ["headers", "separate"] as const) {
      const request = send(start().plugin, { method, body: end === "headers" ? "" : SAFE, end, stream });
      expect(verdict(request)).toBe("refuse http_method 405");
      expect(request.downstream.headers?.get("allow")).toBe("DELETE, GET, HEAD, OPTIONS, POST");
      expect(request.upstream.headers).toBeUndefined();
    }
  });

  test("the server answers before the request has ended: the answer goes on, the refusal cuts the stream", () => {
    if (isHeld) return;
    const request = open(start().plugin, { stream });
    request.requestBody(EVIL, false);
    request.responseHeaders({ ":status": "401" }, false);
    expect(request.downstream.status).toBe(401);
    request.requestEnd();
    expect([request.finished, request.downstream.reset, request.upstream.ended]).toEqual([true, true, false]);
    expect(request.upstream.body()).toHaveLength(0);
    expect(request.filterState.get("mcp_reason")).toBe("tool_not_listed");
    expect(request.codeDetails).toBe("mcp_guard.tool_not_listed");
  });

  test("the server's whole answer ends the exchange without a verdict", () => {
    if (isHeld) return;
    const { vm, plugin } = start();
    const request = open(plugin, { stream });
    request.requestBody(EVIL, false);
    request.responseHeaders({ ":status": "401" }, true);
    expect([request.finished, request.downstream.status, request.upstream.body().length]).toEqual([true, 401, 0]);
    expect(request.filterState.get("mcp_decision")).toBe("none");
    expect(vm.metrics.value("mcp_guard_decision_none")).toBe(1n);
  });

  test("clients that go away half-way leave nothing behind", () => {
    // Less than a hundred of these uploads fit at once, so one that stayed in the account would show.
    const { vm, plugin } = start({ in_flight_bytes: 65_536 });
    const contexts = vm.contextCount();
    for (let index = 0; index < 500; index++) {
      const request = open(plugin, { stream });
      if (index % 5 > 0) request.requestBody(SAFE.slice(0, index % SAFE.length), false);
      request.clientGone();
      expect([request.finished, request.upstream.ended]).toEqual([true, false]);
    }
    expect(vm.contextCount()).toBe(contexts);
    expect(vm.metrics.value("mcp_guard_decision_none")).toBe(500n);
    expect(post(plugin, { body: SAFE, stream })).toBe("allow");
    expect(post(plugin, { body: EVIL, stream })).toBe("refuse tool_not_listed 200");
  });

  test("a reply of our own passes through our own response callbacks", () => {
    const request = send(start().plugin, { body: EVIL, stream });
    expect([request.downstream.status, request.downstream.ended, request.downstream.reset]).toEqual([200, true, false]);
    expect(request.downstream.body().equals(Buffer.from(request.localReply!.body))).toBe(true);
  });
});

test("a refused HEAD has the status of the refusal and no body", () => {
  const request = open(startGuard(POLICY).plugin, { method: "HEAD" });
  expect([request.downstream.status, request.downstream.body().length]).toEqual([400, 0]);
});
