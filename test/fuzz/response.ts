// Mutated response bodies, JSON and event streams, through the whole filter, debug build: no trap, and the client sees what the
// reference allows.

import fc from "fast-check";
import { mutatedBody } from "../generators/mutate.ts";
import { eventStream, GENERATED_POLICIES, jsonBody } from "../generators/response.ts";
import { addPlugin, JSON_HEADERS, send, startGuard } from "../host/guard.ts";
import { type Exchange, filterEventStream, filterJsonBody, type ResponsePolicy } from "../oracle/response.ts";
import { disagreement, viewOfBody, viewOfStream } from "../oracle/response-view.ts";
import { RESPONSE_VECTORS } from "../vectors/responses.ts";
import { RESPONSE_POLICY } from "../vectors/responses-vector.ts";
import { type Finding, samples } from "./samples.ts";

/** Longer seeds leave too few runs, and what they are about is their length. */
const SEED_BYTES_MAX = 1500;
const EXCHANGE: Exchange = { method: "POST", id: "1" };
const REQUEST = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}';

const POLICIES: readonly ResponsePolicy[] = [
  RESPONSE_POLICY,
  ...GENERATED_POLICIES,
  { ...RESPONSE_POLICY, limits: { depth: 4, members_per_object: 4, open_members: 8, key_bytes: 9 } },
];

const KINDS = {
  json: { type: "application/json", filter: filterJsonBody, view: viewOfBody, valid: jsonBody },
  events: { type: "text/event-stream", filter: filterEventStream, view: viewOfStream, valid: eventStream },
} as const;
type Kind = keyof typeof KINDS;

const bodyOf = (kind: Kind): fc.Arbitrary<Uint8Array> => {
  const seeds = RESPONSE_VECTORS.filter(({ expect, body }) => expect.kind === kind && body.length <= SEED_BYTES_MAX);
  const valid = KINDS[kind].valid.map((text) => Uint8Array.from(Buffer.from(text)));
  return fc.oneof(
    { weight: 1, arbitrary: valid },
    { weight: 4, arbitrary: mutatedBody(valid, 6) },
    { weight: 4, arbitrary: mutatedBody(fc.constantFrom(...seeds.map(({ body }) => body)), 6) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 64 }) },
  );
};

const fraction = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

const response = fc.constantFrom<Kind>("json", "events").chain((kind) =>
  fc.record({
    kind: fc.constant(kind),
    body: bodyOf(kind),
    cuts: fc.oneof(fc.array(fraction, { maxLength: 10 }), fc.constant("each byte" as const)),
    end: fc.constantFrom("separate", "merged"),
    policy: fc.nat(POLICIES.length - 1),
  }),
);

/** Runs until the time is over or something is found; gives how many bodies were judged, and how many came as they were. */
export function fuzzResponses(seconds: number, seed: number): { bodies: number; whole: number; findings: Finding[] } {
  const { vm, plugin: first } = startGuard(POLICIES[0]!, { build: "debug" });
  const plugins = [first, ...POLICIES.slice(1).map((policy) => addPlugin(vm, policy))];
  const findings: Finding[] = [];
  let [bodies, whole] = [0, 0];
  for (const { value, at } of samples(response, seconds, seed)) {
    const { kind, body, end } = value;
    const { type, filter, view } = KINDS[kind];
    const stream = send(plugins[value.policy]!, { headers: JSON_HEADERS, body: REQUEST });
    stream.responseHeaders({ ":status": "200", "content-type": type }, false);
    const cuts =
      value.cuts === "each byte"
        ? [...body.keys()]
        : value.cuts.map((each) => Math.floor(each * body.length)).sort((one, other) => one - other);
    let from = 0;
    for (const to of cuts) {
      stream.responseBody(body.subarray(from, to), false);
      from = to;
    }
    stream.responseBody(body.subarray(from), end === "merged");
    if (end === "separate") stream.responseBody("", true);
    const { downstream } = stream;
    const seen = downstream.body();
    const outcome = filter(POLICIES[value.policy]!, EXCHANGE, body);
    const found = outcome.isAmbiguous ? undefined : disagreement(outcome, view(seen, downstream.reset));
    bodies++;
    if (seen.equals(body)) whole++;
    if (found !== undefined || vm.failed || !stream.finished) {
      const input = `policy ${value.policy}, cuts ${value.cuts}, end ${end}, ${kind} ${Buffer.from(body).toString("hex")}`;
      findings.push({ at, input, found: vm.failed ? "a trap" : seen.toString("utf8"), expected: found ?? "an end" });
    }
    if (vm.failed || findings.length === 10) break;
    vm.logs.length = 0;
  }
  return { bodies, whole, findings };
}
