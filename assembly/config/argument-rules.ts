// `argument_rules`: what a policy says about single arguments of a tool.

import { JsonReader, Token } from "../json/reader";
import { ARGUMENT_RULES_MAX, KEY_BYTES_MAX, NAME_BYTES_MAX, REDACTED_POINTERS_MAX, ROOTS_MAX } from "../limits";
import { Literal, literalByte, literalBytes } from "../memory/bytes";
import {
  ArgumentRule,
  allocateRule,
  freeArgumentRules,
  freeRule,
  RuleKind,
  textAt as ruleTextAt,
  SEGMENTS_MAX,
  setSegment,
} from "../policy/argument-rule";
import { freeNameSet, NameSet } from "../policy/name-set";
import { Policy } from "../policy/policy";
import { enterMember, expected, leavePath, placeAtHand, told } from "./problem";
import { checkRoots } from "./roots";
import {
  Member,
  nextElement,
  nextMember,
  number,
  readNames,
  readNumber,
  readStart,
  readString,
  readToken,
  readValue,
  textAt,
  textBytes,
  wordIndex,
} from "./values";

const KNOWN = "tool pointer rule";
const KNOWN_RULES = "enum max_bytes uri_roots path_roots";
const POINTER_BYTES_MAX: u32 = 1024;
const POINTER = "a JSON Pointer (RFC 6901) like /path or /files/-/name";
const POINTER_FORM = "expected a JSON Pointer (RFC 6901) of at most 8 reference tokens, with ~ only in ~0 and ~1";
const RULE_FORMS = "uri, path, or an object with one of enum, max_bytes, uri_roots, path_roots";

// The entry at hand, until its record is made.
const toolAt: usize = memory.data(NAME_BYTES_MAX, 4);
const pointerAt: usize = memory.data(POINTER_BYTES_MAX, 4);
let toolBytes: u32 = 0;
let pointerBytes: u32 = 0;
let hasPointer: bool = false;
let hasRule: bool = false;
let kind: RuleKind = RuleKind.Uri;
let values: NameSet | null = null;
let bytesMax: u32 = 0;

/** Reads the list into `policy`. False when the problem has been told. */
export function readArgumentRules(reader: JsonReader, policy: Policy): bool {
  if (!readStart(reader, Token.ArrayStart, "a list of objects with tool, pointer and rule")) return false;
  const place = placeAtHand();
  let last: ArgumentRule | null = null;
  let index: u32 = 0;
  while (true) {
    const token = nextElement(reader, index, place);
    if (token == Token.ArrayEnd) return true;
    if (index == ARGUMENT_RULES_MAX) return told("the list has too many entries, expected at most 64");
    if (token != Token.ObjectStart) {
      return expected(reader, token, textAt, textBytes, "an object with tool, pointer and rule");
    }
    values = null;
    let rule: ArgumentRule | null = null;
    if (readEntry(reader)) {
      rule = createRule(u64(1) << u64(index));
      if (rule === null) {
        enterMember("pointer");
        told(POINTER_FORM);
      }
    }
    if (rule === null) {
      const unused = values;
      if (unused !== null) freeNameSet(unused);
      values = null;
      return false;
    }
    if (last === null) policy.argumentRules = rule;
    else last.next = rule;
    last = rule;
    index++;
  }
}

/** Reads a list of JSON Pointers: rules of which only the pointer counts, which the caller owns. Null when the problem has been told. */
export function readPointers(reader: JsonReader): ArgumentRule | null {
  if (!readStart(reader, Token.ArrayStart, "a list of JSON Pointers")) return null;
  const place = placeAtHand();
  let first: ArgumentRule | null = null;
  let last: ArgumentRule | null = null;
  let index: u32 = 0;
  while (true) {
    const token = nextElement(reader, index, place);
    if (token == Token.ArrayEnd) {
      if (first === null) told("found an empty list, expected at least one JSON Pointer");
      return first;
    }
    let rule: ArgumentRule | null = null;
    if (index == REDACTED_POINTERS_MAX) {
      told("the list has too many entries, expected at most 63");
    } else if (token != Token.String || reader.textBytes > POINTER_BYTES_MAX || !isPointer()) {
      expected(reader, token, textAt, textBytes, POINTER);
    } else {
      keepPointer();
      rule = createPointer();
      if (rule === null) told(POINTER_FORM);
    }
    if (rule === null) {
      freeArgumentRules(first);
      return null;
    }
    if (last === null) first = rule;
    else last.next = rule;
    last = rule;
    index++;
  }
}

/** A rule for a pointer of this source. */
export function pointerTo(pointer: Literal): ArgumentRule | null {
  pointerBytes = literalBytes(pointer);
  // SAFETY: a pointer of this source is shorter than POINTER_BYTES_MAX.
  for (let i: u32 = 0; i < pointerBytes; i++) store<u8>(pointerAt + i, literalByte(pointer, i));
  return createPointer();
}

function createPointer(): ArgumentRule | null {
  toolBytes = 0;
  values = null;
  return createRule(0);
}

