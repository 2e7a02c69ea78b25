// What `mcp-guard run` says about a trial of approvals: where its parts are, and what to do with them.
import path from "node:path";
import { PEOPLE } from "../approval/try/people.ts";
import { COMMAND_LINE_CLIENT, PERSON_GRANT } from "../approval/try/provider.ts";
import type { Trial, TrialPorts } from "../approval/try/trial.ts";

const ASKER = PEOPLE[0]!;
const MEMBER = PEOPLE.find(({ groups }) => groups.length > 0)!;

/** A `curl` command line that posts one message of MCP. */
export function curlCall(url: string, message: object, further = ""): string {
  const json = "-H 'content-type: application/json' -H 'accept: application/json, text/event-stream'";
  return `curl -s ${url} ${json}${further} -d '${JSON.stringify(message)}'`;
}

/** Where the parts of a trial are. */
export function trialPlaces({ publicUrl, provider, folder }: Trial): string[] {
  const log = path.relative(process.cwd(), path.join(folder, "service.log"));
  return [
    `Approvals             ${publicUrl}/  (log: ${log})`,
    `Sign-ins              ${provider.issuer}  FOR TRYING ONLY: no password, whoever reaches it is whoever they say`,
  ];
}

/** What to try, in the order in which it is tried. */
export function trialLines(url: string, { publicUrl, provider }: Trial, ports: TrialPorts): string[] {
  const call = {
    jsonrpc: "2.0",
    id: 1,
    method: "tools/call",
    params: { name: "delete_branch", arguments: { branch: "old-experiment" } },
  };
  const settings = [
    ...(url === "http://127.0.0.1:10000/mcp" ? [] : [`URL=${url}`]),
    ...(ports.pages === 8080 ? [] : [`APPROVAL_PORT=${ports.pages}`]),
    ...(ports.provider === 8082 ? [] : [`PROVIDER_PORT=${ports.provider}`]),
  ];
  const form = [`grant_type=${PERSON_GRANT}`, `client_id=${COMMAND_LINE_CLIENT}`, `login=${ASKER.sub}`];
  const token = `curl -s ${provider.issuer}/token ${form.map((field) => `-d ${field}`).join(" ")}`;
  return [
    `# 1. open ${publicUrl}/ in a browser, sign in as ${ASKER.sub} and add a passkey`,
    "#    (no security key at hand? In Chrome's developer tools, More tools, WebAuthn, there is a virtual one)",
    `# 2. ${ASKER.sub}'s agent deletes a branch: the call waits until the page has approved it`,
    ["make try APPROVAL=1", ...settings].join(" "),
    `# ${MEMBER.sub} may approve too, as a member of ${MEMBER.groups.join(", ")}; anybody else sees nothing of it`,
    "# the same by hand: a token, and a call with it that waits",
    `TOKEN=$(${token} | sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')`,
    curlCall(url, call, ' -H "authorization: Bearer $TOKEN"'),
  ];
}
