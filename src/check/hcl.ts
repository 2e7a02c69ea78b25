// HCL files (*.tf): their blocks and attributes, with lines. The text is read by HashiCorp's own parser, built as WebAssembly. Nothing is
// evaluated but `jsonencode` of a literal: a value that depends on anything else stays a string with its expression in `${…}`.
import { GuardError } from "../error.ts";
import { oneLine } from "../terminal.ts";
import { HclDepthError, type HclPlace, hclPlaces } from "./hcl-lines.ts";
import { type Expression, hclParser } from "./hcl-parser.ts";
import { HCL_LENGTH_MAX, JSONENCODE_MAX } from "./limits.ts";

/** A value as JSON has them. In a string `${…}` is an expression that was not evaluated, `$${` is the two characters `${`. */
export type HclValue = null | boolean | number | string | HclValue[] | { [name: string]: HclValue };

/** One attribute of a block. */
export interface HclAttribute {
  value: HclValue;
  line: number;
}

/** One block: `resource "aws_iam_role" "mcp" { … }` has the type `resource` and two labels. */
export interface HclBlock {
  file: string;
  /** Where the block begins, counted from 1. */
  line: number;
  type: string;
  labels: readonly string[];
  attributes: ReadonlyMap<string, HclAttribute>;
  blocks: readonly HclBlock[];
}

/** The parser works on a whole text at once and answers within seconds at any size that is read. */
const PARSE_MS = 30_000;
const JSONENCODE = /^\$\{\s*(jsonencode\s*\([\s\S]*\))\s*\}$/;

/**
 * An HCL file as one block without a type, which has the blocks of the file in their order, and its attributes (`*.tfvars`).
 * @param file what the file is called in messages.
 * @throws GuardError `ERR_USAGE` with file, line and column when the text is no HCL.
 */
export async function readHcl(text: string, file: string): Promise<HclBlock> {
  if (text.length > HCL_LENGTH_MAX) {
    throw new GuardError(
      "ERR_USAGE",
      `${file}: found ${text.length} letters, expected at most ${HCL_LENGTH_MAX} in a Terraform file`,
    );
  }
  const root = places(text, file);
  const { parse } = await hclParser();
  const json = await settled(() => parse(file, text), file);
  return toBlock(root, json, { file, calls: 0 });
}

/** Whether a string has an expression that was not evaluated. */
export function isOpen(text: string): boolean {
  return /(?<!\$)[$%]\{/.test(text);
}

function places(text: string, file: string): HclPlace {
  try {
    return hclPlaces(text);
  } catch (error) {
    if (error instanceof HclDepthError)
      throw new GuardError("ERR_USAGE", `${file}:${error.line}: ${error.message}`, { cause: error });
    throw error;
  }
}

/** The parser's answer. Its machine can end without one (a stack that is exhausted): then there is nothing else that would keep the process alive. */
async function settled<T>(ask: () => Promise<T>, file: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("the parser gave no answer")), PARSE_MS);
  });
  try {
    return await Promise.race([ask(), timeout]);
  } catch (error) {
    throw new GuardError("ERR_USAGE", complaint(error, file), { cause: error });
  } finally {
    clearTimeout(timer);
  }
}

/** `parse config: [a.tf:2,7-8: Invalid expression; …]` as `a.tf:2:7: Invalid expression; …`. */
function complaint(error: unknown, file: string): string {
  const text = oneLine(error instanceof Error ? error.message : String(error));
  const found = /(\d+),(\d+)-(?:\d+,)?\d+: (.*?)\]?$/.exec(text);
  return found === null ? `${file}: cannot be read as HCL: ${text}` : `${file}:${found[1]}:${found[2]}: ${found[3]}`;
}

