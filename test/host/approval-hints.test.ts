// What servers say of their tools (`annotations.destructiveHint`), under a policy that asks people. Goal: `true` makes calls of a listed tool wait,
// from then on and in this guard alone; nothing else that a server says changes anything; and what clients see stays what it was. Method: a list
// goes through the guard, then a call.

import { describe, expect, test } from "vitest";
import { type HttpStream, Vm } from "../../src/host/index.ts";
import { RESPONSE_VECTORS } from "../vectors/responses.ts";
import {
  APPROVAL,
  asked,
  bodyOf,
  type CallOptions,
  call,
  claimed,
  ID,
  opened,
  policyWith,
  start,
  TOOL,
  tokenOf,
} from "./approval-calls.ts";
import {
  addPlugin,
  answer,
  BUILDS,
  everyCut,
  type Guard,
  open,
  pieces,
  send,
  startGuard,
  toolCall,
  verdict,
} from "./guard.ts";
import { encodeHeaders, startRaw } from "./raw-module.ts";
import { respond } from "./respond.ts";

type Kind = "json" | "events";

const PLAIN = '{"name":"safe"}';
const HINT = '"annotations":{"destructiveHint":true}';
const HINTED = `{"name":"safe",${HINT}}`;
const listOf = (...tools: string[]): string => `{"jsonrpc":"2.0","id":1,"result":{"tools":[${tools.join()}]}}`;
const eventOf = (text: string): string => `data: ${text}\n\n`;

interface Showing {
  readonly kind?: Kind;
  readonly cuts?: Iterable<number>;
  readonly method?: "POST" | "GET";
}

/** Lets a text go through the guard to a client; what that gets. */
function show(guard: Guard, text: string, { kind = "json", cuts = [], method = "POST" }: Showing = {}): string {
  const type = kind === "json" ? "application/json" : "text/event-stream";
  const body = Buffer.from(kind === "json" ? text : eventOf(text));
  const sent = { exchange: { method }, status: 200, headers: [["content-type", type]] as const, body };
  return respond(guard, sent, cuts).downstream.body().toString("utf8");
}

/** Whether somebody is asked about a call. One that is goes no further, one that is not must have reached the server whole. */
function isAsked(guard: Guard, name = "safe", options: CallOptions = {}): boolean {
  const params = { name, ...options.params };
  const stream = call(guard, { ...options, params });
  if (guard.plugin.httpCalls.length === 0) {
    answer(stream);
    expect(verdict(stream, bodyOf({ ...options, params }))).toBe("allow");
    return false;
  }
  expect([stream.upstream.ended, asked(guard, "open").question.tool]).toEqual([false, name]);
  opened(guard, "denied");
  expect(verdict(stream)).toBe("refuse approval_denied 200");
  return true;
}

/** Whether somebody is asked about a call once this text has been read. */
function asksAfter(text: string, approval: object = {}, showing: Showing = {}): boolean {
  const guard = start(approval);
  expect(isAsked(guard)).toBe(false);
  show(guard, text, showing);
  return isAsked(guard);
}

