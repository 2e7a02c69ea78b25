// The manifests that a test hands to istiod: the rendered overlays, with what a test changes in them.
import { readFileSync, writeFileSync } from "node:fs";
import { parseAllDocuments } from "yaml";
import { projectPath } from "../../../src/project.ts";

/** An object as it stands in a manifest. Its members are what the manifest says, so a test takes them as it finds them. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; namespace?: string };
  // biome-ignore lint/suspicious/noExplicitAny: each kind has another shape, and the schema lane checks them.
  spec?: any;
  [member: string]: unknown;
}

/** One change of an object: what is done to it, or that it goes. */
export interface Change {
  readonly kind: string;
  readonly name: string;
  readonly edit: "remove" | ((manifest: Manifest) => void);
}

/** The objects of a file, by its path below the project. */
export function manifestsIn(...path: readonly string[]): Manifest[] {
  const documents = parseAllDocuments(readFileSync(projectPath(...path), "utf8"));
  if (!Array.isArray(documents)) throw new Error(`${path.join("/")}: no document in it`);
  return documents.flatMap((document) => {
    const [error] = document.errors;
    if (error !== undefined) throw error;
    const manifest = document.toJS() as Manifest | null;
    return manifest === null ? [] : [manifest];
  });
}

/** What an overlay of deploy/istio gives. */
export function overlay(name: string): Manifest[] {
  return manifestsIn("deploy", "istio", "rendered", `${name}.yaml`);
}

/**
 * A copy of the manifests with these changes.
 * @throws Error when a change finds none or several of its object, or leaves it as it was: such a test would show nothing.
 */
export function changed(manifests: readonly Manifest[], changes: readonly Change[]): Manifest[] {
  let result = structuredClone(manifests) as Manifest[];
  for (const { kind, name, edit } of changes) {
    const found = result.filter((manifest) => manifest.kind === kind && manifest.metadata.name === name);
    const [manifest] = found;
    if (manifest === undefined || found.length > 1) throw new Error(`${found.length} objects are ${kind} ${name}`);
    if (edit === "remove") {
      result = result.filter((other) => other !== manifest);
      continue;
    }
    const before = JSON.stringify(manifest);
    edit(manifest);
    if (JSON.stringify(manifest) === before) throw new Error(`the change of ${kind} ${name} changes nothing`);
  }
  return result;
}

/** Writes manifests into one file; JSON is YAML. */
export function writeManifests(file: string, manifests: readonly Manifest[]): void {
  writeFileSync(file, manifests.map((manifest) => `${JSON.stringify(manifest, null, 1)}\n`).join("---\n"));
}

/** A copy in which a Service has this address, which Kubernetes would choose. */
export function withClusterAddress(manifests: readonly Manifest[], service: string, address: string): Manifest[] {
  return changed(manifests, [{ kind: "Service", name: service, edit: ({ spec }) => (spec.clusterIP = address) }]);
}
