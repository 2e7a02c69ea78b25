// The index of rules against a reference that goes through all of them. Goal: whatever an identity's facts are, the same rules match and give the same,
// whether the rules of a fact stand as numbers or as bits. Method: random rules whose texts are the same in all kinds, some in nearly every rule
// and some in one, and random facts.

import { describe, expect, test } from "vitest";
import { TARGETS } from "./harness.ts";
import { type Fact, KINDS, type Kind, type Rule, RulesHarness } from "./rules-harness.ts";

const SELECTORS = ["principal", "group", "workload"] as const;
const GIVEN = ["tool", "prompt", "exempt"] as const;
/** The texts, by how many rules have them. */
const TEXTS = Array.from({ length: 60 }, (_, i) => "abcdefgh"[i % 8]!.repeat(1 + Math.floor(i / 8)));
const IDENTITIES = 200;

/** Numbers of [0, 1) that repeat with the seed (mulberry32). */
function randomFrom(start: number): () => number {
  let seed = start;
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Up to `most` different texts, and mostly the first ones. */
function textsFrom(random: () => number, most: number): string[] {
  const count = Math.floor(random() * (most + 1));
  return [...new Set(Array.from({ length: count }, () => TEXTS[Math.floor(random() ** 4 * TEXTS.length)]!))];
}

/** A rule as the configuration accepts them: it selects and gives something, and `approval` is one of its forms. */
function ruleFrom(random: () => number): Rule {
  while (true) {
    const all = KINDS.map((kind): [Kind, string[]] => [kind, textsFrom(random, random() < 0.5 ? 0 : 6)]);
    const lists = Object.fromEntries(all.filter(([, texts]) => texts.length > 0)) as Rule["lists"];
    const approvalOff = lists.exempt === undefined && random() < 0.02;
    const gives = approvalOff || GIVEN.some((kind) => lists[kind]);
    if (gives && SELECTORS.some((kind) => lists[kind])) return { lists, approvalOff };
  }
}

function rulesWith(rules: readonly Rule[], [kind, text]: Fact): number[] {
  return [...rules.keys()].filter((i) => rules[i]!.lists[kind]?.includes(text));
}

function matching(rules: readonly Rule[], facts: readonly Fact[]): number[] {
  const holds = (kind: Kind, texts: readonly string[]) =>
    facts.some(([of, text]) => of === kind && texts.includes(text));
  return [...rules.keys()].filter((i) =>
    SELECTORS.every((kind) => {
      const texts = rules[i]!.lists[kind];
      return texts === undefined || holds(kind, texts);
    }),
  );
}

describe.each(TARGETS)("%s", (target) => {
  const harness = new RulesHarness(target);

  test.each([1, 2, 63, 64, 65, 1000, 1024])("%s rules: the same match, and give the same", (count) => {
    const random = randomFrom(count);
    const rules = Array.from({ length: count }, () => ruleFrom(random));
    harness.start(rules);
    const met = new Set<boolean>();
    for (let i = 0; i < IDENTITIES; i++) {
      const facts = SELECTORS.flatMap((kind) => textsFrom(random, 3).map((text): Fact => [kind, text]));
      const expected = matching(rules, facts);
      met.add(expected.length > 0);
      expect(harness.match(facts)).toEqual(expected);
      const matched = expected.map((index) => rules[index]!);
      for (const kind of GIVEN) {
        const given = new Set(matched.flatMap(({ lists }) => lists[kind] ?? []));
        const isOff = kind === "exempt" && matched.some(({ approvalOff }) => approvalOff);
        expect(TEXTS.filter((text) => harness.has(kind, text))).toEqual(
          TEXTS.filter((text) => isOff || given.has(text)),
        );
      }
    }
    expect([...met].sort()).toEqual([false, true]);
  });

  test.each([64, 1000])("of %s, those that name a fact stand in the shorter of the two forms", (count) => {
    const random = randomFrom(count);
    const rules = Array.from({ length: count }, () => ruleFrom(random));
    harness.start(rules);
    const most = Math.ceil(count / 64) * 4;
    const forms = { none: 0, numbers: 0, bits: 0 };
    for (const kind of KINDS) {
      for (const text of TEXTS) {
        const expected = rulesWith(rules, [kind, text]);
        const form = expected.length === 0 ? "none" : expected.length <= most ? "numbers" : "bits";
        forms[form]++;
        expect(harness.isKnown([kind, text])).toBe(form !== "none");
        if (form === "numbers") expect(harness.numbers([kind, text], expected.length)).toEqual(expected);
        if (form === "bits") expect(harness.bits([kind, text])).toEqual(expected);
      }
    }
    expect(Math.min(forms.numbers, forms.bits)).toBeGreaterThan(10);
  });

  test.each([
    ["numbers", 64],
    ["bits", 65],
  ] as const)("the last fact that stands as numbers, and the first that stands as bits: %s", (form, named) => {
    const rules = Array.from({ length: 1000 }, (_, i): Rule => {
      const isNamed = (i * 7) % 1000 < named;
      return { lists: { principal: [isNamed ? "a" : `p${i}`], tool: [`t${i}`] }, approvalOff: false };
    });
    harness.start(rules);
    const expected = rulesWith(rules, ["principal", "a"]);
    expect(expected).toHaveLength(named);
    expect(form === "numbers" ? harness.numbers(["principal", "a"], named) : harness.bits(["principal", "a"])).toEqual(
      expected,
    );
    expect(harness.match([["principal", "a"]])).toEqual(expected);
    expect(rules.filter((_, i) => harness.has("tool", `t${i}`))).toEqual(expected.map((i) => rules[i]));
  });

  test("what rules have taken is given back", () => {
    const random = randomFrom(7);
    const rules = Array.from({ length: 1000 }, () => ruleFrom(random));
    const round = () => {
      harness.start(rules);
      for (const text of TEXTS) harness.match([["principal", text]]);
    };
    for (let i = 0; i < 3; i++) round();
    const before = harness.memoryBytes;
    for (let i = 0; i < 20; i++) round();
    expect(harness.memoryBytes).toBe(before);
  });
});