describe("a tool that its server calls destructive", () => {
  test("is called with an approval, and its calls reach the server as they came", async () => {
    const guard = start();
    expect(isAsked(guard)).toBe(false);
    expect(show(guard, listOf(HINTED))).toBe(listOf(HINTED));
    const params = { name: "safe" };
    const stream = call(guard, { params });
    const open = opened(guard, "approved");
    expect([open.tool, stream.upstream.ended]).toEqual(["safe", false]);
    await claimed(guard, open);
    expect(stream.upstream.body().toString()).toBe(bodyOf({ params }));
    expect(stream.upstream.ended).toBe(true);
    // One approval is for one call.
    expect(isAsked(guard)).toBe(true);
  });

  test.each([
    ["the hint behind the name", HINTED],
    ["the hint in front of the name", `{${HINT},"name":"safe"}`],
    ["among other members", `{"title":"t",${HINT},"inputSchema":{"a":[{}]},"name":"safe","_meta":{"x":1},"icons":[]}`],
    [
      "among other hints",
      '{"name":"safe","annotations":{"title":"a","readOnlyHint":true,"destructiveHint":true,"x":{}}}',
    ],
    [
      "behind values of all kinds",
      '{"name":"safe","annotations":{"a":[{"b":[]}],"c":{},"d":null,"e":"","destructiveHint":true}}',
    ],
    ["member names with escapes", '{"name":"saf\\u0065","annot\\u0061tions":{"d\\u0065structiveHint":true}}'],
    ["white space", ' { "annotations" : {\n"destructiveHint"\t:\r\ntrue } , "name" : "safe" } '],
  ])("%s", (_what, tool) => {
    expect(asksAfter(listOf(tool))).toBe(true);
  });

  test.each([
    ["a list in an answer to GET", listOf(HINTED), { kind: "events", method: "GET" }],
    ["an event", listOf(HINTED), { kind: "events" }],
    ["one of several messages", `[${listOf(PLAIN)},${listOf(HINTED)}]`, {}],
    ["one of several texts", `${listOf(PLAIN)}\n${listOf(HINTED)}\n`, {}],
    ["the result of a task", `{"jsonrpc":"2.0","id":1,"result":{"result":{"tools":[${HINTED}]}}}`, {}],
    ["a list with other tools", listOf('{"name":"evil"}', HINTED, `{"name":"${TOOL}"}`), {}],
  ] as const)("%s", (_what, text, showing) => {
    expect(asksAfter(text, {}, showing)).toBe(true);
  });

  test.each(["json", "events"] as const)("however the list is cut, %s", (kind) => {
    const vm = Vm.load(BUILDS.release, { clusters: ["approval"] });
    const policy = policyWith({}, { tool_allowlist: ["safe", "other"] });
    const text = listOf('{"name":"other","annotations":{"destructiveHint":false}}', `{${HINT},"name":"safe"}`);
    const bytes = Buffer.byteLength(kind === "json" ? text : eventOf(text));
    for (const cuts of [...everyCut(bytes), [...pieces(bytes, 1)]]) {
      const guard = { vm, plugin: addPlugin(vm, policy) };
      show(guard, text, { kind, cuts });
      expect([cuts, isAsked(guard), isAsked(guard, "other")]).toEqual([cuts, true, false]);
      guard.plugin.stop();
    }
    expect(vm.failed).toBe(false);
  });

  test("however the call is cut, and with its arguments in front of its name", async () => {
    const guard = start({ waiting_per_principal: 1000 });
    show(guard, listOf(HINTED));
    const behind = bodyOf({ params: { name: "safe" } });
    const before =
      '{"params":{"arguments":{"repo":"acme/prod"},"name":"safe"},"method":"tools/call","id":1,"jsonrpc":"2.0"}';
    const digests = new Set<string>();
    for (const body of [behind, before]) {
      for (const cuts of [...everyCut(body.length), [...pieces(body.length, 1)]]) {
        const stream = call(guard, { delivery: { body, cuts } });
        const open = opened(guard, "approved");
        digests.add(open.digest);
        await claimed(guard, open);
        expect([stream.upstream.ended, stream.upstream.body().toString()]).toEqual([true, body]);
      }
    }
    expect(digests.size).toBe(1);
  });

  test("is refused when its arguments are too long to be kept until its name is known", () => {
    const guard = start();
    show(guard, listOf(HINTED));
    const body = `{"params":{"arguments":{"x":"${"x".repeat(400_000)}"},"name":"safe"},"method":"tools/call","id":1,"jsonrpc":"2.0"}`;
    expect(verdict(call(guard, { delivery: { body, cuts: pieces(body.length, 50_000) } }))).toBe(
      "refuse arguments_too_large 200",
    );
  });

  test("its calls wait for their records too, when the audit asks for that", async () => {
    const otlp = { cluster: "collector", authority: "otel:4318", messages: "none" };
    const audit = { otlp, required: "approval" };
    const guard = start({}, { audit });
    show(guard, listOf(HINTED));
    for (const http of guard.plugin.httpCalls) http.answer({ status: 200, headers: [], body: "{}" });
    const stream = call(guard, { params: { name: "safe" } });
    await claimed(guard, opened(guard, "approved"));
    const [record] = guard.plugin.httpCalls;
    expect([record?.cluster, String(record?.body).includes(ID), stream.upstream.ended]).toEqual([
      "collector",
      true,
      false,
    ]);
    record!.answer({ status: 200, headers: [["content-type", "application/json"]], body: "{}" });
    expect(stream.upstream.ended).toBe(true);
  });

  test("in monitor mode: the record says what would have been", () => {
    const guard = start({}, { mode: "monitor" });
    const reasonOf = (): string | undefined => {
      const stream = call(guard, { params: { name: "safe" } });
      answer(stream);
      return stream.filterState.get("mcp_reason");
    };
    expect(reasonOf()).toBeUndefined();
    show(guard, listOf(HINTED));
    expect([reasonOf(), guard.plugin.httpCalls]).toEqual(["approval_pending", []]);
  });

  test("what has been read of a list counts, whatever becomes of the rest", () => {
    // Neither of the two is shown, and of the other text nothing.
    expect(asksAfter(listOf(PLAIN, HINTED))).toBe(true);
    expect(asksAfter(listOf(HINTED).slice(0, -3))).toBe(true);
  });
});

