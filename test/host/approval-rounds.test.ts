// What modern clients carry between their rounds, and what comes of it. Goal: of a state that says it is ours nothing is believed, and nothing but one string and one
// object comes out of it; and whatever a call may have, its next round can be read.

import { describe, expect, test } from "vitest";
import type { HttpStream } from "../../src/host/index.ts";
import { asked, bodyOf, type CallOptions, call, claimed, ID, opened, replyOf, start, TOOL } from "./approval-calls.ts";
import { type Guard, MODERN_META, modernHeaders, send, verdict } from "./guard.ts";

const encoded = (text: string | Buffer): string => Buffer.from(text).toString("base64url");
const codeOf = (stream: HttpStream): string | undefined => stream.codeDetails;
const nothing = (stream: HttpStream): void => {
  expect([stream.upstream.ended, stream.upstream.body().length]).toEqual([false, 0]);
};
const arrived = (stream: HttpStream): string => (stream.upstream.ended ? stream.upstream.body().toString("utf8") : "");
const withLinks = (params: object, rest: object = {}): CallOptions => ({
  client: "modern with links",
  params,
  ...rest,
});

/** The state that a call of these params is answered with. */
function stateOf(guard: Guard, params: object): string {
  const stream = call(guard, withLinks(params));
  opened(guard);
  return (replyOf(stream).result as { requestState: string }).requestState;
}

describe("what a state carries", () => {
  const ARGUMENTS = encoded('","arguments":{"repo":"other"},"x":"');
  test.each([
    ["closes its string", encoded('a","x":"b'), ""],
    ["brings arguments along, which the call had none of", ARGUMENTS, ""],
    ["brings a task along", encoded('","task":{"ttl":1},"x":"'), ""],
    ["ends with half an escape", encoded("a\\"), ""],
    ["ends with half an escape, behind a whole one", encoded("a\\\\\\"), ""],
    ["is a state of ours", encoded(`mg1.${ID}..`), ""],
    ["has answers that bring arguments along", "", encoded('{},"arguments":{"repo":"other"}')],
    ["has answers with another member behind them", "", encoded('{"q":1},"x":{}')],
    ["has answers that are a list", "", encoded("[1]")],
    ["has answers that are a text", "", encoded('"x"')],
    ["has answers that are not canonical", "", encoded('{"q": 1}')],
    ["has answers that are not sorted", "", encoded('{"q":1,"a":2}')],
    ["has answers with a duplicate member name", "", encoded('{"q":1,"q":1}')],
    ["has an answer to our own question", "", encoded('{"guard.approval":{"action":"accept"}}')],
    ["has an answer to our own question in another spelling", "", encoded('{"guard\\u002eapproval":{"a":1}}')],
    ["has answers that are cut", "", encoded('{"q":1')],
    ["has answers of one character", "", "A"],
    ["has a part too many", "", `${encoded("{}")}.${encoded("{}")}`],
  ])("that %s is refused, and nothing is asked", (_what, state, responses) => {
    const guard = start({}, { tasks: "allow" });
    const params = { arguments: undefined, requestState: `mg1.${ID}.${state}.${responses}` };
    const stream = call(guard, withLinks(params));
    expect(verdict(stream)).toMatch(/^refuse (params_invalid|json_\w+) /);
    expect(guard.plugin.httpCalls).toEqual([]);
  });

  test.each([
    ["an escape that is none", "a\\q", "json_syntax"],
    ["half of a surrogate pair", "\\ud800", "json_surrogate"],
    ["a control character", "\u0001", "json_syntax"],
    ["an ill-formed character", Buffer.from([0xc0, 0xaf]), "json_utf8"],
  ])("is read from its first byte: %s is refused as anywhere else", (_what, state, reason) => {
    const stream = call(start(), withLinks({ requestState: `mg1.${ID}.${encoded(state)}.` }));
    expect(verdict(stream)).toBe(`refuse ${reason} 400`);
  });

  test.each([
    ["quotes and backslashes", 'a"\\b\\\\"'],
    ["controls and what no terminal shows", "\u0000\u0001\n\u007f\u202e\u2028"],
    ["every kind of character", "é€😀"],
    ["a beginning that is nearly ours", "mg1"],
    ["as much as fits", "s".repeat(100_000)],
  ])("comes back to the server as it was: %s", async (_what, requestState) => {
    const guard = start();
    const inputResponses = { q: { action: "accept", content: { [`k${requestState.slice(0, 9)}`]: 1 } } };
    const params = { requestState, inputResponses };
    const state = stateOf(guard, params);
    const stream = call(guard, withLinks({ requestState: state }, { id: 2 }));
    await claimed(guard, opened(guard, "approved"));
    expect(JSON.parse(arrived(stream))).toEqual(JSON.parse(bodyOf(withLinks(params, { id: 2 }))));
  });
});

