// A further server of a bootstrap, on this machine.
import type { Bootstrap, Cluster } from "./bootstrap.ts";

const CONNECT_TIMEOUT_S = 2;

/** Adds a cluster with one endpoint on 127.0.0.1, for calls that the filter makes itself. */
export function addLocalCluster(bootstrap: Bootstrap, name: string, port: number): void {
  const cluster: Cluster = {
    name,
    type: "STATIC",
    connect_timeout: `${CONNECT_TIMEOUT_S}s`,
    load_assignment: {
      cluster_name: name,
      endpoints: [
        { lb_endpoints: [{ endpoint: { address: { socket_address: { address: "127.0.0.1", port_value: port } } } }] },
      ],
    } as Cluster["load_assignment"],
  };
  bootstrap.static_resources.clusters.push(cluster);
}
