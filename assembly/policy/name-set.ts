// A list of names, compiled once and asked per request: exact bytes, no folding. An open-addressing table over a keyed
// hash, at most half full, so that a name that is not listed costs one comparison whatever the list's length.
//
//   block:  | slot 0 .. slot n-1: { hash u64, name u32, bytes u32 } | names, in the order of the list: { bytes u32, text } |
//           a slot whose name is 0 is empty

import { equalBytes } from "../memory/bytes";
import { sipHash } from "../memory/siphash";

const SLOT_BYTES: usize = 16;

@unmanaged
export class NameSet {
  /** Number of slots, a power of two. INVARIANT: entries <= slotCount / 2. */
  slotCount: u32;
  entries: u32;
  /** First byte behind the names that are there, and behind the block. */
  namesEnd: usize;
  end: usize;
}

function slotAt(set: NameSet, index: u32): usize {
  return changetype<usize>(set) + offsetof<NameSet>() + usize(index) * SLOT_BYTES;
}

/** Bytes in front of each name: its length. */
const PREFIX_BYTES: u32 = 4;

/** An empty set with room for `names` names of `bytes` bytes together. Freed with `freeNameSet`. */
export function allocateNameSet(names: u32, bytes: u32): NameSet {
  let slotCount: u32 = 4;
  while (slotCount < names << 1) slotCount <<= 1;
  const slotBytes = usize(slotCount) * SLOT_BYTES;
  const nameBytes = usize(names) * PREFIX_BYTES + bytes;
  const set = changetype<NameSet>(heap.alloc(offsetof<NameSet>() + slotBytes + nameBytes));
  set.slotCount = slotCount;
  set.entries = 0;
  set.namesEnd = slotAt(set, slotCount);
  set.end = set.namesEnd + nameBytes;
  memory.fill(slotAt(set, 0), 0, slotBytes);
  return set;
}

/** Frees the set. */
export function freeNameSet(set: NameSet): void {
  heap.free(changetype<usize>(set));
}

/** Adds a copy of a name; false when it was there already, or there is no room. */
export function addName(set: NameSet, address: usize, bytes: u32): bool {
  if (set.entries << 1 >= set.slotCount || bytes + PREFIX_BYTES > u32(set.end - set.namesEnd)) return false;
  const hash = sipHash(address, bytes, 0);
  const slot = find(set, hash, address, bytes);
  // SAFETY: `find` gives the address of a slot of this set; the room for the name has been checked.
  if (load<u32>(slot, 8) != 0) return false;
  const name = set.namesEnd + PREFIX_BYTES;
  store<u32>(set.namesEnd, bytes);
  memory.copy(name, address, bytes);
  store<u64>(slot, hash);
  store<u32>(slot, u32(name), 8);
  store<u32>(slot, bytes, 12);
  set.namesEnd = name + bytes;
  set.entries++;
  return true;
}

/** Whether the set has exactly this name. */
export function hasName(set: NameSet, address: usize, bytes: u32): bool {
  if (set.entries == 0) return false;
  // SAFETY: `find` gives the address of a slot of this set.
  return load<u32>(find(set, sipHash(address, bytes, 0), address, bytes), 8) != 0;
}

/** The number of the slot with this name, below `slotCount`; `slotCount` when the set does not have it. */
export function slotOf(set: NameSet, address: usize, bytes: u32): u32 {
  if (set.entries == 0) return set.slotCount;
  const slot = find(set, sipHash(address, bytes, 0), address, bytes);
  // SAFETY: `find` gives the address of a slot of this set.
  if (load<u32>(slot, 8) == 0) return set.slotCount;
  return u32((slot - slotAt(set, 0)) / SLOT_BYTES);
}

/** Address of the first name in the order of the list; 0 when there is none. */
export function firstName(set: NameSet): usize {
  return set.entries == 0 ? 0 : slotAt(set, set.slotCount) + PREFIX_BYTES;
}

/** Address of the name behind the one at `name`; 0 when there is none. */
export function nextName(set: NameSet, name: usize): usize {
  const after = name + nameBytes(name);
  return after < set.namesEnd ? after + PREFIX_BYTES : 0;
}

/** Bytes of a name that `firstName` or `nextName` gave. */
export function nameBytes(name: usize): u32 {
  // SAFETY: the length stands in front of every name.
  return load<u32>(name - PREFIX_BYTES);
}

/** Address of the slot with this name, or of the empty one where it belongs. */
function find(set: NameSet, hash: u64, address: usize, bytes: u32): usize {
  const mask = set.slotCount - 1;
  let index = u32(hash) & mask;
  // Ends: at most half of the slots are taken.
  while (true) {
    const slot = slotAt(set, index);
    // SAFETY: index <= mask < slotCount.
    const found = usize(load<u32>(slot, 8));
    if (found == 0) return slot;
    if (load<u64>(slot) == hash && load<u32>(slot, 12) == bytes && equalBytes(found, address, bytes)) return slot;
    index = (index + 1) & mask;
  }
}

/** The set, with room for one more name of `bytes` bytes: itself, or one of twice its size, which takes its place. */
export function withRoom(set: NameSet, bytes: u32): NameSet {
  if (set.entries << 1 < set.slotCount && bytes + PREFIX_BYTES <= u32(set.end - set.namesEnd)) return set;
  return copied(set, set.entries << 1, 2 * namesBytes(set) + bytes);
}

/** The same names in the least memory: a set that takes the place of `set`. */
export function packed(set: NameSet): NameSet {
  return copied(set, set.entries, namesBytes(set));
}

/** Bytes of all names, without their lengths. */
function namesBytes(set: NameSet): u32 {
  return u32(set.namesEnd - slotAt(set, set.slotCount)) - set.entries * PREFIX_BYTES;
}

function copied(set: NameSet, names: u32, bytes: u32): NameSet {
  const copy = allocateNameSet(max<u32>(names, 1), bytes);
  for (let name = firstName(set); name != 0; name = nextName(set, name)) addName(copy, name, nameBytes(name));
  freeNameSet(set);
  return copy;
}
