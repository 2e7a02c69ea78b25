// From what istiod sends to what one Envoy runs without a cluster around it. Everything that is changed stands in `ADAPTATIONS`, and
// nothing else is: filters, their order, matches, policies, routes and clusters are istiod's.
import { createHash } from "node:crypto";
import { renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { KeyedCertificate } from "../../integration/certificates.ts";
import type { Configuration, Message } from "./istiod.ts";

/** Where the parts of a test are. */
export interface Place {
  /** A folder for the files that stand for istiod's streams. */
  readonly folder: string;
  /** The address of the proxy's pod, a loopback one. */
  readonly podAddress: string;
  /** The ports of the pod that are connected to. */
  readonly podPorts: readonly number[];
  /** The workload's certificate, and the authority of the mesh. */
  readonly certificate: KeyedCertificate;
  readonly authority: string;
  /** The port of the server in the pod. */
  readonly serverPort: number;
  /** Where the hosts outside of the mesh are, by their names. */
  readonly outside: Readonly<Record<string, number>>;
}

interface Adaptation {
  readonly what: string;
  readonly why: string;
  readonly apply: (configuration: Configuration, place: Place) => void;
}

const PROXY_PROTOCOL = {
  name: "envoy.filters.listener.proxy_protocol",
  typed_config: {
    "@type": "type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol",
  },
};
// What Envoy subscribes to, below type.googleapis.com/envoy.
const ROUTE = "config.route.v3.RouteConfiguration";
const ENDPOINTS = "config.endpoint.v3.ClusterLoadAssignment";
const EXTENSION = "config.core.v3.TypedExtensionConfig";
const SECRET = "extensions.transport_sockets.tls.v3.Secret";

export const ADAPTATIONS: readonly Adaptation[] = [
  {
    what: "virtualInbound listens on the pod's own address and ports",
    why: "in a pod iptables leads connections to podIP:port to port 15006; filter chains are chosen by the port either way",
    apply({ listeners }, { podAddress, podPorts }) {
      const inbound = listeners.find(({ name }) => name === "virtualInbound");
      if (inbound === undefined) return;
      const [first, ...others] = podPorts.map((port) => socketAddress(podAddress, port));
      inbound.address = first;
      inbound.additional_addresses = others.map((address) => ({ address }));
    },
  },
  {
    what: "virtualOutbound listens on a Unix socket and takes the original destination from the PROXY protocol",
    why: "in a pod iptables leads all outgoing connections to port 15001, and the kernel says where they were going; on a port it would say `here`",
    apply({ listeners }, { folder }) {
      const outbound = listeners.find(({ name }) => name === "virtualOutbound");
      if (outbound === undefined) return;
      outbound.address = { pipe: { path: outboundSocket(folder) } };
      outbound.listener_filters = [PROXY_PROTOCOL, ...(outbound.listener_filters ?? [])];
    },
  },
  {
    what: "the other listeners that are bound take free ports of the loopback interface",
    why: "the test's clients are on this machine, where the ports of a gateway or a waypoint may be taken",
    apply({ listeners }) {
      for (const listener of listeners) {
        const isBound = listener.bind_to_port !== false && listener.address?.socket_address?.address === "0.0.0.0";
        if (isBound) listener.address = socketAddress("127.0.0.1", 0);
      }
    },
  },
  {
    what: "the cluster of the guarded server leads to the test's server",
    why: "a sidecar's goes to where the connection came to, which is the proxy here, and a waypoint's to a ztunnel, of which there is none",
    apply({ clusters }, { serverPort }) {
      for (const cluster of clusters) {
        if (!/^inbound(-vip)?\|/.test(cluster.name)) continue;
        delete cluster.eds_cluster_config;
        delete cluster.transport_socket;
        delete cluster.transport_socket_matches;
        cluster.type = "STATIC";
        cluster.lb_policy = "ROUND_ROBIN";
        cluster.load_assignment = {
          cluster_name: cluster.name,
          endpoints: [{ lb_endpoints: [{ endpoint: { address: socketAddress("127.0.0.1", serverPort) } }] }],
        };
      }
    },
  },
  {
    what: "a waypoint's filters of Istio's telemetry are left out, and values of filter state are Envoy's hashable strings instead of Istio's",
    why: "Envoy itself has neither; what the guard and the policies read is the value",
    apply({ listeners }) {
      visit(listeners, (message) => {
        if (message.factory_key === "istio.hashable_string") message.factory_key = "envoy.hashable_string";
        if (Array.isArray(message.http_filters)) {
          message.http_filters = message.http_filters.filter(({ name }: Message) => !/_peer_metadata$/.test(name));
        }
      });
    },
  },
  {
    what: "hosts outside of the mesh are servers of the test",
    why: "a test asks no name server and leaves this machine alone",
    apply({ clusters }, { outside }) {
      for (const cluster of clusters) {
        for (const { lb_endpoints: endpoints } of cluster.load_assignment?.endpoints ?? []) {
          for (const { endpoint } of endpoints ?? []) {
            const port = outside[endpoint?.address?.socket_address?.address];
            if (port !== undefined) endpoint.address = socketAddress("127.0.0.1", port);
          }
        }
      }
    },
  },
  {
    what: "what Envoy subscribes to (RDS, EDS, ECDS, SDS) comes from files",
    why: "there is no istiod and no agent at the other end; the resources are theirs, the secrets the test's",
    apply(configuration, place) {
      const source = sourcesIn(place.folder);
      const named = (list: readonly Message[], name: string, member = "name") =>
        list.filter((resource) => resource[member] === name);
      visit([configuration.listeners, configuration.clusters], (message) => {
        if (message.rds !== undefined) {
          const name = message.rds.route_config_name;
          message.rds.config_source = source(ROUTE, name, named(configuration.routes, name));
        }
        if (message.eds_cluster_config !== undefined) {
          const service = message.eds_cluster_config.service_name ?? message.name;
          const found = named(configuration.endpoints, service, "cluster_name");
          message.eds_cluster_config.eds_config = source(ENDPOINTS, service, found);
        }
        if (message.config_discovery !== undefined) {
          const found = named(configuration.extensions, message.name);
          message.config_discovery.config_source = source(EXTENSION, message.name, found);
        }
        if (message.sds_config !== undefined) {
          message.sds_config = source(SECRET, message.name, [secretOf(message.name, place)]);
        }
      });
    },
  },
];

/** Where a sidecar takes outgoing connections. */
export function outboundSocket(folder: string): string {
  return path.join(folder, "outbound.sock");
}

/** The configuration for this place. Takes a copy: what istiod said stays as it was. */
export function adapted(configuration: Configuration, place: Place): Configuration {
  const copy = structuredClone(configuration);
  for (const { apply } of ADAPTATIONS) apply(copy, place);
  return copy;
}

/** Sends a running Envoy the extensions of another configuration, as istiod and the agent do after a change. */
export function updateExtensions({ extensions }: Configuration, folder: string): void {
  for (const extension of extensions) {
    writeResponse(discoveryFile(folder, EXTENSION, extension.name), EXTENSION, [extension]);
  }
}

/** Calls back for every object in a configuration, outer ones first. */
export function visit(value: unknown, callback: (message: Message) => void): void {
  if (Array.isArray(value)) {
    for (const element of value) visit(element, callback);
  } else if (typeof value === "object" && value !== null) {
    callback(value);
    for (const member of Object.values(value)) visit(member, callback);
  }
}

function socketAddress(address: string, port: number): Message {
  return { socket_address: { address, port_value: port } };
}

/** Istio's two secrets: the workload's own certificate, and the authorities that it trusts. */
function secretOf(name: string, { certificate, authority }: Place): Message {
  if (name === "default") {
    const chain = { inline_string: certificate.certificate };
    return { name, tls_certificate: { certificate_chain: chain, private_key: { inline_string: certificate.key } } };
  }
  if (name === "ROOTCA") return { name, validation_context: { trusted_ca: { inline_string: authority } } };
  throw new Error(`no secret ${name} in the test`);
}

const sourcesIn = (folder: string) => (type: string, name: string, resources: readonly Message[]) => {
  const file = discoveryFile(folder, type, name);
  // Envoy takes exactly the one that it has asked for.
  writeResponse(file, type, resources);
  return { path_config_source: { path: file }, resource_api_version: "V3", initial_fetch_timeout: "0s" };
};

/** Where a resource lies that Envoy has asked for by its name. */
function discoveryFile(folder: string, type: string, name: string): string {
  return path.join(folder, `${createHash("sha256").update(`${type} ${name}`).digest("hex")}.json`);
}

/** Writes a response of the discovery service. */
function writeResponse(file: string, type: string, resources: readonly Message[]): void {
  const typed = { "@type": `type.googleapis.com/envoy.${type}` };
  const response = { version_info: "1", resources: resources.map((resource) => ({ ...typed, ...resource })) };
  // Envoy looks when a file is moved into its place, and then sees a whole one.
  writeFileSync(`${file}.new`, JSON.stringify(response));
  renameSync(`${file}.new`, file);
}
