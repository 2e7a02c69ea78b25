// Every attack vector, and every line of the method table, through a real Envoy. Goal: what the reference verdict says is
// what the client gets, what the server sees and what the access log tells, in both header modes and over both versions of
// HTTP. Method: one Envoy has a guard for each policy of the vectors; each vector is one request on a connection of its own;
// short ones also go out byte by byte, and cut in two with a pause between.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ARGUMENT_VECTORS } from "../vectors/arguments.ts";
import { ENTRY_VECTORS } from "../vectors/entries.ts";
import { THREAT_POLICY, THREAT_VECTORS, type ThreatVector } from "../vectors/threats.ts";
import { testedVersions } from "../versions.ts";
import {
  expectNothingActive,
  guardIn,
  HEADER_MODE_NAMES,
  type HeaderMode,
  JSON_FIELDS,
  named,
  PATIENCE,
  PROTOCOLS,
  type Protocol,
  type Rig,
  startRig,
} from "./rig.ts";
import { verdictInLog, verdictOf } from "./verdict.ts";
import { inPieces, sendPieces, type WireHead } from "./wire.ts";

/** On the older release, and to an HTTP/2 server, every fifth vector: the filter is the same. */
const SAMPLE_EVERY = 5;
/** A body that goes out in pieces: short, so that its pauses add up to little. */
const PIECES_BYTES_MAX = 400;
const PIECES_EVERY = 2;
const PAUSE_MS = 1;

/** What Envoy would drop or answer by itself: then the vector would never reach the guard. */
const OPTIONS = { http1Trailers: true, upgrades: ["websocket"] };

/** A vector with the name of its table. */
interface Vector extends Pick<ThreatVector, "name" | "request" | "policy" | "expect"> {
  readonly table: string;
}

const VECTORS: readonly Vector[] = [
  ...THREAT_VECTORS.filter((vector) => vector.scriptedHostOnly !== true).map((vector) => ({
    ...vector,
    table: `row ${vector.row}`,
  })),
  ...[...ENTRY_VECTORS, ...ARGUMENT_VECTORS].map(
    ({ name, policy, body, reasons }): Vector => ({
      table: "entries and arguments",
      name,
      policy,
      request: { method: "POST", path: "/mcp", headers: JSON_FIELDS, body },
      expect: { verdict: reasons.length === 0 ? "allow" : "refuse", reasons },
    }),
  ),
];
/** Policies by the names of their guards. */
const GUARDS = new Map(VECTORS.map((vector) => [guardOf(vector), vector.policy ?? THREAT_POLICY]));
const SAMPLE = VECTORS.filter((_, index) => index % SAMPLE_EVERY === 0);
const newest = testedVersions().at(-1)!;
const RUNS: readonly Run[] = testedVersions().flatMap((version) => [
  ...HEADER_MODE_NAMES.map(
    (mode): Run => ({ version, mode, upstream: "h1", vectors: version === newest ? VECTORS : SAMPLE }),
  ),
  { version, mode: "release", upstream: "h2", vectors: SAMPLE },
]);

interface Run {
  readonly version: string;
  readonly mode: HeaderMode;
  readonly upstream: Protocol;
  readonly vectors: readonly Vector[];
}

/** Where a body is cut. */
interface Cuts {
  readonly name: string;
  of(body: Uint8Array): Iterable<Uint8Array>;
  readonly pauseMs: number;
}

const BYTEWISE: Cuts = { name: "byte by byte", of: (body) => inPieces(body, 1), pauseMs: 0 };
const IN_TWO: readonly Cuts[] = [0.25, 0.5, 0.9].map((part) => ({
  name: `cut at ${part * 100} %`,
  of: (body) => [body.subarray(0, Math.floor(body.length * part)), body.subarray(Math.floor(body.length * part))],
  pauseMs: PAUSE_MS,
}));

