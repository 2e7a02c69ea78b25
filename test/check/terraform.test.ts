// Roles in Terraform. Goal: the same role is read from every way to write it, and what depends on values that are not there is told as not checked,
// never as right. Method: the same questions to HCL and to plans.
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: HCL has templates of its own.
import { describe, expect, test } from "vitest";
import { readHcl } from "../../src/check/hcl.ts";
import type { Roles } from "../../src/check/role.ts";
import { namesRole, rolesOf } from "../../src/check/roles-of.ts";
import { isPlan, resourcesOfHcl, resourcesOfPlan } from "../../src/check/terraform.ts";

async function hcl(files: Readonly<Record<string, string>>): Promise<Roles> {
  const roots = await Promise.all(Object.entries(files).map(([file, text]) => readHcl(text, file)));
  return rolesOf(resourcesOfHcl(roots));
}

/** What matters of the only role. */
function summary({ roles }: Roles) {
  const [role, ...others] = roles;
  expect(others).toEqual([]);
  return {
    name: role?.name,
    subjects: role?.trust?.flatMap(({ conditions }) =>
      conditions.filter(({ variable }) => variable.endsWith(":sub")).flatMap(({ values }) => values),
    ),
    actions: role?.permissions.flatMap(({ actions }) => actions),
    attached: role?.attached.map(({ arn }) => arn),
    hasBoundary: role?.hasBoundary,
  };
}

const SUBJECT = "system:serviceaccount:desk:tickets-sa";
const TRUST = {
  Statement: [
    {
      Effect: "Allow",
      Action: "sts:AssumeRoleWithWebIdentity",
      Principal: { Federated: "x" },
      Condition: { StringEquals: { "i:sub": SUBJECT } },
    },
  ],
};
const READS = { Statement: { Effect: "Allow", Action: ["s3:GetObject"], Resource: "arn:aws:s3:::tickets/*" } };
const EXPECTED = {
  name: "tickets-role",
  subjects: [SUBJECT],
  actions: ["s3:GetObject"],
  attached: [],
  hasBoundary: true,
};

const document = (name: string, statement: string): string =>
  `data "aws_iam_policy_document" "${name}" {\n  statement {\n${statement}\n  }\n}\n`;
const trusting = (subject: string): string => `actions = ["sts:AssumeRoleWithWebIdentity"]
condition {
  test     = "StringEquals"
  variable = "i:sub"
  values   = [${subject}]
}`;
const READING = 'actions = ["s3:GetObject"]\nresources = ["arn:aws:s3:::tickets/*"]';
const roleOf = (rest: string): string =>
  `resource "aws_iam_role" "tickets" {\nname = "tickets-role"\npermissions_boundary = var.boundary\n${rest}\n}\n`;
const BOUNDARY = 'variable "boundary" { default = "arn:aws:iam::1:policy/limit" }\n';

