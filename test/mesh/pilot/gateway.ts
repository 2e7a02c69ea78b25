// A gateway in front of the guarded server: a second Envoy, with what istiod makes of deploy/istio/gateway, and an issuer of tokens.

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createAuthority } from "../../integration/certificates.ts";
import type { Issuer } from "../../integration/tokens.ts";
import { type Call, call } from "./client.ts";
import { type Configuration, generate, type ProxyOfWorkload } from "./istiod.ts";
import { type Manifest, manifestsIn } from "./manifests.ts";
import { podAddresses, startProxy } from "./proxy.ts";
import { GATEWAY, outcomeAt, type Sidecar, startSidecar, surroundings } from "./sidecar.ts";
import { Started } from "./started.ts";

const ROUTER: ProxyOfWorkload = { kind: "router", namespace: "gateway", name: "ai-gateway" };
const LISTENER = "0.0.0.0_8443";

export interface Gateway {
  readonly configuration: Configuration;
  readonly sidecar: Sidecar;
  /** A call of a client outside of the mesh, and what became of it in one phrase. */
  send(what: Call): Promise<string>;
  stop(): Promise<void>;
}

/** The Deployment, the Gateway and the route of a gateway, which deploy/istio/gateway leaves to whoever runs one. */
export const gatewayItself = (): Manifest[] => manifestsIn("test", "mesh", "pilot", "gateway.yaml");

/** Starts the gateway and the sidecar behind it, both from the same manifests. */
export async function startGateway(manifests: readonly Manifest[]): Promise<Gateway> {
  const started = new Started("gateway");
  const { folder, stop } = started;
  try {
    const addresses = podAddresses();
    const authority = await createAuthority();
    const all = [...manifests, ...gatewayItself()];
    const sidecar = started.add(await startSidecar(all, { authority, addresses }));
    const configuration = await generate({
      manifests: [...all, ...surroundings()],
      proxy: ROUTER,
      firstAddress: addresses.first,
      folder,
    });
    const envoy = started.add(
      await startProxy(ROUTER, configuration, {
        ...sidecar.place,
        folder,
        podAddress: addresses.nth(1),
        certificate: await authority.workload(GATEWAY),
      }),
    );
    const port = envoy.ports.get(LISTENER);
    if (port === undefined) throw new Error(`no listener ${LISTENER} among ${[...envoy.ports.keys()].join(", ")}`);
    return {
      configuration,
      sidecar,
      send: (what) => outcomeAt(sidecar.origin, what, () => call({ host: "127.0.0.1", port }, what)),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Where istiod gets an issuer's keys from. */
export async function serveKeys(issuer: Issuer): Promise<{ readonly url: string; stop(): Promise<void> }> {
  const server = createServer((_request, response) => {
    response.writeHead(200, { "content-type": "application/json" }).end(issuer.jwks);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
