// What the service counts.
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { Store } from "./store/store.ts";

/** Seconds. A database on the same machine answers within the first, a guard gives up at 5. */
const BUCKETS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

/** The metrics, to count with and to read. */
export interface Metrics {
  registry: Registry;
  /** Calls of `open`: `new`, `same` (the approval was there), `denied` (a moment ago), `limit_open`, `limit_hour`, `digest`. */
  opened: Counter<"outcome">;
  /** Calls of `claim`: `receipt`, `repeated` (the same nonce again), or why not. */
  claims: Counter<"outcome">;
  /** Decisions of people: `approved`, `denied`. */
  decisions: Counter<"verdict">;
  /** Requests to the guards' port that no guard has sent. */
  strangers: Counter<never>;
  /** Times that the database did not answer. */
  databaseErrors: Counter<never>;
  /** How long requests took. */
  requests: Histogram<"route" | "status">;
}

/** Makes the service's metrics in a registry of their own. */
export function createMetrics(store: Pick<Store, "pendingCount">): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const databaseErrors = new Counter({
    name: "mcp_guard_approval_database_errors_total",
    help: "Times that the database did not answer.",
    registers,
  });
  new Gauge({
    name: "mcp_guard_approval_pending",
    help: "Approvals that wait for a human, of all replicas. NaN when the database does not answer.",
    registers,
    async collect() {
      try {
        this.set(await store.pendingCount());
      } catch {
        // The other metrics are wanted most when the database is away.
        databaseErrors.inc();
        this.set(Number.NaN);
      }
    },
  });
  const opened = new Counter({
    name: "mcp_guard_approval_opened_total",
    help: "Calls that guards have brought, by what became of them.",
    labelNames: ["outcome"] as const,
    registers,
  });
  const claims = new Counter({
    name: "mcp_guard_approval_claims_total",
    help: "Claims of guards, by what became of them.",
    labelNames: ["outcome"] as const,
    registers,
  });
  const decisions = new Counter({
    name: "mcp_guard_approval_decisions_total",
    help: "Decisions of people.",
    labelNames: ["verdict"] as const,
    registers,
  });
  const strangers = new Counter({
    name: "mcp_guard_approval_strangers_total",
    help: "Requests to the port of the guards that no guard has sent.",
    registers,
  });
  const requests = new Histogram({
    name: "mcp_guard_approval_request_seconds",
    help: "How long requests took.",
    labelNames: ["route", "status"] as const,
    buckets: BUCKETS_SECONDS,
    registers,
  });
  // All names exist from the start, so that a rate over the first event is right.
  for (const outcome of ["new", "same", "denied", "limit_open", "limit_hour", "digest"]) opened.inc({ outcome }, 0);
  for (const outcome of ["receipt", "repeated", "replayed", "pending", "denied", "expired", "unknown", "digest"]) {
    claims.inc({ outcome }, 0);
  }
  for (const verdict of ["approved", "denied"]) decisions.inc({ verdict }, 0);
  return { registry, opened, claims, decisions, strangers, databaseErrors, requests };
}