describe("HCL", () => {
  test.each<[string, Record<string, string>]>([
    [
      "documents, and a policy of the role",
      {
        "a.tf": `${BOUNDARY}${document("t", trusting(`"${SUBJECT}"`))}${document("r", READING)}
${roleOf("assume_role_policy = data.aws_iam_policy_document.t.json")}
resource "aws_iam_role_policy" "r" {
  role   = aws_iam_role.tickets.name
  policy = data.aws_iam_policy_document.r.json
}`,
      },
    ],
    [
      "jsonencode, and a policy that is attached",
      {
        "a.tf": `${BOUNDARY}${roleOf(`assume_role_policy = jsonencode(${JSON.stringify(TRUST)})`)}
resource "aws_iam_policy" "p" { policy = jsonencode(${JSON.stringify(READS)}) }
resource "aws_iam_role_policy_attachment" "p" {
  role       = "tickets-role"
  policy_arn = aws_iam_policy.p.arn
}`,
      },
    ],
    [
      "texts, and a policy inside the role",
      {
        "a.tf": `${BOUNDARY}${roleOf(`assume_role_policy = <<EOT\n${JSON.stringify(TRUST)}\nEOT\ninline_policy {\npolicy = ${JSON.stringify(JSON.stringify(READS))}\n}`)}`,
      },
    ],
    [
      "variables with values beside them, in several files",
      {
        "m/variables.tf": `${BOUNDARY}variable "namespace" {}\nvariable "account" { default = "another" }\n`,
        "m/own.auto.tfvars": 'namespace = "desk"\naccount = "tickets-sa"\n',
        "m/main.tf": `locals { subject = "system:serviceaccount:\${var.namespace}:\${var.account}" }
${document("t", trusting("local.subject"))}${document("r", READING)}
${roleOf("assume_role_policy = data.aws_iam_policy_document.t.json\ninline_policy {\npolicy = data.aws_iam_policy_document.r.json\n}")}`,
      },
    ],
    [
      "a module with its arguments, and one entry of a map",
      {
        "root/main.tf": `variable "boundary" { default = "arn:aws:iam::1:policy/limit" }
module "roles" {
  source   = "../modules/roles"
  boundary = var.boundary
  servers  = { tickets = { namespace = "desk", account = "tickets-sa", kind = "irsa", actions = ["s3:GetObject"] }, other = { kind = "none" } }
}`,
        "modules/roles/main.tf": `variable "servers" {}
locals {
  chosen = { for name, server in var.servers : name => server if server.kind == "irsa" }
  trust  = merge({ for name, document in data.aws_iam_policy_document.t : name => document.json })
}
data "aws_iam_policy_document" "t" {
  for_each = local.chosen
  statement {
    ${trusting('"system:serviceaccount:${each.value.namespace}:${each.value.account}"')}
  }
}
data "aws_iam_policy_document" "r" {
  for_each = local.chosen
  dynamic "statement" {
    for_each = { all = { actions = each.value.actions } }
    content {
      actions   = statement.value.actions
      resources = ["arn:aws:s3:::tickets/*"]
    }
  }
}
resource "aws_iam_role" "server" {
  for_each             = local.chosen
  name                 = "\${each.key}-role"
  assume_role_policy   = local.trust[each.key]
  permissions_boundary = var.boundary
}
resource "aws_iam_role_policy" "server" {
  for_each = local.chosen
  role     = aws_iam_role.server[each.key].id
  policy   = data.aws_iam_policy_document.r[each.key].json
}`,
      },
    ],
  ])("%s", async (_, files) => {
    expect(summary(await hcl(files))).toEqual(EXPECTED);
  });

  test("statements have the lines where they begin", async () => {
    const { roles } = await hcl({
      "a.tf": `\n\n${document("t", trusting('"x"'))}${roleOf("assume_role_policy = data.aws_iam_policy_document.t.json")}`,
    });
    expect(roles[0]?.trust?.[0]?.place).toEqual({ file: "a.tf", line: 4, column: 1 });
    expect(roles[0]?.trust?.[0]?.conditions[0]?.place.line).toBe(6);
    expect(roles[0]?.place.line).toBe(13);
  });

  test("what others have is not the role's", async () => {
    const { roles } = await hcl({
      "a.tf": `${roleOf('assume_role_policy = "{}"')}
resource "aws_iam_role" "tickets_two" { assume_role_policy = "{}" }
resource "aws_iam_role_policy" "p" {
  role   = aws_iam_role.tickets_two.name
  policy = jsonencode(${JSON.stringify(READS)})
}`,
    });
    expect(roles.map(({ permissions }) => permissions.length)).toEqual([0, 1]);
  });

  test.each([
    ["a boundary that is null", "null", false],
    ["an empty boundary", '""', false],
    ["a boundary that is chosen", "var.a ? aws_iam_policy.b.arn : var.c", true],
  ])("%s", async (_, value, expected) => {
    const { roles } = await hcl({ "a.tf": `resource "aws_iam_role" "r" {\n  permissions_boundary = ${value}\n}\n` });
    expect(roles[0]?.hasBoundary).toBe(expected);
  });

  test("each of a set of names has a role of its own", async () => {
    const { roles } = await hcl({
      "a.tf": `resource "aws_iam_role" "r" {
  for_each = ["one", "two"]
  name     = each.value
}
resource "aws_iam_role_policy_attachment" "p" {
  for_each   = ["one", "two"]
  role       = aws_iam_role.r[each.key].name
  policy_arn = "arn:aws:iam::1:policy/\${each.key}"
}`,
    });
    expect(roles.map(({ name, attached }) => [name, attached.map(({ arn }) => arn)])).toEqual([
      ["one", ["arn:aws:iam::1:policy/one"]],
      ["two", ["arn:aws:iam::1:policy/two"]],
    ]);
  });

  test("a trust policy that depends on something else is not known", async () => {
    const { roles } = await hcl({ "a.tf": roleOf("assume_role_policy = var.trust") });
    expect(roles[0]?.trust).toBeUndefined();
  });

  test("documents that are made from others have their statements", async () => {
    const { roles } = await hcl({
      "a.tf": `data "aws_iam_policy_document" "a" { source_policy_documents = [data.aws_iam_policy_document.t.json, data.aws_iam_policy_document.a.json] }
${document("t", trusting('"x"'))}${roleOf("assume_role_policy = data.aws_iam_policy_document.a.json")}`,
    });
    expect(roles[0]?.trust?.length).toBe(1);
  });

  test.each([
    ["texts that double", (next: string) => `"\${${next}}\${${next}}"`],
    ["lists that double", (next: string) => `[${next}, ${next}, ${next}, ${next}]`],
    ["texts that name each other in a circle", () => '"x${local.a0}"'],
  ])("%s end", async (_, value) => {
    const locals = Array.from(
      { length: 30 },
      (__, i) => `  a${i} = ${i === 29 ? '"x"' : value(`local.a${i + 1}`)}`,
    ).join("\n");
    const started = performance.now();
    await hcl({ "a.tf": `locals {\n${locals}\n}\n${roleOf("assume_role_policy = local.a0")}` }).catch((error) => {
      expect(error).toMatchObject({ code: "ERR_USAGE", message: expect.stringContaining("refer to each other") });
    });
    expect(performance.now() - started).toBeLessThan(10_000);
  });
});

