// The report of mcp-guard check. Goal: every question is answered by what was looked at, what was not looked at never counts as right, and hostile
// names stay names in every format. Method: the good manifests, with what is missing or wrong.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { FINDINGS_MAX } from "../../src/check/limits.ts";
import { renderJson } from "../../src/check/render-json.ts";
import { renderSarif } from "../../src/check/render-sarif.ts";
import { renderTable, summary } from "../../src/check/render-table.ts";
import { isClean, type Report } from "../../src/check/report.ts";
import { painted, wantsColor } from "../../src/paint.ts";
import { projectPath } from "../../src/project.ts";
import { REQUIRED } from "../config/approval-member.ts";
import { examine, told } from "./examine.ts";

const good = (name: string): string => readFileSync(projectPath("test", "check", "good", name), "utf8");
const SIDECAR = good("sidecar.yaml");
const MESH = good("mesh.yaml");
const ROLE = good("role.tf");
const verdicts = ({ servers }: Report): string[] =>
  servers.map(({ answers }) =>
    Object.values(answers)
      .map(({ verdict }) => verdict)
      .join(" "),
  );
const lines = (report: Report): string[] => renderTable(report).map((spans) => spans.map(({ text }) => text).join(""));

/** The good manifests with approval in mode required, and these members of it instead of its own. */
function asking(members: object): string {
  const approval = JSON.stringify({ ...REQUIRED, ...members });
  return SIDECAR.replace("    unguarded:", `    approval: ${approval}\n    unguarded:`);
}

