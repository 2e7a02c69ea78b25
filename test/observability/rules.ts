// The metrics that deploy/observability/ asks Prometheus for.
import { readFileSync } from "node:fs";
import { parse } from "yaml";
import { projectPath } from "../../src/project.ts";

export const RULES = projectPath("deploy", "observability", "alerts.yaml");
export const RULE_TESTS = projectPath("deploy", "observability", "alerts.test.yaml");

interface Rule {
  readonly alert: string;
  readonly expr: string;
}

interface Panel {
  readonly id: number;
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets: readonly { readonly expr: string }[];
}

const read = (file: string): string => readFileSync(file, "utf8");

export const rules: readonly Rule[] = (parse(read(RULES)) as { groups: { rules: Rule[] }[] }).groups.flatMap(
  (group) => group.rules,
);

export const panels: readonly Panel[] = (
  JSON.parse(read(projectPath("deploy", "observability", "dashboard.json"))) as { panels: Panel[] }
).panels;

/** The alerts for which a unit test expects that they fire. */
export const testedAlerts: readonly string[] = (
  parse(read(RULE_TESTS)) as { tests: { alert_rule_test: { alertname: string; exp_alerts?: object[] }[] }[] }
).tests.flatMap(({ alert_rule_test }) =>
  alert_rule_test.filter(({ exp_alerts }) => exp_alerts !== undefined).map(({ alertname }) => alertname),
);

/** The metrics of an expression that are the filter's or Envoy's, each as a pattern for a whole name: as it stands there, or each alternative of a `__name__` matcher. */
export function metricsOf(expression: string): string[] {
  const matched = [...expression.matchAll(/__name__=~"([^"]+)"/g)].flatMap(([, pattern = ""]) => alternatives(pattern));
  const bare = expression.replaceAll(/"[^"]*"/g, "").replaceAll(/\{[^}]*\}|\[[^\]]*\]/g, "");
  const named = [...bare.matchAll(/\b(?:mcp_guard|envoy)_\w+\b/g)].map(([name]) => name);
  return [...named, ...matched];
}

/** `a_(b|c)` as `a_b` and `a_c`. */
function alternatives(pattern: string): string[] {
  const [, before, inside, after] = /^(\w*)\((\w+(?:\|\w+)+)\)(\w*)$/.exec(pattern) ?? [];
  return inside === undefined ? [pattern] : inside.split("|").map((each) => `${before}${each}${after}`);
}
