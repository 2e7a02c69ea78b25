// What rules cost: a request of one identity takes the same time whatever the number of rules about others, and time grows with what the identity
// brings and no faster. And what they hold is given back.

import { describe, expect, test } from "vitest";
import { Vm } from "../../src/host/index.ts";
import { addPlugin, BUILDS, type Guard, JSON_HEADERS, post, startGuard, toolCall } from "./guard.ts";
import { expectLinear } from "./linear.ts";

const ISSUER = "https://idp.example";
const AT = "metadata.filter_metadata.envoy.filters.http.jwt_authn.people";
const BODY = toolCall("tool0");

function policyOf(rules: readonly object[]): object {
  return { tool_allowlist: [], identity: { jwt: [{ provider: "people", issuer: ISSUER, claim: "sub" }] }, rules };
}

const principal = (index: number) => ({ issuer: ISSUER, value: `person${index}` });

/** Rules about this many times so many people, each rule with a tool. */
const people = (count: number, each = 1): object =>
  policyOf(
    Array.from({ length: count }, (_, i) => ({
      principals: Array.from({ length: each }, (_, j) => principal(each * i + j)),
      tool_allowlist: [`tool${i}`],
    })),
  );

function calls(guard: Guard, groups: readonly string[] = [], times = 300, who = "person0"): () => void {
  const properties = { [`${AT}.iss`]: ISSUER, [`${AT}.sub`]: who, [`${AT}.groups`]: groups };
  const delivery = { body: BODY, headers: JSON_HEADERS, stream: { properties } };
  return () => {
    for (let i = 0; i < times; i++) post(guard.plugin, delivery);
  };
}

describe("time", () => {
  // So many people that looking at each of them would show beside all else that a call costs.
  test("a call under 1,000 rules about 60,000 others is as fast as under one", () => {
    const [few, many] = [startGuard(people(1)), startGuard(people(1000, 60))];
    expect([few, many].map(({ plugin }) => post(plugin, { body: BODY }))).toEqual(
      Array(2).fill("refuse tool_not_listed 200"),
    );
    expectLinear(calls(few), calls(many));
  });

  test("a call under rules that all match grows no faster than their number, and nearly not at all", () => {
    const everything = (count: number) =>
      policyOf(Array.from({ length: count }, () => ({ principals: [principal(0)], tool_allowlist: ["tool0"] })));
    expectLinear(calls(startGuard(everything(2))), calls(startGuard(everything(1000))));
  });

  test("twice as many groups take twice as long at most", () => {
    const guard = startGuard(
      policyOf([{ groups: [{ issuer: ISSUER, claim: "groups", value: "x" }], tool_allowlist: ["tool0"] }]),
    );
    const groups = (count: number) => Array.from({ length: count }, (_, i) => `group${i}`);
    expectLinear(calls(guard, groups(500), 20), calls(guard, groups(1000), 20));
  });
});

describe("memory", () => {
  test("exchanges with a grant, and without, leave none behind", () => {
    const guard = startGuard(people(1000));
    const [withGrant, without] = [calls(guard, [], 1000), calls(guard, [], 1000, "stranger")];
    const run = (): void => {
      withGrant();
      without();
    };
    run();
    const warm = guard.vm.memoryBytes();
    for (let round = 0; round < 5; round++) run();
    expect(guard.vm.memoryBytes()).toBe(warm);
    expect(guard.vm.contextCount()).toBe(1);
  });

  test.each([
    ["that are accepted", { value: "x" }],
    ["that are refused at their end", { value: "x", claim: 1 }],
    ["of an issuer that nobody knows", { value: "x", issuer: "https://other.example" }],
  ])("policies with rules %s", (_what, last) => {
    const vm = Vm.load(BUILDS.release);
    const rules = Array.from({ length: 200 }, (_, i) => ({
      principals: [principal(i), principal(i + 1)],
      groups: [{ issuer: ISSUER, claim: `claim${i % 16}`, value: "g" }],
      workloads: [`spiffe://td.example/ns/n${i}`],
      tool_allowlist: [`tool${i}`],
      prompt_allowlist: [`prompt${i}`],
      resource_roots: [`mcp://r${i}/`],
      approval: { exempt: [`tool${i}`] },
    }));
    const policy = policyOf([
      ...rules,
      { groups: [{ issuer: ISSUER, claim: "claim0", ...last }], tool_allowlist: ["tool0"] },
    ]);
    const isGood = Object.keys(last).length === 1;
    const once = (): void => {
      if (isGood) {
        addPlugin(vm, policy).stop();
        return;
      }
      const plugin = vm.startPlugin(JSON.stringify(policy));
      expect(plugin.accepted).toBe(false);
      plugin.stop();
    };
    for (let round = 0; round < 5; round++) once();
    const warm = vm.memoryBytes();
    for (let round = 0; round < 100; round++) once();
    expect(vm.memoryBytes()).toBe(warm);
  });

  test("a policy of 1,024 rules with ten people each takes memory in proportion to its text", () => {
    const rules = Array.from({ length: 1024 }, (_, i) => ({
      principals: Array.from({ length: 10 }, (_, j) => principal(10 * i + j)),
      tool_allowlist: [`tool${i}`],
    }));
    const text = JSON.stringify(policyOf(rules)).length;
    const [guard, small] = [startGuard(policyOf(rules)), startGuard(people(1))];
    const more = guard.vm.memoryBytes() - small.vm.memoryBytes();
    // Six times the text at most while it is made ready, the text itself in it, and a memory that grows by doubling.
    expect(more).toBeLessThan(24 * text);
  });
});
