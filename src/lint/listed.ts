// What a policy lists for anybody: the names of its own lists and those that rules add (docs/policy.md, `rules`).
import type { Name, View } from "./view.ts";

/** The members of a policy that rules have too. */
export type List = "tool_allowlist" | "prompt_allowlist" | "resource_roots";

/** The lists of that member: the policy's own first, then those of the rules that have it. */
export function listsOf(policy: View, list: List): View[] {
  const rules = policy.at("rules").elements();
  return [policy.at(list), ...rules.map((rule) => rule.at(list))].filter(({ isThere }) => isThere);
}

/** Everything that somebody may use; a name stands there once, at its first place. */
export function listedNames(policy: View, list: List): Name[] {
  const seen = new Set<string>();
  return listsOf(policy, list)
    .flatMap((names) => names.names())
    .filter(({ text }) => !seen.has(text) && seen.add(text));
}
