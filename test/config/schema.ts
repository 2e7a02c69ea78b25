// schema/policy.schema.json as a function.
import { readFileSync } from "node:fs";
import type { ErrorObject, ValidateFunction } from "ajv";
import { Ajv2020 } from "ajv/dist/2020.js";
import { projectPath } from "../../src/project.ts";

/** The schema as it stands in its file, as far as the tests look into it. */
export interface PolicySchema {
  properties: Record<string, SchemaMember>;
  $defs: { unguardedEntry: SchemaMember; argumentRule: SchemaMember; rule: SchemaMember };
}

/** One member of the schema. */
export interface SchemaMember {
  description?: string;
  default?: unknown;
  minimum?: number;
  maximum?: number;
  enum?: readonly string[];
  properties?: Record<string, SchemaMember>;
}

export const policySchema: PolicySchema = JSON.parse(readFileSync(projectPath("schema", "policy.schema.json"), "utf8"));

const validate: ValidateFunction = new Ajv2020({ strict: true, allErrors: false }).compile(policySchema);

/** What the schema says against a value; empty when it accepts it. */
export function schemaComplaints(value: unknown): readonly ErrorObject[] {
  return validate(value) ? [] : (validate.errors ?? []);
}
