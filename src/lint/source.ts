// From the bytes of a file to the policies in it, each with its value, with what the filter gets of it, and with the place of
// every member.
import { isUtf8 } from "node:buffer";
import {
  type Document,
  isAlias,
  isMap,
  isNode,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseAllDocuments,
  visit,
} from "yaml";
import { policyPlace } from "../policy/policy-place.ts";
import { oneLine } from "../terminal.ts";
import type { Path, Position, Told } from "./finding.ts";
import type { RuleName } from "./rules.ts";

/** Above it a text is not taken apart: the filter refuses it for its length alone. */
const TEXT_BYTES_MAX = 4 << 20;
const REPLACEMENT = "\ufffd";

/** One policy. */
export interface PolicyText {
  /** As a parser reads it; undefined when it is no JSON. */
  readonly value: unknown;
  /** What the filter is handed. */
  readonly configuration: string | Uint8Array;
  /** Whether it stands in a resource of Kubernetes. */
  readonly isResource: boolean;
  /** Plain words that YAML 1.1 takes for true and false, by their path as JSON. Of a resource `value` has them as kubectl reads them. */
  readonly wordBooleans: ReadonlyMap<string, { readonly path: Path; readonly word: string }>;
  /** Where a member stands; what is not there is placed at what is around it. */
  place(path: Path, atName?: boolean): Position;
  /** Where a byte of `configuration` stands; undefined when that is no text of the file. */
  placeOfByte(offset: number): Position | undefined;
}

/** What was found in a file. */
export interface Source {
  readonly policies: readonly PolicyText[];
  /** Why a part of it has no policy that could be judged. */
  readonly problems: readonly (Told & { readonly position: Position })[];
}

/**
 * Reads a file.
 * @param isJson takes a policy that stands alone as the text that the filter gets, byte for byte; else it is YAML, of which the filter gets
 * what Istio makes of it.
 */
export function readSource(bytes: Uint8Array, isJson: boolean): Source {
  if (isJson) {
    const source = readJson(bytes);
    if (source !== undefined) return source;
  }
  return readYaml(bytes);
}

/** Undefined for a resource, which is read in the same way in JSON and in YAML. */
function readJson(bytes: Uint8Array): Source | undefined {
  const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
  const value = bytes.length > TEXT_BYTES_MAX ? undefined : parseJson(text);
  if (isObject(value) && (policyPlace(value.kind) !== undefined || isOtherResource(value))) return undefined;
  const lines = new LineCounter();
  // Only the places are taken from it: what a reader of YAML thinks of a JSON text does not count.
  const [document] = value === undefined ? [] : parseAllDocuments(text, { ...YAML_OPTIONS, lineCounter: lines });
  const policy: PolicyText = {
    value,
    configuration: bytes,
    isResource: false,
    wordBooleans: new Map(),
    place: (path, atName) => placeIn(document, document?.contents, lines, path, atName),
    placeOfByte: (offset) =>
      positionIn(new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes.subarray(0, offset))),
  };
  return { policies: [policy], problems: [] };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

// `<<` is a member of YAML 1.1, which kubectl reads; a warning would go to the process, past the command's own output.
const YAML_OPTIONS = { prettyErrors: false, merge: true, logLevel: "silent" } as const;

function readYaml(bytes: Uint8Array): Source {
  if (!isUtf8(bytes)) {
    const before = new TextDecoder().decode(bytes).split(REPLACEMENT, 1)[0] ?? "";
    return oneProblem(positionIn(before), "encoding", "found bytes that are no UTF-8", "a text in UTF-8");
  }
  if (bytes.length > TEXT_BYTES_MAX) {
    return oneProblem({ line: 1, column: 1 }, "filter", "larger than 4 MiB", "");
  }
  const lines = new LineCounter();
  const text = new TextDecoder().decode(bytes);
  const documents = parseAllDocuments(text, { ...YAML_OPTIONS, lineCounter: lines }) as Document[];
  const policies: PolicyText[] = [];
  const problems: Source["problems"][number][] = [];
  for (const document of documents) {
    const told = document.errors.map((error) => ({
      ...yamlProblem(error.code, error.message),
      position: positionOf(lines, error.pos[0]),
    }));
    problems.push(...told);
    if (told.length > 0 || document.contents === null) continue;
    const reading = readDocument(document, lines);
    policies.push(...reading.policies);
    problems.push(...reading.problems);
  }
  return { policies, problems };
}

function yamlProblem(code: string, message: string): Told {
  if (code === "DUPLICATE_KEY") {
    return { rule: "yaml", path: [], what: "found a member a second time in one object", expected: "each member once" };
  }
  return { rule: "yaml", path: [], what: `found a text that is no YAML: ${oneLine(message)}`, expected: "" };
}

function readDocument(document: Document, lines: LineCounter): Source {
  let value: unknown;
  try {
    value = document.toJS();
  } catch (error) {
    // An alias that expands to more than the reader is willing to hold.
    const why = error instanceof Error ? error.message : String(error);
    return oneProblem(
      placeIn(document, document.contents, lines, []),
      "yaml",
      `found aliases: ${oneLine(why)}`,
      "plain YAML",
    );
  }
  return readObject(value, [], document, lines);
}

