// The alert rules and the dashboard of deploy/observability/: each metric that they ask for is one that a real Envoy or the approval service exposes, each alert has a
// unit test in which it fires, and Prometheus' own tool runs those.
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { beforeAll, describe, expect, test } from "vitest";
import { createMetrics } from "../../approval/metrics.ts";
import { buildBootstrap, connectionManager } from "../../src/envoy/bootstrap.ts";
import { startEnvoy } from "../../src/envoy/process.ts";
import { projectPath } from "../../src/project.ts";
import { debianProgram, ProgramUnavailableError } from "../debian-program.ts";
import { testedVersions } from "../versions.ts";
import { metricsOf, panels, RULE_TESTS, RULES, rules, testedAlerts } from "./rules.ts";

/** Only an Envoy that gets a filter by discovery has it: test/integration/configuration.test.ts. */
const DISCOVERY = "envoy_extension_config_discovery_http_filter_.+_config_fail";

/** The service's own metrics: no Envoy has them. */
const isOfService = (metric: string): boolean => metric.startsWith("mcp_guard_approval_");

const expressions = [
  ...rules.map(({ alert, expr }) => [alert, expr] as const),
  ...panels.flatMap(({ title, targets }) => targets.map(({ expr }) => [title, expr] as const)),
];

test("every alert has a test in which it fires", () => {
  expect(rules.map(({ alert }) => alert).filter((alert) => !testedAlerts.includes(alert))).toEqual([]);
});

test("every expression asks for a metric", () => {
  expect(expressions.filter(([, expression]) => metricsOf(expression).length === 0)).toEqual([]);
});

test("each metric of the approval service that is asked for is one that it has", async () => {
  const { registry } = createMetrics({ pendingCount: async () => 0 });
  const exposed = (await registry.metrics()).matchAll(/^(\w+)/gm);
  const names = new Set([...exposed].map(([name]) => name));
  const asked = expressions.flatMap(([, expression]) => metricsOf(expression).filter(isOfService));
  expect(asked.length).toBeGreaterThan(0);
  expect(asked.filter((name) => !names.has(name))).toEqual([]);
});

test("no panel lies on another", () => {
  const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
    Array.from({ length: w * h }, (_, index) => `${x + (index % w)} ${y + Math.floor(index / w)}`),
  );
  expect(new Set(cells).size).toBe(cells.length);
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
});

describe.each(testedVersions())("Envoy %s", (version) => {
  /** What Envoy exposes with its default tags, and without them, as Istio has it. */
  const pages: string[] = [];
  const exposed = new Set<string>();

  beforeAll(async () => {
    for (const hasTags of [true, false]) {
      const page = await pageOf(version, hasTags);
      pages.push(page);
      for (const [, name] of page.matchAll(/^(\w+)\{/gm)) exposed.add(name!);
    }
  });

  test("tells the filter that stands in for the guard by a label, or by the name", () => {
    expect(pages[0]).toMatch(/^envoy_http_rbac_denied\{[^}]*envoy_rbac_http_prefix="wasm-default-deny"/m);
    expect(pages[1]).toMatch(/^envoy_http_guard_rbac_wasm_default_deny_denied\{\}/m);
  });

  test.each(expressions)("exposes what is asked for: %s", (_title, expression) => {
    const missing = metricsOf(expression)
      .filter((metric) => metric !== DISCOVERY && !isOfService(metric))
      .filter((metric) => ![...exposed].some((name) => new RegExp(`^(?:${metric})$`).test(name)));
    expect(missing).toEqual([]);
  });
});

/** The page for Prometheus of an Envoy with a guard, and with the filter that Istio puts in its place when it cannot be fetched. */
async function pageOf(version: string, hasTags: boolean): Promise<string> {
  const bootstrap = buildBootstrap({
    template: "test",
    wasmPath: projectPath("build", "plugin.wasm"),
    upstream: { host: "127.0.0.1", port: 1 },
    guards: ["guarded", "stand-in"].map((name) => ({
      name,
      listenPort: 0,
      configuration: { tool_allowlist: ["a"] },
    })),
  });
  const listener = bootstrap.static_resources.listeners.find(({ name }) => name === "stand-in")!;
  const manager = connectionManager(listener);
  const standIn = {
    name: "stand-in",
    typed_config: {
      "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
      rules: {},
      rules_stat_prefix: "wasm-default-deny",
    },
  };
  manager.http_filters = [standIn, manager.http_filters.at(-1)!] as typeof manager.http_filters;
  if (!hasTags) Object.assign(bootstrap, { stats_config: { use_all_default_tags: false } });
  const envoy = await startEnvoy({ bootstrap, version });
  try {
    return await (await fetch(`${envoy.adminUrl}/stats/prometheus`)).text();
  } finally {
    await envoy.stop();
  }
}

const promtool = await debianProgram({ program: "promtool", package: "prometheus", environment: "PROMTOOL" }).catch(
  (error: unknown) => {
    if (!(error instanceof ProgramUnavailableError)) throw error;
    console.log(`not run: what needs promtool: ${error.message}`);
    return undefined;
  },
);

if (promtool !== undefined) {
  const run = promisify(execFile);

  test("promtool finds no mistake in the rules", async () => {
    const { stdout } = await run(promtool, ["check", "rules", RULES]);
    expect(stdout).toContain(`SUCCESS: ${rules.length} rules found`);
  });

  test("promtool runs their tests", async () => {
    const { stdout } = await run(promtool, ["test", "rules", RULE_TESTS]);
    expect(stdout).toContain("SUCCESS");
  });
}
