// Bodies and configurations.

import { BufferId, Status } from "./abi";
import { proxy_get_buffer_bytes, proxy_set_buffer_bytes } from "./env";
import { landedBytes, openLanding, RESULT_ADDRESS, RESULT_BYTES } from "./landing";

/**
 * Copies `bytes` bytes of a buffer, from offset `start`, into the landing area. False when the host refuses, or gives
 * another number of bytes than was asked for.
 */
export function readBuffer(buffer: BufferId, start: u32, bytes: u32): bool {
  openLanding();
  const status = proxy_get_buffer_bytes(buffer, start, bytes, RESULT_ADDRESS, RESULT_BYTES);
  return status == Status.Ok && landedBytes() == bytes;
}

/**
 * Puts the `bytes` bytes at `address` in place of the `length` bytes that the buffer has; the host copies them. False when the host
 * refuses.
 */
export function replaceBuffer(buffer: BufferId, length: u32, address: usize, bytes: u32): bool {
  return proxy_set_buffer_bytes(buffer, 0, length, address, bytes) == Status.Ok;
}