/** The policies in a value of a document: a resource, a list of resources as kubectl prints them, or a policy that stands alone. */
function readObject(value: unknown, at: Path, document: Document, lines: LineCounter): Source {
  const place = (path: Path, atName?: boolean) => placeIn(document, document.contents, lines, [...at, ...path], atName);
  if (!isObject(value)) return { policies: [policyOf(value, at, document, lines, false)], problems: [] };
  if (value.kind === "List" && Array.isArray(value.items)) {
    const read = value.items.map((item, index) => readObject(item, [...at, "items", index], document, lines));
    return { policies: read.flatMap(({ policies }) => policies), problems: read.flatMap(({ problems }) => problems) };
  }
  const members = policyPlace(value.kind);
  if (members === undefined) {
    if (isOtherResource(value)) return { policies: [], problems: [] };
    return { policies: [policyOf(value, at, document, lines, false)], problems: [] };
  }
  const kind = String(value.kind);
  if (typeof value.apiVersion !== "string") {
    const expected = "the apiVersion extensions.istio.io/v1alpha1";
    return oneProblem(place(["kind"], true), "resource", `found a ${kind} without apiVersion`, expected);
  }
  const policy = members.reduce<unknown>((inner, name) => (isObject(inner) ? inner[name] : undefined), value);
  if (policy === undefined || policy === null) {
    const what = `found a ${kind} without ${members.join(".")}`;
    return oneProblem(place(members), "resource", what, "a policy there: the filter refuses to start without one");
  }
  return { policies: [policyOf(policy, [...at, ...members], document, lines, true)], problems: [] };
}

function policyOf(value: unknown, at: Path, document: Document, lines: LineCounter, isResource: boolean): PolicyText {
  const root = nodeAt(document, document.contents, at).node;
  const wordBooleans = wordBooleansOf(document, root);
  if (isResource) for (const { path, word } of wordBooleans.values()) setIn(value, path, TRUE_WORD.test(word));
  return {
    value,
    // As a protobuf Struct comes out of Istio: each number a double, nothing of the text's own form.
    configuration: JSON.stringify(value) ?? "null",
    isResource,
    wordBooleans,
    place: (path, atName) => placeIn(document, root, lines, path, atName),
    placeOfByte: () => undefined,
  };
}

/** What YAML 1.1 takes for a boolean, and 1.2 for a text (yaml.org, type/bool, 2005). */
const WORD_BOOLEAN = /^(?:y|Y|yes|Yes|YES|n|N|no|No|NO|on|On|ON|off|Off|OFF)$/;
const TRUE_WORD = /^(?:y|on)/i;

function wordBooleansOf(document: Document, root: unknown): PolicyText["wordBooleans"] {
  const found = new Map<string, { path: Path; word: string }>();
  if (!isNode(root)) return found;
  visit(root, {
    Scalar(key, node, ancestors) {
      if (key === "key" || node.type !== "PLAIN" || !WORD_BOOLEAN.test(node.source ?? "")) return;
      const path = pathOf(document, [...ancestors, node]);
      found.set(JSON.stringify(path), { path, word: node.source ?? "" });
    },
  });
  return found;
}

/** The members and indices along nodes that each contain the next. */
function pathOf(document: Document, nodes: readonly unknown[]): Path {
  const path: (string | number)[] = [];
  nodes.forEach((node, index) => {
    const next = nodes[index + 1];
    if (isSeq(node)) path.push(node.items.indexOf(next));
    else if (isPair(node)) path.push(keyText(document, node.key));
  });
  return path;
}

function setIn(value: unknown, path: Path, to: boolean): void {
  const [step, ...rest] = path;
  if (step === undefined || typeof value !== "object" || value === null) return;
  const holder = value as Record<string | number, unknown>;
  if (rest.length === 0) holder[step] = to;
  else setIn(holder[step], rest, to);
}

function keyText(document: Document, key: unknown): string {
  const node = isAlias(key) ? key.resolve(document) : key;
  return isScalar(node) ? String(node.value) : String(node);
}

/** The node at a path, the one around it where there is none, and the name of the last member on the way. */
function nodeAt(document: Document, root: unknown, path: Path): { node: unknown; name: unknown; isWhole: boolean } {
  let node = resolved(document, root);
  let name: unknown;
  for (const step of path) {
    if (isSeq(node) && typeof step === "number" && step < node.items.length) {
      node = resolved(document, node.items[step]);
      name = undefined;
    } else {
      const pair = isMap(node) ? node.items.find((item) => keyText(document, item.key) === String(step)) : undefined;
      if (pair === undefined) return { node, name, isWhole: false };
      name = pair.key;
      // A member without a value is placed at its name.
      node = isNode(pair.value) ? resolved(document, pair.value) : pair.key;
    }
  }
  return { node, name, isWhole: true };
}

function resolved(document: Document, node: unknown): unknown {
  return isAlias(node) ? (node.resolve(document) ?? node) : node;
}

function placeIn(
  document: Document | undefined,
  root: unknown,
  lines: LineCounter,
  path: Path,
  atName = false,
): Position {
  if (document === undefined) return { line: 1, column: 1 };
  const { node, name, isWhole } = nodeAt(document, root, path);
  const shown = atName && isWhole && isNode(name) ? name : node;
  return positionOf(lines, isNode(shown) ? ((shown as Node).range?.[0] ?? 0) : 0);
}

function positionOf(lines: LineCounter, offset: number): Position {
  const { line, col } = lines.linePos(offset);
  return { line: Math.max(line, 1), column: Math.max(col, 1) };
}

/** The place behind a text. */
function positionIn(before: string): Position {
  const lines = before.split("\n");
  return { line: lines.length, column: (lines.at(-1) ?? "").length + 1 };
}

function oneProblem(position: Position, rule: RuleName, what: string, expected: string): Source {
  return { policies: [], problems: [{ rule, path: [], what, expected, position }] };
}

function isOtherResource(value: Record<string, unknown>): boolean {
  return typeof value.kind === "string" && typeof value.apiVersion === "string";
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
