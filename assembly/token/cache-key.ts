// Under which key a token is kept: the SHA-256 of everything that makes it the token that it is. Two requests get the same one only when caller,
// token and everything that is asked for are the same.

import { equalBytes } from "../memory/bytes";
import { beginSha256, endSha256, SHA256_BYTES, Sha256, updateSha256 } from "../memory/sha256";
import { TokenService } from "../policy/token-service";

export const KEY_BYTES: u32 = 32;

const hash: Sha256 = changetype<Sha256>(memory.data(SHA256_BYTES, 8));
/** Of zeros: what it takes in is of no use to anybody. */
const other: Sha256 = changetype<Sha256>(memory.data(SHA256_BYTES, 8));
const BLOCK_BYTES: u32 = 64;
const zerosAt: usize = memory.data(BLOCK_BYTES, 8);
const lengthAt: usize = memory.data(4, 4);

/**
 * The key of what is asked for with the token of `subjectBytes` bytes, whose claim of that name makes its bearer that principal: KEY_BYTES bytes, alive until the
 * next call. Each part has its length in front of it, so that none can pass for the end of another one.
 */
export function cacheKey(
  service: TokenService,
  issuerAt: usize,
  issuerBytes: u32,
  claimAt: usize,
  claimBytes: u32,
  principalAt: usize,
  principalBytes: u32,
  subjectAt: usize,
  subjectBytes: u32,
): usize {
  beginSha256(hash);
  add(issuerAt, issuerBytes);
  add(claimAt, claimBytes);
  add(principalAt, principalBytes);
  add(subjectAt, subjectBytes);
  add(service.audienceAt, service.audienceBytes);
  add(service.resourceAt, service.resourceBytes);
  add(service.scopeAt, service.scopeBytes);
  addNumber(service.requestedType);
  add(service.actorAt, service.actorBytes);
  const key = endSha256(hash);
  forgetRest(key);
  return key;
}

/** The digest of a token, to tell another one from it. Alive until the next call of either function. */
export function tokenDigest(at: usize, bytes: u32): usize {
  beginSha256(hash);
  updateSha256(hash, at, bytes);
  const digest = endSha256(hash);
  forgetRest(digest);
  return digest;
}

/** Whether both addresses have the same key. */
export function isSameKey(left: usize, right: usize): bool {
  return equalBytes(left, right, KEY_BYTES);
}

function add(at: usize, bytes: u32): void {
  addNumber(bytes);
  updateSha256(hash, at, bytes);
}

function addNumber(value: u32): void {
  store<u32>(lengthAt, value); // SAFETY: the word is ours.
  updateSha256(hash, lengthAt, 4);
}

/** The block that was not whole, and the schedule of the hash (memory/sha256.ts), have the end of a token: a block of zeros takes its place. */
function forgetRest(digest: usize): void {
  const from = digest + KEY_BYTES;
  memory.fill(from, 0, changetype<usize>(hash) + SHA256_BYTES - from);
  beginSha256(other);
  updateSha256(other, zerosAt, BLOCK_BYTES);
}