describe("nobody is asked because of", () => {
  const member = (name: string, value: string): string => `{"name":"safe","annotations":{"${name}":${value}}}`;

  test.each([
    ["a hint that is false", member("destructiveHint", "false")],
    ["a hint that is null", member("destructiveHint", "null")],
    ["a hint that is a text", member("destructiveHint", '"true"')],
    ["a hint that is a number", member("destructiveHint", "1")],
    ["a hint that is a list", member("destructiveHint", "[true]")],
    ["a hint that is an object", member("destructiveHint", '{"destructiveHint":true}')],
    ["another hint", member("idempotentHint", "true")],
    ["no hint at all", PLAIN],
    ["no hint among the annotations", '{"name":"safe","annotations":{}}'],
    ["a hint in other letters", member("DestructiveHint", "true")],
    ["a hint with a character that nobody sees", member("destructive\u200cHint", "true")],
    ["annotations in other letters", '{"name":"safe","Annotations":{"destructiveHint":true}}'],
    ["annotations with a character that nobody sees", '{"name":"safe","annot\u200cations":{"destructiveHint":true}}'],
    ["annotations that are a list", '{"name":"safe","annotations":[{"destructiveHint":true}]}'],
    ["annotations that are a text", '{"name":"safe","annotations":"destructiveHint"}'],
    ["annotations inside of annotations", `{"name":"safe","annotations":{${HINT}}}`],
    ["annotations inside of a schema", `{"name":"safe","inputSchema":{${HINT}}}`],
    ["annotations inside of _meta", `{"name":"safe","_meta":{${HINT}}}`],
    ["annotations inside of an object of _meta", `{"name":"safe","_meta":{"ui":{${HINT}}}}`],
    ["a hint inside of _meta", '{"name":"safe","_meta":{"destructiveHint":true}}'],
    ["a hint inside of an object of _meta", '{"name":"safe","_meta":{"ui":{"destructiveHint":true}}}'],
    ["a hint inside of an icon", '{"name":"safe","icons":[{"src":"https://x/","destructiveHint":true}]}'],
    ["annotations inside of an icon", `{"name":"safe","icons":[{"src":"https://x/",${HINT}}]}`],
    ["a hint that is a member of the tool", '{"name":"safe","destructiveHint":true}'],
  ])("%s", (_what, tool) => {
    const guard = start();
    expect(show(guard, listOf(tool))).toBe(listOf(tool));
    expect(isAsked(guard)).toBe(false);
  });

  test.each([
    ["a hint about another tool", listOf(PLAIN, `{"name":"${TOOL}",${HINT}}`)],
    ["a hint about a tool that is not listed", listOf(`{"name":"evil",${HINT}}`, PLAIN)],
    [
      "an announcement that is left out itself",
      listOf(`{"name":"safe",${HINT},"_meta":{"ui":{"resourceUri":"http://evil/"}}}`),
    ],
    ["a hint about a prompt", `{"jsonrpc":"2.0","id":1,"result":{"prompts":[${HINTED}]}}`],
    ["a hint beside the list", `{"jsonrpc":"2.0","id":1,"result":{${HINT},"tools":[${PLAIN}]}}`],
    ["a result that looks like a tool", `{"jsonrpc":"2.0","id":1,"result":${HINTED}}`],
    [
      "a content block with annotations",
      `{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"",${HINT}}]}}`,
    ],
    [
      "structured content that looks like a list",
      `{"jsonrpc":"2.0","id":1,"result":{"structuredContent":{"tools":[${HINTED}]}}}`,
    ],
    [
      "a text in which a member stands twice",
      listOf('{"name":"safe","annotations":{"destructiveHint":true,"destructiveHint":true}}'),
    ],
  ])("%s", (_what, text) => {
    expect(asksAfter(text)).toBe(false);
  });

  test("a hint about a prompt of the same name, which is listed", () => {
    const guard = start({}, { prompt_allowlist: ["safe"] });
    show(guard, `{"jsonrpc":"2.0","id":1,"result":{"prompts":[${HINTED}]}}`);
    expect(isAsked(guard)).toBe(false);
  });

  test("a hint that came when the name had been read; the next call asks", () => {
    const guard = start();
    const body = toolCall("safe");
    const cut = body.indexOf('"safe"') + 6;
    const stream = open(guard.plugin, { stream: { properties: tokenOf("alice") } });
    stream.requestBody(body.slice(0, cut), false);
    show(guard, listOf(HINTED));
    stream.requestBody(body.slice(cut), true);
    expect([stream.upstream.ended, guard.plugin.httpCalls]).toEqual([true, []]);
    expect(isAsked(guard)).toBe(true);
  });

  test("anything, when it is the policy's word that the tool is exempt", () => {
    expect(asksAfter(listOf(HINTED), { exempt: ["safe"] })).toBe(false);
  });
});