describe("what was not handed in", () => {
  test("is not checked, and not right", async () => {
    const report = await examine({ "a.yaml": SIDECAR });
    expect(verdicts(report)).toEqual(["yes not checked yes yes not checked yes"]);
    expect(report.findings).toEqual([]);
    expect(isClean(report)).toBe(false);
    expect(summary(report)).toMatch(
      /^1 MCP server, no findings, not answered for want of role \(.*\) and mesh-config \(.*\)$/,
    );
    expect(lines(report)).toContainEqual(expect.stringMatching(/^ {5}needs the role's Terraform/));
  });

  test("can be accepted, by name", async () => {
    const report = await examine({ "a.yaml": SIDECAR }, ["role", "mesh-config"]);
    expect(verdicts(report)).toEqual(["yes not checked yes yes not checked yes"]);
    expect(isClean(report)).toBe(true);
    expect(summary(report)).toBe("1 MCP server, no findings, accepted as missing: role, mesh-config");
    expect(isClean(await examine({ "a.yaml": SIDECAR }, ["role"]))).toBe(false);
    expect(isClean(await examine({ "a.yaml": SIDECAR }, ["mesh-config"]))).toBe(false);
  });

  test.each([
    [
      "a subject",
      ROLE.replace('"system:serviceaccount:desk:tickets-sa"', "var.subject").replace("tickets-role", "other-role"),
    ],
    ["a name", ROLE.replace('"tickets-role"', "var.name").replace("desk:tickets-sa", "desk:reports-sa")],
    ["a trust policy", ROLE.replace("data.aws_iam_policy_document.trust.json", "var.trust")],
  ])("is not checked when %s depends on it", async (_, role) => {
    const report = await examine({
      "a.yaml": SIDECAR.replace(
        "    eks.amazonaws.com/role-arn: arn:aws:iam::123456789012:role/tickets-role\n",
        role.includes("var.trust") ? "    eks.amazonaws.com/role-arn: tickets-role\n" : "    x: y\n",
      ),
      "mesh.yaml": MESH,
      "role.tf": role,
    });
    expect(report.findings).toEqual([]);
    expect(report.open.map(({ missing }) => missing)).toContain("role");
    expect(isClean(report)).toBe(false);
  });

  test("a server is no success", async () => {
    const report = await examine({ "a.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: { name: desk }\n" });
    expect(isClean(report)).toBe(false);
    expect(summary(report)).toBe("found no MCP server: nothing was answered");
  });

  test("Helm values and an IstioOperator have the mesh configuration as well", async () => {
    const inner = MESH.slice(MESH.indexOf("    outboundTrafficPolicy"));
    for (const mesh of [
      `meshConfig:\n${inner}`,
      `apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nmetadata: { name: istio }\nspec:\n  meshConfig:\n${inner.replaceAll(/^/gm, "  ")}`,
    ]) {
      expect(isClean(await examine({ "a.yaml": SIDECAR, "mesh.yaml": mesh, "role.tf": ROLE }))).toBe(true);
      expect(
        told(await examine({ "a.yaml": SIDECAR, "mesh.yaml": mesh.replace("PLAIN", "TYPED"), "role.tf": ROLE })),
      ).toEqual([expect.stringMatching(/^audit-format .* mesh\.yaml:\d+$/)]);
    }
  });
});

describe("question 4", () => {
  test.each([
    ["no tool of a high risk", SIDECAR.replace("    - delete_ticket\n", ""), "yes", /^nothing to approve/],
    ["a tool of a high risk", SIDECAR, "yes", /^closed: calls of delete_ticket are listed and refused/],
    [
      "many of them",
      SIDECAR.replace("    - delete_ticket\n", Array.from({ length: 9 }, (_, i) => `    - execute_${i}\n`).join("")),
      "yes",
      /execute_4 and 4 more/,
    ],
    ["a human who is asked with a key that is none", asking({ keys: [{ kid: "a", spki: "MFkw" }] }), "no", /^$/],
    ["a human who is asked without a key", asking({ keys: undefined }), "no", /^$/],
    [
      "the decision to ask nobody",
      SIDECAR.replace("    unguarded:", '    approval: { mode: "off" }\n    unguarded:'),
      "no",
      /^$/,
    ],
    ["no guard", SIDECAR.replaceAll("WasmPlugin", "Secret"), "no", /^$/],
  ])("%s", async (_, objects, verdict, note) => {
    const { servers } = await examine({ "a.yaml": objects, "mesh.yaml": MESH, "role.tf": ROLE });
    expect(servers.map(({ answers }) => answers.approval)).toEqual([{ verdict, note: expect.stringMatching(note) }]);
  });
});

describe("a finding", () => {
  test("about several servers is told once", async () => {
    const second = SIDECAR.split("---\n").find((text) => text.includes("kind: Deployment")) ?? "";
    const objects = `${SIDECAR.replace("PeerAuthentication\nmetadata:\n  name: default\n  namespace: desk", "PeerAuthentication\nmetadata:\n  name: default\n  namespace: office")}---\n${second.replace("  name: tickets\n", "  name: tickets-two\n").replace("tickets-sa", "two-sa")}`;
    const { findings } = await examine({ "a.yaml": objects.replace("FAIL_RELOAD", "FAIL_OPEN"), "mesh.yaml": MESH }, [
      "role",
    ]);
    expect(findings.filter(({ rule }) => rule.id === "guard-fail-open").map(({ servers }) => servers)).toEqual([
      ["Deployment desk/tickets", "Deployment desk/tickets-two"],
    ]);
    expect(findings.filter(({ rule }) => rule.id === "mtls-not-strict").length).toBe(2);
  });

  test("stands in the order of the questions, then of files and lines", async () => {
    const { findings } = await examine({
      "a.yaml": SIDECAR.replace("FAIL_RELOAD", "FAIL_OPEN")
        .replace("STRICT", "DISABLE")
        .replace("  exportTo:\n  - .\n", "")
        .replace("phase: STATS", "phase: AUTHN"),
      "mesh.yaml": MESH,
      "role.tf": ROLE,
    });
    expect(findings.map(({ rule }) => rule.id)).toEqual([
      "guard-phase",
      "guard-fail-open",
      "service-entry-exported",
      "mtls-not-strict",
    ]);
  });

  test("never has the value of a variable, and is cut", async () => {
    const secret = `ghp_${"s3cr3t".repeat(10)}`;
    const report = await examine({
      "a.yaml": SIDECAR.replace("value: info", `value: ${secret}`).replace(
        "oci://registry.example/filter@sha256",
        `oci://${"x".repeat(9000)}:`,
      ),
      "mesh.yaml": MESH,
      "role.tf": ROLE,
    });
    expect(report.findings.map(({ rule }) => rule.id).sort()).toEqual(["guard-not-pinned", "static-credential"]);
    for (const text of [lines(report).join("\n"), renderJson(report), renderSarif(report)])
      expect(text).not.toContain("s3cr3t");
    expect(Math.max(...report.findings.map(({ found }) => found.length))).toBeLessThan(600);
  });

  test("beyond the bound is counted", async () => {
    const pods = Array.from(
      { length: 500 },
      (_, i) => `---\napiVersion: v1\nkind: Pod\nmetadata: { name: mcp-${i} }\nspec: { containers: [{ name: a }] }\n`,
    ).join("");
    const report = await examine({ "a.yaml": pods });
    expect(report.findings.length).toBe(FINDINGS_MAX);
    expect(report.more).toBeGreaterThan(0);
    expect(lines(report)).toContain(`and ${report.more} more findings`);
    expect(JSON.parse(renderJson(report)).more_findings).toBe(report.more);
  });
});

describe("overlays of one base", () => {
  test("are answered one by one", async () => {
    const report = await examine({
      "one.yaml": SIDECAR,
      "two.yaml": SIDECAR.replace("FAIL_RELOAD", "FAIL_OPEN"),
      "mesh.yaml": MESH,
      "role.tf": ROLE,
    });
    expect(report.servers.map(({ deployment, answers }) => `${deployment} ${answers.schema.verdict}`)).toEqual([
      "one.yaml yes",
      "two.yaml no",
    ]);
    expect(told(report)).toEqual(["guard-fail-open WasmPlugin desk/lock two.yaml:96"]);
  });
});

describe("formats", () => {
  const ESCAPE = String.fromCharCode(27);
  const EVIL = "a\\e[31m\\u202ered\\nb";
  const hostile = (): Promise<Report> =>
    examine({
      "dir with space/a%.yaml": SIDECAR.replaceAll("name: lock", `name: "mcp-guard ${EVIL}"`)
        .replace("oci://registry.example/filter@sha256", `oci://x:`)
        .replaceAll("name: tickets\n", `name: "mcp ${EVIL}"\n`)
        .replace("- list_tickets", `- "*${EVIL}"`),
    });

  test("a terminal never gets control characters of manifests", async () => {
    const report = await hostile();
    const all = renderTable(report).map(painted).join("\n");
    expect(report.findings.length).toBeGreaterThan(1);
    expect(all.replaceAll(new RegExp(`${ESCAPE}\\[\\d+m`, "g"), "")).not.toMatch(/[\p{Cc}\p{Cf}](?<!\n)/u);
    expect(all).not.toContain(`${ESCAPE}[31mred`);
    expect(all).not.toContain("\nb");
  });

  test("JSON has all that the table has", async () => {
    const report = await hostile();
    const value = JSON.parse(renderJson(report));
    expect(value.findings.length).toBe(report.findings.length);
    expect(value.findings[0]).toEqual({
      rule: expect.any(String),
      questions: expect.any(Array),
      object: expect.any(String),
      file: "dir with space/a%.yaml",
      line: expect.any(Number),
      column: expect.any(Number),
      found: expect.any(String),
      why: expect.any(String),
      mend: expect.any(String),
      servers: expect.any(Array),
    });
    expect(value.servers[0].answers.map(({ question }: { question: string }) => question)).toEqual([
      "schema",
      "identity",
      "egress",
      "approval",
      "trace",
      "caller",
    ]);
    expect(value.not_checked.map(({ missing }: { missing: string }) => missing)).toEqual(["role", "mesh-config"]);
  });

  test("SARIF has rules, results and places", async () => {
    const report = await hostile();
    const log = JSON.parse(renderSarif(report));
    expect(log.version).toBe("2.1.0");
    const [run] = log.runs;
    expect(run.results.length).toBe(report.findings.length + report.open.length);
    for (const { ruleId, ruleIndex, kind, level, message, locations } of run.results) {
      expect(run.tool.driver.rules[ruleIndex].id).toBe(ruleId);
      // SARIF 2.1.0 section 3.27.10: a level is none exactly when the kind is not fail.
      expect(level).toBe(kind === "fail" ? "error" : "none");
      expect(message.text).not.toBe("");
      const { artifactLocation, region } = locations[0].physicalLocation;
      expect(artifactLocation.uri).toBe("dir%20with%20space/a%25.yaml");
      expect(region.startLine).toBeGreaterThan(0);
      expect(region.startColumn).toBeGreaterThan(0);
    }
    expect(run.results.map(({ kind }: { kind: string }) => kind)).toContain("open");
  });

  test.each<[string, boolean, NodeJS.ProcessEnv, boolean]>([
    ["a terminal", true, {}, true],
    ["a pipe", false, {}, false],
    ["NO_COLOR", true, { NO_COLOR: "1" }, false],
    ["an empty NO_COLOR", true, { NO_COLOR: "" }, true],
    ["a dumb terminal", true, { TERM: "dumb" }, false],
  ])("colours on %s", (_, isTerminal, env, expected) => {
    expect(wantsColor(isTerminal, env)).toBe(expected);
  });
});
