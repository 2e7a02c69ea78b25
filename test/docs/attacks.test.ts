// The tables of attacks (docs/approval.md, docs/on-behalf-of.md): each attack names the test that shows its defence, and that test is there.

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { projectPath } from "../../src/project.ts";

describe.each(["approval.md", "on-behalf-of.md"])("docs/%s", (page) => {
  const text = readFileSync(projectPath("docs", page), "utf8");
  const table = text.slice(text.indexOf("<!-- attacks: begin -->"), text.indexOf("<!-- attacks: end -->"));
  const rows = [...table.matchAll(/^\| (?<attack>.+?) \| .+? \| `(?<file>test\/[^`]+)`: (?<name>.+?) \|$/gm)].map(
    ({ groups }) => ({ attack: groups!.attack!, file: groups!.file!, name: groups!.name! }),
  );

  test("the table has at least twenty attacks, each once, and a test for each", () => {
    expect(rows.length).toBeGreaterThanOrEqual(20);
    // The first two lines of a table are its head.
    expect(rows.length).toBe(table.match(/^\|/gm)!.length - 2);
    expect(new Set(rows.map(({ attack }) => attack)).size).toBe(rows.length);
  });

  test.each(rows)("$attack: its test is there", ({ file, name }) => {
    expect(readFileSync(projectPath(...file.split("/")), "utf8")).toContain(name);
  });
});
