// Every attack vector through the whole filter, in both builds, at every cut. Goal: what the reference verdict says is what
// the client, the server and the access log see, however the body is cut into callbacks. Method: short bodies in one
// piece, one byte at a time and at every cut; long ones in pieces of 1 KiB and at cuts spread over them.

import { beforeAll, describe, expect, test } from "vitest";
import type { HttpRequest } from "../oracle/exchange.ts";
import { POLICY_VECTORS } from "../vectors/policy.ts";
import { THREAT_POLICY, THREAT_VECTORS } from "../vectors/threats.ts";
import {
  BUILDS,
  type Build,
  type Delivery,
  everyCut,
  exchange,
  type Guard,
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

function deliveryOf(request: HttpRequest, build: Build): Delivery[] {
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
  return ends.map((end, index) => ({
    method,
    path,
    headers: [...request.headers, ...length],
    body,
    end,
    stream: { ...STREAM[build], protocol: protocols[index % protocols.length]! },
  }));
}

/** The verdicts at all cuts. */
function verdictsOf(guard: Guard, delivery: Delivery, isBytewise: boolean): Set<string> {
  const found = new Set<string>();
  const bytes = delivery.body?.length ?? 0;
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
  let guard: Guard;
  beforeAll(() => {
    guard = startGuard({ ...THREAT_POLICY, ...MODES[build] }, { build });
  });

  test.each(THREAT_VECTORS.map((vector) => [vector.row, vector.expect.verdict, vector.name, vector] as const))(
    "threat vectors, row %i: %s: %s",
    (_row, _verdict, _name, { request, expect: expected }) => {
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

  test.each(POLICY_VECTORS.map((vector) => [vector.name, vector] as const))("policy vectors: %s", (_name, vector) => {
    const configuration = { ...vector.policy, ...MODES[build] };
    const names = vector.policy.tool_allowlist.filter((name) => name !== "");
    // What a configuration may not say is another test's matter; here it would hide the vector.
    const methods = vector.policy.method_allowlist?.filter((method) => method.includes("vendor"));
    const own = startGuard(
      { ...configuration, tool_allowlist: names, ...(methods !== undefined && { method_allowlist: methods }) },
      { build },
    );
    const delivery: Delivery = { body: vector.body, stream: STREAM[build] };
    const found = verdictsOf(own, delivery, false);
    const isEmptyName = vector.name === 'the listed name ""';
    const reasons = isEmptyName ? ["tool_not_listed"] : vector.reasons;
    expect([...found].filter((each) => !accepts(each, reasons))).toEqual([]);
    expect([...found]).toHaveLength(1);
    expect(own.vm.failed).toBe(false);
  });
});