describe("nothing that a server says takes a flag away", () => {
  test.each([
    ["a list without the hint", listOf(PLAIN)],
    ["a hint that is false", listOf('{"name":"safe","annotations":{"destructiveHint":false}}')],
    ["a tool that only reads", listOf('{"name":"safe","annotations":{"readOnlyHint":true,"title":"x"}}')],
    ["an empty list", listOf()],
  ])("of a hint: %s", (_what, text) => {
    const guard = start();
    show(guard, listOf(HINTED));
    show(guard, text);
    expect(isAsked(guard)).toBe(true);
  });

  test.each([
    ["of a name", TOOL, {}],
    ["of the policy's list", "safe", { tools: ["safe"] }],
  ])("%s", (_what, name, approval) => {
    const guard = start(approval);
    show(guard, listOf(`{"name":"${name}","annotations":{"destructiveHint":false,"readOnlyHint":true}}`));
    expect(isAsked(guard, name)).toBe(true);
  });
});

describe("a policy that asks nobody", () => {
  test.each([
    ["no member", undefined],
    ["lists alone", { tools: [TOOL] }],
    ["off", { mode: "off" }],
  ])("takes no hints: %s", (_what, approval) => {
    const otlp = { cluster: "collector", authority: "otel:4318", messages: "none" };
    const guard = startGuard(
      { tool_allowlist: ["safe", TOOL], approval, audit: { otlp, required: "approval" } },
      { clusters: ["collector"] },
    );
    expect(show(guard, listOf(HINTED))).toBe(listOf(HINTED));
    const stream = send(guard.plugin, { body: toolCall("safe") });
    answer(stream);
    expect(verdict(stream, toolCall("safe"))).toBe("allow");
  });
});

