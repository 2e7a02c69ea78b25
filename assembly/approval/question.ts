// What the guard asks the approval service: bodies of its requests (approval/README.md has the interface).

import { appendByte, appendBytes, appendJsonByte, appendLiteral, Buffer } from "../memory/buffer";
import { Literal } from "../memory/bytes";
import { isPlainInJson } from "../memory/json-escape";
import { CALL_DIGEST_DIGITS } from "./call-digest";
import { ID_BYTES } from "./round";

/** Begins the object. */
export function beginQuestion(to: Buffer): void {
  appendByte(to, 0x7b);
}

/** Adds a member with a string of well-formed UTF-8 to the object that has been begun. */
export function addText(to: Buffer, name: Literal, address: usize, bytes: u32): void {
  // SAFETY: the object has begun, so there is a byte.
  if (u32(load<u8>(to.at + to.length - 1)) != 0x7b) appendByte(to, 0x2c);
  appendByte(to, 0x22);
  appendLiteral(to, name);
  appendLiteral(to, '":"');
  appendEscaped(to, address, bytes);
  appendByte(to, 0x22);
}

/** Ends the object. */
export function endQuestion(to: Buffer): void {
  appendByte(to, 0x7d);
}

/** The question about ids that wait: begun, each added, ended. */
export function beginIds(to: Buffer): void {
  appendLiteral(to, '{"ids":[');
}

/** Adds the id at `id`. */
export function addId(to: Buffer, id: usize): void {
  // SAFETY: the list has begun, so there is a byte.
  if (u32(load<u8>(to.at + to.length - 1)) != 0x5b) appendByte(to, 0x2c);
  appendByte(to, 0x22);
  appendBytes(to, id, ID_BYTES);
  appendByte(to, 0x22);
}

export function endIds(to: Buffer): void {
  appendLiteral(to, "]}");
}

/** The question for a receipt. */
export function writeClaim(to: Buffer, id: usize, digest: usize, nonce: usize): void {
  beginQuestion(to);
  addText(to, "id", id, ID_BYTES);
  addText(to, "digest", digest, CALL_DIGEST_DIGITS);
  addText(to, "nonce", nonce, ID_BYTES);
  endQuestion(to);
}

/** Most bytes need no escape, and go over as they stand. */
function appendEscaped(to: Buffer, address: usize, bytes: u32): void {
  let from: u32 = 0;
  for (let i: u32 = 0; i < bytes; i++) {
    const byte = u32(load<u8>(address + i)); // SAFETY: i < bytes, the caller's range.
    if (isPlainInJson(byte)) continue;
    appendBytes(to, address + from, i - from);
    from = i + 1;
    appendJsonByte(to, byte);
  }
  appendBytes(to, address + from, bytes - from);
}
