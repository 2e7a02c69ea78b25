// Makes deploy/schemas from what Istio, the Gateway API and Kubernetes publish. All three come as Go modules, of the versions that
// test/mesh/istio/go.mod names, and Kubernetes of the newest version that this Istio supports; Go checks their sums. What is taken out: descriptions,
// which are most of the text; `status`, which no manifest has; Kubernetes' own extensions, CEL rules among them. What is put in: unknown fields are
// refused wherever the fields are known.
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { parseAllDocuments } from "yaml";
import { projectPath } from "../../src/project.ts";

/** Istio 1.31 supports Kubernetes 1.32 to 1.36. */
const KUBERNETES = "k8s.io/kubernetes@v1.36.3";

/** The kinds of Kubernetes: group and version as in the API description, and the definition there. */
const KUBERNETES_KINDS: readonly { apiVersion: string; kind: string; definition: string }[] = [
  { apiVersion: "v1", kind: "ConfigMap", definition: "io.k8s.api.core.v1.ConfigMap" },
  { apiVersion: "v1", kind: "Namespace", definition: "io.k8s.api.core.v1.Namespace" },
  { apiVersion: "v1", kind: "Pod", definition: "io.k8s.api.core.v1.Pod" },
  { apiVersion: "v1", kind: "Service", definition: "io.k8s.api.core.v1.Service" },
  { apiVersion: "v1", kind: "ServiceAccount", definition: "io.k8s.api.core.v1.ServiceAccount" },
  { apiVersion: "apps/v1", kind: "Deployment", definition: "io.k8s.api.apps.v1.Deployment" },
  {
    apiVersion: "admissionregistration.k8s.io/v1",
    kind: "ValidatingAdmissionPolicy",
    definition: "io.k8s.api.admissionregistration.v1.ValidatingAdmissionPolicy",
  },
  {
    apiVersion: "admissionregistration.k8s.io/v1",
    kind: "ValidatingAdmissionPolicyBinding",
    definition: "io.k8s.api.admissionregistration.v1.ValidatingAdmissionPolicyBinding",
  },
  {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    definition: "io.k8s.api.networking.v1.NetworkPolicy",
  },
  { apiVersion: "policy/v1", kind: "PodDisruptionBudget", definition: "io.k8s.api.policy.v1.PodDisruptionBudget" },
];

/** The kinds of custom resources, of Istio and of the Gateway API: the versions that we use and those of the standard's draft. */
const CUSTOM_KINDS: ReadonlySet<string> = new Set([
  "extensions.istio.io/v1alpha1 TrafficExtension",
  "extensions.istio.io/v1alpha1 WasmPlugin",
  "gateway.networking.k8s.io/v1 Gateway",
  "networking.istio.io/v1 DestinationRule",
  "networking.istio.io/v1 ServiceEntry",
  "networking.istio.io/v1 Sidecar",
  "networking.istio.io/v1alpha3 EnvoyFilter",
  "networking.istio.io/v1alpha3 ServiceEntry",
  "networking.istio.io/v1beta1 Sidecar",
  "security.istio.io/v1 AuthorizationPolicy",
  "security.istio.io/v1 PeerAuthentication",
  "security.istio.io/v1 RequestAuthentication",
  "security.istio.io/v1beta1 AuthorizationPolicy",
  "telemetry.istio.io/v1 Telemetry",
]);

const OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
const DEFINITIONS = "definitions.json";
/** Members of a schema that restrict nothing, or nothing that JSON Schema knows. */
const LEFT_OUT = new Set(["description", "format", "default", "example", "nullable", "externalDocs", "title"]);

/** The files below deploy/schemas, sorted. */
export const SCHEMA_FILES: readonly string[] = [
  DEFINITIONS,
  ...KUBERNETES_KINDS.map(({ apiVersion, kind }) => schemaFile(apiVersion, kind)),
  ...[...CUSTOM_KINDS].map((name) => schemaFile(...(name.split(" ") as [string, string]))),
].sort();

type Schema = Record<string, unknown>;

/** The schema files: file name below deploy/schemas to content. */
export async function generateSchemas(): Promise<ReadonlyMap<string, Schema>> {
  const files = new Map<string, Schema>();
  const istio = await goModule("istio.io/istio");
  const gateway = await goModule("sigs.k8s.io/gateway-api");
  const crds = [
    path.join(istio, "manifests", "charts", "base", "files", "crd-all.gen.yaml"),
    path.join(gateway, "config", "crd", "standard", "gateway.networking.k8s.io_gateways.yaml"),
  ];
  for (const file of crds) {
    for (const { apiVersion, kind, schema } of customResources(await readFile(file, "utf8"))) {
      if (CUSTOM_KINDS.has(`${apiVersion} ${kind}`)) files.set(schemaFile(apiVersion, kind), schema);
    }
  }
  const kubernetes = await goModule(KUBERNETES);
  const text = await readFile(path.join(kubernetes, "api", "openapi-spec", "swagger.json"), "utf8");
  const { definitions } = JSON.parse(text) as { definitions: Record<string, Schema> };
  const used = new Set<string>();
  for (const { apiVersion, kind, definition } of KUBERNETES_KINDS) {
    const found = definitions[definition];
    if (found === undefined) throw new Error(`${KUBERNETES} has no ${definition}`);
    const needsSpec = specOf(found, definitions)?.required !== undefined;
    files.set(schemaFile(apiVersion, kind), whole(strict(found), apiVersion, kind, needsSpec ? ["spec"] : []));
    collect(withoutStatus(found), definitions, used);
  }
  collect({ $ref: `#/definitions/${OBJECT_META}` }, definitions, used);
  const defs = [...used].sort().map((name) => [name, strict(definitions[name] ?? {}, name)] as const);
  files.set(DEFINITIONS, { $defs: Object.fromEntries(defs) });
  const missing = SCHEMA_FILES.filter((file) => !files.has(file));
  if (missing.length > 0) throw new Error(`not in the sources: ${missing.join(", ")}`);
  return files;
}

