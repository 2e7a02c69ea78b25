// Generated responses through the whole filter. Goal: what the client sees is what the reference says, whatever stands in the
// messages, however they are framed and cut, and whatever went through the same guard before.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { eventStream, GENERATED_POLICIES, jsonBody, someCuts } from "../generators/response.ts";
import { type Exchange, filterEventStream, filterJsonBody } from "../oracle/response.ts";
import { disagreement, viewOfBody, viewOfStream } from "../oracle/response-view.ts";
import { type Guard, JSON_HEADERS, send, startGuard } from "./guard.ts";

const RUNS = Number(process.env.RESPONSE_RUNS ?? 1000);
const EXCHANGE: Exchange = { method: "POST", id: "1" };
const REQUEST = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}';

const KINDS = {
  "a JSON body": { type: "application/json", texts: jsonBody, filter: filterJsonBody, view: viewOfBody },
  "an event stream": { type: "text/event-stream", texts: eventStream, filter: filterEventStream, view: viewOfStream },
} as const;

function respond({ plugin, vm }: Guard, type: string, body: Uint8Array, cuts: readonly number[]) {
  const stream = send(plugin, { headers: JSON_HEADERS, body: REQUEST });
  stream.responseHeaders({ ":status": "200", "content-type": type }, false);
  let from = 0;
  for (const to of cuts) {
    stream.responseBody(body.subarray(from, to), false);
    from = to;
  }
  stream.responseBody(body.subarray(from), cuts.length % 2 === 0);
  if (cuts.length % 2 !== 0) stream.responseBody("", true);
  vm.logs.length = 0;
  return stream;
}

describe.each(Object.entries(KINDS))("%s", (_kind, { type, texts, filter, view }) => {
  test.each(GENERATED_POLICIES.map((policy, index) => [index, policy] as const))("policy %i", (_index, policy) => {
    const guard = startGuard(policy);
    let judged = 0;
    fc.assert(
      fc.property(
        texts.chain((text) => fc.tuple(fc.constant(text), someCuts(Buffer.byteLength(text)))),
        ([text, cuts]) => {
          const body = Uint8Array.from(Buffer.from(text));
          const outcome = filter(policy, EXCHANGE, body);
          const stream = respond(guard, type, body, cuts);
          if (outcome.isAmbiguous) return;
          judged++;
          const { downstream } = stream;
          expect(stream.finished).toBe(true);
          expect(disagreement(outcome, view(downstream.body(), downstream.reset))).toBeUndefined();
        },
      ),
      { numRuns: RUNS },
    );
    expect(judged).toBeGreaterThan(RUNS / 2);
    expect(guard.vm.failed).toBe(false);
  });
});
