// The chain of a guard's records (schema/audit-record.md): each has the number and the hash of the one before, so that what is lost, changed
// or moved shows. One chain per guard and worker, because nothing else orders records.

import { fillRandom } from "../host/random";
import { sha256 } from "../memory/sha256";
import { Writer } from "../memory/writer";

const ID_BYTES: u32 = 16;
const DIGEST_BYTES: u32 = 32;
/** What `idAt` and `previousAt` have: hexadecimal digits. */
export const ID_DIGITS: u32 = ID_BYTES << 1;
export const DIGEST_DIGITS: u32 = DIGEST_BYTES << 1;

@unmanaged
export class Chain {
  /** The number of the last record; 0 before the first. */
  sequence: u64;
  /** The number of the last exchange that has begun; 0 before the first. */
  exchanges: u64;
  /** Whether it has an id. */
  isStarted: bool;
}

const ID_AT: usize = offsetof<Chain>();
const PREVIOUS_AT: usize = ID_AT + ID_DIGITS;
const CHAIN_BYTES: usize = PREVIOUS_AT + DIGEST_DIGITS;
const drawnAt: usize = memory.data(ID_BYTES, 8);

/** A chain without an id. Freed with `freeChain`. */
export function createChain(): Chain {
  const chain = changetype<Chain>(heap.alloc(CHAIN_BYTES));
  memory.fill(changetype<usize>(chain), 0, offsetof<Chain>());
  memory.fill(previousAt(chain), 0x30, DIGEST_DIGITS);
  return chain;
}

/** Frees a chain. */
export function freeChain(chain: Chain): void {
  heap.free(changetype<usize>(chain));
}

/** Draws the id, unless that has been done. False when the host has no random numbers: a chain that others could have is none. */
export function startChain(chain: Chain): bool {
  if (chain.isStarted) return true;
  if (!fillRandom(drawnAt, ID_BYTES)) return false;
  copyHex(idAt(chain), drawnAt, ID_BYTES);
  chain.isStarted = true;
  return true;
}

/** Address of the id: ID_DIGITS digits, once the chain has been started. */
export function idAt(chain: Chain): usize {
  return changetype<usize>(chain) + ID_AT;
}

/** Address of the hash of the last record: DIGEST_DIGITS digits. */
export function previousAt(chain: Chain): usize {
  return changetype<usize>(chain) + PREVIOUS_AT;
}

/** `record`, which has been given the number `sequence`, is now the last one. */
export function extendChain(chain: Chain, record: Writer): void {
  copyHex(previousAt(chain), sha256(record.start, record.length), DIGEST_BYTES);
}

function copyHex(to: usize, from: usize, bytes: u32): void {
  for (let i: u32 = 0; i < bytes; i++) {
    const byte = u32(load<u8>(from + i)); // SAFETY: i < bytes, the length of `from`; `to` has room for two digits of each.
    store<u8>(to + (usize(i) << 1), digitOf(byte >> 4)); // SAFETY: as above.
    store<u8>(to + (usize(i) << 1), digitOf(byte & 15), 1); // SAFETY: as above.
  }
}

function digitOf(value: u32): u32 {
  return value < 10 ? 0x30 + value : 0x57 + value;
}
