// Policy documents of AWS IAM as statements: the JSON that AWS stores, and Terraform's `aws_iam_policy_document`.
import type { HclValue } from "./hcl.ts";
import { isRecord, record } from "./kube-object.ts";
import type { RoleCondition, RoleStatement } from "./role.ts";
import type { Place } from "./yaml-text.ts";

/** A block with what is known in the place of variables, and with what its `dynamic` blocks make. */
export interface BlockView {
  place: Place;
  has(name: string): boolean;
  get(name: string): HclValue | undefined;
  blocks(type: string): readonly BlockView[];
}

/** The statements of a policy in JSON, text or value; undefined when it is none. All of them stand at `place`. */
export function statementsOfJson(policy: unknown, place: Place): RoleStatement[] | undefined {
  const document = typeof policy === "string" ? parsed(policy) : policy;
  if (!isRecord(document)) return undefined;
  return several(document.Statement).map((statement) => ofJson(statement, place));
}

/** A `statement` of a `data "aws_iam_policy_document"`. */
export function statementOfBlock(block: BlockView): RoleStatement {
  const conditions: RoleCondition[] = block.blocks("condition").map((condition) => ({
    test: names(condition.get("test")).join(),
    variable: names(condition.get("variable")).join(),
    values: names(condition.get("values")),
    place: condition.place,
  }));
  return {
    allows: block.get("effect") !== "Deny",
    actions: names(block.get(block.has("not_actions") ? "not_actions" : "actions")),
    isInverted: block.has("not_actions") || block.has("not_resources"),
    resources: names(block.get(block.has("not_resources") ? "not_resources" : "resources")),
    // Everybody but some is everybody.
    principals:
      block.blocks("not_principals").length > 0
        ? ["*"]
        : block.blocks("principals").flatMap((who) => names(who.get("identifiers"))),
    conditions,
    place: block.place,
  };
}

function parsed(policy: string): unknown {
  try {
    return JSON.parse(policy);
  } catch {
    return undefined;
  }
}

function ofJson(statement: unknown, place: Place): RoleStatement {
  const { Effect, Action, NotAction, Resource, NotResource, Principal, NotPrincipal, Condition } = record(statement);
  const conditions = Object.entries(record(Condition)).flatMap(([test, variables]) =>
    Object.entries(record(variables)).map(([variable, values]) => ({ test, variable, values: names(values), place })),
  );
  return {
    allows: Effect !== "Deny",
    actions: names(Action ?? NotAction),
    isInverted: NotAction !== undefined || NotResource !== undefined,
    resources: names(Resource ?? NotResource),
    principals: NotPrincipal === undefined ? principals(Principal) : ["*"],
    conditions,
    place,
  };
}

function principals(value: unknown): string[] {
  return isRecord(value) ? Object.values(value).flatMap(names) : names(value);
}

/** Where a block begins. */
export function placeOf({ file, line }: { file: string; line: number }): Place {
  return { file, line, column: 1 };
}

function several(value: unknown): readonly unknown[] {
  if (value === undefined || value === null) return [];
  return Array.isArray(value) ? value : [value];
}

/** One text or several. */
function names(value: unknown): string[] {
  return several(value).filter((name) => typeof name === "string");
}
