// TLS at the listeners of guards, with certificates of the clients.
import type { Bootstrap } from "../../src/envoy/bootstrap.ts";
import type { Authority, KeyedCertificate } from "./certificates.ts";
import { listenersOf } from "./listeners.ts";

export interface ListenerTls {
  /** What the listener shows, from `Authority.server`. */
  readonly server: KeyedCertificate;
  /** Who issues the certificates of clients; one from elsewhere is refused in either case. */
  readonly clients: Pick<Authority, "certificate">;
  /** Whether a client without a certificate is refused in the handshake. */
  readonly clientCertificate: "required" | "optional";
}

/** For `RigOptions.edit`: has guards, all of them unless some are named, serve HTTP/1.1 and HTTP/2 over TLS only. */
export function serveTls(bootstrap: Bootstrap, tls: ListenerTls, guards?: readonly string[]): void {
  for (const listener of listenersOf(bootstrap, guards)) {
    for (const chain of listener.filter_chains) Object.assign(chain, { transport_socket: transportSocket(tls) });
  }
}

function transportSocket({ server, clients, clientCertificate }: ListenerTls): object {
  return {
    name: "envoy.transport_sockets.tls",
    typed_config: {
      "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
      require_client_certificate: clientCertificate === "required",
      common_tls_context: {
        alpn_protocols: ["h2", "http/1.1"],
        tls_certificates: [
          {
            certificate_chain: { inline_string: server.certificate },
            private_key: { inline_string: server.key },
          },
        ],
        validation_context: { trusted_ca: { inline_string: clients.certificate } },
      },
    },
  };
}
