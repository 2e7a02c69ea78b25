// The guarded server's pod: its sidecar with what istiod makes of manifests, the server behind it, the world around it.

import { expect } from "vitest";
import type { EnvoyProcess } from "../../../src/envoy/process.ts";
import { type Authority, createAuthority } from "../../integration/certificates.ts";
import { ORIGIN_ANSWER, type Origin, startOrigin } from "../../integration/origin.ts";
import { PATIENCE, toolCall } from "../../integration/rig.ts";
import { outboundSocket, type Place, updateExtensions } from "./adaptations.ts";
import { type Answer, type Call, call } from "./client.ts";
import { type Configuration, generate, type ProxyOfWorkload } from "./istiod.ts";
import { type Manifest, manifestsIn } from "./manifests.ts";
import { type Outside, startOutside } from "./outside.ts";
import { type PodAddresses, podAddresses, startProxy } from "./proxy.ts";
import { Started } from "./started.ts";

export const SERVER: ProxyOfWorkload = { kind: "sidecar", namespace: "ai-agents", name: "github-mcp-server" };
export const GATEWAY = "cluster.local/ns/gateway/sa/ai-gateway";
export const STRANGER = "cluster.local/ns/elsewhere/sa/other";
/** Where the server listens, and a port that no Service names. */
export const PORT = 8080;
export const OTHER_PORT = 9999;
const DECLARED_HOST = "api.github.com";
const JSON_TYPE = ["content-type", "application/json", "accept", "application/json, text/event-stream"];

/** Who calls: a workload with its certificate, one that shows none, or one that speaks no TLS. */
export type Caller = { readonly principal: string } | "without a certificate" | "in plain text";

export interface Sidecar {
  readonly configuration: Configuration;
  readonly envoy: EnvoyProcess;
  readonly origin: Origin;
  readonly authority: Authority;
  readonly place: Place;
  /** A call to the pod, and what became of it in one phrase. */
  inbound(caller: Caller, what?: Call, port?: number): Promise<string>;
  /** A connection out of the pod, over TLS when `serverName` says for whom. */
  outbound(destination: { host: string; port: number }, serverName?: string, what?: Call): Promise<string>;
  /** Brings what has changed of the guard to the running proxy, and waits until it has looked at it. */
  update(manifests: readonly Manifest[]): Promise<"taken" | "refused">;
  /** A server that nobody has declared. */
  readonly undeclared: Outside;
  /** The server that the declared host is. */
  readonly declared: Outside;
  stop(): Promise<void>;
}

export const surroundings = (): Manifest[] => manifestsIn("test", "mesh", "pilot", "surroundings.yaml");

/** A call of a tool in the name of a human, as the gateway passes it on. */
export function toolCallOf(tool: string, headers: readonly string[] = ["User-Identity", "alice"], path = "/rpc"): Call {
  return { path, headers: [...JSON_TYPE, ...headers], body: toolCall(tool) };
}

export interface SidecarOptions {
  /** Default: one of its own. */
  readonly authority?: Authority;
  /** Default: some of its own. */
  readonly addresses?: PodAddresses;
  /** Whether the mesh has the settings of deploy/istio/mesh; else it has Istio's. Default true. */
  readonly hasMeshValues?: boolean;
}

/** What `use` gets done with the sidecar that these manifests make. Everything is ended behind it. */
export async function withSidecar<T>(
  manifests: readonly Manifest[],
  use: (sidecar: Sidecar) => Promise<T>,
  options: SidecarOptions = {},
): Promise<T> {
  const sidecar = await startSidecar(manifests, options);
  try {
    return await use(sidecar);
  } finally {
    await sidecar.stop();
  }
}

