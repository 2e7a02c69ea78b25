// Answers that are no JSON-RPC: who may have given them, and what to try.
import type { Answer } from "./exchange.ts";
import type { FindingName } from "./findings.ts";
import type { ProbeResult } from "./probe.ts";

/** What is known from such an answer: nothing of a guard. */
export function strangeAnswer(answer: Answer, url: URL): Omit<ProbeResult, "tool" | "notes"> {
  const [finding, text] = describe(answer);
  return { verdict: "unknown", finding, text: `${url.host} ${text}`, httpStatus: answer.status };
}

function describe({ status, type, location, text, cut }: Answer): readonly [finding: FindingName, text: string] {
  if (status >= 300 && status < 400) {
    const where = location === "" ? "" : ` to ${location}`;
    return [
      "redirect",
      `answers with a redirect (${status})${where}, which was not followed: give the URL that it leads to`,
    ];
  }
  if (status === 401) {
    return ["unauthorized", "asks for credentials (401): somebody in front of the guard; --header gives them"];
  }
  if (status === 403 && text.trim() === "RBAC: access denied") {
    return [
      "rbac_denied",
      "says RBAC: access denied (403): an AuthorizationPolicy, or what Istio puts in the place of a module that it could not fetch. The proxy's counters rbac.denied and rbac.wasm-default-deny.denied tell them apart, and so does --admin",
    ];
  }
  if (status === 403) return ["forbidden", "refuses the call (403), in other words than a guard's"];
  if (status === 404) return ["not_found", "has nothing at this path (404): is it that of the MCP endpoint?"];
  if (status === 405) return ["no_post", "takes no POST at this path (405): is it that of the MCP endpoint?"];
  if (status === 400 && /HTTP request (?:was sent )?to (?:an )?HTTPS/i.test(text)) {
    return ["is_tls", "speaks TLS: try https instead of http"];
  }
  if (status === 500 && text === "" && cut === "") {
    return [
      "empty_500",
      "answers 500 without a body, as an Envoy does whose guard never got a configuration: look for configuration refused in its log",
    ];
  }
  if (status >= 502 && status <= 504) {
    return ["no_server", `answers ${status}: a proxy whose server cannot be reached, or a gateway without a way to it`];
  }
  if (cut === "bytes")
    return ["too_long", `answers ${status} with more than is read, and no message of JSON-RPC in it`];
  if (cut === "time")
    return [
      "endless",
      `began an answer (${status}) that did not come to its end in time, without a message of JSON-RPC`,
    ];
  if (type === "text/html") return ["page", `answers with a web page (${status}): that is no MCP endpoint`];
  if (text === "") return ["empty", `answers ${status} without a body, which neither a guard nor a server of MCP does`];
  return [
    "no_message",
    `answers ${status} with something that is no message of JSON-RPC (${type || "no content type"})`,
  ];
}
