// Terraform as a flat list of resources, from HCL files or from a plan in JSON (`terraform show -json`).
import path from "node:path";
import { GuardError } from "../error.ts";
import { type HclBlock, type HclValue, isOpen } from "./hcl.ts";
import { type BlockView, placeOf, statementOfBlock, statementsOfJson } from "./iam-policy.ts";
import { get, isRecord, list, record, text, texts } from "./kube-object.ts";
import type { RoleStatement } from "./role.ts";
import type { Place } from "./yaml-text.ts";

/** A resource, with its values as far as they are known. */
export interface Resource {
  type: string;
  /** `aws_iam_role.mcp`, in a plan with its modules. Resources of one `count` or `for_each` share it. */
  address: string;
  /** Which of a `for_each`. */
  key: string | undefined;
  place: Place;
  /** Which resources may be meant by a reference of this one: those of the same folder or module. */
  scope: string;
  /** A value: undefined when the resource has none, with `${…}` for what is not known. */
  get(name: string): HclValue | undefined;
  /** Texts that a value refers to, like `aws_iam_role.mcp.arn`. */
  references(name: string): readonly string[];
  /** Where a value stands. */
  at(name: string): Place;
  /** The statements of a value that is a policy; undefined when they are not known. */
  policy(name: string): readonly RoleStatement[] | undefined;
  /** The same for the policies in blocks of a type. */
  policiesIn(type: string, name: string): readonly RoleStatement[];
}

