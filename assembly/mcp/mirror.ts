// The headers in which a modern request repeats its body (MCP 2026-07-28, "Standard headers"; SEP-2243), and which era a
// message belongs to. The body decides what is allowed. The headers are compared, because rules elsewhere in the mesh may trust
// them, and because two servers that read the era from different signals read two different requests.

import { METHOD_BYTES_MAX, NAME_BYTES_MAX, URI_BYTES_MAX, VERSION_BYTES_MAX } from "../limits";
import { base64Value } from "../memory/base64";
import { equalBytes, equalsLiteral, startsWithLiteral } from "../memory/bytes";
import { Fault } from "./fault";
import { isModern, Kind, Message, Shape } from "./message";
import { isNotification, MirrorSource, mirrorOf } from "./method";

/** Offsets of the copied values in the block of a mirror. */
const VERSION_AT: u32 = 0;
const METHOD_AT: u32 = VERSION_AT + VERSION_BYTES_MAX;

/** Bytes of the block that `initMirror` takes. */
export const MIRROR_BLOCK_BYTES: u32 = METHOD_AT + METHOD_BYTES_MAX;

/** One header, copied from the request. */
@unmanaged
export class Mirrored {
  /** How often it stood there. */
  count: u32;
  at: usize;
  bytes: u32;
  /** Whether its value is longer than there is room, or badly encoded. */
  isBad: bool;
}

@unmanaged
export class Mirror {
  version: Mirrored;
  method: Mirrored;
  /** Its value can be long and is mostly absent, so it has a block of its own, which the mirror owns: 0 when there is none. */
  name: Mirrored;
}

/** Bytes that a mirror takes with its three headers; the records stand one after the other. */
export const MIRROR_BYTES: u32 = u32(offsetof<Mirror>() + 3 * offsetof<Mirrored>());

/** Makes `mirror` ready; it has MIRROR_BYTES, `block` has MIRROR_BLOCK_BYTES and outlives it. */
export function initMirror(mirror: Mirror, block: usize): void {
  const records = changetype<usize>(mirror) + offsetof<Mirror>();
  mirror.version = changetype<Mirrored>(records);
  mirror.method = changetype<Mirrored>(records + offsetof<Mirrored>());
  mirror.name = changetype<Mirrored>(records + 2 * offsetof<Mirrored>());
  mirror.version.at = block + VERSION_AT;
  mirror.method.at = block + METHOD_AT;
  mirror.name.at = 0;
  resetMirror(mirror);
}

/** Forgets the headers. */
export function resetMirror(mirror: Mirror): void {
  mirror.version.count = 0;
  mirror.method.count = 0;
  mirror.name.count = 0;
  if (mirror.name.at != 0) heap.free(mirror.name.at);
  mirror.name.at = 0;
  mirror.name.bytes = 0;
}

/** Bytes that `mirror` holds beside its record and its block. */
export function mirrorHeldBytes(mirror: Mirror): u32 {
  return mirror.name.bytes;
}

/** Notes a value of `MCP-Protocol-Version`. */
export function noteVersion(mirror: Mirror, value: usize, bytes: u32): void {
  note(mirror.version, value, bytes, VERSION_BYTES_MAX);
}

/** Notes a value of `Mcp-Method`. */
export function noteMethod(mirror: Mirror, value: usize, bytes: u32): void {
  note(mirror.method, value, bytes, METHOD_BYTES_MAX);
}

/** Notes the value of `Mcp-Name`, and takes it out of its encoding. Once per request. */
export function noteName(mirror: Mirror, value: usize, bytes: u32): void {
  const header = mirror.name;
  // SAFETY: the value stays inside the header's.
  while (bytes > 0 && isBlank(u32(load<u8>(value)))) {
    value++;
    bytes--;
  }
  // An encoded value is a third longer than the longest name, and has twelve bytes around it.
  if (bytes > ((URI_BYTES_MAX + 2) / 3) * 4 + 12) {
    header.count++;
    header.isBad = true;
    return;
  }
  header.at = heap.alloc(max<u32>(bytes, 1));
  if (!startsWithLiteral(value, bytes, "=?base64?")) {
    note(header, value, bytes, bytes);
    return;
  }
  header.count++;
  header.isBad = !decodeName(header, value + 9, bytes - 9);
}

/** Whether `Mcp-Name` is there once and says exactly this. */
export function isMirroredName(mirror: Mirror, address: usize, bytes: u32): bool {
  return says(mirror.name, address, bytes);
}

/** Whether the request says that it is of MCP 2025-11-25, the last revision of the legacy era. */
export function isLatestLegacy(mirror: Mirror): bool {
  const version = mirror.version;
  return version.count == 1 && !version.isBad && equalsLiteral(version.at, version.bytes, "2025-11-25");
}

