// Random policies with rules, callers and messages through the whole filter. Goal: a call passes exactly when the reference lets it pass for this
// caller, with a reason that it gives, and of a server's lists this caller sees exactly what the reference leaves. Method: the reference makes a policy
// without rules out of policy and caller; the same references as everywhere judge message and response under it.

import fc from "fast-check";
import { expect, test } from "vitest";
import { type Plugin, Vm } from "../../src/host/index.ts";
import { caller, identityMessage, identityPolicy } from "../generators/identity.ts";
import { jsonBody } from "../generators/response.ts";
import { type Caller, type IdentityPolicy, policyFor, shownCaller } from "../oracle/identity.ts";
import { faults, type MessagePolicy } from "../oracle/message.ts";
import { filterJsonBody, type ResponsePolicy } from "../oracle/response.ts";
import { disagreement, viewOfBody } from "../oracle/response-view.ts";
import { addPlugin, BUILDS, type Delivery, JSON_HEADERS, post, send } from "./guard.ts";

const POLICIES = Number(process.env.RULES_RUNS ?? 250);
/** Callers with a message and a response each, under one policy. */
const CALLERS = 16;
/** A VM keeps the metrics of all its configurations, so it is replaced from time to time. */
const POLICIES_PER_VM = 50;
const SEED = 11;
const LIST = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}';

const sample = fc.record({ caller, message: identityMessage, response: jsonBody });
const policies = fc.sample(identityPolicy, { numRuns: POLICIES, seed: SEED });

function deliveryOf(who: Caller, body: string): Delivery {
  const { properties, headers } = shownCaller(who);
  return { body, headers: [...JSON_HEADERS, ...headers], stream: { properties } };
}

/** Why the filter's verdict on a message is not the reference's; undefined when it is. */
function unlikeCall(plugin: Plugin, policy: IdentityPolicy, who: Caller, message: string): string | undefined {
  const own = policyFor(policy, who);
  const found = post(plugin, deliveryOf(who, message));
  const justified = own === "conflict" ? new Set(["identity_conflict"]) : faults(Buffer.from(message), own);
  const reason = /^refuse (\w+) /.exec(found)?.[1] ?? "";
  const isRight = justified.size === 0 ? found === "allow" : (justified as ReadonlySet<string>).has(reason);
  return isRight ? undefined : `${found}, expected ${[...justified].join(" or ") || "allow"}`;
}

/** Why what the client sees of a response is not what the reference leaves; undefined when it is, null when that is not said. */
function unlikeList(plugin: Plugin, own: ResponsePolicy, who: Caller, text: string): string | null | undefined {
  const body = Buffer.from(text);
  const outcome = filterJsonBody(own, { method: "POST", id: "1" }, body);
  const stream = send(plugin, deliveryOf(who, LIST));
  stream.responseHeaders({ ":status": "200", "content-type": "application/json" }, false);
  stream.responseBody(body, true);
  if (outcome.isAmbiguous) return null;
  const { downstream } = stream;
  return disagreement(outcome, viewOfBody(downstream.body(), downstream.reset));
}

test("the filter and the reference agree on who may call what, and on what who sees", () => {
  const seen = { allowed: 0, refused: 0, conflicts: 0, more: 0, lists: 0 };
  const reasons = new Set<string>();
  let vm = Vm.load(BUILDS.debug);
  for (const [index, policy] of policies.entries()) {
    if (index % POLICIES_PER_VM === 0) vm = Vm.load(BUILDS.debug);
    const plugin = addPlugin(vm, policy);
    for (const { caller: who, message, response } of fc.sample(sample, { numRuns: CALLERS, seed: SEED + index })) {
      const shown = JSON.stringify({ policy, who, message }, (_, value) =>
        typeof value === "bigint" ? `${value}` : value,
      );
      expect(unlikeCall(plugin, policy, who, message), shown).toBeUndefined();
      const own = policyFor(policy, who);
      if (own === "conflict") {
        seen.conflicts++;
        continue;
      }
      const verdict = faults(Buffer.from(message), own);
      const { rules: _, ...without } = policy;
      const plain = policyFor<MessagePolicy & IdentityPolicy>(without, who);
      if (verdict.size === 0) seen.allowed++;
      else seen.refused++;
      for (const reason of verdict) reasons.add(reason);
      // What only a rule has opened: a filter that knew no rules would not come so far.
      if (verdict.size === 0 && plain !== "conflict" && faults(Buffer.from(message), plain).size > 0) seen.more++;
      const unlike = unlikeList(plugin, own as ResponsePolicy, who, response);
      if (unlike === null) continue;
      seen.lists++;
      expect(unlike, `${shown}\n${response}`).toBeUndefined();
    }
    expect(vm.failed).toBe(false);
    plugin.stop();
    vm.logs.length = 0;
  }
  // Each side is there often enough to say something.
  const all = POLICIES * CALLERS;
  for (const [what, share] of [
    ["allowed", 5],
    ["refused", 5],
    ["conflicts", 50],
    ["more", 50],
    ["lists", 2],
  ] as const) {
    expect(seen[what], what).toBeGreaterThan(all / share);
  }
  const needed = ["tool_not_listed", "prompt_not_listed", "resource_not_listed", "approval_not_configured"];
  expect([...reasons]).toEqual(expect.arrayContaining([...needed, "human_required", "principal_required"]));
}, 120_000);
