// The bytes of a response body between the host and the rewriting: in, piece by piece, and out, as few of them as have changed.
//
// INVARIANT: from a piece that was read to what is written no other host function that returns data is called, unless `keepWire` was: the
// rewriting borrows bytes from the landing area (host/landing.ts), where the next result would stand.

import { BufferId } from "../host/abi";
import { readBuffer, replaceBuffer } from "../host/buffer";
import { landedAt } from "../host/landing";
import { PIECE_BYTES } from "../limits";
import { appendBytes, Buffer, freeBuffer } from "../memory/buffer";
import { equalBytes } from "../memory/bytes";
import { updateSha256 } from "../memory/sha256";
import { Policy } from "../policy/policy";
import { keepWire, leadHeld, Rewriting, rewritePiece } from "./rewriting";

/** Reads the `bytes` bytes that the host has of a body. False when it does not give them. */
export function readBody(rewriting: Rewriting, policy: Policy, bytes: u32): bool {
  leadHeld(rewriting, bytes);
  let start: u32 = 0;
  while (start < bytes) {
    const piece = min(bytes - start, PIECE_BYTES);
    if (!readBuffer(BufferId.ResponseBody, start, piece)) return false;
    const hash = rewriting.hash;
    if (hash !== null) updateSha256(hash, landedAt(), piece);
    rewritePiece(rewriting, policy, landedAt(), piece);
    if (rewriting.unchanged == start && isAsItCame(rewriting.wire, piece)) {
      // The host has them.
      rewriting.unchanged += piece;
      freeBuffer(rewriting.wire);
    }
    start += piece;
    if (start < bytes) keepWire(rewriting);
  }
  return true;
}

/** Whether a buffer has the `bytes` bytes that have landed, and no others. */
function isAsItCame(buffer: Buffer, bytes: u32): bool {
  return buffer.length == bytes && (buffer.at == landedAt() || equalBytes(buffer.at, landedAt(), bytes));
}

/** Puts what goes out in the place of the `bytes` bytes that the host has. False when it refuses. */
export function writeBody(rewriting: Rewriting, bytes: u32): bool {
  const head = rewriting.head;
  const wire = rewriting.wire;
  if (rewriting.unchanged == bytes && wire.length == 0) {
    return head.length == 0 || replaceBuffer(BufferId.ResponseBody, 0, head.at, head.length);
  }
  if (head.length == 0 && rewriting.unchanged == 0) {
    return replaceBuffer(BufferId.ResponseBody, bytes, wire.at, wire.length);
  }
  // The host writes in front of what it has or in place of its first bytes, not behind them.
  keepWire(rewriting);
  for (let start: u32 = 0; start < rewriting.unchanged; start += PIECE_BYTES) {
    const piece = min(rewriting.unchanged - start, PIECE_BYTES);
    if (!readBuffer(BufferId.ResponseBody, start, piece)) return false;
    appendBytes(head, landedAt(), piece);
  }
  appendBytes(head, wire.at, wire.length);
  return replaceBuffer(BufferId.ResponseBody, bytes, head.at, head.length);
}
