// docs/reasons.md, and what make run says of a refusal, against the table in assembly/policy/reason.ts, row by row.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { openedBy } from "../../src/policy/method-table.ts";
import { projectPath } from "../../src/project.ts";

/** What is known of one reason, in either place. */
interface ReasonRow {
  /** As in the page: a denial has 200 and, in parentheses, the status without a readable id; a fault has 400 with the id. */
  status: string;
  code: number;
  text: string;
  openedBy: string | undefined;
}

const SOURCE = readFileSync(projectPath("assembly", "policy", "reason.ts"), "utf8");
const PAGE = readFileSync(projectPath("docs", "reasons.md"), "utf8");

const inSource = readSource();
const inPage = readPage();

test("the source is read as a whole: a row for each member of the enum", () => {
  const members = /export const enum Reason \{(.*?)\n\}/s.exec(SOURCE)?.[1] ?? "";
  const names = [...members.matchAll(/^ {2}([A-Z]\w+),$/gm)].map((match) => snakeCase(match[1] ?? ""));
  expect(names.filter((name) => name !== "count").sort()).toEqual([...inSource.keys()].sort());
});

test("the page has each reason of the filter, and no other", () => {
  expect([...inPage.keys()].sort()).toEqual([...inSource.keys()].sort());
});

test("the page has the reasons in the order of the list", () => {
  expect([...inPage.keys()]).toEqual([...inSource.keys()]);
});

describe.each([...inSource])("%s", (name, row) => {
  test("has the status, the code, the message and the member that the filter has", () => {
    expect(inPage.get(name)).toEqual(row);
  });

  test("has the same member in the lines of make run", () => {
    expect(openedBy(name)).toBe(row.openedBy);
  });

  test("says when it happens", () => {
    const section = PAGE.split(`### \`${name}\`\n`)[1]?.split(/^##/m)[0] ?? "";
    expect(section.trim().split("\n").slice(1).join(" ").trim().length).toBeGreaterThan(40);
  });
});

/** The rows of `initReasons`, but for the one of `None`. */
function readSource(): Map<string, ReasonRow> {
  const codes = new Map(
    [...SOURCE.matchAll(/^const (\w+): i32 = (-\d+);$/gm)].map(([, name, code]) => [name, Number(code)]),
  );
  const opened = new Map(
    [...SOURCE.matchAll(/opensWith\(Reason\.(\w+), "([^"]+)"\)/g)].map(([, name, by]) => [name, by]),
  );
  const row =
    /\b(malformed|denial|fault)\(\s*Reason\.(\w+),\s*"(\w+)",\s*(?:(\d+),\s*)?([A-Z_]+),\s*"([^"]*)"(?:,\s*"([^"]*)")?,?\s*\);/g;
  const rows = new Map<string, ReasonRow>();
  for (const [, kind, member = "", name = "", status = "", code, text = "", openedBy] of SOURCE.matchAll(row)) {
    if (member === "None") continue;
    expect(snakeCase(member), "the enum's member and its name").toBe(name);
    rows.set(name, {
      status: kind === "denial" ? `200 (${status})` : kind === "fault" ? "400 with the id" : status,
      code: codes.get(code) ?? 0,
      text,
      openedBy: opened.get(member) ?? (openedBy || undefined),
    });
  }
  return rows;
}

/** The headings of the page with the line below them. */
function readPage(): Map<string, ReasonRow> {
  const entry =
    /^### `(\w+)`\n\nHTTP (\d+(?: \(\d+\)| with the id)?) · code (-\d+) · "([^"]*)"(?: · opened by `([^`]+)`)?$/gm;
  const rows = new Map<string, ReasonRow>();
  for (const [, name = "", status = "", code, text = "", openedBy] of PAGE.matchAll(entry)) {
    expect(rows.has(name), `${name} stands there twice`).toBe(false);
    rows.set(name, { status, code: Number(code), text, openedBy });
  }
  expect(rows.size, "each heading has its line").toBe(PAGE.match(/^### /gm)?.length);
  return rows;
}

function snakeCase(name: string): string {
  return name.replace(/(?<!^)[A-Z]/g, (letter) => `_${letter}`).toLowerCase();
}
