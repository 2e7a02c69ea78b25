// The module of test/unit/assembly/rules.ts as the tests use it.
import { instantiateSync } from "@assemblyscript/loader";
import type { Target } from "./harness.ts";
import { unitModule } from "./unit-module.ts";

/** What the module exports; see the source for what each does. */
interface Exports extends Record<string, unknown> {
  memory: WebAssembly.Memory;
  _initialize(): void;
  allocate(bytes: number): number;
  setKey(first: bigint, second: bigint): void;
  reset(): void;
  addRule(approvalOff: number): void;
  addText(kind: number, address: number, bytes: number): void;
  index(): void;
  referencesAt(kind: number, address: number, bytes: number): number;
  begin(): void;
  note(kind: number, address: number, bytes: number): void;
  end(): number;
  nextMatch(from: number): number;
  has(kind: number, address: number, bytes: number): number;
}

/** What facts are about (`FactKind`), by number from 1: three kinds that select, three that are given. */
export const KINDS = ["principal", "group", "workload", "tool", "prompt", "exempt"] as const;
export type Kind = (typeof KINDS)[number];

/** A rule's lists, those that it has, and whether nobody is asked for approval under it. */
export interface Rule {
  readonly lists: Partial<Readonly<Record<Kind, readonly string[]>>>;
  readonly approvalOff: boolean;
}

/** Something that is true of an identity. */
export type Fact = readonly [kind: Kind, text: string];

/** The folders that the module is made of. */
const SOURCES = ["assembly/policy", "assembly/memory"];

export class RulesHarness {
  readonly #exports: Exports;
  /** Where texts stand that have been asked for. */
  readonly #texts = new Map<string, { at: number; bytes: number }>();
  #count = 0;

  constructor(target: Target) {
    this.#exports = instantiateSync<Exports>(unitModule("rules", SOURCES, target), {}).exports;
    this.#exports._initialize();
    this.#exports.setKey(0x0123456789abcdefn, 0xfedcba9876543210n);
  }

  /** Bytes of the module's memory. */
  get memoryBytes(): number {
    return this.#exports.memory.buffer.byteLength;
  }

  /** Indexes these rules, in place of those before. */
  start(rules: readonly Rule[]): void {
    this.#exports.reset();
    this.#count = rules.length;
    for (const { lists, approvalOff } of rules) {
      this.#exports.addRule(approvalOff ? 1 : 0);
      for (const kind of KINDS) for (const text of lists[kind] ?? []) this.#exports.addText(...this.#fact(kind, text));
    }
    this.#exports.index();
  }

  /** The rules that name a fact, as they stand as numbers of two bytes each. */
  numbers(fact: Fact, count: number): number[] {
    return [...new Uint16Array(this.#exports.memory.buffer, this.#exports.referencesAt(...this.#fact(...fact)), count)];
  }

  /** The same, as they stand as one bit for each rule. */
  bits(fact: Fact): number[] {
    const bytes = Math.ceil(this.#count / 64) * 8;
    const words = new Uint8Array(
      this.#exports.memory.buffer,
      this.#exports.referencesAt(...this.#fact(...fact)),
      bytes,
    );
    return [...words].flatMap((byte, i) =>
      [...Array(8).keys()].filter((bit) => (byte >> bit) & 1).map((b) => i * 8 + b),
    );
  }

  /** Whether a rule names a fact. */
  isKnown(fact: Fact): boolean {
    return this.#exports.referencesAt(...this.#fact(...fact)) !== 0;
  }

  /** The rules that an identity with these facts matches; `has` is about it from then on. */
  match(facts: readonly Fact[]): number[] {
    this.#exports.begin();
    for (const fact of facts) this.#exports.note(...this.#fact(...fact));
    const count = this.#exports.end();
    const found: number[] = [];
    for (let at = this.#exports.nextMatch(0); at < this.#count; at = this.#exports.nextMatch(at + 1)) found.push(at);
    if (found.length !== count) throw new Error(`${count} rules match, and ${found.length} are named`);
    return found;
  }

  /** Whether the rules that match give this. */
  has(kind: "tool" | "prompt" | "exempt", text: string): boolean {
    return this.#exports.has(...this.#fact(kind, text)) !== 0;
  }

  #fact(kind: Kind, text: string): [number, number, number] {
    const known = this.#texts.get(text) ?? this.#keep(text);
    return [KINDS.indexOf(kind) + 1, known.at, known.bytes];
  }

  #keep(text: string): { at: number; bytes: number } {
    const bytes = Buffer.from(text);
    const at = this.#exports.allocate(Math.max(bytes.length, 1));
    new Uint8Array(this.#exports.memory.buffer).set(bytes, at);
    const kept = { at, bytes: bytes.length };
    this.#texts.set(text, kept);
    return kept;
  }
}
