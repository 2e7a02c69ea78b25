// The canonical text of a JSON value (schema/canonical-arguments.md): what a call's digest is made of, and what people are shown. Never through
// `JSON.parse` of the whole: that would round numbers, and take the last of two members with one name.
import { visible } from "../audit/visible.ts";
import { GuardError } from "../error.ts";

/** A JSON value with everything that its canonical text has: numbers as they are spelled. */
export type JsonNode =
  | { readonly kind: "object"; readonly members: readonly JsonMember[] }
  | { readonly kind: "array"; readonly elements: readonly JsonNode[] }
  | { readonly kind: "string"; readonly value: string }
  | { readonly kind: "number"; readonly text: string }
  | { readonly kind: "word"; readonly text: "true" | "false" | "null" };

/** A member of an object, its name unescaped. */
export interface JsonMember {
  readonly name: string;
  readonly value: JsonNode;
}

/** Containers open at once, as in the filter. */
const DEPTH_MAX = 64;
/** RFC 8259 section 6. */
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
/** RFC 8259 section 2. */
const SPACE = /[ \t\n\r]*/y;
const WORD = /true|false|null/y;
/** With `u`, a pair of surrogates is one character and does not match. */
const LONE_SURROGATE = /\p{Surrogate}/u;

/**
 * The canonical text of the JSON value that `text` is.
 * @param without the name of a member of the root object that is left out; "" for none.
 * @throws GuardError `ERR_USAGE`, with line and column, when the filter's reader would not accept the text.
 */
export function canonicalise(text: string, without = ""): string {
  return canonicalText(parseStrict(text), without);
}

/** Whether `text` is the canonical text of a JSON value. */
export function isCanonical(text: string): boolean {
  try {
    return canonicalise(text) === text;
  } catch (error) {
    if (error instanceof GuardError) return false;
    throw error;
  }
}

/**
 * The value that a canonical text stands for, for whoever shows it.
 * @throws GuardError `ERR_USAGE` when the text is none, or not in the canonical spelling.
 */
export function parseCanonical(text: string): JsonNode {
  const node = parseStrict(text);
  if (canonicalText(node) !== text) {
    throw new GuardError("ERR_USAGE", "found another spelling, expected that of schema/canonical-arguments.md");
  }
  return node;
}

/**
 * Reads a JSON text as the filter does: no member twice, no lone surrogate, no byte order mark, nothing behind the value, at most `depthMax`
 * containers open at once.
 * @throws GuardError `ERR_USAGE` with line and column, both from 1, in UTF-16 units.
 */
export function parseStrict(text: string, depthMax = DEPTH_MAX): JsonNode {
  return new Reading(text, depthMax).root();
}

/**
 * The canonical text of a value.
 * @param without the name of a member that is left out, of this object alone and not of those in it; "" for none.
 */
export function canonicalText(node: JsonNode, without = ""): string {
  switch (node.kind) {
    case "object": {
      const members = node.members
        .filter(({ name }) => without === "" || name !== without)
        .map(({ name, value }) => ({
          bytes: Buffer.from(name),
          text: `${JSON.stringify(name)}:${canonicalText(value)}`,
        }))
        .sort((left, right) => Buffer.compare(left.bytes, right.bytes));
      return `{${members.map(({ text }) => text).join(",")}}`;
    }
    case "array":
      return `[${node.elements.map((element) => canonicalText(element)).join(",")}]`;
    case "string":
      // Of a string without lone surrogates this is the spelling of RFC 8785 section 3.2.2.2, which was taken from it.
      return JSON.stringify(node.value);
    default:
      return node.text;
  }
}

/** Recursion goes as deep as containers may be open. */
class Reading {
  readonly #text: string;
  readonly #depthMax: number;
  #at = 0;
  #depth = 0;

  constructor(text: string, depthMax: number) {
    this.#text = text;
    this.#depthMax = depthMax;
  }

