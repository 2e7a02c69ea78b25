// Properties of the stream (Envoy attributes) and filter state for the access log.

import { Literal } from "../memory/bytes";
import { allocateWriter, clear, Writer, writeByte, writeBytes, writeLiteral } from "../memory/writer";
import { Status } from "./abi";
import { proxy_get_property, proxy_set_property } from "./env";
import { landedAt, landedBytes, openLanding, RESULT_ADDRESS, RESULT_BYTES } from "./landing";

/** The longest is that of an actor in a token: fixed names, a provider, and `act` some times. */
const PATH_ROOM: u32 = 512;
const path: Writer = allocateWriter(PATH_ROOM);

/** Begins the path of a property with its first segment. */
export function beginPath(segment: Literal): void {
  clear(path);
  writeLiteral(path, segment);
}

/** Adds a segment. The segments of a path are separated by NUL. */
export function addSegment(segment: Literal): void {
  writeByte(path, 0);
  writeLiteral(path, segment);
}

/** Adds a segment of the configuration; it has no NUL in it. */
export function addSegmentBytes(address: usize, bytes: u32): void {
  writeByte(path, 0);
  writeBytes(path, address, bytes);
}

/** How long the path is; what `shortenPath` takes. */
export function pathLength(): u32 {
  return path.length;
}

/** Takes the segments back that were added since. */
export function shortenPath(length: u32): void {
  path.length = length;
}

/** Fetches the property that the path names: it has landed then, unless the host has none. */
export function fetchProperty(): bool {
  openLanding();
  if (path.overflowed) return false;
  return proxy_get_property(path.start, path.length, RESULT_ADDRESS, RESULT_BYTES) == Status.Ok;
}

/** The integer property `group`.`name`, or `absent` when the host has none of that form. */
export function integerProperty(group: Literal, name: Literal, absent: u64): u64 {
  beginPath(group);
  addSegment(name);
  if (!fetchProperty() || landedBytes() != 8) return absent;
  // SAFETY: eight bytes have landed.
  return load<u64>(landedAt());
}

/** Sets the filter state `wasm.<name>` of the stream; the bytes are copied. False when the host refuses. */
export function setFilterState(name: Literal, address: usize, bytes: u32): bool {
  beginPath(name);
  return proxy_set_property(path.start, path.length, address, bytes) == Status.Ok;
}
