// The objects of one deployment, joined: which guard, Service, policy and role belongs to which workload.
import { placeOfCluster } from "../deploy/approval-place.ts";
import type { Judge } from "./filter-verdict.ts";
import { matchesOf, type Plugin, phaseRank, pluginsOf, priority } from "./guard.ts";
import type { Deployment } from "./input.ts";
import { get, type KubeObject, list, text } from "./kube-object.ts";
import type { MeshConfig } from "./mesh-config.ts";
import type { Roles } from "./role.ts";
import { matchesLabels } from "./selector.ts";
import { looksLikeMcp, servicesOf, type Workload, workloadsOf } from "./workload.ts";

/** An MCP server with what concerns it. */
export interface Server extends Workload {
  services: readonly KubeObject[];
  /** The Namespace object, when it is among the input. */
  namespaceObject: KubeObject | undefined;
  guards: readonly Plugin[];
  /** Other plugins in the chain of filters that the guards stand in. */
  otherPlugins: readonly Plugin[];
  /** The waypoint that the namespace or a Service sends its traffic through. */
  waypoint: Waypoint | undefined;
  /** Whether ambient mode or a label takes the sidecar's place. */
  isAmbient: boolean;
}

/** A waypoint by name; the Gateway when it is among the input. */
export interface Waypoint {
  name: string;
  namespace: string;
  gateway: KubeObject | undefined;
}

/** One deployment with its servers. */
export interface World {
  objects: readonly KubeObject[];
  workloads: readonly Workload[];
  servers: readonly Server[];
  plugins: readonly Plugin[];
  /** The Services that guards ask for approvals. */
  approvalServices: ReadonlyMap<Plugin, KubeObject>;
  meshes: readonly MeshConfig[];
  roles: Roles | undefined;
  rootNamespace: string;
  /** What the filter says of a policy. */
  judge: Judge;
}

/** Joins the objects of a deployment. */
export function worldOf({ objects, meshes, roles }: Deployment, judge: Judge): World {
  const plugins = pluginsOf(objects);
  const workloads = workloadsOf(objects);
  const rootNamespace =
    meshes.map(({ value }) => text(value.rootNamespace)).find((name) => name !== "") ?? "istio-system";
  const approvalServices = new Map(
    plugins.flatMap((plugin) => {
      const service = approvalServiceOf(plugin, objects);
      return service === undefined ? [] : [[plugin, service] as const];
    }),
  );
  const asked = new Set(approvalServices.values());
  const servers = workloads.flatMap((workload) => {
    const server = join(workload, objects, plugins, rootNamespace);
    // The approval service of MCP servers may be called one, and is none.
    const services = server.services.filter((service) => !asked.has(service));
    const isCalledMcp = services.length === server.services.length;
    return server.guards.length > 0 || looksLikeMcp(workload, services, isCalledMcp) ? [server] : [];
  });
  return { objects, workloads, servers, plugins, approvalServices, meshes, roles, rootNamespace, judge };
}

/** The Service that a guard asks for approvals; undefined when it asks none, or none of the input. */
function approvalServiceOf({ policy }: Plugin, objects: readonly KubeObject[]): KubeObject | undefined {
  const place = placeOfCluster(text(get(policy, "approval", "service", "cluster")));
  if (place === undefined || get(policy, "approval", "mode") !== "required") return undefined;
  return objects.find(
    ({ kind, name, namespace }) => kind === "Service" && name === place.app && namespace === place.namespace,
  );
}

/** A workload with what concerns it, as of a server, though it may be none. */
export function joined(workload: Workload, { objects, plugins, rootNamespace }: World): Server {
  return join(workload, objects, plugins, rootNamespace);
}

function join(
  workload: Workload,
  objects: readonly KubeObject[],
  plugins: readonly Plugin[],
  rootNamespace: string,
): Server {
  const services = servicesOf(workload, objects);
  const { namespace } = workload.object;
  const namespaceObject = objects.find(({ kind, name }) => kind === "Namespace" && name === namespace);
  const waypoint = waypointOf(workload, services, namespaceObject, objects);
  const around = { ...workload, services, namespaceObject, waypoint };
  const selecting = plugins.filter((plugin) => selectsServer(plugin.object, around, rootNamespace));
  return {
    ...around,
    isAmbient: isAmbient(workload, namespaceObject),
    guards: selecting.filter(({ isGuard }) => isGuard),
    otherPlugins: selecting.filter(({ isGuard }) => !isGuard),
  };
}

