// Arguments and answers as text for a record: the values that pointers name are replaced, whatever their type, and what stands around them stays as it came.

import { allocateReader } from "../json/allocate";
import { JsonError } from "../json/error";
import { isInObject, isInsideToken, JsonReader, next, openChunk, resetReader, Token } from "../json/reader";
import {
  DEPTH_MAX,
  KEY_BYTES_MAX,
  MEMBERS_PER_OBJECT_MAX,
  OPEN_MEMBERS_MAX,
  RECORD_BYTES_MAX,
  REDACTED_POINTERS_MAX,
} from "../limits";
import { allocateWriter, clear, Writer, writeBytes, writeLiteral } from "../memory/writer";
import { ArgumentRule, segmentIs, segmentIsElement } from "../policy/argument-rule";

const text: Writer = allocateWriter(RECORD_BYTES_MAX / 2);
/** Per pointer: how many of its reference tokens lead to where the walk is; and per depth the element at hand. */
const matchedAt: usize = memory.data(REDACTED_POINTERS_MAX + 1, 4);
const elementsAt: usize = memory.data(4 * (DEPTH_MAX + 1), 4);
let reader: JsonReader | null = null;
let first: ArgumentRule | null = null;
/** Offset up to which the text has been copied or replaced. */
let copied: u32 = 0;
/** 1 in a list of messages, in each of which the pointers begin anew; else 0. */
let rootDepth: u32 = 0;

/**
 * The object of `bytes` bytes at `address`, the list of such objects, or its first bytes, with the values at `pointers` replaced. Alive until the
 * next call. What does not fit is left out, and what a fault hides from the walk: then `overflowed` says so.
 */
export function redacted(pointers: ArgumentRule | null, address: usize, bytes: u32): Writer {
  const source = readerOf();
  clear(text);
  first = pointers;
  copied = 0;
  rootDepth = 0;
  memory.fill(matchedAt, 0, REDACTED_POINTERS_MAX + 1);
  source.reportDepth = u32.MAX_VALUE;
  openChunk(source, address, bytes);
  const isDone = walk(source, address);
  if (!isDone) endCut(source, address, bytes);
  else copyTo(address, bytes);
  resetReader(source);
  return text;
}

function readerOf(): JsonReader {
  const known = reader;
  if (known !== null) return known;
  const fresh = allocateReader(DEPTH_MAX, MEMBERS_PER_OBJECT_MAX, OPEN_MEMBERS_MAX, KEY_BYTES_MAX);
  fresh.anyRoot = true;
  reader = fresh;
  return fresh;
}

/** True when the object has ended. */
function walk(source: JsonReader, address: usize): bool {
  while (true) {
    const token = next(source);
    switch (token) {
      case Token.NeedMore:
      case Token.Failed:
        return false;
      case Token.Key:
        matchMember(source);
        break;
      case Token.ObjectStart:
      case Token.ArrayStart:
        if (isTarget(source.depth - 1)) {
          replaceAt(address, source.tokenStart);
          // Its end alone is told.
          source.reportDepth = source.depth - 1;
          const end = next(source);
          if (end == Token.NeedMore || end == Token.Failed) {
            copied = u32.MAX_VALUE;
            return false;
          }
          copied = source.tokenEnd;
          source.reportDepth = u32.MAX_VALUE;
          endValue(source);
        } else if (token == Token.ArrayStart && source.depth == 1) {
          rootDepth = 1;
        } else if (token == Token.ArrayStart) {
          setElement(source.depth, 0);
          matchElement(source);
        }
        break;
      case Token.ObjectEnd:
      case Token.ArrayEnd:
        if (source.depth == 0) return true;
        endValue(source);
        break;
      default:
        if (isTarget(source.depth)) {
          replaceAt(address, source.tokenStart);
          copied = source.tokenEnd;
        }
        endValue(source);
        break;
    }
  }
}

/** The text goes on where nobody can see, or is none from here on. */
function endCut(source: JsonReader, address: usize, bytes: u32): void {
  text.overflowed = true;
  if (copied == u32.MAX_VALUE) return;
  if (source.depth != 0 && isInsideToken(source) && isTarget(source.depth)) replaceAt(address, source.tokenStart);
  else if (source.error == JsonError.None) copyTo(address, bytes);
}

function replaceAt(address: usize, offset: u32): void {
  copyTo(address, offset);
  writeLiteral(text, '"[redacted]"');
}

function copyTo(address: usize, offset: u32): void {
  if (offset <= copied) return;
  writeBytes(text, address + copied, offset - copied);
  copied = offset;
}

/** A value has ended. In an array the next element may begin; in an object the next name sets anew what matches. */
function endValue(source: JsonReader): void {
  if (source.depth <= rootDepth || isInObject(source)) return;
  setElement(source.depth, element(source.depth) + 1);
  matchElement(source);
}

function matchMember(source: JsonReader): void {
  const depth = source.depth - 1 - rootDepth;
  let index: u32 = 0;
  let pointer = first;
  while (pointer !== null) {
    if (matched(index) >= depth) {
      const leads = pointer.segmentCount > depth && segmentIs(pointer, depth, source.keyAt, source.textBytes);
      setMatched(index, depth + u32(leads));
    }
    index++;
    pointer = pointer.next;
  }
}

function matchElement(source: JsonReader): void {
  const depth = source.depth - 1 - rootDepth;
  const at = element(source.depth);
  let index: u32 = 0;
  let pointer = first;
  while (pointer !== null) {
    if (matched(index) >= depth) {
      const leads = pointer.segmentCount > depth && segmentIsElement(pointer, depth, at);
      setMatched(index, depth + u32(leads));
    }
    index++;
    pointer = pointer.next;
  }
}

/** Whether the value at hand, in a container at `depth`, is one that a pointer names. */
function isTarget(depth: u32): bool {
  const level = depth - rootDepth;
  let index: u32 = 0;
  let pointer = first;
  while (pointer !== null) {
    if (pointer.segmentCount == level && matched(index) == level) return true;
    index++;
    pointer = pointer.next;
  }
  return false;
}

function matched(index: u32): u32 {
  return u32(load<u8>(matchedAt + index)); // SAFETY: index <= REDACTED_POINTERS_MAX.
}

function setMatched(index: u32, count: u32): void {
  store<u8>(matchedAt + index, count); // SAFETY: index <= REDACTED_POINTERS_MAX; count <= DEPTH_MAX.
}

function element(depth: u32): u32 {
  return load<u32>(elementsAt + (usize(depth) << 2)); // SAFETY: depth <= DEPTH_MAX.
}

function setElement(depth: u32, value: u32): void {
  store<u32>(elementsAt + (usize(depth) << 2), value); // SAFETY: depth <= DEPTH_MAX.
}
