// No valid message is refused. Method: generated messages of every method that a policy with a list of tools lets pass, in
// both eras and every spelling, through the whole filter at random cuts.

import fc from "fast-check";
import { expect, test } from "vitest";
import { LISTED_TOOLS, messageBody } from "../generators/message.ts";
import { mutatedBody } from "../generators/mutate.ts";
import { faults, messageVerdict } from "../oracle/message.ts";
import { BUILDS, type Build, post, startGuard } from "./guard.ts";

const POLICY = { tool_allowlist: LISTED_TOOLS };
const RUNS = 2000;

/** Up to eight cuts of a body of `bytes` bytes, ascending. */
function cutsOf(fractions: readonly number[], bytes: number): number[] {
  return fractions.map((fraction) => Math.floor(fraction * bytes)).sort((one, other) => one - other);
}

const fractions = fc.array(fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), { maxLength: 8 });
const end = fc.constantFrom("separate" as const, "merged" as const, "trailers" as const);

test.each(Object.keys(BUILDS) as Build[])("%s build: a valid message passes", (build) => {
  const { vm, plugin } = startGuard(POLICY, { build });
  fc.assert(
    fc.property(messageBody, fractions, end, (body, where, how) => {
      expect(post(plugin, { body, cuts: cutsOf(where, body.length), end: how })).toBe("allow");
      vm.logs.length = 0;
    }),
    { numRuns: RUNS },
  );
});

test.each(Object.keys(BUILDS) as Build[])("%s build: a mutated message has the reference verdict", (build) => {
  const { vm, plugin } = startGuard(POLICY, { build });
  fc.assert(
    fc.property(mutatedBody(messageBody), fractions, end, (body, where, how) => {
      const found = post(plugin, { body, cuts: cutsOf(where, body.length), end: how });
      vm.logs.length = 0;
      if (messageVerdict(body, POLICY).verdict === "allow") expect(found).toBe("allow");
      else expect([...faults(body, POLICY)].map((reason) => `refuse ${reason}`)).toContain(found.replace(/ \d+$/, ""));
    }),
    { numRuns: RUNS },
  );
});