/** Starts the sidecar that these manifests make, in the test's surroundings. */
export async function startSidecar(
  manifests: readonly Manifest[],
  { authority, addresses = podAddresses(), hasMeshValues = true }: SidecarOptions = {},
): Promise<Sidecar> {
  const started = new Started("sidecar");
  const { folder, stop } = started;
  try {
    const generateFrom = (own: readonly Manifest[]) =>
      generate({
        manifests: [...own, ...surroundings()],
        proxy: SERVER,
        firstAddress: addresses.first,
        folder,
        hasMeshValues,
      });
    const configuration = await generateFrom(manifests);
    const mesh = authority ?? (await createAuthority());
    const origin = started.add(await startOrigin());
    const world = await createAuthority();
    const declared = started.add(await startOutside(await world.server(), "declared"));
    const undeclared = started.add(await startOutside(await world.server(), "undeclared"));
    const place: Place = {
      folder,
      podAddress: addresses.first,
      podPorts: [PORT, OTHER_PORT],
      certificate: await mesh.workload(`cluster.local/ns/${SERVER.namespace}/sa/github-mcp-sa`),
      authority: mesh.certificate,
      serverPort: origin.port,
      outside: { [DECLARED_HOST]: declared.port },
    };
    const envoy = started.add(await startProxy(SERVER, configuration, place));

    return {
      configuration,
      envoy,
      origin,
      authority: mesh,
      place,
      declared,
      undeclared,
      async inbound(caller, what, port = PORT) {
        const own = typeof caller === "string" ? {} : { own: await mesh.workload(caller.principal) };
        const tls = caller === "in plain text" ? {} : { tls: { authority: mesh.certificate, ...own } };
        return outcomeAt(origin, what, () => call({ host: addresses.first, port, ...tls }, what));
      },
      async outbound(destination, serverName, what = { method: "GET" }) {
        const tls = serverName === undefined ? {} : { tls: { authority: world.certificate, serverName } };
        const answer = await call({ ...destination, through: outboundSocket(folder), ...tls }, what);
        return answer === "closed" ? "closed" : told(answer);
      },
      async update(own) {
        const counted = (what: string) => sumOf(envoy, `^extension_config_discovery\\..*\\.${what}$`);
        const [taken, refused] = [await counted("config_reload"), await counted("config_fail")];
        updateExtensions(await generateFrom(own), folder);
        const changes = async () => [
          (await counted("config_reload")) - taken,
          (await counted("config_fail")) - refused,
        ];
        await expect.poll(changes, PATIENCE).not.toEqual([0, 0]);
        return (await changes())[1] === 0 ? "taken" : "refused";
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function sumOf(envoy: EnvoyProcess, filter: string): Promise<number> {
  return [...(await envoy.stats(filter)).values()].reduce((sum, value) => sum + value, 0);
}

/** What a call came to, when the server has said what became of the requests that have come to it since. */
export async function outcomeAt(
  origin: Origin,
  what: Call | undefined,
  perform: () => Promise<Answer | "closed">,
): Promise<string> {
  const before = origin.all().length;
  const answer = await perform();
  const arrivals = origin.all().slice(before);
  // Headers go on before the guard has read the body; what counts is whether the request came whole.
  await Promise.all(arrivals.map(({ ended }) => ended));
  const hasArrived = arrivals.some(
    ({ state, body }) => state === "complete" && body().toString() === (what?.body ?? ""),
  );
  return outcomeOf(answer, hasArrived);
}

/**
 * What became of a call: `served` when the server has got it, `closed` when the connection ended, `403 by Istio` when a policy has refused it, `refused
 * <reason>` when the guard has, else what the answer says.
 */
function outcomeOf(answer: Answer | "closed", hasArrived: boolean): string {
  if (answer === "closed") return hasArrived ? "closed behind the server" : "closed";
  if (answer.body === ORIGIN_ANSWER && hasArrived) return "served";
  if (answer.status === 403 && answer.body === "RBAC: access denied") return "403 by Istio";
  const reason = /"reason":"(\w+)"/.exec(answer.body)?.[1];
  if (reason !== undefined) return `refused ${reason}${hasArrived ? " behind the server" : ""}`;
  return told(answer);
}

function told({ status, body }: Answer): string {
  return body.startsWith("upstream connect error") ? `${status} by Envoy` : `${status} ${body}`.trim();
}
