// `unguarded`: the endpoints of the same workload that are not MCP. A named leniency: a request that matches one passes
// unread, so an entry must match nothing that somebody else could read as another path.

import { JsonReader, Token } from "../json/reader";
import { UNGUARDED_ENTRIES_MAX, UNGUARDED_TEXT_BYTES_MAX } from "../limits";
import { HttpMethod, Policy, Unguarded } from "../policy/policy";
import { expected, expectedWord, placeAtHand, told } from "./problem";
import { Member, nextElement, nextMember, readStart, readString, textAt, textBytes, wordIndex } from "./values";

const KNOWN = "methods path reason";
/** In the order of the bits of HttpMethod. */
const METHODS = "POST GET HEAD DELETE OPTIONS PUT PATCH";

// The texts of the entry at hand, until its record is made.
const pathAt: usize = memory.data(UNGUARDED_TEXT_BYTES_MAX, 4);
const reasonAt: usize = memory.data(UNGUARDED_TEXT_BYTES_MAX, 4);
let pathBytes: u32 = 0;
let reasonBytes: u32 = 0;
let methods: u32 = HttpMethod.None;

/** Reads the list into `policy`. False when the problem has been told. */
export function readUnguarded(reader: JsonReader, policy: Policy): bool {
  if (!readStart(reader, Token.ArrayStart, "a list of objects with methods, path and reason")) return false;
  const place = placeAtHand();
  let last: Unguarded | null = null;
  let index: u32 = 0;
  while (true) {
    const token = nextElement(reader, index, place);
    if (token == Token.ArrayEnd) return true;
    if (index == UNGUARDED_ENTRIES_MAX) return told("the list has too many entries, expected at most 64");
    if (token != Token.ObjectStart) {
      return expected(reader, token, textAt, textBytes, "an object with methods, path and reason");
    }
    if (!readEntry(reader)) return false;
    const entry = createEntry();
    if (last === null) policy.unguarded = entry;
    else last.next = entry;
    last = entry;
    index++;
  }
}

function readEntry(reader: JsonReader): bool {
  pathBytes = 0;
  reasonBytes = 0;
  methods = HttpMethod.None;
  const place = placeAtHand();
  while (true) {
    const index = nextMember(reader, KNOWN, place);
    if (index == Member.End) break;
    if (index == Member.Bad) return false;
    const isGood = index == 0 ? readMethods(reader) : index == 1 ? readPath(reader) : readReason(reader);
    if (!isGood) return false;
  }
  if (methods == HttpMethod.None) return told('found no methods, expected a list like ["POST"]');
  if (pathBytes == 0) return told("found no path, expected an absolute path");
  return true;
}

function readMethods(reader: JsonReader): bool {
  if (!readStart(reader, Token.ArrayStart, "a list of HTTP methods")) return false;
  const place = placeAtHand();
  let index: u32 = 0;
  while (true) {
    const token = nextElement(reader, index, place);
    if (token == Token.ArrayEnd) {
      return methods != HttpMethod.None || told("found an empty list, expected at least one HTTP method");
    }
    const method = token == Token.String ? wordIndex(textAt, textBytes, METHODS) : -1;
    if (method < 0) return expectedWord(reader, token, textAt, textBytes, METHODS);
    const bit = u32(1) << u32(method);
    if ((methods & bit) != 0) return told("found the same method a second time, expected distinct methods");
    methods |= bit;
    index++;
  }
}

function readPath(reader: JsonReader): bool {
  if (!readString(reader, UNGUARDED_TEXT_BYTES_MAX, "an absolute path of 1 to 1024 bytes")) return false;
  if (!isPlainPath(textAt, textBytes)) {
    return expected(
      reader,
      Token.String,
      textAt,
      textBytes,
      "an absolute path of letters, digits, - . _ ~ ! $ & ' ( ) * + , = : @ and / without empty or dot segments",
    );
  }
  pathBytes = textBytes;
  memory.copy(pathAt, textAt, textBytes);
  return true;
}

function readReason(reader: JsonReader): bool {
  if (!readString(reader, UNGUARDED_TEXT_BYTES_MAX, "a text of 1 to 1024 bytes")) return false;
  reasonBytes = textBytes;
  memory.copy(reasonAt, textAt, textBytes);
  return true;
}

/** Whether a path has one reading: no `%`, `;`, `?`, `//`, nor a dot segment (RFC 3986 section 3.3). */
function isPlainPath(address: usize, bytes: u32): bool {
  // SAFETY: all loads stand below `bytes`, the caller's range, which is not empty.
  if (u32(load<u8>(address)) != 0x2f) return false;
  let segment: u32 = 1;
  for (let i: u32 = 1; i <= bytes; i++) {
    const byte = i == bytes ? 0x2f : u32(load<u8>(address + i));
    if (byte != 0x2f) {
      if (!isPathByte(byte)) return false;
      continue;
    }
    const length = i - segment;
    // Only the last segment may be empty: a path that ends in `/`.
    if (length == 0 && i != bytes) return false;
    if (length == 1 && u32(load<u8>(address + segment)) == 0x2e) return false;
    if (length == 2 && u32(load<u8>(address + segment)) == 0x2e && u32(load<u8>(address + segment, 1)) == 0x2e) {
      return false;
    }
    segment = i + 1;
  }
  return true;
}

/** A byte of a path segment (RFC 3986 `pchar`) without `%` and `;`. */
function isPathByte(byte: u32): bool {
  const lower = byte | 0x20;
  if (lower - 0x61 < 26 || byte - 0x30 < 10) return true;
  switch (byte) {
    case 0x2d:
    case 0x2e:
    case 0x5f:
    case 0x7e:
    case 0x21:
    case 0x24:
    case 0x26:
    case 0x27:
    case 0x28:
    case 0x29:
    case 0x2a:
    case 0x2b:
    case 0x2c:
    case 0x3d:
    case 0x3a:
    case 0x40:
      return true;
    default:
      return false;
  }
}

/** The record of the entry at hand, with its texts behind it in one block. */
function createEntry(): Unguarded {
  const address = heap.alloc(offsetof<Unguarded>() + pathBytes + reasonBytes);
  const entry = changetype<Unguarded>(address);
  entry.next = null;
  entry.methods = methods;
  entry.pathAt = address + offsetof<Unguarded>();
  entry.pathBytes = pathBytes;
  entry.reasonAt = entry.pathAt + pathBytes;
  entry.reasonBytes = reasonBytes;
  memory.copy(entry.pathAt, pathAt, pathBytes);
  memory.copy(entry.reasonAt, reasonAt, reasonBytes);
  return entry;
}
