// What the headers of a response say about how its body is to be read.

import { MapId } from "../host/abi";
import { allHeadersSeen, nameAt, nameBytes, nextHeader, openHeaders, valueAt, valueBytes } from "../host/headers";
import { equalsLiteral, equalsLiteralIgnoringCase } from "../memory/bytes";

/** What a media type makes of a body (RFC 9110 section 8.3.1). */
export const enum Media {
  Other,
  /** application/json, +json, or none. */
  Json,
  EventStream,
}

export let responseMedia: Media = Media.Json;
/** The status; 0 when it is not three digits. */
export let responseStatus: u32 = 0;
/** Whether there is a Content-Encoding other than `identity`. */
export let isResponseEncoded: bool = false;

/** Reads the response headers. False when the host refuses, or what it gives is no map. */
export function readResponseHead(): bool {
  responseMedia = Media.Json;
  responseStatus = 0;
  isResponseEncoded = false;
  let types: u32 = 0;
  if (!openHeaders(MapId.ResponseHeaders)) return false;
  while (nextHeader()) {
    if (equalsLiteral(nameAt, nameBytes, ":status")) {
      responseStatus = statusOf(valueAt, valueBytes);
    } else if (equalsLiteral(nameAt, nameBytes, "content-type")) {
      // Of several types readers take the first or the last; one that need not be read may then be read by somebody.
      const media = mediaOf(valueAt, valueBytes);
      responseMedia = types == 0 || media == responseMedia ? media : Media.Json;
      types++;
    } else if (equalsLiteral(nameAt, nameBytes, "content-encoding")) {
      if (!equalsLiteralIgnoringCase(valueAt, valueBytes, "identity")) isResponseEncoded = true;
    }
  }
  return allHeadersSeen();
}

function statusOf(address: usize, bytes: u32): u32 {
  if (bytes != 3) return 0;
  let status: u32 = 0;
  for (let i: u32 = 0; i < bytes; i++) {
    const digit = u32(load<u8>(address + i)) - 0x30; // SAFETY: i < bytes.
    if (digit > 9) return 0;
    status = status * 10 + digit;
  }
  return status;
}

/** The media type in front of the parameters, whatever its letter case. */
function mediaOf(address: usize, bytes: u32): Media {
  let end: u32 = 0;
  // SAFETY: end < bytes, and start and end stay inside.
  while (end < bytes && u32(load<u8>(address + end)) != 0x3b) end++;
  let start: u32 = 0;
  while (start < end && isBlank(u32(load<u8>(address + start)))) start++;
  while (end > start && isBlank(u32(load<u8>(address + end - 1)))) end--;
  const at = address + start;
  const length = end - start;
  if (length == 0 || equalsLiteralIgnoringCase(at, length, "application/json")) return Media.Json;
  if (equalsLiteralIgnoringCase(at, length, "text/event-stream")) return Media.EventStream;
  return endsWithJson(at, length) ? Media.Json : Media.Other;
}

function isBlank(byte: u32): bool {
  return byte == 0x20 || byte == 0x09;
}

/** `application/` with the suffix `+json` (RFC 6839 section 3.1). */
function endsWithJson(at: usize, bytes: u32): bool {
  if (bytes < 17) return false;
  return equalsLiteralIgnoringCase(at, 12, "application/") && equalsLiteralIgnoringCase(at + bytes - 5, 5, "+json");
}
