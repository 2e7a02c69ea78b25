// Workloads: objects that make pods, and which of them are MCP servers.
import { get, type KubeObject, list, record, strings, text } from "./kube-object.ts";
import { matchesLabels } from "./selector.ts";
import type { Path } from "./yaml-text.ts";

/** An object that makes pods. */
export interface Workload {
  object: KubeObject;
  /** Of its pods. */
  labels: Readonly<Record<string, string>>;
  annotations: Readonly<Record<string, string>>;
  /** Where its pods' metadata and spec stand in the object. */
  podPath: Path;
  pod: Readonly<Record<string, unknown>>;
  serviceAccount: string;
  containers: readonly Container[];
}

/** A container, or an init container. */
export interface Container {
  name: string;
  value: Readonly<Record<string, unknown>>;
  path: Path;
  isInit: boolean;
}

/** The name that Istio's injection gives to the proxy's container. One of this name in a manifest is what injection completes. */
export const PROXY_CONTAINER = "istio-proxy";

const POD_PATHS: Readonly<Record<string, Path>> = {
  Pod: [],
  Deployment: ["spec", "template"],
  StatefulSet: ["spec", "template"],
  DaemonSet: ["spec", "template"],
  ReplicaSet: ["spec", "template"],
  ReplicationController: ["spec", "template"],
  Job: ["spec", "template"],
  CronJob: ["spec", "jobTemplate", "spec", "template"],
  Rollout: ["spec", "template"],
};

/** The workloads among objects. */
export function workloadsOf(objects: readonly KubeObject[]): Workload[] {
  return objects.flatMap((object) => {
    const podPath = Object.hasOwn(POD_PATHS, object.kind) ? POD_PATHS[object.kind] : undefined;
    if (podPath === undefined) return [];
    const template = record(get(object.value, ...podPath));
    const pod = record(template.spec);
    const metadata = record(template.metadata);
    const specPath = [...podPath, "spec"];
    return [
      {
        object,
        labels: strings(metadata.labels),
        annotations: strings(metadata.annotations),
        podPath,
        pod,
        serviceAccount: text(pod.serviceAccountName) || text(pod.serviceAccount) || "default",
        containers: [...containersOf(pod, specPath, "containers"), ...containersOf(pod, specPath, "initContainers")],
      },
    ];
  });
}

function containersOf(pod: Readonly<Record<string, unknown>>, specPath: Path, member: string): Container[] {
  return list(pod[member]).map((value, index) => ({
    name: text(get(value, "name")),
    value: record(value),
    path: [...specPath, member, index],
    isInit: member === "initContainers",
  }));
}

/** The Services that send to a workload's pods. */
export function servicesOf(workload: Workload, objects: readonly KubeObject[]): KubeObject[] {
  return objects.filter(({ kind, namespace, value }) => {
    if (kind !== "Service" || namespace !== workload.object.namespace) return false;
    const selector = get(value, "spec", "selector");
    return Object.keys(record(selector)).length > 0 && matchesLabels(selector, workload.labels);
  });
}

/**
 * Whether a workload calls itself an MCP server: by its component label, by the name of a port, by its own name or `app` label.
 * @param byName whether its own name and `app` label count.
 */
export function looksLikeMcp(workload: Workload, services: readonly KubeObject[], byName = true): boolean {
  const { object, labels, containers } = workload;
  if (
    labels["app.kubernetes.io/component"] === "mcp-server" ||
    object.labels["app.kubernetes.io/component"] === "mcp-server"
  )
    return true;
  const portNames = [
    ...containers.flatMap(({ value }) => list(value.ports)),
    ...services.flatMap(({ value }) => list(get(value, "spec", "ports"))),
  ].map((port) => text(get(port, "name")));
  if (portNames.some((name) => /mcp/i.test(name))) return true;
  if (!byName) return false;
  return [object.name, labels.app, object.labels.app, labels["app.kubernetes.io/name"]].some(hasMcpWord);
}

/** `mcp` as a word of a name: `github-mcp-server`, not `rmcpd`. */
function hasMcpWord(name: string | undefined): boolean {
  return (
    name
      ?.toLowerCase()
      .split(/[^a-z0-9]+/)
      .includes("mcp") === true
  );
}
