// What stands where in the listeners that istiod makes.
import { visit } from "./adaptations.ts";
import type { Configuration, Message } from "./istiod.ts";

const MANAGER = "envoy.filters.network.http_connection_manager";
const RBAC = "envoy.filters.http.rbac";
const NETWORK_RBAC = "envoy.filters.network.rbac";

/** One filter chain of a listener. */
export interface Chain {
  /** `INBOUND` or `OUTBOUND`. */
  readonly direction: string;
  readonly listener: string;
  readonly name: string;
  /** The names of the network filters, in order. */
  readonly network: readonly string[];
  /** The names of the HTTP filters, in order; absent in a chain of TCP. */
  readonly http?: readonly string[];
  readonly message: Message;
}

/** All filter chains, in the order of the listeners. */
export function chainsOf({ listeners }: Configuration): Chain[] {
  return listeners.flatMap((listener) => {
    const chains: Message[] = [...(listener.filter_chains ?? [])];
    if (listener.default_filter_chain !== undefined) chains.push(listener.default_filter_chain);
    return chains.map((chain) => {
      const filters: Message[] = chain.filters ?? [];
      const manager = filters.find(({ name }) => name === MANAGER)?.typed_config;
      return {
        direction: listener.traffic_direction ?? "none",
        listener: listener.name,
        name: chain.name ?? "",
        network: filters.map(({ name }) => name),
        ...(manager && { http: (manager.http_filters as Message[]).map(({ name }) => name) }),
        message: chain,
      };
    });
  });
}

/** The name of the guard's filter, by which ECDS brings it; undefined when istiod sends none. */
export function guardOf({ extensions }: Configuration): string | undefined {
  const names = extensions.map(({ name }) => String(name)).filter((name) => name.includes("mcp-tool-guard"));
  if (names.length > 1) throw new Error(`several guards: ${names.join(", ")}`);
  return names[0];
}

/** How many filter chains of HTTP have the guard, and how many do not, by direction. */
export function guardedChains(configuration: Configuration): Readonly<Record<string, string>> {
  const guard = guardOf(configuration);
  const result: Record<string, string> = {};
  for (const direction of ["INBOUND", "OUTBOUND"]) {
    const http = chainsOf(configuration).flatMap((chain) =>
      chain.direction === direction && chain.http !== undefined ? [chain.http] : [],
    );
    const guarded = http.filter((names) => guard !== undefined && names.includes(guard)).length;
    const share = guarded === 0 ? "none" : guarded === http.length ? "all" : `${guarded} of ${http.length}`;
    result[direction.toLowerCase()] = http.length === 0 ? "no HTTP" : share;
  }
  return result;
}

/** Inbound chains that lead on past Istio's authorization, or to the guard before it. */
export function misplaced(configuration: Configuration): string[] {
  const guard = guardOf(configuration);
  return chainsOf(configuration).flatMap(({ direction, name, network, http, message }) => {
    if (direction !== "INBOUND") return [];
    if (http === undefined) {
      const leadsNowhere = JSON.stringify(message).includes('"cluster":"BlackHoleCluster"');
      return leadsNowhere || network[0] === NETWORK_RBAC ? [] : [`${name}: ${network.join(", ")}`];
    }
    const at = guard === undefined ? -1 : http.indexOf(guard);
    const policies = http.flatMap((filter, index) => (filter.startsWith(RBAC) ? [index] : []));
    return policies.length > 0 && policies.every((index) => index < at) ? [] : [`${name}: ${http.join(", ")}`];
  });
}

/** The formats of access logs that write the guard's record, by the direction of their listeners. */
export function recordedDirections({ listeners }: Configuration): string[] {
  const directions = new Set<string>();
  for (const listener of listeners) {
    visit(listener.filter_chains ?? [], ({ http_filters: filters, access_log: logs }) => {
      if (filters !== undefined && JSON.stringify(logs ?? []).includes("%FILTER_STATE(wasm.mcp_audit:PLAIN)%")) {
        directions.add(String(listener.traffic_direction).toLowerCase());
      }
    });
  }
  return [...directions];
}

/** The hosts that a proxy has clusters for. */
export function visibleHosts({ clusters }: Configuration): string[] {
  const hosts = clusters.flatMap(({ name }) => /^outbound\|\d+\|\|(.+)$/.exec(name)?.[1] ?? []);
  return [...new Set(hosts)].sort();
}

/** How many policies stand in front of the guard and behind it, in the chain of a waypoint's Service; none of either when there is no guard. */
export function policiesAround(configuration: Configuration, service: string): { before: number; behind: number } {
  const chains = chainsOf(configuration).filter(({ name }) => name.startsWith(service));
  const [chain] = chains;
  if (chain?.http === undefined || chains.length > 1) throw new Error(`${chains.length} chains of ${service}`);
  const guard = guardOf(configuration);
  const at = guard === undefined ? -1 : chain.http.indexOf(guard);
  const policies = chain.http.flatMap((filter, index) => (filter.startsWith(RBAC) ? [index] : []));
  return at < 0
    ? { before: 0, behind: 0 }
    : { before: policies.filter((index) => index < at).length, behind: policies.filter((index) => index > at).length };
}
