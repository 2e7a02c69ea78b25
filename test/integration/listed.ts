// What a client may see of the lists that a server gives without a guard: the same lists with what the policy lists.

export interface ListPolicy {
  readonly tool_allowlist: readonly string[];
  readonly prompt_allowlist?: readonly string[];
  readonly resource_roots?: readonly string[];
}

type Entry = { readonly name?: string; readonly uri?: string; readonly uriTemplate?: string };

/** A result as a guard with this policy lets it through; what is no list stays as it is. */
export function listedOf(result: unknown, policy: ListPolicy): unknown {
  if (typeof result !== "object" || result === null) return result;
  const { tool_allowlist, prompt_allowlist = [], resource_roots = [] } = policy;
  const isUnder = (text = "") => resource_roots.some((root) => text.startsWith(root));
  const filters: Readonly<Record<string, (entry: Entry) => boolean>> = {
    tools: ({ name = "" }) => tool_allowlist.includes(name),
    prompts: ({ name = "" }) => prompt_allowlist.includes(name),
    resources: ({ uri }) => isUnder(uri),
    resourceTemplates: ({ uriTemplate }) => isUnder(uriTemplate),
  };
  const members = Object.entries(result).map(([name, value]) => {
    const filter = filters[name];
    return [name, filter !== undefined && Array.isArray(value) ? value.filter(filter) : value];
  });
  return Object.fromEntries(members);
}