/** None when headers and body agree on the era and on what is asked for; the message has passed `finishEnvelope`. */
export function checkMirror(message: Message, mirror: Mirror): Fault {
  if (mirror.version.count > 1) return Fault.HeaderMismatch;
  const isCall = message.shape == Shape.Call;
  const isInitialize = isCall && equalsLiteral(message.methodAt, message.methodBytes, "initialize");
  if (!isModern(message)) {
    if (!isModernVersion(mirror.version)) return Fault.None;
    // There is no handshake in the modern era, and nobody answers requests of the server.
    return isInitialize || !isCall ? Fault.EraMixed : Fault.MetaInvalid;
  }
  if (!isCall) return Fault.EraMixed;
  if (message.versionKind == Kind.Bad) return Fault.MetaInvalid;
  if (!says(mirror.version, message.versionAt, message.versionBytes)) {
    return isInitialize ? Fault.EraMixed : Fault.HeaderMismatch;
  }
  if (!equalsLiteral(message.versionAt, message.versionBytes, "2026-07-28")) return Fault.VersionUnsupported;
  const isRequest = !isNotification(message.methodAt, message.methodBytes);
  if (isRequest && message.capabilitiesKind != Kind.Good) return Fault.MetaInvalid;
  // The specification leaves open whether a notification carries the header.
  if (isRequest || mirror.method.count != 0) {
    if (!says(mirror.method, message.methodAt, message.methodBytes)) return Fault.HeaderMismatch;
  }
  return nameAgrees(message, mirror) ? Fault.None : Fault.HeaderMismatch;
}

function nameAgrees(message: Message, mirror: Mirror): bool {
  switch (mirrorOf(message.methodAt, message.methodBytes)) {
    case MirrorSource.Name:
      // Of a longer name not all is here; it can stand in no list.
      if (message.nameBytes > NAME_BYTES_MAX) return true;
      return message.nameKind != Kind.Good || says(mirror.name, message.nameAt, message.nameBytes);
    case MirrorSource.Uri:
      return message.uriKind != Kind.Good || message.uriIsMirrored;
    case MirrorSource.TaskId:
      return message.taskIdKind != Kind.Good || message.taskIdIsMirrored;
    default:
      return true;
  }
}

function says(header: Mirrored, address: usize, bytes: u32): bool {
  return header.count == 1 && !header.isBad && header.bytes == bytes && equalBytes(header.at, address, bytes);
}

/** A date from 2026-07-28 on, in the form in which MCP writes its versions. */
function isModernVersion(header: Mirrored): bool {
  if (header.count != 1 || header.isBad || header.bytes != 10) return false;
  for (let i: u32 = 0; i < 10; i++) {
    // SAFETY: i < bytes.
    const byte = u32(load<u8>(header.at + i));
    if (i == 4 || i == 7 ? byte != 0x2d : byte - 0x30 > 9) return false;
  }
  return memory.compare(header.at, FIRST_MODERN, 10) >= 0;
}

/** "2026-07-28". */
const FIRST_MODERN: usize = memory.data<u8>([0x32, 0x30, 0x32, 0x36, 0x2d, 0x30, 0x37, 0x2d, 0x32, 0x38]);

/** Copies a value without the blanks around it (RFC 9110 section 5.5). */
function note(header: Mirrored, value: usize, bytes: u32, room: u32): void {
  let at = value;
  let end = value + bytes;
  // SAFETY: at < end.
  while (at < end && isBlank(u32(load<u8>(at)))) at++;
  while (end > at && isBlank(u32(load<u8>(end - 1)))) end--;
  header.count++;
  header.bytes = u32(end - at);
  header.isBad = header.bytes > room;
  memory.copy(header.at, at, min(header.bytes, room));
}

function isBlank(byte: u32): bool {
  return byte == 0x20 || byte == 0x09;
}

/**
 * Decodes `<base64>?=` (RFC 4648 section 4, padded) into the header's room. False when it is not canonical: then two readers
 * could get two names out of it. That the bytes are UTF-8 follows from their being equal to a name of the body.
 */
function decodeName(header: Mirrored, value: usize, bytes: u32): bool {
  let end = bytes;
  // SAFETY: every load stands below `bytes`.
  while (end > 0 && isBlank(u32(load<u8>(value + end - 1)))) end--;
  if (end < 2 || u32(load<u8>(value + end - 2)) != 0x3f || u32(load<u8>(value + end - 1)) != 0x3d) return false;
  end -= 2;
  if ((end & 3) != 0) return false;
  let length: u32 = 0;
  for (let i: u32 = 0; i < end; i += 4) {
    const isLast = i + 4 == end;
    const padding = isLast ? paddingOf(value + i) : 0;
    let word: u32 = 0;
    for (let j: u32 = 0; j < 4; j++) {
      const digit = j < 4 - padding ? base64Value(u32(load<u8>(value + i + j))) : 0;
      if (digit > 63) return false;
      word = (word << 6) | digit;
    }
    // Bits that encode nothing must be zero.
    if ((padding == 1 && (word & 0xff) != 0) || (padding == 2 && (word & 0xffff) != 0)) return false;
    for (let j: u32 = 0; j < 3 - padding; j++) {
      // SAFETY: length < end / 4 * 3, less than the encoded value, for which there is room.
      store<u8>(header.at + length++, (word >> (16 - (j << 3))) & 0xff);
    }
  }
  header.bytes = length;
  return true;
}

/** How many `=` end the last four characters. */
function paddingOf(quartet: usize): u32 {
  // SAFETY: the caller has four bytes there.
  if (u32(load<u8>(quartet, 3)) != 0x3d) return 0;
  return u32(load<u8>(quartet, 2)) == 0x3d ? 2 : 1;
}
