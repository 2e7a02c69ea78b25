// The project's own manifests. Goal: what deploy/ renders has no findings, and the standard's draft has those that are known. Method: the files as
// they stand.
import { describe, expect, test } from "vitest";
import type { Report } from "../../src/check/report.ts";
import { readSources } from "../../src/check/sources.ts";
import { projectPath } from "../../src/project.ts";
import { examine, told } from "./examine.ts";

const inProject = (...names: string[]): Record<string, string> =>
  Object.fromEntries(
    readSources(names.map((name) => projectPath(...name.split("/")))).sources.map(({ file, text }) => [file, text]),
  );
const verdicts = ({ servers }: Report): string[] => [
  ...new Set(
    servers.map(({ answers }) =>
      Object.values(answers)
        .map(({ verdict }) => verdict)
        .join(", "),
    ),
  ),
];

describe("deploy", () => {
  test("has no findings, in any overlay", async () => {
    const report = await examine(inProject("deploy"), ["role"]);
    expect(told(report)).toEqual([]);
    expect(report.servers.length).toBeGreaterThan(5);
    expect(verdicts(report)).toEqual(["yes, not checked, yes, yes, yes, yes"]);
    expect([...new Set(report.open.map(({ missing }) => missing))]).toEqual(["role"]);
  });

  test("has none with the role of terraform/", async () => {
    const report = await examine(inProject("deploy", "terraform"));
    expect(told(report)).toEqual([]);
    expect(verdicts(report)).toEqual(["yes, yes, yes, yes, yes, yes"]);
    expect(report.open).toEqual([]);
  });

  test("without the approval service nobody is known to approve, in any overlay", async () => {
    const files = Object.entries(inProject("deploy", "terraform")).filter(
      ([file]) => !file.includes("approval-service"),
    );
    const report = await examine(Object.fromEntries(files));
    expect([...new Set(report.findings.map(({ rule }) => rule.id))]).toEqual(["approval-service-missing"]);
    expect(report.findings.length).toBe(report.servers.length);
    expect(verdicts(report)).toEqual(["yes, yes, yes, no, yes, yes"]);
  });
});

test("the standard's draft has the mistakes that are known", async () => {
  const report = await examine(inProject("examples/standard"));
  expect(report.findings.map(({ rule, object }) => `${rule.id}: ${object.split(" ")[0]}`)).toEqual([
    "guard-missing: Deployment",
    "namespace-missing: Deployment",
    "guard-selects-nothing: WasmPlugin",
    "token-mounted: Deployment",
    "no-limits: Deployment",
    "image-not-pinned: Deployment",
    "run-as-root: Deployment",
    "capabilities: Deployment",
    "seccomp: Deployment",
    "service-entry-exported: ServiceEntry",
    "sidecar-not-registry-only: Sidecar",
    "network-policy-missing: Deployment",
    "telemetry-missing: Deployment",
    "mtls-not-strict: Deployment",
    "ingress-policy-missing: Deployment",
    "no-allow-nothing: Deployment",
  ]);
  expect(verdicts(report)).toEqual(["no, no, no, no, no, no"]);
});

test("the standard's draft with labels on its pods has those of the guard and of the caller too", async () => {
  const files = inProject("examples/standard");
  for (const [file, text] of Object.entries(files)) {
    files[file] = text.replace(
      /^( +)template:\n/m,
      "$1template:\n$1  metadata: { labels: { app: github-mcp-server } }\n",
    );
  }
  const { findings } = await examine(files);
  const ids = findings.map(({ rule }) => rule.id);
  expect(ids).not.toContain("guard-missing");
  for (const id of ["guard-not-pinned", "guard-match", "guard-without-human", "allow-without-ports"])
    expect(ids).toContain(id);
});
