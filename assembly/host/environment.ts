// Environment variables of the VM (Envoy: `vm_config.environment_variables`), for what must not stand in a configuration: secrets.

import { ENVIRONMENT_BYTES_MAX } from "../limits";
import { equalBytes } from "../memory/bytes";
import { allocateForHost, openLanding } from "./landing";
import { environ_get, environ_sizes_get } from "./wasi_snapshot_preview1";

/** `=` and NUL: no variable takes less, so their addresses take at most twice the bytes of their texts. */
const VARIABLE_BYTES_MIN: u32 = 2;

/** What `readVariable` gives when there is no such variable. */
const NO_VARIABLE: i32 = -1;

const NUL: u8 = 0;
const EQUALS: u8 = 0x3d;

const countAt: usize = memory.data(4, 4);
const sizeAt: usize = memory.data(4, 4);

/**
 * Copies the value of the variable that the `nameBytes` bytes at `nameAt` name to `to`. How many bytes it has; NO_VARIABLE when it is not there, when it does
 * not fit into `room`, or when the environment cannot be read. Ends the result of the host that was there before.
 */
export function readVariable(nameAt: usize, nameBytes: u32, to: usize, room: u32): i32 {
  openLanding();
  if (environ_sizes_get(countAt, sizeAt) != 0) return NO_VARIABLE;
  const count = load<u32>(countAt); // SAFETY: the word is ours.
  const bytes = load<u32>(sizeAt); // SAFETY: the word is ours.
  if (bytes > ENVIRONMENT_BYTES_MAX || count > bytes / VARIABLE_BYTES_MIN) return NO_VARIABLE;
  const addresses = allocateForHost((count << 2) + bytes);
  const texts = addresses + (usize(count) << 2);
  if (addresses == 0 || environ_get(addresses, texts) != 0) return NO_VARIABLE;
  const found = takeVariable(texts, bytes, nameAt, nameBytes, to, room);
  // All secrets of the VM stand here.
  memory.fill(texts, 0, bytes);
  return found;
}

function takeVariable(texts: usize, bytes: u32, nameAt: usize, nameBytes: u32, to: usize, room: u32): i32 {
  // Where each begins is found by its NUL: an address is one more thing that could be wrong.
  const end = texts + bytes;
  let at = texts;
  while (at < end) {
    const next = findByte(at, end, NUL);
    if (isNamed(at, next, nameAt, nameBytes)) {
      const value = at + nameBytes + 1;
      const valueBytes = u32(next - value);
      if (valueBytes > room) return NO_VARIABLE;
      memory.copy(to, value, valueBytes);
      return i32(valueBytes);
    }
    at = next + 1;
  }
  return NO_VARIABLE;
}

/** The first `byte` from `at` on, or `end`. */
function findByte(at: usize, end: usize, byte: u8): usize {
  while (at < end && load<u8>(at) != byte) at++; // SAFETY: at < end.
  return at;
}

/** Whether the text from `at` to `end` is a variable of that name, which ends at the first `=`. */
function isNamed(at: usize, end: usize, nameAt: usize, nameBytes: u32): bool {
  const nameEnd = findByte(at, end, EQUALS);
  return nameEnd != end && u32(nameEnd - at) == nameBytes && equalBytes(at, nameAt, nameBytes);
}
