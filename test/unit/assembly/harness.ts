// The parts of the filter that tests look at from inside: the JSON reader with all its events, the scans, the hashes,
// and the reader of event streams with all its steps.
// Compiled to build/harness.wasm with the options of the release build.

// For the compiler, which is told to call it.
import "../../../assembly/host/abort";

import { nearestOf } from "../../../assembly/config/nearest";
import { JsonError } from "../../../assembly/json/error";
import {
  captureRaw,
  captureText,
  finish,
  freeReader,
  initReader,
  JsonLimits,
  JsonReader,
  next,
  openChunk,
  readerBlockBytes,
  readerHeldBytes,
  resetReader,
  Token,
} from "../../../assembly/json/reader";
import { scanPlain as plain, scanSpace as space, scanText as text } from "../../../assembly/json/scan";
import { scanShown as shown } from "../../../assembly/memory/hidden";
import {
  beginSha256 as beginHash,
  endSha256 as endHash,
  sha256 as hash,
  SHA256_BYTES,
  Sha256,
  updateSha256 as updateHash,
} from "../../../assembly/memory/sha256";
import { setShortHashKey, shortHash as short } from "../../../assembly/memory/short-hash";
import { setHashKey, sipHash as sip } from "../../../assembly/memory/siphash";
import {
  EVENT_BLOCK_BYTES,
  EventReader,
  EventStep,
  endEvents,
  initEventReader,
  nextEvent,
  openEvents,
} from "../../../assembly/sse/reader";
import { scanLine as line, scanOneLine as oneLine } from "../../../assembly/sse/scan";

const CAPTURE_BYTES: u32 = 4096;
const EVENT_WORDS: u32 = 4;

let reader: JsonReader | null = null;
let block: usize = 0;
let textAt: usize = 0;
let rawAt: usize = 0;
let inToken = false;
let events: usize = 0;
let eventsEnd: usize = 0;
let eventsRoom: usize = 0;

/** A block of `bytes` bytes for the caller's input. */
export function allocate(bytes: u32): usize {
  return heap.alloc(bytes);
}

export function release(address: usize): void {
  heap.free(address);
}

/** Sets the key of the hashes. */
export function setKey(first: u64, second: u64): void {
  setHashKey(first, second);
  // Four numbers that have nothing to do with each other, as the filter's random ones: products of related factors are related.
  setShortHashKey(
    first,
    second * 0x9e3779b97f4a7c15,
    (first ^ second) * 0xbf58476d1ce4e5b9,
    first * 0x94d049bb133111eb,
  );
}

/** A reader with these bounds in place of the one before. */
export function openReader(depth: u32, membersPerObject: u32, openMembers: u32, keyBytes: u32): void {
  const limits = changetype<JsonLimits>(heap.alloc(offsetof<JsonLimits>()));
  limits.depth = depth;
  limits.membersPerObject = membersPerObject;
  limits.openMembers = openMembers;
  limits.keyBytes = keyBytes;
  const old = reader;
  if (old !== null) {
    freeReader(old);
    heap.free(block);
    heap.free(changetype<usize>(old));
  }
  block = heap.alloc(readerBlockBytes(limits));
  const fresh = changetype<JsonReader>(heap.alloc(offsetof<JsonReader>()));
  initReader(fresh, block, limits);
  reader = fresh;
  heap.free(changetype<usize>(limits));
  if (textAt == 0) {
    textAt = heap.alloc(CAPTURE_BYTES);
    rawAt = heap.alloc(CAPTURE_BYTES);
  }
  begin(u32.MAX_VALUE);
}

/** Begins a text. Tokens deeper than `reportDepth` are not told. */
export function begin(reportDepth: u32): void {
  const at = reader;
  if (at === null) return;
  resetReader(at);
  at.reportDepth = reportDepth;
  inToken = false;
  eventsEnd = events;
}

/** Reads a chunk; 0 when more may come, else the error. */
export function feed(address: usize, bytes: u32): JsonError {
  const at = reader;
  if (at === null) return JsonError.Syntax;
  openChunk(at, address, bytes);
  while (true) {
    if (!inToken) {
      captureText(at, textAt, CAPTURE_BYTES);
      captureRaw(at, rawAt, CAPTURE_BYTES);
    }
    const token = next(at);
    inToken = token == Token.NeedMore;
    if (token == Token.NeedMore) return JsonError.None;
    if (token == Token.Failed) return at.error;
    const from = at.tokenStart;
    const to = at.tokenEnd;
    if (token == Token.Key) write(token, from, to, at.keyAt, at.textBytes);
    else if (token == Token.String) write(token, from, to, textAt, min(at.textBytes, CAPTURE_BYTES));
    else if (token == Token.Number) write(token, from, to, rawAt, min(at.rawBytes, CAPTURE_BYTES));
    else write(token, from, to, 0, 0);
  }
}

/** Ends the text; 0 when it was complete, else the error. */
export function end(): JsonError {
  const at = reader;
  return at !== null ? finish(at) : JsonError.Syntax;
}

export function errorOffset(): u32 {
  const at = reader;
  return at !== null ? at.errorOffset : 0;
}

export function heldBytes(): u32 {
  const at = reader;
  return at !== null ? readerHeldBytes(at) : 0;
}

/** The events so far: per event the token, its start, its end, the bytes of its text, then the text, 4-aligned. */
export function eventsAt(): usize {
  return events;
}

