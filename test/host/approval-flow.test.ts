// Calls that wait for a human. Goal: a flagged call reaches the server once, as it was approved, and only with a receipt for exactly it; everything else
// ends with a refusal that says why, or with the link in the form that the client's revision knows. Method: the test is the approval service.

import { describe, expect, test } from "vitest";
import { canonicalise } from "../../src/approval/canonical.ts";
import { callDigest } from "../../src/approval/digest.ts";
import type { HttpStream } from "../../src/host/index.ts";
import {
  asked,
  bodyOf,
  type CallOptions,
  call,
  claimed,
  ID,
  ISSUER,
  opened,
  PAGE,
  policyWith,
  polled,
  receiptFor,
  replyOf,
  SERVER,
  say,
  start,
  TOOL,
  tokenOf,
  waitFor,
} from "./approval-calls.ts";
import { answer, everyCut, type Guard, pieces, send, startGuard, toolCall, verdict } from "./guard.ts";

type Json = Record<string, unknown>;

/** What has reached the server of a call: nothing, or its whole body. */
const arrived = (stream: HttpStream): string => (stream.upstream.ended ? stream.upstream.body().toString("utf8") : "");
const nothing = (stream: HttpStream): void => {
  expect([stream.upstream.ended, stream.upstream.body().length]).toEqual([false, 0]);
};
const details = (stream: HttpStream): string | undefined => stream.codeDetails;

async function approve(guard: Guard, options: CallOptions = {}): Promise<HttpStream> {
  const stream = call(guard, options);
  const open = opened(guard, "approved");
  await claimed(guard, open);
  return stream;
}

describe("a call with its receipt", () => {
  test("goes on as it came, once, and its record names the approval and the approver", async () => {
    const guard = start();
    const stream = call(guard);
    nothing(stream);
    const open = opened(guard);
    nothing(stream);
    polled(guard, "approved");
    nothing(stream);
    await claimed(guard, open);
    expect(arrived(stream)).toBe(bodyOf({}));
    expect(guard.plugin.httpCalls).toEqual([]);
    answer(stream);
    expect(verdict(stream, bodyOf({}))).toBe("allow");
    const record = JSON.parse(stream.filterState.get("mcp_audit") ?? "{}") as Json;
    expect(record["mcp_guard.approval.id"]).toBe(ID);
    expect(record["mcp_guard.approval.approver"]).toBe("https://idp.example#alice");
  });

  test("goes on at once when it has been approved before", async () => {
    expect(arrived(await approve(start()))).toBe(bodyOf({}));
  });

  test("is asked about with everything that its digest is made of", () => {
    const guard = start();
    const params = {
      arguments: { z: '\u0001\u202e"\\/\ud83d\ude00', a: [1.5, { "": null }], B: {} },
      inputResponses: { q: { action: "accept" } },
    };
    call(guard, { params, delivery: { path: "/mcp?tenant=a" } });
    const { question } = asked(guard, "open");
    const fields = {
      server: SERVER,
      authority: "server",
      path: "/mcp?tenant=a",
      issuer: ISSUER,
      principal: "alice",
      method: "tools/call",
      tool: TOOL,
      arguments: canonicalise(JSON.stringify(params.arguments)),
      task: "",
    };
    const inputResponses = canonicalise(JSON.stringify(params.inputResponses));
    const digest = callDigest({ ...fields, inputResponses });
    expect(question).toEqual({ ...fields, input_responses: inputResponses, digest, workload: "" });
  });

  test.each(["separate", "merged"] as const)("however its body is cut, %s end", async (end) => {
    const guard = start({ waiting_per_principal: 1000 });
    const body = bodyOf({});
    let digest: string | undefined;
    for (const cuts of [...everyCut(body.length), [...pieces(body.length, 1)]]) {
      const stream = call(guard, { delivery: { cuts, end } });
      const open = opened(guard, "approved");
      digest ??= open.digest;
      expect(open.digest).toBe(digest);
      await claimed(guard, open);
      expect(arrived(stream)).toBe(body);
    }
  });

  test("may have its arguments in front of its name, and trailers", async () => {
    const guard = start();
    const body = `{"params":{"arguments":{"b":1,"a":2},"name":"${TOOL}"},"method":"tools/call","id":"x","jsonrpc":"2.0"}`;
    const stream = call(guard, { delivery: { body, cuts: pieces(body.length, 7), end: "trailers" } });
    const open = opened(guard, "approved");
    expect(open.arguments).toBe('{"a":2,"b":1}');
    await claimed(guard, open);
    expect(arrived(stream)).toBe(body);
  });

  test("waits for its record after its approval, when the audit asks for that", async () => {
    const otlp = { cluster: "collector", authority: "otel:4318", messages: "none" };
    const guard = start({}, { audit: { otlp, required: "approval" } });
    const stream = call(guard);
    const open = opened(guard, "approved");
    await claimed(guard, open);
    nothing(stream);
    const [record] = guard.plugin.httpCalls;
    expect([record?.cluster, String(record?.body).includes(ID)]).toEqual(["collector", true]);
    record!.answer({ status: 200, headers: [["content-type", "application/json"]], body: "{}" });
    expect(arrived(stream)).toBe(bodyOf({}));
  });

  test("is a call of a flagged tool: others ask nobody", () => {
    const guard = start();
    const stream = send(guard.plugin, { body: toolCall("safe"), stream: { properties: tokenOf("alice") } });
    expect(arrived(stream)).toBe(toolCall("safe"));
    expect(guard.plugin.httpCalls).toEqual([]);
  });

  test("in monitor mode nobody is asked, and the record says what would have been", () => {
    const guard = start({}, { mode: "monitor" });
    const stream = call(guard);
    expect(arrived(stream)).toBe(bodyOf({}));
    answer(stream);
    expect([stream.filterState.get("mcp_decision"), stream.filterState.get("mcp_reason")]).toEqual([
      "would_refuse",
      "approval_pending",
    ]);
    expect(guard.plugin.httpCalls).toEqual([]);
  });
});

