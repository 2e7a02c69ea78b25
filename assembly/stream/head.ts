// What the headers of a request say, as far as a verdict needs it. The body decides; headers can only refuse.

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
import { beginIdentityHeader, noteIdentityHeader } from "../identity/header";
import { Mirror, noteMethod, noteName, noteVersion } from "../mcp/mirror";
import {
  asciiLower,
  containsLiteralIgnoringCase,
  equalBytes,
  equalsLiteral,
  equalsLiteralIgnoringCase,
  Literal,
  literalByte,
  literalBytes,
} from "../memory/bytes";
import { firstName, hasName, nameBytes as listedBytes, NameSet, nextName } from "../policy/name-set";
import { Authorization, HttpMethod, Policy, Unguarded } from "../policy/policy";
import { Reason } from "../policy/reason";
import { beginSubject, noteAuthorization } from "../token/subject";
import { tripleAt } from "../uri/text";

// The head at hand. Filled by `readHead`; the addresses are alive until the next host call that returns data.
let method: HttpMethod = HttpMethod.None;
let isUpgrade: bool = false;
let contentTypes: u32 = 0;
let isJson: bool = false;
let isEncoded: bool = false;
let hasLength: bool = false;
let length: u64 = 0;
let acceptsEvents: bool = false;
/** Whether the policy does anything with tokens. */
let takesTokens: bool = false;
const TOKEN_PARAMETER: Literal = "access_token";
/** What `tripleAt` gives where no `%XX` stands. */
const NO_TRIPLE: u32 = 256;
// What would make the server answer in a form that cannot be read.
let hasAcceptEncoding: bool = false;
let hasRange: bool = false;
let hasIfRange: bool = false;

// The headers in which a modern request repeats its body: how often each stood there, and its last value.
let versions: u32 = 0;
let versionAt: usize = 0;
let versionBytes: u32 = 0;
let methods: u32 = 0;
let mcpMethodAt: usize = 0;
let mcpMethodBytes: u32 = 0;
let names: u32 = 0;
let mcpNameAt: usize = 0;
let mcpNameBytes: u32 = 0;
// Where the request says that it comes from and goes to.
let origins: u32 = 0;
let originAt: usize = 0;
let originBytes: u32 = 0;
export let authorityAt: usize = 0;
export let authorityBytes: u32 = 0;

/** The method as it stands there, the path, and `traceparent` if it stands there once: for the record. */
export let methodTextAt: usize = 0;
export let methodTextBytes: u32 = 0;
export let pathAt: usize = 0;
export let pathBytes: u32 = 0;
export let traceAt: usize = 0;
export let traceBytes: u32 = 0;
let traces: u32 = 0;

/** `x-request-id`, for refusals and logs. */
export let requestIdAt: usize = 0;
export let requestIdBytes: u32 = 0;

/**
 * Reads the request's headers. Look-alikes of the policy's identity header are taken out, unless `isWatched`. False when the host
 * refuses.
 */
export function readHead(policy: Policy, isWatched: bool): bool {
  method = HttpMethod.None;
  methodTextBytes = 0;
  pathBytes = 0;
  traces = 0;
  traceBytes = 0;
  isUpgrade = false;
  contentTypes = 0;
  isJson = false;
  isEncoded = false;
  hasLength = false;
  length = 0;
  acceptsEvents = false;
  takesTokens = policy.authorization != Authorization.Pass;
  beginSubject();
  hasAcceptEncoding = false;
  hasRange = false;
  hasIfRange = false;
  requestIdBytes = 0;
  versions = 0;
  methods = 0;
  names = 0;
  origins = 0;
  authorityBytes = 0;
  if (!openHeaders(MapId.RequestHeaders)) return false;
  const identity = policy.identity;
  if (identity === null || identity.headerBytes == 0) {
    while (nextHeader()) noteHeader();
    return allHeadersSeen();
  }
  beginIdentityHeader();
  while (nextHeader()) {
    noteHeader();
    if (!noteIdentityHeader(identity, isWatched)) return false;
  }
  return allHeadersSeen();
}

/** The HTTP method. */
export function headMethod(): HttpMethod {
  return method;
}

/**
 * Whether the client will read the answer as messages, whatever media type it has: the answer to a POST, and the stream
 * that a GET opens (MCP Streamable HTTP). Real clients look at the type of the one and not of the other.
 */
export function wantsMessages(): bool {
  return method == HttpMethod.Post || (method == HttpMethod.Get && acceptsEvents);
}

/**
 * Takes out of the request what would make the server answer in a form that cannot be read: another coding, or a part (RFC
 * 9110 sections 12.5.3 and 14.2). False when the host refuses.
 */
