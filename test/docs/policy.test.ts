// docs/policy.md against schema/policy.schema.json: each member with its default and its range.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { projectPath } from "../../src/project.ts";
import { policySchema, type SchemaMember } from "../config/schema.ts";

const PAGE = readFileSync(projectPath("docs", "policy.md"), "utf8");

/** The part of the page below the heading of a member. */
function section(name: string): string {
  return PAGE.split(`\n### \`${name}\`\n`)[1]?.split(/^##/m)[0] ?? "";
}

const members = Object.entries(policySchema.properties);

test("the page has a section for each member, and for nothing else", () => {
  const headings = [...PAGE.matchAll(/^### `(\w+)`$/gm)].map((match) => match[1]);
  expect(headings).toEqual(members.map(([name]) => name));
});

describe.each(members)("%s", (name, member) => {
  test("has its default, an example, and the mistake that it invites", () => {
    const text = section(name);
    const written = /^Default: (.*)$/m.exec(text)?.[1] ?? "";
    if (member.default === undefined) expect(written).toMatch(/^none/);
    else expect(written).toBe(`\`${JSON.stringify(member.default)}\``);
    expect(text).toMatch(new RegExp(`^(\`\`\`json\\n)[\\s\\S]*?"${name}"`, "m"));
    expect(text).toContain("The mistake it invites");
  });

  test("has each of its words", () => {
    for (const word of [...(member.enum ?? []), ...(member.properties?.mode?.enum ?? [])]) {
      expect(section(name)).toMatch(new RegExp(`\`[^\`]*\\b${word}\\b[^\`]*\``));
    }
  });
});

test("limits: each member with its default and its range", () => {
  const rows = [...section("limits").matchAll(/^\| `(\w+)` \| ([\d,]+) \| ([\d,]+) to ([\d,]+) \|/gm)].map(
    ([, name, ...numbers]) => [name, ...numbers.map((number) => Number(number.replaceAll(",", "")))],
  );
  const limits = Object.entries(policySchema.properties.limits?.properties ?? {});
  expect(rows).toEqual(limits.map(([name, limit]) => [name, limit.default, limit.minimum, limit.maximum]));
});

test("response_uris: each member with its default", () => {
  for (const [name, member] of Object.entries(policySchema.properties.response_uris?.properties ?? {})) {
    const written = member.default === undefined ? "none: any host" : `\`${JSON.stringify(member.default)}\``;
    expect(section("response_uris")).toContain(`| \`${name}\` | ${written} |`);
  }
});

test.each([
  ["unguarded", policySchema.$defs.unguardedEntry],
  ["argument_rules", policySchema.$defs.argumentRule],
])("%s: each member of an entry", (member, entry) => {
  expect(Object.keys(entry.properties ?? {})).toHaveLength(3);
  for (const name of Object.keys(entry.properties ?? {})) expect(section(member)).toContain(`| \`${name}\` |`);
});

test("each member of the schema says in the editor what it is for", () => {
  const silent = (properties: Readonly<Record<string, SchemaMember>>): string[] =>
    Object.entries(properties).flatMap(([name, member]) => [
      ...(member.description === undefined ? [name] : []),
      ...silent(member.properties ?? {}),
    ]);
  expect(silent(policySchema.properties)).toEqual([]);
});

/** The rows of a section's tables of members: what stands in the cells, by the member in the first one. */
function rowsOf(member: string): Map<string, readonly string[]> {
  const rows = [...section(member).matchAll(/^\| `([\w.]+)` \| (.*?) \|(?: (.*?) \|)?$/gm)];
  return new Map(rows.map(([, name = "", ...cells]) => [name, cells.map((cell) => cell ?? "")]));
}

/** The members of a schema that are no objects, by their paths. */
function leaves(member: SchemaMember, above: readonly string[] = []): [string, SchemaMember][] {
  return Object.entries(member.properties ?? {}).flatMap(([name, inner]) =>
    inner.properties === undefined
      ? [[[...above, name].join("."), inner] as [string, SchemaMember]]
      : leaves(inner, [...above, name]),
  );
}

const grouped = (number: number | undefined): string => (number ?? 0).toLocaleString("en");

describe.each(["token_exchange", "rate_limit"])("%s", (name) => {
  const rows = rowsOf(name);
  const members = leaves(policySchema.properties[name]!);

  test("has a row for each member, and for nothing else", () => {
    expect([...rows.keys()]).toEqual(members.map(([path]) => path));
  });

  test.each(members)("%s has its default and its range", (path, member) => {
    const [written = "", text = ""] = rows.get(path) ?? [];
    if (typeof member.default === "number") expect(written).toBe(grouped(member.default));
    else if (member.default !== undefined) expect(written).toBe(`\`${JSON.stringify(member.default)}\``);
    else expect(written).toMatch(/^(?:required|with |none$|as many as)/);
    if (member.minimum === undefined) return;
    expect(text).toContain(`${grouped(member.minimum)} to ${grouped(member.maximum)}`);
  });
});

test("rules: each member of an entry", () => {
  const names = Object.keys(policySchema.$defs.rule.properties ?? {});
  expect(names).toHaveLength(7);
  const cells = [...section("rules").matchAll(/^\| (`.*?) \|/gm)].map((match) => match[1] ?? "");
  for (const name of names) expect(cells.join()).toContain(`\`${name}\``);
});
