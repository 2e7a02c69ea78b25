// What rules, the token cache and rate limits cost in a whole Envoy: CPU of the worker thread per request, each beside a guard that differs in nothing
// else.
import { fork } from "node:child_process";
import { fetchVersion } from "../../src/envoy/admin.ts";
import { type Bootstrap, buildBootstrap, connectionManager } from "../../src/envoy/bootstrap.ts";
import { addLocalCluster } from "../../src/envoy/local-cluster.ts";
import { projectPath } from "../../src/project.ts";
import {
  again,
  CALLER,
  ENVIRONMENT,
  EXCHANGE_POLICY,
  GRANTED_CALL,
  PASS_POLICY,
  RATE_LIMIT,
  RULES,
  rulesPolicy,
  SERVICE,
  tokenOf,
} from "./identity-policy.ts";
import { expectSeen } from "./identity-seen.ts";
import { SMALL } from "./inputs.ts";
import type { Request } from "./load.ts";
import { type BenchProxy, makeBare, openWide, startWorker } from "./proxy.ts";
import { type Round, runRounds } from "./rounds.ts";
import { bootstrap as estimate, type Interval, trimmedMean } from "./statistics.ts";

/** What each listener does, in the words of the report. */
export const LISTENERS = {
  "1 rule": "one rule, by principal, group and workload, which alone lists the tool that is called",
  "1 rule again": "the same once more: what differs between these two is noise",
  "1,000 rules": "999 more in front of it, about other principals, groups and workloads, each with a tool of its own",
  "1 rule, rate limits": "one rule, and `rate_limit` with both members, which are never reached",
  pass: "no rules, `authorization: pass`: the caller's token reaches the server",
  "pass again": "the same once more",
  exchange: "`authorization: exchange`, the token is in the cache",
} as const;
type Listener = keyof typeof LISTENERS;

const POLICIES: Readonly<Record<Listener, object>> = {
  "1 rule": rulesPolicy(1),
  "1 rule again": again(rulesPolicy(1)),
  "1,000 rules": rulesPolicy(RULES),
  "1 rule, rate limits": rulesPolicy(1, { rate_limit: RATE_LIMIT }),
  pass: PASS_POLICY,
  "pass again": again(PASS_POLICY),
  exchange: EXCHANGE_POLICY,
};

/** Bytes of a caller's token: of few claims, and of many. */
export const TOKEN_BYTES = [800, 1_600] as const;
/** Some, so that the worker sleeps less between requests: to wake it up costs more than what is measured, and not always the same. */
const CONNECTIONS = 4;
/** Short: what slows the machine down for a while then slows all of them. */
const SLICE_MS = 100;

/** One way to treat a request beside another. */
export interface Price {
  readonly what: string;
  readonly against: Listener;
  readonly listener: Listener;
  readonly rounds: number;
  /** Of the listener with the fewest. */
  readonly requests: number;
  /** CPU microseconds per request of the one that it is compared with. */
  readonly baseMicroseconds: number;
  /** What it takes more than that, and its CPU in parts of the other's. */
  readonly added: Interval;
  readonly ratio: Interval;
}

/** How often the token came out of the cache, and how often the token endpoint was asked, over all requests of the benchmark. */
export interface CacheUse {
  readonly cached: number;
  readonly minted: number;
}

/** Measures everything, in so many rounds. @throws Error when the server has not seen what it should. */
export async function measureIdentity(rounds: number): Promise<{ prices: Price[]; cache: CacheUse; envoy: string }> {
  const server = fork(new URL("identity-upstream.js", import.meta.url));
  try {
    const port = await new Promise<number>((resolve) => server.once("message", (message) => resolve(Number(message))));
    const proxy = await startWorker<Listener>(bootstrapFor(port));
    try {
      const prices = await compare(
        proxy,
        rounds,
        "a call of 200 B",
        { path: "/mcp", body: GRANTED_CALL },
        "1 rule",
        ["1 rule again", "1,000 rules", "1 rule, rate limits"],
        () => "nobody",
      );
      for (const bytes of TOKEN_BYTES) {
        const request = {
          path: "/mcp",
          body: SMALL("safe"),
          headers: { authorization: `Bearer ${tokenOf(bytes)}` },
        };
        prices.push(
          ...(await compare(proxy, rounds, tokenName(bytes), request, "pass", ["pass again", "exchange"], (listener) =>
            listener === "exchange" ? "minted" : "caller",
          )),
        );
      }
      return { prices, cache: await cacheUse(proxy), envoy: await fetchVersion(proxy.envoy.adminUrl) };
    } finally {
      await proxy.envoy.stop();
    }
  } finally {
    server.disconnect();
  }
}

