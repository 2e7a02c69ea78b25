// One call that waits for a human: what is known of it from its verdict until it goes on or its client is answered.

import { NO_CALL } from "../host/call";
import { Buffer, freeBuffer, initBuffer } from "../memory/buffer";
import { CALL_DIGEST_DIGITS } from "./call-digest";
import { ID_BYTES } from "./round";

/** How far the approval is. */
export const enum HoldStep {
  /** The service is asked whether there is an approval. */
  Opening,
  /** A human has to decide; asked about at every poll. */
  Pending,
  /** It has been approved, and the receipt is asked for. */
  Claiming,
}

/** What the service says of an approval. */
export const enum ApprovalStatus {
  /** Nothing has been said. */
  None,
  Pending,
  Approved,
  Denied,
  Expired,
  Claimed,
  /** The service does not know the id. */
  Unknown,
}

const BUFFER_BYTES: usize = offsetof<Buffer>();

@unmanaged
export class Hold {
  step: HoldStep;
  /** The request to the service that is under way for this call alone; NO_CALL when none is. */
  call: u32;
  /** How often in a row it has failed, and the tick before which it is not made again. */
  failures: u32;
  retryTick: u32;
  /** The tick at which the client gets the link. */
  untilTick: u32;
  /** The round of polls that it was last in, and what the last answer said. */
  pollRound: u32;
  status: ApprovalStatus;
  /** Of the principal: short, because it only counts. */
  principalHash: u64;
  /** Whether something of ours has been taken out of the call, so that its text goes back to the proxy. */
  isRestored: bool;
  /** Whether it is a modern client's later round: it has the link. */
  isRound: bool;
  /** Whether the client can be sent a modern request to open a link; whether it is of MCP 2025-11-25. */
  opensLinks: bool;
  hasUrlElicitation: bool;
  hasId: bool;
  /** Addresses behind the record: ID_BYTES characters each, and 64 digits. */
  idAt: usize;
  nonceAt: usize;
  digestAt: usize;
  /** The call as it goes on. */
  text: Buffer;
  /** Who makes it (caller.ts). */
  caller: Buffer;
  /** The body of the question that opens it. */
  question: Buffer;
  /** What our state carries of the server's. */
  carried: Buffer;
}

/** A hold in which nothing is known. Freed with `freeHold`. */
export function createHold(): Hold {
  const room = ((offsetof<Hold>() + 7) & ~7) + 4 * BUFFER_BYTES + 2 * usize(ID_BYTES) + CALL_DIGEST_DIGITS;
  const address = heap.alloc(room);
  memory.fill(address, 0, room);
  const hold = changetype<Hold>(address);
  const buffers = address + ((offsetof<Hold>() + 7) & ~7);
  hold.text = bufferAt(buffers);
  hold.caller = bufferAt(buffers + BUFFER_BYTES);
  hold.question = bufferAt(buffers + 2 * BUFFER_BYTES);
  hold.carried = bufferAt(buffers + 3 * BUFFER_BYTES);
  hold.idAt = buffers + 4 * BUFFER_BYTES;
  hold.nonceAt = hold.idAt + ID_BYTES;
  hold.digestAt = hold.nonceAt + ID_BYTES;
  hold.call = NO_CALL;
  return hold;
}

function bufferAt(address: usize): Buffer {
  const buffer = changetype<Buffer>(address);
  initBuffer(buffer);
  return buffer;
}

/** Bytes that a hold has beside its record. */
export function holdBytes(hold: Hold): u32 {
  return hold.text.capacity + hold.caller.capacity + hold.question.capacity + hold.carried.capacity;
}

/** Frees a hold with all that it owns. */
export function freeHold(hold: Hold): void {
  freeBuffer(hold.text);
  freeBuffer(hold.caller);
  freeBuffer(hold.question);
  freeBuffer(hold.carried);
  heap.free(changetype<usize>(hold));
}
