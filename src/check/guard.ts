// Guards: WasmPlugins and TrafficExtensions that run the filter, and other plugins beside them.
import { get, isRecord, type KubeObject, list, record, text, texts } from "./kube-object.ts";
import type { Path } from "./yaml-text.ts";

/** A Wasm plugin of Istio, in either of its forms. */
export interface Plugin {
  object: KubeObject;
  /** Where the object has the module: its `spec`, or `spec.wasm` in a TrafficExtension. */
  wasmPath: Path;
  wasm: Readonly<Record<string, unknown>>;
  spec: Readonly<Record<string, unknown>>;
  /** Whether it is the filter of this project. */
  isGuard: boolean;
  /** Its `pluginConfig`; undefined without one. */
  policy: Readonly<Record<string, unknown>> | undefined;
}

/** The plugins among objects. */
export function pluginsOf(objects: readonly KubeObject[]): Plugin[] {
  return objects.flatMap((object) => {
    const isExtension = object.kind === "TrafficExtension";
    if ((!isExtension && object.kind !== "WasmPlugin") || !object.apiVersion.startsWith("extensions.istio.io/"))
      return [];
    const spec = record(object.value.spec);
    const wasmPath: Path = isExtension ? ["spec", "wasm"] : ["spec"];
    const wasm = record(get(object.value, ...wasmPath));
    // A TrafficExtension with a script in Lua.
    if (isExtension && !isRecord(spec.wasm)) return [];
    const policy = isRecord(wasm.pluginConfig) ? wasm.pluginConfig : undefined;
    return [{ object, wasmPath, wasm, spec, policy, isGuard: isGuard(object, wasm, policy) }];
  });
}

/** By its policy, or by a name that says so: a guard without a policy is one that needs a finding. */
function isGuard(
  object: KubeObject,
  wasm: Readonly<Record<string, unknown>>,
  policy: Readonly<Record<string, unknown>> | undefined,
): boolean {
  if (policy !== undefined && Object.hasOwn(policy, "tool_allowlist")) return true;
  return [object.name, text(wasm.url), text(wasm.pluginName)].some((name) => /mcp-(?:tool-)?guard/.test(name));
}

/** The rank of a phase in the chain of filters: RBAC stands between `AUTHZ` and `STATS`. */
export function phaseRank(plugin: Plugin): number {
  const rank = ["AUTHN", "AUTHZ", "STATS"].indexOf(text(plugin.spec.phase));
  return rank < 0 ? 3 : rank;
}

/** The priority of a plugin within its phase; without one it comes last. */
export function priority(plugin: Plugin): number {
  const { priority: value } = plugin.spec;
  return typeof value === "number" ? value : Number.NEGATIVE_INFINITY;
}

/** The entries of `match`: where the filter is inserted. */
export function matchesOf(plugin: Plugin): readonly { mode: string; ports: readonly number[]; index: number }[] {
  return list(plugin.spec.match).map((entry, index) => ({
    mode: text(get(entry, "mode")) || "CLIENT_AND_SERVER",
    ports: list(get(entry, "ports")).map((port) => Number(get(port, "number"))),
    index,
  }));
}

/** The tools that a policy lists for everybody. */
export function listedTools(plugin: Plugin): string[] {
  return texts(plugin.policy?.tool_allowlist);
}

/** The rules of a policy: what it lists for some. */
export function policyRules(policy: unknown): readonly unknown[] {
  return list(get(policy, "rules"));
}

/** The issuers whose tokens name the principal. */
export function tokenIssuers(policy: unknown): string[] {
  return list(get(policy, "identity", "jwt")).map((source) => text(get(source, "issuer")));
}

/** Where a member of the policy stands. */
export function policyPath(plugin: Plugin, ...path: Path): Path {
  return [...plugin.wasmPath, "pluginConfig", ...path];
}
