// What is wrong with a configuration: one sentence with the place, what was found, what was expected, and the nearest
// known name. The first mistake is told; a configuration with one mistake is refused as a whole.

import { JsonReader, Token } from "../json/reader";
import { TEXT_BYTES_MAX } from "../limits";
import { Literal, literalByte, literalBytes } from "../memory/bytes";
import {
  allocateWriter,
  clear,
  Writer,
  writeByte,
  writeBytes,
  writeEscaped,
  writeLiteral,
  writeNumber,
} from "../memory/writer";
import { nearestOf } from "./nearest";

/** Bytes of a found value that a message repeats. */
const SHOWN_BYTES: u32 = 64;

const path: Writer = allocateWriter(512);
const problem: Writer = allocateWriter(TEXT_BYTES_MAX);

/** Forgets path and problem. */
export function clearProblem(): void {
  clear(path);
  clear(problem);
}

/** The problem that has been told; empty when there is none. */
export function toldProblem(): Writer {
  return problem;
}

/** The place at hand, as `leavePath` takes it. */
export function placeAtHand(): u32 {
  return path.length;
}

/** Goes to a member of the object at hand; gives what `leavePath` takes. */
export function enterMember(name: Literal): u32 {
  const before = path.length;
  if (before != 0) writeByte(path, 0x2e);
  writeLiteral(path, name);
  return before;
}

/** Goes to the member that is word `index` of `names` (separated by spaces); gives what `leavePath` takes. */
export function enterWord(names: Literal, index: i32): u32 {
  const before = path.length;
  if (before != 0) writeByte(path, 0x2e);
  const all = literalBytes(names);
  for (let i: u32 = 0; i < all && index >= 0; i++) {
    const byte = literalByte(names, i);
    if (byte == 0x20) index--;
    else if (index == 0) writeByte(path, byte);
  }
  return before;
}

/** Goes to an element of the list at hand; gives what `leavePath` takes. */
export function enterElement(index: u32): u32 {
  const before = path.length;
  writeByte(path, 0x5b);
  writeNumber(path, index);
  writeByte(path, 0x5d);
  return before;
}

/** Goes back to a place: where an `enter` function was called, or `placeAtHand`. */
export function leavePath(before: u32): void {
  path.length = before;
}

/** Tells that the value at hand is not what was expected. False, so that callers can return it. */
export function expected(reader: JsonReader, token: Token, value: usize, bytes: u32, what: Literal): bool {
  startProblem();
  writeLiteral(problem, "found ");
  describe(reader, token, value, bytes);
  writeLiteral(problem, ", expected ");
  writeLiteral(problem, what);
  return false;
}

/** Tells something else about the place at hand. False. */
export function told(what: Literal): bool {
  startProblem();
  writeLiteral(problem, what);
  return false;
}

/** Tells that a member is not known, and which of `known` (names separated by spaces) is nearest. False. */
export function unknownMember(name: usize, bytes: u32, known: Literal): bool {
  startProblem();
  writeLiteral(problem, 'found the unknown member "');
  writeEscaped(problem, name, bytes, SHOWN_BYTES);
  writeLiteral(problem, '", expected one of ');
  writeLiteral(problem, known);
  writeNearest(name, bytes, known);
  return false;
}

/** Tells that a text is none of `words` (separated by spaces), and which is nearest. False. */
export function expectedWord(reader: JsonReader, token: Token, value: usize, bytes: u32, words: Literal): bool {
  startProblem();
  writeLiteral(problem, "found ");
  describe(reader, token, value, bytes);
  writeLiteral(problem, ", expected one of ");
  writeLiteral(problem, words);
  if (token == Token.String) writeNearest(value, bytes, words);
  return false;
}

/** Tells that a number is out of its range. False. */
export function expectedNumber(reader: JsonReader, token: Token, value: usize, bytes: u32, low: u32, high: u32): bool {
  startProblem();
  writeLiteral(problem, "found ");
  describe(reader, token, value, bytes);
  writeLiteral(problem, ", expected a whole number from ");
  writeNumber(problem, low);
  writeLiteral(problem, " to ");
  writeNumber(problem, high);
  return false;
}

/** Tells that the text is no JSON, and at which byte. False. */
export function notJson(what: Literal, offset: u32): bool {
  startProblem();
  writeLiteral(problem, "not acceptable JSON at byte ");
  writeNumber(problem, offset);
  writeLiteral(problem, ": ");
  writeLiteral(problem, what);
  return false;
}

function startProblem(): void {
  clear(problem);
  if (path.length == 0) writeLiteral(problem, "configuration");
  else writeBytes(problem, path.start, path.length);
  writeLiteral(problem, ": ");
}

function writeNearest(name: usize, bytes: u32, known: Literal): void {
  const nearest = nearestOf(name, bytes, known);
  if (nearest < 0) return;
  writeLiteral(problem, '; did you mean "');
  const all = literalBytes(known);
  for (let i = u32(nearest); i < all && literalByte(known, i) != 0x20; i++) writeByte(problem, literalByte(known, i));
  writeLiteral(problem, '"?');
}

function describe(reader: JsonReader, token: Token, value: usize, bytes: u32): void {
  switch (token) {
    case Token.String:
      writeLiteral(problem, 'the string "');
      writeEscaped(problem, value, bytes, SHOWN_BYTES);
      writeByte(problem, 0x22);
      break;
    case Token.Number:
      writeLiteral(problem, "the number ");
      writeEscaped(problem, value, bytes, SHOWN_BYTES);
      break;
    case Token.ObjectStart:
      writeLiteral(problem, "an object");
      break;
    case Token.ArrayStart:
      writeLiteral(problem, "a list");
      break;
    case Token.True:
      writeLiteral(problem, "true");
      break;
    case Token.False:
      writeLiteral(problem, "false");
      break;
    case Token.Null:
      writeLiteral(problem, "null");
      break;
    default:
      writeLiteral(problem, "no value at byte ");
      writeNumber(problem, reader.errorOffset);
      break;
  }
}
