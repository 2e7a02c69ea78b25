// Roots inside each other, roots that nothing reaches, roots that allow more than was meant: `resource_roots`, and the roots of argument rules.
import type { Filter } from "../policy/filter.ts";
import type { Told } from "./finding.ts";
import { listsOf } from "./listed.ts";
import { quoted } from "./schema.ts";
import type { Name, View } from "./view.ts";

/** What the roots of a policy are told. The filter itself is asked where a URI would pass. */
export function rootFindings(policy: View, filter: Filter): Told[] {
  const traversal = policy.at("uri_traversal").text === "segment" ? "segment" : "literal";
  const uris = (roots: readonly Name[]) => uriRootFindings(roots, filter, traversal);
  const rules = policy.at("argument_rules").elements();
  return [
    ...listsOf(policy, "resource_roots").flatMap((roots) => uris(roots.names())),
    ...rules.flatMap((rule) => uris(rule.at("rule", "uri_roots").names())),
    ...rules.flatMap((rule) => pathRootFindings(rule.at("rule", "path_roots").names(), traversal)),
  ];
}

function uriRootFindings(roots: readonly Name[], filter: Filter, traversal: string): Told[] {
  return [
    ...roots.flatMap((root) => reachFindings(root, filter, traversal)),
    ...roots.flatMap(spellingFindings),
    ...insideFindings(roots, filter),
  ];
}

/** Whether the root, or something below it, passes a policy that has this root alone. */
function reachFindings({ text, path }: Name, filter: Filter, traversal: string): Told[] {
  const configuration = { tool_allowlist: [], resource_roots: [text], uri_traversal: traversal };
  const reasons = filter.readResources(configuration, [text, below(text)]);
  if (reasons === undefined || reasons.includes("")) return [];
  return [unreachable(path, text, reasons[1] ?? "")];
}

function unreachable(path: Name["path"], text: string, reason: string): Told {
  const why = reason === "" ? "uri_traversal" : reason;
  const mend = why === "uri_traversal" ? "set uri_traversal: segment, or choose another root" : "";
  const what = `found the root ${quoted(text)}, under which the guard refuses everything (${why})`;
  return { rule: "root-unreachable", path, what, expected: "a root that keeps the URI rules", mend };
}

/** A URI below a root. */
function below(root: string): string {
  if (/^[a-z][a-z0-9+.-]*:$/.test(root)) return `${root}a`;
  return /[/:]$/.test(root) ? `${root}a` : `${root}/a`;
}

/** Roots of which another one allows every URI. The filter's own comparison decides; only what begins alike is asked about. */
function insideFindings(roots: readonly Name[], filter: Filter): Told[] {
  return roots.flatMap(({ text, path }) => {
    const around = roots.find((other) => other.text !== text && isBelow(text, other.text, filter));
    return around === undefined ? [] : [inside(path, text, around.text)];
  });
}

/** Whether a root allows every URI that another one does. */
export function isBelow(root: string, around: string, filter: Filter): boolean {
  if (!root.startsWith(around)) return false;
  // With the looser rule: whether the dots of a root pass is told elsewhere.
  const configuration = { tool_allowlist: [], resource_roots: [around], uri_traversal: "segment" };
  return filter.readResources(configuration, [root, below(root)])?.every((reason) => reason === "") ?? false;
}

function inside(path: Name["path"], text: string, around: string): Told {
  const what = `found the root ${quoted(text)} below the root ${quoted(around)}, which allows it already`;
  return { rule: "root-inside", path, what, expected: "roots beside each other", mend: "take out one of the two" };
}

/** A scheme with its slashes and no host; `file:///` without a folder. */
const WIDE = /^(?:(?!urn:)[a-z][a-z0-9+.-]*:(?:\/\/)?|file:\/\/\/)$/;
const AUTHORITY = /^[a-z][a-z0-9+.-]*:\/\/([^/]+)/;

function spellingFindings({ text, path }: Name): Told[] {
  const told: Told[] = [];
  if (WIDE.test(text)) {
    const what = `found the root ${quoted(text)}, which allows ${text.startsWith("file:") ? "every file" : "every host"}`;
    told.push({ rule: "root-wide", path, what, expected: "the folder or the host that is meant" });
  } else if (looksLikeFolder(text)) {
    const what = `found the root ${quoted(text)} without a slash at its end: the folder itself can be read, not only what is in it`;
    told.push({
      rule: "root-no-slash",
      path,
      what,
      expected: "a folder with a slash",
      mend: `write ${quoted(`${text}/`)}`,
    });
  }
  const host = AUTHORITY.exec(text)?.[1] ?? "";
  if (/^(?:https?|wss?):/.test(text) && host !== host.toLowerCase()) {
    const mend = `write ${quoted(text.replace(host, host.toLowerCase()))}`;
    const what = `found the root ${quoted(text)} with capital letters in its host`;
    told.push({ rule: "root-spelling", path, what, expected: "small ones: clients send hosts in small letters", mend });
  } else if (/^https:\/\/[^/]+:443(?:\/|$)|^http:\/\/[^/]+:80(?:\/|$)/.test(text)) {
    const mend = `write ${quoted(text.replace(/:(?:443|80)(?=\/|$)/, ""))}`;
    const what = `found the root ${quoted(text)} with the usual port of its scheme`;
    told.push({ rule: "root-spelling", path, what, expected: "no port: clients leave it out", mend });
  } else if (/[^ -~]/.test(text)) {
    const mend = `list ${quoted(encodeURI(text))} too`;
    const what = `found the root ${quoted(text)} with characters that are not ASCII`;
    told.push({ rule: "root-spelling", path, what, expected: "percent-encoded ones, as most clients send them", mend });
  }
  return told;
}

/** A path whose last segment has no extension. */
function looksLikeFolder(text: string): boolean {
  const path = /^[a-z][a-z0-9+.-]*:\/\/[^/]*(\/.+)$/.exec(text)?.[1];
  return path !== undefined && /\/[^/.]+$/.test(path);
}

/** `isPathUnder` of the filter: one path begins with the other, at a slash. */
function pathRootFindings(roots: readonly Name[], traversal: string): Told[] {
  return roots.flatMap(({ text, path }) => {
    const told: Told[] = [];
    if (traversal === "literal" && text.includes("..")) told.push(unreachable(path, text, "uri_traversal"));
    const around = roots.find(
      (other) =>
        other.text !== text &&
        text.startsWith(other.text) &&
        (other.text.endsWith("/") || text.charAt(other.text.length) === "/"),
    );
    if (around !== undefined) told.push(inside(path, text, around.text));
    return told;
  });
}
