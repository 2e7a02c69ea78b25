import { Status } from "./status.ts";

/**
 * The linear memory of a module. Addresses and lengths come from the module and are unsigned 32-bit numbers; whatever
 * lies outside of the memory gives `undefined` or `false`, which callers report as InvalidMemoryAccess.
 */
export class GuestMemory {
  readonly #memory: () => WebAssembly.Memory;
  readonly #allocate: (bytes: number) => number;

  /**
   * @param memory the module's memory; asked for at each use, because it exists only after the instantiation.
   * @param allocate the module's own allocator (re-entered from inside of host calls); 0 means no memory.
   */
  constructor(memory: () => WebAssembly.Memory, allocate: (bytes: number) => number) {
    this.#memory = memory;
    this.#allocate = allocate;
  }

  /** Size in bytes; a Wasm memory never shrinks. */
  get byteLength(): number {
    return this.#memory().buffer.byteLength;
  }

  /** A copy of `length` bytes at `address`. */
  read(address: number, length: number): Uint8Array | undefined {
    const start = address >>> 0;
    const end = start + (length >>> 0);
    if (end > this.byteLength) return undefined;
    return new Uint8Array(this.#memory().buffer).slice(start, end);
  }

  write(address: number, bytes: Uint8Array): boolean {
    const start = address >>> 0;
    if (start + bytes.length > this.byteLength) return false;
    new Uint8Array(this.#memory().buffer).set(bytes, start);
    return true;
  }

  writeU32(address: number, value: number): boolean {
    const start = address >>> 0;
    if (start + 4 > this.byteLength) return false;
    new DataView(this.#memory().buffer).setUint32(start, value, true);
    return true;
  }

  writeU64(address: number, value: bigint): boolean {
    const start = address >>> 0;
    if (start + 8 > this.byteLength) return false;
    new DataView(this.#memory().buffer).setBigUint64(start, BigInt.asUintN(64, value), true);
    return true;
  }

  /**
   * Gives bytes to the module: allocates in the module, copies, and writes pointer and length where the module asked
   * for them. The module owns the block. No bytes are pointer 0 without an allocation, as in the C++ host.
   */
  give(bytes: Uint8Array, pointerAddress: number, lengthAddress: number): Status {
    let pointer = 0;
    if (bytes.length > 0) {
      pointer = this.#allocate(bytes.length) >>> 0;
      if (pointer === 0 || !this.write(pointer, bytes)) return Status.InvalidMemoryAccess;
    }
    const written = this.writeU32(pointerAddress, pointer) && this.writeU32(lengthAddress, bytes.length);
    return written ? Status.Ok : Status.InvalidMemoryAccess;
  }
}
