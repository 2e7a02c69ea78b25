// Mutated bodies through the whole filter, debug build: no trap, and the verdict is one that the reference justifies.

import fc from "fast-check";
import { messageBody } from "../generators/message.ts";
import { mutatedBody } from "../generators/mutate.ts";
import { addPlugin, type Delivery, post, startGuard } from "../host/guard.ts";
import { faults, type MessagePolicy } from "../oracle/message.ts";
import { JSON_VECTORS } from "../vectors/json.ts";
import { POLICY_VECTORS } from "../vectors/policy.ts";
import { THREAT_VECTORS } from "../vectors/threats.ts";
import { type Finding, samples } from "./samples.ts";

/** Longer seeds leave too few runs, and what they are about is their length. */
const SEED_BYTES_MAX = 1500;

const POLICIES: readonly MessagePolicy[] = [
  { tool_allowlist: ["safe", "search_code", "get.pull/request", "\u00fcbersetzen", "two words"] },
  { tool_allowlist: [] },
  { tool_allowlist: ["evil", "delete_branch", "execute"], method_allowlist: ["vendor/x", "notifications/vendor"] },
  { tool_allowlist: ["delete_branch", "updates"], approval: { mode: "off" } },
  { tool_allowlist: ["safe"], limits: { depth: 3, members_per_object: 4, open_members: 8, key_bytes: 9 } },
  { tool_allowlist: ["safe", "evil"], limits: { depth: 1 } },
];

const seeds = [
  ...THREAT_VECTORS.map(({ request }) => request.body),
  ...POLICY_VECTORS.map(({ body }) => body),
  ...Object.values(JSON_VECTORS).flatMap((vectors) => vectors.map(({ text }) => text)),
].filter((body) => body.length <= SEED_BYTES_MAX);

const body = fc.oneof(
  { weight: 1, arbitrary: messageBody },
  { weight: 4, arbitrary: mutatedBody(messageBody, 6) },
  { weight: 4, arbitrary: mutatedBody(fc.constantFrom(...seeds), 6) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 64 }) },
);

const fraction = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

const request = fc.record({
  body,
  cuts: fc.oneof(fc.array(fraction, { maxLength: 10 }), fc.constant("each byte" as const)),
  end: fc.constantFrom<NonNullable<Delivery["end"]>>("separate", "merged", "trailers"),
  policy: fc.nat(POLICIES.length - 1),
});

/** Runs until the time is over or something is found; gives how many bodies were judged, and how many passed. */
export function fuzzRequests(seconds: number, seed: number): { bodies: number; allowed: number; findings: Finding[] } {
  const { vm, plugin: first } = startGuard(POLICIES[0]!, { build: "debug" });
  const plugins = [first, ...POLICIES.slice(1).map((policy) => addPlugin(vm, policy))];
  const findings: Finding[] = [];
  let [bodies, allowed] = [0, 0];
  for (const { value, at } of samples(request, seconds, seed)) {
    const cuts =
      value.cuts === "each byte"
        ? value.body.keys()
        : value.cuts.map((each) => Math.floor(each * value.body.length)).sort((one, other) => one - other);
    const policy = POLICIES[value.policy]!;
    const verdict = post(plugins[value.policy]!, { body: value.body, cuts, end: value.end });
    const justified = faults(value.body, policy);
    const isRight = justified.size === 0 ? verdict === "allow" : justified.has(reasonOf(verdict) as never);
    bodies++;
    if (verdict === "allow") allowed++;
    if (!isRight || vm.failed) {
      const hex = Buffer.from(value.body).toString("hex");
      const input = `policy ${value.policy}, cuts ${value.cuts}, end ${value.end}, body ${hex}`;
      findings.push({
        at,
        input,
        found: verdict,
        expected: justified.size === 0 ? "allow" : [...justified].join(" or "),
      });
    }
    if (vm.failed || findings.length === 10) break;
    vm.logs.length = 0;
  }
  return { bodies, allowed, findings };
}

function reasonOf(verdict: string): string | undefined {
  return /^refuse (\w+) /.exec(verdict)?.[1];
}
