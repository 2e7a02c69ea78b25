// The module of terraform/ as text: what must hold wherever it is read, with or without Terraform. Goal: nobody but the pods of one service account
// assumes a role, and a role can do no more than what is written down for its server. Method: HashiCorp's own HCL parser; nothing is evaluated.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { type HclBlock, type HclValue, readHcl } from "../../src/check/hcl.ts";
import { projectPath } from "../../src/project.ts";
import { attributeOf, blocksOf, checksOf, innerOf, runsOf, text } from "./module-source.ts";
import { REFUSALS } from "./refusals.ts";

const EXAMPLE = ["examples", "github"] as const;

const data = await blocksOf("data");
const resources = await blocksOf("resource");
const variables = await blocksOf("variable");
const locals = new Map((await blocksOf("locals")).flatMap(({ attributes }) => [...attributes]));

const named = (blocks: readonly HclBlock[], ...labels: string[]): HclBlock =>
  blocks.find((block) => labels.every((label) => block.labels.includes(label)))!;
const local = (name: string): HclValue | undefined => locals.get(name)?.value;
const attributes = (block: HclBlock): Record<string, HclValue> =>
  Object.fromEntries([...block.attributes].map(([name, { value }]) => [name, value]));
const everyBlock = (blocks: readonly HclBlock[]): HclBlock[] =>
  blocks.flatMap((block) => [block, ...everyBlock(block.blocks)]);

describe("the trust policies", () => {
  test("IRSA: a token of the issuer, for one service account, made for STS", () => {
    expect(trustOf("irsa_trust")).toEqual({
      actions: ["sts:AssumeRoleWithWebIdentity"],
      principals: [{ type: "Federated", identifiers: [expression("var.oidc_provider_arn")] }],
      conditions: [
        {
          test: "StringEquals",
          variable: `${expression("var.oidc_issuer")}:sub`,
          values: [
            `system:serviceaccount:${expression("each.value.namespace")}:${expression("each.value.service_account")}`,
          ],
        },
        { test: "StringEquals", variable: `${expression("var.oidc_issuer")}:aud`, values: ["sts.amazonaws.com"] },
      ],
    });
  });

  test("Pod Identity: EKS, for one service account of one cluster", () => {
    const equals = (variable: string, value: string) => ({
      test: "StringEquals",
      variable,
      values: [expression(value)],
    });
    expect(trustOf("pod_identity_trust")).toEqual({
      actions: ["sts:AssumeRole", "sts:TagSession"],
      principals: [{ type: "Service", identifiers: ["pods.eks.amazonaws.com"] }],
      conditions: [
        equals("aws:RequestTag/kubernetes-namespace", "each.value.namespace"),
        equals("aws:RequestTag/kubernetes-service-account", "each.value.service_account"),
        equals("aws:RequestTag/eks-cluster-arn", "var.cluster_arn"),
        equals("aws:SourceAccount", "local.cluster_account"),
      ],
    });
  });

  test("are these two and no other", () => {
    expect(data.map(({ labels }) => labels)).toEqual([
      ["aws_iam_policy_document", "irsa_trust"],
      ["aws_iam_policy_document", "pod_identity_trust"],
      ["aws_iam_policy_document", "permissions"],
    ]);
    expect(String(local("trust_policies")).match(/data\.\w+\.\w+/g)).toEqual([
      "data.aws_iam_policy_document.irsa_trust",
      "data.aws_iam_policy_document.pod_identity_trust",
    ]);
    expect(attributeOf(role(), "assume_role_policy")).toBe(expression("local.trust_policies[each.key]"));
  });

  /** The only statement of a trust policy. */
  function trustOf(label: string): unknown {
    const [statement, ...others] = innerOf(named(data, label), "statement");
    expect(others).toEqual([]);
    const { sid: _, ...rest } = attributes(statement!);
    return {
      ...rest,
      principals: innerOf(statement!, "principals").map(attributes),
      conditions: innerOf(statement!, "condition").map(attributes),
    };
  }
});