describe("a state that says it is ours", () => {
  const FORGED: readonly (readonly [string, string])[] = [
    ["without an id", "mg1."],
    ["with an id that is none", "mg1.short.."],
    ["with an id of other characters", `mg1.${"!".repeat(22)}..`],
    ["without its parts", `mg1.${ID}`],
    ["with one part", `mg1.${ID}.`],
    ["with one part that is not empty", `mg1.${ID}.YQ`],
    ["with a longer id", `mg1.${ID}xYQ.`],
    ["with padding", `mg1.${ID}.YQ==.`],
    ["with bits behind its last byte", `mg1.${ID}.YR.`],
    ["that closes its string", `mg1.${ID}.${encoded('","name":"safe')}.`],
    ["that ends the object", `mg1.${ID}.${encoded('"},"x":{"y":"')}.`],
    ["that brings arguments along", `mg1.${ID}..${encoded('{},"arguments":{"repo":"other"}')}`],
    ["whose answers are no object", `mg1.${ID}..${encoded('"x"')}`],
    ["whose answers are no JSON", `mg1.${ID}..${encoded("{")}`],
    ["whose answers are no UTF-8", `mg1.${ID}..${Buffer.from([0x22, 0xff, 0x22]).toString("base64url")}`],
    ["with roots that break the rules", `mg1.${ID}..${encoded('{"r":{"roots":[{"uri":"file:///a/../b"}]}}')}`],
  ];

  test.each(FORGED)("%s is refused, and nothing is asked or sent", (_what, requestState) => {
    const guard = start();
    const stream = call(guard, { client: "modern with links", params: { requestState } });
    // Its own refusal, and not what the proxy answers for a module that has failed.
    expect(codeOf(stream)).toMatch(/^mcp_guard\./);
    nothing(stream);
    expect(guard.plugin.httpCalls).toEqual([]);
  });

  test("does not name an approval: the service is asked about the call", () => {
    const guard = start();
    call(guard, { client: "modern with links", params: { requestState: `mg1.${"B".repeat(22)}..` } });
    expect(asked(guard, "open").question).not.toHaveProperty("id");
  });

  test("cannot come with answers to the server's questions and answers of its own", () => {
    const guard = start();
    const params = { requestState: `mg1.${ID}..${encoded('{"q":1}')}`, inputResponses: { q: 2 } };
    expect(codeOf(call(guard, { client: "modern with links", params }))).toBe("mcp_guard.params_invalid");
  });

  test.each(["decline", "cancel", "approve", 1, null])(
    "a client that says %s to the link gets no approval",
    (action) => {
      const guard = start();
      const params = { inputResponses: { "guard.approval": { action } } };
      const stream = call(guard, { client: "modern with links", params });
      expect(codeOf(stream)).toBe("mcp_guard.approval_denied");
      expect(guard.plugin.httpCalls).toEqual([]);
      nothing(stream);
    },
  );

  test("with trailers is refused: such a body cannot be changed", () => {
    const guard = start();
    const params = { requestState: `mg1.${ID}..` };
    const stream = call(guard, { client: "modern with links", params, delivery: { end: "trailers" } });
    expect(codeOf(stream)).toBe("mcp_guard.internal");
    nothing(stream);
  });
});

