// The names of all members of all open objects, to find two with one name. One open-addressing table of keyed hashes
// for the whole text: since an object that closes takes away exactly the entries added last, removal is the insertion
// undone in reverse, and linear probing needs no tombstones. Work per member is constant; memory is bounded by
// `limits.open_members`.
//
//   block:  | slot 0 .. slot n-1, u64 each: a hash, 0 = empty | order 0 .. n/2-1, u32 each: slot of the i-th entry |
//
// A hash stands for a name. With 64 bits under a secret key a false match has a chance of about n*n / 2^65 for n members
// and can only refuse a text, never hide a duplicate.

import { MEMBER_SLOTS_MIN } from "../limits";
import { SHORT_BYTES_MAX, shortHash } from "../memory/short-hash";
import { sipHash } from "../memory/siphash";

@unmanaged
export class MemberSet {
  /** Address of the first slot; owned by the set. */
  slots: usize;
  /** Number of slots, a power of two. INVARIANT: entries <= slotCount / 2. */
  slotCount: u32;
  /** Entries now, over all open objects. */
  entries: u32;
}

/** Bytes of the block behind `slotCount` slots. */
function blockBytes(slotCount: u32): usize {
  return (usize(slotCount) << 3) + (usize(slotCount) << 1);
}

function orderAt(set: MemberSet, index: u32): usize {
  return set.slots + (usize(set.slotCount) << 3) + (usize(index) << 2);
}

/** Gives `set` its first, empty block. */
export function initMembers(set: MemberSet): void {
  set.slots = heap.alloc(blockBytes(MEMBER_SLOTS_MIN));
  set.slotCount = MEMBER_SLOTS_MIN;
  set.entries = 0;
  memory.fill(set.slots, 0, usize(MEMBER_SLOTS_MIN) << 3);
}

/** Empties `set` and gives back a block that had grown. */
export function clearMembers(set: MemberSet): void {
  if (set.slotCount != MEMBER_SLOTS_MIN) {
    heap.free(set.slots);
    initMembers(set);
  } else {
    dropMembers(set, 0);
  }
}

/** Frees what `set` owns. */
export function freeMembers(set: MemberSet): void {
  heap.free(set.slots);
}

/** Bytes that `set` holds now. */
export function memberBytes(set: MemberSet): u32 {
  return u32(blockBytes(set.slotCount));
}

/**
 * Adds the name of `bytes` bytes at `name` to the object that is open at `depth`; false when it has it. At most one object is
 * open at each depth, so the depth keeps the names of nested objects apart.
 */
export function addMember(set: MemberSet, name: usize, bytes: u32, depth: u32): bool {
  return addHash(set, hashOf(name, bytes, depth));
}

/** Adds a name by its hash; false when the set has it. */
export function addHash(set: MemberSet, hash: u64): bool {
  if (set.entries << 1 == set.slotCount) grow(set);
  const slot = find(set, hash);
  // SAFETY: `find` gives the address of a slot of this set.
  if (load<u64>(slot) == hash) return false;
  append(set, slot, hash);
  return true;
}

/** The hash of a name: the short one of json/run.ts where that has one, so that a name has the same however it is spelled. */
function hashOf(name: usize, bytes: u32, depth: u32): u64 {
  if (bytes > SHORT_BYTES_MAX) return sipHash(name, bytes, depth);
  let low: u64 = 0;
  let high: u64 = 0;
  for (let i: u32 = 0; i < bytes; i++) {
    const byte = u64(load<u8>(name + i)); // SAFETY: i < bytes, the caller's range.
    if (byte == 0) return sipHash(name, bytes, depth);
    if (i < 8) low |= byte << u64(i << 3);
    else high |= byte << u64((i - 8) << 3);
  }
  return shortHash(low, high, depth);
}

/** Removes the entries that came after the first `kept`: those of an object that closes. */
export function dropMembers(set: MemberSet, kept: u32): void {
  let entries = set.entries;
  while (entries > kept) {
    entries--;
    // SAFETY: entries < slotCount / 2, and the order holds indices of slots of this set.
    store<u64>(set.slots + (usize(load<u32>(orderAt(set, entries))) << 3), 0);
  }
  set.entries = entries;
}

/** Address of the slot that holds `hash`, or of the empty one where it belongs. */
function find(set: MemberSet, hash: u64): usize {
  const mask = set.slotCount - 1;
  let index = u32(hash) & mask;
  // Ends: at most half of the slots are taken.
  while (true) {
    const slot = set.slots + (usize(index) << 3);
    // SAFETY: index <= mask < slotCount.
    const found = load<u64>(slot);
    if (found == 0 || found == hash) return slot;
    index = (index + 1) & mask;
  }
}

function append(set: MemberSet, slot: usize, hash: u64): void {
  // SAFETY: slot is one of this set's; entries < slotCount / 2 leaves room in the order.
  store<u64>(slot, hash);
  store<u32>(orderAt(set, set.entries), u32((slot - set.slots) >> 3));
  set.entries++;
}

/** Doubles the block. Entries are put back in their old order, so that undoing them in reverse stays right. */
function grow(set: MemberSet): void {
  const oldSlots = set.slots;
  const oldOrder = orderAt(set, 0);
  const entries = set.entries;
  set.slotCount <<= 1;
  set.slots = heap.alloc(blockBytes(set.slotCount));
  memory.fill(set.slots, 0, usize(set.slotCount) << 3);
  set.entries = 0;
  for (let i: u32 = 0; i < entries; i++) {
    // SAFETY: i < entries, so the order has it, and it names a slot of the old block.
    const hash = load<u64>(oldSlots + (usize(load<u32>(oldOrder + (usize(i) << 2))) << 3));
    append(set, find(set, hash), hash);
  }
  heap.free(oldSlots);
}
