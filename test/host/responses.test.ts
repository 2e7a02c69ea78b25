// What a client gets of every response vector through the whole filter. Goal: the outcome that was written by hand, which the
// reference also gives, however the body is cut into callbacks. Method: in one piece, at every cut (at a sample of the cuts
// of a long body), and byte by byte.

import { afterAll, describe, expect, test } from "vitest";
import type { HttpStream } from "../../src/host/index.ts";
import { filterEventStream, filterJsonBody, type ResponsePolicy } from "../oracle/response.ts";
import { disagreement, type View, viewOfBody, viewOfStream } from "../oracle/response-view.ts";
import { RESPONSE_VECTORS } from "../vectors/responses.ts";
import { PROMPT_FRAMES } from "../vectors/responses-streams.ts";
import { answer, frame, RESPONSE_POLICY, type ResponseVector, serverCall } from "../vectors/responses-vector.ts";
import { BUILDS, type Build, everyCut, type Guard, pieces, send, startGuard } from "./guard.ts";
import { LIST_REQUEST, request, respond } from "./respond.ts";

const EVERY_CUT_BYTES = 2048;
const SAMPLED_CUTS = 200;
const BYTEWISE_BYTES = 20_000;
/** A long body is cut at the sample only where its cuts are cheap. */
const LONG_CUTS = 20;

const view = (kind: "json" | "events", { downstream }: HttpStream): View =>
  (kind === "json" ? viewOfBody : viewOfStream)(downstream.body(), downstream.reset);

const UNTRUE = ["content-length", "etag", "content-md5", "digest", "content-digest", "repr-digest"];

/** What is wrong with what the client got. */
function problem(
  { expect: expected, status, headers, body, hides }: ResponseVector,
  stream: HttpStream,
): string | undefined {
  const { downstream, localReply, codeDetails } = stream;
  const got = downstream.body();
  if (!stream.finished) return "the stream is still open";
  const shown = hides.find((text) => got.includes(text));
  if (shown !== undefined) return `shows ${shown}: ${got.toString("utf8").slice(0, 500)}`;
  if (expected.kind === "refused") {
    if (downstream.status !== 502 || codeDetails !== `mcp_guard.${expected.reason}`)
      return `got ${downstream.status} ${codeDetails}`;
    const { error, ...reply } = JSON.parse(got.toString("utf8"));
    return error.data.reason === expected.reason && reply.jsonrpc === "2.0" ? undefined : `got ${got}`;
  }
  if (localReply !== undefined && !downstream.reset) return `a reply of the filter's own: ${codeDetails}`;
  if (downstream.status !== status) return `status ${downstream.status}`;
  if (expected.kind === "untouched") {
    const sent = [[":status", String(status)], ...headers];
    if (JSON.stringify(downstream.headers?.pairs()) !== JSON.stringify(sent))
      return `headers ${JSON.stringify(downstream.headers?.pairs())}`;
    return got.equals(body) && downstream.ended ? undefined : "the body has changed";
  }
  const untrue = UNTRUE.filter((name) => downstream.headers?.get(name) !== undefined);
  if (untrue.length > 0) return `has ${untrue}`;
  const seen = view(expected.kind, stream);
  const found = expected.outcomes.map((outcome) => disagreement(outcome, seen));
  return found.includes(undefined) ? undefined : found[0];
}

const reference = ({ policy, exchange, body, expect: expected }: ResponseVector) =>
  (expected.kind === "events" ? filterEventStream : filterJsonBody)(policy, exchange, body);

const titled = RESPONSE_VECTORS.map((vector) => [vector.row, vector.name, vector] as const);

test("the vectors have names of their own", () => {
  const names = RESPONSE_VECTORS.map(({ row, name }) => `${row}: ${name}`);
  expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
});

