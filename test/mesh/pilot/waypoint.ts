// A waypoint in front of the guarded server: Envoy with what istiod makes of the waypoint overlay. Who calls comes through a tunnel, as ztunnel makes it for a workload.

import { createAuthority } from "../../integration/certificates.ts";
import { type Origin, startOrigin } from "../../integration/origin.ts";
import { policiesAround } from "./chains.ts";
import { type Call, call } from "./client.ts";
import { type Configuration, generate, type ProxyOfWorkload } from "./istiod.ts";
import { type Manifest, withClusterAddress } from "./manifests.ts";
import { podAddresses, startProxy } from "./proxy.ts";
import { type Caller, outcomeAt, PORT, surroundings } from "./sidecar.ts";
import { Started } from "./started.ts";

export const WAYPOINT: ProxyOfWorkload = { kind: "waypoint", namespace: "ai-agents", name: "mcp-waypoint" };
const LISTENER = "connect_terminate";
/** Of the guarded server's Service. */
const SERVICE_ADDRESS = "10.96.0.200";

export interface Waypoint {
  readonly configuration: Configuration;
  readonly origin: Origin;
  /** How many policies stand in front of the guard and behind it, in the Service's chain. */
  readonly policies: { readonly before: number; readonly behind: number };
  /** A call to the Service, and what became of it in one phrase. */
  inbound(caller: Caller, what: Call): Promise<string>;
  stop(): Promise<void>;
}

/** What istiod makes of these manifests for the waypoint. */
export function waypointConfiguration(
  manifests: readonly Manifest[],
  folder: string,
  firstAddress = "10.244.0.10",
): Promise<Configuration> {
  const all = [...withClusterAddress(manifests, "github-mcp-server", SERVICE_ADDRESS), ...surroundings()];
  return generate({ manifests: all, proxy: WAYPOINT, firstAddress, folder });
}

/** Starts the waypoint that these manifests make. */
export async function startWaypoint(manifests: readonly Manifest[]): Promise<Waypoint> {
  const started = new Started("waypoint");
  const { folder, stop } = started;
  try {
    const addresses = podAddresses();
    const configuration = await waypointConfiguration(manifests, folder, addresses.first);
    const mesh = await createAuthority();
    const origin = started.add(await startOrigin());
    const envoy = started.add(
      await startProxy(WAYPOINT, configuration, {
        folder,
        podAddress: addresses.nth(1),
        podPorts: [],
        certificate: await mesh.workload(`cluster.local/ns/${WAYPOINT.namespace}/sa/${WAYPOINT.name}`),
        authority: mesh.certificate,
        serverPort: origin.port,
        outside: {},
      }),
    );
    const port = envoy.ports.get(LISTENER);
    if (port === undefined) throw new Error(`no listener ${LISTENER} among ${[...envoy.ports.keys()].join(", ")}`);
    return {
      configuration,
      origin,
      policies: policiesAround(configuration, "inbound-vip|8080|http|github-mcp-server."),
      async inbound(caller, what) {
        const own = typeof caller === "string" ? {} : { own: await mesh.workload(caller.principal) };
        const tls = caller === "in plain text" ? {} : { tls: { authority: mesh.certificate, ...own } };
        const target = { host: "127.0.0.1", port, ...tls, tunnelTo: `${SERVICE_ADDRESS}:${PORT}` };
        return outcomeAt(origin, what, () => call(target, what));
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
