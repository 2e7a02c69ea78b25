// Where a guard finds the peer in an Istio waypoint: the connection is that of the node's proxy, and the workload behind it stands
// in filter state.
import type { Bootstrap } from "../../src/envoy/bootstrap.ts";
import { listenersOf, putBeforeGuard } from "./listeners.ts";

/** The key of the filter state; its value is a SPIFFE id. */
export const PEER_PRINCIPAL = "io.istio.peer_principal";

/**
 * For `RigOptions.edit`: sets the peer in front of guards, all of them unless some are named. `peer` is one of Envoy's formats: a SPIFFE id, or
 * for example `%REQ(x-peer)%`, so that each request chooses its own; of an empty one nothing is set.
 */
export function namePeer(bootstrap: Bootstrap, peer: string, guards?: readonly string[]): void {
  for (const listener of listenersOf(bootstrap, guards)) {
    putBeforeGuard(listener, "envoy.filters.http.set_filter_state", {
      "@type": "type.googleapis.com/envoy.extensions.filters.http.set_filter_state.v3.Config",
      on_request_headers: [
        {
          object_key: PEER_PRINCIPAL,
          factory_key: "envoy.string",
          format_string: { text_format_source: { inline_string: peer }, omit_empty_values: true },
          skip_if_empty: true,
        },
      ],
    });
  }
}
