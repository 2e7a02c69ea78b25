// What was read, sorted: Kubernetes objects, roles, and which of the files can be in one cluster together.
import { GuardError } from "../error.ts";
import type { HclBlock } from "./hcl.ts";
import { readHcl } from "./hcl.ts";
import { type KubeObject, objectName, objectsOf } from "./kube-object.ts";
import { HCL_LENGTHS_MAX, OBJECTS_MAX } from "./limits.ts";
import { type MeshConfig, meshConfigOf, meshConfigsOf } from "./mesh-config.ts";
import type { Roles } from "./role.ts";
import { rolesOf } from "./roles-of.ts";
import type { Source, Sources } from "./sources.ts";
import { isPlan, type Resource, resourcesOfHcl, resourcesOfPlan } from "./terraform.ts";
import { readYaml } from "./yaml-text.ts";

/** Objects that can be in one cluster, and the roles. */
export interface Deployment {
  /** What it is called; empty when there is only one. */
  name: string;
  objects: readonly KubeObject[];
  /** Undefined when the input has no Terraform. */
  roles: Roles | undefined;
  meshes: readonly MeshConfig[];
}

/** All of the input. */
export interface Input {
  deployments: readonly Deployment[];
  /** What was found and not used, for people. */
  notices: readonly string[];
}

/**
 * Sorts sources. Files that define the same object cannot be in one cluster as they stand: each of them is a deployment of its own, together with the
 * files that define nothing twice.
 * @throws GuardError `ERR_USAGE` for texts that cannot be read, for an object that stands twice in one file, and without any object.
 */
export async function readInput({ sources, kustomize }: Sources): Promise<Input> {
  const files: { file: string; objects: KubeObject[] }[] = [];
  const meshes: MeshConfig[] = [];
  const hcl: HclBlock[] = [];
  const planned: Resource[] = [];
  let hasPlan = false;
  const other: string[] = [];
  let count = 0;
  let letters = 0;
  for (const source of sources) {
    const { file, text } = source;
    const isHcl = /\.tf(?:vars)?$/.test(file);
    const plan = isHcl ? undefined : planOf(source);
    if (isHcl) {
      letters += text.length;
      if (letters > HCL_LENGTHS_MAX) {
        throw new GuardError(
          "ERR_USAGE",
          `${file}: found more than ${HCL_LENGTHS_MAX} letters in all Terraform files together, expected fewer`,
        );
      }
      hcl.push(await readHcl(text, file));
    } else if (plan !== undefined) {
      hasPlan = true;
      planned.push(...resourcesOfPlan(plan, text, file));
    } else {
      const documents = readYaml(text, file);
      const objects = documents.flatMap(objectsOf);
      checkTwice(objects);
      count += objects.length;
      if (count > OBJECTS_MAX)
        throw new GuardError("ERR_USAGE", `${file}: found more than ${OBJECTS_MAX} Kubernetes objects, expected fewer`);
      const values = documents.flatMap((document) => meshConfigOf(document) ?? []);
      meshes.push(...values);
      if (objects.length > 0) files.push({ file, objects });
      else if (values.length > 0) continue;
      else if (source.isNamed)
        throw new GuardError("ERR_USAGE", `${file}: found no Kubernetes object, expected manifests or Terraform`);
      else other.push(file);
    }
  }
  const notices = [
    ...(kustomize.length > 0
      ? [`sources of Kustomize, not looked at: ${named(kustomize, "folders")}; hand in what it renders`]
      : []),
    ...(other.length > 0 ? [`without a Kubernetes object: ${named(other, "files")}`] : []),
  ];
  if (files.length === 0) {
    throw new GuardError(
      "ERR_USAGE",
      ["found no Kubernetes object, expected rendered manifests", ...notices].join("; "),
    );
  }
  const roles = hcl.length > 0 || hasPlan ? rolesOf([...resourcesOfHcl(hcl), ...planned]) : undefined;
  const deployments = split(files).map((part) => ({
    ...part,
    roles,
    meshes: [...meshConfigsOf(part.objects), ...meshes],
  }));
  return { deployments, notices };
}

/** A plan in JSON. What is no JSON is read as YAML, which has lines. */
function planOf({ file, text }: Source): Record<string, unknown> | undefined {
  if (!/\.json$|^stdin$/.test(file) || !/^\s*\{/.test(text) || !text.includes('"format_version"')) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return isPlan(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function identity(object: KubeObject): string {
  return `${object.apiVersion.split("/")[0]} ${objectName(object)}`;
}

function checkTwice(objects: readonly KubeObject[]): void {
  const seen = new Map<string, KubeObject>();
  for (const object of objects) {
    const before = seen.get(identity(object));
    if (before !== undefined) {
      const { file, line, column } = object.at();
      throw new GuardError(
        "ERR_USAGE",
        `${file}:${line}:${column}: found ${objectName(object)} twice, first in line ${before.at().line}`,
      );
    }
    seen.set(identity(object), object);
  }
}

function split(files: readonly { file: string; objects: KubeObject[] }[]): { name: string; objects: KubeObject[] }[] {
  const holders = new Map<string, Set<string>>();
  for (const { file, objects } of files) {
    for (const object of objects) holders.set(identity(object), (holders.get(identity(object)) ?? new Set()).add(file));
  }
  const rivals = new Set([...holders.values()].filter(({ size }) => size > 1).flatMap((names) => [...names]));
  const common = files.filter(({ file }) => !rivals.has(file)).flatMap(({ objects }) => objects);
  if (rivals.size === 0) return [{ name: "", objects: common }];
  return files
    .filter(({ file }) => rivals.has(file))
    .map(({ file, objects }) => ({ name: file, objects: [...objects, ...common] }));
}

function named(places: readonly string[], kind: string): string {
  return places.length === 1 ? String(places[0]) : `${places.length} ${kind}, the first is ${places[0]}`;
}
