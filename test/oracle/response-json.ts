// JSON texts as trees for the reference of the response side: what the strict reader accepts, with the order of the members
// and numbers as they were written, and a body cut into the texts that it is a sequence of.

import { type JsonEvent, readStrictJson, STRICT_LIMITS, type StrictLimits } from "./strict-json.ts";

/** A JSON-RPC error of the guard: which reasons it may give, and which ids it may have (as text; undefined: none). */
export interface Refusal {
  readonly reasons: readonly string[];
  readonly ids: readonly (string | undefined)[];
}

/** Where a value stands in its text, in bytes. Only containers know their end; made-up values stand nowhere. */
interface Place {
  readonly start: number;
  readonly end: number;
}

export interface Member extends Place {
  readonly name: string;
  readonly value: Tree;
}

export type TreeObject = Place & { readonly kind: "object"; readonly members: readonly Member[] };
export type TreeArray = Place & { readonly kind: "array"; readonly elements: readonly Tree[] };
export type Tree =
  | TreeObject
  | TreeArray
  | (Place & { readonly kind: "string" | "number" | "true" | "false" | "null"; readonly text: string })
  | (Place & { readonly kind: "refusal"; readonly refusal: Refusal });

const NOWHERE: Place = { start: 0, end: 0 };

export const textNode = (text: string): Tree => ({ kind: "string", text, ...NOWHERE });
export const numberNode = (text: string): Tree => ({ kind: "number", text, ...NOWHERE });
export const refusalNode = (refusal: Refusal): Tree => ({ kind: "refusal", refusal, ...NOWHERE });
export const arrayNode = (elements: readonly Tree[]): TreeArray => ({ kind: "array", elements, ...NOWHERE });
export const objectNode = (members: readonly Member[]): TreeObject => ({ kind: "object", members, ...NOWHERE });

export const memberOf = (tree: Tree | undefined, name: string): Tree | undefined =>
  tree?.kind === "object" ? tree.members.find((member) => member.name === name)?.value : undefined;

/** One spelling for all texts that say the same, member order and number spelling included. */
export function canonical(tree: Tree): string {
  switch (tree.kind) {
    case "object":
      return `{${tree.members.map(({ name, value }) => `${JSON.stringify(name)}:${canonical(value)}`).join(",")}}`;
    case "array":
      return `[${tree.elements.map(canonical).join(",")}]`;
    case "string":
      return JSON.stringify(tree.text);
    case "number":
      return tree.text;
    case "refusal":
      return `<${tree.refusal.reasons.join("|")} id ${tree.refusal.ids.map((id) => id ?? "none").join("|")}>`;
    default:
      return tree.kind;
  }
}

/** A text of a body: the tree, or what stands whole before the fault. */
export type JsonText =
  | { readonly ok: true; readonly tree: Tree; readonly bytes: number }
  | {
      readonly ok: false;
      /** The elements of a root array that are complete; absent when the root is none. */
      readonly elements?: readonly Tree[];
      /** The broken element of a root array is an array. */
      readonly isNested?: boolean;
      /** The `id` of the root object, or of the broken element of a root array, when it stands before the fault. */
      readonly id: string | undefined;
    };

/** Strict reading of one text whose root may be any value. It becomes a member's value for the reader of request bodies. */
export function readText(bytes: Uint8Array, limits: Partial<StrictLimits> = {}): JsonText {
  const before = Buffer.from('{"v":');
  const { depth, openMembers, membersPerObject, keyBytes } = { ...STRICT_LIMITS, ...limits };
  const wrapped = Buffer.concat([before, bytes, Buffer.from("}")]);
  const reading = readStrictJson(wrapped, {
    depth: depth + 1,
    openMembers: openMembers + 1,
    membersPerObject,
    keyBytes,
  });
  const events = reading.events.slice(2);
  const root = events[0]?.[1];
  // What ends with another value or member than it began with was more than one value: `1,"x":2`.
  const isOne =
    reading.ok && !reading.events.some(([, kind], index) => kind === "key" && index > 1 && depthAt(index) === 1);
  if (isOne) return { ok: true, tree: new Builder(events, before.length).value(), bytes: bytes.length };
  // The bracket around it may have closed what the text has left open.
  const read = events.filter(([offset]) => offset < before.length + bytes.length);
  if (root !== "array_start") return { ok: false, id: idIn(read, before.length) };
  const { elements, rest } = new Builder(read, before.length).wholeElements();
  return { ok: false, elements, isNested: rest[0]?.[1] === "array_start", id: idIn(rest, before.length) };

  function depthAt(index: number): number {
    let open = 0;
    for (const [, kind] of reading.events.slice(0, index)) {
      if (kind === "object_start" || kind === "array_start") open++;
      else if (kind === "object_end" || kind === "array_end") open--;
    }
    return open;
  }
}

