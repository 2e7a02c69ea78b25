// The header in which a gateway passes on whom it has authenticated. Anybody can send such a header, so the one that arrives counts only
// when the peer is a trusted gateway (principal.ts); what does not count is taken out before the server sees it.

import { MapId } from "../host/abi";
import {
  allHeadersSeen,
  nameAt,
  nameBytes,
  nextHeader,
  openHeaders,
  removeHeaderNamed,
  valueAt,
  valueBytes,
} from "../host/headers";
import { PRINCIPAL_BYTES_MAX } from "../limits";
import { asciiLower } from "../memory/bytes";
import { isPlainText } from "../memory/text";
import { Identity } from "../policy/identity";

/** The value of the header of the request at hand, when there was one that can be read. */
export const headerValueAt: usize = memory.data(PRINCIPAL_BYTES_MAX, 4);
export let headerValueBytes: u32 = 0;
/** How often the header stood there, and how often under a name that some servers take for its. */
export let headerCount: u32 = 0;
export let lookAlikes: u32 = 0;

/** Forgets the request before. */
export function beginIdentityHeader(): void {
  headerValueBytes = 0;
  headerCount = 0;
  lookAlikes = 0;
}

/**
 * Looks at the header at hand (host/headers.ts). One whose name is only like that of the identity header is taken out at once, unless `isWatched`.
 * False when the host refuses that.
 */
export function noteIdentityHeader(identity: Identity, isWatched: bool): bool {
  if (nameBytes != identity.headerBytes || !isLike(identity.headerAt, nameAt, nameBytes)) return true;
  if (!isSame(identity.headerAt, nameAt, nameBytes)) {
    lookAlikes++;
    return isWatched || removeHeaderNamed(MapId.RequestHeaders, nameAt, nameBytes);
  }
  headerCount++;
  headerValueBytes = 0;
  if (valueBytes > PRINCIPAL_BYTES_MAX || !isPlainText(valueAt, valueBytes) || isPadded(valueAt, valueBytes))
    return true;
  headerValueBytes = valueBytes;
  memory.copy(headerValueAt, valueAt, valueBytes);
  return true;
}

/**
 * Takes the header, and what is like it, out of the request's trailers: some servers make headers of them. Gives how many there were; -1
 * when the host refuses.
 */
export function removeFromTrailers(identity: Identity, isWatched: bool): i32 {
  let count = 0;
  if (!openHeaders(MapId.RequestTrailers)) return -1;
  while (nextHeader()) {
    if (nameBytes != identity.headerBytes || !isLike(identity.headerAt, nameAt, nameBytes)) continue;
    count++;
    if (!isWatched && !removeHeaderNamed(MapId.RequestTrailers, nameAt, nameBytes)) return -1;
  }
  return allHeadersSeen() ? count : -1;
}

/** Takes the header out of the request. False when the host refuses. */
export function removeIdentityHeader(identity: Identity): bool {
  return removeHeaderNamed(MapId.RequestHeaders, identity.headerAt, identity.headerBytes);
}

/** The proxy has names in lower case, the configuration in any. */
function isSame(configured: usize, name: usize, bytes: u32): bool {
  for (let i: u32 = 0; i < bytes; i++) {
    // SAFETY: i < bytes, the length of both.
    if (asciiLower(u32(load<u8>(configured + i))) != u32(load<u8>(name + i))) return false;
  }
  return true;
}

/**
 * Whether both become the same variable where names do: RFC 3875 section 4.1.18 has `_` for every hyphen, and servers have it for whatever is
 * no letter or digit.
 */
function isLike(configured: usize, name: usize, bytes: u32): bool {
  for (let i: u32 = 0; i < bytes; i++) {
    // SAFETY: i < bytes, the length of both.
    const byte = asciiLower(u32(load<u8>(configured + i)));
    const found = asciiLower(u32(load<u8>(name + i)));
    if (byte != found && (byte != 0x2d || isLetterOrDigit(found))) return false;
  }
  return true;
}

function isLetterOrDigit(lower: u32): bool {
  return lower - 0x61 < 26 || lower - 0x30 < 10;
}

/** Whether a value begins or ends with a space: HTTP/2 brings that, and HTTP/1.1 takes it away on the way to the server. */
function isPadded(address: usize, bytes: u32): bool {
  // SAFETY: bytes is not 0.
  return u32(load<u8>(address)) == 0x20 || u32(load<u8>(address + bytes - 1)) == 0x20;
}
