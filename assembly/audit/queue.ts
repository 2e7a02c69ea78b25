// Records that wait for the collector, in the order in which they were made: some are on their way in a batch, the others come after it. Bounded:
// what does not fit is not taken, and whoever asks counts it.
//
//   records:  | u32 bytes | text | u32 bytes | text | ...
//             ^ batch, if one is under way      ^ the rest

import { appendByte, appendBytes, appendLiteral, Buffer, dropHead, freeBuffer, initBuffer } from "../memory/buffer";

const PREFIX_BYTES: u32 = 4;

@unmanaged
export class Queue {
  records: Buffer;
  /** How many have ever been taken, and how many of them are gone: acknowledged, or given up. */
  taken: u64;
  gone: u64;
  /** Of the batch that is under way: its records and their bytes here. */
  batchCount: u32;
  batchBytes: u32;
}

/** An empty queue. Freed with `freeQueue`. */
export function createQueue(): Queue {
  const head = (offsetof<Queue>() + 7) & ~7;
  const address = heap.alloc(head + offsetof<Buffer>());
  const queue = changetype<Queue>(address);
  memory.fill(address, 0, offsetof<Queue>());
  queue.records = changetype<Buffer>(address + head);
  initBuffer(queue.records);
  return queue;
}

/** Frees a queue with what waits in it. */
export function freeQueue(queue: Queue): void {
  freeBuffer(queue.records);
  heap.free(changetype<usize>(queue));
}

/** Whether nothing waits. */
export function isEmpty(queue: Queue): bool {
  return queue.taken == queue.gone;
}

/** Bytes that wait. */
export function waitingBytes(queue: Queue): u32 {
  return queue.records.length;
}

/** Takes a record of `bytes` bytes. False when the queue would have more than `most` bytes. */
export function enqueue(queue: Queue, address: usize, bytes: u32, most: u32): bool {
  const records = queue.records;
  if (records.length + PREFIX_BYTES + bytes > most) return false;
  for (let shift: u32 = 0; shift < 32; shift += 8) appendByte(records, (bytes >> shift) & 0xff);
  appendBytes(records, address, bytes);
  queue.taken++;
  return true;
}

/** Puts the oldest records into a batch, up to `most` bytes and at least one, and appends them to `body`, with commas between. */
export function beginBatch(queue: Queue, body: Buffer, most: u32): void {
  const records = queue.records;
  let at: u32 = 0;
  queue.batchCount = 0;
  while (at < records.length) {
    // SAFETY: the records are whole, each with its length in front.
    const bytes = load<u32>(records.at + at);
    if (at != 0 && at + PREFIX_BYTES + bytes > most) break;
    if (at != 0) appendLiteral(body, ",");
    appendBytes(body, records.at + at + PREFIX_BYTES, bytes);
    at += PREFIX_BYTES + bytes;
    queue.batchCount++;
  }
  queue.batchBytes = at;
}

/** The batch is gone: acknowledged, or given up. */
export function endBatch(queue: Queue): void {
  dropHead(queue.records, queue.batchBytes);
  queue.gone += queue.batchCount;
  keepBatch(queue);
}

/** The batch is not gone: its records wait for the next one. */
export function keepBatch(queue: Queue): void {
  queue.batchCount = 0;
  queue.batchBytes = 0;
}
