// The reference for `argument_rules`: the pointers walked on the parsed arguments, and each rule asked about what stands
// there.

import { isPathUnderRoot, isUnderRoot, type UriTraversal, uriFaults } from "./uri.ts";

/** One entry of `argument_rules`. */
export interface ArgumentRule {
  readonly tool: string;
  /** A JSON Pointer (RFC 6901) into the arguments; `-` in an array is each of its elements. */
  readonly pointer: string;
  readonly rule:
    | "uri"
    | "path"
    | { readonly enum: readonly string[] }
    | { readonly max_bytes: number }
    | { readonly uri_roots: readonly string[] }
    | { readonly path_roots: readonly string[] };
}

/** The rules about this tool that the arguments break. What is not there breaks nothing; what is no string does. */
export function brokenRules(
  rules: readonly ArgumentRule[],
  tool: string,
  toolArguments: unknown,
  traversal: UriTraversal,
): readonly ArgumentRule[] {
  return rules.filter(
    ({ tool: named, pointer, rule }) =>
      named === tool && targets(toolArguments, tokens(pointer)).some((value) => !allows(rule, value, traversal)),
  );
}

/** RFC 6901 section 4: `~1` first, then `~0`. */
const tokens = (pointer: string): readonly string[] =>
  pointer
    .split("/")
    .slice(1)
    .map((token) => token.replaceAll("~1", "/").replaceAll("~0", "~"));

function targets(value: unknown, [token, ...rest]: readonly string[]): readonly unknown[] {
  if (token === undefined) return [value];
  if (Array.isArray(value)) {
    if (token === "-") return value.flatMap((element) => targets(element, rest));
    return /^(?:0|[1-9][0-9]*)$/.test(token) && Number(token) < value.length ? targets(value[Number(token)], rest) : [];
  }
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, token)) return [];
  return targets((value as Record<string, unknown>)[token], rest);
}

function allows(rule: ArgumentRule["rule"], value: unknown, traversal: UriTraversal): boolean {
  if (typeof value !== "string") return false;
  if (rule === "uri" || rule === "path") return uriFaults(value, traversal, rule).size === 0;
  if ("enum" in rule) return rule.enum.includes(value);
  if ("max_bytes" in rule) return Buffer.byteLength(value, "utf8") <= rule.max_bytes;
  if ("uri_roots" in rule)
    return uriFaults(value, traversal, "uri").size === 0 && rule.uri_roots.some((root) => isUnderRoot(root, value));
  return uriFaults(value, traversal, "path").size === 0 && rule.path_roots.some((root) => isPathUnderRoot(root, value));
}
