// Rate limits: which requests count, whose bucket they are taken from, and what the client is told. Goal: nobody gets more than the policy says, nobody
// pays for somebody else, what is refused for another reason costs nothing, and who comes back when he was told to is let through. Method: the
// compiled module with a clock of the test's own.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { type HeaderPair, type HttpStream, type Plugin, type PropertyValue, Vm } from "../../src/host/index.ts";
import { projectPath } from "../../src/project.ts";
import { policyWith, tokenOf } from "./approval-calls.ts";
import {
  addPlugin,
  BUILDS,
  type Delivery,
  exchange,
  type Guard,
  MODERN_META,
  modernHeaders,
  open,
  post,
  send,
  startGuard,
  toolCall,
  verdict,
} from "./guard.ts";
import { encodeHeaders, startRaw } from "./raw-module.ts";

const ISSUER = "https://idp.example";
const OTHER_ISSUER = "https://partner.example";
const THIRD_ISSUER = "https://idq.example";
const PEER = "connection.uri_san_peer_certificate";
const GATEWAY = "spiffe://td/ns/gateway/sa/ai";
const HEADER = { name: "User-Identity", trusted_gateways: [GATEWAY] };
const PLAIN: readonly HeaderPair[] = [["content-type", "application/json"]];
const START = 1_764_000_000_000_000_000n;
const SECOND = 1_000_000_000n;
const LIMITED = "refuse rate_limited 429";
const LISTED = ["safe", "other"];

const IDENTITY = {
  jwt: [
    { provider: "people", issuer: ISSUER, claim: "sub" },
    { provider: "partners", issuer: OTHER_ISSUER, claim: "sub" },
    { provider: "third", issuer: THIRD_ISSUER, claim: "sub" },
  ],
};
const policy = (rate_limit: object, rest: object = {}): object => ({
  tool_allowlist: LISTED,
  identity: IDENTITY,
  rate_limit,
  ...rest,
});

type Properties = Record<string, PropertyValue>;
/** What jwt_authn keeps of a token. */
function token(provider: string, iss: string, sub: string): Properties {
  const at = `metadata.filter_metadata.envoy.filters.http.jwt_authn.${provider}`;
  return { [`${at}.iss`]: iss, [`${at}.sub`]: sub };
}
const ALICE = token("people", ISSUER, "alice");
const BOB = token("people", ISSUER, "bob");
const NOBODY: Properties = {};

/** A guard whose clock the test sets. */
interface Timed extends Guard {
  clock: bigint;
}

function start(configuration: object, options: Parameters<typeof startGuard>[1] = {}): Timed {
  const timed = { clock: START } as Timed;
  return Object.assign(timed, startGuard(configuration, { ...options, now: () => timed.clock }));
}

const of = (properties: Properties, body = toolCall("safe")): Delivery => ({ body, stream: { properties } });

/** The verdicts on so many calls, one after the other. */
function calls(plugin: Plugin, count: number, delivery: Delivery): string[] {
  return Array.from({ length: count }, () => post(plugin, delivery));
}

const retryAfter = (stream: HttpStream): string | undefined => stream.downstream.headers?.get("retry-after");

describe.each(["release", "debug"] as const)("%s build", (build) => {
  test("as many requests pass as the burst has, then one for each share of the time", () => {
    const guard = start(policy({ per_principal: { requests: 2, seconds: 10, burst: 3 } }), { build });
    expect(calls(guard.plugin, 5, of(ALICE))).toEqual(["allow", "allow", "allow", LIMITED, LIMITED]);
    guard.clock += 5n * SECOND - 1n;
    expect(post(guard.plugin, of(ALICE))).toBe(LIMITED);
    guard.clock += 1n;
    expect(calls(guard.plugin, 2, of(ALICE))).toEqual(["allow", LIMITED]);
    // Never more than the burst, however long it has been.
    guard.clock += 86_400n * SECOND;
    expect(calls(guard.plugin, 4, of(ALICE))).toEqual(["allow", "allow", "allow", LIMITED]);
  });

  test("without a burst, the requests of one time may come at once", () => {
    const guard = start(policy({ per_tool: { requests: 2, seconds: 10 } }), { build });
    expect(calls(guard.plugin, 3, of(NOBODY))).toEqual(["allow", "allow", LIMITED]);
  });
});

