// What an API server makes of deploy/istio/admission: which policy is asked about a request, and what it answers. The expressions are evaluated by another
// implementation of CEL than Kubernetes' own; selectors and match conditions are done here as the API describes them.
import { Environment } from "@marcbachmann/cel-js";
import { type Manifest, manifestFiles, readManifests } from "./manifest-files.ts";

/** A request to the API. */
export interface AdmissionRequest {
  readonly operation: "CREATE" | "UPDATE" | "DELETE";
  /** As in a resource rule: `pods`, `pods/ephemeralcontainers`. */
  readonly resource: string;
  readonly object?: object;
  readonly oldObject?: object;
  /** The namespace of the object; absent for a namespace itself. */
  readonly namespace?: { readonly labels: Record<string, string>; readonly isDeleted?: boolean };
}

interface Rule {
  readonly operations: readonly string[];
  readonly resources: readonly string[];
}

interface Policy {
  readonly failurePolicy: string;
  readonly matchConstraints: { readonly resourceRules: readonly Rule[] };
  readonly matchConditions?: readonly { readonly name: string; readonly expression: string }[];
  readonly variables?: readonly { readonly name: string; readonly expression: string }[];
  readonly validations: readonly { readonly expression: string; readonly message: string }[];
}

interface Binding {
  readonly policyName: string;
  readonly validationActions: readonly string[];
  readonly matchResources?: { readonly namespaceSelector: Selector };
}

interface Selector {
  readonly matchLabels?: Record<string, string>;
  readonly matchExpressions?: readonly { key: string; operator: string; values?: readonly string[] }[];
}

const manifests = manifestFiles("deploy", "istio", "admission").flatMap(readManifests);
const specs = <T>(kind: string): { name: string; spec: T }[] =>
  manifests.filter((one) => one.kind === kind).map((one) => ({ name: one.metadata.name, spec: specOf<T>(one) }));

/** The policies, by name. */
export const policies = new Map(specs<Policy>("ValidatingAdmissionPolicy").map(({ name, spec }) => [name, spec]));
export const bindings = specs<Binding>("ValidatingAdmissionPolicyBinding").map(({ spec }) => spec);

/** What is not of CEL's own types is dynamic, as it is for custom resources. */
const cel = new Environment({ unlistedVariablesAreDyn: true });

/** Each validation that denies the request, as `policy: number of the validation`. An expression that fails denies too. */
export function denials(request: AdmissionRequest): string[] {
  return bindings.flatMap(({ policyName, validationActions, matchResources }) => {
    const policy = policies.get(policyName);
    if (policy === undefined) throw new Error(`a binding names ${policyName}, which is not there`);
    if (!validationActions.includes("Deny") || policy.failurePolicy !== "Fail") return [];
    const isAsked = policy.matchConstraints.resourceRules.some(
      (rule) => rule.operations.includes(request.operation) && rule.resources.includes(request.resource),
    );
    if (!isAsked || !selects(matchResources?.namespaceSelector, request.namespace?.labels)) return [];
    const scope = scopeOf(request);
    // Match conditions know no namespace. One that is false keeps the policy out of it; else one that fails denies, with failurePolicy: Fail.
    const { namespaceObject: _, ...known } = scope;
    const conditions = (policy.matchConditions ?? []).map(({ name, expression }) => ({
      name,
      verdict: evaluate(expression, known),
    }));
    if (conditions.some(({ verdict }) => verdict === false)) return [];
    const broken = conditions.find(({ verdict }) => verdict !== true);
    if (broken !== undefined) return [`${policyName}: ${broken.name}`];
    const variables: Record<string, unknown> = {};
    for (const { name, expression } of policy.variables ?? []) {
      variables[name] = evaluate(expression, { ...scope, variables });
    }
    return policy.validations.flatMap(({ expression }, index) =>
      evaluate(expression, { ...scope, variables }) === true ? [] : [`${policyName}: ${index}`],
    );
  });
}

function scopeOf({ operation, object, oldObject, namespace }: AdmissionRequest): Record<string, unknown> {
  const metadata = { labels: namespace?.labels ?? {}, ...(namespace?.isDeleted && { deletionTimestamp: "now" }) };
  return {
    object: withIntegers(object ?? null),
    oldObject: withIntegers(oldObject ?? null),
    request: { operation },
    namespaceObject: { metadata },
  };
}

/** The value; an error is one value too, which is neither true nor false. */
function evaluate(expression: string, scope: Record<string, unknown>): unknown {
  try {
    return cel.evaluate(expression, scope);
  } catch (error) {
    return error;
  }
}

function selects(selector: Selector | undefined, labels: Record<string, string> = {}): boolean {
  const { matchLabels = {}, matchExpressions = [] } = selector ?? {};
  return (
    Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
    matchExpressions.every(({ key, operator, values = [] }) => {
      const value = labels[key];
      if (operator === "Exists") return value !== undefined;
      if (operator === "NotIn") return value === undefined || !values.includes(value);
      throw new Error(`no such operator here: ${operator}`);
    })
  );
}

/** Whole numbers as CEL has them. */
function withIntegers(value: unknown): unknown {
  if (typeof value === "number" && Number.isInteger(value)) return BigInt(value);
  if (Array.isArray(value)) return value.map(withIntegers);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, withIntegers(inner)]));
}

function specOf<T>({ spec }: Manifest): T {
  return spec as T;
}
