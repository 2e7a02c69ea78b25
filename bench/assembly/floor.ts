// The least that a filter in Wasm can do with a request body before a verdict: have Envoy hold it, copy each piece into the module, let it go.
// What a guard costs above this is its own; what this costs is the host's.

// For the compiler, which is told to call it.
import "../../assembly/host/abort";

import { proxy_get_buffer_bytes } from "./env";

const REQUEST_BODY: u32 = 0;
const CONTINUE: u32 = 0;
const HOLD: u32 = 2;
/** The filter reads in pieces of this size too. */
const PIECE_BYTES: u32 = 131_072;

/** Where the host puts what it copies, and where it says so. */
const landing: usize = heap.alloc(PIECE_BYTES);
const result = memory.data(8, 8);

export function proxy_abi_version_0_2_1(): void {}

export function proxy_on_memory_allocate(bytes: usize): usize {
  return bytes <= usize(PIECE_BYTES) ? landing : heap.alloc(bytes);
}

export function proxy_on_context_create(_context: u32, _root: u32): void {}

export function proxy_on_vm_start(_root: u32, _bytes: u32): u32 {
  return 1;
}

export function proxy_on_configure(_root: u32, _bytes: u32): u32 {
  return 1;
}

export function proxy_on_request_headers(_context: u32, _count: u32, _end: u32): u32 {
  return CONTINUE;
}

export function proxy_on_request_body(_context: u32, bytes: u32, end: u32): u32 {
  copyBody(REQUEST_BODY, bytes);
  return end != 0 ? CONTINUE : HOLD;
}

export function proxy_on_done(_context: u32): u32 {
  return 1;
}

export function proxy_on_delete(_context: u32): void {}

/** Copies the `bytes` bytes of a body that the host has now. */
export function copyBody(buffer: u32, bytes: u32): void {
  for (let start: u32 = 0; start < bytes; start += PIECE_BYTES) {
    proxy_get_buffer_bytes(buffer, start, min(bytes - start, PIECE_BYTES), result, result + 4);
  }
}
