// Header maps, read as a whole: a single lookup gives only the first of several values, and a decision on one of two
// values is a decision that somebody else can make differently.
//
//   pairs:  | count u32 | count x (name bytes u32, value bytes u32) | name NUL value NUL ... |

import { Literal, literalBytes } from "../memory/bytes";
import { allocateWriter, clear, Writer, writeLiteral } from "../memory/writer";
import { MapId, Status } from "./abi";
import { proxy_get_header_map_pairs, proxy_remove_header_map_value, proxy_replace_header_map_value } from "./env";
import { landedAt, landedBytes, openLanding, RESULT_ADDRESS, RESULT_BYTES } from "./landing";

// The walk over the one map that has landed.
let sizesAt: usize = 0;
let dataAt: usize = 0;
let dataEnd: usize = 0;
let left: u32 = 0;

/** The header at hand; name in lower case, as Envoy keeps it. Alive as long as the landing. */
export let nameAt: usize = 0;
export let nameBytes: u32 = 0;
export let valueAt: usize = 0;
export let valueBytes: u32 = 0;

/** Fetches a header map. False when the host refuses or what it gives is no map. */
export function openHeaders(map: MapId): bool {
  openLanding();
  left = 0;
  if (proxy_get_header_map_pairs(map, RESULT_ADDRESS, RESULT_BYTES) != Status.Ok) return false;
  const bytes = landedBytes();
  if (bytes < 4) return false;
  const address = landedAt();
  // SAFETY: at least four bytes have landed.
  const count = load<u32>(address);
  if (count > (bytes - 4) >> 3) return false;
  sizesAt = address + 4;
  dataAt = sizesAt + (usize(count) << 3);
  dataEnd = address + bytes;
  left = count;
  return true;
}

/** Moves to the next header; false when there is none, or it does not lie inside what has landed. */
export function nextHeader(): bool {
  if (left == 0) return false;
  // SAFETY: `left` headers remain, so their sizes stand before dataAt.
  nameBytes = load<u32>(sizesAt);
  valueBytes = load<u32>(sizesAt, 4);
  const rest = u64(dataEnd - dataAt);
  if (u64(nameBytes) + u64(valueBytes) + 2 > rest) return false;
  nameAt = dataAt;
  valueAt = dataAt + nameBytes + 1;
  dataAt = valueAt + valueBytes + 1;
  sizesAt += 8;
  left--;
  return true;
}

/** Whether every header has been seen; false after a walk that met a broken one. */
export function allHeadersSeen(): bool {
  return left == 0;
}

const NAME_ROOM: u32 = 32;
const textName: Writer = allocateWriter(NAME_ROOM);

/** Takes every header of a name (in lower case) out of a map. False when the host refuses; one that is not there is none. */
export function removeHeader(map: MapId, name: Literal): bool {
  clear(textName);
  writeLiteral(textName, name);
  return removeHeaderNamed(map, textName.start, literalBytes(name));
}

/** The same for one that is there: a host that does not find it has not taken it out. */
export function removePresentHeader(map: MapId, name: Literal): bool {
  clear(textName);
  writeLiteral(textName, name);
  return proxy_remove_header_map_value(map, textName.start, textName.length) == Status.Ok;
}

/** The same as `removeHeader` for the name of `bytes` bytes at `address`, which may stand in what has landed: that stays. */
export function removeHeaderNamed(map: MapId, address: usize, bytes: u32): bool {
  const status = proxy_remove_header_map_value(map, address, bytes);
  return status == Status.Ok || status == Status.NotFound;
}

/** Gives a map one header of a name (in lower case) with the `bytes` bytes at `address`, in place of those that it has. False when the host refuses. */
export function replaceHeader(map: MapId, name: Literal, address: usize, bytes: u32): bool {
  clear(textName);
  writeLiteral(textName, name);
  return proxy_replace_header_map_value(map, textName.start, textName.length, address, bytes) == Status.Ok;
}
