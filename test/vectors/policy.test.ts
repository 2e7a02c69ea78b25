// The policy vectors against the reference verdict.

import { expect, test } from "vitest";
import { faults } from "../oracle/message.ts";
import { POLICY_VECTORS } from "./policy.ts";

test.each(POLICY_VECTORS.map((vector) => [vector.name, vector] as const))("policy vectors: %s", (_name, vector) => {
  const found = [...faults(vector.body, vector.policy)];
  if (vector.reasons.length === 0) {
    expect(found).toEqual([]);
  } else {
    expect(vector.reasons).toContain(found[0]);
    expect(found).toEqual(expect.arrayContaining([...vector.reasons]));
  }
});

test("policy vectors have names of their own", () => {
  expect(new Set(POLICY_VECTORS.map(({ name }) => name)).size).toBe(POLICY_VECTORS.length);
});
