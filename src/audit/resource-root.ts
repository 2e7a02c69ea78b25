// The root under which a resource stands, for a policy (docs/policy.md, "resource_roots").
import { readFileSync } from "node:fs";
import { projectPath } from "../project.ts";
import { addUp, type Count, sortCounts } from "./tally.ts";
import { hasHidden } from "./visible.ts";

const ROOT_BYTES_MAX = 1024;

const schema = JSON.parse(readFileSync(projectPath("schema", "policy.schema.json"), "utf8")) as {
  $defs: { uriRoot: { pattern: string } };
};
const ROOT = new RegExp(schema.$defs.uriRoot.pattern, "u");

/**
 * The folder of a URI, or of the literal part of a URI template; a URI without folders stands for itself, and so does one whose folder would be a
 * whole scheme or file system. Undefined when the policy cannot have such a root.
 */
export function rootOf(uri: string): string | undefined {
  const brace = uri.indexOf("{");
  const literal = brace < 0 ? uri : uri.slice(0, brace);
  const [, scheme = "", authority = "", path = ""] = /^([^/:]*:)?(\/\/[^/]*)?(.*)$/s.exec(literal) ?? [];
  const folder = path.slice(0, path.lastIndexOf("/") + 1);
  const isTooWide = folder === "" || (folder === "/" && authority.length <= "//".length);
  if (isTooWide && brace >= 0) return undefined;
  const root = isTooWide ? literal : scheme + authority + folder;
  return isAcceptable(root) ? root : undefined;
}

/** Whether the filter takes it for a root. It is stricter than the filter where the filter decodes: such roots are for people to write. */
function isAcceptable(root: string): boolean {
  if (!ROOT.test(root) || hasHidden(root) || Buffer.byteLength(root) > ROOT_BYTES_MAX) return false;
  const path = root.replace(/^[^:]*:(\/\/)?/, "");
  let decoded: string;
  try {
    decoded = decodeURIComponent(path);
  } catch {
    return false;
  }
  if (decoded.length === path.length) return !/[^\x21-\x7e\p{L}\p{N}\p{M}]/u.test(path);
  const needless = path.match(/%[0-9A-Fa-f]{2}/g)?.some((triple) => /[\w.~-]/.test(decodeTriple(triple))) ?? false;
  if (needless || hasHidden(decoded) || /[^\x20-\x7e\p{L}\p{N}\p{M}]|[%\\]|\/\/|^\/\//u.test(decoded)) return false;
  return !decoded.split(/[/;?#&=:@,{}]/).some((segment) => /^[. ]*\.[. ]*$/.test(segment));
}

function decodeTriple(triple: string): string {
  return String.fromCharCode(Number.parseInt(triple.slice(1), 16));
}

/** Roots without those that stand under another one, which take their counts along; the most frequent first. */
export function mergeRoots(counts: readonly Count[]): Count[] {
  const kept: { root: string; under: Count[] }[] = [];
  const shortestFirst = [...counts].sort((a, b) => a.name.length - b.name.length);
  for (const count of shortestFirst) {
    const around = kept.find(({ root }) => isUnder(root, count.name));
    if (around === undefined) kept.push({ root: count.name, under: [count] });
    else around.under.push(count);
  }
  return sortCounts(kept.map(({ root, under }) => addUp(root, under)));
}

/** As the filter has it (assembly/uri/root.ts): segment by segment, and system folders only from a root inside of them. */
function isUnder(root: string, uri: string): boolean {
  if (!uri.startsWith(root)) return false;
  if (isSystemPath(uri) && !isSystemPath(root)) return false;
  // A root that ends with a drive's letter is something else below.
  if (root.startsWith("file:") && /\/[A-Za-z](?::|%3a)/i.test(uri.slice(root.length - 1))) return false;
  if (uri.length === root.length || root.endsWith("/") || uri[root.length] === "/") return true;
  return !/^[^:]*:\/\//.test(root) && (root.endsWith(":") || uri[root.length] === ":");
}

function isSystemPath(uri: string): boolean {
  return /^file:\/\/\/(?:proc|sys|dev(?:\/|%2f)fd)(?:$|[/?#\\]|%)/i.test(uri);
}