describe("what is known of a server's tools", () => {
  test("is this guard's alone", () => {
    const first = start();
    const second: Guard = { vm: first.vm, plugin: addPlugin(first.vm, policyWith()) };
    show(first, listOf(HINTED));
    expect([isAsked(second), isAsked(first)]).toEqual([false, true]);
    // And goes with it.
    first.plugin.stop();
    const third: Guard = { vm: first.vm, plugin: addPlugin(first.vm, policyWith()) };
    expect([isAsked(second), isAsked(third)]).toEqual([false, false]);
  });

  test.each(["release", "debug"] as const)("is gone when the guard gets another policy, %s build", (build) => {
    const raw = startRaw(build);
    raw.call.proxy_on_context_create!(1, 0);
    raw.call.proxy_on_vm_start!(1, 0);
    const configure = (tools: readonly string[], approval: object): void => {
      const bytes = Buffer.from(JSON.stringify(policyWith(approval, { tool_allowlist: tools })));
      raw.give.buffer = { bytes };
      expect(raw.call.proxy_on_configure!(1, bytes.length)).toBe(1);
    };
    const begin = (body: string): void => {
      const headers = [
        [":method", "POST"],
        [":path", "/mcp"],
        [":authority", "server"],
        ["content-type", "application/json"],
      ] as const;
      raw.call.proxy_on_context_create!(2, 1);
      raw.give.headers = { bytes: encodeHeaders(headers) };
      raw.call.proxy_on_request_headers!(2, headers.length, 0);
      raw.give.buffer = { bytes: Buffer.from(body) };
    };
    /** Why a call does not pass: this host names nobody, so that nobody can be asked. */
    const reasonOf = (): string | undefined => {
      begin(toolCall("safe"));
      raw.replies.length = 0;
      raw.call.proxy_on_request_body!(2, toolCall("safe").length, 1);
      raw.call.proxy_on_delete!(2);
      return raw.replies[0]?.details;
    };
    const announce = (): void => {
      const list = Buffer.from(listOf(HINTED));
      const body = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}';
      begin(body);
      expect(raw.call.proxy_on_request_body!(2, body.length, 1)).toBe(0);
      expect(raw.call.proxy_on_response_headers!(2, 4, 0)).toBe(0);
      raw.give.buffer = { bytes: list };
      expect(raw.call.proxy_on_response_body!(2, list.length, 1)).toBe(0);
      raw.call.proxy_on_delete!(2);
    };
    configure(["safe"], {});
    expect(reasonOf()).toBeUndefined();
    announce();
    expect(reasonOf()).toBe("mcp_guard.human_required");
    configure(["safe"], { mode: "off", server: undefined, page: undefined, service: undefined, keys: undefined });
    expect(reasonOf()).toBeUndefined();
    announce();
    expect(reasonOf()).toBeUndefined();
    // The same policy as at first, the same again, and one with another set of tools.
    for (const tools of [
      ["safe"],
      ["safe"],
      ["other", "safe", ...Array.from({ length: 100 }, (_, index) => `t${index}`)],
    ]) {
      configure(tools, {});
      expect(reasonOf()).toBeUndefined();
      announce();
      expect(reasonOf()).toBe("mcp_guard.human_required");
    }
  });

  test("is exact for as many tools as a policy can list, also of a list that is too long to be held", () => {
    const names = Array.from({ length: 16_384 }, (_, index) => `t${index}`);
    const guard = start({}, { tool_allowlist: names, limits: { list_bytes: 65_536 } });
    const isNamed = (index: number): boolean => index % 2 === 0;
    const list = listOf(...names.map((name, index) => `{"name":"${name}"${isNamed(index) ? `,${HINT}` : ""}}`));
    expect(show(guard, list, { cuts: pieces(list.length, 30_000) })).toBe(list);
    for (const index of [0, 1, 2, 1022, 1023, 1024, 1025, 1026, 5000, 5001, 16_382, 16_383]) {
      expect([index, isAsked(guard, names[index])]).toEqual([index, isNamed(index)]);
    }
  });

  test("takes no memory after its policy", () => {
    const { vm, plugin } = start();
    plugin.stop();
    const names = Array.from({ length: 3000 }, (_, index) => `t${index}`);
    const list = listOf(...names.map((name) => `{"name":"${name}",${HINT}}`));
    const run = (rounds: number): void => {
      for (let round = 0; round < rounds; round++) {
        const guard: Guard = { vm, plugin: addPlugin(vm, policyWith({}, { tool_allowlist: names })) };
        for (let again = 0; again < 3; again++) show(guard, list);
        isAsked(guard, "t7");
        guard.plugin.stop();
      }
    };
    run(5);
    const before = vm.memoryBytes();
    run(60);
    expect(vm.memoryBytes()).toBe(before);
  });
});

test("what clients get is the same, whether hints count or not", () => {
  const guards = new Map<string, Guard>();
  const guardOf = (policy: object): Guard => {
    const key = JSON.stringify(policy);
    const guard = guards.get(key) ?? startGuard(policy, { clusters: ["approval"] });
    guards.set(key, guard);
    return guard;
  };
  const told = ({ downstream, codeDetails }: HttpStream): unknown => [
    downstream.status,
    downstream.headers?.pairs(),
    // A refusal names the policy.
    downstream
      .body()
      .toString("latin1")
      .replace(/"policy":"[0-9a-f]{16}"/, ""),
    downstream.reset,
    codeDetails,
  ];
  let compared = 0;
  for (const vector of RESPONSE_VECTORS.filter(({ body }) => body.length < 20_000)) {
    const plain = guardOf(vector.policy);
    const asking = guardOf({ ...vector.policy, approval: APPROVAL, identity: {} });
    for (const cuts of [[], [...pieces(vector.body.length, 7)]]) {
      const [without, counted] = [plain, asking].map((guard) => told(respond(guard, vector, cuts)));
      expect([vector.row, vector.name, counted]).toEqual([vector.row, vector.name, without]);
      compared++;
    }
  }
  expect(compared).toBeGreaterThan(500);
  expect([...guards.values()].every(({ vm }) => !vm.failed)).toBe(true);
});
