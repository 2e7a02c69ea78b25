// The rules of mcp-guard check. Goal: the good manifests have no findings, and each rule finds what is wrong in its way, that and nothing else,
// whatever things are called. Method: the good sets of good/, and one change of them for each way (broken.ts).
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { QUESTIONS, type Question } from "../../src/check/rule.ts";
import { RULES, WORLD_RULES } from "../../src/check/rules/all.ts";
import { HELD } from "../../src/check/rules/approval-service.ts";
import { projectPath } from "../../src/project.ts";
import { REQUIRED } from "../config/approval-member.ts";
import { BROKEN, type Broken, type Edit, SOUND } from "./broken.ts";
import { ASKED, ASKED_HOST, WEAK } from "./broken-service.ts";
import { EXCHANGING, PROXY } from "./broken-tokens.ts";
import { examine, told } from "./examine.ts";

type Files = Record<string, string>;

/**
 * The good sets: `asking` is `sidecar` and `asking-waypoint` is `waypoint`, with a policy that asks for approvals, and the service that is asked;
 * `exchanging` is `sidecar` with a guard that exchanges tokens.
 */
const SETS = ["sidecar", "waypoint", "asking", "asking-waypoint", "exchanging"] as const;

const good = (name: string): string => readFileSync(projectPath("test", "check", "good", name), "utf8");
const set = (name: (typeof SETS)[number]): Files => ({
  "objects.yaml": objects(name),
  "mesh.yaml": good("mesh.yaml"),
  "role.tf": good("role.tf"),
});

function objects(name: (typeof SETS)[number]): string {
  if (name === "sidecar" || name === "waypoint") return good(`${name}.yaml`);
  if (name !== "exchanging") return asking(name === "asking-waypoint");
  const files = { "objects.yaml": good("sidecar.yaml") };
  for (const edit of EXCHANGING) apply(files, edit);
  return files["objects.yaml"];
}

/** A good set that asks for approvals, and the service in front of it, so that what a row adds comes last. */
function asking(isWaypoint: boolean): string {
  const service = good("approval.yaml");
  const member = `approval: ${JSON.stringify({ ...REQUIRED, service: ASKED })}`;
  if (isWaypoint) {
    const byWaypoint = service
      .replace("/sa/tickets-sa", "/sa/turnpike")
      .replace("          app: tickets\n", "          gateway.networking.k8s.io/gateway-name: turnpike\n");
    return `${byWaypoint}---\n${good("waypoint.yaml").replace("      unguarded:\n", `      ${member}\n      unguarded:\n`)}`;
  }
  const guarded = good("sidecar.yaml").replace("    unguarded:\n", `    ${member}\n    unguarded:\n`);
  return `${service}---\n${guarded.replace("    - ./tracker.example\n", `    - ./tracker.example\n    - counter/${ASKED_HOST}\n`)}`;
}

/** A good set with changes. */
function broken({ set: name, edits }: Pick<Broken, "set" | "edits">): Files {
  const files = set(name ?? "sidecar");
  for (const edit of edits) apply(files, edit);
  return files;
}

function apply(files: Files, { file: name, from, to }: Edit): void {
  const file = name ?? "objects.yaml";
  const before = files[file] ?? "";
  if (from === undefined) {
    files[file] = before + to;
    return;
  }
  const pieces = before.split(from);
  expect(pieces.length, `${file} has this once: ${from}`).toBe(2);
  files[file] = pieces.join(to);
}

/** Names of the good sets, and others of other lengths in their place. */
const NAMES: Readonly<Record<string, string>> = {
  tickets: "wx",
  desk: "back-office-7",
  door: "d",
  porter: "concierge",
  turnpike: "toll",
  reports: "rp",
  office: "elsewhere",
  letters: "mail",
  ledger: "book",
  tracker: "hound",
  lock: "latch",
  clerk: "notary",
  counter: "till",
  hall: "lobby",
  usher: "doorkeeper",
  mint: "stamping-mill",
};

function renamed(text: string): string {
  return text.replaceAll(
    new RegExp(`(?<![A-Za-z])(?:${Object.keys(NAMES).join("|")})(?![a-z])`, "g"),
    (name) => NAMES[name] ?? name,
  );
}

describe.each(SETS)("the good set %s", (name) => {
  test("has no findings and no open questions", async () => {
    const { findings, open, servers } = await examine(set(name));
    expect([findings, open]).toEqual([[], []]);
    expect(
      servers.map(({ answers }) => Object.entries(answers).map(([question, { verdict }]) => `${question}: ${verdict}`)),
    ).toEqual([["schema: yes", "identity: yes", "egress: yes", "approval: yes", "trace: yes", "caller: yes"]]);
  });

  test("has none under other names", async () => {
    const files = Object.fromEntries(Object.entries(set(name)).map(([file, text]) => [file, renamed(text)]));
    expect(files["objects.yaml"]).not.toMatch(/tickets|desk|porter/);
    expect(told(await examine(files))).toEqual([]);
  });
});

