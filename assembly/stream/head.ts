// What the headers of a request say, as far as a verdict needs it. The body decides; headers can only refuse.

import { MapId } from "../host/abi";
import { allHeadersSeen, nameAt, nameBytes, nextHeader, openHeaders, valueAt, valueBytes } from "../host/headers";
import { equalBytes, equalsLiteral, equalsLiteralIgnoringCase, Literal, literalBytes } from "../memory/bytes";
import { HttpMethod, Policy, Unguarded } from "../policy/policy";
import { Reason } from "../policy/reason";

// The head at hand. Filled by `readHead`; the addresses are alive until the next host call that returns data.
let method: HttpMethod = HttpMethod.None;
let pathAt: usize = 0;
let pathBytes: u32 = 0;
let isUpgrade: bool = false;
let contentTypes: u32 = 0;
let isJson: bool = false;
let isEncoded: bool = false;
let hasLength: bool = false;
let length: u64 = 0;

/** `x-request-id`, for refusals and logs. */
export let requestIdAt: usize = 0;
export let requestIdBytes: u32 = 0;

/** Reads the request's headers. False when the host refuses. */
export function readHead(): bool {
  method = HttpMethod.None;
  pathBytes = 0;
  isUpgrade = false;
  contentTypes = 0;
  isJson = false;
  isEncoded = false;
  hasLength = false;
  length = 0;
  requestIdBytes = 0;
  if (!openHeaders(MapId.RequestHeaders)) return false;
  while (nextHeader()) noteHeader();
  return allHeadersSeen();
}

/** Whether the head asks for an upgraded connection, whose bytes would go past every rule (RFC 9110 section 7.8). */
export function asksForUpgrade(): bool {
  return isUpgrade;
}

/** Whether the request goes to an endpoint that the policy names as not MCP: exact method and raw path. */
export function isUnguarded(policy: Policy): bool {
  let entry: Unguarded | null = policy.unguarded;
  while (entry !== null) {
    if ((entry.methods & method) != 0 && entry.pathBytes == pathBytes && equalBytes(entry.pathAt, pathAt, pathBytes)) {
      return true;
    }
    entry = entry.next;
  }
  return false;
}

/** None when the request may go on to have its body read, or has none to read; else why it is refused here. */
export function checkHead(policy: Policy, endOfStream: bool): Reason {
  if (method == HttpMethod.Post) return checkPost(policy, endOfStream);
  if ((method & (HttpMethod.Get | HttpMethod.Head | HttpMethod.Delete | HttpMethod.Options)) == 0) {
    return Reason.HttpMethod;
  }
  return endOfStream ? Reason.None : Reason.BodyUnexpected;
}

function checkPost(policy: Policy, endOfStream: bool): Reason {
  if (endOfStream) return Reason.BodyMissing;
  if (contentTypes != 1 || !isJson) return Reason.ContentType;
  if (isEncoded) return Reason.ContentEncoding;
  if (hasLength && length > policy.bodyBytesMax) return Reason.BodyTooLarge;
  return Reason.None;
}

function noteHeader(): void {
  // SAFETY: the name lies inside what has landed; an empty one is read as its closing NUL.
  switch (u32(load<u8>(nameAt))) {
    case 0x3a: // :
      if (nameIs(":method")) {
        method = methodOf(valueAt, valueBytes);
        if (valueIs("CONNECT")) isUpgrade = true;
      } else if (nameIs(":path")) {
        pathAt = valueAt;
        pathBytes = valueBytes;
      } else if (nameIs(":protocol")) {
        isUpgrade = true; // Extended CONNECT (RFC 8441 section 4).
      }
      break;
    case 0x63: // c
      if (nameIs("content-type")) {
        contentTypes++;
        isJson = isJsonInUtf8(valueAt, valueBytes);
      } else if (nameIs("content-encoding")) {
        if (valueBytes != 0 && !equalsLiteralIgnoringCase(valueAt, valueBytes, "identity")) isEncoded = true;
      } else if (nameIs("content-length")) {
        hasLength = true;
        length = numberOf(valueAt, valueBytes);
      } else if (nameIs("connection")) {
        if (listHas(valueAt, valueBytes, "upgrade")) isUpgrade = true;
      }
      break;
    case 0x75: // u
      if (nameIs("upgrade")) isUpgrade = true;
      break;
    case 0x78: // x
      if (nameIs("x-request-id")) {
        requestIdAt = valueAt;
        requestIdBytes = valueBytes;
      }
      break;
    default:
      break;
  }
}

