// Properties of the stream (Envoy attributes) and filter state for the access log.

import { Literal } from "../memory/bytes";
import { allocateWriter, clear, Writer, writeByte, writeLiteral } from "../memory/writer";
import { Status } from "./abi";
import { proxy_get_property, proxy_set_property } from "./env";
import { landedAt, landedBytes, openLanding, RESULT_ADDRESS, RESULT_BYTES } from "./landing";

const PATH_ROOM: u32 = 64;
const path: Writer = allocateWriter(PATH_ROOM);

/** The integer property `group`.`name`, or `absent` when the host has none of that form. */
export function integerProperty(group: Literal, name: Literal, absent: u64): u64 {
  clear(path);
  writeLiteral(path, group);
  writeByte(path, 0); // The segments of a path are separated by NUL.
  writeLiteral(path, name);
  openLanding();
  const status = proxy_get_property(path.start, path.length, RESULT_ADDRESS, RESULT_BYTES);
  if (status != Status.Ok || landedBytes() != 8) return absent;
  // SAFETY: eight bytes have landed.
  return load<u64>(landedAt());
}

/** Sets the filter state `wasm.<name>` of the stream; the bytes are copied. False when the host refuses. */
export function setFilterState(name: Literal, address: usize, bytes: u32): bool {
  clear(path);
  writeLiteral(path, name);
  return proxy_set_property(path.start, path.length, address, bytes) == Status.Ok;
}
