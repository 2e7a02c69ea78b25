// Members that have no effect beside the others of the policy, and bounds that nothing reaches.
import type { Told } from "./finding.ts";
import { flaggedTools } from "./flags.ts";
import { listedNames } from "./listed.ts";
import { quoted } from "./schema.ts";
import type { View } from "./view.ts";

/** Schemes whose URIs have no authority, so that no list of hosts can match them (RFC 3986 section 3). */
const HOSTLESS = new Set([
  ...["mailto", "tel", "sms", "urn", "data", "blob", "cid", "mid", "news", "about", "javascript", "magnet", "xmpp"],
  ...["sip", "sips", "geo", "file"],
]);

/** Schemes that name files, services or programs of the client's machine. */
const OPEN = new Set(["file", "http", "javascript", "data", "blob"]);

/** The longest member name of a request of 2026-07-28, and how deep its `clientCapabilities` stand. */
const MODERN_KEY_BYTES = 42;
const MODERN_DEPTH = 4;

/** Envoy's default for `per_connection_buffer_limit_bytes`. */
const BUFFER_BYTES = 1 << 20;

const RECORD_BYTES_DEFAULT = 16_384;

/** What members are told that do nothing. */
export function effectFindings(policy: View, isResource: boolean): Told[] {
  return [
    ...responseFindings(policy.at("response_uris")),
    ...toolFindings(policy),
    ...auditFindings(policy),
    ...limitFindings(policy),
    ...headerFindings(policy.at("request_headers"), isResource),
  ];
}

function responseFindings(uris: View): Told[] {
  const told: Told[] = [];
  const schemes = uris.at("schemes");
  const hosts = uris.at("hosts");
  if (hosts.isThere && schemes.isThere && schemes.elements().length === 0) {
    const what = "found hosts without a scheme: no URI passes, whatever its host";
    told.push({ rule: "response-hosts-idle", path: hosts.path, what, expected: "schemes, or no hosts" });
  }
  for (const { text, path } of schemes.names()) {
    if (hosts.isThere && HOSTLESS.has(text)) {
      const what = `found the scheme ${quoted(text)}, whose URIs have no host, beside hosts: none of them passes`;
      told.push({ rule: "response-hosts-scheme", path, what, expected: "schemes with hosts", mend: "take it out" });
    } else if (!hosts.isThere && OPEN.has(text)) {
      const what = `found the scheme ${quoted(text)} without hosts: a link reaches into the client's machine or network`;
      const mend = text === "http" ? "add hosts" : "take it out";
      told.push({ rule: "response-scheme-open", path, what, expected: "https, or a list of hosts", mend });
    }
  }
  for (const { text, path } of hosts.names()) {
    if (!/:(?:443|80)$/.test(text)) continue;
    const mend = `write ${quoted(text.replace(/:\d+$/, ""))} for URIs without a port`;
    const what = `found ${quoted(text)}, which only URIs match that write the usual port of their scheme`;
    told.push({ rule: "response-host-port", path, what, expected: "the host as it stands in the URIs", mend });
  }
  return told;
}

function toolFindings(policy: View): Told[] {
  const told: Told[] = [];
  const tools = listedNames(policy, "tool_allowlist");
  const tasks = policy.at("tasks");
  if (tasks.text === "allow" && tools.length === 0) {
    const what = "found tasks: allow without a tool: nothing makes a task";
    told.push({ rule: "tasks-idle", path: tasks.path, what, expected: "a listed tool", mend: "take tasks out" });
  }
  return told;
}

function auditFindings(policy: View): Told[] {
  const audit = policy.at("audit");
  const told: Told[] = [];
  const isSilent = audit.at("line").text === "none" && !audit.at("otlp").isThere;
  if (isSilent) {
    for (const member of ["arguments", "response", "record_bytes"]) {
      const { text, path, isThere } = audit.at(member);
      if (!isThere || text === "none") continue;
      const what = `found ${member} with line: none and without otlp: there is no record`;
      told.push({ rule: "audit-idle", path, what, expected: "line: json, or a collector", mend: "take it out" });
    }
  }
  told.push(...pointerFindings(audit.at("redact"), /^(?:\/params)?\/arguments(?=\/)/, "below the arguments"));
  told.push(...responsePointerFindings(audit.at("redact_response")));
  told.push(...requiredFindings(policy, audit.at("required")));
  const bytes = audit.at("record_bytes");
  const hasText = ["arguments", "response"].some((member) => /^(?:redacted|full)$/.test(audit.at(member).text));
  if (bytes.number(0) > RECORD_BYTES_DEFAULT && !hasText && !isSilent) {
    const what = `found room for ${bytes.number(0)} bytes, and no record has the text of arguments or answers`;
    const expected = "arguments or response: redacted or full";
    told.push({ rule: "record-bytes-idle", path: bytes.path, what, expected, mend: "take it out" });
  }
  return told;
}

