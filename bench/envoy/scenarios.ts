// What is measured: one kind of exchange, and the ways to treat it that are compared.

import { ANSWERS, SHAPES, type Shape, SMALL } from "./inputs.ts";
import type { Protocol, Request } from "./load.ts";
import type { Variant } from "./proxy.ts";

export interface Scenario {
  readonly name: string;
  /** What is about the same in several of them: a table of the report. */
  readonly group: "requests" | "connections" | "refusals" | "records" | "lists of tools" | "responses";
  readonly variants: readonly Variant[];
  readonly request: Request;
  readonly protocol: Protocol;
  readonly connections: number;
  /** Bytes of what is read: the request's body, or the answer's. */
  readonly bytes: number;
  /** Milliseconds of one slice. */
  readonly sliceMs: number;
}

const KIB = 1024;
const BASE: readonly Variant[] = ["none", "none again", "native", "floor", "guard"];
const ALL: readonly Variant[] = [...BASE, "guard, headers held", "guard, streaming"];

const scenario = (
  group: Scenario["group"],
  name: string,
  body: Buffer,
  variants: readonly Variant[],
  changes: Partial<Scenario> & { readonly path?: string } = {},
): Scenario => {
  const { path = "/mcp", ...rest } = changes;
  return {
    name,
    group,
    variants,
    request: { path, body },
    protocol: "h1",
    connections: 1,
    bytes: body.length,
    sliceMs: 250,
    ...rest,
  };
};

const shaped = (shape: Shape, bytes: number, variants: readonly Variant[]): Scenario =>
  scenario(
    "requests",
    `${shape}, ${sizeName(bytes)}`,
    bytes === 200 ? SMALL("safe") : SHAPES[shape]("safe", bytes),
    variants,
    {
      sliceMs: bytes > 100 * KIB ? 400 : 250,
    },
  );

function sizeName(bytes: number): string {
  return bytes >= 1_000_000 ? "1 MB" : bytes >= KIB ? `${bytes / KIB} KB` : `${bytes} B`;
}

const list = Buffer.from('{"jsonrpc":"2.0","id":1,"method":"tools/list"}');

export const SCENARIOS: readonly Scenario[] = [
  shaped("small members", 200, ALL),
  shaped("small members", 2 * KIB, ALL),
  shaped("small members", 16 * KIB, ALL),
  shaped("small members", 128 * KIB, ALL),
  shaped("small members", 1_000_000, ALL),
  ...(["ASCII string", "multi-byte string", "escaped string"] as const).flatMap((shape) => [
    shaped(shape, 128 * KIB, BASE),
    shaped(shape, 1_000_000, BASE),
  ]),
  scenario("connections", "2 KB, 64 connections", SHAPES["small members"]("safe", 2 * KIB), ALL, { connections: 64 }),
  scenario("connections", "2 KB, HTTP/2", SHAPES["small members"]("safe", 2 * KIB), ALL, { protocol: "h2" }),
  scenario("refusals", "2 KB, refused", SHAPES["small members"]("evil", 2 * KIB), [
    ...(["none", "none again", "native", "guard", "guard, headers held", "guard, streaming"] as const),
  ]),
  ...(
    [
      ["2 KB, recorded", SHAPES["small members"]("safe", 2 * KIB)],
      ["2 KB, refused and recorded", SHAPES["small members"]("evil", 2 * KIB)],
      ["1 MB, recorded", SHAPES["ASCII string"]("safe", 1_000_000)],
    ] as const
  ).map(([name, body]) =>
    scenario("records", name, body, ["none", "none again", "guard", "guard, records", "guard, digests"]),
  ),
  scenario("lists of tools", "200 B", SMALL("safe"), [
    ...(["none", "none again", "guard, 2 tools", "guard, 200 tools", "guard, 16384 tools"] as const),
  ]),
  ...(
    [
      ["/list-50", "50 tools, JSON"],
      ["/list-500", "500 tools, JSON"],
      ["/list-50-events", "50 tools, an event"],
      ["/list-500-events", "500 tools, an event"],
      ["/result-1mb", "a result of 1 MB"],
      ["/events-1000", "1,000 small events"],
    ] as const
  ).map(([path, name]) =>
    scenario("responses", name, list, ["none", "none again", "floor, responses", "guard"], {
      path,
      bytes: Buffer.byteLength(ANSWERS[path]!.body),
      sliceMs: 400,
    }),
  ),
];
