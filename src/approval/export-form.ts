// Whether a line is an exported approval: by schema/approval-export.schema.json, and in the one spelling.
import { readFileSync } from "node:fs";
import { Ajv2020 } from "ajv/dist/2020.js";
import { projectPath } from "../project.ts";
import { type ExportedApproval, exportLine } from "./exported.ts";

const schema = JSON.parse(readFileSync(projectPath("schema", "approval-export.schema.json"), "utf8")) as object;
const validate = new Ajv2020({ strict: true, allowUnionTypes: true }).compile<ExportedApproval>(schema);

/**
 * The approval of a line.
 * @param text one character for each byte, as `readLines` gives it.
 * @returns a sentence when it is none.
 */
export function parseExportLine(text: string): ExportedApproval | string {
  let line: string;
  let value: unknown;
  try {
    line = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Buffer.from(text, "latin1"));
    value = JSON.parse(line);
  } catch {
    return "found no JSON, expected a line of an export";
  }
  if (!validate(value)) {
    const [first] = validate.errors ?? [];
    return `${first?.instancePath || "the line"}: ${first?.message ?? "not of the form"} (schema/approval-export.schema.json)`;
  }
  // Two readers could take a member that stands twice for two things.
  return exportLine(value) === line
    ? value
    : "found another spelling than an export has: space, escapes, or a member twice";
}