describe("per_principal", () => {
  const ONE = { per_principal: { requests: 1, seconds: 60 } };

  test("a principal is a name and who has given it", () => {
    const { plugin } = start(policy(ONE, { identity: { ...IDENTITY, header: HEADER } }));
    const visitors: readonly Delivery[] = [
      of(ALICE),
      of(BOB),
      of(token("partners", OTHER_ISSUER, "alice")),
      // Of an issuer whose name is as long as the first one's.
      of(token("third", THIRD_ISSUER, "alice")),
      of({ [PEER]: "spiffe://td/ns/a/sa/one" }),
      of({ [PEER]: "spiffe://td/ns/a/sa/two" }),
      { ...of({ [PEER]: GATEWAY }), headers: [...PLAIN, ["user-identity", "alice"]] },
      of(NOBODY),
    ];
    for (const visitor of visitors) expect(post(plugin, visitor)).toBe("allow");
    for (const visitor of visitors) expect(post(plugin, visitor)).toBe(LIMITED);
  });

  test("where the issuer ends and the name begins makes a difference", () => {
    const jwt = [
      { provider: "people", issuer: "https://idp.example/a", claim: "sub" },
      { provider: "partners", issuer: "https://idp.example/", claim: "sub" },
    ];
    const { plugin } = start(policy(ONE, { identity: { jwt } }));
    expect(post(plugin, of(token("people", "https://idp.example/a", "bc")))).toBe("allow");
    expect(post(plugin, of(token("partners", "https://idp.example/", "abc")))).toBe("allow");
    expect(post(plugin, of(token("people", "https://idp.example/a", "bc")))).toBe(LIMITED);
  });

  test("a token of the same user is the same bucket, through whichever workload it comes", () => {
    const { plugin } = start(policy(ONE));
    expect(post(plugin, of({ ...ALICE, [PEER]: "spiffe://td/ns/a/sa/one" }))).toBe("allow");
    expect(post(plugin, of({ ...ALICE, [PEER]: "spiffe://td/ns/a/sa/two" }))).toBe(LIMITED);
  });

  test("requests that name nobody share one bucket", () => {
    const { plugin } = start(policy(ONE));
    expect(calls(plugin, 2, of(NOBODY))).toEqual(["allow", LIMITED]);
    expect(post(plugin, of(ALICE))).toBe("allow");
  });

  test("all share one bucket where nobody is asked, whom another guard of the VM has asked before", () => {
    const { vm, plugin } = start(policy(ONE));
    const unasked = addPlugin(vm, { tool_allowlist: LISTED, rate_limit: ONE });
    expect(post(plugin, of(ALICE))).toBe("allow");
    expect(post(unasked, of(ALICE))).toBe("allow");
    expect(post(plugin, of(BOB))).toBe("allow");
    expect(post(unasked, of(BOB))).toBe(LIMITED);
  });

  test("an inspection that was used for somebody is not his afterwards", () => {
    const { plugin } = start(policy(ONE));
    for (const visitor of [ALICE, NOBODY, BOB]) expect(post(plugin, of(visitor))).toBe("allow");
    for (const visitor of [NOBODY, ALICE, BOB]) expect(post(plugin, of(visitor))).toBe(LIMITED);
  });

  test("streams that are open side by side are each their own principal's", () => {
    const { plugin } = start(policy(ONE));
    const delivery = (properties: Properties): Delivery => ({ stream: { properties }, end: "never" });
    const alice = open(plugin, delivery(ALICE));
    const bob = open(plugin, delivery(BOB));
    const again = open(plugin, delivery(ALICE));
    for (const stream of [alice, bob, again]) stream.requestBody(toolCall("safe"), true);
    expect([alice, bob, again].map((stream) => stream.localReply !== undefined)).toEqual([false, false, true]);
  });

  test("every message of a POST counts, and nothing else", () => {
    const { plugin } = start(
      policy({ per_principal: { requests: 6, seconds: 60 } }, { unguarded: [{ methods: ["POST"], path: "/health" }] }),
    );
    const message = (rest: object): Delivery => of(ALICE, JSON.stringify({ jsonrpc: "2.0", ...rest }));
    for (let round = 0; round < 7; round++) {
      expect(post(plugin, { method: "GET", headers: [], end: "headers", stream: { properties: ALICE } })).toBe("pass");
      expect(post(plugin, { ...of(ALICE), path: "/health" })).toBe("unguarded");
    }
    const messages = [
      message({ id: 1, method: "initialize", params: {} }),
      message({ id: 1, method: "tools/list" }),
      message({ id: 1, method: "ping" }),
      message({ method: "notifications/initialized" }),
      message({ id: 1, result: {} }),
      of(ALICE),
    ];
    for (const each of messages) expect(post(plugin, each)).toBe("allow");
    for (const each of messages) expect(post(plugin, each)).toBe(LIMITED);
  });

  test("what is refused for another reason takes nothing", () => {
    const { plugin } = start(policy(ONE));
    for (const body of [toolCall("evil"), "{", "[]", '{"jsonrpc":"2.0","id":1,"method":"evil"}']) {
      expect(post(plugin, of(ALICE, body))).toMatch(/^refuse (?!rate_limited)/);
    }
    expect(post(plugin, of({ ...ALICE, ...token("partners", OTHER_ISSUER, "bob") }))).toBe(
      "refuse identity_conflict 403",
    );
    expect(post(plugin, of(ALICE))).toBe("allow");
    // And keeps its own reason when there is nothing left.
    expect(post(plugin, of(ALICE, toolCall("evil")))).toBe("refuse tool_not_listed 200");
  });

  test("a request that is refused takes nothing either", () => {
    const guard = start(policy(ONE));
    expect(calls(guard.plugin, 50, of(ALICE))).toEqual(["allow", ...Array(49).fill(LIMITED)]);
    guard.clock += 60n * SECOND;
    expect(calls(guard.plugin, 2, of(ALICE))).toEqual(["allow", LIMITED]);
  });

  test("more principals than there is room for take no memory and do not stop each other", () => {
    const { vm, plugin } = start(policy(ONE));
    const visit = (index: number): string => post(plugin, of(token("people", ISSUER, `visitor ${index}`)));
    expect(visit(0)).toBe("allow");
    const before = vm.memoryBytes();
    for (let index = 1; index < 4096; index++) expect(visit(index)).toBe("allow");
    for (let index = 0; index < 4096; index++) expect(visit(index)).toBe(LIMITED);
    for (let index = 4096; index < 20_000; index++) expect(visit(index)).toBe("allow");
    expect(visit(19_999)).toBe(LIMITED);
    expect(vm.memoryBytes()).toBe(before);
  });
});

