// The whole service: its parts put together, started, and ended in order.
import type { AddressInfo } from "node:net";
import type { FastifyInstance } from "fastify";
import { GuardError, systemErrorCode } from "../src/error.ts";
import { type Clock, systemClock } from "./clock.ts";
import type { ServiceContext } from "./context.ts";
import { createMetrics } from "./metrics.ts";
import { buildBrowserServer, buildFilterServer } from "./server.ts";
import type { Settings } from "./settings.ts";
import { readSigner } from "./signing.ts";
import { openStore } from "./store/open-store.ts";

const SWEEP_MS = 30_000;
/** Requests that are under way have so long; Kubernetes gives 30 s by default, and the database has to be closed, too. */
const GRACE_MS = 10_000;

/** A service that has started. */
export interface Service {
  /** The ports that it listens on. */
  readonly port: number;
  readonly filterPort: number;
  /** Takes no more requests, answers those that are under way, and closes the database. Safe to call twice. */
  stop(): Promise<void>;
}

/**
 * Starts the service. When the promise is fulfilled, both ports answer.
 * @param log where lines go, standard output unless it is given.
 * @throws GuardError `ERR_USAGE` when the key or the database cannot be used, `ERR_PORT` when a port cannot be listened on.
 */
export async function startService(
  settings: Settings,
  { clock = systemClock, log }: { clock?: Clock; log?: NodeJS.WritableStream } = {},
): Promise<Service> {
  const signer = readSigner(settings.signing);
  const { pendingMs, approvedMs, openPerPrincipal, perHour } = settings;
  const store = await openStore(settings.database, { clock, pendingMs, approvedMs, openPerPrincipal, perHour });
  const servers: FastifyInstance[] = [];
  let sweeping: NodeJS.Timeout | undefined;
  const stop = async () => {
    clearInterval(sweeping);
    const impatient = setTimeout(() => {
      for (const { server } of servers) server.closeAllConnections();
    }, GRACE_MS);
    try {
      await Promise.all(servers.map((server) => server.close()));
    } finally {
      clearTimeout(impatient);
      await store.close();
    }
  };
  try {
    const context: ServiceContext = { settings, store, clock, metrics: createMetrics(store) };
    const filter = await buildFilterServer(context, signer, log);
    servers.push(filter);
    const browser = await buildBrowserServer(context, log);
    servers.push(browser);
    // The guards' port last: a guard that reaches it must be able to send people to a page.
    const port = await listen(browser, settings.host, settings.port, "PORT");
    const filterPort = await listen(filter, settings.host, settings.filterPort, "FILTER_PORT");
    filter.log.info(
      { kid: signer.kid, spki: signer.spki },
      "receipts are signed with this key (approval.keys of the guards)",
    );
    sweeping = setInterval(() => {
      store.sweep().catch((error: unknown) => filter.log.warn({ err: error }, "the sweep has failed"));
    }, SWEEP_MS);
    let stopping: Promise<void> | undefined;
    return {
      port,
      filterPort,
      stop() {
        stopping ??= stop();
        return stopping;
      },
    };
  } catch (error) {
    await stop().catch(() => {});
    throw error;
  }
}

async function listen(app: FastifyInstance, host: string, port: number, name: string): Promise<number> {
  try {
    await app.listen({ host, port });
  } catch (error) {
    const inUse = systemErrorCode(error) === "EADDRINUSE";
    const why = inUse
      ? "is already in use"
      : `cannot be listened on (${error instanceof Error ? error.message : error})`;
    throw new GuardError("ERR_PORT", `${name}=${port} on ${host} ${why}; expected a free port`, { cause: error });
  }
  return (app.server.address() as AddressInfo).port;
}