describe("the roles", () => {
  test("are all that is made, with what belongs to them", () => {
    expect(resources.map(({ labels }) => labels.join("."))).toEqual([
      "aws_iam_policy.boundary",
      "aws_iam_role.server",
      "aws_iam_role_policy.server",
      "aws_iam_role_policies_exclusive.server",
      "aws_iam_role_policy_attachments_exclusive.server",
      "aws_eks_pod_identity_association.server",
    ]);
  });

  test("have a boundary in each case, and sessions of an hour", () => {
    expect(attributes(role())).toMatchObject({
      for_each: expression("var.servers"),
      permissions_boundary: expression(
        "var.permissions_boundary_arn == null ? aws_iam_policy.boundary[each.key].arn : var.permissions_boundary_arn",
      ),
      max_session_duration: 3600,
    });
    expect(attributeOf(named(resources, "aws_iam_policy", "boundary"), "for_each")).toBe(
      expression("var.permissions_boundary_arn == null ? var.servers : {}"),
    );
  });

  test("may do what the statements say, and their boundaries allow the same", () => {
    const permissions = expression("data.aws_iam_policy_document.permissions[each.key].json");
    expect(attributeOf(named(resources, "aws_iam_role_policy", "server"), "policy")).toBe(permissions);
    expect(attributeOf(named(resources, "aws_iam_policy", "boundary"), "policy")).toBe(permissions);
    const [statement, ...others] = named(data, "permissions").blocks;
    expect(others).toEqual([]);
    expect(attributeOf(statement!, "for_each")).toBe(expression("each.value.statements"));
    const [content] = innerOf(statement!, "content");
    expect(attributes(content!)).toEqual({
      sid: expression("statement.key"),
      effect: "Allow",
      actions: expression("statement.value.actions"),
      resources: expression("statement.value.resources"),
    });
    const [condition] = content!.blocks;
    expect(attributeOf(condition!, "for_each")).toBe(expression("statement.value.conditions"));
    expect(attributes(innerOf(condition!, "content")[0]!)).toEqual({
      test: expression("condition.value.test"),
      variable: expression("condition.value.variable"),
      values: expression("condition.value.values"),
    });
  });

  test("of Pod Identity alone have an association, for the same service account", () => {
    expect(attributes(named(resources, "aws_eks_pod_identity_association"))).toMatchObject({
      for_each: expression("local.pod_identity_servers"),
      namespace: expression("each.value.namespace"),
      service_account: expression("each.value.service_account"),
      role_arn: expression("aws_iam_role.server[each.key].arn"),
    });
    const filter = (identity: string) =>
      expression(`{ for name, server in var.servers : name => server if server.identity == "${identity}" }`);
    expect([local("irsa_servers"), local("pod_identity_servers")]).toEqual([filter("irsa"), filter("pod_identity")]);
  });

  test("keep nothing that somebody else puts on them", () => {
    const roleName = expression("aws_iam_role.server[each.key].name");
    expect(attributes(named(resources, "aws_iam_role_policies_exclusive"))).toEqual({
      for_each: expression("var.servers"),
      role_name: roleName,
      policy_names: [expression("aws_iam_role_policy.server[each.key].name")],
    });
    expect(attributes(named(resources, "aws_iam_role_policy_attachments_exclusive"))).toEqual({
      for_each: expression("var.servers"),
      role_name: roleName,
      policy_arns: [],
    });
  });
});

test("no policy that is written out has a wildcard or an exception", async () => {
  const example = await blocksOf("module", ...EXAMPLE);
  const all = everyBlock([...data, ...resources, ...example]);
  const values = all.flatMap((block) => textsOf(Object.values(attributes(block))));
  const literal = values.map((value) => value.replaceAll(/\$\{[^}]*\}/g, ""));
  expect(literal.filter((value) => /[*?]/.test(value))).toEqual([]);
  const exceptions = new Set(["not_actions", "not_resources", "not_principals"]);
  expect(
    all.flatMap((block) => [...block.attributes.keys(), block.type]).filter((name) => exceptions.has(name)),
  ).toEqual([]);
});

describe("variables", () => {
  const folders: [string, readonly string[]][] = [
    ["the module", []],
    ["the example", EXAMPLE],
  ];

  test.each(folders)("of %s have a type, a description and a validation", async (_name, folder) => {
    const blocks = await blocksOf("variable", ...folder);
    expect(blocks).not.toEqual([]);
    const wanting = blocks.filter(
      (block) =>
        !block.attributes.has("type") ||
        !/^[A-Z].+\.$/.test(String(attributeOf(block, "description"))) ||
        innerOf(block, "validation").length === 0,
    );
    expect(wanting.map(({ labels }) => labels[0])).toEqual([]);
  });

  test.each(folders)("of %s are refused with what was found and what was expected", async (_name, folder) => {
    const silent = (await checksOf(...folder)).filter(
      ({ subject, message }) =>
        subject.startsWith("var.") && !new RegExp(`^${subject.slice(4)}: found .+; expected .+\\.$`, "s").test(message),
    );
    expect(silent).toEqual([]);
  });

  test("outputs have a description", async () => {
    const outputs = [...(await blocksOf("output")), ...(await blocksOf("output", ...EXAMPLE))];
    expect(outputs.filter((block) => !/^[A-Z].+\.$/.test(String(attributeOf(block, "description"))))).toEqual([]);
  });
});