describe("per_tool", () => {
  const ONE = { per_tool: { requests: 1, seconds: 60 } };

  test("each tool has its own bucket, which all share", () => {
    const { plugin } = start(policy(ONE));
    expect(post(plugin, of(ALICE))).toBe("allow");
    expect(post(plugin, of(BOB))).toBe(LIMITED);
    expect(post(plugin, of(BOB, toolCall("other")))).toBe("allow");
    expect(post(plugin, of(NOBODY, toolCall("other")))).toBe(LIMITED);
  });

  test("counts calls of tools in both eras, and nothing else", () => {
    const { plugin } = start(policy(ONE, { prompt_allowlist: ["safe"] }));
    const message = (method: string, params?: object): Delivery =>
      of(ALICE, JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }));
    expect(post(plugin, of(ALICE))).toBe("allow");
    for (let round = 0; round < 3; round++) {
      expect(post(plugin, message("tools/list"))).toBe("allow");
      expect(post(plugin, message("prompts/get", { name: "safe" }))).toBe("allow");
    }
    const modern = { jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: "safe", _meta: MODERN_META } };
    const headers = modernHeaders("tools/call", "safe");
    expect(post(plugin, { ...of(ALICE, JSON.stringify(modern)), headers })).toBe(LIMITED);
  });

  test("every tool of a long list has its own bucket", () => {
    const tools = Array.from({ length: 1000 }, (_, index) => `tool_${index}`);
    const { plugin } = start({ tool_allowlist: tools, rate_limit: ONE });
    for (const tool of tools) expect(post(plugin, of(NOBODY, toolCall(tool)))).toBe("allow");
    for (const tool of tools) expect(post(plugin, of(NOBODY, toolCall(tool)))).toBe(LIMITED);
  });
});