export function eventsBytes(): u32 {
  return u32(eventsEnd - events);
}

function write(kind: u32, from: u32, to: u32, text: usize, bytes: u32): void {
  const needed = usize(EVENT_WORDS << 2) + ((bytes + 3) & ~3);
  if (eventsEnd + needed > events + eventsRoom) growEvents(needed);
  store<u32>(eventsEnd, kind);
  store<u32>(eventsEnd, from, 4);
  store<u32>(eventsEnd, to, 8);
  store<u32>(eventsEnd, bytes, 12);
  memory.copy(eventsEnd + (EVENT_WORDS << 2), text, bytes);
  eventsEnd += needed;
}

function growEvents(needed: usize): void {
  const used = eventsEnd - events;
  const room = (eventsRoom + needed) << 1;
  const larger = heap.alloc(room);
  if (events != 0) {
    memory.copy(larger, events, used);
    heap.free(events);
  }
  events = larger;
  eventsEnd = larger + used;
  eventsRoom = room;
}

// --- The reader of event streams. ---

/** What stands in the log behind the steps: the fields of an event that has ended, and the end of the stream. */
const enum Entry {
  Name = 5,
  Id,
  Retry,
  StreamEnd,
}

/** Bytes behind the reader's block that it must not touch, and what stands there: what could be a part of a value. */
const FENCE_BYTES: u32 = 64;
const FENCE: u8 = 0x61;

const stream = changetype<EventReader>(heap.alloc(offsetof<EventReader>()));
const streamBlock = heap.alloc(EVENT_BLOCK_BYTES + FENCE_BYTES);
/** Offset in the stream of the chunk's first byte. */
let streamOffset: u32 = 0;
let logsSteps: bool = true;

/** Begins an event stream. @param logs whether its steps are written down. */
export function beginStream(logs: bool): void {
  memory.fill(streamBlock, FENCE, EVENT_BLOCK_BYTES + FENCE_BYTES);
  initEventReader(stream, streamBlock);
  streamOffset = 0;
  logsSteps = logs;
  eventsEnd = events;
}

/** Reads a chunk; every step goes to the log, NeedMore too. For Data: its offsets in the stream, and its bytes. */
export function feedStream(address: usize, bytes: u32): void {
  openEvents(stream, address, bytes);
  let step: EventStep;
  do {
    step = nextEvent(stream);
    if (!logsSteps) continue;
    if (step == EventStep.Data) {
      const from = streamOffset + u32(stream.runAt - address);
      write(step, from, from + stream.runBytes, stream.runAt, stream.runBytes);
    } else if (step == EventStep.EventEnd) writeEventEnd(step);
    else write(step, 0, 0, 0, 0);
  } while (step != EventStep.NeedMore);
  streamOffset += bytes;
}

/** Ends the stream; true when an event was pending, which is then in the log behind StreamEnd. */
export function endStream(): bool {
  const isPending = endEvents(stream);
  write(Entry.StreamEnd, 0, 0, 0, 0);
  if (isPending) writeEventEnd(EventStep.EventEnd);
  return isPending;
}

/** Whether the reader has kept to its block. */
export function isFenceWhole(): bool {
  for (let i: u32 = 0; i < FENCE_BYTES; i++) {
    // SAFETY: the block has FENCE_BYTES behind it.
    if (load<u8>(streamBlock + EVENT_BLOCK_BYTES + i) != FENCE) return false;
  }
  return true;
}

/** An end of an event: its start says whether it had data; the other fields that it had follow. */
function writeEventEnd(step: EventStep): void {
  write(step, u32(stream.hasData), 0, 0, 0);
  if (stream.hasName) write(Entry.Name, 0, 0, stream.nameAt, stream.nameBytes);
  if (stream.hasId) write(Entry.Id, 0, 0, stream.idAt, stream.idBytes);
  if (stream.hasRetry) write(Entry.Retry, 0, 0, stream.retryAt, stream.retryBytes);
}

export function scanPlain(address: usize, until: usize): usize {
  return plain(address, until);
}

export function scanText(address: usize, until: usize): usize {
  return text(address, until);
}

export function scanSpace(address: usize, until: usize): usize {
  return space(address, until);
}

export function scanShown(address: usize, until: usize): usize {
  return shown(address, until);
}

export function scanLine(address: usize, until: usize): usize {
  return line(address, until);
}

export function scanOneLine(address: usize, until: usize): usize {
  return oneLine(address, until);
}

export function sipHash(address: usize, bytes: u32, tweak: u32): u64 {
  return sip(address, bytes, tweak);
}

export function shortHash(low: u64, high: u64, tweak: u32): u64 {
  return short(low, high, tweak);
}

export function sha256(address: usize, bytes: u32): usize {
  return hash(address, bytes);
}

/** What a digest under way takes; the next three want as much at `record`. */
export function sha256Bytes(): u32 {
  return SHA256_BYTES;
}

export function beginSha256(record: usize): void {
  beginHash(changetype<Sha256>(record));
}

export function updateSha256(record: usize, address: usize, bytes: u32): void {
  updateHash(changetype<Sha256>(record), address, bytes);
}

export function endSha256(record: usize): usize {
  return endHash(changetype<Sha256>(record));
}

/** Offset in the known names of the configuration's `mode`-like words of the nearest one, or -1. */
export function nearest(address: usize, bytes: u32): i32 {
  return nearestOf(address, bytes, "enforce monitor tool_allowlist method_allowlist");
}
