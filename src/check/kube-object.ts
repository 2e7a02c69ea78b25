// Kubernetes objects as they stand in files.
import type { Path, Place, YamlDocument } from "./yaml-text.ts";

/** One object of a manifest. */
export interface KubeObject {
  apiVersion: string;
  kind: string;
  name: string;
  /** `default` where the manifest has none; empty for a Namespace and others that stand in none. */
  namespace: string;
  labels: Readonly<Record<string, string>>;
  annotations: Readonly<Record<string, string>>;
  value: Readonly<Record<string, unknown>>;
  /** Where the member at a path of the object stands. */
  at(path?: Path): Place;
}

/** Kinds that stand in no namespace, of those that are looked at. */
const CLUSTER_KINDS = new Set(["Namespace", "ClusterRole", "ClusterRoleBinding", "GatewayClass"]);

/** A value as an object; an empty one for anything else. */
export function record(value: unknown): Readonly<Record<string, unknown>> {
  return isRecord(value) ? value : {};
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A value as a list; an empty one for anything else. */
export function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** A value as text; an empty one for what is none. */
export function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** The texts of a list. */
export function texts(value: unknown): string[] {
  return list(value).filter((item) => typeof item === "string");
}

/** The member at a path. */
export function get(value: unknown, ...path: Path): unknown {
  let inner = value;
  for (const key of path) {
    if (typeof inner !== "object" || inner === null || !Object.hasOwn(inner, key)) return undefined;
    inner = (inner as Record<string | number, unknown>)[key];
  }
  return inner;
}

/** The objects of a document: itself, or the items of a List. None when it is no Kubernetes object. */
export function objectsOf(document: YamlDocument): KubeObject[] {
  return collect(document.value, document, []);
}

function collect(value: unknown, document: YamlDocument, path: Path): KubeObject[] {
  if (!isRecord(value)) return [];
  const [kind, apiVersion] = [text(value.kind), text(value.apiVersion)];
  if (kind === "" || apiVersion === "") return [];
  if (kind.endsWith("List") && Array.isArray(value.items)) {
    return value.items.flatMap((item, index) => collect(item, document, [...path, "items", index]));
  }
  const metadata = record(value.metadata);
  return [
    {
      apiVersion,
      kind,
      name: text(metadata.name) || text(metadata.generateName),
      namespace: CLUSTER_KINDS.has(kind) ? "" : text(metadata.namespace) || "default",
      labels: strings(metadata.labels),
      annotations: strings(metadata.annotations),
      value,
      at: (inner = []) => document.at([...path, ...inner]),
    },
  ];
}

/** Labels and annotations; a value that is no text is none that Kubernetes takes. */
export function strings(value: unknown): Record<string, string> {
  return Object.fromEntries(
    Object.entries(record(value)).filter((entry): entry is [string, string] => typeof entry[1] === "string"),
  );
}

/** `Deployment ai-agents/github-mcp-server`. */
export function objectName({ kind, namespace, name }: Pick<KubeObject, "kind" | "namespace" | "name">): string {
  return namespace === "" ? `${kind} ${name}` : `${kind} ${namespace}/${name}`;
}
