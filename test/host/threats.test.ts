// Every attack vector through the whole filter, in both builds, at every cut. Goal: what the reference verdict says is what
// the client, the server and the access log see, however the body is cut into callbacks. Method: short bodies in one
// piece, one byte at a time and at every cut; long ones in pieces of 1 KiB and at cuts spread over them.

import { afterAll, describe, expect, test } from "vitest";
import type { HeaderPair, HttpStream, Plugin } from "../../src/host/index.ts";
import { HOST_DEFAULT, type HttpRequest, type RequestPolicy } from "../oracle/exchange.ts";
import { ARGUMENT_VECTORS } from "../vectors/arguments.ts";
import { ENTRY_VECTORS } from "../vectors/entries.ts";
import { POLICY_VECTORS } from "../vectors/policy.ts";
import { THREAT_POLICY, THREAT_VECTORS } from "../vectors/threats.ts";
import {
  answer,
  BUILDS,
  type Build,
  type Delivery,
  everyCut,
  type Guard,
  JSON_HEADERS,
  pieces,
  startGuard,
  verdict,
} from "./guard.ts";

const EVERY_CUT_BYTES = 600;
const BYTEWISE_BYTES = 20_000;
const LONG_CUTS = 12;

/** The release build lets headers go at once, as a plain WasmPlugin does; the debug build holds them. */
const MODES: Readonly<Record<Build, object>> = { release: {}, debug: { request_headers: "hold" } };
const STREAM = { release: { headersStop: false }, debug: { headersStop: true } } as const;

/** A delivery whose headers have the pseudo-headers too: some vectors are about the host that is asked. */
interface HostedDelivery extends Delivery {
  readonly headers: readonly HeaderPair[];
  readonly body: Uint8Array;
}

function deliveryOf(request: HttpRequest, build: Build): HostedDelivery[] {
  const { method, path, body, framing = "length", trailers, protocol } = request;
  const hasBody = framing !== "headers_only" && (body.length > 0 || framing !== "length" || trailers !== undefined);
  const isDeclared = request.headers.some(([name]) => name.toLowerCase() === "content-length");
  const length =
    hasBody && framing === "length" && !isDeclared ? [["content-length", String(body.length)] as const] : [];
  const ends = !hasBody
    ? ["headers" as const]
    : trailers
      ? ["trailers" as const]
      : ["separate" as const, "merged" as const];
  const protocols = protocol === undefined ? ["h1" as const, "h2" as const] : [protocol];
  const fields = request.headers.map(([name, value]): HeaderPair => [name.toLowerCase(), value]);
  const host = fields.find(([name]) => name === "host")?.[1] ?? HOST_DEFAULT;
  const pseudo: HeaderPair[] = [
    [":method", method],
    [":path", path],
    [":scheme", "http"],
    [":authority", host],
  ];
  return ends.map((end, index) => ({
    headers: [...pseudo, ...fields.filter(([name]) => name !== "host"), ...length],
    body,
    end,
    stream: { ...STREAM[build], protocol: protocols[index % protocols.length]! },
  }));
}

/** Sends a whole request and lets the server answer one that reached it. */
function exchange(plugin: Plugin, { headers, body, cuts = [], end, stream: options }: HostedDelivery): HttpStream {
  const stream = plugin.openStream(options);
  stream.requestHeaders(headers, end === "headers");
  if (end !== "headers") {
    let from = 0;
    for (const to of cuts) {
      stream.requestBody(body.subarray(from, to), false);
      from = to;
    }
    if (from < body.length || end === "merged") stream.requestBody(body.subarray(from), end === "merged");
    if (end === "separate") stream.requestEnd();
    else if (end === "trailers") stream.requestTrailers([["x-checksum", "0"]]);
  }
  if (stream.upstream.ended) answer(stream);
  return stream;
}

/** The verdicts at all cuts. */
function verdictsOf(guard: Guard, delivery: HostedDelivery, isBytewise: boolean): Set<string> {
  const found = new Set<string>();
  const bytes = delivery.body.length;
  const run = (cuts: Iterable<number>): void => {
    const stream = exchange(guard.plugin, { ...delivery, cuts });
    const early =
      delivery.stream?.headersStop && stream.localReply !== undefined && stream.upstream.headers !== undefined;
    found.add(early ? "the server has the headers of a refused request" : verdict(stream, delivery.body));
    guard.vm.logs.length = 0;
  };
  if (!isBytewise) run([]);
  if (bytes <= BYTEWISE_BYTES) run(pieces(bytes, 1));
  if (delivery.end === "headers" || isBytewise) return found;
  if (bytes <= EVERY_CUT_BYTES) {
    for (const cuts of everyCut(bytes)) run(cuts);
  } else {
    run(pieces(bytes, 1024));
    for (let index = 1; index < LONG_CUTS; index++) run([Math.floor((index * bytes) / LONG_CUTS), bytes - index]);
  }
  return found;
}

/** Whether a verdict is one of those that the vector accepts. */
function accepts(found: string, reasons: readonly string[], status?: number): boolean {
  if (reasons.length === 0) return found === "allow" || found === "pass";
  return reasons.some((reason) => found.startsWith(`refuse ${reason} ${status ?? ""}`));
}

describe.each(Object.keys(BUILDS) as Build[])("%s build", (build) => {
  const guards = new Map<string, Guard>();
  afterAll(() => guards.clear());

  /** The guard of a policy; the same one for the same policy. */
  function guardOf(policy: RequestPolicy): Guard {
    const key = JSON.stringify(policy);
    const known = guards.get(key) ?? startGuard({ ...policy, ...MODES[build] }, { build });
    guards.set(key, known);
    return known;
  }

  test.each(THREAT_VECTORS.map((vector) => [vector.row, vector.expect.verdict, vector.name, vector] as const))(
    "threat vectors, row %i: %s: %s",
    (_row, _verdict, _name, { request, policy = THREAT_POLICY, expect: expected }) => {
      const guard = guardOf(policy);
      const found = new Set<string>();
      for (const delivery of deliveryOf(request, build)) {
        for (const each of verdictsOf(guard, delivery, request.framing === "bytes")) found.add(each);
      }
      expect([...found].filter((each) => !accepts(each, expected.reasons, expected.status))).toEqual([]);
      // A body over the cap is refused by whichever callback crosses it; every other verdict is one and the same.
      if (!expected.reasons.includes("body_too_large")) expect([...found]).toHaveLength(1);
      expect(guard.vm.failed).toBe(false);
    },
  );

  describe.each([
    ["policy", POLICY_VECTORS],
    ["entry", ENTRY_VECTORS],
    ["argument", ARGUMENT_VECTORS],
  ] as const)("%s vectors", (_table, vectors) => {
    test.each(vectors.map((vector) => [vector.name, vector] as const))("%s", (_name, { policy, body, reasons }) => {
      const guard = guardOf(policy);
      const found = new Set<string>();
      for (const delivery of deliveryOf({ method: "POST", path: "/mcp", headers: JSON_HEADERS, body }, build)) {
        for (const each of verdictsOf(guard, delivery, false)) found.add(each);
      }
      expect([...found].filter((each) => !accepts(each, reasons))).toEqual([]);
      expect([...found]).toHaveLength(1);
      expect(guard.vm.failed).toBe(false);
    });
  });
});
