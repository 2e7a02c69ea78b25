// One proxy of the mesh: Envoy with the configuration that istiod has made of manifests.
import { randomInt } from "node:crypto";
import { type EnvoyProcess, startEnvoy } from "../../../src/envoy/process.ts";
import { adapted, type Place } from "./adaptations.ts";
import type { Configuration, ProxyOfWorkload } from "./istiod.ts";

/** The Envoy that goes with the Istio of test/mesh/istio/go.mod. */
export const ENVOY_VERSION = "1.39.3";

export interface PodAddresses {
  readonly first: string;
  readonly nth: (index: number) => string;
}

const INTERNAL_LISTENERS = {
  name: "envoy.bootstrap.internal_listener",
  typed_config: {
    "@type": "type.googleapis.com/envoy.extensions.bootstrap.internal_listener.v3.InternalListener",
  },
};

/**
 * An address for the first pod of a test: a loopback one of its own, so that the proxy can listen there on the server's own port. Linux answers on all
 * of 127.0.0.0/8.
 */
export function podAddresses(): PodAddresses {
  const net = `127.${randomInt(64, 128)}.${randomInt(256)}`;
  const nth = (index: number) => `${net}.${10 + index}`;
  return { first: nth(0), nth };
}

/** Starts the proxy. @throws GuardError when Envoy does not take the configuration. */
export function startProxy(
  { namespace, name }: ProxyOfWorkload,
  configuration: Configuration,
  place: Place,
): Promise<EnvoyProcess> {
  const { listeners, clusters } = adapted(configuration, place);
  return startEnvoy({
    version: ENVOY_VERSION,
    bootstrap: {
      node: { id: `${name}.${namespace}`, cluster: name },
      admin: { address: { socket_address: { address: "127.0.0.1", port_value: 0 } } },
      static_resources: { listeners, clusters },
      // As in Istio's own bootstrap: a waypoint's listeners lead to each other inside of Envoy.
      bootstrap_extensions: [INTERNAL_LISTENERS],
    },
  });
}