/** Where the schema of a kind lies, below deploy/schemas. */
export function schemaFile(apiVersion: string, kind: string): string {
  const [group = "", version] = apiVersion.includes("/") ? apiVersion.split("/") : ["core", apiVersion];
  return `${group}/${kind.toLowerCase()}_${version}.json`;
}

interface CustomResource {
  apiVersion: string;
  kind: string;
  schema: Schema;
}

function customResources(text: string): CustomResource[] {
  interface Definition {
    kind?: string;
    spec: {
      group: string;
      names: { kind: string };
      versions: { name: string; schema: { openAPIV3Schema: Schema } }[];
    };
  }
  return parseAllDocuments(text).flatMap((document) => {
    const definition = document.toJS() as Definition | null;
    if (definition?.kind !== "CustomResourceDefinition") return [];
    const { group, names, versions } = definition.spec;
    return versions.map(({ name, schema }) => {
      const apiVersion = `${group}/${name}`;
      const own = strict(schema.openAPIV3Schema);
      return { apiVersion, kind: names.kind, schema: whole(own, apiVersion, names.kind, []) };
    });
  });
}

/** The schema of an object of its own: what its kind is, and a name. */
function whole(schema: Schema, apiVersion: string, kind: string, required: readonly string[]): Schema {
  const { status: _, ...properties } = schema.properties as Schema;
  const own = (schema.required as string[] | undefined) ?? [];
  return {
    ...schema,
    $schema: "https://json-schema.org/draft/2020-12/schema",
    additionalProperties: false,
    required: [...new Set(["apiVersion", "kind", "metadata", ...required, ...own])],
    properties: {
      ...properties,
      apiVersion: { const: apiVersion },
      kind: { const: kind },
      metadata: { $ref: `../${DEFINITIONS}#/$defs/${OBJECT_META}`, required: ["name"] },
    },
  };
}

/** The schema without what restricts nothing, and closed where its members are known. `name` is that of a shared definition. */
function strict(schema: Schema, name?: string): Schema {
  // The API takes both for these; the description of one says string alone, and of the other too.
  if (name?.endsWith(".IntOrString") || schema["x-kubernetes-int-or-string"]) return { type: ["string", "integer"] };
  if (name?.endsWith(".Quantity")) return { type: ["string", "number"] };
  const result: Schema = {};
  for (const [key, value] of Object.entries(schema)) {
    if (LEFT_OUT.has(key) || key.startsWith("x-kubernetes-")) continue;
    result[key] = value;
  }
  if (typeof schema.$ref === "string") {
    const definition = schema.$ref.replace("#/definitions/", "");
    result.$ref = name === undefined ? `../${DEFINITIONS}#/$defs/${definition}` : `#/$defs/${definition}`;
  }
  if (schema.properties !== undefined) {
    const members = Object.entries(schema.properties as Record<string, Schema>);
    result.properties = Object.fromEntries(members.map(([key, value]) => [key, strict(value, name)]));
    if (!schema["x-kubernetes-preserve-unknown-fields"]) result.additionalProperties ??= false;
  }
  for (const key of ["items", "additionalProperties"]) {
    const inner = schema[key];
    if (typeof inner === "object" && inner !== null) result[key] = strict(inner as Schema, name);
  }
  return result;
}

function specOf(schema: Schema, definitions: Record<string, Schema>): Schema | undefined {
  const spec = (schema.properties as Record<string, Schema>).spec;
  return typeof spec?.$ref === "string" ? definitions[spec.$ref.replace("#/definitions/", "")] : undefined;
}

function withoutStatus(schema: Schema): Schema {
  const { status: _, ...properties } = schema.properties as Schema;
  return { ...schema, properties };
}

/** Adds the names of the definitions that a schema refers to, and of those that they refer to. */
function collect(schema: unknown, definitions: Record<string, Schema>, used: Set<string>): void {
  for (const match of JSON.stringify(schema).matchAll(/"#\/definitions\/([^"]+)"/g)) {
    const name = match[1] ?? "";
    if (used.has(name)) continue;
    used.add(name);
    collect(definitions[name], definitions, used);
  }
}

/** The folder of a Go module, of the version that test/mesh/istio uses or of the one behind `@`. */
async function goModule(module: string): Promise<string> {
  const { stdout } = await promisify(execFile)("go", ["mod", "download", "-json", module], {
    cwd: projectPath("test", "mesh", "istio"),
    env: { ...process.env, GOWORK: "off" },
  });
  return (JSON.parse(stdout) as { Dir: string }).Dir;
}