describe("both", () => {
  const BOTH = { per_principal: { requests: 2, seconds: 60 }, per_tool: { requests: 3, seconds: 20 } };

  test("a call needs a token of each", () => {
    const { plugin } = start(policy(BOTH));
    expect(calls(plugin, 3, of(ALICE))).toEqual(["allow", "allow", LIMITED]);
    expect(calls(plugin, 2, of(BOB))).toEqual(["allow", LIMITED]);
    expect(post(plugin, of(BOB, toolCall("other")))).toBe("allow");
  });

  test("one that the tool's bucket lacks takes none of the principal's", () => {
    const guard = start(policy(BOTH));
    calls(guard.plugin, 3, of(NOBODY));
    expect(calls(guard.plugin, 2, of(BOB))).toEqual(["allow", LIMITED]);
    expect(calls(guard.plugin, 5, of(ALICE))).toEqual(Array(5).fill(LIMITED));
    expect(calls(guard.plugin, 3, of(ALICE, toolCall("other")))).toEqual(["allow", "allow", LIMITED]);
  });

  test("one that the principal's bucket lacks takes none of the tool's", () => {
    const { plugin } = start(policy(BOTH));
    calls(plugin, 2, of(ALICE, toolCall("other")));
    expect(calls(plugin, 5, of(ALICE))).toEqual(Array(5).fill(LIMITED));
    expect(calls(plugin, 2, of(BOB))).toEqual(["allow", "allow"]);
    expect(post(plugin, of(NOBODY))).toBe("allow");
    expect(post(plugin, of(NOBODY))).toBe(LIMITED);
  });
});

describe("the refusal", () => {
  test("is 429 with the id, and says in whole seconds when both buckets have a token", () => {
    const guard = start(
      policy({ per_principal: { requests: 3, seconds: 10, burst: 1 }, per_tool: { requests: 1, seconds: 7 } }),
    );
    expect(post(guard.plugin, of(ALICE))).toBe("allow");
    const stream = exchange(guard.plugin, of(ALICE));
    expect(verdict(stream)).toBe(LIMITED);
    expect(JSON.parse(Buffer.from(stream.localReply!.body).toString("utf8"))).toEqual({
      jsonrpc: "2.0",
      id: 1,
      error: {
        code: -32603,
        message: "Too many requests",
        data: { reason: "rate_limited", policy: expect.stringMatching(/^[0-9a-f]{16}$/) },
      },
    });
    // The principal has one in 3.3 seconds, the tool in 7; another tool of the same principal waits for the first alone.
    expect(retryAfter(stream)).toBe("7");
    expect(retryAfter(exchange(guard.plugin, of(ALICE, toolCall("other"))))).toBe("4");
    guard.clock += 3n * SECOND;
    expect(retryAfter(exchange(guard.plugin, of(ALICE, toolCall("other"))))).toBe("1");
    guard.clock += SECOND / 3n;
    expect(retryAfter(exchange(guard.plugin, of(ALICE, toolCall("other"))))).toBe("1");
    guard.clock += 1n;
    expect(post(guard.plugin, of(ALICE, toolCall("other")))).toBe("allow");
  });

  test.each([
    [1, 3600, "3600"],
    [1_000_000, 1, "1"],
    [1_000_000, 3600, "1"],
    [7, 60, "9"],
  ])("of %i in %i seconds tells %s seconds, and it is enough", (requests, seconds, told) => {
    const guard = start(policy({ per_principal: { requests, seconds, burst: 1 } }));
    expect(post(guard.plugin, of(ALICE))).toBe("allow");
    expect(retryAfter(exchange(guard.plugin, of(ALICE)))).toBe(told);
    guard.clock += BigInt(told) * SECOND;
    expect(post(guard.plugin, of(ALICE))).toBe("allow");
  });

  test("that the proxy did not send at first tells the same time when it does", () => {
    const guard = start(policy({ per_principal: { requests: 1, seconds: 60 } }));
    post(guard.plugin, of(ALICE));
    post(guard.plugin, of(BOB));
    guard.vm.failNext("proxy_send_local_response", 10);
    const late = send(guard.plugin, of(ALICE));
    expect(late.finished).toBe(false);
    guard.clock += 30n * SECOND;
    expect(retryAfter(exchange(guard.plugin, of(BOB)))).toBe("30");
    for (let tick = 0; tick < 10 && !late.finished; tick++) guard.plugin.tick();
    expect([verdict(late), retryAfter(late)]).toEqual([LIMITED, "60"]);
  });

  test("no other refusal tells a time", () => {
    const guard = start(policy({ per_principal: { requests: 1, seconds: 60 } }));
    expect(retryAfter(exchange(guard.plugin, of(ALICE, toolCall("evil"))))).toBeUndefined();
    calls(guard.plugin, 2, of(ALICE));
    expect(retryAfter(exchange(guard.plugin, of(ALICE, toolCall("evil"))))).toBeUndefined();
  });

  test("is counted, and the log line names what would open it", () => {
    const { vm, plugin } = start(policy({ per_principal: { requests: 1, seconds: 60 } }));
    calls(plugin, 3, of(ALICE));
    expect(vm.metrics.value("mcp_guard_reason_rate_limited")).toBe(2n);
    expect(vm.logs.at(-1)?.message).toBe(
      'mcp-guard: refused rate_limited method="tools/call" name="safe" opened_by=rate_limit',
    );
  });
});

