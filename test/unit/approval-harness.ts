// The module of test/unit/assembly/approval.ts as the tests use it, with SIMD and without.
import { instantiateSync } from "@assemblyscript/loader";
import type { Target } from "./harness.ts";
import { unitModule } from "./unit-module.ts";

/** What the module exports; see the source for what each does. */
interface Exports extends Record<string, unknown> {
  memory: WebAssembly.Memory;
  _initialize(): void;
  allocate(bytes: number): number;
  release(address: number): void;
  open(bytes: number): void;
  canonicalise(address: number, bytes: number): number;
  canonicaliseWithout(address: number, bytes: number): number;
  outAt(): number;
  outBytes(): number;
  isEmptyObject(address: number, bytes: number): number;
  beginCallDigest(): void;
  addDigestField(address: number, bytes: number): void;
  endCallDigest(): number;
}

/** What stands in front of the output, and must stay. */
const BEFORE_BYTES = 5;
const DIGEST_DIGITS = 64;
/** The folders that the module is made of. */
const SOURCES = ["assembly/approval", "assembly/memory"];

export class ApprovalHarness {
  readonly #exports: Exports;

  constructor(target: Target) {
    this.#exports = instantiateSync<Exports>(unitModule("approval", SOURCES, target), {}).exports;
    this.#exports._initialize();
  }

  /** Bytes of the module's memory. */
  get memoryBytes(): number {
    return this.#exports.memory.buffer.byteLength;
  }

  /**
   * The canonical text of the first `length` bytes of `text`; undefined when it is refused. Whatever stands behind them must not count.
   * @param without whether `guard.approval` is left out.
   */
  canonicalise(text: Uint8Array, without = false, length = text.length): string | undefined {
    const exports = this.#exports;
    const address = this.#put(text);
    exports.open(BEFORE_BYTES);
    const accepted = without ? exports.canonicaliseWithout(address, length) : exports.canonicalise(address, length);
    exports.release(address);
    const out = Buffer.from(Buffer.from(exports.memory.buffer, exports.outAt(), exports.outBytes()));
    if (!out.subarray(0, BEFORE_BYTES).equals(Buffer.alloc(BEFORE_BYTES))) {
      throw new Error("what stood in the output has been changed");
    }
    if (accepted !== 0) return out.toString("utf8", BEFORE_BYTES);
    if (out.length !== BEFORE_BYTES) throw new Error("a refused text has left something in the output");
    return undefined;
  }

  isEmptyObject(text: Uint8Array): boolean {
    const address = this.#put(text);
    const isEmpty = this.#exports.isEmptyObject(address, text.length);
    this.#exports.release(address);
    return isEmpty !== 0;
  }

  /** The digest over the domain tag and these fields. */
  digest(fields: readonly string[]): string {
    this.#exports.beginCallDigest();
    for (const field of fields) {
      const bytes = Buffer.from(field);
      const address = this.#put(bytes);
      this.#exports.addDigestField(address, bytes.length);
      this.#exports.release(address);
    }
    const at = this.#exports.endCallDigest();
    return Buffer.from(this.#exports.memory.buffer, at, DIGEST_DIGITS).toString("latin1");
  }

  #put(bytes: Uint8Array): number {
    const address = this.#exports.allocate(Math.max(bytes.length, 1));
    new Uint8Array(this.#exports.memory.buffer).set(bytes, address);
    return address;
  }
}
