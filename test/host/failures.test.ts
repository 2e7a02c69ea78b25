// Every host call fails, at every point where it is made. Goal: the verdict does not become weaker: what would have been
// refused stays refused, what would have passed passes or is refused, the server has nothing of what is refused, and the
// client has an answer. Method: each scenario is run once to count the calls, then once for each call with that call failing.

import { describe, expect, test } from "vitest";
import { type HttpStream, type Plugin, Vm } from "../../src/host/index.ts";
import { moduleTypes } from "../../src/host/module-types.ts";
import { APPROVAL, bodyOf, ID, policyWith, type Question, receiptAtOnce, say, tokenOf } from "./approval-calls.ts";
import {
  answer,
  BUILDS,
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
import { type CallOptions, deliveryOf, policyWith as exchangeWith, grant, SECRET } from "./token-calls.ts";

const POLICY = { tool_allowlist: ["safe", "delete_all"], limits: { stall_ms: 1000 } };
const EVIL = toolCall("evil");
const SAFE = toolCall("safe");
const LONG = toolCall("safe").padEnd(200_000);

/** Under this policy a call waits for a human, and the guard shows the service a secret of its environment. */
const ASKING = policyWith(
  { service: { ...APPROVAL.service, secret_env: "APPROVAL_SECRET" } },
  { limits: { stall_ms: 1000 } },
);
const ENVIRONMENT = { APPROVAL_SECRET: "0123456789abcdef0123456789abcdef", CLIENT_SECRET: SECRET };

/** Failures of these change no verdict: the exchange is over, or nobody but the operator is told. */
const NO_VERDICT = ["proxy_log", "proxy_increment_metric", "proxy_set_property"];

/** Calls that are made when a configuration starts: failing, they refuse it. The log lines are no part of it. */
const AT_START = [
  "proxy_define_metric",
  "proxy_set_tick_period_milliseconds",
  "proxy_get_buffer_bytes",
  "random_get",
  "environ_sizes_get",
  "environ_get",
];

/** A status for each way in which a host can say no: not found, bad argument, memory, internal failure, unimplemented. */
const STATUSES = [1, 2, 6, 10, 12];

const IMPORTS = [...moduleTypes(BUILDS.release).imports.keys()].map((name) => name.slice(name.indexOf(".") + 1));

interface Scenario {
  readonly name: string;
  readonly configuration?: object;
  readonly run: (plugin: Plugin) => HttpStream;
  /** What happens at each turn besides. */
  readonly serve?: (plugin: Plugin) => void;
  readonly body?: string;
  /** Without a failure. */
  readonly verdict: string;
  /** What it may be besides when a call fails. */
  readonly refusals?: readonly string[];
}

const deliver = (delivery: Delivery) => (plugin: Plugin) => {
  const stream = send(plugin, delivery);
  if (stream.upstream.ended && !stream.finished) answer(stream);
  return stream;
};

/** A request that asks for what could not be read, and an answer of which a part is left out. */
function filtered(plugin: Plugin): HttpStream {
  const refined = ["accept-encoding", "range", "if-range"].map((name) => [name, "x"] as const);
  const stream = send(plugin, { body: toolCall("safe"), headers: [...JSON_HEADERS, ...refined] });
  if (!stream.upstream.ended || stream.finished) return stream;
  const untrue = ["etag", "content-md5", "digest", "content-digest", "repr-digest"].map((name) => [name, "x"] as const);
  const head = [[":status", "200"], ["content-type", "application/json"], ["content-length", "75"], ...untrue] as const;
  stream.responseHeaders(head, false);
  stream.responseBody('{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"evil"},{"name":"safe"}]}}', true);
  return stream;
}

/** A request whose record the collector acknowledges. */
function recorded(plugin: Plugin): HttpStream {
  const stream = send(plugin, { body: toolCall("safe") });
  plugin.httpCalls[0]?.answer({ status: 200, body: "{}" });
  if (stream.upstream.ended && !stream.finished) answer(stream);
  return stream;
}

/** The approval service: whatever is asked about has been approved. */
function serveApprovals(plugin: Plugin): void {
  for (const http of plugin.httpCalls) {
    const question = JSON.parse(http.body.toString("utf8")) as Question;
    const isOpen = http.headers.get(":path") === "/v1/open";
    if (isOpen) Object.assign(opened, question);
    say(
      http,
      isOpen ? { id: ID, status: "approved", expires: 2_000_000_000 } : { receipt: receiptAtOnce(opened, question) },
    );
  }
}
const opened: Partial<Question> = {};

/** A call that has been approved. */
function approved(plugin: Plugin): HttpStream {
  const stream = send(plugin, { body: bodyOf({}), stream: { properties: tokenOf("alice") } });
  for (let turn = 0; turn < 2; turn++) serveApprovals(plugin);
  if (stream.upstream.ended && !stream.finished) answer(stream);
  return stream;
}

/** Under this one a call's token is exchanged. */
const EXCHANGING = exchangeWith({}, { limits: { stall_ms: 1000 } });

/** The token endpoint. */
function serveTokens(plugin: Plugin): void {
  for (const http of plugin.httpCalls) say(http, grant("minted"));
}

/** A call whose token is exchanged, the token of a caller who comes a second time, or of a request without a body. */
const exchanged =
  (...options: readonly CallOptions[]) =>
  (plugin: Plugin): HttpStream => {
    const streams = options.map((each) => {
      const stream = send(plugin, deliveryOf(each));
      serveTokens(plugin);
      if (stream.upstream.ended && !stream.finished) answer(stream);
      return stream;
    });
    return streams.at(-1)!;
  };

const hold = { configuration: { ...POLICY, request_headers: "hold" } };
const stop = { stream: { headersStop: true } };

const SCENARIOS: readonly Scenario[] = [
  { name: "a listed call", run: deliver({ body: toolCall("safe") }), body: toolCall("safe"), verdict: "allow" },
  { name: "an answer that is filtered", run: filtered, body: toolCall("safe"), verdict: "allow" },
  { name: "a listed call, headers held", ...hold, run: deliver({ body: LONG, ...stop }), body: LONG, verdict: "allow" },
  { name: "a listed call in pieces", run: deliver({ body: LONG, cuts: [1, 90_000] }), body: LONG, verdict: "allow" },
  {
    name: "trailers",
    run: deliver({ body: toolCall("safe"), end: "trailers" }),
    body: toolCall("safe"),
    verdict: "allow",
  },
  { name: "a GET", run: deliver({ method: "GET", headers: [], end: "headers" }), verdict: "pass" },
  { name: "an unlisted call", run: deliver({ body: EVIL }), verdict: "refuse tool_not_listed 200" },
  {
    name: "an unlisted call, held",
    ...hold,
    run: deliver({ body: EVIL, ...stop }),
    verdict: "refuse tool_not_listed 200",
  },
  {
    name: "an unlisted call, trailers",
    run: deliver({ body: EVIL, end: "trailers" }),
    verdict: "refuse tool_not_listed 200",
  },
  {
    name: "an unlisted call in bytes",
    run: deliver({ body: EVIL, cuts: [...EVIL].keys() }),
    verdict: "refuse tool_not_listed 200",
  },
  {
    name: "a flagged call",
    run: deliver({ body: toolCall("delete_all") }),
    verdict: "refuse approval_not_configured 200",
  },
  {
    name: "a call that waits for its record",
    configuration: { ...POLICY, audit: { otlp: { cluster: "collector", authority: "otel:4318" }, required: "all" } },
    run: recorded,
    body: toolCall("safe"),
    verdict: "allow",
    refusals: ["refuse audit_unavailable 503"],
  },
  {
    name: "a call that waits for a human",
    configuration: ASKING,
    run: approved,
    serve: serveApprovals,
    body: bodyOf({}),
    verdict: "allow",
    refusals: [
      "refuse human_required 200",
      "refuse approval_unavailable 503",
      "refuse approval_signature 200",
      "refuse approval_mismatch 200",
    ],
  },
  ...[EXCHANGING, { ...EXCHANGING, request_headers: "hold" }].flatMap((configuration) => {
    const mode = "request_headers" in configuration ? "after its verdict" : "at its headers";
    const all = {
      configuration,
      serve: serveTokens,
      refusals: ["refuse token_exchange_unavailable 503", "refuse token_invalid 401"],
    };
    const own = { headersStop: "request_headers" in configuration };
    return [
      { name: `a token that is exchanged ${mode}`, ...all, run: exchanged(own), body: SAFE, verdict: "allow" },
      { name: `a token that is kept, ${mode}`, ...all, run: exchanged(own, own), body: SAFE, verdict: "allow" },
      {
        name: `a token that is exchanged ${mode}, with trailers`,
        ...all,
        run: exchanged({ ...own, delivery: { end: "trailers" } }),
        body: SAFE,
        verdict: "allow",
      },
      {
        name: `a token that is exchanged for a GET, where a call's is ${mode}`,
        ...all,
        run: exchanged({ delivery: { method: "GET", end: "headers" } }),
        verdict: "pass",
      },
      {
        name: `an unlisted call with a token, ${mode}`,
        ...all,
        run: exchanged({ ...own, tool: "evil" }),
        verdict: "refuse tool_not_listed 200",
      },
    ];
  }),
  {
    name: "a token that is left out",
    configuration: { ...POLICY, authorization: "strip" },
    run: exchanged({ delivery: { end: "trailers" } }),
    body: SAFE,
    verdict: "allow",
  },
  { name: "a refused head", run: deliver({ method: "PUT", end: "headers" }), verdict: "refuse http_method 405" },
  { name: "no JSON", run: deliver({ body: `${EVIL}x` }), verdict: "refuse json_trailing_data 400" },
  { name: "a stalled body", run: (plugin) => open(plugin), verdict: "refuse stalled 408" },
  {
    name: "a wrong flag",
    ...hold,
    run: deliver({ body: EVIL, stream: { headersStop: false } }),
    verdict: "refuse headers_mode 503",
  },
];

/** Runs a scenario and then the timer, until the stream has ended or the timer has had its chance. */
function run(guard: Guard, scenario: Scenario): HttpStream {
  const stream = scenario.run(guard.plugin);
  for (let tick = 0; tick < 12 && !stream.finished; tick++) {
    // Where the timer itself has failed, the next request starts it.
    if (guard.plugin.tickPeriodMs === 0) open(guard.plugin).clientGone();
    if (guard.plugin.tickPeriodMs > 0) guard.plugin.tick();
    scenario.serve?.(guard.plugin);
    // What a failure has only delayed.
    if (stream.upstream.ended && !stream.finished) answer(stream);
  }
  return stream;
}

/** The verdict; a response that was refused or cut, because a call failed after the request had passed, is a refusal too. */
function outcome(stream: HttpStream, { body }: Scenario): string {
  const { upstream, downstream, filterState } = stream;
  const tokens = upstream.headers?.getAll("authorization") ?? [];
  if (tokens.some((token) => token !== "Bearer minted")) return "a caller's token is at the server";
  const isInternal = filterState.get("mcp_decision") === "refuse" && filterState.get("mcp_reason") === "internal";
  const isHidden = downstream.status === 500 || (downstream.reset && downstream.body().length === 0);
  return upstream.ended && isInternal && isHidden ? "refuse internal 500" : verdict(stream, body);
}

const startScenario = ({ configuration = POLICY }: Scenario): Guard =>
  startGuard(configuration, { clusters: ["collector", "approval", "idp"], environment: ENVIRONMENT });

describe.each(SCENARIOS)("$name", (scenario) => {
  const calm = startScenario(scenario);
  const atStart = { ...calm.vm.calls };
  const result = verdict(run(calm, scenario), scenario.body);

  test(`is "${scenario.verdict}" when nothing fails`, () => {
    expect(result).toBe(scenario.verdict);
  });

  const made = Object.entries(calm.vm.calls).map(([name, calls]) => [name, calls - (atStart[name] ?? 0)] as const);
  test.each(made.filter(([, calls]) => calls > 0))("%s fails at each of its %i calls", (name, calls) => {
    for (const status of STATUSES) {
      for (let after = 0; after < calls; after++) {
        const guard = startScenario(scenario);
        guard.vm.failNext(name, status, { after });
        const stream = run(guard, scenario);
        const where = `status ${status} at call ${after + 1}`;
        expect(guard.vm.failed, where).toBe(false);
        if (NO_VERDICT.includes(name)) {
          expect(stream.finished, where).toBe(true);
          expect(sides(stream), where).toEqual(sides(run(startScenario(scenario), scenario)));
          continue;
        }
        const found = outcome(stream, scenario);
        if (scenario.verdict.startsWith("refuse")) expect(found, where).toMatch(/^refuse /);
        else expect([scenario.verdict, "refuse internal 500", ...(scenario.refusals ?? [])], where).toContain(found);
      }
    }
  });

  test("every allocation of the host fails", () => {
    // A foreign function's result is the one for which Envoy itself does not look whether it got room: ours never says no to so few bytes.
    let crashes = 0;
    for (let after = 0; after < 12; after++) {
      const guard = startScenario(scenario);
      guard.vm.failNextAllocation({ after });
      let stream: HttpStream;
      try {
        stream = run(guard, scenario);
      } catch (error) {
        expect(String(error)).toContain("Envoy would crash");
        crashes++;
        continue;
      }
      const found = outcome(stream, scenario);
      if (scenario.verdict.startsWith("refuse")) expect(found).toMatch(/^refuse /);
      else expect([scenario.verdict, "refuse internal 500", ...(scenario.refusals ?? [])]).toContain(found);
    }
    expect(crashes).toBe(asksForeign(scenario) ? 1 : 0);
  });
});

function asksForeign({ configuration }: Scenario): boolean {
  return configuration === ASKING;
}

/** What client and server see, without what is recorded. */
function sides({ upstream, downstream, codeDetails }: HttpStream): unknown[] {
  return [upstream.body().toString(), upstream.ended, downstream.status, downstream.body().toString(), codeDetails];
}

describe("at the start of a configuration", () => {
  const text = JSON.stringify(ASKING);
  const load = () => Vm.load(BUILDS.release, { environment: ENVIRONMENT });
  const callsOf = (name: string): number => {
    const vm = load();
    vm.startPlugin(text);
    return vm.calls[name] ?? 0;
  };

  test.each(AT_START.map((name) => [name, callsOf(name)] as const))(
    "%s fails at each of its %i calls",
    (name, calls) => {
      expect(calls).toBeGreaterThan(0);
      for (const status of STATUSES) {
        for (let after = 0; after < calls; after++) {
          const vm = load();
          vm.failNext(name, status, { after });
          expect([after, vm.startPlugin(text).accepted]).toEqual([after, false]);
          // The next one does not suffer from it.
          expect(post(vm.startPlugin(text), { body: EVIL })).toBe("refuse tool_not_listed 200");
        }
      }
    },
  );

  test("a log line that fails refuses nothing", () => {
    const vm = load();
    vm.failAll("proxy_log", 10);
    const plugin = vm.startPlugin(text);
    expect(plugin.accepted).toBe(true);
    expect(post(plugin, { body: EVIL })).toBe("refuse tool_not_listed 200");
  });

  test("an allocation that fails refuses the configuration", () => {
    const vm = load();
    vm.failNextAllocation();
    expect(vm.startPlugin(text).accepted).toBe(false);
    expect(vm.logs.map(({ message }) => message)).toEqual([
      "mcp-guard: configuration refused: the host does not give it",
    ]);
  });

  test("a gauge that cannot be taken back does not keep a plugin from stopping", () => {
    const { vm, plugin } = startGuard(ASKING, { environment: ENVIRONMENT });
    vm.failAll("proxy_increment_metric", 10);
    plugin.stop();
    vm.clearFaults();
    expect([vm.failed, vm.contextCount()]).toEqual([false, 0]);
    expect(post(vm.startPlugin(text), { body: EVIL })).toBe("refuse tool_not_listed 200");
  });
});

test("every import of the module is driven to fail by a test of this file", () => {
  const driven = new Set(AT_START);
  for (const scenario of SCENARIOS) {
    const { vm, plugin } = startScenario(scenario);
    run({ vm, plugin }, scenario);
    for (const name of Object.keys(vm.calls)) driven.add(name);
  }
  expect([...driven].sort()).toEqual([...IMPORTS].sort());
});

describe("results of any size", () => {
  test("headers larger than the fixed area are read all the same", () => {
    const { plugin } = startGuard(POLICY);
    const long = (bytes: number) => [["x-long", "a".repeat(bytes)] as const, ...JSON_HEADERS];
    for (const bytes of [190_000, 200_000, 1_000_000, 200_000]) {
      expect(post(plugin, { headers: long(bytes), body: toolCall("safe") })).toBe("allow");
      expect(post(plugin, { headers: long(bytes), body: EVIL })).toBe("refuse tool_not_listed 200");
      expect(post(plugin, { headers: [...long(bytes), ["upgrade", "x"]], body: EVIL })).toBe("refuse http_upgrade 400");
    }
  });

  test("headers that are too large are refused", () => {
    const { plugin } = startGuard(POLICY);
    const headers = [["x-long", "a".repeat(17 << 20)] as const, ...JSON_HEADERS];
    expect(verdict(open(plugin, { headers }))).toBe("refuse internal 500");
    expect(post(plugin, { body: toolCall("safe") })).toBe("allow");
  });

  test("a configuration that is too large is refused", () => {
    const vm = Vm.load(BUILDS.release);
    expect(vm.startPlugin(Buffer.alloc(17 << 20, " ")).accepted).toBe(false);
    expect(vm.failed).toBe(false);
  });
});
