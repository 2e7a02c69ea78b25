// What the headers of a response say about how its body is to be read.

import { MapId } from "../host/abi";
import {
  allHeadersSeen,
  nameAt,
  nameBytes,
  nextHeader,
  openHeaders,
  removeHeader,
  valueAt,
  valueBytes,
} from "../host/headers";
import { equalsLiteral, equalsLiteralIgnoringCase, Literal } from "../memory/bytes";

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
/** Which headers are there that would not be true of another body: bits of Untrue. */
let untrue: u32 = 0;

const enum Untrue {
  ContentLength = 1,
  Etag = 2,
  ContentMd5 = 4,
  Digest = 8,
  ContentDigest = 16,
  ReprDigest = 32,
}

/** Reads the response headers. False when the host refuses, or what it gives is no map. */
export function readResponseHead(): bool {
  responseMedia = Media.Json;
  responseStatus = 0;
  isResponseEncoded = false;
  untrue = 0;
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
    } else {
      untrue |= untrueName();
    }
  }
  return allHeadersSeen();
}

function untrueName(): u32 {
  if (equalsLiteral(nameAt, nameBytes, "content-length")) return Untrue.ContentLength;
  if (equalsLiteral(nameAt, nameBytes, "etag")) return Untrue.Etag;
  if (equalsLiteral(nameAt, nameBytes, "content-md5")) return Untrue.ContentMd5;
  if (equalsLiteral(nameAt, nameBytes, "digest")) return Untrue.Digest;
  if (equalsLiteral(nameAt, nameBytes, "content-digest")) return Untrue.ContentDigest;
  return equalsLiteral(nameAt, nameBytes, "repr-digest") ? Untrue.ReprDigest : 0;
}

/**
 * Takes out of the response that was read what would not be true of the body that the client gets (RFC 9110 sections 8.6, 8.8.3; RFC
 * 9530). False when the host refuses.
 */
export function removeUntrue(): bool {
  return (
    removeIf(Untrue.ContentLength, "content-length") &&
    removeIf(Untrue.Etag, "etag") &&
    removeIf(Untrue.ContentMd5, "content-md5") &&
    removeIf(Untrue.Digest, "digest") &&
    removeIf(Untrue.ContentDigest, "content-digest") &&
    removeIf(Untrue.ReprDigest, "repr-digest")
  );
}

/** Each removal is a call of the host, and most responses have one of these headers. */
function removeIf(header: Untrue, name: Literal): bool {
  return (untrue & header) == 0 || removeHeader(MapId.ResponseHeaders, name);
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
