// What calls pay that need no approval, under a policy that has people asked for others: CPU of the worker thread per request, beside a guard
// with the same policy but for that.
import { fork } from "node:child_process";
import { fetchVersion } from "../../src/envoy/admin.ts";
import { type Bootstrap, buildBootstrap, connectionManager } from "../../src/envoy/bootstrap.ts";
import { addLocalCluster } from "../../src/envoy/local-cluster.ts";
import { projectPath } from "../../src/project.ts";
import { CALLER, guardPolicy, PLAIN_POLICY } from "./approval-policy.ts";
import type { Protocol } from "./load.ts";
import { BODY_BYTES_MAX, makeBare, openWide, startWorker } from "./proxy.ts";
import { type Round, runRounds } from "./rounds.ts";
import { bootstrap as estimate, type Interval, trimmedMean } from "./statistics.ts";

/** What each listener does, in the words of the report. */
export const LISTENERS = {
  guard: "this filter, who asks is known, people are asked about nothing",
  "guard again": "the same once more: what differs between these two is noise",
  "guard, approval": "the same with `approval.mode: required`",
} as const;
type Listener = keyof typeof LISTENERS;

const VARIANTS = Object.keys(LISTENERS) as Listener[];
const SERVICE = "approval";
const KIB = 1_024;

/** Each different: Envoy has one plugin for two listeners with the same configuration, which then is in the processor's caches more often. */
const POLICIES: Readonly<Record<Listener, object>> = {
  guard: PLAIN_POLICY,
  "guard again": { ...PLAIN_POLICY, limits: { body_bytes: PLAIN_POLICY.limits.body_bytes + 1 } },
  "guard, approval": guardPolicy(SERVICE),
};

/** One kind of call. */
export interface Price {
  readonly name: string;
  readonly bytes: number;
  readonly rounds: number;
  readonly requests: number;
  /** CPU microseconds per request of the guard that asks nobody. */
  readonly guardMicroseconds: number;
  /** What the others take more than that, in microseconds and in parts of it. */
  readonly again: Interval;
  readonly approval: Interval;
  readonly againShare: Interval;
  readonly approvalShare: Interval;
  /** The most that it may be, in parts; undefined where nothing was asked. */
  readonly bound?: number;
}

interface Kind {
  readonly name: string;
  readonly body: Buffer;
  readonly protocol?: Protocol;
  readonly connections?: number;
  readonly path?: string;
  readonly bound?: number;
}

const SHARE_MAX = 0.02;
/** Short: what slows the machine down for a while then slows all of them. */
const SLICE_MS = 100;
const list = Buffer.from('{"jsonrpc":"2.0","id":1,"method":"tools/list"}');

const KINDS: readonly Kind[] = [
  ...(["before", "behind"] as const).flatMap((place) => [
    { name: `200 B, the name ${place} the arguments`, body: call(200, place), bound: SHARE_MAX },
    { name: `2 KB, the name ${place} the arguments`, body: call(2 * KIB, place), bound: SHARE_MAX },
  ]),
  {
    name: "2 KB, the name behind the arguments, 64 connections",
    body: call(2 * KIB, "behind"),
    connections: 64,
    bound: SHARE_MAX,
  },
  // Envoy hands each frame of HTTP/2 to the filter by itself, so that the name comes long after most of the arguments.
  { name: "64 KB over HTTP/2, the name before the arguments", body: call(64 * KIB, "before"), protocol: "h2" },
  { name: "64 KB over HTTP/2, the name behind the arguments", body: call(64 * KIB, "behind"), protocol: "h2" },
  { name: "a list of 50 tools", body: list, path: "/list-50" },
];

/** The bodies of the small calls, by their names. */
export const SMALL_CALLS: Readonly<Record<string, Buffer>> = Object.fromEntries(
  KINDS.filter(({ bound, connections }) => bound !== undefined && connections === undefined).map(({ name, body }) => [
    name,
    body,
  ]),
);

/** A call of a tool that needs no approval, filled up with white space to its length. */
function call(bytes: number, place: "before" | "behind"): Buffer {
  const unit = '{"id":12345,"name":"a small one","tags":["x","yz"],"ok":true}';
  const name = '"name":"safe"';
  const [start, end] = [
    `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{${place === "before" ? `${name},` : ""}"arguments":{"value":[`,
    `]}${place === "behind" ? `,${name}` : ""}}}`,
  ];
  const count = Math.floor((bytes - start.length - end.length + 1) / (unit.length + 1));
  const text = start + Array.from({ length: count }, () => unit).join(",") + end;
  // Inside the message, so that its last byte comes with its name.
  return Buffer.from(text.replace("[", `[${" ".repeat(bytes - text.length)}`));
}

