// `mcp-guard run --on-behalf`: the server gets a token of its own for each caller, and each may do something else.
import { PEOPLE } from "../approval/try/people.ts";
import { COMMAND_LINE_CLIENT, PERSON_GRANT } from "../approval/try/provider.ts";
import { trialRules, withExchange } from "../on-behalf/guard-policy.ts";
import { SERVER_AUDIENCE, startOnBehalfTrial, type TrialOptions } from "../on-behalf/trial.ts";
import type { Policy, Trial } from "./trial.ts";
import { curlCall } from "./trial-lines.ts";

/** Whom it is shown with: the two that the trial's own rules name. */
const SHOWN = PEOPLE.slice(0, 2);

/**
 * Starts one.
 * @param hasOwnPolicy whether the user has given a policy, which then says alone who may do what.
 * @throws as `startOnBehalfTrial` does.
 */
export async function startExchangeTrial(options: TrialOptions, hasOwnPolicy: boolean): Promise<Trial> {
  const trial = await startOnBehalfTrial(options);
  const { provider, server, policyParts } = trial;
  return {
    policy(given) {
      const policy = hasOwnPolicy ? given : (trialRules(provider.issuer) as Policy);
      return withExchange(policy, policyParts);
    },
    server: { ...server, label: `a server that takes tokens for ${SERVER_AUDIENCE} alone (started here)` },
    environment: trial.environment,
    edit: trial.edit,
    accessToken: () => provider.accessToken(SHOWN[0]!.sub),
    process: undefined,
    places: [
      `Tokens                ${provider.issuer}  FOR TRYING ONLY: no password, whoever asks it is whoever they say`,
    ],
    lines: (url) => exchangeLines(url, provider.issuer),
    stop: trial.stop,
  };
}

/** For each of the people: a token, what the server sees of it, what there is to use, and a call that not everybody may make. */
function exchangeLines(url: string, issuer: string): string[] {
  const call = (name: string, input: object) => request("tools/call", { name, arguments: input });
  return SHOWN.flatMap(({ sub }) => {
    const variable = sub.toUpperCase();
    const form = [`grant_type=${PERSON_GRANT}`, `client_id=${COMMAND_LINE_CLIENT}`, `login=${sub}`];
    const token = `curl -s ${issuer}/token ${form.map((field) => `-d ${field}`).join(" ")}`;
    const bearer = ` -H "authorization: Bearer $${variable}"`;
    return [
      `# ${sub}: a token for the guard; the token that the server sees; which tools there are; a call that not everybody may make`,
      `${variable}=$(${token} | sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')`,
      curlCall(url, call("whoami", {}), bearer),
      curlCall(url, request("tools/list", {}), bearer),
      curlCall(url, call("delete_branch", { branch: "old-experiment" }), bearer),
    ];
  });
}

function request(method: string, params: object): object {
  return { jsonrpc: "2.0", id: 1, method, params };
}
