// What the proxy itself counts: which policy it has, what became of the probe's call, and who else refuses.
import type { Dispatcher } from "undici";
import { exchange } from "./exchange.ts";

/** What is asked for; RE2, as Envoy reads it. */
const FILTER = "mcp_guard_(info|decision)|\\.rbac\\..*denied$";
const DECISION = /mcp_guard_decision_(\w+)$/;
const POLICY = /mcp_guard_info\.policy\.([0-9a-f]{16})$/;
/** The stand-in that Istio puts in the place of a module that it could not fetch. */
const STAND_IN = /\.rbac\.wasm-default-deny\.denied$/;

/** Counters by name, at one moment. */
export type Stats = ReadonlyMap<string, number>;

/** What has moved between two moments. */
export interface Movement {
  /** Decisions of the guard that were counted meanwhile. */
  readonly decisions: ReadonlySet<string>;
  /** Digests of the policies that are in force. */
  readonly policies: readonly string[];
  /** Whether this proxy has a guard at all. */
  readonly hasGuard: boolean;
  /** Whether an AuthorizationPolicy has refused something. */
  readonly rbacDenied: boolean;
  /** Whether the stand-in has. */
  readonly standInDenied: boolean;
}

/**
 * Reads the statistics of a proxy.
 * @param admin the address of Envoy's administration interface.
 * @throws Error whose message is the end of a sentence that begins with the address.
 */
export async function readStats(admin: URL, dispatcher: Dispatcher, signal: AbortSignal): Promise<Stats> {
  const url = new URL(admin);
  url.pathname = `${url.pathname.replace(/\/$/, "")}/stats`;
  url.search = `?filter=${encodeURIComponent(FILTER)}`;
  const answer = await exchange({ method: "GET", url, headers: {} }, dispatcher, signal);
  if (answer.kind === "failure") throw new Error(answer.text);
  if (answer.status !== 200 || answer.cut !== "")
    throw new Error(`answered ${answer.status}: that is no admin address`);
  const stats = new Map<string, number>();
  for (const line of answer.text.split("\n")) {
    const [, name, value] = /^(\S+): (\d+)$/.exec(line.trim()) ?? [];
    if (name !== undefined) stats.set(name, Number(value));
  }
  return stats;
}

/** What happened between two readings. */
export function movement(before: Stats, after: Stats): Movement {
  const moved = [...after].filter(([name, value]) => value > (before.get(name) ?? 0)).map(([name]) => name);
  const names = [...after.keys()];
  return {
    decisions: new Set(moved.flatMap((name) => DECISION.exec(name)?.[1] ?? [])),
    policies: names.flatMap((name) => (after.get(name) === 0 ? [] : (POLICY.exec(name)?.[1] ?? []))).sort(),
    hasGuard: names.some((name) => DECISION.test(name)),
    rbacDenied: moved.some((name) => /\.rbac\./.test(name) && !STAND_IN.test(name)),
    standInDenied: moved.some((name) => STAND_IN.test(name)),
  };
}
