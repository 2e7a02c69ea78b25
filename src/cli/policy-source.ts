// Where the policy of a run comes from: a file, a list of tools, or a default.
import { readFile } from "node:fs/promises";
import { parseDocument } from "yaml";
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
const DEFAULT_TOOLS = ["echo", "get-sum"];

/**
 * The policy that the options name.
 * @param file a pluginConfig in YAML or JSON, or a whole WasmPlugin or TrafficExtension, whose `pluginConfig` is taken.
 * @param allow tool names separated by commas.
 * @throws GuardError `ERR_POLICY` or, for both at once, `ERR_USAGE`.
 */
export async function readPolicy(file: string | undefined, allow: string | undefined): Promise<PolicySource> {
  if (file !== undefined && allow !== undefined) {
    throw new GuardError("ERR_USAGE", "ALLOW and POLICY both name a policy: use one of them");
  }
  if (allow !== undefined) {
    const tools = allow.split(",").flatMap((name) => name.trim() || []);
    return { value: { tool_allowlist: tools }, origin: "ALLOW" };
  }
  if (file === undefined) return { value: { tool_allowlist: DEFAULT_TOOLS }, origin: "the default policy" };
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
  const document = parseDocument(text, { prettyErrors: false });
  const [error] = document.errors;
  if (error !== undefined) {
    const before = text.slice(0, error.pos[0]).split("\n");
    const column = (before.at(-1) ?? "").length + 1;
    throw new GuardError("ERR_POLICY", `POLICY=${file}: line ${before.length}, column ${column}: ${error.message}`);
  }
  const value: unknown = document.toJS();
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

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function kind(value: unknown): string {
  if (value === null || value === undefined) return "nothing";
  return Array.isArray(value) ? "a list" : `a ${typeof value}`;
}
