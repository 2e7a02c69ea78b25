// The method table of the pages is the one that src/policy/method-table.ts makes. After a change, UPDATE_DOCS=1 writes it
// into them.
import { readFileSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { renderMethodTable } from "../../src/policy/method-table.ts";
import { projectPath } from "../../src/project.ts";

const BLOCK = /(<!-- method table: begin -->\n\n)[\s\S]*?(\n\n<!-- method table: end -->)/;

/** What the pages show: the standard's two-line policy. */
const TABLE = renderMethodTable({ tool_allowlist: ["search_code", "get_pull_request"] }).join("\n");

test.each(["docs/policy.md", "README.md"])("%s has the table as it is generated", (page) => {
  const text = readFileSync(projectPath(page), "utf8");
  expect(text.match(new RegExp(BLOCK, "g")), "one block").toHaveLength(1);
  const written = text.replace(BLOCK, (_, begin: string, end: string) => `${begin}${TABLE}${end}`);
  if (process.env.UPDATE_DOCS === "1") writeFileSync(projectPath(page), written);
  else expect(text).toBe(written);
});
