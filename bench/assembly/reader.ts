// The filter's JSON reader as the benchmark drives it: no text is captured and no event is kept, so that what is timed is
// the reader. Compiled to build/bench-reader.wasm with the options of the release build.

// For the compiler, which is told to call it.
import "../../assembly/host/abort";

import { JsonError } from "../../assembly/json/error";
import {
  finish,
  initReader,
  JsonLimits,
  JsonReader,
  next,
  openChunk,
  readerBlockBytes,
  resetReader,
  Token,
} from "../../assembly/json/reader";
import {
  DEPTH_DEFAULT,
  KEY_BYTES_DEFAULT,
  MEMBERS_PER_OBJECT_DEFAULT,
  OPEN_MEMBERS_DEFAULT,
} from "../../assembly/limits";
import { setShortHashKey } from "../../assembly/memory/short-hash";
import { setHashKey } from "../../assembly/memory/siphash";

const reader = changetype<JsonReader>(heap.alloc(offsetof<JsonReader>()));
open();

function open(): void {
  const limits = changetype<JsonLimits>(heap.alloc(offsetof<JsonLimits>()));
  limits.depth = DEPTH_DEFAULT;
  limits.membersPerObject = MEMBERS_PER_OBJECT_DEFAULT;
  limits.openMembers = OPEN_MEMBERS_DEFAULT;
  limits.keyBytes = KEY_BYTES_DEFAULT;
  initReader(reader, heap.alloc(readerBlockBytes(limits)), limits);
  heap.free(changetype<usize>(limits));
}

/** A block of `bytes` bytes for the caller's input; the caller gives it back with `release`. */
export function allocate(bytes: u32): usize {
  return heap.alloc(bytes);
}

export function release(address: usize): void {
  heap.free(address);
}

/** Sets the key of the duplicate check, as the filter does when it starts. */
export function setKey(first: u64, second: u64): void {
  setHashKey(first, second);
  // Four numbers that have nothing to do with each other, as the filter's random ones: products of related factors are related.
  setShortHashKey(
    first,
    second * 0x9e3779b97f4a7c15,
    (first ^ second) * 0xbf58476d1ce4e5b9,
    first * 0x94d049bb133111eb,
  );
}

/**
 * Reads the text of `bytes` bytes at `address` as one chunk, `times` times. Gives the number of tokens reported at
 * `reportDepth` over all readings, or 0 when the text is refused.
 */
export function read(address: usize, bytes: u32, reportDepth: u32, times: u32): u32 {
  let tokens: u32 = 0;
  for (let i: u32 = 0; i < times; i++) {
    resetReader(reader);
    reader.reportDepth = reportDepth;
    openChunk(reader, address, bytes);
    while (next(reader) > Token.Failed) tokens++;
    if (finish(reader) != JsonError.None) return 0;
  }
  return tokens;
}

/** Loads every byte of the range, `times` times, and does nothing with it but a sum: what no reader can be faster than. */
export function loadAll(address: usize, bytes: u32, times: u32): u64 {
  let sum = i64x2.splat(0);
  const whole = address + (bytes & ~63);
  const end = address + bytes;
  for (let i: u32 = 0; i < times; i++) {
    let at = address;
    while (at < whole) {
      // SAFETY: whole is at most `end`, and a multiple of 64 bytes behind `address`.
      const low = v128.xor(v128.load(at), v128.load(at, 16));
      const high = v128.xor(v128.load(at, 32), v128.load(at, 48));
      sum = i64x2.add(sum, v128.xor(low, high));
      at += 64;
    }
    while (at < end) {
      // SAFETY: at < end.
      sum = i64x2.add(sum, i64x2.splat(i64(load<u8>(at))));
      at++;
    }
  }
  return u64(i64x2.extract_lane(sum, 0) + i64x2.extract_lane(sum, 1));
}