describe.each(SOUND.map((row) => [row.what, row] as const))("sound: %s", (_, row) => {
  test("has no findings", async () => {
    const report = await examine(broken(row));
    expect(told(report)).toEqual([]);
    expect(report.open).toEqual([]);
  });
});

describe.each(BROKEN.map((row) => [`${row.rule}: ${row.what}`, row] as const))("%s", (_, row) => {
  const rules = [row.rule, ...(row.also ?? [])];

  test("is found, and nothing else", async () => {
    const { findings, servers } = await examine(broken(row));
    expect([...new Set(findings.map(({ rule }) => rule.id))].sort()).toEqual([...rules].sort());
    expect(findings.filter(({ rule }) => rule.id === row.rule).length).toBe(row.count ?? 1);
    for (const { place, found, object, rule } of findings) {
      expect(place.line).toBeGreaterThan(0);
      expect(found).toMatch(/^found |: found /);
      expect(object).not.toBe("");
      for (const question of rule.id === "guard-selects-nothing" ? [] : rule.questions) {
        expect(
          servers.every(({ answers }) => answers[question].verdict === "no"),
          question,
        ).toBe(true);
      }
    }
  });

  test("is found under other names, at the same place", async () => {
    const files = broken(row);
    const other = Object.fromEntries(Object.entries(files).map(([file, text]) => [file, renamed(text)]));
    const places = ({ findings }: Awaited<ReturnType<typeof examine>>) =>
      findings.map(({ rule, place }) => `${rule.id} ${place.file}:${place.line}`).sort();
    expect(places(await examine(other))).toEqual(places(await examine(files)));
  });
});

test("the answer about least privilege names the credentials of the server's own, unless its guard exchanges tokens", async () => {
  const noteOf = async (files: Files): Promise<string | undefined> =>
    (await examine(files)).servers[0]?.answers.identity.note;
  expect(await noteOf(set("sidecar"))).toMatch(/^has SESSION_KEY from a Secret: /);
  expect(await noteOf(set("exchanging"))).toBe("");
  // What the proxy has is the guard's, and not every variable from a Secret is a credential.
  const more = "        - { name: GREETING, valueFrom: { secretKeyRef: { name: texts, key: greeting } } }\n";
  const edits = [
    { from: "      - name: server\n", to: `${PROXY.replaceAll("CLIENT_PASS", "CLIENT_SECRET")}      - name: server\n` },
    { from: "        - name: TLS_KEY\n", to: `${more}        - name: TLS_KEY\n` },
  ];
  expect(await noteOf(broken({ edits }))).toMatch(/^has SESSION_KEY from a Secret: /);
});

test("what is wrong with a service that two servers ask is told once, for both, and the account of either may ask", async () => {
  const approval = { ...REQUIRED, service: ASKED };
  const metadata = { name: "letters", namespace: "desk", labels: { app: "letters" } };
  const second = [
    { apiVersion: "v1", kind: "Pod", metadata, spec: { serviceAccountName: "letters-sa", containers: [] } },
    {
      apiVersion: "extensions.istio.io/v1alpha1",
      kind: "WasmPlugin",
      metadata,
      spec: { selector: { matchLabels: { app: "letters" } }, pluginConfig: { tool_allowlist: [], approval } },
    },
  ];
  const files = set("asking");
  const both =
    "[cluster.local/ns/desk/sa/tickets-sa, cluster.local/ns/desk/sa/letters-sa, cluster.local/ns/door/sa/porter]";
  apply(files, { from: "[cluster.local/ns/desk/sa/tickets-sa]", to: both });
  apply(files, { to: second.map((object) => `---\n${JSON.stringify(object)}\n`).join("") });
  const { findings } = await examine(files);
  const open = findings.filter(({ rule }) => rule.id.startsWith("approval-filter-"));
  expect(open.map(({ rule, found, servers }) => [rule.id, found.split(" ")[1], servers])).toEqual([
    [
      "approval-filter-open",
      "cluster.local/ns/door/sa/porter",
      expect.arrayContaining(["Deployment desk/tickets", "Pod desk/letters"]),
    ],
  ]);
});

describe("the list of rules", () => {
  const all = [...RULES, ...WORLD_RULES];

  test("has each once, with a name in kebab case, a reason and a way to mend it", () => {
    const ids = all.map(({ id }) => id);
    expect(ids.filter((id, index) => ids.indexOf(id) !== index)).toEqual([]);
    for (const { id, why, mend, questions } of all) {
      expect(id).toMatch(/^[a-z]+(-[a-z]+)*$/);
      expect(why).toMatch(/^[A-Z].*\.$/);
      expect(mend).toMatch(/^[A-Z].*[.…]$/);
      for (const question of questions) expect(Object.keys(QUESTIONS)).toContain(question satisfies Question);
    }
  });

  test("has a broken service for each rule that holds for it too", () => {
    expect(WEAK.map(({ rule }) => rule).sort()).toEqual([...HELD].sort());
  });

  test("has a broken set for each", () => {
    const missing = all.filter(({ id }) => !BROKEN.some(({ rule }) => rule === id)).map(({ id }) => id);
    expect(missing).toEqual([]);
  });
});
