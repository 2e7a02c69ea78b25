// HashiCorp's own HCL parser, built as WebAssembly (@cdktn/hcl2json), and what is used of it.

/** A node of an expression's syntax tree; `meta.value` is its text. */
export interface Expression {
  type: string;
  range: { start: { byte: number; line: number }; end: { byte: number; line: number } };
  children: Expression[];
  meta?: { value?: string; type?: string; name?: string };
}

interface HclParser {
  /** A file as nested objects: blocks by type and labels, each a list; what is no literal is a string with `${…}`. */
  parse(file: string, text: string): Promise<Record<string, unknown>>;
  /** The syntax tree of one expression. */
  getExpressionAst(file: string, text: string): Promise<Expression | null>;
}

/** As a value, so that the compiler does not look for its types: they bring in those of a browser for all of the sources. */
const PACKAGE: string = "@cdktn/hcl2json";

/** The parser. It is loaded, and its machine started, when a file is there to be read: that takes a tenth of a second. */
export async function hclParser(): Promise<HclParser> {
  return (await import(PACKAGE)) as HclParser;
}
