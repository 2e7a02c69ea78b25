// The buckets of principals: so many slots, however many principals come. A principal without a slot has a full bucket. When there is no free slot, the
// bucket that has been full for the longest time gives way, because nobody can tell it from a new one; when none is full, the one that was least
// recently asked for. Each step takes a time that does not depend on how many there are, but for the heap, which is as deep as its logarithm.
//
//   block:  | Principals | slots | heap: addresses of the slots in use, the one that is full first in front | index: addresses, by hash |

import { RATE_PRINCIPALS_MAX } from "../limits";
import { equalBytes } from "../memory/bytes";
import { sipHash } from "../memory/siphash";
import { Rate } from "../policy/rate-limit";
import { Bucket, fullTime } from "./bucket";

/** Bytes of what tells a principal from all others: SHA-256, so that no two have the same. */
export const PRINCIPAL_KEY_BYTES: u32 = 32;

/** A bucket with whose it is; the key stands behind the record. */
@unmanaged
export class Slot extends Bucket {
  /** When it is full, as of its last token. The heap's order. */
  fullAt: u64;
  /** Where it stands in the heap. */
  place: u32;
  /** The next with the same hash. */
  next: Slot | null;
  /** Its neighbours in the order in which they were asked for. */
  older: Slot | null;
  newer: Slot | null;
}

@unmanaged
export class Principals {
  count: u32;
  oldest: Slot | null;
  newest: Slot | null;
}

const SLOT_BYTES: usize = (offsetof<Slot>() + usize(PRINCIPAL_KEY_BYTES) + 7) & ~7;
const SLOTS_AT: usize = (offsetof<Principals>() + 7) & ~7;
const HEAP_AT: usize = SLOTS_AT + SLOT_BYTES * usize(RATE_PRINCIPALS_MAX);
const INDEX_AT: usize = HEAP_AT + 4 * usize(RATE_PRINCIPALS_MAX);
const BLOCK_BYTES: usize = INDEX_AT + 4 * usize(RATE_PRINCIPALS_MAX);

/** No principals. Freed with `heap.free`. */
export function createPrincipals(): Principals {
  const at = heap.alloc(BLOCK_BYTES);
  memory.fill(at, 0, BLOCK_BYTES);
  return changetype<Principals>(at);
}

/** The slot of the principal with the key at `key`, which has been asked for now; null when it has none, and so a full bucket. */
export function findSlot(principals: Principals, key: usize): Slot | null {
  let slot = slotIn(bucketOf(principals, key));
  // Bounded by RATE_PRINCIPALS_MAX, and short: the hash is keyed, so nobody can choose who shares one.
  while (slot !== null && !equalBytes(keyAt(slot), key, PRINCIPAL_KEY_BYTES)) slot = slot.next;
  if (slot !== null && slot.newer !== null) {
    takeOut(principals, slot);
    putNewest(principals, slot);
  }
  return slot;
}

/** A slot with a full bucket for a principal that has none; `noteTaken` must follow, which finds its place in the heap. */
export function claimSlot(principals: Principals, key: usize, time: u64): Slot {
  const slot = principals.count < RATE_PRINCIPALS_MAX ? freshSlot(principals) : usedSlot(principals, time);
  slot.missing = 0;
  slot.at = time;
  memory.copy(keyAt(slot), key, PRINCIPAL_KEY_BYTES);
  const bucket = bucketOf(principals, key);
  slot.next = slotIn(bucket);
  setSlot(bucket, slot);
  putNewest(principals, slot);
  return slot;
}

/** Notes that a token of the slot has been taken. */
export function noteTaken(principals: Principals, slot: Slot, rate: Rate): void {
  slot.fullAt = fullTime(slot, rate);
  moveUp(principals, slot);
  moveDown(principals, slot);
}

/** One that nobody has had, at the end of the heap. */
function freshSlot(principals: Principals): Slot {
  const at = changetype<usize>(principals) + SLOTS_AT + SLOT_BYTES * usize(principals.count);
  const slot = changetype<Slot>(at);
  setInHeap(principals, principals.count, slot);
  principals.count++;
  return slot;
}

