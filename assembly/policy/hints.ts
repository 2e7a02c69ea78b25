// What servers have said of their tools that makes the policy stricter: which listed tools have been announced as destructive (MCP 2025-03-26
// and later, `annotations.destructiveHint`). One byte for each slot of the policy's set of tools, so that it is exact and no server can fill it:
// what is not listed has no place here. It grows only, and goes with the policy.

import { NameSet, slotOf } from "./name-set";

@unmanaged
export class Hints {
  /** Slots of the set that it was made for. */
  slotCount: u32;
  /** How many of them have a hint. */
  count: u32;
}

function hintAt(hints: Hints, slot: u32): usize {
  return changetype<usize>(hints) + offsetof<Hints>() + slot;
}

/** No hints, for the tools in `tools`. Freed with `freeHints`. */
export function createHints(tools: NameSet): Hints {
  const hints = changetype<Hints>(heap.alloc(offsetof<Hints>() + tools.slotCount));
  hints.slotCount = tools.slotCount;
  hints.count = 0;
  memory.fill(hintAt(hints, 0), 0, tools.slotCount);
  return hints;
}

/** Frees hints. */
export function freeHints(hints: Hints): void {
  heap.free(changetype<usize>(hints));
}

/** Notes that the tool in `slot` of the set is announced as destructive. */
export function addHint(hints: Hints, slot: u32): void {
  if (slot >= hints.slotCount) return;
  // SAFETY: slot < slotCount, the bytes behind the record.
  if (u32(load<u8>(hintAt(hints, slot))) != 0) return;
  store<u8>(hintAt(hints, slot), 1);
  hints.count++;
}

/** Whether the tool has been announced as destructive. `tools`: the set that the hints were made for. */
export function hasHint(hints: Hints, tools: NameSet, name: usize, bytes: u32): bool {
  // Most servers give none, and then no name has to be looked up.
  if (hints.count == 0) return false;
  const slot = slotOf(tools, name, bytes);
  // SAFETY: slot < slotCount, the bytes behind the record.
  return slot < hints.slotCount && u32(load<u8>(hintAt(hints, slot))) != 0;
}