describe("our members in a call", () => {
  const sent = (guard: Guard, params: string): HttpStream => {
    const meta = { ...MODERN_META, "io.modelcontextprotocol/clientCapabilities": { elicitation: { url: {} } } };
    const body = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"${TOOL}","_meta":${JSON.stringify(meta)},${params}}}`;
    return call(guard, { client: "modern", delivery: { body } });
  };
  const ACCEPT = '{"action":"accept"}';

  test.each([
    ["our answer twice", `"inputResponses":{"guard.approval":${ACCEPT},"guard.approval":${ACCEPT}}`],
    ["our answer twice, in two spellings", `"inputResponses":{"guard.approval":${ACCEPT},"guard\\u002eapproval":1}`],
    ["the answers twice", `"inputResponses":{"guard.approval":${ACCEPT}},"inputResponse\\u0073":{}`],
    ["a state twice", `"requestState":"mg1.${ID}..","request\\u0053tate":"x"`],
  ])("are refused when there is %s", (_what, params) => {
    const guard = start();
    expect(verdict(sent(guard, params))).toMatch(/^refuse json_duplicate_member/);
    expect(guard.plugin.httpCalls).toEqual([]);
  });

  test.each([
    ["declined", '{"action":"decline"}'],
    ["without an action", "{}"],
    ["that is a list", '["accept"]'],
    ["whose action is spelled another way", '{"action":"\\u0061ccept"}'],
    ["whose action is longer", '{"action":"accept "}'],
  ])("%s, in whatever spelling of its name, the answer is a no", (_what, value) => {
    for (const name of ["guard.approval", "guard\\u002eapproval"]) {
      const guard = start();
      const stream = sent(guard, `"inputResponses":{"q":{"action":"accept"},"${name}":${value}}`);
      expect(verdict(stream)).toBe("refuse approval_denied 200");
    }
  });

  test.each([
    ["alone", `"inputResponses":{"guard.approval":${ACCEPT}}`, undefined],
    ["first", `"inputResponses":{"guard.approval":${ACCEPT} , "q":1}`, { q: 1 }],
    ["last", `"inputResponses":{"q":1 , "guard\\u002eapproval" : ${ACCEPT} }`, { q: 1 }],
    ["between", `"inputResponses":{"q":1,"guard.approval":${ACCEPT},"r":2}`, { q: 1, r: 2 }],
  ])("are taken out without a trace, and the server's stay: %s", async (_what, params, inputResponses) => {
    const guard = start({}, { hold_seconds: undefined });
    const stream = sent(guard, params);
    const open = opened(guard, "approved");
    expect(open.input_responses).toBe(inputResponses === undefined ? "" : JSON.stringify(inputResponses));
    await claimed(guard, open);
    expect(JSON.parse(arrived(stream)).params.inputResponses).toEqual(inputResponses);
  });

  test("are a server's own when they are spelled in another way, or are no text", () => {
    const guard = start();
    for (const state of [`"\\u006dg1.${ID}.."`, '"mg2."', '""', "7", "null", `{"mg1.":1}`]) {
      sent(guard, `"requestState":${state}`);
      expect(asked(guard, "open").question.tool).toBe(TOOL);
      opened(guard, "denied");
    }
  });

  test("reach the server in a call that nobody has to approve, as they came", () => {
    const guard = start({}, { prompt_allowlist: ["greet"], resource_roots: ["file:///docs/"] });
    const ours = { requestState: `mg1.${ID}..`, inputResponses: { "guard.approval": { action: "decline" } } };
    for (const [method, name, params] of [
      ["tools/call", "safe", { name: "safe" }],
      ["prompts/get", "greet", { name: "greet" }],
      ["resources/read", "file:///docs/a", { uri: "file:///docs/a" }],
    ] as const) {
      const all = { ...params, ...ours, _meta: MODERN_META };
      const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params: all });
      const stream = send(guard.plugin, { body, headers: modernHeaders(method, name) });
      expect(arrived(stream)).toBe(body);
    }
    expect(guard.plugin.httpCalls).toEqual([]);
  });
});

describe("the largest calls", () => {
  const CAP = 1024;
  /** The most that is kept of a message. */
  const MOST = 3 * CAP + 65_536;
  const sized = (bytes: number): object => ({ arguments: { text: "x".repeat(bytes - '{"text":""}'.length) } });

  test.each([
    ["arguments", sized(CAP), sized(CAP + 1)],
    ["a task", { arguments: undefined, task: { t: "x".repeat(CAP - 8) } }, { task: { t: "x".repeat(CAP - 7) } }],
    ["both together", { ...sized(CAP - 2), task: {} }, { ...sized(CAP - 1), task: {} }],
    [
      "answers",
      { arguments: undefined, inputResponses: { t: "x".repeat(CAP - 8) } },
      { arguments: undefined, inputResponses: { t: "x".repeat(CAP - 7) } },
    ],
  ])("have %s of as many bytes as may be, and not one more", (_what, most, tooMuch) => {
    const guard = start({ arguments_bytes: CAP }, { tasks: "allow" });
    expect(verdict(call(guard, { params: tooMuch }))).toBe("refuse arguments_too_large 200");
    expect(guard.plugin.httpCalls).toEqual([]);
    expect(verdict(call(guard, { params: most }))).toMatch(/^open/);
  });

  test("have as much around their arguments as is kept, and not one more", () => {
    const guard = start({ arguments_bytes: CAP });
    const body = bodyOf({});
    for (const at of [0, 1, body.length]) {
      const padded = (bytes: number): string => body.slice(0, at) + " ".repeat(bytes - body.length) + body.slice(at);
      expect(verdict(call(guard, { delivery: { body: padded(MOST + 1) } }))).toBe("refuse arguments_too_large 200");
      const stream = call(guard, { delivery: { body: padded(MOST) } });
      expect(verdict(stream)).toMatch(/^open/);
      opened(guard, "denied");
    }
  });

  test.each([
    ["the default", {}, 64 << 10],
    ["the smallest", { arguments_bytes: 1024 }, 1024],
  ])(
    "can come back, with %s for arguments_bytes: the next round is read, or the first one is refused",
    async (_what, approval, cap) => {
      const guard = start(approval);
      const answers = (bytes: number): object => ({ q: "x".repeat(bytes - '{"q":""}'.length) });
      let [read, refused] = [0, 0];
      for (const share of [0, 0.5, 1]) {
        for (const stateBytes of [0, 40_000, 45_000, 50_000, 100_000, 140_000, 150_000, 190_000, 250_000]) {
          const responses = Math.floor((cap - 20) * share) + 10;
          const params = {
            arguments: { t: "x".repeat(cap - responses - '{"t":""}'.length) },
            inputResponses: answers(responses),
            ...(stateBytes > 0 && { requestState: "s".repeat(stateBytes) }),
          };
          const first = call(guard, withLinks(params));
          if (first.localReply !== undefined) {
            expect(verdict(first)).toBe("refuse arguments_too_large 200");
            refused++;
            continue;
          }
          opened(guard);
          const { requestState } = (replyOf(first) as { result: { requestState: string } }).result;
          const inputResponses = { "guard.approval": { action: "accept", content: { note: "n".repeat(200) } } };
          const second = call(guard, withLinks({ arguments: params.arguments, requestState, inputResponses }));
          await claimed(guard, opened(guard, "approved"));
          expect(JSON.parse(arrived(second))).toEqual(JSON.parse(bodyOf(withLinks(params))));
          read++;
        }
      }
      expect(Math.min(read, refused)).toBeGreaterThan(3);
    },
  );

  test("can come back with an answer to the link, up to the last byte that the first round may have", async () => {
    const guard = start({ arguments_bytes: CAP });
    const first = (stateBytes: number): HttpStream => call(guard, withLinks({ requestState: "s".repeat(stateBytes) }));
    let [taken, refused] = [10_000, MOST];
    while (refused - taken > 1) {
      const middle = (taken + refused) >> 1;
      const stream = first(middle);
      if (stream.localReply === undefined) taken = middle;
      else refused = middle;
      stream.clientGone();
      for (const http of guard.plugin.httpCalls) http.drop();
    }
    const requestState = stateOf(guard, { requestState: "s".repeat(taken) });
    const inputResponses = { "guard.approval": { action: "accept", content: { note: "n".repeat(300) } } };
    const second = call(guard, withLinks({ requestState, inputResponses }));
    await claimed(guard, opened(guard, "approved"));
    expect(JSON.parse(arrived(second)).params.requestState).toHaveLength(taken);
  });

  test("can come back, and as often as they like: a later round is as large as the one before", () => {
    const guard = start({ arguments_bytes: CAP, hold_seconds: 0 });
    const params = { requestState: "s".repeat(50_000) };
    let state = stateOf(guard, params);
    for (let round = 0; round < 5; round++) {
      const next = stateOf(guard, { requestState: state });
      expect(next).toBe(state);
      state = next;
    }
  });

  test("of limits.body_bytes: a call whose next round would be larger is refused", () => {
    const guard = start({}, { limits: { body_bytes: 10_000 } });
    const params = { requestState: "s".repeat(8000) };
    expect(verdict(call(guard, withLinks(params)))).toBe("refuse arguments_too_large 200");
    // Without a link there is no next round that carries anything.
    expect(verdict(call(guard, { client: "modern", params }))).toMatch(/^open/);
  });

  test("have answers that are as long as they may be", () => {
    const page = `https://approve.example/${"p".repeat(487)}/`;
    const name = `delete_${'"'.repeat(249)}`;
    for (const client of ["legacy", "2025-11-25", "modern with links"] as const) {
      const guard = start({ page, hold_seconds: 0, legacy_carrier: "url_elicitation" }, { tool_allowlist: [name] });
      const headers = modernHeaders("tools/call", `=?base64?${Buffer.from(name).toString("base64")}?=`);
      const delivery = client === "modern with links" ? { delivery: { headers } } : {};
      const stream = call(guard, { client, params: { name }, ...delivery });
      opened(guard);
      expect(stream.codeDetails).toBe("mcp_guard.approval_pending");
      expect(JSON.stringify(replyOf(stream))).toContain(`${page}${ID}`);
    }
  });
});

