// Random numbers.

import { random_get } from "./wasi_snapshot_preview1";

/** Fills `bytes` bytes at `address` with numbers that nobody outside can know. False when the host has none. */
export function fillRandom(address: usize, bytes: u32): bool {
  return random_get(address, bytes) == 0;
}