/** A token of this many bytes, in the words of the report. */
export const tokenName = (bytes: number): string => `a token of ${bytes} B`;

async function compare(
  proxy: BenchProxy<Listener>,
  rounds: number,
  what: string,
  request: Request,
  against: Listener,
  listeners: readonly Listener[],
  whose: (listener: Listener) => "nobody" | "caller" | "minted",
): Promise<Price[]> {
  const { seen, requests, answers } = await runRounds(proxy, {
    ...{ variants: [against, ...listeners], request, protocol: "h1", connections: CONNECTIONS, sliceMs: SLICE_MS },
    isEnough: (count) => count >= rounds,
  });
  for (const [listener, answer] of answers) expectSeen(listener, answer, whose(listener));
  const baseOf = (sample: readonly Round[]) => trimmedMean(sample.map((round) => round[against]!));
  return listeners.map((listener) => {
    const added = (sample: readonly Round[]) => trimmedMean(sample.map((round) => round[listener]! - round[against]!));
    const price: Price = {
      ...{ what, against, listener, rounds: seen.length, requests: Math.min(...requests.values()) },
      baseMicroseconds: baseOf(seen),
      added: estimate(seen, added),
      ratio: estimate(seen, (sample) => 1 + added(sample) / baseOf(sample)),
    };
    const { value, low, high } = price.added;
    console.log(
      `${what}, ${listener}: ${value.toFixed(1)} [${low.toFixed(1)}, ${high.toFixed(1)}] us more than ${price.baseMicroseconds.toFixed(1)}`,
    );
    return price;
  });
}

async function cacheUse(proxy: BenchProxy<Listener>): Promise<CacheUse> {
  const count = async (name: string): Promise<number> => {
    const stats = await proxy.envoy.stats(`mcp_guard_token_${name}$`);
    return [...stats.values()].reduce((sum, value) => sum + value, 0);
  };
  return { cached: await count("cached"), minted: await count("minted") };
}

function bootstrapFor(upstreamPort: number): Bootstrap {
  const bootstrap = buildBootstrap({
    template: "test",
    wasmPath: projectPath("build", "plugin.wasm"),
    upstream: { host: "127.0.0.1", port: upstreamPort },
    guards: (Object.keys(LISTENERS) as Listener[]).map((name) => ({
      name,
      listenPort: 0,
      configuration: POLICIES[name],
      environment: { values: ENVIRONMENT },
    })),
  });
  for (const listener of bootstrap.static_resources.listeners) {
    makeBare(listener);
    const filters: object[] = connectionManager(listener).http_filters;
    filters.unshift(KNOWN_CALLER, KNOWN_WORKLOAD);
  }
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
        value: { [CALLER.provider]: { iss: CALLER.issuer, sub: CALLER.subject, groups: CALLER.groups } },
      },
    ],
  },
};

/** Says through which workload, as an Istio waypoint has it. */
const KNOWN_WORKLOAD = {
  name: "envoy.filters.http.set_filter_state",
  typed_config: {
    "@type": "type.googleapis.com/envoy.extensions.filters.http.set_filter_state.v3.Config",
    on_request_headers: [
      {
        object_key: "io.istio.peer_principal",
        factory_key: "envoy.string",
        format_string: { text_format_source: { inline_string: CALLER.workload } },
      },
    ],
  },
};
