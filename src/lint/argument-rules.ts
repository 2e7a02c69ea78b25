// Argument rules that meet nothing, stand there twice, or leave no value that keeps them all.
import type { Told } from "./finding.ts";
import { listedNames } from "./listed.ts";
import { nearestOf } from "./nearest.ts";
import { quoted } from "./schema.ts";
import type { View } from "./view.ts";

/** What the argument rules are told. */
export function argumentRuleFindings(policy: View): Told[] {
  const rules = policy.at("argument_rules").elements();
  const listed = new Set(listedNames(policy, "tool_allowlist").map(({ text }) => text));
  return [
    ...rules.flatMap((rule) => toolFindings(rule, listed)),
    ...rules.flatMap(pointerFindings),
    ...repeatedFindings(rules),
    ...contradictionFindings(rules),
  ];
}

function toolFindings(rule: View, listed: ReadonlySet<string>): Told[] {
  const { text, path } = rule.at("tool");
  if (text === "" || listed.has(text)) return [];
  const nearest = nearestOf(text, listed);
  const mend =
    nearest === undefined ? "list the tool, or take the rule out" : `write ${quoted(nearest)}, or list the tool`;
  const what = `found a rule about ${quoted(text)}, which tool_allowlist does not have: it does nothing`;
  return [{ rule: "argument-rule-tool", path, what, expected: "a listed tool", mend }];
}

function pointerFindings(rule: View): Told[] {
  const { text, path } = rule.at("pointer");
  const below = /^(?:\/params)?\/arguments(\/.*)$/.exec(text)?.[1];
  if (below === undefined) return [];
  const what = `found the pointer ${quoted(text)}, which begins above the arguments`;
  const expected = "a pointer below them: it meets an argument of that name alone";
  return [{ rule: "argument-rule-pointer", path, what, expected, mend: `write ${quoted(below)}` }];
}

function repeatedFindings(rules: readonly View[]): Told[] {
  const seen = new Map<string, View>();
  return rules.flatMap((rule) => {
    const key = JSON.stringify([rule.at("tool").value, rule.at("pointer").value, rule.at("rule").value]);
    const other = seen.get(key);
    if (other === undefined) {
      seen.set(key, rule);
      return [];
    }
    const what = `found the rule at [${other.path.at(-1)}] a second time`;
    return [{ rule: "argument-rule-repeated", path: rule.path, what, expected: "each rule once", mend: "take it out" }];
  });
}

/** What the rules about one argument leave of its values. */
interface Left {
  /** The strings of all enums so far; undefined while there is none. */
  values: readonly string[] | undefined;
  bytesMax: number;
}

/** All rules about one argument must hold: an enum that shares nothing with another, or is longer than max_bytes, lets nothing through. */
function contradictionFindings(rules: readonly View[]): Told[] {
  const left = new Map<string, Left>();
  return rules.flatMap((rule) => {
    const key = JSON.stringify([rule.at("tool").value, rule.at("pointer").value]);
    const before = left.get(key) ?? { values: undefined, bytesMax: Number.POSITIVE_INFINITY };
    const words = rule.at("rule", "enum").names();
    const named = words.length === 0 ? undefined : words.map(({ text }) => text);
    const bytesMax = Math.min(before.bytesMax, rule.at("rule", "max_bytes").number(Number.POSITIVE_INFINITY));
    const both = before.values === undefined ? named : before.values.filter((value) => named?.includes(value) ?? true);
    const values = both?.filter((value) => Buffer.byteLength(value) <= bytesMax);
    left.set(key, { values, bytesMax });
    const wasOpen = before.values === undefined || before.values.length > 0;
    if (values === undefined || values.length > 0 || !wasOpen) return [];
    const argument = `${quoted(rule.at("pointer").text)} of ${quoted(rule.at("tool").text)}`;
    const what = `found rules about ${argument} that no value keeps: each call with it is refused`;
    const expected = "rules that some value keeps together";
    return [{ rule: "argument-rule-contradiction", path: rule.at("rule").path, what, expected }];
  });
}
