// A Wasm memory never shrinks, and a worker's VM lives as long as the proxy. Goal: after a warm-up nothing that clients or
// operators do, again and again, makes it grow.

import { describe, expect, test } from "vitest";
import { type HttpStream, Vm } from "../../src/host/index.ts";
import { addPlugin, BUILDS, MODERN_META, modernHeaders, open, post, send, startGuard, toolCall } from "./guard.ts";

const SAFE = toolCall("safe");
const EVIL = toolCall("evil");
const BIG = `${SAFE.slice(0, -2)},"arguments":{${Array.from({ length: 1000 }, (_, index) => `"m${index}":0`).join(",")}}}}`;

describe.each(["release", "debug"] as const)("%s build", (build) => {
  test("100,000 exchanges of all kinds", () => {
    const { vm, plugin } = startGuard({ tool_allowlist: ["safe"] }, { build });
    const kinds: readonly (() => HttpStream)[] = [
      () => send(plugin, { body: SAFE }),
      () => send(plugin, { body: EVIL }),
      () => send(plugin, { body: SAFE, cuts: [10, 40] }),
      () => send(plugin, { body: `${EVIL}x`, end: "trailers" }),
      () => send(plugin, { body: "[" }),
      () => send(plugin, { body: SAFE, end: "never" }),
      () => open(plugin),
      () => open(plugin, { method: "GET", headers: [], end: "headers" }),
      () => open(plugin, { method: "PUT" }),
      () => send(plugin, { body: BIG }),
    ];
    // The debug build is slower and shows with fewer what the other shows with many.
    const rounds = build === "release" ? 10_000 : 1000;
    const run = (count: number): void => {
      for (let round = 0; round < count; round++) {
        for (const kind of kinds) {
          const stream = kind();
          if (stream.upstream.ended) stream.responseHeaders({ ":status": "200" }, true);
          else stream.clientGone();
        }
        vm.logs.length = 0;
      }
    };
    run(100);
    const warm = vm.memoryBytes();
    run(rounds - 100);
    expect(vm.memoryBytes()).toBe(warm);
    expect([vm.failed, vm.contextCount()]).toEqual([false, 1]);
    expect(vm.metrics.value("mcp_guard_decision_allow")).toBe(BigInt(3 * rounds));
    expect(post(plugin, { body: SAFE })).toBe("allow");
  });

  test("20,000 modern exchanges with names of all lengths", () => {
    const roots = ["file:///docs/"];
    const { vm, plugin } = startGuard({ tool_allowlist: ["safe"], resource_roots: roots, tasks: "allow" }, { build });
    const message = (method: string, params: object): string =>
      JSON.stringify({ jsonrpc: "2.0", id: 1, method, params: { ...params, _meta: MODERN_META } });
    const call = message("tools/call", { name: "safe" });
    const encoded = (name: string): string => `=?base64?${Buffer.from(name).toString("base64")}?=`;
    const deliver = (method: string, name: string, body: string, end: "separate" | "never" = "separate") =>
      send(plugin, { headers: modernHeaders(method, name), body, end });
    const kinds: readonly ((length: number) => HttpStream)[] = [
      () => deliver("tools/call", "safe", call),
      () => deliver("tools/call", encoded("safe"), call),
      (length) => deliver("tools/call", "n".repeat(length), call),
      (length) => deliver("tools/call", encoded("n".repeat(length)), call, "never"),
      () => deliver("tools/call", "=?base64?c2FmZR==?=", call),
      (length) => {
        const uri = `file:///docs/${"u".repeat(length)}`;
        return deliver("resources/read", uri, message("resources/read", { uri }));
      },
      (length) => {
        const taskId = "t".repeat(length);
        return deliver("tasks/get", encoded(taskId), message("tasks/get", { taskId }));
      },
      (length) => open(plugin, { headers: [...modernHeaders("tools/call", "a"), ["mcp-name", "b".repeat(length)]] }),
    ];
    const LENGTHS = [1, 4000, 17, 256, 5000, 1000, 64, 2048, 7000, 0] as const;
    const run = (rounds: number): void => {
      for (let round = 0; round < rounds; round++) {
        for (const kind of kinds) {
          const stream = kind(LENGTHS[round % LENGTHS.length]!);
          if (stream.upstream.ended) stream.responseHeaders({ ":status": "200" }, true);
          else stream.clientGone();
        }
        vm.logs.length = 0;
      }
    };
    run(50);
    const warm = vm.memoryBytes();
    run((build === "release" ? 20_000 : 4000) / kinds.length);
    expect(vm.memoryBytes()).toBe(warm);
    expect([vm.failed, vm.contextCount()]).toEqual([false, 1]);
    expect(post(plugin, { headers: modernHeaders("tools/call", "safe"), body: call })).toBe("allow");
  });

  test("1,000 configurations, some of them refused", () => {
    const vm = Vm.load(BUILDS[build]);
    const names = (count: number) => Array.from({ length: count }, (_, index) => `tool_${index}`);
    const SIZES = [0, 1, 17, 100, 1000, 3, 300];
    const run = (count: number): void => {
      for (let index = 0; index < count; index++) {
        const tools = names(SIZES[index % SIZES.length]!);
        const unguarded = names(index % 5).map((name) => ({ methods: ["POST"], path: `/${name}`, reason: "x" }));
        const text = JSON.stringify({
          tool_allowlist: [...tools, "safe"],
          method_allowlist: names(index % 3),
          prompt_allowlist: names(index % 11),
          resource_roots: names(index % 6).map((name) => `file:///${name.replace("_", "")}/`),
          argument_rules: names(index % 9).map((name) => ({
            tool: "safe",
            pointer: `/${name}/-`,
            rule: index % 2 === 0 ? "uri" : { enum: names((index % 7) + 1) },
          })),
          allowed_hosts: ["server", ...names(index % 4)],
          unguarded,
        });
        const plugin = vm.startPlugin(index % 4 === 3 ? `${text.slice(0, -1)},"mode":"x"}` : text);
        expect(plugin.accepted).toBe(index % 4 !== 3);
        if (plugin.accepted) {
          expect(post(plugin, { body: SAFE })).toBe("allow");
          send(plugin, { body: EVIL, end: "never" }).clientGone();
        }
        plugin.stop();
        vm.logs.length = 0;
      }
    };
    run(150);
    const warm = vm.memoryBytes();
    run(build === "release" ? 1000 : 200);
    expect(vm.memoryBytes()).toBe(warm);
    expect([vm.failed, vm.contextCount()]).toEqual([false, 0]);
  });

  test("thousands of streams at once, again and again", () => {
    const { vm, plugin } = startGuard({ tool_allowlist: ["safe"] }, { build });
    const run = (): void => {
      const streams = Array.from({ length: build === "release" ? 20_000 : 2000 }, () => open(plugin));
      for (const [index, stream] of streams.entries()) {
        if (index % 3 === 0) stream.requestBody(SAFE, true);
        else if (index % 3 === 1) stream.requestBody(EVIL, true);
        stream.clientGone();
      }
      vm.logs.length = 0;
    };
    run();
    const warm = vm.memoryBytes();
    for (let round = 0; round < 4; round++) run();
    expect(vm.memoryBytes()).toBe(warm);
    expect([vm.failed, vm.contextCount()]).toEqual([false, 1]);
  });
});

test("a request costs no definition of a metric, a configuration no more than the names that are new", () => {
  const vm = Vm.load(BUILDS.release);
  addPlugin(vm, { tool_allowlist: ["safe"] }).stop();
  const { definitions } = vm.metrics;
  for (let index = 0; index < 10; index++) addPlugin(vm, { tool_allowlist: ["safe"] }).stop();
  expect(vm.metrics.definitions).toBeLessThanOrEqual(definitions + 10);
});

test("a long name, an id or a string is validated and not stored", () => {
  const { vm, plugin } = startGuard({ tool_allowlist: ["safe"] });
  const long = (what: string): string => SAFE.replace("}}", `,"arguments":{"x":"${what.repeat(900_000)}"}}}`);
  expect(post(plugin, { body: long("a"), cuts: [500_000] })).toBe("allow");
  const warm = vm.memoryBytes();
  for (const body of [long("b"), toolCall("n".repeat(900_000)), SAFE.replace(":1,", `:"${"i".repeat(900_000)}",`)]) {
    post(plugin, { body, cuts: [500_000] });
  }
  expect(vm.memoryBytes()).toBe(warm);
});