/** A text that the test wrote, and must be right. */
export function tree(text: string): Tree {
  const reading = readText(Buffer.from(text));
  if (!reading.ok) throw new Error(`the test's own text is no strict JSON: ${text}`);
  return reading.tree;
}

/** The texts of a body in order. The last one may be broken, and nothing is said about what stands behind it. */
export function readTexts(body: Uint8Array, limits: Partial<StrictLimits> = {}): readonly JsonText[] {
  const texts: JsonText[] = [];
  let at = 0;
  for (;;) {
    while (at < body.length && isWhiteSpace(body[at]!)) at++;
    if (at === body.length) return texts;
    const end = endOfText(body, at);
    const text = readText(body.subarray(at, end), limits);
    texts.push(text);
    if (!text.ok) return texts;
    at = end;
  }
}

const isWhiteSpace = (byte: number): boolean => [0x20, 0x09, 0x0a, 0x0d].includes(byte);

/** The end of the text that begins here, should it be a good one: brackets are counted, strings skipped. */
function endOfText(body: Uint8Array, start: number): number {
  const latin1 = Buffer.from(body).toString("latin1");
  let depth = 0;
  for (let at = start; at < body.length; at++) {
    const character = latin1[at]!;
    if (character === '"') {
      for (at++; at < body.length && latin1[at] !== '"'; at++) if (latin1[at] === "\\") at++;
    } else if ("{[".includes(character)) depth++;
    else if ("}]".includes(character)) depth--;
    else if (depth === 0) {
      while (at < body.length && !isWhiteSpace(body[at]!) && !'{}[]"'.includes(latin1[at]!)) at++;
      return at;
    }
    if (depth <= 0) return at + 1;
  }
  return body.length;
}

/** The top-level `id` of the object that these events begin, as its canonical text. */
function idIn(events: readonly JsonEvent[], shift: number): string | undefined {
  let depth = 0;
  for (const [index, [, kind, text]] of events.entries()) {
    if (kind === "object_start" || kind === "array_start") depth++;
    if (kind === "object_end" || kind === "array_end") depth--;
    if (depth !== 1 || kind !== "key" || text !== "id") continue;
    const value = events[index + 1];
    const isRead = value !== undefined && !["object_start", "array_start"].includes(value[1]);
    return isRead ? canonical(new Builder([value], shift).value()) : undefined;
  }
  return undefined;
}

/** Trees from events. */
class Builder {
  private readonly events: readonly JsonEvent[];
  private readonly shift: number;
  private at = 0;

  constructor(events: readonly JsonEvent[], shift: number) {
    this.events = events;
    this.shift = shift;
  }

  /** The elements of the root array that are followed by something, and the events of what is not whole. */
  wholeElements(): { readonly elements: readonly Tree[]; readonly rest: readonly JsonEvent[] } {
    const elements: Tree[] = [];
    this.at = 1;
    for (;;) {
      const start = this.at;
      const value = this.isWhole() ? this.value() : undefined;
      if (value === undefined) return { elements, rest: this.events.slice(start) };
      elements.push(value);
    }
  }

  value(): Tree {
    const [offset, kind, text] = this.events[this.at++]!;
    const start = offset - this.shift;
    if (kind === "object_start") {
      const members: Member[] = [];
      while (this.events[this.at]![1] === "key") {
        const [keyOffset, , name] = this.events[this.at++]!;
        const value = this.value();
        members.push({ name, value, start: keyOffset - this.shift, end: value.end });
      }
      return { kind: "object", members, start, end: this.close() };
    }
    if (kind === "array_start") {
      const elements: Tree[] = [];
      while (this.events[this.at]![1] !== "array_end") elements.push(this.value());
      return { kind: "array", elements, start, end: this.close() };
    }
    if (kind === "key" || kind === "object_end" || kind === "array_end")
      throw new Error(`no value begins with ${kind}`);
    return { kind, text, start, end: start + Buffer.byteLength(text) };
  }

  private close(): number {
    return this.events[this.at++]![0] - this.shift + 1;
  }

  private isWhole(): boolean {
    let depth = 0;
    for (let index = this.at; index < this.events.length; index++) {
      const kind = this.events[index]![1];
      if (kind === "object_start" || kind === "array_start") depth++;
      if (kind === "object_end" || kind === "array_end") depth--;
      if (depth === 0) return true;
      if (depth < 0) return false;
    }
    return false;
  }
}
