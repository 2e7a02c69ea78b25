// The policy vectors against the reference verdict: the members of a policy, the method table, the argument rules.

import { describe, expect, test } from "vitest";
import { faults } from "../oracle/message.ts";
import { ARGUMENT_VECTORS } from "./arguments.ts";
import { ENTRY_VECTORS } from "./entries.ts";
import { POLICY_VECTORS } from "./policy.ts";

describe.each([
  ["policy", POLICY_VECTORS],
  ["entry", ENTRY_VECTORS],
  ["argument", ARGUMENT_VECTORS],
] as const)("%s vectors", (_table, vectors) => {
  test.each(vectors.map((vector) => [vector.name, vector] as const))("%s", (_name, vector) => {
    const found = [...faults(vector.body, vector.policy)];
    if (vector.reasons.length === 0) {
      expect(found).toEqual([]);
    } else {
      expect(vector.reasons).toContain(found[0]);
      expect(found).toEqual(expect.arrayContaining([...vector.reasons]));
    }
  });

  test("have names of their own", () => {
    const names = vectors.map(({ name }) => name);
    expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
  });
});
