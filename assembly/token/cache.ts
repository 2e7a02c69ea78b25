// Tokens that have been given, in the module's own memory: each guard has its own, since what a proxy's plugins share has one namespace for all of
// them. A fixed number of slots, made when the guard first needs one; the least recently used makes room. A token is overwritten before its block is freed.

import { isSameKey, KEY_BYTES } from "./cache-key";

/** What is known under a key. */
export const enum Known {
  Nothing,
  Token,
  /** The token endpoint did not accept the caller's token. */
  Refused,
}

@unmanaged
export class Slot {
  /** Its neighbours, by use: the most recently used comes first. */
  newer: Slot | null;
  older: Slot | null;
  /** Next in the bucket of the index. */
  next: Slot | null;
  known: Known;
  /** The token, of the heap; 0 bytes when there is none. */
  tokenAt: usize;
  tokenBytes: u32;
  /** Nanoseconds since 1970: when it was put here, and until when it counts. */
  since: u64;
  until: u64;
  /** A number that no other use of a slot has had: an exchange that used this token evicts this one, and not the one that came after it. */
  serial: u64;
}

@unmanaged
export class Cache {
  slots: usize;
  slotCount: u32;
  /** Slots that have never been used stand behind the first `used`. */
  used: u32;
  newest: Slot | null;
  oldest: Slot | null;
  buckets: usize;
  /** A power of two. */
  bucketCount: u32;
}

const SLOT_BYTES: u32 = ((u32(offsetof<Slot>()) + 7) & ~7) + KEY_BYTES;
let serials: u64 = 0;

/** A cache of that many slots. Freed with `freeCache`. */
export function createCache(slotCount: u32): Cache {
  let bucketCount: u32 = 1;
  while (bucketCount < slotCount) bucketCount <<= 1;
  const cache = changetype<Cache>(heap.alloc(offsetof<Cache>()));
  cache.slotCount = slotCount;
  cache.used = 0;
  cache.newest = null;
  cache.oldest = null;
  cache.bucketCount = bucketCount;
  cache.slots = heap.alloc(usize(slotCount) * SLOT_BYTES);
  cache.buckets = heap.alloc(usize(bucketCount) << 2);
  memory.fill(cache.slots, 0, usize(slotCount) * SLOT_BYTES);
  memory.fill(cache.buckets, 0, usize(bucketCount) << 2);
  return cache;
}

/** Frees a cache. Nothing of its tokens stays in memory. */
export function freeCache(cache: Cache): void {
  for (let i: u32 = 0; i < cache.used; i++) clearSlot(slotAt(cache, i));
  heap.free(cache.slots);
  heap.free(cache.buckets);
  heap.free(changetype<usize>(cache));
}

/** What is known under a key at that time; null when nothing is. It is the most recently used one then. One whose time is over goes. */
export function findSlot(cache: Cache, key: usize, now: u64): Slot | null {
  let slot = firstOf(cache, key);
  while (slot !== null && !isSameKey(keyAt(slot), key)) slot = slot.next;
  if (slot === null || slot.known == Known.Nothing) return null;
  // A clock that has been set back would make a token last.
  if (now >= slot.until || now < slot.since) {
    clearSlot(slot);
    return null;
  }
  unlink(cache, slot);
  linkNewest(cache, slot);
  return slot;
}

/** Keeps a copy of a token, of 0 bytes when the key's is refused, until that time. The slot. */
export function putSlot(cache: Cache, key: usize, tokenAt: usize, tokenBytes: u32, now: u64, until: u64): Slot {
  const slot = slotFor(cache, key);
  clearSlot(slot);
  slot.known = tokenBytes == 0 ? Known.Refused : Known.Token;
  if (tokenBytes != 0) {
    slot.tokenAt = heap.alloc(tokenBytes);
    slot.tokenBytes = tokenBytes;
    memory.copy(slot.tokenAt, tokenAt, tokenBytes);
  }
  slot.since = now;
  slot.until = until;
  slot.serial = ++serials;
  return slot;
}

/** Forgets the token of that use of a slot, if it is still there. */
export function evict(slot: Slot, serial: u64): void {
  if (slot.serial == serial) clearSlot(slot);
}

/** The key's slot, or one that is made the key's; it is the most recently used one. */
function slotFor(cache: Cache, key: usize): Slot {
  let slot = firstOf(cache, key);
  while (slot !== null && !isSameKey(keyAt(slot), key)) slot = slot.next;
  if (slot !== null) {
    unlink(cache, slot);
    linkNewest(cache, slot);
    return slot;
  }
  const oldest = cache.oldest;
  let free: Slot;
  if (cache.used < cache.slotCount || oldest === null) {
    free = slotAt(cache, cache.used);
    cache.used++;
  } else {
    free = oldest;
    unlink(cache, free);
    leaveBucket(cache, free);
  }
  memory.copy(keyAt(free), key, KEY_BYTES);
  const bucket = bucketAt(cache, key);
  free.next = changetype<Slot | null>(usize(load<u32>(bucket))); // SAFETY: `bucketAt` gives a word of the index.
  store<u32>(bucket, u32(changetype<usize>(free))); // SAFETY: as above.
  linkNewest(cache, free);
  return free;
}

function slotAt(cache: Cache, index: u32): Slot {
  return changetype<Slot>(cache.slots + usize(index) * SLOT_BYTES);
}

function keyAt(slot: Slot): usize {
  return changetype<usize>(slot) + SLOT_BYTES - KEY_BYTES;
}

/** Forgets what the slot knows; its place it keeps. */
function clearSlot(slot: Slot): void {
  if (slot.tokenBytes != 0) {
    memory.fill(slot.tokenAt, 0, slot.tokenBytes);
    heap.free(slot.tokenAt);
  }
  slot.tokenBytes = 0;
  slot.known = Known.Nothing;
}

// --- By use. ---

function linkNewest(cache: Cache, slot: Slot): void {
  const newest = cache.newest;
  slot.newer = null;
  slot.older = newest;
  if (newest !== null) newest.newer = slot;
  else cache.oldest = slot;
  cache.newest = slot;
}

function unlink(cache: Cache, slot: Slot): void {
  const newer = slot.newer;
  const older = slot.older;
  if (newer !== null) newer.older = older;
  else cache.newest = older;
  if (older !== null) older.newer = newer;
  else cache.oldest = newer;
}

// --- By key. A digest of SHA-256 is spread evenly. Whoever chooses tokens can have chains grow, by one for each question to the token endpoint and to
// --- `slotCount` at most, where the proxy validates another token than the one that is exchanged; a step is one comparison of a key.

function bucketAt(cache: Cache, key: usize): usize {
  // SAFETY: a key has more than four bytes, and the masked number is below bucketCount.
  return cache.buckets + (usize(load<u32>(key) & (cache.bucketCount - 1)) << 2);
}

function firstOf(cache: Cache, key: usize): Slot | null {
  return changetype<Slot | null>(usize(load<u32>(bucketAt(cache, key)))); // SAFETY: `bucketAt` gives a word of the index.
}

function leaveBucket(cache: Cache, slot: Slot): void {
  const bucket = bucketAt(cache, keyAt(slot));
  let before: Slot | null = null;
  let at = changetype<Slot | null>(usize(load<u32>(bucket))); // SAFETY: `bucketAt` gives a word of the index.
  while (at !== null && at !== slot) {
    before = at;
    at = at.next;
  }
  if (before !== null) before.next = slot.next;
  else store<u32>(bucket, u32(changetype<usize>(slot.next))); // SAFETY: as above.
}
