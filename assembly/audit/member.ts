// Members of an audit record (schema/audit-record.md), each with the comma in front of it. The record is ASCII, whatever a client or a server
// has sent; a text that was cut shows in the writer's `overflowed`.

import { Literal } from "../memory/bytes";
import {
  Writer,
  writeByte,
  writeBytes,
  writeEscapedWithin,
  writeHex,
  writeLiteral,
  writeNumber,
} from "../memory/writer";

/** A text of the network in at most `room` characters. */
export function writeText(writer: Writer, name: Literal, address: usize, bytes: u32, room: u32): void {
  writeName(writer, name);
  writeString(writer, address, bytes, room);
}

/** The same as a value alone: an element of a list. */
export function writeString(writer: Writer, address: usize, bytes: u32, room: u32): void {
  writeByte(writer, 0x22);
  if (!writeEscapedWithin(writer, address, bytes, room)) writer.overflowed = true;
  writeByte(writer, 0x22);
}

/** A JSON-RPC id as it stands in a message, a string without its quotes. It has a byte, and a string two. */
export function writeId(writer: Writer, name: Literal, address: usize, bytes: u32, room: u32): void {
  const quote: u32 = u32(load<u8>(address)) == 0x22 ? 1 : 0; // SAFETY: bytes is not 0.
  writeText(writer, name, address + quote, bytes - 2 * quote, room);
}

/** ASCII that needs no escapes: digits, words of ours. */
export function writeAscii(writer: Writer, name: Literal, address: usize, bytes: u32): void {
  writeName(writer, name);
  writeByte(writer, 0x22);
  writeBytes(writer, address, bytes);
  writeByte(writer, 0x22);
}

/** One of our words. */
export function writeWord(writer: Writer, name: Literal, word: Literal): void {
  writeName(writer, name);
  writeByte(writer, 0x22);
  writeLiteral(writer, word);
  writeByte(writer, 0x22);
}

/** A number. */
export function writeCount(writer: Writer, name: Literal, value: u64): void {
  writeName(writer, name);
  writeNumber(writer, value);
}

/** `true` or `false`. */
export function writeTruth(writer: Writer, name: Literal, value: bool): void {
  writeName(writer, name);
  writeLiteral(writer, value ? "true" : "false");
}

/** A digest of 32 bytes. */
export function writeDigest(writer: Writer, name: Literal, address: usize): void {
  writeName(writer, name);
  writeByte(writer, 0x22);
  // SAFETY: four words of the digest.
  for (let i: usize = 0; i < 32; i += 8) writeHex(writer, bswap(load<u64>(address + i)), 16);
  writeByte(writer, 0x22);
}

/** The name of a member whose value the caller writes. */
export function writeName(writer: Writer, name: Literal): void {
  writeByte(writer, 0x2c);
  writeByte(writer, 0x22);
  writeLiteral(writer, name);
  writeLiteral(writer, '":');
}
