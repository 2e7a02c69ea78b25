// The members of one object, one after the other, with their places in its text. For a call that a human has to approve, whose body has been
// read and accepted: it is gone through again, because most bodies never need it.

import { allocateReader } from "../json/allocate";
import { JsonReader, next, openChunk, resetReader, Token } from "../json/reader";
import { DEPTH_MAX, KEY_BYTES_MAX, MEMBERS_PER_OBJECT_MAX, OPEN_MEMBERS_MAX } from "../limits";
import { equalsLiteral, Literal } from "../memory/bytes";

/** Bytes of a name that are kept: more than any that is asked for has. */
const NAME_ROOM: u32 = 64;
export const nameAt: usize = memory.data(NAME_ROOM, 4);
/** Unescaped bytes of the name; those beyond NAME_ROOM are not kept. */
export let nameBytes: u32 = 0;
const reader: JsonReader = allocateReader(DEPTH_MAX, MEMBERS_PER_OBJECT_MAX, OPEN_MEMBERS_MAX, KEY_BYTES_MAX);
/** Address of the object's text. */
let text: usize = 0;

// The member at hand: addresses of its first byte (the quote of its name), of its value's first byte, and behind that.
export let memberFrom: usize = 0;
export let valueFrom: usize = 0;
export let valueTo: usize = 0;
/** What the value is, or begins with. */
export let valueToken: Token = Token.Failed;
/** When there is no further member: whether the text was one object to its end. */
export let isWhole: bool = false;

/** Begins with the object whose text is the `bytes` bytes at `address`. False when it is none. One at a time. */
export function openMembers(address: usize, bytes: u32): bool {
  isWhole = false;
  resetReader(reader);
  reader.reportDepth = 1;
  text = address;
  openChunk(reader, address, bytes);
  return next(reader) == Token.ObjectStart;
}

/** Goes on to the next member; false when there is none. */
export function nextMember(): bool {
  const token = next(reader);
  if (token != Token.Key) {
    // Behind the object nothing but white space may stand: the reader fails at anything else.
    isWhole = token == Token.ObjectEnd && next(reader) == Token.NeedMore;
    return closed();
  }
  memberFrom = text + reader.tokenStart;
  nameBytes = reader.textBytes;
  // The names inside the value will take its place.
  memory.copy(nameAt, reader.keyAt, min(nameBytes, NAME_ROOM));
  valueToken = next(reader);
  if (valueToken == Token.NeedMore || valueToken == Token.Failed) return closed();
  valueFrom = text + reader.tokenStart;
  if (valueToken == Token.ObjectStart || valueToken == Token.ArrayStart) {
    const end = next(reader);
    if (end != Token.ObjectEnd && end != Token.ArrayEnd) return closed();
  }
  valueTo = text + reader.tokenEnd;
  return true;
}

/** Gives back what a large object took. */
function closed(): bool {
  resetReader(reader);
  return false;
}

/** Whether the member at hand has this name. */
export function isNamed(name: Literal): bool {
  return nameBytes <= NAME_ROOM && equalsLiteral(nameAt, nameBytes, name);
}

/** Goes on to the member of that name; false when there is none. */
export function findMember(name: Literal): bool {
  while (nextMember()) {
    if (isNamed(name)) return true;
  }
  return false;
}

/** Bytes of the value at hand. */
export function valueBytes(): u32 {
  return u32(valueTo - valueFrom);
}
