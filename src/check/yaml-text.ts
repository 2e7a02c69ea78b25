// YAML and JSON text as values with lines. Booleans, merge keys and octal numbers are those of YAML 1.1, as kubectl reads them. Aliases are not
// expanded, only counted as if they were.
import { isAlias, isMap, isScalar, isSeq, Lexer, LineCounter, type Node, parseAllDocuments, type Tags } from "yaml";
import { GuardError } from "../error.ts";
import { oneLine } from "../terminal.ts";
import { DOCUMENTS_MAX, LEXEMES_MAX, VALUES_MAX } from "./limits.ts";

const TOO_DEEP = "nested too deep to be read";

/** Where something stands. Line and column are counted from 1. */
export interface Place {
  file: string;
  line: number;
  column: number;
}

export type Path = readonly (string | number)[];

/** One document of a file. */
export interface YamlDocument {
  value: unknown;
  /** Where the member at a path stands; for one that is not there, the innermost one around it that is. */
  at(path: Path): Place;
}

/** A value, the number of values in it, and where the members of objects and lists stand. */
interface Converted {
  value: unknown;
  size: number;
}

/**
 * The documents of a text, without empty ones.
 * @param file what the file is called in messages.
 * @throws GuardError `ERR_USAGE` with file, line and column when it is no YAML, has a member twice, or goes beyond a bound.
 */