describe("the reference says the same", () => {
  test.each(titled)("%s: %s", (_row, _name, vector) => {
    const { expect: expected } = vector;
    if (expected.kind === "untouched" || expected.kind === "refused") return;
    const outcome = reference(vector);
    const whole: View = { values: outcome.values, isCut: false, faults: [] };
    const broken = outcome.cuts.map((cut): View => ({ values: outcome.values.slice(0, cut), isCut: true, faults: [] }));
    const views = [...(outcome.ends ? [whole] : []), ...broken];
    const agrees = expected.outcomes.some((one) => views.some((seen) => disagreement(one, seen) === undefined));
    if (!agrees && !outcome.isAmbiguous) expect(disagreement(expected.outcomes[0]!, views[0]!)).toBeUndefined();
  });
});

describe.each(Object.keys(BUILDS) as Build[])("%s build", (build) => {
  const guards = new Map<string, Guard>();
  afterAll(() => guards.clear());

  function guardOf(policy: ResponsePolicy): Guard {
    const key = JSON.stringify(policy);
    const known = guards.get(key) ?? startGuard(policy, { build });
    guards.set(key, known);
    return known;
  }

  function* cutsOf(bytes: number): Generator<Iterable<number>> {
    yield [];
    if (bytes <= BYTEWISE_BYTES) yield pieces(bytes, 1);
    yield pieces(bytes, 777);
    if (build === "debug") return;
    if (bytes <= EVERY_CUT_BYTES) yield* everyCut(bytes);
    else {
      const count = bytes <= BYTEWISE_BYTES ? SAMPLED_CUTS : LONG_CUTS;
      for (let index = 1; index < count; index++) yield [Math.floor((index * bytes) / count)];
    }
  }

  test.each(titled)("%s: %s", (_row, _name, vector) => {
    const guard = guardOf(vector.policy);
    const problems = new Set<string>();
    for (const cuts of cutsOf(vector.body.length)) {
      const at = [...cuts];
      const found = problem(vector, respond(guard, vector, at, at.length % 2 === 0 ? "separate" : "merged"));
      if (found !== undefined) problems.add(found);
      if (problems.size > 2) break;
    }
    expect([...problems].join("\n")).toBe("");
    expect(guard.vm.failed).toBe(false);
  });

  test.each(PROMPT_FRAMES)("an event goes out in the callback in which its end arrives: %s", (_name, frames) => {
    const stream = send(guardOf(RESPONSE_POLICY).plugin, request({ method: "GET" }));
    stream.responseHeaders({ ":status": "200", "content-type": "text/event-stream" }, false);
    for (const [index, bytes] of frames.entries()) {
      for (const byte of bytes) stream.responseBody(Uint8Array.of(byte), false);
      expect(viewOfStream(stream.downstream.body(), false)).toMatchObject({
        values: { length: index + 1 },
        faults: [],
      });
    }
    stream.responseBody("", true);
    expect([stream.downstream.ended, stream.downstream.reset]).toEqual([true, false]);
  });

  const LISTS = answer('{"tools":[{"name":"evil"},{"name":"safe"}]}');
  const JSON_TYPE = ["content-type", "application/json"] as const;

  test.each([
    ["a status without a body", 204, []],
    ["not modified", 304, [["etag", '"1"']]],
    ["accepted", 202, [JSON_TYPE]],
    ["a length of 0", 200, [JSON_TYPE, ["content-length", "0"], ["etag", '"1"']]],
    ["another type and no body", 200, [["content-type", "text/plain"]]],
  ] as const)("untouched without a body: %s", (_name, status, headers) => {
    for (const method of ["GET", "POST"] as const) {
      const stream = send(guardOf(RESPONSE_POLICY).plugin, request({ method }));
      const sent = [[":status", String(status)] as const, ...headers];
      stream.responseHeaders(sent, true);
      expect([stream.downstream.headers?.pairs(), stream.downstream.ended, stream.localReply]).toEqual([
        sent,
        true,
        undefined,
      ]);
    }
  });

  test("untouched: an answer to HEAD with a length", () => {
    const stream = send(guardOf(RESPONSE_POLICY).plugin, { method: "HEAD", headers: [], end: "headers" });
    const sent = [[":status", "200"], JSON_TYPE, ["content-length", "999"], ["etag", '"1"']] as const;
    stream.responseHeaders(sent, true);
    expect([stream.downstream.headers?.pairs(), stream.downstream.ended]).toEqual([sent, true]);
  });

  test("a key set on GET: the same bytes", () => {
    const text = '{ "keys": [ {"kty":"EC","x":"\\u0041\\/","n":1.0e+1} ],\r\n "evil": null }\n';
    const vector = { exchange: { method: "GET" }, status: 200, headers: [JSON_TYPE], body: Buffer.from(text) } as const;
    for (const cuts of [[], ...everyCut(text.length)]) {
      expect(respond(guardOf(RESPONSE_POLICY), vector, cuts).downstream.body().toString("utf8")).toBe(text);
    }
  });

  test("a reader of lines finds one text in each", () => {
    const [denied, list] = [serverCall("tools/call", "{}"), '{"id":1,"result":{"tools":[]}}'];
    const lines = (...texts: readonly string[]): string => texts.map((text) => `${text}\n`).join("");
    const tables = [
      [lines(list, denied, denied, list), lines(list, list)],
      [lines(denied, list, denied), lines(list)],
      [lines(list, '{"id":1,"result":{"contents":[{"uri":"file:///etc/evil"}]}}', list), 3],
      [`${lines(list)}{"id":1,"result":x}`, 2],
      [`1${denied}${denied}2`, "1\n2"],
      [`${lines("1", denied)}${denied}true`, "1\ntrue"],
      ["\n\n1\r\n\r\n2\n", "\n\n1\r\n\r\n2\n"],
    ] as const;
    for (const [sent, expected] of tables) {
      const vector = {
        exchange: { method: "POST" },
        status: 200,
        headers: [JSON_TYPE],
        body: Buffer.from(sent),
      } as const;
      for (const cuts of [[], ...everyCut(sent.length), [...sent].map((_, at) => at)]) {
        const seen = respond(guardOf(RESPONSE_POLICY), vector, cuts).downstream.body().toString("utf8");
        if (typeof expected === "string") {
          expect(seen).toBe(expected);
        } else {
          const texts = seen.trimEnd().split("\n");
          expect([sent, texts.length, texts.map((text) => typeof JSON.parse(text))]).toEqual([
            sent,
            expected,
            texts.map(() => "object"),
          ]);
        }
      }
    }
  });

  const READ_HEADERS = UNTRUE.map((name) => [name, "x"] as const);
  const whole = {
    exchange: { method: "POST" },
    status: 200,
    headers: [JSON_TYPE, ...READ_HEADERS, ["x-a", "b"]],
    body: Buffer.from(LISTS),
  } as const;

  test("what would not be true of the new body is removed, the rest stays", () => {
    const { downstream } = respond(guardOf(RESPONSE_POLICY), whole, []);
    expect(downstream.headers?.pairs()).toEqual([[":status", "200"], JSON_TYPE, ["x-a", "b"]]);
  });

  test("the server is asked for what can be read", () => {
    const asked = [
      ["accept-encoding", "gzip"],
      ["Range", "bytes=0-1"],
      ["if-range", "x"],
      ["accept-encoding", "br"],
    ] as const;
    for (const method of ["GET", "POST"] as const) {
      const { headers = [], ...rest } = request({ method });
      const more =
        method === "POST"
          ? [["content-type", "application/json"] as const, ["accept", "application/json, text/event-stream"] as const]
          : headers;
      const stream = send(guardOf(RESPONSE_POLICY).plugin, {
        ...rest,
        headers: [...more, ...asked.map(([name, value]) => [name.toLowerCase(), value] as const)],
      });
      const seen = ["accept-encoding", "range", "if-range"].filter(
        (name) => stream.upstream.headers?.get(name) !== undefined,
      );
      expect([method, seen]).toEqual([method, []]);
      stream.clientGone();
    }
  });

  test.each([
    ["monitor mode", { ...RESPONSE_POLICY, mode: "monitor" }, {}, "/mcp"],
    ["an outbound listener", RESPONSE_POLICY, { listenerDirection: 2 }, "/mcp"],
    ["an unguarded endpoint", { ...RESPONSE_POLICY, unguarded: [{ methods: ["POST"], path: "/hook" }] }, {}, "/hook"],
  ] as const)("nothing is read and nothing changed: %s", (_name, policy, options, path) => {
    const guard = startGuard(policy, { build });
    for (const type of ["application/json", "text/event-stream", "text/plain"]) {
      const text = type === "text/event-stream" ? frame(LISTS) : `${LISTS} x`;
      const headers = [
        ["accept-encoding", "gzip"],
        ["range", "bytes=0-1"],
        JSON_TYPE,
        ["accept", "application/json, text/event-stream"],
      ] as const;
      const stream = send(guard.plugin, { body: LIST_REQUEST, path, stream: options, headers });
      expect(["accept-encoding", "range"].map((name) => stream.upstream.headers?.get(name))).toEqual([
        "gzip",
        "bytes=0-1",
      ]);
      const sent = [
        [":status", "200"],
        ["content-type", type],
        ["content-encoding", "gzip"],
        ["content-length", "5"],
      ] as const;
      stream.responseHeaders(sent, false);
      stream.responseBody(text.slice(0, 20), false);
      stream.responseBody(text.slice(20), true);
      expect([stream.downstream.headers?.pairs(), stream.downstream.body().toString("utf8")]).toEqual([sent, text]);
    }
  });

  test.each([
    ["JSON", JSON_TYPE, LISTS],
    ["events", ["content-type", "text/event-stream"], frame(LISTS)],
  ] as const)("trailers: %s", (_name, type, text) => {
    const vector = { exchange: { method: "POST" }, status: 200, headers: [type], body: Buffer.from(text) } as const;
    for (const cuts of everyCut(text.length)) {
      const { downstream } = respond(guardOf(RESPONSE_POLICY), vector, cuts, "trailers");
      expect([downstream.ended, downstream.reset, downstream.trailers?.get("x-checksum")]).toEqual([true, false, "0"]);
      expect([downstream.body().includes("evil"), downstream.body().includes("safe")]).toEqual([false, true]);
    }
  });

  test.each([
    ["a duplicate far behind cuts", "response_invalid"],
    ["contents under no root after much that has gone out", "resource_not_listed"],
    ["a fault after much that has gone out", "response_invalid"],
    ["contents whose URI comes late, behind much that has gone out", "response_too_large"],
    ["an event over event_bytes", "response_too_large"],
    ["a large event with a fault at its end", "response_invalid"],
  ])("a cut says why: %s", (name, reason) => {
    const vector = RESPONSE_VECTORS.find((one) => one.name === name)!;
    const stream = respond(guardOf(vector.policy), vector, pieces(vector.body.length, 777));
    expect([stream.downstream.reset, stream.codeDetails]).toEqual([true, `mcp_guard.${reason}`]);
  });

  test("what comes after a cut is not seen", () => {
    const vector = RESPONSE_VECTORS.find(({ name }) => name === "an event over event_bytes")!;
    const stream = respond(guardOf(vector.policy), vector, [3000, 6000]);
    expect([stream.downstream.reset, stream.downstream.body().includes('"a":2')]).toEqual([true, false]);
  });

  test("nothing is left in memory", () => {
    const guard = startGuard(RESPONSE_POLICY, { build });
    const list = RESPONSE_VECTORS.filter(
      ({ policy, body }) => JSON.stringify(policy) === JSON.stringify(RESPONSE_POLICY) && body.length <= 2000,
    );
    const round = (): void => {
      for (const vector of list) {
        respond(guard, vector, [vector.body.length >> 1]);
        // A client that goes away in the middle.
        const stream = send(guard.plugin, request(vector.exchange));
        stream.responseHeaders([[":status", String(vector.status)], ...vector.headers], false);
        stream.responseBody(vector.body.subarray(0, vector.body.length >> 1), false);
        stream.clientGone();
      }
      guard.vm.logs.length = 0;
    };
    for (let warm = 0; warm < 5; warm++) round();
    const before = guard.vm.memoryBytes();
    for (let count = 5; count < (build === "release" ? 500 : 50); count++) round();
    expect(guard.vm.memoryBytes()).toBe(before);
    expect([guard.vm.failed, guard.vm.contextCount()]).toEqual([false, 1]);
  }, 300_000);
});