/** Pointers that begin too high, and those that another one covers. */
function pointerFindings(list: View, above: RegExp | undefined, where: string): Told[] {
  const pointers = list.names();
  return pointers.flatMap(({ text, path }, index): Told[] => {
    if (above?.test(text)) {
      const what = `found the pointer ${quoted(text)}, which begins above the arguments`;
      const mend = `write ${quoted(text.replace(above, ""))}`;
      return [{ rule: "redact-pointer", path, what, expected: `a pointer ${where}`, mend }];
    }
    const other = pointers.find(
      (candidate, at) => (at < index && candidate.text === text) || text.startsWith(`${candidate.text}/`),
    );
    if (other === undefined) return [];
    const what = `found the pointer ${quoted(text)}, which ${quoted(other.text)} covers`;
    return [{ rule: "redact-repeated", path, what, expected: "pointers beside each other", mend: "take it out" }];
  });
}

/** The text of an answer is that of the server's message: pointers begin at its members. */
function responsePointerFindings(list: View): Told[] {
  const told = pointerFindings(list, undefined, "");
  for (const { text, path } of list.names()) {
    if (/^\/(?:result|error|params|id|method|jsonrpc)(?:\/|$)/.test(text)) continue;
    const what = `found the pointer ${quoted(text)}, which does not begin at a member of a message`;
    const expected = "a pointer like /result/content/-/text";
    told.push({ rule: "redact-pointer", path, what, expected, mend: `write ${quoted(`/result${text}`)}` });
  }
  return told;
}

function requiredFindings(policy: View, required: View): Told[] {
  const told = (what: string, expected: string): Told[] => [
    { rule: "audit-required-idle", path: required.path, what, expected },
  ];
  if (required.text === "" || required.text === "none") return [];
  if (policy.at("mode").text === "monitor") {
    return told(`found required: ${required.text} in monitor mode, in which no call waits`, "mode: enforce");
  }
  if (required.text !== "approval") return [];
  if (flaggedTools(policy).length === 0)
    return told("found required: approval without a flagged tool", "a listed tool of such a name");
  if (/^(?:off|required)$/.test(policy.at("approval", "mode").text)) return [];
  return told("found required: approval, and the calls of flagged tools are refused", "an approval");
}

function limitFindings(policy: View): Told[] {
  const limits = policy.at("limits");
  const value = (member: string, otherwise: number) => limits.at(member).number(otherwise);
  const told: Told[] = [];
  const unreachable = (member: string, bound: string, what: string) => {
    const path = limits.at(limits.at(member).isThere ? member : bound).path;
    told.push({ rule: "limit-unreachable", path, what, expected: `${member} at or below ${bound}` });
  };
  const body = value("body_bytes", 1_000_000);
  const inFlight = value("in_flight_bytes", 67_108_864);
  if (body > inFlight) {
    const what = `found body_bytes ${body} above in_flight_bytes ${inFlight}: such a body is refused as overloaded`;
    unreachable("body_bytes", "in_flight_bytes", what);
  }
  const members = value("members_per_object", 1024);
  const open = value("open_members", 4096);
  if (members > open) {
    const what = `found members_per_object ${members} above open_members ${open}: no object ever has so many`;
    unreachable("members_per_object", "open_members", what);
  }
  if (value("key_bytes", 256) < MODERN_KEY_BYTES) {
    told.push(modern(limits.at("key_bytes"), MODERN_KEY_BYTES));
  }
  if (value("depth", 64) < MODERN_DEPTH) told.push(modern(limits.at("depth"), MODERN_DEPTH));
  if (limits.at("body_bytes").number(0) > BUFFER_BYTES && policy.at("request_body").text !== "stream") {
    const path = limits.at("body_bytes").path;
    const what = `found body_bytes ${body} with request_body: whole, above the 1,048,576 that a proxy holds unless it is set up otherwise`;
    const mend = "raise per_connection_buffer_limit_bytes of the proxy too, or set request_body: stream";
    told.push({ rule: "limit-buffer", path, what, expected: "no more than the proxy's buffer limit", mend });
  }
  return told;
}

function modern({ path, value }: View, least: number): Told {
  const member = String(path.at(-1));
  const what = `found ${member} ${String(value)}: no request of the 2026-07-28 revision passes`;
  return { rule: "limit-modern", path, what, expected: `at least ${least}` };
}

function headerFindings({ text, path }: View, isResource: boolean): Told[] {
  if (!isResource || text !== "hold") return [];
  const what =
    "found request_headers: hold in a resource of Istio, which cannot set allow_on_headers_stop_iteration: each POST is answered with 503";
  return [{ rule: "hold-in-istio", path, what, expected: "release", mend: "take it out" }];
}