describe("who can be sent a link", () => {
  const capabilities = (value: unknown): object => ({
    _meta: { ...MODERN_META, "io.modelcontextprotocol/clientCapabilities": value },
  });
  const carrier = (params: object, client: CallOptions["client"] = "modern"): unknown => {
    const guard = start({ hold_seconds: 0 });
    const body = JSON.parse(bodyOf({ client }));
    Object.assign(body.params, params);
    const stream = call(guard, { client, delivery: { body: JSON.stringify(body) } });
    opened(guard);
    return (replyOf(stream) as { result: { resultType?: string } }).result.resultType;
  };

  test.each([
    ["that says so", { elicitation: { url: {} } }, "input_required"],
    ["that has forms alone", { elicitation: { form: {} } }, "complete"],
    ["that says nothing of elicitation", {}, "complete"],
    ["whose elicitation has no members", { elicitation: {} }, "complete"],
    ["that says no", { elicitation: { url: false } }, "complete"],
    ["that says so elsewhere", { url: {}, x: { elicitation: { url: {} } } }, "complete"],
  ])("a modern client %s", (_what, value, resultType) => {
    expect(carrier(capabilities(value))).toBe(resultType);
  });

  test("a legacy client cannot, whatever it says of itself: it has no such round", () => {
    const _meta = { "io.modelcontextprotocol/clientCapabilities": { elicitation: { url: {} } } };
    expect(carrier({ _meta }, "legacy")).toBeUndefined();
  });

  test("and no other call of a client that could", () => {
    const guard = start({ hold_seconds: 0 });
    for (const [client, resultType] of [
      ["modern with links", "input_required"],
      ["modern", "complete"],
      ["legacy", undefined],
    ] as const) {
      const stream = call(guard, { client });
      opened(guard);
      expect((replyOf(stream) as { result: { resultType?: string } }).result.resultType).toBe(resultType);
    }
  });
});

test("the same answers, absent or empty, are the same call", () => {
  const guard = start();
  const digests = [{}, { inputResponses: {} }, { inputResponses: { "guard.approval": { action: "accept" } } }].map(
    (params) => {
      call(guard, withLinks(params));
      return opened(guard, "denied").digest;
    },
  );
  expect(new Set(digests).size).toBe(1);
});

test("arguments that are no object are no call, and nobody is asked about them", () => {
  const guard = start();
  for (const value of [null, [], "x", 1, true]) {
    expect(verdict(call(guard, { params: { arguments: value } }))).toBe("refuse params_invalid 200");
  }
  expect(guard.plugin.httpCalls).toEqual([]);
});