function readEntry(reader: JsonReader): bool {
  toolBytes = 0;
  hasPointer = false;
  hasRule = false;
  const place = placeAtHand();
  while (true) {
    const index = nextMember(reader, KNOWN, place);
    if (index == Member.End) break;
    if (index == Member.Bad) return false;
    const isGood = index == 0 ? readTool(reader) : index == 1 ? readPointer(reader) : readRule(reader);
    if (!isGood) return false;
  }
  if (toolBytes == 0) return told("found no tool, expected a tool name");
  if (!hasPointer) return told("found no pointer, expected a JSON Pointer like /path");
  if (!hasRule) return told("found no rule, expected uri, path, or an object");
  return true;
}

function readTool(reader: JsonReader): bool {
  if (!readString(reader, NAME_BYTES_MAX, "a tool name of 1 to 256 bytes")) return false;
  toolBytes = textBytes;
  memory.copy(toolAt, textAt, textBytes);
  return true;
}

function readPointer(reader: JsonReader): bool {
  if (!readString(reader, POINTER_BYTES_MAX, POINTER)) return false;
  if (!isPointer()) return expected(reader, Token.String, textAt, textBytes, POINTER);
  hasPointer = true;
  keepPointer();
  return true;
}

/** Whether the text at hand begins as a pointer does that names a member. */
function isPointer(): bool {
  return textBytes != 0 && u32(load<u8>(textAt)) == 0x2f; // SAFETY: textBytes is not 0.
}

function keepPointer(): void {
  pointerBytes = textBytes;
  memory.copy(pointerAt, textAt, textBytes);
}

function readRule(reader: JsonReader): bool {
  hasRule = true;
  const token = readValue(reader);
  if (token == Token.String) {
    const word = wordIndex(textAt, textBytes, "uri path");
    if (word < 0) return expected(reader, token, textAt, textBytes, RULE_FORMS);
    kind = word == 0 ? RuleKind.Uri : RuleKind.Path;
    return true;
  }
  if (token != Token.ObjectStart) return expected(reader, token, textAt, textBytes, RULE_FORMS);
  const place = placeAtHand();
  const form = nextMember(reader, KNOWN_RULES, place);
  if (form == Member.Bad) return false;
  if (form == Member.End) return told("found an empty object, expected one of enum, max_bytes, uri_roots, path_roots");
  if (!readForm(reader, form)) return false;
  leavePath(place);
  const last = readToken(reader);
  if (last == Token.Failed) return false;
  return last == Token.ObjectEnd || told("found more than one member, expected exactly one");
}

function readForm(reader: JsonReader, form: i32): bool {
  if (form == 1) {
    kind = RuleKind.MaxBytes;
    if (!readNumber(reader, 0, 1 << 26)) return false;
    bytesMax = number;
    return true;
  }
  kind = form == 0 ? RuleKind.Enum : form == 2 ? RuleKind.Uri : RuleKind.Path;
  const names = readNames(reader, 1024, form == 0 ? "a string of 1 to 1024 bytes" : "a root of 1 to 1024 bytes");
  values = names;
  if (names === null) return false;
  if (names.entries == 0) return told("found an empty list, expected at least one string");
  if (form != 0 && names.entries > ROOTS_MAX) return told("the list has too many entries, expected at most 256");
  return form == 0 || checkRoots(names, form == 2);
}

/** The record of the entry at hand; null when its pointer is none. */
function createRule(bit: u64): ArgumentRule | null {
  const rule = allocateRule(toolBytes + pointerBytes);
  rule.bit = bit;
  rule.kind = kind;
  rule.values = values;
  values = null;
  rule.bytesMax = bytesMax;
  rule.toolAt = ruleTextAt(rule);
  rule.toolBytes = toolBytes;
  memory.copy(rule.toolAt, toolAt, toolBytes);
  if (splitPointer(rule, rule.toolAt + toolBytes)) return rule;
  freeRule(rule);
  return null;
}

/** Unescapes the reference tokens of the pointer to `to` (RFC 6901 section 4). */
function splitPointer(rule: ArgumentRule, to: usize): bool {
  let at: u32 = 1;
  let start = to;
  while (true) {
    // SAFETY: at < pointerBytes is checked before each load.
    const byte = at < pointerBytes ? u32(load<u8>(pointerAt + at)) : 0x2f;
    if (byte == 0x2f) {
      if (rule.segmentCount == SEGMENTS_MAX || u32(to - start) > KEY_BYTES_MAX) return false;
      setSegment(rule, rule.segmentCount, start, u32(to - start));
      rule.segmentCount++;
      start = to;
      if (at >= pointerBytes) return true;
      at++;
      continue;
    }
    let meant = byte;
    if (byte == 0x7e) {
      at++;
      const code = at < pointerBytes ? u32(load<u8>(pointerAt + at)) : 0;
      if (code != 0x30 && code != 0x31) return false;
      meant = code == 0x30 ? 0x7e : 0x2f;
    }
    store<u8>(to++, meant); // SAFETY: unescaping only shortens, and the record has room for the whole pointer.
    at++;
  }
}
