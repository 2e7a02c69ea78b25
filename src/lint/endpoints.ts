// Methods, endpoints, hosts and origins that do nothing, or something else than was meant.
import type { Told } from "./finding.ts";
import { listedNames } from "./listed.ts";
import { isPattern } from "./names.ts";
import { quoted } from "./schema.ts";
import type { View } from "./view.ts";

/** What only servers send, and the member that opens it; an empty one for what passes anyway (docs/responses.md). */
const OF_SERVERS: Readonly<Record<string, string>> = {
  "sampling/createMessage": "sampling",
  "elicitation/create": "elicitation",
  "roots/list": "roots",
  "notifications/tasks": "tasks",
  "notifications/message": "",
  "notifications/tools/list_changed": "",
  "notifications/prompts/list_changed": "",
  "notifications/resources/list_changed": "",
  "notifications/resources/updated": "",
  "notifications/elicitation/complete": "",
  "notifications/subscriptions/acknowledged": "",
};

/** The method table (docs/policy.md), whose methods the filter does not accept in `method_allowlist`. */
const OF_TABLE: readonly string[] = [
  ...["initialize", "ping", "server/discover", "logging/setLevel", "completion/complete", "subscriptions/listen"],
  ...["tools/call", "tools/list", "prompts/get", "prompts/list", "resources/list", "resources/templates/list"],
  ...["resources/read", "resources/subscribe", "resources/unsubscribe", "tasks/get", "tasks/result", "tasks/update"],
  ...["tasks/cancel", "tasks/list", "notifications/initialized", "notifications/cancelled", "notifications/progress"],
  ...["notifications/roots/list_changed", "notifications/tasks/status"],
];

/** Paths on which servers usually speak MCP; a message of it posted there would pass unread. */
const MCP_PATH = /^\/(?:|(?:.*\/)?(?:mcp|sse|rpc|jsonrpc|messages?|streamable))\/?$/i;

/** What methods, endpoints, hosts and origins are told. */
export function endpointFindings(policy: View): Told[] {
  return [
    ...methodFindings(policy),
    ...unguardedFindings(policy.at("unguarded").elements()),
    ...hostFindings(policy.at("allowed_hosts")),
    ...originFindings(policy.at("allowed_origins")),
  ];
}

function methodFindings(policy: View): Told[] {
  const hasRoots = listedNames(policy, "resource_roots").length > 0;
  return policy
    .at("method_allowlist")
    .names()
    .flatMap(({ text, path }): Told[] => {
      if (Object.hasOwn(OF_SERVERS, text)) {
        const member = OF_SERVERS[text] ?? "";
        const mend =
          member === "" ? "take it out: a server's passes anyway" : `set ${member}: allow to let a server send it`;
        const what = `found ${quoted(text)}, which only servers send: the entry opens it for clients alone`;
        return [{ rule: "method-of-servers", path, what, expected: "a method of clients", mend }];
      }
      if (text === "skills/get" && !hasRoots) {
        const what = "found skills/get without resource_roots: each call of it is refused";
        return [{ rule: "skills-get-without-roots", path, what, expected: "a root under which its URIs stand" }];
      }
      if (isPattern(text)) {
        const what = `found ${quoted(text)}, which looks like a pattern`;
        const expected = "an exact name: a star is a letter like any other";
        return [{ rule: "method-wildcard", path, what, expected, mend: "list each method" }];
      }
      const alike = OF_TABLE.find((known) => known !== text && known.toLowerCase() === text.toLowerCase());
      if (alike === undefined) return [];
      const what = `found ${quoted(text)}, which is not ${alike}: letter case counts`;
      return [{ rule: "method-alike", path, what, expected: "a further method", mend: "take it out" }];
    });
}

function unguardedFindings(entries: readonly View[]): Told[] {
  /** The HTTP methods of all entries so far, by path. */
  const seen = new Map<string, Set<string>>();
  return entries.flatMap((entry) => {
    const told: Told[] = [];
    const { text, path } = entry.at("path");
    if (text === "") return told;
    const methods = entry.at("methods").names();
    const before = seen.get(text) ?? new Set<string>();
    const repeated = methods.filter((method) => before.has(method.text));
    seen.set(text, new Set([...before, ...methods.map((method) => method.text)]));
    if (repeated.length > 0) {
      const what = `found ${repeated.map((method) => method.text).join(", ")} ${quoted(text)}, which an entry before has`;
      const isWhole = repeated.length === methods.length;
      const mend = isWhole ? "take the entry out" : "take these methods out";
      told.push({ rule: "unguarded-repeated", path: entry.path, what, expected: "each endpoint once", mend });
    }
    if (text.includes("*")) {
      const what = `found the path ${quoted(text)} with a star`;
      const expected = "an exact path: a star is a letter like any other";
      told.push({ rule: "unguarded-wildcard", path, what, expected, mend: "name each path" });
    }
    if (MCP_PATH.test(text) && methods.some((method) => method.text === "POST")) {
      const what = `found POST ${quoted(text)}, on which servers usually speak MCP: it would pass unread`;
      told.push({ rule: "unguarded-mcp", path, what, expected: "an endpoint that is not MCP", mend: "take it out" });
    }
    if (!entry.at("reason").isThere) {
      const what = `found ${quoted(text)} unguarded without a reason`;
      told.push({
        rule: "unguarded-reason",
        path: entry.path,
        what,
        expected: "why it is not MCP",
        mend: "add reason",
      });
    }
    return told;
  });
}

function hostFindings(hosts: View): Told[] {
  const names = hosts.names();
  return names.flatMap(({ text, path }, index): Told[] => {
    const host = text.toLowerCase();
    const withoutPort = host.replace(/(?<=^[^:]+|\]):\d+$/, "");
    const other = names.find((candidate, at) => {
      const wanted = candidate.text.toLowerCase();
      return (at < index && wanted === host) || (wanted === withoutPort && withoutPort !== host);
    });
    if (other === undefined) return [];
    const what = `found ${quoted(text)}, which ${quoted(other.text)} covers: letter case does not count, and no port is any port`;
    return [{ rule: "host-repeated", path, what, expected: "hosts beside each other", mend: "take it out" }];
  });
}

function originFindings(origins: View): Told[] {
  return origins.names().flatMap(({ text, path }): Told[] => {
    if (!/^https:\/\/.*:443$|^http:\/\/.*:80$/.test(text)) return [];
    const mend = `write ${quoted(text.replace(/:\d+$/, ""))}`;
    const what = `found ${quoted(text)} with the usual port of its scheme`;
    return [{ rule: "origin-port", path, what, expected: "no port: browsers leave it out", mend }];
  });
}
