// docs/approval.md: each attack names the test that shows its defence, and that test is there.

import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { projectPath } from "../../src/project.ts";

const PAGE = readFileSync(projectPath("docs", "approval.md"), "utf8");
const TABLE = PAGE.slice(PAGE.indexOf("<!-- attacks: begin -->"), PAGE.indexOf("<!-- attacks: end -->"));
const ROWS = [...TABLE.matchAll(/^\| (?<attack>.+?) \| .+? \| `(?<file>test\/[^`]+)`: (?<name>.+?) \|$/gm)].map(
  ({ groups }) => ({ attack: groups!.attack!, file: groups!.file!, name: groups!.name! }),
);

test("the table has at least twenty attacks, each once, and a test for each", () => {
  expect(ROWS.length).toBeGreaterThanOrEqual(20);
  // The first two lines of a table are its head.
  expect(ROWS.length).toBe(TABLE.match(/^\|/gm)!.length - 2);
  expect(new Set(ROWS.map(({ attack }) => attack)).size).toBe(ROWS.length);
});

test.each(ROWS)("$attack: its test is there", ({ file, name }) => {
  expect(readFileSync(projectPath(...file.split("/")), "utf8")).toContain(name);
});
