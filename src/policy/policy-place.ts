// Where Istio's resources have the policy.

/** By the `kind` of the resource: the members from the root to the pluginConfig. */
const PLACES: Readonly<Record<string, readonly string[]>> = {
  WasmPlugin: ["spec", "pluginConfig"],
  TrafficExtension: ["spec", "wasm", "pluginConfig"],
};

/** The members that lead to the policy of a resource of this kind; undefined for a kind that has none. */
export function policyPlace(kind: unknown): readonly string[] | undefined {
  return typeof kind === "string" && Object.hasOwn(PLACES, kind) ? PLACES[kind] : undefined;
}
