// Where the host puts what its functions return. The host asks for memory in the middle of its own call; it gets the same
// fixed area each time, so reading headers and bodies allocates nothing.
//
// INVARIANT: one result is alive at a time. It ends when the next host function that returns data is called.

import { HOST_RESULT_BYTES_MAX, LANDING_BYTES } from "../limits";

const area: usize = memory.data(LANDING_BYTES, 16);

/** A block for one result that is larger than the area; 0 when there is none. */
let large: usize = 0;

/** Two words for a result's address and length. */
export const RESULT_ADDRESS: usize = memory.data(4, 4);
export const RESULT_BYTES: usize = memory.data(4, 4);

/** Ends the result before. To be called before every host function that returns data. */
export function openLanding(): void {
  if (large != 0) {
    heap.free(large);
    large = 0;
  }
  store<u32>(RESULT_ADDRESS, 0); // SAFETY: the word is ours.
  store<u32>(RESULT_BYTES, 0); // SAFETY: the word is ours.
}

/** Address of the result. */
export function landedAt(): usize {
  return usize(load<u32>(RESULT_ADDRESS)); // SAFETY: the word is ours.
}

/** Bytes of the result. */
export function landedBytes(): u32 {
  return load<u32>(RESULT_BYTES); // SAFETY: the word is ours.
}

/** Gives the host `bytes` bytes to write to; 0, which makes its call fail, when that is too much. */
export function allocateForHost(bytes: u32): usize {
  if (bytes <= LANDING_BYTES) return area;
  if (bytes > HOST_RESULT_BYTES_MAX) return 0;
  if (large != 0) heap.free(large);
  large = heap.alloc(bytes);
  return large;
}
