import type { HeaderPair } from "./header-map.ts";

/** Above either limit the C++ host reads a pairs buffer as empty (`proxy-wasm/limits.h`). */
const PAIRS_BYTES_MAX = 1024 * 1024;
const PAIRS_COUNT_MAX = 1024;

/**
 * Pairs as bytes: a u32 count, then count times (u32 name length, u32 value length), then each name and each value
 * followed by a zero byte; all little-endian. No pairs at all are no bytes at all, as the C++ host has it.
 */
export function encodePairs(pairs: readonly HeaderPair[]): Uint8Array {
  if (pairs.length === 0) return new Uint8Array();
  const texts = pairs.flat().map((text) => Buffer.from(text, "latin1"));
  const head = Buffer.alloc(4 + 4 * texts.length);
  head.writeUInt32LE(pairs.length, 0);
  texts.forEach((text, index) => {
    head.writeUInt32LE(text.length, 4 + 4 * index);
  });
  const zero = Buffer.alloc(1);
  return Buffer.concat([head, ...texts.flatMap((text) => [text, zero])]);
}

/**
 * The pairs in a buffer. Whatever is not exactly well formed is read as no pairs, without an error: that is what the
 * C++ host does, and a module that relies on its pairs must get them right.
 */
export function decodePairs(bytes: Uint8Array): HeaderPair[] {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (buffer.length < 4 || buffer.length > PAIRS_BYTES_MAX) return [];
  const count = buffer.readUInt32LE(0);
  if (count > PAIRS_COUNT_MAX || 4 + 8 * count > buffer.length) return [];
  const texts: string[] = [];
  let offset = 4 + 8 * count;
  for (let index = 0; index < 2 * count; index++) {
    const end = offset + buffer.readUInt32LE(4 + 4 * index);
    if (end + 1 > buffer.length || buffer[end] !== 0) return [];
    texts.push(buffer.toString("latin1", offset, end));
    offset = end + 1;
  }
  if (offset !== buffer.length) return [];
  return Array.from({ length: count }, (_, index) => [texts[2 * index]!, texts[2 * index + 1]!] as const);
}