export function askForWholeResponse(): bool {
  return (
    (!hasAcceptEncoding || removeHeader(MapId.RequestHeaders, "accept-encoding")) &&
    (!hasRange || removeHeader(MapId.RequestHeaders, "range")) &&
    (!hasIfRange || removeHeader(MapId.RequestHeaders, "if-range"))
  );
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

/**
 * Whether the request has a token in its query (RFC 6750 section 2.3), under the name itself or one that is percent-encoded. `;` separates parameters too: some
 * servers read it so.
 */
export function hasTokenInQuery(): bool {
  const end = pathAt + pathBytes;
  let at = pathAt;
  // SAFETY: at < end, the path's range, in all four.
  while (at < end && load<u8>(at) != 0x3f) at++;
  while (at < end) {
    at++;
    const from = at;
    while (at < end && load<u8>(at) != 0x3d && load<u8>(at) != 0x26 && load<u8>(at) != 0x3b) at++;
    if (isNamed(from, at, TOKEN_PARAMETER)) return true;
    while (at < end && load<u8>(at) != 0x26 && load<u8>(at) != 0x3b) at++;
  }
  return false;
}

/** Whether the text from `at` to `end` is `name` after one percent-decoding (RFC 3986 section 2.1). */
function isNamed(at: usize, end: usize, name: Literal): bool {
  let index: u32 = 0;
  while (at < end) {
    const triple = tripleAt(at, end);
    const byte = triple == NO_TRIPLE ? u32(load<u8>(at)) : triple; // SAFETY: at < end.
    at += triple == NO_TRIPLE ? 1 : 3;
    if (index == literalBytes(name) || literalByte(name, index) != byte) return false;
    index++;
  }
  return index == literalBytes(name);
}

/** Gives `mirror` the headers that it is about. To be called before the next host call that returns data. */
export function copyMirror(mirror: Mirror): void {
  // Of a header that stands there twice only that fact matters.
  if (versions != 0) noteVersion(mirror, versionAt, versionBytes);
  if (methods != 0) noteMethod(mirror, mcpMethodAt, mcpMethodBytes);
  if (names != 0) noteName(mirror, mcpNameAt, mcpNameBytes);
  mirror.version.count = versions;
  mirror.method.count = methods;
  mirror.name.count = names;
}

/**
 * None when the request comes from where it may: a browser's page on a listed origin, or no page at all, to a host that the server answers
 * for (MCP "Security warning": DNS rebinding). A preflight passes; it is the request behind it that is judged.
 */
export function checkSource(policy: Policy): Reason {
  const hosts = policy.allowedHosts;
  if (hosts !== null && !isHostListed(hosts)) return Reason.HostNotAllowed;
  if (origins == 0 || method == HttpMethod.Options) return Reason.None;
  const allowed = policy.allowedOrigins;
  if (origins > 1 || allowed === null) return Reason.OriginNotAllowed;
  return hasName(allowed, originAt, originBytes) ? Reason.None : Reason.OriginNotAllowed;
}

/** An entry with a port stands for that port, one without for any. Hosts are compared without case (RFC 3986 section 3.2.2). */
function isHostListed(hosts: NameSet): bool {
  let hostBytes = authorityBytes;
  // SAFETY: the loads stand inside the value.
  while (hostBytes > 0 && u32(load<u8>(authorityAt + hostBytes - 1)) - 0x30 < 10) hostBytes--;
  const hasPort = hostBytes > 0 && hostBytes < authorityBytes && u32(load<u8>(authorityAt + hostBytes - 1)) == 0x3a;
  hostBytes = hasPort ? hostBytes - 1 : authorityBytes;
  for (let host = firstName(hosts); host != 0; host = nextName(hosts, host)) {
    if (isSameHost(host, listedBytes(host), authorityAt, authorityBytes)) return true;
    if (isSameHost(host, listedBytes(host), authorityAt, hostBytes)) return true;
  }
  return false;
}

function isSameHost(listed: usize, itsBytes: u32, host: usize, bytes: u32): bool {
  if (itsBytes != bytes) return false;
  for (let i: u32 = 0; i < bytes; i++) {
    // SAFETY: i < bytes, the length of both.
    if (asciiLower(u32(load<u8>(listed + i))) != asciiLower(u32(load<u8>(host + i)))) return false;
  }
  return true;
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
        methodTextAt = valueAt;
        methodTextBytes = valueBytes;
        if (valueIs("CONNECT")) isUpgrade = true;
      } else if (nameIs(":path")) {
        pathAt = valueAt;
        pathBytes = valueBytes;
      } else if (nameIs(":authority")) {
        authorityAt = valueAt;
        authorityBytes = valueBytes;
      } else if (nameIs(":protocol")) {
        isUpgrade = true; // Extended CONNECT (RFC 8441 section 4).
      }
      break;
    case 0x61: // a
      // RFC 9110 section 12.5.1. Found anywhere in the value, so no way of writing the list hides it.
      if (nameIs("accept")) {
        if (containsLiteralIgnoringCase(valueAt, valueBytes, "text/event-stream")) acceptsEvents = true;
      } else if (nameIs("accept-encoding")) {
        hasAcceptEncoding = true;
      } else if (takesTokens && nameIs("authorization")) {
        noteAuthorization(valueAt, valueBytes);
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
    case 0x69: // i
      if (nameIs("if-range")) hasIfRange = true;
      break;
    case 0x6d: // m
      if (nameIs("mcp-protocol-version")) {
        versions++;
        versionAt = valueAt;
        versionBytes = valueBytes;
      } else if (nameIs("mcp-method")) {
        methods++;
        mcpMethodAt = valueAt;
        mcpMethodBytes = valueBytes;
      } else if (nameIs("mcp-name")) {
        names++;
        mcpNameAt = valueAt;
        mcpNameBytes = valueBytes;
      }
      break;
    case 0x6f: // o
      if (nameIs("origin")) {
        origins++;
        originAt = valueAt;
        originBytes = valueBytes;
      }
      break;
    case 0x72: // r
      if (nameIs("range")) hasRange = true;
      break;
    case 0x74: // t
      if (nameIs("traceparent")) {
        traceAt = valueAt;
        // W3C Trace Context: of two nobody knows which one counts.
        traceBytes = traces++ == 0 ? valueBytes : 0;
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
