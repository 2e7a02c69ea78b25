// What the entries of `rules` add, in words: for the table of methods and for the notes below it (docs/policy.md, `rules`).

/** One entry of `rules`, as far as people are told of it. */
export interface PolicyRule {
  principals?: readonly { issuer?: string; value?: string }[];
  groups?: readonly { issuer?: string; claim?: string; value?: string }[];
  workloads?: readonly string[];
  tool_allowlist?: readonly string[];
  prompt_allowlist?: readonly string[];
  resource_roots?: readonly string[];
  approval?: { mode?: unknown; exempt?: readonly string[] };
}

/** The lists that a rule can have. */
export type RuledList = "tool_allowlist" | "prompt_allowlist" | "resource_roots";

/** How many rules have a note each, and how many names of a rule stand in it. */
const NOTES_MAX = 20;
const NAMES_MAX = 8;

/** What rules add to a list of the policy, each name with the indexes of its rules; empty when they add nothing to it. */
export function ruledNames(rules: readonly PolicyRule[], list: RuledList): ReadonlyMap<string, readonly number[]> {
  const names = new Map<string, number[]>();
  for (const [index, rule] of rules.entries()) {
    for (const name of new Set(rule[list])) names.set(name, [...(names.get(name) ?? []), index]);
  }
  return names;
}

/** The same as a part of a sentence. */
export function ruledText(names: ReadonlyMap<string, readonly number[]>): string {
  return [...names].map(([name, indexes]) => `${name} (${indexes.map(ruleName).join(", ")})`).join(", ");
}

/** A sentence for each rule: for whom it is, and what it adds. Of many rules the first ones. */
export function ruleNotes(rules: readonly PolicyRule[]): string[] {
  const notes = rules.slice(0, NOTES_MAX).map((rule, index) => {
    return `${ruleName(index)} adds for ${selectorTexts(rule).join(", and then only ")}: ${additionTexts(rule).join("; ")}.`;
  });
  if (rules.length > NOTES_MAX) notes.push(`rules has ${rules.length - NOTES_MAX} more entries.`);
  return notes;
}

function ruleName(index: number): string {
  return `rules[${index}]`;
}

/** Each selector must match; one entry of it is enough. */
function selectorTexts({ principals = [], groups = [], workloads = [] }: PolicyRule): string[] {
  return [
    some(principals.map(({ issuer, value }) => `${value ?? ""} of ${issuer ?? ""}`)),
    some(
      groups.map(({ issuer, claim, value }) => `whoever has ${value ?? ""} in ${claim ?? ""}, said by ${issuer ?? ""}`),
    ),
    some(workloads.map((id) => `peers at or below ${id}`)),
  ].filter((text) => text !== "");
}

function additionTexts({ tool_allowlist, prompt_allowlist, resource_roots, approval }: PolicyRule): string[] {
  return [
    labelled("tools", tool_allowlist),
    labelled("prompts", prompt_allowlist),
    labelled("resources below", resource_roots),
    labelled("no approval for", approval?.exempt),
    approval?.mode === "off" ? "no approval for any tool" : "",
  ].filter((text) => text !== "");
}

function labelled(label: string, names: readonly string[] = []): string {
  return names.length === 0 ? "" : `${label} ${cut(names).join(", ")}`;
}

function some(texts: readonly string[]): string {
  return cut(texts).join(" or ");
}

function cut(texts: readonly string[]): string[] {
  return texts.length > NAMES_MAX ? [...texts.slice(0, NAMES_MAX), `${texts.length - NAMES_MAX} more`] : [...texts];
}