/** `{ for name, item in var.items : name => item if item.member == "text" }`, with or without the condition. */
const FILTER =
  /^\$\{\s*\{\s*for\s+(?:[\w-]+)\s*,\s*(?:[\w-]+)\s+in\s+((?:var|local)\.[\w.-]+)\s*:\s*[\w-]+\s*=>\s*[\w-]+(?:\s+if\s+[\w-]+\.([\w-]+)\s*==\s*"([^"]*)")?\s*\}\s*\}$/;
/** A name alone, and a name that is all of a template in a text. */
const WHOLE = /^\$\{\s*([a-z_][\w-]*(?:\.[\w-]+)+)\s*\}$/;
const PART = /\$\{\s*([a-z_][\w-]*(?:\.[\w-]+)+)\s*\}/g;
/** A reference within an expression. */
const REFERENCE = /[a-z_][\w-]*(?:\.[A-Za-z_][\w-]*)+/g;
const POLICY_DOCUMENT = /data\.aws_iam_policy_document\.([\w-]+)/g;
/** Variables and locals that name each other, at most. */
const RESOLUTIONS_MAX = 20;
/** Values of a folder that are looked up, and letters of a text after that, at most: values that name others twice would double each time. */
const STEPS_MAX = 300_000;
const LETTERS_PER_STEP = 100;
const TEXT_LENGTH_MAX = 100_000;

/**
 * The resources of HCL files. Variables have their defaults, the values of `*.tfvars` beside them, or those of a `module` block that calls the folder.
 */
export function resourcesOfHcl(files: readonly HclBlock[]): Resource[] {
  const folders = new Map<string, Folder>();
  for (const root of files) {
    const name = path.dirname(root.file);
    const folder = folders.get(name) ?? new Folder(name);
    folders.set(name, folder);
    folder.add(root);
  }
  for (const folder of folders.values()) folder.callModules(folders);
  return [...folders.values()].flatMap((folder) => folder.resources());
}

/** What `each` and the names of `dynamic` blocks stand for. */
type Scope = ReadonlyMap<string, { key: string; value: HclValue }>;

const NO_SCOPE: Scope = new Map();

/** One folder of Terraform files: a module. */
class Folder {
  private readonly name: string;
  private readonly variables = new Map<string, HclValue>();
  private readonly locals = new Map<string, HclValue>();
  private readonly documents = new Map<string, HclBlock>();
  private readonly blocks: HclBlock[] = [];
  private steps = 0;

  constructor(name: string) {
    this.name = name;
  }

  add(root: HclBlock): void {
    this.blocks.push(...root.blocks);
    // A file of values: they win over defaults, whichever was read first.
    for (const [name, { value }] of root.attributes) this.variables.set(name, value);
    for (const block of root.blocks) {
      const [first = "", second = ""] = block.labels;
      const initial = block.attributes.get("default")?.value;
      if (block.type === "variable" && initial !== undefined && !this.variables.has(first))
        this.variables.set(first, initial);
      if (block.type === "locals") for (const [name, { value }] of block.attributes) this.locals.set(name, value);
      if (block.type === "data" && first === "aws_iam_policy_document") this.documents.set(second, block);
    }
  }

  /** Hands the arguments of `module` blocks with a folder as their source to that folder. */
  callModules(folders: ReadonlyMap<string, Folder>): void {
    for (const block of this.blocks) {
      const source = text(block.attributes.get("source")?.value);
      if (block.type !== "module" || !/^\.\.?(?:\/|$)/.test(source)) continue;
      const called = folders.get(path.join(this.name, source));
      for (const [name, { value }] of block.attributes)
        called?.variables.set(name, this.resolve(value, NO_SCOPE) ?? null);
    }
  }

  resources(): Resource[] {
    return this.blocks
      .filter(({ type }) => type === "resource")
      .flatMap((block) => this.scopes("each", block, NO_SCOPE).map((scope) => this.resource(block, scope)));
  }

  private resource(block: HclBlock, scope: Scope): Resource {
    const value = (name: string): HclValue | undefined => this.resolve(block.attributes.get(name)?.value, scope);
    const at = (name: string): Place =>
      placeOf({ file: block.file, line: block.attributes.get(name)?.line ?? block.line });
    return {
      type: block.labels[0] ?? "",
      address: block.labels.join("."),
      key: scope.get("each")?.key,
      place: placeOf(block),
      scope: this.name,
      get: value,
      references: (name) => matches(REFERENCE, value(name)),
      at,
      policy: (name) => this.policy(value(name), scope, at(name)),
      policiesIn: (type, name) =>
        this.inner(block, type, scope).flatMap(
          (found) =>
            this.policy(
              this.resolve(found.block.attributes.get(name)?.value, found.scope),
              found.scope,
              placeOf(found.block),
            ) ?? [],
        ),
    };
  }

  /** The scopes that a `for_each` makes: one for each entry, or one without entries where they are not known. */
  private scopes(name: string, block: HclBlock, outer: Scope): Scope[] {
    const forEach = block.attributes.get("for_each")?.value;
    if (forEach === undefined) return [outer];
    const entries = this.entries(this.resolve(forEach, outer), outer);
    return entries === undefined ? [outer] : entries.map(([key, value]) => new Map([...outer, [name, { key, value }]]));
  }

  /** The entries of a map or of a set of texts, also behind `{ for name, item in map : name => item if item.member == "text" }`. */
  private entries(value: HclValue | undefined, scope: Scope): [string, HclValue][] | undefined {
    if (Array.isArray(value)) return value.filter((item) => typeof item === "string").map((item) => [item, item]);
    if (isRecord(value)) return Object.entries(value) as [string, HclValue][];
    const [, source, member, wanted] = FILTER.exec(text(value)) ?? [];
    if (source === undefined) return undefined;
    const all = this.resolve(`\${${source}}`, scope);
    if (!isRecord(all)) return undefined;
    const entries = Object.entries(all) as [string, HclValue][];
    return member === undefined ? entries : entries.filter(([, item]) => get(item, member) === wanted);
  }

  /** Blocks of a type, and what a `dynamic` block makes of that type. */
  private inner(block: HclBlock, type: string, scope: Scope): { block: HclBlock; scope: Scope }[] {
    return block.blocks.flatMap((found) => {
      if (found.type === type) return [{ block: found, scope }];
      if (found.type !== "dynamic" || found.labels[0] !== type) return [];
      const contents = found.blocks.filter((content) => content.type === "content");
      return this.scopes(type, found, scope).flatMap((inner) =>
        contents.map((content) => ({ block: content, scope: inner })),
      );
    });
  }

  /** A policy is written out, or that of one of the documents that the expression names: then each of them may be meant. */
  private policy(value: HclValue | undefined, scope: Scope, place: Place): RoleStatement[] | undefined {
    const written = statementsOfJson(value, place);
    if (written !== undefined) return written;
    const blocks = this.withSources(documentNames(value), scope, new Set());
    return blocks.length === 0 ? undefined : blocks.flatMap((block) => this.statements(block, scope));
  }

  private statements(document: HclBlock, scope: Scope): RoleStatement[] {
    return this.inner(document, "statement", scope).map((found) =>
      statementOfBlock(this.view(found.block, found.scope)),
    );
  }

  private view(block: HclBlock, scope: Scope): BlockView {
    return {
      place: placeOf(block),
      has: (name) => block.attributes.has(name),
      get: (name) => this.resolve(block.attributes.get(name)?.value, scope),
      blocks: (type) => this.inner(block, type, scope).map((found) => this.view(found.block, found.scope)),
    };
  }

  /** Documents, and those that they are made from. */
  private withSources(names: readonly string[], scope: Scope, seen: Set<string>): HclBlock[] {
    return names.flatMap((name) => {
      const block = this.documents.get(name);
      if (block === undefined || seen.has(name)) return [];
      seen.add(name);
      const sources = ["source_policy_documents", "override_policy_documents"].flatMap((attribute) =>
        documentNames(this.resolve(block.attributes.get(attribute)?.value, scope)),
      );
      return [block, ...this.withSources(sources, scope, seen)];
    });
  }

  /**
   * A value with what is known in the place of variables, locals and names of the scope.
   * @throws GuardError `ERR_USAGE` for values that name each other over and over.
   */
  private resolve(value: HclValue | undefined, scope: Scope, depth = 0): HclValue | undefined {
    // A long text costs more than a short one.
    this.steps += typeof value === "string" ? 1 + value.length / LETTERS_PER_STEP : 1;
    if (this.steps > STEPS_MAX) {
      throw new GuardError(
        "ERR_USAGE",
        `${this.name}: found values that refer to each other more than ${STEPS_MAX} times, expected fewer`,
      );
    }
    if (typeof value === "string") return this.resolveText(value, scope, depth);
    if (Array.isArray(value)) return value.map((item) => this.resolve(item, scope, depth) ?? null);
    if (!isRecord(value)) return value;
    return Object.fromEntries(
      Object.entries(value).map(([name, item]) => [name, this.resolve(item as HclValue, scope, depth) ?? null]),
    );
  }

  private resolveText(value: string, scope: Scope, depth: number): HclValue | undefined {
    if (!isOpen(value) || depth > RESOLUTIONS_MAX) return value;
    const whole = WHOLE.exec(value);
    if (whole !== null) {
      const known = this.known(whole[1] ?? "", scope);
      return known === undefined ? value : this.resolve(known, scope, depth + 1);
    }
    const replaced = value.replaceAll(PART, (all, name: string) => {
      const known = this.resolve(this.known(name, scope), scope, depth + 1);
      return typeof known === "string" || typeof known === "number" ? String(known) : all;
    });
    if (replaced.length > TEXT_LENGTH_MAX) return value;
    // An expression that is more than a name: a local in it may name a policy document.
    const hints = matches(/(?<![\w.-])local\.[\w-]+/g, replaced).flatMap((name) =>
      matches(POLICY_DOCUMENT, this.known(name, scope)),
    );
    return hints.length === 0 ? replaced : `${replaced}\${${hints.join(" ")}}`;
  }

  /** What a name stands for: `var.a`, `local.a`, `each.key`, `each.value.a`. */
  private known(name: string, scope: Scope): HclValue | undefined {
    const [kind = "", first = "", ...rest] = name.split(".");
    if (kind === "var" || kind === "local") {
      return get((kind === "var" ? this.variables : this.locals).get(first), ...rest) as HclValue | undefined;
    }
    const item = scope.get(kind);
    if (item === undefined) return undefined;
    return first === "key" ? item.key : (get(item.value, ...rest) as HclValue | undefined);
  }
}

/** The names of the policy documents that an expression names. */
function documentNames(value: HclValue | undefined): string[] {
  return matches(POLICY_DOCUMENT, value).map((reference) => reference.split(".").at(-1) ?? "");
}

/** What of the text in a value matches. */
function matches(pattern: RegExp, value: HclValue | undefined): string[] {
  return (JSON.stringify(value) ?? "").match(pattern) ?? [];
}

/** Whether a JSON value is a plan or a state of `terraform show -json`. */
export function isPlan(value: unknown): value is Record<string, unknown> {
  return (
    isRecord(value) &&
    typeof value.format_version === "string" &&
    (isRecord(value.planned_values) || isRecord(value.values))
  );
}

/** The resources of a plan or a state. */
export function resourcesOfPlan(plan: Record<string, unknown>, source: string, file: string): Resource[] {
  const root = get(plan.planned_values ?? plan.values, "root_module");
  const expressions = new Map<string, unknown>();
  collectExpressions(get(plan.configuration, "root_module"), "", expressions);
  return modulesOf(root).flatMap((module) =>
    list(module.resources).flatMap((value) => {
      if (!isRecord(value) || value.mode === "data") return [];
      return [planned(value, text(module.address), expressions, source, file)];
    }),
  );
}

function modulesOf(module: unknown): Record<string, unknown>[] {
  return isRecord(module) ? [module, ...list(module.child_modules).flatMap(modulesOf)] : [];
}

function collectExpressions(module: unknown, prefix: string, into: Map<string, unknown>): void {
  for (const resource of list(get(module, "resources")))
    into.set(prefix + text(get(resource, "address")), get(resource, "expressions"));
  for (const [name, call] of Object.entries(record(get(module, "module_calls")))) {
    collectExpressions(get(call, "module"), `${prefix}module.${name}.`, into);
  }
}

function planned(
  resource: Record<string, unknown>,
  scope: string,
  expressions: ReadonlyMap<string, unknown>,
  source: string,
  file: string,
): Resource {
  const address = text(resource.address).replaceAll(/\[(?:"[^"]*"|\d+)\]/g, "");
  const key = resource.index === undefined ? undefined : String(resource.index);
  const offset = source.indexOf(JSON.stringify(text(resource.address)));
  const place = placeOf({ file, line: offset < 0 ? 1 : source.slice(0, offset).split("\n").length });
  const known = (name: string): HclValue | undefined => {
    const value = get(resource.values, name);
    return value === null ? undefined : (value as HclValue | undefined);
  };
  const prefix = scope === "" ? "" : `${scope}.`;
  return {
    type: text(resource.type),
    address,
    key,
    place,
    scope,
    get: known,
    references: (name) => [
      ...matches(REFERENCE, known(name)),
      ...texts(get(expressions.get(address), name, "references")).map(
        (reference) => prefix.replaceAll(/\[[^\]]*\]/g, "") + reference,
      ),
    ],
    at: () => place,
    policy: (name) => statementsOfJson(known(name), place),
    policiesIn: (type, name) => list(known(type)).flatMap((inner) => statementsOfJson(get(inner, name), place) ?? []),
  };
}
