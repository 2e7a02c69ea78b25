// src/check/hcl.ts. Goal: blocks, attributes and lines of HCL are read as Terraform reads them, and no text hangs or kills the reader.
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: HCL has templates of its own.
import { describe, expect, test } from "vitest";
import { type HclBlock, type HclValue, isOpen, readHcl } from "../../src/check/hcl.ts";

const text = (lines: readonly string[]): string => `${lines.join("\n")}\n`;
const value = async (expression: string): Promise<HclValue | undefined> => {
  const { blocks } = await readHcl(`locals {\n  a = ${expression}\n}\n`, "a.tf");
  return blocks[0]?.attributes.get("a")?.value;
};

/** A block as `type label:line`, its attributes as `name:line`, and its blocks. */
const outline = (block: HclBlock): unknown[] => [
  `${[block.type, ...block.labels].join(" ")}:${block.line}`,
  ...[...block.attributes].map(([name, { line }]) => `${name}:${line}`),
  ...block.blocks.map(outline),
];

describe("blocks and attributes", () => {
  test("have the lines where they begin", async () => {
    const { blocks } = await readHcl(
      text([
        "# A comment { with a bracket",
        "/* and a",
        "   longer one } */",
        'resource "aws_iam_role" "mcp" { // role',
        '  name = "a}b # c"',
        "  tags = {",
        '    note = "${var.a == "}" ? "{" : "x"}"',
        "  }",
        "  inline = <<-EOT",
        "    } resource {",
        "    EOT",
        "  inner {",
        "    list = [",
        "      1, # ]",
        "      2,",
        "    ]",
        "  }",
        "  inner { one = 1 }",
        "}",
        "data a b {}",
      ]),
      "a.tf",
    );
    expect(blocks.map(outline)).toEqual([
      ["resource aws_iam_role mcp:4", "name:5", "tags:6", "inline:9", ["inner:12", "list:13"], ["inner:18", "one:18"]],
      ["data a b:20"],
    ]);
    expect(blocks[0]?.blocks.map((block) => Object.fromEntries(block.attributes))).toEqual([
      { list: { value: [1, 2], line: 13 } },
      { one: { value: 1, line: 18 } },
    ]);
  });

  test("of one name keep their order, whatever stands between them", async () => {
    const { blocks } = await readHcl(
      text(['a "x" {', " n = 1", "}", 'a "y" {', " n = 2", "}", 'a "x" {', " n = 3", "}"]),
      "a.tf",
    );
    expect(blocks.map((block) => block.attributes.get("n")?.value)).toEqual([1, 2, 3]);
  });
});

describe("values", () => {
  test.each<[string, string, HclValue]>([
    ["a text with escapes", '"a\\n\\"b\\""', 'a\n"b"'],
    ["a number", "1e3", 1000],
    ["null", "null", null],
    ["a list", '["a", true]', ["a", true]],
    ["a reference", "var.a", "${var.a}"],
    ["a template", '"x${var.a}y"', "x${var.a}y"],
    ["what only looks like a template", '"x$${a}"', "x$${a}"],
    ["a call", 'replace(var.a, "b", "")', '${replace(var.a, "b", "")}'],
    [
      "jsonencode of a literal",
      'jsonencode({ Version = "1", "a:b" = [1, -2.5, true, null, "x${var.y}z", var.q], (local.k) = { c: "d\\"\\u0041$${e}" } })',
      { Version: "1", "a:b": [1, "${-2.5}", true, null, "x${var.y}z", "${var.q}"], "${local.k}": { c: 'd"A$${e}' } },
    ],
    ["jsonencode of something else", "jsonencode(var.a)", "${var.a}"],
    ["two calls", "jsonencode({}) == jsonencode({})", "${jsonencode({}) == jsonencode({})}"],
    ["letters beyond ASCII in jsonencode", 'jsonencode({ é = "ü", b = local.c })', { é: "ü", b: "${local.c}" }],
  ])("%s", async (_, expression, expected) => {
    expect(await value(expression)).toEqual(expected);
  });

  test.each([
    ["${var.a}", true],
    ["a%{ if b }", true],
    ["$${a}", false],
    ["$a", false],
  ])("%s is open: %s", (given, expected) => {
    expect(isOpen(given)).toBe(expected);
  });
});

test("calls of jsonencode beyond the bound are not read", async () => {
  const { blocks } = await readHcl(
    `locals {\n${Array.from({ length: 501 }, (_, i) => `a${i} = jsonencode({})\n`).join("")}}\n`,
    "a.tf",
  );
  const values = [...(blocks[0]?.attributes.values() ?? [])].map(({ value: found }) => found);
  expect(values.slice(498)).toEqual([{}, {}, "${jsonencode({})}"]);
});

describe("what is no HCL", () => {
  test.each([
    ["an expression that is none", 'resource "a" {\n  x = = 3\n}\n', /^a\.tf:2:7: Invalid expression/],
    ["an attribute twice", "a = 1\na = 2\n", /^a\.tf:2:1: Attribute redefined/],
    ["a block that is not closed", 'a "b" {\n', /^a\.tf:\d+:\d+: /],
    ["brackets without end", `x = ${"[".repeat(50_000)}`, /^a\.tf:1: more than 100/],
    ["templates without end", `x = "${'${"'.repeat(50_000)}`, /^a\.tf:1: more than 100/],
    ["blocks without end", "a {\n".repeat(50_000), /^a\.tf:100: more than 100/],
    ["a file over the bound", "#".repeat(300_000), /^a\.tf: found 300000 letters, expected at most 262144/],
    ["signs without end", `x = ${"!".repeat(200_000)}true\n`, /^a\.tf: cannot be read as HCL/],
  ])("%s: the error has the place", async (_, given, message) => {
    await expect(readHcl(given, "a.tf")).rejects.toMatchObject({
      code: "ERR_USAGE",
      message: expect.stringMatching(message),
    });
  });
});
