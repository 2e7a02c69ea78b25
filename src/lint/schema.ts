// What schema/policy.schema.json says against a policy, in sentences. The schema sees every mistake at once, the filter only the first.
import { readFileSync } from "node:fs";
import type { ErrorObject, ValidateFunction } from "ajv";
import { Ajv2020 } from "ajv/dist/2020.js";
import { visible } from "../audit/visible.ts";
import { projectPath } from "../project.ts";
import type { Path, Told } from "./finding.ts";
import { nearestOf } from "./nearest.ts";

/** Characters of a found value that a sentence repeats. */
const SHOWN_CHARACTERS = 64;

let compiled: ValidateFunction | undefined;

/** What the schema says, in the order in which it looks. */
export function schemaFindings(value: unknown): Told[] {
  compiled ??= new Ajv2020({ strict: true, allErrors: true, verbose: true }).compile(
    JSON.parse(readFileSync(projectPath("schema", "policy.schema.json"), "utf8")),
  );
  if (compiled(value)) return [];
  const errors = compiled.errors ?? [];
  return errors.filter((error) => !isBranch(error, errors)).map(findingOf);
}

/** Whether an error only says why one branch of an `anyOf` or of a `not` does not fit: that none does is an error of its own. */
function isBranch(error: ErrorObject, errors: readonly ErrorObject[]): boolean {
  return errors.some(
    (other) =>
      other !== error &&
      (other.keyword === "anyOf" || other.keyword === "not") &&
      error.instancePath.startsWith(other.instancePath) &&
      (error.schemaPath.startsWith(`${other.schemaPath}/`) || other.schemaPath.endsWith("/rule/anyOf")),
  );
}

function findingOf(error: ErrorObject): Told {
  const path = pathOf(error.instancePath);
  const params = error.params as Record<string, unknown>;
  const schema = error.parentSchema as { description?: string; properties?: object } | undefined;
  const told = (what: string, expected: string, mend = ""): Told => ({ rule: "schema", path, what, expected, mend });
  const found = `found ${shown(error.data)}`;
  const described = (schema?.description ?? "what docs/policy.md says").replace(/\.$/, "");
  switch (error.keyword) {
    case "additionalProperties": {
      const name = String(params.additionalProperty);
      const known = Object.keys(schema?.properties ?? {});
      const nearest = nearestOf(name, known);
      return {
        rule: "schema",
        path: [...path, name],
        atName: true,
        what: `found the unknown member ${quoted(name)}`,
        expected: `one of ${known.join(" ")}`,
        mend: nearest === undefined ? "take it out" : `write ${nearest}`,
      };
    }
    case "required":
      return told(`found no ${String(params.missingProperty)}`, "it there", `add ${String(params.missingProperty)}`);
    case "type":
      return told(found, kindText(String(params.type)));
    case "enum": {
      const words = (params.allowedValues as unknown[]).map(String);
      const nearest = typeof error.data === "string" ? nearestOf(error.data, words) : undefined;
      return told(found, `one of ${words.join(" ")}`, nearest === undefined ? "" : `write ${nearest}`);
    }
    case "uniqueItems": {
      const later = Math.max(Number(params.i), Number(params.j));
      const first = Math.min(Number(params.i), Number(params.j));
      const what = `found the same entry as at [${first}] a second time`;
      return { rule: "schema", path: [...path, later], what, expected: "distinct entries", mend: "take one out" };
    }
    case "minItems":
      return told("found an empty list", "at least one entry");
    case "maxItems":
      return told("the list has too many entries", `at most ${String(params.limit)}`);
    case "minimum":
    case "maximum":
      return told(found, `a number ${String(params.comparison)} ${String(params.limit)}`);
    default:
      return told(found, described);
  }
}

/** The steps of a JSON Pointer (RFC 6901). */
function pathOf(pointer: string): Path {
  return pointer
    .split("/")
    .slice(1)
    .map((token) => token.replaceAll("~1", "/").replaceAll("~0", "~"))
    .map((token) => (/^(?:0|[1-9]\d*)$/.test(token) ? Number(token) : token));
}

function kindText(type: string): string {
  if (type === "integer") return "a whole number";
  if (type === "array") return "a list";
  if (type === "boolean") return "true or false";
  return type === "object" ? "an object" : `a ${type}`;
}

/** A value as a sentence names it. */
function shown(value: unknown): string {
  if (value === null || typeof value === "boolean") return String(value);
  if (typeof value === "number") return `the number ${value}`;
  if (typeof value === "string") return `the string ${quoted(value)}`;
  return Array.isArray(value) ? "a list" : "an object";
}

/** A text in quotes, cut, with nothing in it that is not seen. */
export function quoted(text: string): string {
  const cut = text.length > SHOWN_CHARACTERS ? text.slice(0, SHOWN_CHARACTERS) : text;
  const safe = visible(cut);
  return safe.startsWith('"') ? safe : `"${safe}"`;
}