describe("time", () => {
  const ONE = { per_principal: { requests: 1, seconds: 10 }, per_tool: { requests: 1, seconds: 10 } };

  test("a clock that goes back gives nothing and takes nothing", () => {
    const guard = start(policy(ONE));
    expect(post(guard.plugin, of(ALICE))).toBe("allow");
    guard.clock -= 3600n * SECOND;
    expect(retryAfter(exchange(guard.plugin, of(ALICE)))).toBe("10");
    guard.clock += 9n * SECOND;
    expect(retryAfter(exchange(guard.plugin, of(ALICE)))).toBe("1");
    guard.clock += SECOND;
    expect(post(guard.plugin, of(ALICE))).toBe("allow");
  });

  test("a proxy that does not tell it gives nothing", () => {
    const guard = start(policy(ONE));
    expect(post(guard.plugin, of(ALICE))).toBe("allow");
    guard.vm.failAll("proxy_get_current_time_nanoseconds", 10);
    expect(calls(guard.plugin, 3, of(ALICE))).toEqual(Array(3).fill(LIMITED));
    guard.vm.clearFaults();
    expect(post(guard.plugin, of(ALICE))).toBe(LIMITED);
    guard.clock += 10n * SECOND;
    expect(post(guard.plugin, of(ALICE))).toBe("allow");
  });
});

describe("the order of the reasons", () => {
  const RATE = { per_principal: { requests: 1, seconds: 60 } };

  test("a call that needs an approval takes its token before anybody is asked", () => {
    const guard = startGuard(policyWith({}, { rate_limit: RATE }), { clusters: ["approval"] });
    const delivery: Delivery = { body: toolCall("delete_repo"), stream: { properties: tokenOf("alice") } };
    send(guard.plugin, delivery);
    const asked = guard.plugin.httpCalls.length;
    expect(asked).toBe(1);
    expect(post(guard.plugin, delivery)).toBe(LIMITED);
    expect(guard.plugin.httpCalls).toHaveLength(asked);
  });

  test("monitor mode notes what would have been refused, and lets it pass", () => {
    const guard = start(policy(RATE, { mode: "monitor" }));
    const decision = (): unknown[] => {
      const stream = exchange(guard.plugin, of(ALICE));
      expect([stream.upstream.ended, stream.localReply, retryAfter(stream)]).toEqual([true, undefined, undefined]);
      return [stream.filterState.get("mcp_decision"), stream.filterState.get("mcp_reason")];
    };
    expect(decision()).toEqual(["allow", undefined]);
    expect(decision()).toEqual(["would_refuse", "rate_limited"]);
    guard.clock += 60n * SECOND;
    expect(decision()).toEqual(["allow", undefined]);
  });

  test("monitor mode says first that a call comes too early, then that it needs an approval", () => {
    const guard = startGuard(policyWith({}, { rate_limit: RATE, mode: "monitor" }), { clusters: ["approval"] });
    const delivery: Delivery = { body: toolCall("delete_repo"), stream: { properties: tokenOf("alice") } };
    const reasons = [0, 1].map(() => exchange(guard.plugin, delivery).filterState.get("mcp_reason"));
    expect(reasons).toEqual(["approval_pending", "rate_limited"]);
  });

  test("an outbound request takes nothing", () => {
    const guard = start(policy(RATE));
    const outbound = of({ ...ALICE, "xds.listener_direction": 2n });
    expect(calls(guard.plugin, 3, outbound)).toEqual(Array(3).fill("outbound"));
    expect(post(guard.plugin, of(ALICE))).toBe("allow");
  });
});

