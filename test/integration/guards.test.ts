// Several guards in one Envoy, and what each of them tells. Goal: one server's list is never applied to another, what is
// not guarded by intention passes and is counted, and statistics, access log and log lines say what happened. Method: one
// Envoy with a listener for each setting, all with the same module in one VM, which is how Istio runs it.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { AccessEntry } from "../../src/envoy/access-log.ts";
import { pluginConfig } from "../../src/envoy/bootstrap.ts";
import { testedVersions } from "../versions.ts";
import {
  expectLogged,
  expectNothingActive,
  guardIn,
  HEADER_MODE_NAMES,
  type HeaderMode,
  JSON_FIELDS,
  named,
  PATIENCE,
  PROTOCOLS,
  type Protocol,
  type Rig,
  startRig,
  toolCall,
} from "./rig.ts";
import { verdictOf } from "./verdict.ts";
import type { Answer, Fields } from "./wire.ts";

const OVER_THE_CAP = Buffer.from(toolCall("first_tool", { text: "x".repeat(1_100_000) }));
/** A name that would end a line, move a terminal's cursor, or close a quoted field. */
const HOSTILE_NAME = 'tool\r\nmcp_decision=allow \u001b[2J"\\\u0000\u009b\u2028\ttab';
/** A guard counts itself when it first looks after its streams: soon, with this. */
const limits = { stall_ms: 400 };
const WORKERS = 2;
const UNGUARDED_PATH = "/oauth/token";

const RUNS = testedVersions().flatMap((version) => HEADER_MODE_NAMES.map((mode) => ({ version, mode })));