describe("actions and resources", () => {
  const patterns = local("patterns") as Record<string, string>;
  const resourcePatterns = (local("resource_patterns") as string[]).map((pattern) => new RegExp(pattern));
  const isResource = (arn: string): boolean => resourcePatterns.some((pattern) => pattern.test(arn));
  const quoted = (run: string): string[] => REFUSALS[run]!.found.map((found) => /^"([^"]*)"/.exec(found)![1]!);

  test("are looked at by the patterns", async () => {
    const conditions = (await checksOf()).filter(({ subject }) => subject === "var.servers");
    for (const part of ["can(regex(local.patterns.action, action))", "for pattern in local.resource_patterns"]) {
      expect(conditions.filter(({ condition }) => condition.includes(part))).toHaveLength(1);
    }
  });

  test.each(quoted("actions_with_wildcards"))("action %s is refused", (action) => {
    expect(action).not.toMatch(new RegExp(patterns.action!));
  });

  test("an action in full is taken", () => {
    expect("codecommit:GetFile").toMatch(new RegExp(patterns.action!));
  });

  test.each(quoted("resources_with_wildcards"))("resource %s is refused", (arn) => {
    expect(isResource(arn)).toBe(false);
  });

  test("resources that are named, and wildcards below them, are taken", async () => {
    const run = named(await runsOf("roles.tftest.hcl"), "wildcards_below_a_thing_that_is_named");
    const arns = JSON.stringify(attributes(innerOf(run, "variables")[0]!)).match(/arn:aws[^"\\]+/g) ?? [];
    expect(arns).toHaveLength(5);
    expect(arns.filter((arn) => !isResource(arn))).toEqual([]);
  });

  test("the example reads alone", async () => {
    const [module] = await blocksOf("module", ...EXAMPLE);
    const actions = textsOf(Object.values(attributes(module!))).filter((value) => value.startsWith("codecommit:"));
    expect(actions).not.toEqual([]);
    expect(actions.filter((action) => !/^codecommit:(Get|List|GitPull$)/.test(action))).toEqual([]);
  });
});

test("the example is the server of the standard", async () => {
  const [module] = await blocksOf("module", ...EXAMPLE);
  expect(attributeOf(module!, "servers")).toMatchObject({
    github: { namespace: "ai-agents", service_account: "github-mcp-sa" },
  });
});

test("versions are bounded on both sides, in the example as in the module", async () => {
  for (const folder of [[], EXAMPLE]) {
    const [block] = await blocksOf("terraform", ...folder);
    expect(attributeOf(block!, "required_version")).toBe(">= 1.9.0");
    expect(attributeOf(innerOf(block!, "required_providers")[0]!, "aws")).toEqual({
      source: "hashicorp/aws",
      version: ">= 5.100.0, < 7.0.0",
    });
  }
});

describe("the pages", () => {
  test("terraform/README.md has the variables and outputs as they are", async () => {
    const tables = [
      "| variable | type | default | meaning |",
      "| --- | --- | --- | --- |",
      ...variables.map((block) => {
        const type = String(attributeOf(block, "type")).replace(/^\$\{(.*)\}$/s, "$1");
        const initial = attributeOf(block, "default");
        return row(
          `\`${block.labels[0]}\``,
          `\`${type.includes("\n") ? `${type.slice(0, type.indexOf("{"))}…))` : type}\``,
          initial === undefined ? "required" : `\`${JSON.stringify(initial)}\``,
          String(attributeOf(block, "description")),
        );
      }),
      "",
      "| output | meaning |",
      "| --- | --- |",
      ...(await blocksOf("output")).map((block) =>
        row(`\`${block.labels[0]}\``, String(attributeOf(block, "description"))),
      ),
    ];
    expect(text("README.md")).toContain(`\n${tables.join("\n")}\n`);
  });

  test.each(["docs/roles.md", "terraform/README.md"])("%s shows calls of the module that it takes", async (page) => {
    const source = readFileSync(projectPath(page), "utf8");
    const snippets = [...source.matchAll(/^```hcl\n(.*?)^```$/gms)].map(([, snippet]) => snippet!);
    const roots = await Promise.all(snippets.map((snippet) => readHcl(snippet, page)));
    const calls = roots.flatMap(({ blocks }) => blocks).filter(({ type }) => type === "module");
    expect(calls).not.toEqual([]);
    const known = new Set(["source", ...variables.map(({ labels }) => labels[0]!)]);
    expect(calls.flatMap(({ attributes: all }) => [...all.keys()]).filter((name) => !known.has(name))).toEqual([]);
  });
});

function role(): HclBlock {
  return named(resources, "aws_iam_role", "server");
}

function row(...cells: string[]): string {
  return `| ${cells.join(" | ")} |`;
}

/** An expression as the parser gives it. */
function expression(source: string): string {
  return `\${${source}}`;
}

/** All texts in values, at any depth. */
function textsOf(values: readonly HclValue[]): string[] {
  return values.flatMap((value) => {
    if (typeof value === "string") return [value];
    if (typeof value !== "object" || value === null) return [];
    return textsOf(Object.values(value));
  });
}