describe("guards", () => {
  const ONE = policy({ per_principal: { requests: 1, seconds: 60 }, per_tool: { requests: 2, seconds: 60 } });

  test("two in one VM have buckets of their own, and one that ends takes none with it", () => {
    const { vm, plugin } = start(ONE);
    const second = addPlugin(vm, ONE);
    expect(post(plugin, of(ALICE))).toBe("allow");
    expect(post(second, of(ALICE))).toBe("allow");
    second.stop();
    expect(post(plugin, of(ALICE))).toBe(LIMITED);
    const third = addPlugin(vm, ONE);
    expect(post(third, of(ALICE))).toBe("allow");
  });

  test("a guard that comes and goes leaves no memory behind", () => {
    const vm = Vm.load(BUILDS.release);
    const visit = (): void => {
      const plugin = addPlugin(vm, ONE);
      expect(calls(plugin, 2, of(ALICE))).toEqual(["allow", LIMITED]);
      plugin.stop();
    };
    for (let round = 0; round < 5; round++) visit();
    const before = vm.memoryBytes();
    for (let round = 0; round < 100; round++) visit();
    expect(vm.memoryBytes()).toBe(before);
  });

  test.each(["release", "debug"] as const)("another configuration begins with full buckets, %s build", (build) => {
    const raw = startRaw(build);
    const ROOT = 1;
    let stream = ROOT;
    const configure = (configuration: object): void => {
      raw.give.buffer = { bytes: Buffer.from(JSON.stringify(configuration)) };
      expect(raw.call.proxy_on_configure!(ROOT, raw.give.buffer.bytes.length)).toBe(1);
    };
    const status = (): number => {
      stream++;
      raw.replies.length = 0;
      raw.call.proxy_on_context_create!(stream, ROOT);
      const headers = [[":method", "POST"] as const, [":path", "/mcp"] as const, ...PLAIN];
      raw.give.headers = { bytes: encodeHeaders(headers) };
      raw.call.proxy_on_request_headers!(stream, headers.length, 0);
      raw.give.buffer = { bytes: Buffer.from(toolCall("safe")) };
      raw.call.proxy_on_request_body!(stream, raw.give.buffer.bytes.length, 1);
      raw.call.proxy_on_delete!(stream);
      return raw.replies[0]?.status ?? 200;
    };
    raw.call.proxy_on_context_create!(ROOT, 0);
    raw.call.proxy_on_vm_start!(ROOT, 0);
    const limited = { tool_allowlist: ["safe"], rate_limit: { per_tool: { requests: 1, seconds: 60 } } };
    configure(limited);
    expect([status(), status()]).toEqual([200, 429]);
    configure(limited);
    expect([status(), status()]).toEqual([200, 429]);
    configure({ tool_allowlist: ["safe"] });
    expect([status(), status()]).toEqual([200, 200]);
  });
});

