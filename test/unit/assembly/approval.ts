// The parts of the filter that give a call its canonical text and its digest, for tests that look at them from inside. Compiled with the options
// of the release build.

// For the compiler, which is told to call it.
import "../../../assembly/host/abort";

import {
  addDigestField as addField,
  beginCallDigest as beginDigest,
  endCallDigest as endDigest,
} from "../../../assembly/approval/call-digest";
import { isEmptyObject as isEmpty, canonicalise as write } from "../../../assembly/approval/canonical";
import { appendZeros, Buffer, freeBuffer, initBuffer } from "../../../assembly/memory/buffer";

const out: Buffer = changetype<Buffer>(memory.data(offsetof<Buffer>(), 8));

/** A block of `bytes` bytes for the caller's input. */
export function allocate(bytes: u32): usize {
  return heap.alloc(bytes);
}

export function release(address: usize): void {
  heap.free(address);
}

/** Begins an output with `bytes` bytes of 0 in it. */
export function open(bytes: u32): void {
  freeBuffer(out);
  initBuffer(out);
  appendZeros(out, bytes);
}

export function canonicalise(address: usize, bytes: u32): bool {
  return write(address, bytes, "", out);
}

/** Without the member of the root that answers the guard's own question. */
export function canonicaliseWithout(address: usize, bytes: u32): bool {
  return write(address, bytes, "guard.approval", out);
}

export function outAt(): usize {
  return out.at;
}

export function outBytes(): u32 {
  return out.length;
}

export function isEmptyObject(address: usize, bytes: u32): bool {
  return isEmpty(address, bytes);
}

export function beginCallDigest(): void {
  beginDigest();
}

export function addDigestField(address: usize, bytes: u32): void {
  addField(address, bytes);
}

export function endCallDigest(): usize {
  return endDigest();
}
