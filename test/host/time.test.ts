// Time grows with a body's size and no faster, for each family of bodies that is built to make a reader slow. Method: the
// least of several runs at n and at 2n bytes, by turns, so that a busy machine does not decide; a quadratic family has 4.

import { describe, expect, test } from "vitest";
import { HOSTILE_FAMILIES } from "../generators/hostile.ts";
import { type Guard, pieces, send, startGuard } from "./guard.ts";

const SIZES = [200_000, 400_000] as const;
const RUNS = 7;
const RATIO_MAX = 2.3;
const ATTEMPTS = 5;
/** Below this a run is too short to be compared: the refusal came before there was work. */
const LEAST_MS = 0.2;

/** Bounds that let the families work instead of being refused at the first cap. */
const RAISED = {
  tool_allowlist: ["safe"],
  limits: { members_per_object: 16_384, open_members: 65_536, key_bytes: 1024 },
};

function milliseconds(guard: Guard, body: Uint8Array): number {
  const start = process.hrtime.bigint();
  send(guard.plugin, { body, cuts: pieces(body.length, 16_384) }).clientGone();
  const spent = Number(process.hrtime.bigint() - start) / 1e6;
  guard.vm.logs.length = 0;
  return spent;
}

/** The ratio of the least times at 2n and n bytes. */
function ratio(guard: Guard, [small, large]: readonly [Uint8Array, Uint8Array]): number {
  let [least, leastOfDouble] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let run = 0; run < RUNS; run++) {
    least = Math.min(least, milliseconds(guard, small));
    leastOfDouble = Math.min(leastOfDouble, milliseconds(guard, large));
  }
  return leastOfDouble < LEAST_MS ? 1 : leastOfDouble / least;
}

describe.each([
  ["default bounds", { tool_allowlist: ["safe"] }],
  ["raised bounds", RAISED],
] as const)("%s", (_bounds, configuration) => {
  const guard = startGuard(configuration);

  test.each(HOSTILE_FAMILIES.map((family) => [family.name, family] as const))("%s", (_name, { build }) => {
    const bodies = [build(SIZES[0]), build(SIZES[1])] as const;
    milliseconds(guard, bodies[1]);
    let best = Number.POSITIVE_INFINITY;
    // The better of a few attempts: another process can make one slow, and none makes a quadratic one fast.
    for (let attempt = 0; attempt < ATTEMPTS && best >= RATIO_MAX; attempt++)
      best = Math.min(best, ratio(guard, bodies));
    expect(best).toBeLessThan(RATIO_MAX);
  });
});
