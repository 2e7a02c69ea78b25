// Where the policy of a run comes from: a file, a list of tools, or a default.
import { readFile } from "node:fs/promises";
import { parseAllDocuments } from "yaml";
import { GuardError, systemErrorCode } from "../error.ts";
import type { TablePolicy } from "../policy/method-table.ts";
import { policyPlace } from "../policy/policy-place.ts";

/** A policy as it goes to the filter, which alone judges it. */
export interface PolicySource {
  /** The pluginConfig. */
  value: TablePolicy & object;
  /** Where it comes from, for people. */
  origin: string;
}

/** Harmless tools of the demonstration server. */
const DEFAULT_TOOLS: readonly string[] = ["echo", "get-sum"];

/**
 * The policy that the options name.
 * @param file a pluginConfig in YAML or JSON, or manifests with one WasmPlugin or TrafficExtension, whose `pluginConfig` is taken.
 * @param allow tool names separated by commas.
 * @param otherwise the tools that are allowed when neither is given.
 * @throws GuardError `ERR_POLICY` or, for both at once, `ERR_USAGE`.
 */
export async function readPolicy(
  file: string | undefined,
  allow: string | undefined,
  otherwise = DEFAULT_TOOLS,
): Promise<PolicySource> {
  if (file !== undefined && allow !== undefined) {
    throw new GuardError("ERR_USAGE", "ALLOW and POLICY both name a policy: use one of them");
  }
  if (allow !== undefined) {
    const tools = allow.split(",").flatMap((name) => name.trim() || []);
    return { value: { tool_allowlist: tools }, origin: "ALLOW" };
  }
  if (file === undefined) return { value: { tool_allowlist: otherwise }, origin: "the default policy" };
  return { value: parsePolicy(await readText(file), file), origin: file };
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    const why = systemErrorCode(error) === "ENOENT" ? "there is no such file" : String(error);
    throw new GuardError("ERR_POLICY", `POLICY=${file}: ${why}`, { cause: error });
  }
}

function parsePolicy(text: string, file: string): TablePolicy & object {
  // Of an empty text there is an empty list without documents.
  const documents = [...parseAllDocuments(text, { prettyErrors: false })];
  const [error] = documents.flatMap(({ errors }) => errors);
  if (error !== undefined) {
    const before = text.slice(0, error.pos[0]).split("\n");
    const column = (before.at(-1) ?? "").length + 1;
    throw new GuardError("ERR_POLICY", `POLICY=${file}: line ${before.length}, column ${column}: ${error.message}`);
  }
  const value = theOne(
    documents.map((document): unknown => document.toJS()),
    file,
  );
  if (!isObject(value)) {
    throw new GuardError(
      "ERR_POLICY",
      `POLICY=${file}: expected an object with a tool_allowlist, found ${kind(value)}`,
    );
  }
  const place = policyPlace(value.kind);
  if (place === undefined) return value;
  const policy = place.reduce<unknown>((inner, name) => (isObject(inner) ? inner[name] : undefined), value);
  if (!isObject(policy)) {
    throw new GuardError("ERR_POLICY", `POLICY=${file}: the ${String(value.kind)} has no ${place.join(".")}`);
  }
  return policy;
}

/** What a file is about: its one object, or among several the one that has a policy. */
function theOne(values: readonly unknown[], file: string): unknown {
  if (values.length < 2) return values[0];
  const guards = values.filter((value) => isObject(value) && policyPlace(value.kind) !== undefined);
  if (guards.length === 1) return guards[0];
  throw new GuardError(
    "ERR_POLICY",
    `POLICY=${file}: found ${guards.length} of ${values.length} objects with a policy, expected one WasmPlugin or TrafficExtension`,
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function kind(value: unknown): string {
  if (value === null || value === undefined) return "nothing";
  return Array.isArray(value) ? "a list" : `a ${typeof value}`;
}