  root(): JsonNode {
    // Half of a pair as a character and half as an escape would be a whole one to whoever reads on; in UTF-8 there is no such text.
    const lone = this.#text.search(LONE_SURROGATE);
    if (lone >= 0) throw this.#fault("text that is Unicode", lone);
    const node = this.#value();
    this.#space();
    if (this.#at < this.#text.length) throw this.#fault("nothing behind the value");
    return node;
  }

  #value(): JsonNode {
    this.#space();
    switch (this.#text[this.#at]) {
      case "{":
        return this.#object();
      case "[":
        return this.#array();
      case '"':
        return { kind: "string", value: this.#string() };
    }
    const word = this.#take(WORD);
    if (word !== "") return { kind: "word", text: word as "true" | "false" | "null" };
    const number = this.#take(NUMBER);
    if (number === "") throw this.#fault("a value");
    return { kind: "number", text: number };
  }

  #object(): JsonNode {
    const members: JsonMember[] = [];
    const names = new Set<string>();
    this.#open();
    if (!this.#closes("}")) {
      do {
        this.#space();
        const start = this.#at;
        if (this.#text[start] !== '"') throw this.#fault("the name of a member");
        const name = this.#string();
        if (names.has(name))
          throw this.#fault("no other member of this name", start, `the name ${visible(name)} twice`);
        names.add(name);
        this.#space();
        if (this.#text[this.#at] !== ":") throw this.#fault("a colon");
        this.#at++;
        members.push({ name, value: this.#value() });
      } while (this.#goesOn("}"));
    }
    this.#depth--;
    return { kind: "object", members };
  }

  #array(): JsonNode {
    const elements: JsonNode[] = [];
    this.#open();
    if (!this.#closes("]")) {
      do elements.push(this.#value());
      while (this.#goesOn("]"));
    }
    this.#depth--;
    return { kind: "array", elements };
  }

  #open(): void {
    if (this.#depth === this.#depthMax) throw this.#fault(`at most ${this.#depthMax} containers open at once`);
    this.#depth++;
    this.#at++;
  }

  /** Takes the end of a container, if it comes. */
  #closes(end: string): boolean {
    this.#space();
    if (this.#text[this.#at] !== end) return false;
    this.#at++;
    return true;
  }

  /** Behind an element or a member: takes the end, or the comma in front of another one. */
  #goesOn(end: string): boolean {
    if (this.#closes(end)) return false;
    if (this.#text[this.#at] !== ",") throw this.#fault(`a comma or ${end}`);
    this.#at++;
    return true;
  }

  /** Takes a string and gives what it stands for. */
  #string(): string {
    const start = this.#at;
    let hasEscapes = false;
    for (this.#at++; this.#text[this.#at] !== '"'; this.#at++) {
      const unit = this.#text.charCodeAt(this.#at);
      // Not a number at the end of the text.
      if (!(unit >= 0x20)) throw this.#fault("the end of the string, or a character that may stand in it");
      if (unit !== 0x5c) continue;
      hasEscapes = true;
      this.#at++;
      const letter = this.#text[this.#at] ?? "";
      const digits = this.#text.slice(this.#at + 1, this.#at + 5);
      if (letter === "u" && /^[0-9a-fA-F]{4}$/.test(digits)) this.#at += 4;
      else if (letter === "" || !'"\\/bfnrt'.includes(letter)) throw this.#fault("an escape of JSON", this.#at - 1);
    }
    this.#at++;
    const token = this.#text.slice(start, this.#at);
    if (!hasEscapes) return token.slice(1, -1);
    const value = JSON.parse(token) as string;
    if (LONE_SURROGATE.test(value)) throw this.#fault("surrogates in pairs", start, "half of a pair in the string");
    return value;
  }

  #space(): void {
    this.#take(SPACE);
  }

  /** Takes what matches here, perhaps nothing. */
  #take(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0] ?? "";
    this.#at += found.length;
    return found;
  }

  #fault(expected: string, at = this.#at, what?: string): GuardError {
    const lines = this.#text.slice(0, at).split("\n");
    const point = this.#text.codePointAt(at);
    const found = what ?? (point === undefined ? "the end of the text" : visible(String.fromCodePoint(point)));
    const place = `line ${lines.length}, column ${(lines.at(-1) ?? "").length + 1}`;
    return new GuardError("ERR_USAGE", `${place}: found ${found}, expected ${expected}`);
  }
}