describe.each(RUNS)("Envoy $version, header mode $mode", ({ version, mode }) => {
  let rig: Rig;
  let requests = 0;
  let vmIds: unknown[];

  beforeAll(async () => {
    const first = { tool_allowlist: ["first_tool"], limits };
    rig = await startRig({
      version,
      concurrency: WORKERS,
      guards: [
        guardIn(mode, first, { name: "first" }),
        guardIn(mode, { tool_allowlist: ["second_tool"], limits }, { name: "second" }),
        guardIn(mode, first, { name: "outbound", direction: "outbound" }),
        guardIn(mode, { ...first, direction: "both" }, { name: "outbound, both", direction: "outbound" }),
        guardIn(mode, { ...first, mode: "monitor" }, { name: "monitor" }),
        guardIn(
          mode,
          { ...first, mode: "monitor" },
          { name: "monitor, 64 KiB", perConnectionBufferLimitBytes: 65_536 },
        ),
        guardIn(
          mode,
          { ...first, unguarded: [{ methods: ["POST"], path: UNGUARDED_PATH, reason: "no MCP" }] },
          { name: "unguarded" },
        ),
      ],
      edit(bootstrap) {
        vmIds = bootstrap.static_resources.listeners.map(
          (listener) => (pluginConfig(listener).vm_config as { vm_id?: string }).vm_id,
        );
      },
    });
  });

  afterAll(() => rig?.stop());

  test("the guards name no VM of their own, so that they share one", () => {
    expect(new Set(vmIds)).toEqual(new Set([undefined]));
  });

  describe.each(PROTOCOLS)("over %s", (protocol) => {
    test("two guards each keep to their own list, also when they are asked at once", async () => {
      const attempts = Array.from({ length: 40 }, (_, index) => ({
        guard: index % 2 === 0 ? "first" : "second",
        tool: index % 4 < 2 ? "first_tool" : "second_tool",
      }));
      const verdicts = await Promise.all(
        attempts.map(async ({ guard, tool }) => (await post(protocol, guard, toolCall(tool))).verdict),
      );
      expect(verdicts).toEqual(
        attempts.map(({ guard, tool }) => (tool.startsWith(guard) ? "allow" : "refuse 200 tool_not_listed")),
      );
    });

    test("an outbound listener passes everything untouched, and counts it", async () => {
      const before = await counters();
      const bodies = [toolCall("second_tool"), "this is no JSON", "[]"];
      for (const body of bodies) expect((await post(protocol, "outbound", body)).verdict).toBe("allow");
      expect(await grown(before)).toEqual({ decision_outbound: bodies.length });
    });

    test("direction: both guards an outbound listener too", async () => {
      expect((await post(protocol, "outbound, both", toolCall("second_tool"))).verdict).toBe(
        "refuse 200 tool_not_listed",
      );
      expect((await post(protocol, "outbound, both", toolCall("first_tool"))).verdict).toBe("allow");
    });

    test("monitor mode passes everything, and records what it would have refused", async () => {
      const before = await counters();
      const text = "text/plain";
      const attempts = [
        { body: toolCall("first_tool"), decision: "allow", reason: null },
        { body: toolCall("second_tool"), decision: "would_refuse", reason: "tool_not_listed" },
        { body: '{"jsonrpc":}', decision: "would_refuse", reason: "json_syntax" },
        { body: '{"jsonrpc":"2.0","id":1,"method":"vendor/x"}', decision: "would_refuse", reason: "method_not_listed" },
        { body: toolCall("first_tool"), type: text, decision: "would_refuse", reason: "content_type" },
        { body: OVER_THE_CAP, decision: "not_read", reason: "body_too_large" },
      ];
      for (const { body, type, decision, reason } of attempts) {
        const { verdict, id } = await post(protocol, "monitor", body, type);
        expect(verdict).toBe("allow");
        expect(await logged(id)).toMatchObject({
          mcp_decision: decision,
          mcp_reason: reason,
          response_code_details: "via_upstream",
        });
      }
      expect(await grown(before)).toEqual({
        decision_allow: 1,
        decision_would_refuse: 4,
        decision_not_read: 1,
        reason_tool_not_listed: 1,
        reason_json_syntax: 1,
        reason_method_not_listed: 1,
        reason_content_type: 1,
        reason_body_too_large: 1,
      });
    });

    test("monitor mode holds nothing: a body larger than Envoy's buffer passes", async () => {
      const body = toolCall("second_tool", { text: "x".repeat(300_000) });
      expect((await post(protocol, "monitor, 64 KiB", body)).verdict).toBe("allow");
    });

    test("an endpoint of unguarded passes unread, by its exact method and path, and is counted", async () => {
      const before = await counters();
      const form = "application/x-www-form-urlencoded";
      const { verdict, id } = await post(protocol, "unguarded", "grant_type=x", form, UNGUARDED_PATH);
      expect(verdict).toBe("allow");
      expect(await logged(id)).toMatchObject({ mcp_decision: "unguarded", mcp_reason: null });
      expect(await grown(before)).toEqual({ decision_unguarded: 1 });
      const others = [
        "/oauth/token/",
        "/oauth/token?x",
        "//oauth/token",
        "/oauth/%74oken",
        "/oauth/./token",
        "/OAUTH/token",
      ];
      for (const path of others) {
        const { verdict: other } = await post(protocol, "unguarded", toolCall("second_tool"), undefined, path);
        expect(other, path).toBe("refuse 200 tool_not_listed");
      }
      const { verdict: put } = await post(protocol, "unguarded", "x", form, UNGUARDED_PATH, "PUT");
      expect(put).toBe("refuse 405 http_method");
    });

    test("every decision and reason is counted once", async () => {
      const before = await counters();
      await post(protocol, "first", toolCall("first_tool"));
      await post(protocol, "first", toolCall("first_tool"));
      await post(protocol, "first", toolCall("second_tool"));
      await post(protocol, "first", "{}");
      await post(protocol, "first", "[]");
      expect(await grown(before)).toEqual({
        decision_allow: 2,
        decision_refuse: 3,
        reason_tool_not_listed: 1,
        reason_jsonrpc_version: 1,
        reason_batch: 1,
      });
    });

    test("what the client has chosen cannot break a line of a log", async () => {
      const { verdict, id } = await post(protocol, "first", toolCall(HOSTILE_NAME));
      expect(verdict).toBe("refuse 200 tool_not_listed");
      const entry = await logged(id);
      expect(entry).toMatchObject({ mcp_decision: "refuse", mcp_method: "tools/call" });
      // Escaped by the filter itself, before the access log's own format: a text format escapes nothing.
      const escaped = "tool\\u000d\\u000amcp_decision=allow \\u001b[2J\\u0022\\u005c\\u0000\\u009b\\u2028\\u0009tab";
      expect(entry.mcp_tool).toBe(escaped);
      const line = () =>
        rig.envoy
          .logs()
          .split("\n")
          .find((text) => text.includes(`request_id="${id}"`));
      await expect.poll(line, PATIENCE).toBeDefined();
      expect(line()).toContain(`refused tool_not_listed method="tools/call" name="${escaped}" request_id="${id}"`);
      expect(line()).toContain("opened_by=tool_allowlist");
    });

    test("a very long name is cut in the logs", async () => {
      const { verdict, id } = await post(protocol, "first", toolCall("n".repeat(10_000)));
      expect(verdict).toBe("refuse 200 tool_not_listed");
      expect((await logged(id)).mcp_tool).toBe("n".repeat(256));
    });
  });

  test("the policies in force are told by digest, one for each", async () => {
    const gauges = async () => [...(await rig.envoy.stats("mcp_guard_info"))];
    // Each worker has a VM, and the main thread has one that serves nothing. Equal configurations are one guard of a VM, on
    // Envoy 1.37 only if their listeners have one direction.
    const isCounted = ([, value]: [string, number]) => value >= WORKERS;
    // first with outbound, second, both, monitor twice, unguarded: equal policies have one digest.
    await expect.poll(async () => (await gauges()).filter(isCounted).length, PATIENCE).toBe(5);
    for (const [name] of await gauges()) {
      expect(name).toMatch(/^wasmcustom\.mcp_guard_info\.policy\.[0-9a-f]{16}$/);
      const digest = name.split(".").at(-1);
      await expectLogged(rig.envoy, new RegExp(`mcp-guard: policy ${digest} in (force|monitor mode)`));
    }
  });

  test("the statistics have names that Prometheus takes", async () => {
    const text = await (await fetch(`${rig.envoy.adminUrl}/stats/prometheus?filter=mcp_guard`)).text();
    for (const line of [
      /^mcp_guard_decision_refuse\{\} [1-9]\d*$/m,
      /^mcp_guard_reason_tool_not_listed\{\} [1-9]\d*$/m,
      /^mcp_guard_info_policy_[0-9a-f]{16}\{\} [1-9]\d*$/m,
    ]) {
      expect(text).toMatch(line);
    }
  });

  test("nothing is left under way", () => expectNothingActive(rig));

  interface Outcome {
    readonly id: string;
    readonly verdict: string;
    readonly answer: Answer | undefined;
  }

  async function post(
    protocol: Protocol,
    guard: string,
    text: string | Uint8Array,
    contentType = "application/json",
    path = "/mcp",
    method = "POST",
  ): Promise<Outcome> {
    const id = `guards.${++requests}`;
    const body = Buffer.from(text);
    const connection = await rig.connect(protocol, guard);
    try {
      const other = JSON_FIELDS.filter(([name]) => name !== "content-type");
      const headers: Fields = [["content-type", contentType], ...other, ...named(id)];
      const request = connection.open({ method, path, headers, framing: "length", bodyBytes: body.length });
      request.end(body);
      const answer = await request.answer;
      // Only where the guard holds headers can the server have seen nothing.
      const holds: HeaderMode = guard.startsWith("monitor") || guard === "outbound" ? "release" : mode;
      return { id, verdict: verdictOf(rig.origin, id, holds, body, answer), answer };
    } finally {
      connection.close();
    }
  }

  async function logged(id: string): Promise<AccessEntry> {
    const entry = () => rig.envoy.accessLog().find(({ request_id }) => request_id === id);
    await expect.poll(entry, PATIENCE).toBeDefined();
    return entry()!;
  }

  /** The guard's counters, by name without `wasmcustom.mcp_guard_`. */
  async function counters(): Promise<Map<string, number>> {
    await expectNothingActive(rig);
    const stats = await rig.envoy.stats("mcp_guard_(decision|reason)_");
    return new Map([...stats].map(([name, value]) => [name.replace("wasmcustom.mcp_guard_", ""), value]));
  }

  async function grown(before: ReadonlyMap<string, number>): Promise<Record<string, number>> {
    const after = await counters();
    const entries = [...after].map(([name, value]) => [name, value - (before.get(name) ?? 0)] as const);
    return Object.fromEntries(entries.filter(([, growth]) => growth !== 0));
  }
});
