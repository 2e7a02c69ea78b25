// No valid message is refused. Method: generated messages of both eras, of every method that a policy can open and in every
// spelling, with their headers, through the whole filter at random cuts.

import fc from "fast-check";
import { expect, test } from "vitest";
import { type Exchange, legacyExchange, MESSAGE_KINDS, modernExchange, OPEN_POLICY } from "../generators/message.ts";
import { mutatedBody } from "../generators/mutate.ts";
import { faults, messageVerdict } from "../oracle/message.ts";
import { BUILDS, type Build, JSON_HEADERS, post, startGuard } from "./guard.ts";

const RUNS = 2000;

/** Up to eight cuts of a body of `bytes` bytes, ascending. */
function cutsOf(fractions: readonly number[], bytes: number): number[] {
  return fractions.map((fraction) => Math.floor(fraction * bytes)).sort((one, other) => one - other);
}

const fractions = fc.array(fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), { maxLength: 8 });
const end = fc.constantFrom("separate" as const, "merged" as const, "trailers" as const);

/** What needs no headers: legacy requests of the closed methods, notifications, and answers to the server's requests. */
const HEADERLESS = ["legacy request", "notification", "client response"] as const;
const headerless: fc.Arbitrary<Exchange> = fc
  .oneof(...HEADERLESS.map((kind) => MESSAGE_KINDS[kind]!))
  .map((text) => ({ headers: [], body: Uint8Array.from(Buffer.from(text)) }));

const exchange = fc.oneof(modernExchange, legacyExchange, headerless);
const mutatedExchange = exchange.chain(({ headers, body }) =>
  mutatedBody(fc.constant(body)).map((mutated) => ({ headers, body: mutated })),
);

/** With the headers that every request has; names as Envoy gives them to a filter. */
const withHeaders = ({ headers, body }: Exchange) => ({
  headers: [...JSON_HEADERS, ...headers.map(([name, value]) => [name.toLowerCase(), value] as const)],
  body,
});

test.each(Object.keys(BUILDS) as Build[])("%s build: a valid message passes", (build) => {
  const { vm, plugin } = startGuard(OPEN_POLICY, { build });
  fc.assert(
    fc.property(exchange, fractions, end, (sent, where, how) => {
      expect(post(plugin, { ...withHeaders(sent), cuts: cutsOf(where, sent.body.length), end: how })).toBe("allow");
      vm.logs.length = 0;
    }),
    { numRuns: RUNS },
  );
});

test.each(Object.keys(BUILDS) as Build[])("%s build: a mutated message has the reference verdict", (build) => {
  const { vm, plugin } = startGuard(OPEN_POLICY, { build });
  fc.assert(
    fc.property(mutatedExchange, fractions, end, (sent, where, how) => {
      const { headers, body } = sent;
      const found = post(plugin, { ...withHeaders(sent), cuts: cutsOf(where, body.length), end: how });
      vm.logs.length = 0;
      if (messageVerdict(body, OPEN_POLICY, headers).verdict === "allow") expect(found).toBe("allow");
      else {
        const justified = [...faults(body, OPEN_POLICY, headers)].map((reason) => `refuse ${reason}`);
        expect(justified).toContain(found.replace(/ \d+$/, ""));
      }
    }),
    { numRuns: RUNS },
  );
});
