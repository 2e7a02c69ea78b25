// The module of terraform/ as text, read without Terraform.
import { readdirSync, readFileSync } from "node:fs";
import { type HclBlock, type HclValue, readHcl } from "../../src/check/hcl.ts";
import { projectPath } from "../../src/project.ts";

/** A validation of a variable, or a precondition of a resource. */
export interface Check {
  /** What fails when it does: `var.servers`, `aws_iam_policy.boundary`. */
  readonly subject: string;
  /** Where Terraform says that it is: `variables.tf:43`. */
  readonly place: string;
  readonly condition: string;
  readonly message: string;
}

/** The blocks of a type in all files of a folder. */
export async function blocksOf(type: string, ...folder: string[]): Promise<HclBlock[]> {
  const files = readdirSync(projectPath("terraform", ...folder)).filter((name) => name.endsWith(".tf"));
  const roots = await Promise.all(files.map((name) => readHcl(text(...folder, name), name)));
  return roots.flatMap(({ blocks }) => blocks).filter((block) => block.type === type);
}

/** The `run` blocks of a file of tests. */
export async function runsOf(file: string): Promise<HclBlock[]> {
  const { blocks } = await readHcl(text("tests", file), file);
  return blocks.filter(({ type }) => type === "run");
}

/** The text of a file of the module. */
export function text(...name: string[]): string {
  return readFileSync(projectPath("terraform", ...name), "utf8");
}

/** A value of a block; undefined when it has none of that name. */
export function attributeOf(block: HclBlock, name: string): HclValue | undefined {
  return block.attributes.get(name)?.value;
}

/** Inner blocks of a type. */
export function innerOf(block: HclBlock, type: string): HclBlock[] {
  return block.blocks.filter((inner) => inner.type === type);
}

/** All that the module checks before it makes anything. */
export async function checksOf(...folder: string[]): Promise<Check[]> {
  const validations = (await blocksOf("variable", ...folder)).flatMap((variable) =>
    innerOf(variable, "validation").map((block) => toCheck(`var.${variable.labels[0]}`, block, block.line)),
  );
  const preconditions = (await blocksOf("resource", ...folder)).flatMap((resource) =>
    innerOf(resource, "lifecycle")
      .flatMap((lifecycle) => innerOf(lifecycle, "precondition"))
      .map((block) => toCheck(resource.labels.join("."), block, block.attributes.get("condition")?.line ?? 0)),
  );
  return [...validations, ...preconditions];
}

function toCheck(subject: string, block: HclBlock, line: number): Check {
  return {
    subject,
    place: `${block.file}:${line}`,
    condition: String(attributeOf(block, "condition")),
    message: String(attributeOf(block, "error_message")),
  };
}
