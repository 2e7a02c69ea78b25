// Point 4: does high-risk tool execution require manual user approval? What the policy says about it. Without a decision calls of flagged tools are
// refused, so that nothing happens that nobody has approved. A policy that lacks what mode required needs is refused by the filter: see
// guard-configuration-refused.
import { hasFlaggedWord, isFlagged } from "../../policy/flagged.ts";
import { policyPath, policyRules } from "../guard.ts";
import { get, text, texts } from "../kube-object.ts";
import { hit, type Rule } from "../rule.ts";

export const approvalRules: readonly Rule[] = [
  {
    id: "approval-off",
    questions: ["approval"],
    why: "Calls of tools that delete, update or execute reach the server, and no human has seen them.",
    mend: "Set approval.mode to required, with all that it needs, or remove approval: calls of such tools are refused then.",
    *check({ guards }) {
      for (const guard of guards) {
        if (get(guard.policy, "approval", "mode") === "off")
          yield hit(guard.object, policyPath(guard, "approval"), "found mode: off, expected mode: required");
      }
    },
  },
  {
    id: "rule-approval-off",
    questions: ["approval"],
    why: "Calls of tools that delete, update or execute reach the server for those whom the rule names, and no human has approved them.",
    mend: "Remove approval from the rule.",
    *check({ guards }) {
      for (const guard of guards) {
        for (const [index, rule] of policyRules(guard.policy).entries()) {
          const approval = get(rule, "approval");
          if (approval === undefined) continue;
          const exempt = texts(get(approval, "exempt"));
          const found = exempt.length > 0 ? `exempt: ${few(exempt)}` : `mode: ${text(get(approval, "mode"))}`;
          yield hit(
            guard.object,
            policyPath(guard, "rules", index, "approval"),
            `found ${found} in a rule, expected none`,
          );
        }
      }
    },
  },
  {
    id: "approval-page",
    questions: ["approval"],
    why: "The link leads the browser of each approver to the approver's own machine, where anything may answer in place of the service.",
    mend: "Set page to the https link of the approval service.",
    *check({ guards }) {
      for (const guard of guards) {
        const page = text(get(guard.policy, "approval", "page"));
        if (page.startsWith("http:"))
          yield hit(guard.object, policyPath(guard, "approval", "page"), `found ${page}, expected https`);
      }
    },
  },
];

/** What happens to calls of flagged tools under the policies of a server, for the answer to the question. */
export function approvalNote(policies: readonly unknown[]): string {
  const asked: string[] = [];
  const closed: string[] = [];
  const exempt: string[] = [];
  for (const policy of policies) {
    const approval = get(policy, "approval");
    const lists = { tools: texts(get(approval, "tools")), exempt: texts(get(approval, "exempt")) };
    // Those of the rules too: who may call a tool says nothing about who has to approve it.
    const listed = [policy, ...policyRules(policy)].flatMap((rule) => texts(get(rule, "tool_allowlist")));
    const tools = [...new Set(listed)];
    const flagged = tools.filter((tool) => isFlagged(tool, lists));
    (get(approval, "mode") === "required" ? asked : closed).push(...flagged);
    exempt.push(...tools.filter((tool) => lists.exempt.includes(tool) && hasFlaggedWord(tool)));
  }
  const notes = [
    ...(asked.length > 0 ? [`a human approves each call of ${few(asked)}`] : []),
    ...(closed.length > 0 ? [`closed: calls of ${few(closed)} are listed and refused all the same`] : []),
    ...(asked.length + closed.length === 0 ? ["nothing to approve: no flagged tool is listed"] : []),
    ...(exempt.length > 0 ? [`nobody is asked about ${few(exempt)}: exempt`] : []),
  ];
  return notes.join("; ");
}

function few(tools: readonly string[]): string {
  return `${tools.slice(0, 5).join(", ")}${tools.length > 5 ? ` and ${tools.length - 5} more` : ""}`;
}