const USE_WAYPOINT = "istio.io/use-waypoint";

function waypointOf(
  workload: Workload,
  services: readonly KubeObject[],
  namespaceObject: KubeObject | undefined,
  objects: readonly KubeObject[],
): Waypoint | undefined {
  // The label of the Service goes before that of the namespace.
  const labelled = [...services.map(({ labels }) => labels), workload.labels, namespaceObject?.labels ?? {}].find(
    (labels) => labels[USE_WAYPOINT] !== undefined,
  );
  const name = labelled?.[USE_WAYPOINT] ?? "none";
  if (name === "none" || name === "") return undefined;
  const namespace = labelled?.["istio.io/use-waypoint-namespace"] ?? workload.object.namespace;
  const gateway = objects.find((object) => isGateway(object) && object.name === name && object.namespace === namespace);
  return { name, namespace, gateway };
}

/** A Gateway of the Kubernetes Gateway API; Istio's own has the same kind. */
export function isGateway({ kind, apiVersion }: KubeObject): boolean {
  return kind === "Gateway" && apiVersion.startsWith("gateway.networking.k8s.io/");
}

function isAmbient({ labels }: Workload, namespaceObject: KubeObject | undefined): boolean {
  const mode = labels["istio.io/dataplane-mode"] ?? namespaceObject?.labels["istio.io/dataplane-mode"];
  return mode === "ambient";
}

type Around = Pick<Server, "object" | "labels" | "services" | "waypoint">;

/**
 * Whether a policy of Istio (`selector` or `targetRefs` in its spec) holds for a server: by its labels, or by a Service or waypoint in front of it.
 * Without both it holds for the whole namespace, in the root namespace for the mesh.
 */
export function selectsServer(policy: KubeObject, server: Around, rootNamespace: string): boolean {
  const targets = targetsOf(policy);
  if (targets.length > 0) return targets.some((target) => hitsServer(target, policy, server, rootNamespace));
  if (policy.namespace !== server.object.namespace && policy.namespace !== rootNamespace) return false;
  return matchesLabels(get(policy.value, "spec", "selector", "matchLabels"), server.labels);
}

/** The references of `targetRefs`, and of the older `targetRef`. */
export function targetsOf({ value }: KubeObject): readonly { kind: string; name: string; namespace: string }[] {
  const single = get(value, "spec", "targetRef");
  return [...list(get(value, "spec", "targetRefs")), ...(single === undefined ? [] : [single])].map((target) => ({
    kind: text(get(target, "kind")),
    name: text(get(target, "name")),
    namespace: text(get(target, "namespace")),
  }));
}

/** A Service or waypoint counts only when traffic to the server goes through a waypoint at all. */
function hitsServer(
  target: { kind: string; name: string },
  policy: KubeObject,
  { services, waypoint }: Around,
  rootNamespace: string,
): boolean {
  if (waypoint === undefined) return false;
  if (target.kind === "Service")
    return services.some(({ name, namespace }) => name === target.name && namespace === policy.namespace);
  if (target.kind === "Gateway") return waypoint.name === target.name && waypoint.namespace === policy.namespace;
  return target.kind === "GatewayClass" && policy.namespace === rootNamespace && target.name === "istio-waypoint";
}

/** Whether a policy is attached to Services or Gateways instead of pods. */
export function hasTargets(object: KubeObject): boolean {
  return targetsOf(object).length > 0;
}

/** Whether the chain of filters runs `other` behind `guard`: a later phase, or a lower priority in the same one. */
export function runsBehind(other: Plugin, guard: Plugin): boolean {
  const [phase, guardPhase] = [phaseRank(other), phaseRank(guard)];
  return phase === guardPhase ? priority(other) <= priority(guard) : phase > guardPhase;
}

/** Whether a plugin is inserted where requests come in. */
export function isInbound(plugin: Plugin): boolean {
  const matches = matchesOf(plugin);
  return matches.length === 0 || matches.some(({ mode }) => mode !== "CLIENT");
}
