// docs/operations.md and docs/metrics.md against the filter and the approval service: the metrics, the decisions and the log lines that it names.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { createMetrics } from "../../approval/metrics.ts";
import { Vm } from "../../src/host/index.ts";
import { projectPath } from "../../src/project.ts";

const PAGE = readFileSync(projectPath("docs", "operations.md"), "utf8");
const [METRICS = "", SERVICE_METRICS = ""] = readFileSync(projectPath("docs", "metrics.md"), "utf8").split(
  "\n## The approval service's\n",
);
const REASONS = readFileSync(projectPath("docs", "reasons.md"), "utf8");

function started(configuration: string): Vm {
  const vm = Vm.load(readFileSync(projectPath("build", "plugin.wasm")));
  vm.startPlugin(configuration);
  return vm;
}

test("every metric of the filter is described, and no other", () => {
  const table = PAGE.split("| decision | meaning |")[1]?.split("\n\n")[0] ?? "";
  const decisions = [...table.matchAll(/^\| `(\w+)` \|/gm)].map((match) => `mcp_guard_decision_${match[1]}`);
  const reasons = [...REASONS.matchAll(/^### `(\w+)`$/gm)].map((match) => `mcp_guard_reason_${match[1]}`);
  const names = started('{"tool_allowlist":[]}').metrics.names();
  const fixed = names.filter((name) => !name.startsWith("mcp_guard_info.policy."));
  const others = describedIn(METRICS);
  expect(others.length).toBe(17);
  expect(fixed.sort()).toEqual([...decisions, ...reasons, ...others].sort());
  expect(names.length - fixed.length).toBe(1);
});

test("every metric of the approval service is described, and no other, with each of its outcomes", async () => {
  const { registry } = createMetrics({ pendingCount: async () => 0 });
  const metrics = (await registry.getMetricsAsJSON()).filter(({ name }) => !/^(process|nodejs)_/.test(name));
  expect(describedIn(SERVICE_METRICS).sort()).toEqual(metrics.map(({ name }) => name).sort());
  for (const { name, values } of metrics) {
    const row = SERVICE_METRICS.split("\n").find((line) => line.startsWith(`| \`${name}\``)) ?? "";
    for (const { labels } of values)
      for (const outcome of Object.values(labels)) expect(row).toContain(`\`${outcome}\``);
  }
});

/** The metrics that have a row in a table. */
function describedIn(page: string): string[] {
  const rows = [...page.matchAll(/^\| ((?:`mcp_guard_\w+`(?:, )?)+) \| (?:counter|gauge|histogram) \|/gm)];
  return rows.flatMap((row) => [...(row[1] ?? "").matchAll(/`(\w+)`/g)].map((match) => match[1] ?? ""));
}

test("the log lines of a configuration are the filter's own", () => {
  const flagged = '{"tool_allowlist":["search_code","delete_repo"],"unguarded":[{"methods":["POST"],"path":"/a"}]}';
  for (const configuration of [flagged, '{"tool_allowlist":["a","b"],"mode":"monitor"}', '{"tool_alowlist":[]}']) {
    const { logs } = started(configuration);
    expect(logs.length).toBeGreaterThan(0);
    for (const { level, message } of logs) {
      const words = message.replace(/policy [0-9a-f]{16}/, "policy DIGEST");
      const shown = PAGE.replaceAll(/policy [0-9a-f]{16}/g, "policy DIGEST");
      expect(shown).toMatch(new RegExp(`\\[${level}(ing)?\\] +${escapeRegExp(words)}\n`));
    }
  }
});

function escapeRegExp(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