describe("a plan", () => {
  const plan = (policy: unknown) => ({
    format_version: "1.2",
    planned_values: {
      root_module: {
        child_modules: [
          {
            address: 'module.roles["a"]',
            resources: [
              {
                address: 'module.roles["a"].aws_iam_role.tickets[0]',
                mode: "managed",
                type: "aws_iam_role",
                index: 0,
                values: { name: "tickets-role", assume_role_policy: policy },
              },
              {
                address: 'module.roles["a"].aws_iam_role_policy.r',
                mode: "managed",
                type: "aws_iam_role_policy",
                values: { policy: JSON.stringify(READS) },
              },
              { address: 'module.roles["a"].data.aws_x.y', mode: "data", type: "aws_iam_role", values: {} },
            ],
          },
        ],
      },
    },
    configuration: {
      root_module: {
        module_calls: {
          roles: {
            module: {
              resources: [
                {
                  address: "aws_iam_role.tickets",
                  expressions: { permissions_boundary: { references: ["aws_iam_policy.limit.arn"] } },
                },
                {
                  address: "aws_iam_role_policy.r",
                  expressions: { role: { references: ["aws_iam_role.tickets[0].id", "aws_iam_role.tickets"] } },
                },
              ],
            },
          },
        },
      },
    },
  });

  const ask = (value: ReturnType<typeof plan>): Roles =>
    rolesOf(resourcesOfPlan(value, JSON.stringify(value, undefined, 1), "plan.json"));

  test("has the role with what is attached to it", () => {
    const value = plan(JSON.stringify(TRUST));
    expect(isPlan(value)).toBe(true);
    const found = ask(value);
    expect(summary(found)).toEqual(EXPECTED);
    expect(found.roles[0]?.place.line).toBe(10);
  });

  test("has what is attached to each of a map where it belongs", () => {
    const one = (type: string, index: string, values: object) => ({
      address: `${type}.x["${index}"]`,
      mode: "managed",
      type,
      index,
      values,
    });
    const value = {
      format_version: "1.2",
      values: {
        root_module: {
          resources: ["a", "b"].flatMap((index) => [
            one("aws_iam_role", index, { name: `role-${index}` }),
            one("aws_iam_role_policy_attachment", index, { policy_arn: `arn:aws:iam::1:policy/${index}` }),
          ]),
        },
      },
      configuration: {
        root_module: {
          resources: [
            { address: "aws_iam_role_policy_attachment.x", expressions: { role: { references: ["aws_iam_role.x"] } } },
          ],
        },
      },
    };
    const { roles } = rolesOf(resourcesOfPlan(value, JSON.stringify(value), "plan.json"));
    expect(roles.map(({ name, attached }) => [name, attached.map(({ arn }) => arn)])).toEqual([
      ["role-a", ["arn:aws:iam::1:policy/a"]],
      ["role-b", ["arn:aws:iam::1:policy/b"]],
    ]);
  });

  test("without the trust policy says that it is not known", () => {
    expect(ask(plan(undefined)).roles[0]?.trust).toBeUndefined();
  });
});

describe("a role is named", () => {
  const role = {
    ...EXPECTED,
    address: "aws_iam_role.mcp",
    key: undefined,
    trust: [],
    permissions: [],
    attached: [],
    place: { file: "", line: 1, column: 1 },
  };
  test.each([
    ["arn:aws:iam::1:role/tickets-role", true],
    ["arn:aws:iam::1:role/path/tickets-role", true],
    ["tickets-role", true],
    ["aws_iam_role.mcp.arn", true],
    ["aws_iam_role.mcp", true],
    ["arn:aws:iam::1:role/my-tickets-role", false],
    ["aws_iam_role.mcp_two.arn", false],
    ["", false],
  ])("by %s: %s", (named, expected) => {
    expect(namesRole(role, named)).toBe(expected);
  });
});
