// Reading one value of a configuration: words, numbers, lists of names. Each function takes the value that comes next;
// false means that the problem has been told.

import { captureRaw, captureText, finish, JsonReader, next, Token } from "../json/reader";
import { LIST_ENTRIES_MAX, VARIABLE_NAME_BYTES_MAX } from "../limits";
import { Literal, literalByte, literalBytes } from "../memory/bytes";
import { addName, allocateNameSet, firstName, freeNameSet, NameSet, nameBytes, nextName } from "../policy/name-set";
import {
  enterElement,
  enterWord,
  expected,
  expectedNumber,
  expectedWord,
  leavePath,
  placeAtHand,
  told,
  unknownMember,
} from "./problem";

/** Room for one text of a configuration. */
export const TEXT_ROOM: u32 = 1024;
export const textAt: usize = memory.data(TEXT_ROOM, 4);

/** Room for a number where none is expected: what a message shows of it. */
const NUMBER_ROOM: u32 = 64;
const numberAt: usize = memory.data(NUMBER_ROOM, 4);

/** Bytes of the string or the number that `readValue` found. */
export let textBytes: u32 = 0;
/** The number that `readNumber` found. */
export let number: u32 = 0;

/** The next token. The text is there as a whole, so one that needs more of it never comes. */
export function readToken(reader: JsonReader): Token {
  const token = next(reader);
  if (token != Token.NeedMore) return token;
  finish(reader);
  return Token.Failed;
}

/** Takes the next value, whatever it is; its text stands at `textAt` when it is a string or a number. */
export function readValue(reader: JsonReader): Token {
  captureText(reader, textAt, TEXT_ROOM);
  captureRaw(reader, numberAt, NUMBER_ROOM);
  const token = readToken(reader);
  textBytes = token == Token.String ? min(reader.textBytes, TEXT_ROOM) : 0;
  if (token == Token.Number) {
    textBytes = min(reader.rawBytes, NUMBER_ROOM);
    memory.copy(textAt, numberAt, textBytes);
  }
  return token;
}

/** The next value must be an object or a list: `what` says what it holds. */
export function readStart(reader: JsonReader, start: Token, what: Literal): bool {
  const token = readValue(reader);
  return token == start ? true : expected(reader, token, textAt, textBytes, what);
}

/** What `nextMember` gives beside indices. */
export const enum Member {
  /** The object has ended. */
  End = -1,
  /** The problem has been told. */
  Bad = -2,
}

/**
 * Goes to the next member of the object at `place` (problem.ts), from the one before it if there is one. Index of its name in `known`, names
 * separated by spaces; its value comes next.
 */
export function nextMember(reader: JsonReader, known: Literal, place: u32): i32 {
  leavePath(place);
  const token = readToken(reader);
  if (token == Token.ObjectEnd) return Member.End;
  if (token != Token.Key) return Member.Bad;
  const index = wordIndex(reader.keyAt, reader.textBytes, known);
  if (index < 0) {
    unknownMember(reader.keyAt, reader.textBytes, known);
    return Member.Bad;
  }
  enterWord(known, index);
  return index;
}

/** Goes to element `index` of the list at `place` (problem.ts), from the one before it, and takes it as `readValue` does; ArrayEnd ends the list. */
export function nextElement(reader: JsonReader, index: u32, place: u32): Token {
  leavePath(place);
  enterElement(index);
  const token = readValue(reader);
  if (token == Token.ArrayEnd) leavePath(place);
  return token;
}

/** The next value must be a string of 1 to `most` bytes. */
export function readString(reader: JsonReader, most: u32, what: Literal): bool {
  const token = readValue(reader);
  if (token != Token.String) return expected(reader, token, textAt, textBytes, what);
  if (reader.textBytes == 0 || reader.textBytes > most) return expected(reader, token, textAt, textBytes, what);
  return true;
}

/** Index, in `words` (separated by spaces), of the string that comes next; -1 when it is none of them. */
export function readWord(reader: JsonReader, words: Literal): i32 {
  const token = readValue(reader);
  const index = token == Token.String ? wordIndex(textAt, textBytes, words) : -1;
  if (index < 0) expectedWord(reader, token, textAt, textBytes, words);
  return index;
}

/** Index of a text in `words` (separated by spaces), or -1. */
export function wordIndex(address: usize, bytes: u32, words: Literal): i32 {
  const all = literalBytes(words);
  let index = 0;
  let start: u32 = 0;
  while (start < all) {
    let end = start;
    while (end < all && literalByte(words, end) != 0x20) end++;
    if (end - start == bytes) {
      let i: u32 = 0;
      // SAFETY: i < bytes, the caller's range.
      while (i < bytes && u32(load<u8>(address + i)) == literalByte(words, start + i)) i++;
      if (i == bytes) return index;
    }
    index++;
    start = end + 1;
  }
  return -1;
}

/**
 * The next value must be a whole number from `low` to `high`, in any spelling: a configuration that went through a
 * protobuf Struct can say 1e+06.
 */