export function readYaml(text: string, file: string): YamlDocument[] {
  checkSize(text, file);
  const lineCounter = new LineCounter();
  const documents = parsed(text, file, lineCounter);
  const place = (offset: number): Place => {
    const { line, col } = lineCounter.linePos(offset);
    return { file, line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  return documents.flatMap((document) => {
    const [error] = document.errors;
    if (error !== undefined) throw fault(place(error.pos[0]), error.message);
    const root = document.contents as Node | null;
    if (root === null || (isScalar(root) && root.value === null)) return [];
    const conversion = new Conversion(place);
    const { value } = conversion.run(root);
    const start = root.range?.[0] ?? 0;
    return [{ value, at: (path) => place(conversion.offset(value, path, start)) }];
  });
}

function checkSize(text: string, file: string): void {
  const documents = text.match(/^(?:---|\.\.\.)/gm)?.length ?? 0;
  if (documents > DOCUMENTS_MAX) {
    throw new GuardError("ERR_USAGE", `${file}: found ${documents} documents, expected at most ${DOCUMENTS_MAX}`);
  }
  let lexemes = 0;
  for (const _ of new Lexer().lex(text)) lexemes++;
  if (lexemes > LEXEMES_MAX) {
    throw new GuardError("ERR_USAGE", `${file}: found ${lexemes} words and signs, expected at most ${LEXEMES_MAX}`);
  }
}

/** As kubectl's reader: booleans and whole numbers of YAML 1.1, other numbers of 1.2 (`.` is a text), no times, sexagesimal numbers and sets. */
function kubectlTags(tags: Tags): Tags {
  const unknown = /:(?:timestamp|binary|omap|pairs|set|float)$/;
  const isKnown = (tag: Tags[number]): boolean =>
    typeof tag === "string" || (!unknown.test(tag.tag) && !("format" in tag && tag.format === "TIME"));
  return [...tags.filter(isKnown), "floatNaN", "floatExp", "float"];
}

function parsed(text: string, file: string, lineCounter: LineCounter) {
  try {
    const found = parseAllDocuments(text, {
      lineCounter,
      schema: "yaml-1.1",
      merge: true,
      customTags: kubectlTags,
      prettyErrors: false,
      // Members that are there twice are looked for below: the library compares each with each.
      uniqueKeys: false,
      logLevel: "silent",
    });
    return Array.isArray(found) ? found : [];
  } catch (error) {
    // A text of nothing but brackets.
    if (error instanceof RangeError) throw new GuardError("ERR_USAGE", `${file}: ${TOO_DEEP}`, { cause: error });
    throw error;
  }
}

function fault({ file, line, column }: Place, text: string): GuardError {
  const what = text.startsWith("Maximum call stack") ? TOO_DEEP : oneLine(text);
  return new GuardError("ERR_USAGE", `${file}:${line}:${column}: ${what}`);
}

class Conversion {
  private readonly place: (offset: number) => Place;
  /** The offset of each member of each object and list. */
  private readonly offsets = new WeakMap<object, Map<string | number, number>>();
  /** What each anchor stands for so far; undefined while it is being read. */
  private readonly anchors = new Map<string, Converted | undefined>();

  constructor(place: (offset: number) => Place) {
    this.place = place;
  }

  run(root: Node): Converted {
    try {
      return this.convert(root);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw fault(this.place(root.range?.[0] ?? 0), TOO_DEEP);
    }
  }

  offset(root: unknown, path: Path, start: number): number {
    let value = root;
    let offset = start;
    for (const key of path) {
      if (typeof value !== "object" || value === null) return offset;
      const found = this.offsets.get(value)?.get(key);
      if (found === undefined) return offset;
      offset = found;
      value = (value as Record<string | number, unknown>)[key];
    }
    return offset;
  }

  private convert(node: unknown): Converted {
    if (isAlias(node)) return this.alias(node.source, node.range?.[0] ?? 0);
    const anchor = isScalar(node) || isMap(node) || isSeq(node) ? node.anchor : undefined;
    if (anchor !== undefined) this.anchors.set(anchor, undefined);
    const converted = this.plain(node);
    if (converted.size > VALUES_MAX) {
      const offset = (node as Node | null)?.range?.[0] ?? 0;
      throw fault(this.place(offset), `found more than ${VALUES_MAX} values with aliases expanded, expected fewer`);
    }
    if (anchor !== undefined) this.anchors.set(anchor, converted);
    return converted;
  }

  private plain(node: unknown): Converted {
    if (isScalar(node)) return { value: node.value, size: 1 };
    if (isSeq(node)) return this.list(node.items);
    if (isMap(node)) return this.map(node.items as { key: unknown; value: unknown }[]);
    return { value: null, size: 1 };
  }

  private alias(name: string, offset: number): Converted {
    const found = this.anchors.get(name);
    if (found === undefined) throw fault(this.place(offset), `the alias *${name} names nothing that ends before it`);
    return found;
  }

  private list(items: readonly unknown[]): Converted {
    const value: unknown[] = [];
    const offsets = new Map<number, number>();
    let size = 1;
    for (const item of items) {
      const inner = this.convert(item);
      offsets.set(value.length, (item as Node | null)?.range?.[0] ?? 0);
      value.push(inner.value);
      size += inner.size;
    }
    this.offsets.set(value, offsets);
    return { value, size };
  }

  private map(pairs: readonly { key: unknown; value: unknown }[]): Converted {
    const own = new Map<string, unknown>();
    const merged = new Map<string, unknown>();
    const offsets = new Map<string, number>();
    let size = 1;
    for (const { key, value } of pairs) {
      const offset = (key as Node | null)?.range?.[0] ?? 0;
      const inner = this.convert(value);
      size += inner.size;
      if (isMergeKey(key)) {
        this.merge(inner.value, merged, offsets, offset);
        continue;
      }
      const name = String(this.convert(key).value);
      if (own.has(name))
        throw fault(this.place(offset), `found the member ${JSON.stringify(name)} twice, expected it once`);
      own.set(name, inner.value);
      offsets.set(name, offset);
    }
    const value = Object.fromEntries([...merged, ...own]);
    this.offsets.set(value, offsets);
    return { value, size };
  }

  /** Members of other objects (`<<: *base`): the first that brings one counts, and a member of the object's own before all. */
  private merge(value: unknown, into: Map<string, unknown>, offsets: Map<string, number>, offset: number): void {
    for (const source of Array.isArray(value) ? value : [value]) {
      if (typeof source !== "object" || source === null || Array.isArray(source)) {
        throw fault(this.place(offset), "found a merge key (<<) without an object, expected an alias of one");
      }
      const from = this.offsets.get(source);
      for (const [name, member] of Object.entries(source)) {
        if (into.has(name)) continue;
        into.set(name, member);
        if (!offsets.has(name)) offsets.set(name, from?.get(name) ?? offset);
      }
    }
  }
}

/** `<<` as it stands, or the symbol that the library reads it as. */
function isMergeKey(key: unknown): boolean {
  return isScalar(key) && (key.value === "<<" || typeof key.value === "symbol") && key.type === "PLAIN";
}
