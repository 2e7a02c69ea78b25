// The manifests of this tree, document by document.
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { parseAllDocuments } from "yaml";
import { projectPath } from "../../src/project.ts";

/** A Kubernetes object as far as the tests look into every one. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: Record<string, string> };
  readonly spec: Record<string, unknown>;
}

/** The objects of a YAML text, in order. */
export function manifestsOf(text: string): Manifest[] {
  return parseAllDocuments(text).map((document) => {
    const [error] = document.errors;
    if (error !== undefined) throw error;
    return document.toJS() as Manifest;
  });
}

/** The YAML files in a folder of the project with Kubernetes objects in them, as paths from the project's root. */
export function manifestFiles(...folder: string[]): string[] {
  return readdirSync(projectPath(...folder))
    .filter((name) => name.endsWith(".yaml") && name !== "kustomization.yaml")
    .map((name) => path.posix.join(...folder, name));
}

/** The objects of a file of the project. */
export function readManifests(file: string): Manifest[] {
  return manifestsOf(readFileSync(projectPath(file), "utf8"));
}

/** The one object of this kind, and name. */
export function theOne(manifests: readonly Manifest[], kind: string, name?: string): Manifest {
  const found = manifests.filter((one) => one.kind === kind && (name === undefined || one.metadata.name === name));
  if (found.length !== 1 || found[0] === undefined) {
    throw new Error(`${found.length} objects are ${kind} ${name ?? ""}`);
  }
  return found[0];
}
