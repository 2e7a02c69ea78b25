// Which listed tools need a human's approval, and what the member `approval` says of it (docs/policy.md, `approval`).
import { type ApprovalMember, isFlagged } from "../policy/flagged.ts";
import type { Told } from "./finding.ts";
import { listedNames } from "./listed.ts";
import { quoted } from "./schema.ts";
import type { Name, View } from "./view.ts";

/** Words for what cannot be undone, beside the flagged ones; and those inside a word, where they flag nothing. */
const DESTRUCTIVE =
  /(?:^|[^a-z])(?:remove|drop|purge|destroy|erase|truncate|wipe|overwrite|terminate|kill|revoke)|delete|update|execute/i;

/** The listed tools that are flagged, those that only rules list included. */
export function flaggedTools(policy: View): Name[] {
  const lists = flagLists(policy);
  return listedNames(policy, "tool_allowlist").filter(({ text }) => isFlagged(text, lists));
}

/** What is told about flags. */
export function flagFindings(policy: View): Told[] {
  const mode = policy.at("approval", "mode");
  // `off` without quotes is false in a resource: that is told, and what was meant is clear.
  const isOff = mode.text === "off" || mode.value === false;
  const isAsked = mode.text === "required";
  const lists = flagLists(policy);
  const exempted = exemptedByRules(policy);
  const isRefused = ({ text }: Name) => !isOff && !isAsked && !exempted(text);
  return [
    ...flaggedTools(policy).filter(isRefused).map(refusedFinding),
    ...listedNames(policy, "tool_allowlist")
      .filter(({ text }) => DESTRUCTIVE.test(text) && !isFlagged(text, lists) && !lists.exempt.includes(text))
      .map(unflaggedFinding),
    ...idleFindings(policy, isOff),
  ];
}

/** Whether a rule lets somebody call the tool without an approval: then that is its decision about everybody else. */
function exemptedByRules(policy: View): (tool: string) => boolean {
  const rules = policy.at("rules").elements();
  const isAny = rules.some((rule) => rule.at("approval", "mode").text === "off");
  const names = new Set(rules.flatMap((rule) => rule.at("approval", "exempt").names()).map(({ text }) => text));
  return (tool) => isAny || names.has(tool);
}

function flagLists(policy: View): Pick<Required<ApprovalMember>, "tools" | "exempt"> {
  const names = (member: string) =>
    policy
      .at("approval", member)
      .names()
      .map(({ text }) => text);
  return { tools: names("tools"), exempt: names("exempt") };
}

function refusedFinding({ text, path }: Name): Told {
  const what = `found the flagged tool ${quoted(text)} without approval: its calls are refused`;
  const mend =
    "set approval.mode: required with all that it needs, put it into approval.exempt if no human has to see its calls, or take it out";
  return { rule: "tool-flagged", path, what, expected: "an approval", mend };
}

function unflaggedFinding({ text, path }: Name): Told {
  const what = `found ${quoted(text)}, which sounds as if it destroys something, and is not flagged`;
  const mend = "put it into approval.tools, or into approval.exempt";
  return { rule: "tool-unflagged", path, what, expected: "that somebody has decided so", mend };
}

/** Decisions about tools that do not need them. */
function idleFindings(policy: View, isOff: boolean): Told[] {
  const idle = (path: Name["path"], what: string, mend: string): Told => ({
    rule: "approval-idle",
    path,
    what,
    expected: "a listed tool that it decides about",
    mend,
  });
  const listed = new Set(listedNames(policy, "tool_allowlist").map(({ text }) => text));
  const ofLists = (["tools", "exempt"] as const).flatMap((member) =>
    policy
      .at("approval", member)
      .names()
      .flatMap(({ text, path }) => {
        if (!listed.has(text)) {
          return [idle(path, `found ${quoted(text)}, which is not in tool_allowlist`, "take it out, or list it")];
        }
        // Destructive words make an entry of exempt worth something, although nothing is flagged.
        if (member === "exempt" && !isFlagged(text) && !DESTRUCTIVE.test(text)) {
          return [idle(path, `found ${quoted(text)}, which is not flagged`, "take it out")];
        }
        return member === "tools" && isFlagged(text)
          ? [idle(path, `found ${quoted(text)}, which its name flags already`, "take it out")]
          : [];
      }),
  );
  if (!isOff || flaggedTools(policy).length > 0) return ofLists;
  const what = "found mode: off without a flagged tool: there is nothing that it lets pass";
  const mend = "take it out: it would let the next tool of such a name pass unseen";
  return [...ofLists, idle(policy.at("approval").path, what, mend)];
}