export function readNumber(reader: JsonReader, low: u32, high: u32): bool {
  captureRaw(reader, textAt, TEXT_ROOM);
  const token = readToken(reader);
  const bytes = token == Token.Number || token == Token.String ? min(reader.rawBytes, TEXT_ROOM) : 0;
  if (token != Token.Number) {
    // Without its quotes: the message puts its own.
    if (token == Token.String) return expectedNumber(reader, token, textAt + 1, max<u32>(bytes, 2) - 2, low, high);
    return expectedNumber(reader, token, textAt, 0, low, high);
  }
  const value = wholeNumber(textAt, bytes);
  if (value < i64(low) || value > i64(high)) return expectedNumber(reader, token, textAt, bytes, low, high);
  number = u32(value);
  return true;
}

/** The whole number that a JSON number stands for; -1 when it is negative, has a fraction, or does not fit. */
function wholeNumber(address: usize, bytes: u32): i64 {
  let value: i64 = 0;
  let fractionDigits: i32 = 0;
  let exponent: i32 = 0;
  let isNegativeExponent = false;
  let part = 0; // 0 integer, 1 fraction, 2 exponent
  if (bytes > 24) return -1;
  for (let i: u32 = 0; i < bytes; i++) {
    // SAFETY: i < bytes, the caller's range.
    const byte = u32(load<u8>(address + i));
    const digit = byte - 0x30;
    if (digit < 10) {
      if (part == 2) {
        exponent = min(exponent * 10 + i32(digit), 99);
      } else {
        // A fraction's zeros at its end change nothing, but fit.
        if (value > 999_999_999_999_999) return -1;
        value = value * 10 + i64(digit);
        if (part == 1) fractionDigits++;
      }
    } else if (byte == 0x2e) {
      part = 1;
    } else if (byte == 0x65 || byte == 0x45) {
      part = 2;
    } else if (byte == 0x2d) {
      if (part != 2) return -1;
      isNegativeExponent = true;
    }
  }
  let shift = (isNegativeExponent ? -exponent : exponent) - fractionDigits;
  while (shift > 0 && value != 0) {
    if (value > 999_999_999_999_999) return -1;
    value *= 10;
    shift--;
  }
  while (shift < 0 && value != 0) {
    if (value % 10 != 0) return -1;
    value /= 10;
    shift++;
  }
  return value;
}

/**
 * The next value must be a list of distinct strings of 1 to `most` bytes each. Null when it is not; else the set, which
 * the caller owns.
 */
export function readNames(reader: JsonReader, most: u32, what: Literal): NameSet | null {
  if (!readStart(reader, Token.ArrayStart, "a list of strings")) return null;
  // The list is short of the configuration's bytes, so the names fit; how many there are is not known yet.
  let names = allocateNameSet(16, 16 * most);
  const place = placeAtHand();
  let index: u32 = 0;
  while (true) {
    const token = nextElement(reader, index, place);
    if (token == Token.ArrayEnd) return names;
    const isGood =
      token == Token.String && reader.textBytes != 0 && reader.textBytes <= most
        ? index < LIST_ENTRIES_MAX || told("the list has too many entries, expected at most 16384")
        : expected(reader, token, textAt, textBytes, what);
    if (!isGood) return discard(names);
    if (index == names.slotCount >> 1) names = doubled(names, most);
    if (!addName(names, textAt, reader.textBytes)) {
      told("found the same string a second time, expected distinct strings");
      return discard(names);
    }
    index++;
  }
}

function discard(names: NameSet): NameSet | null {
  freeNameSet(names);
  return null;
}

/** A set with room for twice as many names, which takes the place of `names`. */
function doubled(names: NameSet, most: u32): NameSet {
  const room = names.entries << 1;
  const larger = allocateNameSet(room, room * most);
  for (let name = firstName(names); name != 0; name = nextName(names, name)) {
    addName(larger, name, nameBytes(name));
  }
  freeNameSet(names);
  return larger;
}

/** Reads a string of 1 to `most` bytes of printable ASCII without space; `what` says so. False when the problem has been told. */
export function readPrintable(reader: JsonReader, most: u32, what: Literal): bool {
  if (!readString(reader, most, what)) return false;
  for (let i: u32 = 0; i < textBytes; i++) {
    // SAFETY: i < textBytes.
    if (u32(load<u8>(textAt + i)) - 0x21 > 0x5d) return expected(reader, Token.String, textAt, textBytes, what);
  }
  return true;
}

/** Copies the text that was read to `to`, which has room for it; its bytes. */
export function keepText(to: usize): u32 {
  memory.copy(to, textAt, textBytes);
  return textBytes;
}

/** The next value must be the name of a variable of the environment. */
export function readVariableName(reader: JsonReader, what: Literal): bool {
  if (!readString(reader, VARIABLE_NAME_BYTES_MAX, what)) return false;
  return isVariable(textAt, textBytes) || expected(reader, Token.String, textAt, textBytes, what);
}

/** A letter or _, then letters, digits and _ (POSIX.1-2024 Base Definitions section 8.1). */
function isVariable(address: usize, bytes: u32): bool {
  for (let i: u32 = 0; i < bytes; i++) {
    const byte = u32(load<u8>(address + i)); // SAFETY: i < bytes.
    if ((byte | 0x20) - 0x61 < 26 || byte == 0x5f) continue;
    if (i == 0 || byte - 0x30 >= 10) return false;
  }
  return true;
}