describe.each(RUNS)(
  "Envoy $version, header mode $mode, an $upstream server",
  ({ version, mode, upstream, vectors }) => {
    let rig: Rig;
    const expected = new Map<string, Vector>();

    beforeAll(async () => {
      const guards = [...GUARDS].map(([name, policy]) => guardIn(mode, policy, { ...OPTIONS, name }));
      rig = await startRig({ version, upstream, guards });
    });

    afterAll(() => rig?.stop());

    for (const protocol of PROTOCOLS) {
      const own = vectors.filter(({ request }) => (request.protocol ?? protocol) === protocol);
      test.each(own.map((vector) => [vector.table, vector.expect.verdict, vector.name, vector] as const))(
        `${protocol}, %s: %s: %s`,
        async (_table, _verdict, _name, vector) => {
          expect(accepted(vector, await run(protocol, vector))).toBe(true);
        },
      );

      const short = own.filter(
        ({ expect: { verdict }, request: { body, framing } }, index) =>
          verdict === "refuse" &&
          framing !== "bytes" &&
          body.length > 1 &&
          body.length <= PIECES_BYTES_MAX &&
          index % PIECES_EVERY === 0,
      );
      test.each(short.map((vector) => [vector.table, vector.name, vector] as const))(
        `${protocol}, %s, in pieces: %s`,
        async (_table, _name, vector) => {
          for (const cuts of [BYTEWISE, ...IN_TWO]) {
            expect(accepted(vector, await run(protocol, vector, cuts)), cuts.name).toBe(true);
          }
        },
      );
    }

    test("the access log has a verdict for each, the same", async () => {
      await expect.poll(() => missing(), PATIENCE).toEqual([]);
      const entries = new Map(rig.envoy.accessLog().map((entry) => [entry.request_id, entry]));
      const wrong = [...expected].flatMap(([id, vector]) => {
        const verdict = verdictInLog(entries.get(id));
        return accepts(vector, verdict) ? [] : [`${id}: ${verdict}`];
      });
      expect(wrong).toEqual([]);
    });

    test("no refused request was completed later, and none is under way", async () => {
      await expectNothingActive(rig);
      const leaked = [...expected].filter(
        ([
          id,
          {
            expect: { verdict },
          },
        ]) => {
          const arrivals = rig.origin.arrivals(id);
          return verdict === "refuse" && arrivals.some(({ state, body }) => state !== "cut" || body().length > 0);
        },
      );
      expect(leaked.map(([id]) => id)).toEqual([]);
    });

    function missing(): string[] {
      const logged = new Set(rig.envoy.accessLog().map(({ request_id }) => request_id));
      return [...expected.keys()].filter((id) => !logged.has(id));
    }

    async function run(protocol: Protocol, vector: Vector, cuts?: Cuts): Promise<string> {
      const { request } = vector;
      const requestId = `${protocol}.${vector.table.replaceAll(" ", "-")}.${expected.size}`;
      expected.set(requestId, vector);
      const connection = await rig.connect(protocol, guardOf(vector));
      try {
        const exchange = connection.open(headOf(vector, requestId));
        if (request.framing !== "headers_only" && bodyFollows(vector)) {
          const pieces =
            cuts?.of(request.body) ?? (request.framing === "bytes" ? inPieces(request.body, 1) : undefined);
          // In one piece the end of an HTTP/2 request stands in the last frame of its body, else in a frame of its own.
          if (isShort(vector)) exchange.send(request.body);
          else if (pieces === undefined && request.trailers === undefined) exchange.end(request.body);
          else
            await sendPieces(exchange, pieces ?? [request.body], {
              trailers: request.trailers,
              pauseMs: cuts?.pauseMs,
            });
        }
        return verdictOf(rig.origin, requestId, mode, request.body, await exchange.answer);
      } finally {
        connection.close();
      }
    }
  },
);

/** The name of the guard that has the vector's policy. */
function guardOf({ policy = THREAT_POLICY }: Pick<Vector, "policy">): string {
  return `guard ${JSON.stringify(policy)}`;
}

function headOf({ request }: Vector, requestId: string): WireHead {
  const { method, path, headers, body, framing = "length", trailers } = request;
  const isBodiless = framing === "headers_only" || !bodyFollows({ request });
  return {
    method,
    path,
    headers: [...headers, ...named(requestId)],
    framing: isBodiless ? "none" : framing === "length" && trailers === undefined ? "length" : "chunked",
    bodyBytes: body.length,
  };
}

function bodyFollows({ request }: Pick<Vector, "request">): boolean {
  return request.body.length > 0 || request.framing === "chunked" || request.trailers !== undefined;
}

/** The declared length is a lie: HTTP/2 has no valid end for such a request (RFC 9113 section 8.1.1), so it is left open. */
function isShort({ request }: Pick<Vector, "request">): boolean {
  const declared = request.headers.find(([name]) => name === "content-length")?.[1];
  return declared !== undefined && Number(declared) > request.body.length;
}

/** Like `accepts`, with the verdict in the failure's message. */
function accepted(vector: Vector, verdict: string): true | string {
  return accepts(vector, verdict) || verdict;
}

function accepts({ request, expect: expected }: Vector, verdict: string): boolean {
  if (expected.verdict === "allow") return verdict === "allow";
  // The reply to HEAD has no body that could tell the reason; the access log does.
  if (request.method === "HEAD" && verdict === `refuse ${expected.status}`) return true;
  return expected.reasons.some((reason) =>
    expected.status === undefined
      ? verdict.startsWith("refuse ") && verdict.endsWith(` ${reason}`)
      : verdict === `refuse ${expected.status} ${reason}`,
  );
}