/** The values of a block: the next list entry below its type and labels. */
function jsonOf(json: unknown, { type, labels }: HclPlace, seen: Map<string, number>): Record<string, unknown> {
  const path = [type, ...labels];
  const key = JSON.stringify(path);
  const index = seen.get(key) ?? 0;
  seen.set(key, index + 1);
  const list = path.reduce<unknown>((inner, name) => member(inner, name), json);
  const value: unknown = Array.isArray(list) ? list[index] : list;
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

function member(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
  return (value as Record<string, unknown>)[name];
}

/** A file, and how many calls of `jsonencode` were read in it. */
interface Reading {
  file: string;
  calls: number;
}

async function toBlock(place: HclPlace, json: Record<string, unknown>, reading: Reading): Promise<HclBlock> {
  const attributes = new Map<string, HclAttribute>();
  for (const { name, line } of place.attributes) {
    attributes.set(name, { value: await toValue((member(json, name) ?? null) as HclValue, reading), line });
  }
  const seen = new Map<string, number>();
  const blocks: HclBlock[] = [];
  for (const inner of place.blocks) blocks.push(await toBlock(inner, jsonOf(json, inner, seen), reading));
  return { file: reading.file, line: place.line, type: place.type, labels: place.labels, attributes, blocks };
}

/** The value with each `jsonencode` of a literal in the place of its call, as the value that it encodes. */
async function toValue(value: HclValue, reading: Reading): Promise<HclValue> {
  const call = typeof value === "string" ? JSONENCODE.exec(value)?.[1] : undefined;
  if (call === undefined || reading.calls >= JSONENCODE_MAX) return value;
  reading.calls++;
  const { getExpressionAst } = await hclParser();
  const tree = await settled(() => getExpressionAst(reading.file, call), reading.file);
  const [argument] = tree?.type === "function" && tree.meta?.name === "jsonencode" ? tree.children : [];
  return argument === undefined ? value : literal(argument, Buffer.from(call));
}

/** An expression as a value; what is no literal as `${…}`. */
function literal(tree: Expression, source: Buffer): HclValue {
  const text = tree.meta?.value ?? source.toString("utf8", tree.range.start.byte, tree.range.end.byte);
  switch (tree.type) {
    case "tuple":
      return tree.children.map((child) => literal(child, source));
    case "object": {
      const entries: [string, HclValue][] = [];
      for (let i = 0; i + 1 < tree.children.length; i += 2) {
        const [key, value] = [tree.children[i], tree.children[i + 1]];
        if (key !== undefined && value !== undefined) entries.push([keyOf(key, source), literal(value, source)]);
      }
      return Object.fromEntries(entries);
    }
    case "literalValue":
      return scalar(tree.meta?.type, text);
    case "template":
      return tree.children
        .map((child) => (child.type === "literalValue" ? unescaped(child, text) : part(child, source)))
        .join("");
    default:
      return `\${${text}}`;
  }
}

function part(tree: Expression, source: Buffer): string {
  const value = literal(tree, source);
  return typeof value === "string" ? value : String(value);
}

function scalar(type: string | undefined, text: string): HclValue {
  if (type === "bool") return text === "true";
  if (type === "number") return Number(text);
  return text === "null" ? null : text;
}

/** The key of an object: a name, a text in quotes, or an expression in parentheses. */
function keyOf(tree: Expression, source: Buffer): string {
  const [inner] = tree.children;
  if (inner === undefined) return source.toString("utf8", tree.range.start.byte, tree.range.end.byte);
  const value = literal(inner, source);
  return typeof value === "string" ? value : String(value);
}

/** A piece of a text in quotes or of a heredoc, which has no escapes. */
function unescaped({ meta }: Expression, template: string): string {
  const text = meta?.value ?? "";
  if (template.startsWith("<<")) return text;
  const simple: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t", '"': '"', "\\": "\\" };
  return text.replaceAll(
    /\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))/gs,
    (all, four, eight, one: string | undefined) => {
      if (one !== undefined) return simple[one] ?? all;
      const code = Number.parseInt(four ?? eight, 16);
      return code <= 0x10ffff ? String.fromCodePoint(code) : all;
    },
  );
}
