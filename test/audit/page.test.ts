// docs/audit.md against what it speaks of: the kinds of faults, the decisions, the members of a record.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { DECISIONS } from "../../src/audit/record.ts";
import { projectPath } from "../../src/project.ts";

const PAGE = readFileSync(projectPath("docs", "audit.md"), "utf8");
const CHAIN = readFileSync(projectPath("src", "audit", "chain.ts"), "utf8");
const SCHEMA = JSON.parse(readFileSync(projectPath("schema", "audit-record.schema.json"), "utf8")) as {
  properties: Record<string, unknown>;
};

/** The first cells of the table with this head. */
function firstCells(head: string): string[] {
  const rows = PAGE.split(`\n| ${head} |`)[1]?.split("\n\n")[0] ?? "";
  return [...rows.matchAll(/^\| (`.*?) \|/gm)].flatMap(([, cell = ""]) =>
    [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? ""),
  );
}

test("each kind of fault is explained, and no other", () => {
  const kinds = /export type FaultKind =(.*?);/s.exec(CHAIN)?.[1] ?? "";
  expect(firstCells("fault").sort()).toEqual([...kinds.matchAll(/"(\w+)"/g)].map((match) => match[1]).sort());
});

test("each decision has its place in OCSF", () => {
  expect([...new Set(firstCells("decision"))].sort()).toEqual([...DECISIONS].sort());
});

test("what moves to another name in ECS is a member of a record", () => {
  const members = firstCells("member");
  expect(members.length).toBeGreaterThan(20);
  expect(members.filter((member) => !(member in SCHEMA.properties))).toEqual([]);
});
