// Istio's own control plane over manifests: what it would send to one proxy.
import { execFile } from "node:child_process";
import { mkdtempSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { projectPath } from "../../../src/project.ts";
import { goTool } from "../go-tools.ts";
import { type Manifest, writeManifests } from "./manifests.ts";

/** Any message of Envoy's configuration, by the names of its protobuf fields. */
export interface Message {
  // biome-ignore lint/suspicious/noExplicitAny: Envoy's configuration has hundreds of types; what a test reads of it, it compares.
  [member: string]: any;
}

/** All that one proxy gets. */
export interface Configuration {
  readonly listeners: Message[];
  readonly clusters: Message[];
  readonly routes: Message[];
  readonly endpoints: Message[];
  /** What ECDS brings: the Wasm filters, as the agent hands them on to Envoy. */
  readonly extensions: Message[];
}

export interface ProxyOfWorkload {
  readonly kind: "sidecar" | "waypoint" | "router";
  readonly namespace: string;
  /** Of the Deployment, or of the waypoint's Gateway. */
  readonly name: string;
}

export interface IstiodOptions {
  readonly manifests: readonly Manifest[];
  readonly proxy: ProxyOfWorkload;
  /** The address of the first Deployment's pod; the others follow. */
  readonly firstAddress: string;
  /** A folder that stays while the modules are in use. */
  readonly folder: string;
  /** Whether the mesh has the settings of deploy/istio/mesh; else it has Istio's. Default true. */
  readonly hasMeshValues?: boolean;
}

/** The mesh's own settings that go with the manifests. */
const MESH_VALUES = projectPath("deploy", "istio", "mesh", "helm-values.yaml");

/** What only Istio's build of Envoy has: filters for its own telemetry, and for the negotiation of protocols between two of its proxies. */
const FLAGS = { PILOT_ENABLE_ALPN_FILTER: "false", PILOT_ENABLE_METADATA_EXCHANGE: "false" };
const ANSWER_BYTES_MAX = 64 << 20;
const run = promisify(execFile);

/**
 * What a proxy gets from istiod, and its modules from its agent, which are fetched.
 * @throws Error when istiod takes a manifest for invalid.
 */
export async function generate(options: IstiodOptions): Promise<Configuration> {
  const istio = await goTool("istio");
  const own = mkdtempSync(path.join(options.folder, "istiod-"));
  const file = path.join(own, "manifests.yaml");
  writeManifests(file, options.manifests);
  const { kind, namespace, name } = options.proxy;
  const args = [
    ["-manifests", file, ...((options.hasMeshValues ?? true) ? ["-mesh", MESH_VALUES] : [])],
    ["-proxy", kind, "-namespace", namespace, "-name", name],
    ["-first-address", options.firstAddress, "-modules", own],
  ].flat();
  const env = { ...process.env, ...FLAGS, PILOT_ENABLE_AMBIENT: String(kind === "waypoint") };
  const { stdout } = await run(istio, ["generate", ...args], { env, maxBuffer: ANSWER_BYTES_MAX });
  return JSON.parse(stdout) as Configuration;
}