function nameIs(name: Literal): bool {
  return equalsLiteral(nameAt, nameBytes, name);
}

function valueIs(value: Literal): bool {
  return equalsLiteral(valueAt, valueBytes, value);
}

/** RFC 9110 section 9.1: methods are case-sensitive. */
function methodOf(address: usize, bytes: u32): HttpMethod {
  if (equalsLiteral(address, bytes, "POST")) return HttpMethod.Post;
  if (equalsLiteral(address, bytes, "GET")) return HttpMethod.Get;
  if (equalsLiteral(address, bytes, "HEAD")) return HttpMethod.Head;
  if (equalsLiteral(address, bytes, "DELETE")) return HttpMethod.Delete;
  if (equalsLiteral(address, bytes, "OPTIONS")) return HttpMethod.Options;
  if (equalsLiteral(address, bytes, "PUT")) return HttpMethod.Put;
  if (equalsLiteral(address, bytes, "PATCH")) return HttpMethod.Patch;
  return HttpMethod.None;
}

/**
 * Whether a Content-Type is `application/json`, alone or with the one parameter `charset=utf-8`. Everything else is
 * refused, because some servers honour a charset and then read another text than we do (RFC 8259 section 8.1 knows only
 * UTF-8, and section 11 no parameter).
 */
function isJsonInUtf8(address: usize, bytes: u32): bool {
  const mediaType = "application/json";
  const typeBytes = literalBytes(mediaType);
  if (bytes < typeBytes || !equalsLiteralIgnoringCase(address, typeBytes, mediaType)) return false;
  let at = skipBlank(address + typeBytes, address + bytes);
  const end = address + bytes;
  if (at == end) return true;
  // SAFETY: at < end, the value's range.
  if (u32(load<u8>(at)) != 0x3b) return false;
  at = skipBlank(at + 1, end);
  let last = end;
  // SAFETY: at < last in both.
  while (last > at && isBlank(u32(load<u8>(last - 1)))) last--;
  const parameterBytes = u32(last - at);
  return (
    equalsLiteralIgnoringCase(at, parameterBytes, "charset=utf-8") ||
    equalsLiteralIgnoringCase(at, parameterBytes, 'charset="utf-8"')
  );
}

function skipBlank(address: usize, end: usize): usize {
  // SAFETY: address < end.
  while (address < end && isBlank(u32(load<u8>(address)))) address++;
  return address;
}

function isBlank(byte: u32): bool {
  return byte == 0x20 || byte == 0x09;
}

/** A decimal number; the largest one when it is none, or has more than 18 digits. */
function numberOf(address: usize, bytes: u32): u64 {
  if (bytes == 0 || bytes > 18) return u64.MAX_VALUE;
  let value: u64 = 0;
  for (let i: u32 = 0; i < bytes; i++) {
    // SAFETY: i < bytes, the value's range.
    const digit = u32(load<u8>(address + i)) - 0x30;
    if (digit > 9) return u64.MAX_VALUE;
    value = value * 10 + u64(digit);
  }
  return value;
}

/** Whether a comma-separated list (RFC 9110 section 5.6.1) has the element `token`, which is in lower case. */
function listHas(address: usize, bytes: u32, token: Literal): bool {
  const end = address + bytes;
  let at = address;
  while (at < end) {
    at = skipBlank(at, end);
    let stop = at;
    // SAFETY: stop < end, the value's range.
    while (stop < end && u32(load<u8>(stop)) != 0x2c) stop++;
    let last = stop;
    // SAFETY: at < last <= end.
    while (last > at && isBlank(u32(load<u8>(last - 1)))) last--;
    if (equalsLiteralIgnoringCase(at, u32(last - at), token)) return true;
    at = stop + 1;
  }
  return false;
}
