// deploy/schemas as one function.
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import { projectPath } from "../../src/project.ts";
import { schemaFile } from "./schema-sources.ts";

const FOLDER = projectPath("deploy", "schemas");
/** What the schemas' references are relative to. */
const BASE = "schemas:/";

// Not `strict`: the sources write keywords without the type that they are about.
// Formats (`ipv4`, `int32`, ...) are no part of what the schemas are here for, and the validator knows only some of them.
const ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: false });
const files = readdirSync(FOLDER, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".json"));
for (const file of files) {
  const schema = JSON.parse(readFileSync(path.join(FOLDER, file), "utf8")) as object;
  ajv.addSchema({ ...schema, $id: `${BASE}${file}` });
}

/** What is wrong with an object by the schema of its kind, as `pointer: what`; empty when nothing is. An unknown kind is wrong. */
export function manifestComplaints(manifest: { apiVersion: string; kind: string }): string[] {
  const file = schemaFile(manifest.apiVersion, manifest.kind);
  const validate = files.includes(file) ? ajv.getSchema(`${BASE}${file}`) : undefined;
  if (validate === undefined) return [`: there is no schema for ${manifest.apiVersion} ${manifest.kind}`];
  if (validate(manifest)) return [];
  return (validate.errors ?? []).map(({ instancePath, message, params }) => {
    const field = "additionalProperty" in params ? ` (${String(params.additionalProperty)})` : "";
    return `${instancePath}: ${message}${field}`;
  });
}
