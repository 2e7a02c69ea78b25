// `mcp-guard run --approval`: flagged calls wait for a person.
import { withApproval } from "../approval/try/guard-policy.ts";
import { PEOPLE } from "../approval/try/people.ts";
import { startTrial, type TrialOptions } from "../approval/try/trial.ts";
import type { Trial } from "./trial.ts";
import { trialLines, trialPlaces } from "./trial-lines.ts";

export { BRANCH_TOOLS } from "../approval/try/trial.ts";

/** Starts one. @throws as `startTrial` does. */
export async function startApprovalTrial(options: TrialOptions): Promise<Trial> {
  const trial = await startTrial(options);
  const { branches, provider } = trial;
  return {
    policy: (given) => withApproval(given, trial.policyParts),
    server: branches && { ...branches, label: "a server with branches to delete (started here)" },
    environment: trial.environment,
    edit: trial.edit,
    accessToken: () => provider.accessToken(PEOPLE[0]!.sub),
    process: { name: "the approval service", exited: trial.exited, lastOutput: trial.lastOutput },
    places: trialPlaces(trial),
    lines: (url) => trialLines(url, trial, options.ports),
    stop: trial.stop,
  };
}
