// The module of test/unit/assembly/rate.ts as the tests use it.
import { createHash } from "node:crypto";
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
  limitPrincipals(requests: number, seconds: number, burst: number): void;
  limitTools(requests: number, seconds: number, burst: number): void;
  addTool(address: number, bytes: number): number;
  start(): void;
  take(clock: bigint, key: number, toolAt: number, toolBytes: number): bigint;
}

/** `requests` in `seconds`, and at most `burst` at once. */
export interface Rate {
  readonly requests: number;
  readonly seconds: number;
  readonly burst: number;
}

/** What a guard's policy says. */
export interface Limits {
  readonly perPrincipal?: Rate;
  readonly perTool?: Rate;
  readonly tools?: readonly string[];
}

const KEY_BYTES = 32;
const NAME_ROOM = 64;
/** The folders that the module is made of. */
const SOURCES = ["assembly/rate", "assembly/policy", "assembly/memory"];

export class RateHarness {
  readonly #exports: Exports;
  readonly #keyAt: number;
  readonly #nameAt: number;
  readonly #keys = new Map<string, Buffer>();

  constructor(target: Target = "simd") {
    this.#exports = instantiateSync<Exports>(unitModule("rate", SOURCES, target), {}).exports;
    this.#exports._initialize();
    this.#exports.setKey(0x0123456789abcdefn, 0xfedcba9876543210n);
    this.#keyAt = this.#exports.allocate(KEY_BYTES);
    this.#nameAt = this.#exports.allocate(NAME_ROOM);
  }

  /** Bytes of the module's memory. */
  get memoryBytes(): number {
    return this.#exports.memory.buffer.byteLength;
  }

  /** A guard under these limits, in place of the one before. */
  start({ perPrincipal, perTool, tools = [] }: Limits): void {
    const exports = this.#exports;
    exports.reset();
    if (perPrincipal !== undefined) {
      exports.limitPrincipals(perPrincipal.requests, perPrincipal.seconds, perPrincipal.burst);
    }
    if (perTool !== undefined) exports.limitTools(perTool.requests, perTool.seconds, perTool.burst);
    for (const tool of tools) exports.addTool(this.#nameAt, this.#put(this.#nameAt, Buffer.from(tool)));
    exports.start();
  }

  /** Nanoseconds that a message has to wait; 0n when it has got what it needs. */
  take(clock: bigint, principal?: string, tool = ""): bigint {
    if (principal !== undefined) this.#put(this.#keyAt, this.#keyOf(principal));
    const bytes = this.#put(this.#nameAt, Buffer.from(tool));
    const key = principal === undefined ? 0 : this.#keyAt;
    return BigInt.asUintN(64, this.#exports.take(clock, key, this.#nameAt, bytes));
  }

  #keyOf(principal: string): Buffer {
    const known = this.#keys.get(principal);
    if (known !== undefined) return known;
    const key = createHash("sha256").update(principal).digest();
    this.#keys.set(principal, key);
    return key;
  }

  #put(address: number, bytes: Buffer): number {
    new Uint8Array(this.#exports.memory.buffer).set(bytes, address);
    return bytes.length;
  }
}