describe("the configuration", () => {
  const vm = Vm.load(BUILDS.release);

  /** What is said about the member; empty when it is accepted. */
  function complaint(value: unknown): string {
    vm.logs.length = 0;
    const plugin = vm.startPlugin(JSON.stringify({ tool_allowlist: ["safe"], rate_limit: value }));
    plugin.stop();
    const lines = vm.logs.filter(({ level }) => level === "error").map(({ message }) => message);
    expect(lines.length).toBe(plugin.accepted ? 0 : 1);
    return lines.join().replace(/^mcp-guard: configuration refused: /, "");
  }

  const rate = (rest: object): object => ({ per_tool: { requests: 1, seconds: 1, ...rest } });

  test.each([
    [rate({ burst: 1 })],
    [rate({ requests: 1_000_000, seconds: 3600, burst: 1_000_000 })],
    [{ per_principal: { requests: 1, seconds: 1 } }],
    [{ per_principal: { requests: 5, seconds: 1 }, per_tool: { burst: 9, seconds: 2, requests: 8 } }],
  ])("%j is accepted", (value) => expect(complaint(value)).toBe(""));

  const NUMBER = (most: string): string => `expected a whole number from 1 to ${most}`;

  test.each<[unknown, string]>([
    [[], "rate_limit: found a list, expected an object with per_principal and per_tool"],
    [null, "rate_limit: found null, expected an object with per_principal and per_tool"],
    [{}, "rate_limit: found neither per_principal nor per_tool, expected at least one of them"],
    [{ per_user: {} }, 'rate_limit: found the unknown member "per_user", expected one of per_principal per_tool'],
    [{ per_tool: 5 }, "rate_limit.per_tool: found the number 5, expected an object with requests, seconds and burst"],
    [
      rate({ minutes: 1 }),
      'rate_limit.per_tool: found the unknown member "minutes", expected one of requests seconds burst',
    ],
    [{ per_tool: { seconds: 1 } }, "rate_limit.per_tool: found no requests, expected how many pass in the time"],
    [
      { per_principal: { requests: 1 } },
      "rate_limit.per_principal: found no seconds, expected the time in which so many requests pass",
    ],
    [rate({ requests: 0 }), `rate_limit.per_tool.requests: found the number 0, ${NUMBER("1000000")}`],
    [rate({ requests: 1_000_001 }), `rate_limit.per_tool.requests: found the number 1000001, ${NUMBER("1000000")}`],
    [rate({ seconds: 0 }), `rate_limit.per_tool.seconds: found the number 0, ${NUMBER("3600")}`],
    [rate({ seconds: 3601 }), `rate_limit.per_tool.seconds: found the number 3601, ${NUMBER("3600")}`],
    [rate({ seconds: 0.5 }), `rate_limit.per_tool.seconds: found the number 0.5, ${NUMBER("3600")}`],
    [rate({ burst: 0 }), `rate_limit.per_tool.burst: found the number 0, ${NUMBER("1000000")}`],
    [rate({ burst: 1_000_001 }), `rate_limit.per_tool.burst: found the number 1000001, ${NUMBER("1000000")}`],
    [rate({ requests: "5" }), `rate_limit.per_tool.requests: found the string "5", ${NUMBER("1000000")}`],
    [rate({ burst: null }), `rate_limit.per_tool.burst: found null, ${NUMBER("1000000")}`],
  ])("%j is refused", (value, said) => expect(complaint(value)).toBe(said));

  test("a refused one leaves no memory behind", () => {
    const rates = { per_principal: { requests: 1, seconds: 1 }, per_tool: { requests: 1, seconds: 1 } };
    const refuse = (rounds: number): void => {
      for (let round = 0; round < rounds; round++) complaint({ ...rates, per_user: {} });
    };
    refuse(50);
    const before = vm.memoryBytes();
    refuse(30_000);
    expect(vm.memoryBytes()).toBe(before);
  });

  /** The digest that the guard's log line names. */
  function digestOf(configuration: object): string | undefined {
    const { vm } = startGuard(configuration);
    return /policy ([0-9a-f]{16}) /.exec(vm.logs.map(({ message }) => message).join("\n"))?.[1];
  }

  test("is part of the policy's digest with its default written out, and only when it is there", () => {
    const configuration = { tool_allowlist: ["safe"], rate_limit: { per_tool: { seconds: 60, requests: 5 } } };
    const { rate_limit: _, ...without } = configuration;
    const written = { per_tool: { burst: 5, requests: 5, seconds: 60 } };
    expect(digestOf(configuration)).toBe(digestOf({ ...without, rate_limit: written }));
    const others = [
      without,
      ...["burst", "requests", "seconds"].map((name) => ({
        ...without,
        rate_limit: { per_tool: { ...written.per_tool, [name]: 7 } },
      })),
      { ...without, rate_limit: { per_principal: written.per_tool } },
      { ...without, rate_limit: { per_principal: written.per_tool, ...written } },
    ];
    expect(new Set([configuration, ...others].map(digestOf)).size).toBe(others.length + 1);
    // RFC 8785: between `prompt_allowlist` and `refusal`.
    expect(digestOf(configuration)).toBe(
      sha256(document(',"rate_limit":{"per_tool":{"burst":5,"requests":5,"seconds":60}}')),
    );
    expect(digestOf(without)).toBe(sha256(document("")));
  });

  /** The canonical form of a policy with one tool, as the written format's example has it, with this behind `prompt_allowlist`. */
  function document(member: string): string {
    const example = /^\{"allowed_origins".*$/m.exec(
      readFileSync(projectPath("schema", "policy-digest.md"), "utf8"),
    )?.[0];
    return example!
      .replace(/"tool_allowlist":\[[^\]]*\]/, '"tool_allowlist":["safe"]')
      .replace('"prompt_allowlist":[]', `"prompt_allowlist":[]${member}`);
  }

  const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex").slice(0, 16);
});