describe("who asks", () => {
  test("must be known", () => {
    const guard = start();
    const stream = call(guard, { delivery: { stream: {} } });
    expect(details(stream)).toBe("mcp_guard.human_required");
    nothing(stream);
    expect(guard.plugin.httpCalls).toEqual([]);
  });

  test("is in the digest, as are the tool's arguments and where the call goes", () => {
    const guard = start();
    const digestOf = (options: CallOptions): string => {
      call(guard, options);
      const { http, question } = asked(guard, "open");
      say(http, { id: ID, status: "denied", expires: 0 });
      return question.digest;
    };
    const digests = [
      digestOf({}),
      digestOf({ principal: "bob" }),
      digestOf({ params: { arguments: { repo: "acme/test" } } }),
      digestOf({ params: { arguments: undefined } }),
      digestOf({ params: { arguments: {} } }),
      digestOf({ delivery: { path: "/mcp?x" } }),
      digestOf({ params: { inputResponses: { q: {} } } }),
    ];
    expect(new Set(digests).size).toBe(digests.length);
    expect(digestOf({ id: 77 })).toBe(digests[0]);
    expect(digestOf({ params: { inputResponses: {} } })).toBe(digests[0]);
  });
});

describe("when nobody has decided yet", () => {
  const LINK = `${PAGE}${ID}`;

  test.each(["legacy", "2025-11-25", "modern"] as const)("a %s client gets the link in a tool's result", (client) => {
    const guard = start({ hold_seconds: 3 });
    const stream = call(guard, { client });
    opened(guard);
    expect(stream.localReply).toBeUndefined();
    waitFor(guard, stream);
    const { id, result } = replyOf(stream) as { id: number; result: Json };
    expect([id, result.isError, stream.downstream.status]).toEqual([1, true, 200]);
    expect(JSON.stringify(result.content)).toContain(`Open ${LINK} and`);
    expect(result.resultType).toBe(client === "modern" ? "complete" : undefined);
    expect(details(stream)).toBe("mcp_guard.approval_pending");
    nothing(stream);
  });

  test("with url_elicitation a client of MCP 2025-11-25 gets its error, and an older one does not", () => {
    const guard = start({ hold_seconds: 0, legacy_carrier: "url_elicitation" });
    const stream = call(guard, { client: "2025-11-25" });
    opened(guard);
    expect(replyOf(stream)).toEqual({
      jsonrpc: "2.0",
      id: 1,
      error: {
        code: -32042,
        message: "A person has to approve this call",
        data: {
          elicitations: [{ mode: "url", elicitationId: ID, url: LINK, message: `Approve the call of ${TOOL}?` }],
        },
      },
    });
    const older = call(guard, { client: "legacy" });
    opened(guard);
    expect((replyOf(older).result as Json).isError).toBe(true);
  });

  test("the hold ends after hold_seconds, and not before", () => {
    const guard = start({ hold_seconds: 3 });
    const stream = call(guard);
    opened(guard);
    const ticks = Math.ceil(3000 / guard.plugin.tickPeriodMs);
    waitFor(guard, stream, ticks - 1);
    expect(stream.localReply).toBeUndefined();
    waitFor(guard, stream, 1);
    expect(details(stream)).toBe("mcp_guard.approval_pending");
  });

  test("a modern client that can show links gets it at once, comes back, and waits then", async () => {
    const guard = start({ hold_seconds: 3 });
    const first = call(guard, { client: "modern with links" });
    const { digest } = opened(guard);
    const { result } = replyOf(first) as { result: Json };
    expect(result).toEqual({
      resultType: "input_required",
      inputRequests: {
        "guard.approval": {
          method: "elicitation/create",
          params: { mode: "url", message: `Approve the call of ${TOOL}?`, url: LINK },
        },
      },
      requestState: `mg1.${ID}..`,
    });
    const round = {
      client: "modern with links",
      id: 2,
      params: { requestState: result.requestState, inputResponses: { "guard.approval": { action: "accept" } } },
    } as const;
    const second = call(guard, round);
    expect(opened(guard).digest).toBe(digest);
    expect(second.localReply).toBeUndefined();
    waitFor(guard, second);
    expect(replyOf(second).result).toEqual({ resultType: "input_required", requestState: `mg1.${ID}..` });

    const third = call(guard, { ...round, id: 3, params: { requestState: result.requestState } });
    const open = opened(guard);
    expect(open.digest).toBe(digest);
    polled(guard, "approved");
    await claimed(guard, open);
    const body = arrived(third);
    expect(Buffer.byteLength(body)).toBe(
      Buffer.byteLength(bodyOf({ ...round, id: 3, params: { requestState: result.requestState } })),
    );
    expect(JSON.parse(body).params).not.toHaveProperty("requestState");
    expect(JSON.parse(body)).toEqual(JSON.parse(bodyOf({ client: "modern with links", id: 3 })));
  });

  test("what a client holds for the server comes back to it: state and answers", async () => {
    const guard = start({ hold_seconds: 3 });
    const params = {
      requestState: 'server "state" \\ é',
      inputResponses: { q: { action: "accept", content: { a: "é\n" } } },
    };
    const first = call(guard, { client: "modern with links", params });
    const { digest } = opened(guard);
    const { requestState } = replyOf(first).result as { requestState: string };
    for (const inputResponses of [undefined, {}, { "guard.approval": { action: "accept" } }]) {
      const second = call(guard, { client: "modern with links", id: 2, params: { inputResponses, requestState } });
      const open = opened(guard, "approved");
      expect(open.digest).toBe(digest);
      await claimed(guard, open);
      expect(JSON.parse(arrived(second))).toEqual(JSON.parse(bodyOf({ client: "modern with links", id: 2, params })));
    }
  });

  test("every round trip keeps its length and is JSON, wherever our members stand", async () => {
    const guard = start({ hold_seconds: 0, waiting_per_principal: 1000 });
    const ours = `"requestState":"mg1.${ID}.." `;
    const responses = `"inputResponses" : {"guard.approval":{"action":"accept"} }`;
    const name = `"name":"${TOOL}"`;
    const rest = `"arguments":{"a":1}`;
    for (const members of [
      [ours, responses, name, rest],
      [name, ours, rest, responses],
      [responses, name, rest, ours],
      [name, rest, ours, responses],
      [name, rest, responses, ours],
    ]) {
      const body = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{ ${members.join(" , ")} }}`;
      for (const end of ["separate", "merged"] as const) {
        const stream = call(guard, { delivery: { body, end, cuts: pieces(body.length, 50) } });
        const open = opened(guard, "approved");
        await claimed(guard, open);
        expect(arrived(stream)).toHaveLength(body.length);
        expect(JSON.parse(arrived(stream)).params).toEqual({ name: TOOL, arguments: { a: 1 } });
      }
    }
  });
});

describe("a client that has gone", () => {
  test.each(["open", "poll", "claim"] as const)("leaves nothing behind: during %s", async (stage) => {
    const guard = start();
    const stream = call(guard);
    let late = asked(guard, "open");
    const open = late.question;
    if (stage === "poll") {
      say(late.http, { id: ID, status: "pending", expires: 0 });
      guard.plugin.tick();
      late = asked(guard, "poll");
    } else if (stage === "claim") {
      say(late.http, { id: ID, status: "approved", expires: 0 });
      late = asked(guard, "claim");
    }
    stream.clientGone();
    if (stage === "claim") say(late.http, { receipt: await receiptFor(open, late.question) });
    else say(late.http, stage === "open" ? { id: ID, status: "approved", expires: 0 } : { [ID]: "approved" });
    nothing(stream);
    expect(guard.plugin.httpCalls).toEqual([]);
    for (let ticks = 0; ticks < 3 && guard.plugin.tickPeriodMs > 0; ticks++) guard.plugin.tick();
    expect(guard.plugin.tickPeriodMs).toBe(0);
  });
});

describe("a secret for the service", () => {
  test("comes from the environment and stands in every request", () => {
    const service = { cluster: "approval", authority: "approval:8081", secret_env: "APPROVAL_SECRET" };
    const options = { clusters: ["approval"], environment: { APPROVAL_SECRET: "s3cret", OTHER: "x" } };
    const guard = startGuard(policyWith({ service }), options);
    call(guard);
    const { http } = asked(guard, "open");
    expect(http.headers.get("authorization")).toBe("Bearer s3cret");
    expect(guard.vm.logs.map(({ message }) => message).join("\n")).not.toContain("s3cret");
    for (const environment of [
      {},
      { APPROVAL_SECRET: "" },
      { APPROVAL_SECRET: "a b" },
      { APPROVAL_SECRET: "x".repeat(513) },
    ]) {
      expect(() => startGuard(policyWith({ service }), { clusters: ["approval"], environment })).toThrow(
        /approval\.service\.secret_env: found no variable APPROVAL_SECRET/,
      );
    }
  });
});

test("memory does not grow with calls that wait and go", () => {
  const guard = start({ hold_seconds: 0 });
  const round = () => {
    const stream = call(guard, { params: { arguments: { text: "x".repeat(20_000) } } });
    opened(guard);
    expect(details(stream)).toBe("mcp_guard.approval_pending");
  };
  for (let index = 0; index < 50; index++) round();
  const before = guard.vm.memoryBytes();
  for (let index = 0; index < 1000; index++) round();
  expect(guard.vm.memoryBytes()).toBe(before);
});
