// Point 4: does high-risk tool execution require manual user approval? This version cannot ask for it: calls of flagged tools are refused, unless the
// policy says in writing that they pass.
import { isFlagged } from "../../policy/flagged.ts";
import { listedTools, policyPath } from "../guard.ts";
import { get, texts } from "../kube-object.ts";
import { hit, type Rule } from "../rule.ts";
import type { Server } from "../world.ts";

export const approvalRules: readonly Rule[] = [
  {
    id: "approval-off",
    questions: ["approval"],
    why: "Calls of tools that delete, update or execute reach the server, and no human has seen them.",
    mend: "Remove approval from the policy: calls of such tools are refused then.",
    *check({ guards }) {
      for (const guard of guards) {
        if (get(guard.policy, "approval", "mode") === "off")
          yield hit(guard.object, policyPath(guard, "approval"), "found mode: off, expected no such member");
      }
    },
  },
];

/** What this version does instead of asking, for the answer to the question. */
export function approvalNote({ guards }: Server): string {
  const flagged = guards.flatMap((guard) => {
    const approval = get(guard.policy, "approval");
    const lists = { tools: texts(get(approval, "tools")), exempt: texts(get(approval, "exempt")) };
    return listedTools(guard).filter((tool) => isFlagged(tool, lists));
  });
  if (flagged.length === 0) return "nothing to approve: no flagged tool is listed";
  return `closed: calls of ${flagged.slice(0, 5).join(", ")}${flagged.length > 5 ? ` and ${flagged.length - 5} more` : ""} are listed and refused all the same`;
}
