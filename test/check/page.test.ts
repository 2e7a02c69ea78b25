// docs/check.md. Goal: the page has each rule with the words of the code, its bounds, and an example that the command prints.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import {
  DOCUMENTS_MAX,
  FILE_BYTES_MAX,
  FILES_MAX,
  FINDINGS_MAX,
  FOLDER_ENTRIES_MAX,
  HCL_LENGTH_MAX,
  HCL_LENGTHS_MAX,
  INPUT_BYTES_MAX,
  LEXEMES_MAX,
  OBJECTS_MAX,
  VALUES_MAX,
} from "../../src/check/limits.ts";
import { renderTable } from "../../src/check/render-table.ts";
import { QUESTIONS, type Question } from "../../src/check/rule.ts";
import { RULES, WORLD_RULES } from "../../src/check/rules/all.ts";
import { projectPath } from "../../src/project.ts";
import { examine } from "./examine.ts";

const page = readFileSync(projectPath("docs", "check.md"), "utf8");
const HEADINGS: Readonly<Record<Question, string>> = {
  schema: "Tool allowlist",
  identity: "Least privilege",
  egress: "Egress",
  approval: "Approval",
  trace: "Traceability",
  caller: "Transport and caller",
};

test.each(Object.keys(QUESTIONS) as Question[])("the rules of %s are those of the code", (question) => {
  const section = page.split(`\n### ${HEADINGS[question]}\n`)[1]?.split(/\n##/)[0] ?? "";
  const rows = section.split("\n").filter((line) => line.startsWith("| `"));
  const rules = [...RULES, ...WORLD_RULES].filter(({ questions }) => questions[0] === question);
  expect(rows).toEqual(rules.map(({ id, why, mend }) => `| \`${id}\` | ${why} | ${mend} |`));
});

test("the bounds are those of the code", () => {
  const number = (value: number): string => value.toLocaleString("en-US");
  for (const row of [
    `| ${FILE_BYTES_MAX >> 20} MiB | one file`,
    `| ${INPUT_BYTES_MAX >> 20} MiB, ${number(FILES_MAX)} files, ${number(OBJECTS_MAX)} objects | all together; ${number(FOLDER_ENTRIES_MAX)} entries`,
    `| ${number(DOCUMENTS_MAX)} documents, ${number(LEXEMES_MAX)} words and signs |`,
    `| ${number(VALUES_MAX)} values |`,
    `| ${number(HCL_LENGTH_MAX)} letters, 100 open brackets and templates | one HCL file; ${number(HCL_LENGTHS_MAX)} letters`,
    `| ${number(FINDINGS_MAX)} findings |`,
  ]) {
    expect(page).toContain(row);
  }
});

test("the example is what the command prints", async () => {
  const good = (name: string): string => readFileSync(projectPath("test", "check", "good", name), "utf8");
  const report = await examine({
    "rendered/tickets.yaml": good("sidecar.yaml").replace("FAIL_RELOAD", "FAIL_OPEN"),
    "mesh-config.yaml": good("mesh.yaml"),
    "terraform/role.tf": good("role.tf"),
  });
  const printed = renderTable(report).map((spans) => spans.map(({ text }) => text).join(""));
  expect(page).toContain(`\`\`\`text\n${printed.join("\n")}\n\`\`\``);
});
