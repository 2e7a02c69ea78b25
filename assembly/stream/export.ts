// Records on their way to the collector: queued, sent in batches one after the other, sent again after a failure. Nobody but the calls that must
// wait for it notices when it is gone.

import { ID_DIGITS, idAt } from "../audit/chain";
import { BATCH_HEAD, BATCH_TAIL, writeLogRecord } from "../audit/otlp";
import { beginBatch, createQueue, endBatch, enqueue, isEmpty, keepBatch, Queue, waitingBytes } from "../audit/queue";
import { BufferId, LogLevel } from "../host/abi";
import { readBuffer } from "../host/buffer";
import { answerStatus, NO_CALL, postJson } from "../host/call";
import { landedAt } from "../host/landing";
import { log } from "../host/log";
import { ANSWER_BYTES_MAX, BATCH_BYTES, RECORD_BYTES_MAX, RETRY_DOUBLINGS, RETRY_MS, TEXT_BYTES_MAX } from "../limits";
import { appendLiteral, Buffer, freeBuffer } from "../memory/buffer";
import { equalsLiteral, Literal, literalBytes } from "../memory/bytes";
import { allocateWriter, clear, Writer, writeLiteral, writeNumber } from "../memory/writer";
import { Collector } from "../policy/collector";
import { Count, count, countQueued, Decision } from "./counters";
import { Exchange } from "./exchange";
import { Guard } from "./guard";
import { startTicking } from "./held";

/** Each byte of a record can take two, and what stands around it. */
const text: Writer = allocateWriter(RECORD_BYTES_MAX * 2 + 1024);
const line: Writer = allocateWriter(TEXT_BYTES_MAX);
const batch: Buffer = changetype<Buffer>(memory.data(16, 8));

/** What a collector's answer says of its batch. */
export const enum Answer {
  /** Not one that a guard waits for. */
  None,
  Acknowledged,
  /** It will not take them, now or later. */
  Rejected,
  /** It did not take them now. */
  Failed,
}

/** Hands a record to the queue, if the policy has a collector. False when there is none, or no room: then it is dropped, and counted. */
export function exportRecord(exchange: Exchange, record: Writer, name: Literal, time: u64): bool {
  const guard = exchange.guard;
  const collector = collectorOf(guard);
  if (collector === null) return false;
  const isWarning = exchange.decision == Decision.Refuse || exchange.decision == Decision.WouldRefuse;
  clear(text);
  writeLogRecord(text, time, name, isWarning, idAt(guard.chain), ID_DIGITS, exchange.number, record);
  let queue = guard.queue;
  if (queue === null) {
    queue = createQueue();
    guard.queue = queue;
  }
  const before = waitingBytes(queue);
  if (text.overflowed || !enqueue(queue, text.start, text.length, collector.queueBytesMax)) {
    count(Count.DroppedRecords, 1);
    return false;
  }
  countQueued(i64(waitingBytes(queue)) - i64(before));
  if (!guard.isTicking) startTicking(guard);
  // Those that wait for their record wait while a request is under way, so nobody has to hear of a failure here.
  if (hasFullBatch(guard)) sendBatch(guard);
  return true;
}

function collectorOf(guard: Guard): Collector | null {
  const policy = guard.policy;
  return policy !== null ? policy.collector : null;
}

/** Whether each message has a record of its own. */
export function exportsMessages(guard: Guard): bool {
  const collector = collectorOf(guard);
  return collector !== null && collector.exportsMessages;
}

/** Whether records wait for the collector. */
export function hasRecords(guard: Guard): bool {
  const queue = guard.queue;
  return queue !== null && !isEmpty(queue);
}

/** Whether the collector did not answer well, and is not asked again yet. */
export function isBackingOff(guard: Guard): bool {
  return guard.failures != 0 && guard.tick < guard.retryTick;
}

/** Sends the next batch, unless one is under way, nothing waits, or it is too early. False when the proxy does not make the request. */
export function sendBatch(guard: Guard): bool {
  const queue = guard.queue;
  const collector = collectorOf(guard);
  if (queue === null || collector === null || isEmpty(queue) || guard.call != NO_CALL || isBackingOff(guard))
    return true;
  appendLiteral(batch, BATCH_HEAD);
  beginBatch(queue, batch, BATCH_BYTES);
  appendLiteral(batch, BATCH_TAIL);
  guard.call = postJson(
    collector.clusterAt,
    collector.clusterBytes,
    collector.authorityAt,
    collector.authorityBytes,
    collector.pathAt,
    collector.pathBytes,
    0,
    0,
    batch.at,
    batch.length,
    collector.timeoutMs,
  );
  freeBuffer(batch);
  if (guard.call != NO_CALL) return true;
  noteFailure(guard, queue, "there is no such cluster, or it takes no requests", 0);
  return false;
}

