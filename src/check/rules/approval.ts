// Point 4: does high-risk tool execution require manual user approval? This version cannot ask for it: calls of listed tools with the prefixes below
// are refused, unless the policy says in writing that they pass.
import { listedTools, policyPath } from "../guard.ts";
import { get } from "../kube-object.ts";
import { hit, type Rule } from "../rule.ts";
import type { Server } from "../world.ts";

/** What the filter takes for a high risk (docs/policy.md, approval). */
const FLAGGED = /^(?:delete|update|execute)/;

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
  const flagged = guards.flatMap(listedTools).filter((tool) => FLAGGED.test(tool));
  if (flagged.length === 0) return "nothing to approve: no tool that begins with delete, update or execute is listed";
  return `closed: calls of ${flagged.slice(0, 5).join(", ")}${flagged.length > 5 ? ` and ${flagged.length - 5} more` : ""} are listed and refused all the same`;
}