/** Measures all kinds whose names match, and says with which Envoy. @param rounds the number of rounds of each. */
export async function measurePrices(rounds: number, wanted: RegExp): Promise<{ prices: Price[]; envoy: string }> {
  const kinds = KINDS.filter(({ name }) => wanted.test(name));
  const server = fork(new URL("upstream.js", import.meta.url));
  try {
    const port = await new Promise<number>((resolve) => server.once("message", (message) => resolve(Number(message))));
    const proxy = await startWorker<Listener>(bootstrapFor(port));
    try {
      const prices: Price[] = [];
      for (const { name, body, protocol = "h1", connections = 1, path = "/mcp", bound } of kinds) {
        const { seen, requests, answers } = await runRounds(proxy, {
          ...{ variants: VARIANTS, request: { path, body }, protocol, connections, sliceMs: SLICE_MS },
          isEnough: (count) => count >= rounds,
        });
        for (const { status, body: text } of answers.values()) {
          if (status !== 200 || text.includes('"error"')) throw new Error(`${name}: ${status} ${text.slice(0, 200)}`);
        }
        const price = {
          ...{ name, bytes: body.length, rounds: seen.length, requests: Math.min(...requests.values()) },
          guardMicroseconds: trimmedMean(seen.map((round) => round.guard!)),
          again: estimate(seen, moreOf("guard again")),
          approval: estimate(seen, moreOf("guard, approval")),
          againShare: estimate(seen, shareOf("guard again")),
          approvalShare: estimate(seen, shareOf("guard, approval")),
          ...(bound !== undefined && { bound }),
        };
        prices.push(price);
        console.log(
          `${name}: ${price.guardMicroseconds.toFixed(1)} us; approval ${percent(price.approvalShare)} %, again ${percent(price.againShare)} %`,
        );
      }
      return { prices, envoy: await fetchVersion(proxy.envoy.adminUrl) };
    } finally {
      await proxy.envoy.stop();
    }
  } finally {
    server.disconnect();
  }
}

/** An interval of parts, in hundredths. */
export function percent({ value, low, high }: Interval): string {
  const text = (part: number) => (100 * part).toFixed(1);
  return `${text(value)} [${text(low)}, ${text(high)}]`;
}

const moreOf = (listener: Listener) => (sample: readonly Round[]) =>
  trimmedMean(sample.map((round) => round[listener]! - round.guard!));

const shareOf = (listener: Listener) => (sample: readonly Round[]) =>
  moreOf(listener)(sample) / trimmedMean(sample.map((round) => round.guard!));

function bootstrapFor(upstreamPort: number): Bootstrap {
  const bootstrap = buildBootstrap({
    template: "test",
    wasmPath: projectPath("build", "plugin.wasm"),
    upstream: { host: "127.0.0.1", port: upstreamPort },
    guards: VARIANTS.map((name) => ({
      name,
      listenPort: 0,
      perConnectionBufferLimitBytes: BODY_BYTES_MAX,
      configuration: POLICIES[name],
    })),
  });
  for (const listener of bootstrap.static_resources.listeners) {
    makeBare(listener);
    const filters: object[] = connectionManager(listener).http_filters;
    filters.unshift(KNOWN_CALLER);
  }
  // Nobody is asked about calls that need no approval, but the cluster has to be there.
  addLocalCluster(bootstrap, SERVICE, upstreamPort);
  for (const cluster of bootstrap.static_resources.clusters) openWide(cluster);
  return bootstrap;
}

/** Says who asks as Envoy's token check would have, without what a signature costs: beside that, everything else would look cheap. */
const KNOWN_CALLER = {
  name: "envoy.filters.http.set_metadata",
  typed_config: {
    "@type": "type.googleapis.com/envoy.extensions.filters.http.set_metadata.v3.Config",
    metadata: [
      {
        metadata_namespace: "envoy.filters.http.jwt_authn",
        value: { [CALLER.provider]: { iss: CALLER.issuer, sub: CALLER.subject } },
      },
    ],
  },
};
