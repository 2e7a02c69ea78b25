import { Status } from "./status.ts";

/**
 * A body in transit: Envoy's `Buffer::OwnedImpl` as far as a filter can tell. Appending is O(1) per chunk; a read
 * joins the chunks once.
 */
export class BodyBuffer {
  #chunks: Uint8Array[] = [];
  #length = 0;

  /** The buffer copies nothing: the caller must not change `bytes` afterwards. */
  constructor(bytes?: Uint8Array) {
    if (bytes !== undefined) this.append(bytes);
  }

  /** Length in bytes. */
  get length(): number {
    return this.#length;
  }

  append(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#chunks.push(bytes);
    this.#length += bytes.length;
  }

  /** Moves everything out of `other`, as `Buffer::move` does. */
  moveFrom(other: BodyBuffer): void {
    for (const chunk of other.#chunks) this.append(chunk);
    other.#chunks = [];
    other.#length = 0;
  }

  /** Takes all bytes out of the buffer. */
  take(): Uint8Array {
    const all = this.bytes();
    this.#chunks = [];
    this.#length = 0;
    return all;
  }

  /** All bytes, without taking them out. The result is the buffer's own memory. */
  bytes(): Uint8Array {
    if (this.#chunks.length !== 1) this.#chunks = [Buffer.concat(this.#chunks)];
    return this.#chunks[0]!;
  }

  /**
   * `proxy_set_buffer_bytes` on a body, as Envoy's `Buffer::copyFrom`: a write at 0 drains `length` bytes and puts
   * `data` before the rest, a write at or after the end appends, any other position is refused.
   */
  write(start: number, length: number, data: Uint8Array): Status {
    if (start === 0) {
      const rest = this.bytes().subarray(Math.min(length, this.#length));
      this.#chunks = [data, rest];
      this.#length = data.length + rest.length;
      return Status.Ok;
    }
    if (start < this.#length) return Status.BadArgument;
    this.append(data);
    return Status.Ok;
  }
}
