// Entries of `rules` that are for nobody, add nothing, or stand there twice (docs/policy.md, `rules`).
import type { Filter } from "../policy/filter.ts";
import { type ApprovalMember, isFlagged } from "../policy/flagged.ts";
import { isTrustDomain } from "../policy/trust-domain.ts";
import type { Told } from "./finding.ts";
import { listedNames } from "./listed.ts";
import { isBelow } from "./roots.ts";
import { quoted } from "./schema.ts";
import type { Name, View } from "./view.ts";

/** What the rules of a policy are told. The filter itself is asked which roots lie in each other. */
export function identityRuleFindings(policy: View, filter: Filter): Told[] {
  const rules = policy.at("rules").elements();
  const sources = sourcesOf(policy);
  return [
    ...rules.flatMap((rule) => principalFindings(rule, sources)),
    ...repeatedFindings(rules),
    ...rules.flatMap((rule) => ownedFindings(policy, rule, filter)),
    ...rules.flatMap((rule) => approvalFindings(policy, rule)),
  ];
}

/** Who can name a principal. */
interface Sources {
  readonly issuers: ReadonlySet<string>;
  readonly gateways: ReadonlySet<string>;
  readonly requiresHuman: boolean;
}

function sourcesOf(policy: View): Sources {
  const identity = policy.at("identity");
  const tokens = identity.at("jwt").elements();
  const gateways = identity.at("header", "trusted_gateways").names();
  return {
    issuers: new Set(tokens.map((token) => token.at("issuer").text)),
    gateways: new Set(gateways.map(({ text }) => text)),
    requiresHuman: identity.at("require_human").value === true,
  };
}

/** Each entry of `principals` that is nobody, or nobody of those whom the rule's other selectors ask for. */
function principalFindings(rule: View, sources: Sources): Told[] {
  return rule
    .at("principals")
    .elements()
    .flatMap((entry): Told[] => {
      const issuer = entry.at("issuer");
      const value = entry.at("value");
      if (issuer.text === "" || value.text === "") return [];
      const told = (path: Name["path"], what: string, expected: string): Told[] => [
        { rule: "rule-unmatched", path, what, expected, mend: "take the entry out" },
      ];
      const isPeer = isTrustDomain(issuer.text);
      if (isPeer && !value.text.startsWith(`${issuer.text}/`)) {
        const what = `found ${quoted(value.text)}, which is no workload of ${quoted(issuer.text)}`;
        return told(value.path, what, "the SPIFFE id of a workload of that trust domain");
      }
      if (isPeer && sources.requiresHuman) {
        const what = `found the workload ${quoted(value.text)} beside require_human: its calls are refused`;
        return told(value.path, what, "a human");
      }
      if (!isPeer && !sources.gateways.has(issuer.text) && !sources.issuers.has(issuer.text)) {
        const what = `found the issuer ${quoted(issuer.text)}, whose word counts for nothing: the rule never matches by it`;
        return told(issuer.path, what, "an issuer of identity.jwt, one of trusted_gateways, or a trust domain");
      }
      // A gateway's word counts only over its own connection, so the peer of such a request is the gateway. A token's principal can have any peer.
      const peer = isPeer ? value : sources.gateways.has(issuer.text) ? issuer : undefined;
      if (peer !== undefined && !isAmong(peer.text, rule.at("workloads").names())) {
        const what = `found ${quoted(peer.text)}, which is none of the rule's workloads: each selector must match`;
        return told(peer.path, what, "one of the rule's workloads");
      }
      const groups = rule.at("groups").elements();
      if (groups.length > 0 && !groups.some((group) => group.at("issuer").text === issuer.text)) {
        const what = `found a principal of ${quoted(issuer.text)}, whose tokens none of the rule's groups is about: each selector must match`;
        return told(issuer.path, what, "an issuer of the rule's groups");
      }
      return [];
    });
}

/** Whether a peer is one of the workloads, segment by segment; any is where there are none. */
function isAmong(id: string, workloads: readonly Name[]): boolean {
  return workloads.length === 0 || workloads.some(({ text }) => id === text || id.startsWith(`${text}/`));
}

function repeatedFindings(rules: readonly View[]): Told[] {
  const seen = new Map<string, View>();
  return rules.flatMap((rule) => {
    const key = keyOf(rule.value);
    const other = seen.get(key);
    if (other === undefined) {
      seen.set(key, rule);
      return [];
    }
    const what = `found the rule at [${other.path.at(-1)}] a second time`;
    return [{ rule: "rule-repeated", path: rule.path, what, expected: "each rule once", mend: "take it out" }];
  });
}

/** A value as a text that does not depend on the order of members, nor of entries: all lists of a rule are sets. */
function keyOf(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(keyOf).sort().join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "";
  const members = Object.entries(value).map(([name, inner]) => `${JSON.stringify(name)}:${keyOf(inner)}`);
  return `{${members.sort().join(",")}}`;
}

/** Names and roots that everybody has without the rule. */
function ownedFindings(policy: View, rule: View, filter: Filter): Told[] {
  const names = (["tool_allowlist", "prompt_allowlist"] as const).flatMap((list) => {
    const everybody = new Set(
      policy
        .at(list)
        .names()
        .map(({ text }) => text),
    );
    return rule
      .at(list)
      .names()
      .filter(({ text }) => everybody.has(text))
      .map(({ text, path }) => owned(path, `found ${quoted(text)}, which everybody has already`));
  });
  const outer = policy.at("resource_roots").names();
  const roots = rule
    .at("resource_roots")
    .names()
    .flatMap(({ text, path }) => {
      const around = outer.find((other) => other.text === text || isBelow(text, other.text, filter));
      const what = `found the root ${quoted(text)}, which everybody has already (${quoted(around?.text ?? "")})`;
      return around === undefined ? [] : [owned(path, what)];
    });
  return [...names, ...roots];
}

function owned(path: Name["path"], what: string): Told {
  return { rule: "rule-adds-nothing", path, what, expected: "what only these identities get", mend: "take it out" };
}

/** Exemptions of tools that nobody has to approve, or that nobody may call. */
function approvalFindings(policy: View, rule: View): Told[] {
  const listed = new Set(listedNames(policy, "tool_allowlist").map(({ text }) => text));
  const approval = policy.at("approval");
  const member = memberOf(approval);
  // Where it is off for everybody, the filter refuses an exemption.
  if (approval.at("mode").text === "off") return [];
  const idle = (path: Name["path"], what: string): Told => ({
    rule: "rule-approval-idle",
    path,
    what,
    expected: "a listed tool that needs an approval",
    mend: "take it out",
  });
  return rule
    .at("approval", "exempt")
    .names()
    .flatMap(({ text, path }) => {
      if (!listed.has(text)) return [idle(path, `found ${quoted(text)}, which no tool_allowlist has`)];
      if (member.exempt?.includes(text)) {
        return [idle(path, `found ${quoted(text)}, for which everybody is exempt already`)];
      }
      // In mode required a hint of the server flags tools as well, so that an exemption has a meaning whatever the name is.
      const isNeeded = isFlagged(text, member) || approval.at("mode").text === "required";
      return isNeeded ? [] : [idle(path, `found ${quoted(text)}, which is not flagged`)];
    });
}

function memberOf(approval: View): ApprovalMember {
  const texts = (list: string) =>
    approval
      .at(list)
      .names()
      .map(({ text }) => text);
  return { tools: texts("tools"), exempt: texts("exempt") };
}
