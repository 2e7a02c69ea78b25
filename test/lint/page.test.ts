// docs/commands.md about mcp-guard policy lint and mcp-guard probe, against the code.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { policyLint } from "../../src/cli/commands/policy-lint.ts";
import { Linter } from "../../src/lint/lint.ts";
import { RULES } from "../../src/lint/rules.ts";
import { FINDINGS } from "../../src/probe/findings.ts";
import { projectPath } from "../../src/project.ts";

const PAGE = readFileSync(projectPath("docs", "commands.md"), "utf8");
const ERRORS = ["encoding", "yaml", "resource", "filter", "schema"];

/** The part of the page about one command. */
function section(command: string): string {
  return PAGE.split(`\n## \`mcp-guard ${command}\`\n`)[1]?.split(/^## /m)[0] ?? "";
}

test("the page has each rule with its severity and what it is about, in their order", () => {
  const rows = [...section("policy lint").matchAll(/^\| `([a-z-]+)` \| (\w+) \| (.*) \|$/gm)].map(
    ([, ...cells]) => cells,
  );
  expect(rows.map(([name]) => name)).toEqual(Object.keys(RULES));
  for (const [name = "", severity, about] of rows) {
    expect([name, severity]).toEqual([name, ERRORS.includes(name) ? "error" : "warning"]);
    expect(about?.startsWith(RULES[name as keyof typeof RULES]), name).toBe(true);
  }
});

test("the page has each finding of a probe, in their order", () => {
  const rows = [...section("probe").matchAll(/^\| `(\w+)` \| ([013]) \| (.*) \|$/gm)].map(([, ...cells]) => cells);
  const findings = rows.slice(4);
  expect(rows.slice(0, 4).map(([name, status]) => [name, status])).toEqual([
    ["enforces", "0"],
    ["monitors", "1"],
    ["absent", "1"],
    ["unknown", "3"],
  ]);
  expect(findings.map(([name, , about]) => [name, about])).toEqual(Object.entries(FINDINGS));
});

describe("the example of a lint", () => {
  test("is what the command prints", async () => {
    const example = /^```text\n(place .*?)\n```$/ms.exec(section("policy lint"))?.[1] ?? "";
    const folder = mkdtempSync(path.join(tmpdir(), "mcp-guard-page-"));
    const file = path.join(folder, "policy.yaml");
    writeFileSync(file, 'tool_allowlist: [echo, "get_*"]\nmode: monitors\n');
    const out: string[] = [];
    const context = {
      out: (line: string) => void out.push(line),
      warn() {},
      status() {},
      env: {},
      signal: new AbortController().signal,
    };
    try {
      await policyLint([file], context);
    } finally {
      rmSync(folder, { recursive: true });
    }
    // The width of the first column depends on where the file lies.
    const shown = (lines: readonly string[]) => lines.map((line) => line.replaceAll(/ {2,}|-{3,}/g, " "));
    expect(shown(out.map((line) => line.replace(`${folder}${path.sep}`, "")))).toEqual(shown(example.split("\n")));
  });
});

test("the example of a word in quotes is one that the linter takes", () => {
  const resource = (word: string) =>
    `apiVersion: extensions.istio.io/v1alpha1\nkind: WasmPlugin\nspec: { pluginConfig: { tool_allowlist: [delete_it], approval: {mode: ${word}} } }`;
  const linter = new Linter(readFileSync(projectPath("build", "plugin.wasm")));
  const lint = (text: string) => linter.lint({ name: "p", bytes: Buffer.from(text), isJson: false }).findings;
  expect(PAGE).toContain('`approval: {mode: "off"}`');
  expect(lint(resource('"off"'))).toEqual([]);
  expect(lint(resource("off")).map(({ rule }) => rule)).toEqual(["filter"]);
});
