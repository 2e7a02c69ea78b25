// A report in the Static Analysis Results Interchange Format, version 2.1.0 (OASIS), which code hosts and editors show beside the lines.
import path from "node:path";
import { pathToFileURL } from "node:url";
import type { Finding, Open, Report } from "./report.ts";
import { QUESTIONS } from "./rule.ts";
import { RULES, WORLD_RULES } from "./rules/all.ts";
import type { Place } from "./yaml-text.ts";

const SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/** The report as SARIF. What could not be looked at is a result of the kind `open`. */
export function renderSarif({ findings, open }: Report): string {
  const rules = [...RULES, ...WORLD_RULES];
  const indices = new Map(rules.map(({ id }, index) => [id, index]));
  const log = {
    $schema: SCHEMA,
    version: "2.1.0",
    runs: [
      {
        tool: {
          driver: {
            name: "mcp-guard check",
            rules: rules.map(({ id, questions, why, mend }) => ({
              id,
              shortDescription: { text: why },
              help: { text: mend },
              defaultConfiguration: { level: "error" },
              properties: { questions: questions.map((question) => QUESTIONS[question]) },
            })),
          },
        },
        columnKind: "utf16CodeUnits",
        results: [...findings.map(toResult), ...open.map(toOpenResult)].map((result) => ({
          ...result,
          ruleIndex: indices.get(result.ruleId) ?? -1,
        })),
      },
    ],
  };
  return JSON.stringify(log, undefined, 2);
}

function toResult({ rule, object, place, found }: Finding) {
  return {
    ruleId: rule.id,
    kind: "fail",
    level: "error",
    message: { text: `${object}: ${found}. ${rule.why} ${rule.mend}` },
    locations: [location(object, place)],
  };
}

function toOpenResult({ rule, server, why, missing, place }: Open) {
  return {
    ruleId: rule.id,
    kind: "open",
    level: "none",
    message: { text: `${server}: not checked for want of ${missing}: ${why}` },
    locations: [location(server, place)],
  };
}

function location(object: string, { file, line, column }: Place) {
  return {
    physicalLocation: { artifactLocation: { uri: uriOf(file) }, region: { startLine: line, startColumn: column } },
    logicalLocations: [{ fullyQualifiedName: object, kind: "object" }],
  };
}

function uriOf(file: string): string {
  if (path.isAbsolute(file)) return pathToFileURL(file).href;
  return file.split(path.sep).map(encodeURIComponent).join("/");
}