/** Whether so much waits that it should not wait for the next tick: a full batch, or half of a queue that is smaller. */
export function hasFullBatch(guard: Guard): bool {
  const queue = guard.queue;
  const collector = collectorOf(guard);
  return queue !== null && collector !== null && waitingBytes(queue) >= min(BATCH_BYTES, collector.queueBytesMax / 2);
}

/** Takes the answer to request `token`, with `bodyBytes` bytes of body. Its records are gone then, or wait again. */
export function takeAnswer(guard: Guard, token: u32, bodyBytes: u32): Answer {
  const queue = guard.queue;
  if (queue === null || guard.call != token) return Answer.None;
  guard.call = NO_CALL;
  const status = answerStatus();
  const records = queue.batchCount;
  if (status >= 200 && status < 300) {
    const rejected = min(rejectedRecords(bodyBytes), records);
    dropBatch(queue);
    count(Count.ExportedRecords, records - rejected);
    count(Count.DroppedRecords, rejected);
    if (guard.failures != 0 || guard.isRejected) noteRecovery(guard);
    return rejected == 0 ? Answer.Acknowledged : Answer.Rejected;
  }
  if (isRetryable(status)) {
    const isCut = status == 0;
    noteFailure(
      guard,
      queue,
      isCut ? "the collector's answer was cut" : "the collector takes no records now, status",
      status,
    );
    return Answer.Failed;
  }
  count(Count.FailedCalls, 1);
  count(Count.DroppedRecords, records);
  dropBatch(queue);
  if (!guard.isRejected) tell(LogLevel.Warn, "the collector does not take records, status", status);
  guard.isRejected = true;
  return Answer.Rejected;
}

function dropBatch(queue: Queue): void {
  countQueued(-i64(queue.batchBytes));
  endBatch(queue);
}

/** OTLP/HTTP, "Failures": these may be tried again, and so may what never got an answer. */
function isRetryable(status: u32): bool {
  return status == 0 || status == 429 || status == 502 || status == 503 || status == 504;
}

function noteFailure(guard: Guard, queue: Queue, why: Literal, status: u32): void {
  keepBatch(queue);
  count(Count.FailedCalls, 1);
  if (guard.failures == 0) tell(LogLevel.Warn, why, status);
  const milliseconds = RETRY_MS << min(guard.failures, RETRY_DOUBLINGS);
  guard.failures++;
  guard.retryTick = guard.tick + max<u32>(milliseconds / max<u32>(guard.tickMs, 1), 1);
}

function noteRecovery(guard: Guard): void {
  guard.failures = 0;
  guard.isRejected = false;
  tell(LogLevel.Info, "the collector takes records again", 0);
}

function tell(level: LogLevel, what: Literal, status: u32): void {
  clear(line);
  writeLiteral(line, "mcp-guard: audit.otlp: ");
  writeLiteral(line, what);
  if (status != 0) {
    writeLiteral(line, " ");
    writeNumber(line, status);
  }
  log(level, line);
}

/** How many records the answer says were not taken: `{"partialSuccess":{"rejectedLogRecords":"1"}}`, the number in quotes or without. */
function rejectedRecords(bodyBytes: u32): u32 {
  const bytes = min(bodyBytes, ANSWER_BYTES_MAX);
  if (bytes == 0 || !readBuffer(BufferId.CallResponseBody, 0, bytes)) return 0;
  const at = landedAt();
  const wanted = '"rejectedLogRecords"';
  const length = literalBytes(wanted);
  for (let from: u32 = 0; from + length <= bytes; from++) {
    if (equalsLiteral(at + from, length, wanted)) return numberBehind(at, from + length, bytes);
  }
  return 0;
}

function numberBehind(at: usize, from: u32, end: u32): u32 {
  let value: u32 = 0;
  for (let i = from; i < end; i++) {
    const byte = u32(load<u8>(at + i)); // SAFETY: i < end, what has landed.
    if (byte - 0x30 < 10) value = min<u32>(value * 10 + (byte - 0x30), 1_000_000);
    else if (byte == 0x2c || byte == 0x7d) break;
  }
  return value;
}
