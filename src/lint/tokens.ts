// What becomes of tokens, and how many messages pass: members that do something else than they seem to (docs/policy.md, `authorization`,
// `token_exchange`, `rate_limit`).
import type { Told } from "./finding.ts";
import { listedNames } from "./listed.ts";
import type { View } from "./view.ts";

/** initialize, notifications/initialized and tools/list: what a client of the legacy era sends before its first call. */
const HANDSHAKE_MESSAGES = 3;

/** What `authorization`, `token_exchange`, `rate_limit` and `identity.require_principal` are told. */
export function tokenFindings(policy: View, isResource: boolean): Told[] {
  return [
    ...authorizationFindings(policy),
    ...holdFindings(policy, isResource),
    ...rateFindings(policy),
    ...requiredFindings(policy.at("identity")),
  ];
}

function authorizationFindings(policy: View): Told[] {
  const { text, path } = policy.at("authorization");
  if (policy.at("mode").text !== "monitor" || (text !== "strip" && text !== "exchange")) return [];
  const what = `found authorization: ${text} in monitor mode, which changes no header: the caller's token reaches the server`;
  return [{ rule: "authorization-idle", path, what, expected: "mode: enforce" }];
}

function holdFindings(policy: View, isResource: boolean): Told[] {
  // WasmPlugin cannot set what `hold` needs, so there is nothing to be done about it in one.
  if (isResource || !policy.at("token_exchange").isThere || policy.at("request_headers").text === "hold") return [];
  const path = policy.at("token_exchange").path;
  const what =
    "found token_exchange without request_headers: hold: a token is asked for before the verdict, for refused calls too";
  const mend = "set request_headers: hold where the proxy allows it (allow_on_headers_stop_iteration)";
  return [{ rule: "token-before-verdict", path, what, expected: "headers that wait for the verdict", mend }];
}

function rateFindings(policy: View): Told[] {
  const told: Told[] = [];
  const principal = policy.at("rate_limit", "per_principal");
  const tool = policy.at("rate_limit", "per_tool");
  if (principal.isThere) {
    const from = principal.at("burst").isThere ? principal.at("burst") : principal.at("requests");
    const atOnce = from.number(HANDSHAKE_MESSAGES);
    if (atOnce < HANDSHAKE_MESSAGES) {
      const what = `found ${atOnce} at once: the handshake of a client fails, which has ${HANDSHAKE_MESSAGES} messages`;
      told.push({ rule: "rate-handshake", path: from.path, what, expected: `at least ${HANDSHAKE_MESSAGES}` });
    }
    // Where there are rules, peers are asked without the member.
    if (!policy.at("identity").isThere && !policy.at("rules").isThere) {
      const what = "found per_principal without identity: nobody is named, and all requests share one count";
      told.push({ rule: "rate-shared", path: principal.path, what, expected: "identity", mend: "add identity" });
    }
  }
  if (tool.isThere && listedNames(policy, "tool_allowlist").length === 0) {
    const what = "found per_tool without a listed tool: there is nothing that it counts";
    told.push({ rule: "rate-idle", path: tool.path, what, expected: "a listed tool", mend: "take it out" });
  }
  return told;
}

function requiredFindings(identity: View): Told[] {
  const { value, path } = identity.at("require_principal");
  if (value !== true || identity.at("require_human").value !== true) return [];
  const what = "found require_principal beside require_human, which asks for more";
  return [{ rule: "principal-idle", path, what, expected: "one of the two", mend: "take it out" }];
}