/** One that another principal had; it keeps its place in the heap. There is one. */
function usedSlot(principals: Principals, time: u64): Slot {
  let slot = inHeap(principals, 0);
  const oldest = principals.oldest;
  if (slot.fullAt > time && oldest !== null) slot = oldest;
  takeOut(principals, slot);
  const bucket = bucketOf(principals, keyAt(slot));
  let before = slotIn(bucket);
  if (before === slot) {
    setSlot(bucket, slot.next);
    return slot;
  }
  // Bounded as in `findSlot`.
  while (before !== null && before.next !== slot) before = before.next;
  if (before !== null) before.next = slot.next;
  return slot;
}

// --- The order in which they were asked for -----------------------------------------------------------------------------

function takeOut(principals: Principals, slot: Slot): void {
  const older = slot.older;
  const newer = slot.newer;
  if (older !== null) older.newer = newer;
  else principals.oldest = newer;
  if (newer !== null) newer.older = older;
  else principals.newest = older;
}

function putNewest(principals: Principals, slot: Slot): void {
  const newest = principals.newest;
  slot.older = newest;
  slot.newer = null;
  if (newest !== null) newest.newer = slot;
  else principals.oldest = slot;
  principals.newest = slot;
}

// --- The heap: no slot is full before the one at half its place ----------------------------------------------------------

/** Moves a slot in front of those that are full later. At most log2(RATE_PRINCIPALS_MAX) steps. */
function moveUp(principals: Principals, slot: Slot): void {
  let place = slot.place;
  while (place != 0) {
    const parent = inHeap(principals, (place - 1) >> 1);
    if (parent.fullAt <= slot.fullAt) break;
    setInHeap(principals, place, parent);
    place = (place - 1) >> 1;
  }
  setInHeap(principals, place, slot);
}

/** Moves a slot behind those that are full earlier. As many steps. */
function moveDown(principals: Principals, slot: Slot): void {
  let place = slot.place;
  while (true) {
    let child = (place << 1) + 1;
    if (child >= principals.count) break;
    if (child + 1 < principals.count && inHeap(principals, child + 1).fullAt < inHeap(principals, child).fullAt)
      child++;
    const first = inHeap(principals, child);
    if (slot.fullAt <= first.fullAt) break;
    setInHeap(principals, place, first);
    place = child;
  }
  setInHeap(principals, place, slot);
}

/** The slot at `place` of the heap, below `count`. */
function inHeap(principals: Principals, place: u32): Slot {
  // SAFETY: place < count <= RATE_PRINCIPALS_MAX, the heap's words, and those below count are set.
  return changetype<Slot>(usize(load<u32>(changetype<usize>(principals) + HEAP_AT + (usize(place) << 2))));
}

function setInHeap(principals: Principals, place: u32, slot: Slot): void {
  slot.place = place;
  // SAFETY: place < RATE_PRINCIPALS_MAX, the heap's words.
  store<u32>(changetype<usize>(principals) + HEAP_AT + (usize(place) << 2), u32(changetype<usize>(slot)));
}

// --- The index ----------------------------------------------------------------------------------------------------------

function keyAt(slot: Slot): usize {
  return changetype<usize>(slot) + offsetof<Slot>();
}

/** Address of the index's word for a key. */
function bucketOf(principals: Principals, key: usize): usize {
  const hash = u32(sipHash(key, PRINCIPAL_KEY_BYTES, 0));
  return changetype<usize>(principals) + INDEX_AT + (usize(hash & (RATE_PRINCIPALS_MAX - 1)) << 2);
}

function slotIn(bucket: usize): Slot | null {
  // SAFETY: the masked hash is below RATE_PRINCIPALS_MAX, the index's words, a power of two.
  return changetype<Slot | null>(usize(load<u32>(bucket)));
}

function setSlot(bucket: usize, slot: Slot | null): void {
  store<u32>(bucket, u32(changetype<usize>(slot))); // SAFETY: as in `slotIn`.
}
