// Istio's mesh configuration: the ConfigMap `istio` of istio-system, an IstioOperator, or Helm values with `meshConfig`.
import { get, isRecord, type KubeObject, list, text } from "./kube-object.ts";
import { type Path, type Place, readYaml, type YamlDocument } from "./yaml-text.ts";

/** A mesh configuration. */
export interface MeshConfig {
  /** What it is called in messages. */
  name: string;
  value: Readonly<Record<string, unknown>>;
  at(path: Path): Place;
}

/** The mesh configurations among objects. A ConfigMap has it as a text in YAML; only the line of that text is known. */
export function meshConfigsOf(objects: readonly KubeObject[]): MeshConfig[] {
  return objects.flatMap((object) => {
    const { kind, name } = object;
    if (kind === "ConfigMap" && /^istio(?:-.+)?$/.test(name)) {
      const mesh = text(get(object.value, "data", "mesh"));
      if (mesh === "") return [];
      const place = object.at(["data", "mesh"]);
      const [document] = readYaml(mesh, `${place.file}:${place.line}: data.mesh`);
      return isRecord(document?.value) ? [{ name: `ConfigMap ${name}`, value: document.value, at: () => place }] : [];
    }
    const value = get(object.value, "spec", "meshConfig");
    if (kind !== "IstioOperator" || !isRecord(value)) return [];
    return [{ name: `IstioOperator ${name}`, value, at: (path) => object.at(["spec", "meshConfig", ...path]) }];
  });
}

/** The mesh configuration of Helm values; undefined when a document has none. */
export function meshConfigOf(document: YamlDocument): MeshConfig | undefined {
  const value = get(document.value, "meshConfig");
  if (!isRecord(value) || get(document.value, "kind") !== undefined) return undefined;
  return { name: "the Helm values", value, at: (path) => document.at(["meshConfig", ...path]) };
}

/** A provider of a mesh configuration. */
export function providerOf(mesh: MeshConfig, name: string): { value: unknown; path: Path } | undefined {
  const providers = list(mesh.value.extensionProviders);
  const index = providers.findIndex((provider) => get(provider, "name") === name);
  return index < 0 ? undefined : { value: providers[index], path: ["extensionProviders", index] };
}
