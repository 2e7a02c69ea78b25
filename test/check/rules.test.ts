// The rules of mcp-guard check. Goal: the good manifests have no findings, and each rule finds what is wrong in its way, that and nothing else,
// whatever things are called. Method: the good sets of good/, and one change of them for each way (broken.ts).
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { QUESTIONS, type Question } from "../../src/check/rule.ts";
import { RULES, WORLD_RULES } from "../../src/check/rules/all.ts";
import { projectPath } from "../../src/project.ts";
import { BROKEN, type Broken, type Edit, SOUND } from "./broken.ts";
import { examine, told } from "./examine.ts";

type Files = Record<string, string>;

const good = (name: string): string => readFileSync(projectPath("test", "check", "good", name), "utf8");
const set = (name: "sidecar" | "waypoint"): Files => ({
  "objects.yaml": good(`${name}.yaml`),
  "mesh.yaml": good("mesh.yaml"),
  "role.tf": good("role.tf"),
});

/** A good set with changes. */
function broken({ set: name, edits }: Pick<Broken, "set" | "edits">): Files {
  const files = set(name === "waypoint" ? "waypoint" : "sidecar");
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
};

function renamed(text: string): string {
  return text.replaceAll(
    new RegExp(`(?<![A-Za-z])(?:${Object.keys(NAMES).join("|")})(?![a-z])`, "g"),
    (name) => NAMES[name] ?? name,
  );
}

describe.each(["sidecar", "waypoint"] as const)("the good set %s", (name) => {
  test("has no findings and no open questions but approval", async () => {
    const { findings, open, servers } = await examine(set(name));
    expect([findings, open]).toEqual([[], []]);
    expect(
      servers.map(({ answers }) => Object.entries(answers).map(([question, { verdict }]) => `${question}: ${verdict}`)),
    ).toEqual([
      [
        "schema: yes",
        "identity: yes",
        "egress: yes",
        "approval: not available in this version",
        "trace: yes",
        "caller: yes",
      ],
    ]);
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

  test("has a broken set for each", () => {
    const missing = all.filter(({ id }) => !BROKEN.some(({ rule }) => rule === id)).map(({ id }) => id);
    expect(missing).toEqual([]);
  });
});
