// The token with which a caller comes: that of the one Authorization header of its request, whose value is a bearer token (RFC 6750 section 2.1).
// Which header the proxy has validated it does not say, so the token must name the principal that it has (`isOfPrincipal`).

import { allocateReader } from "../json/allocate";
import { JsonError } from "../json/error";
import { captureText, finish, JsonReader, next, openChunk, resetReader, Token } from "../json/reader";
import {
  DEPTH_MAX,
  KEY_BYTES_MAX,
  MEMBERS_PER_OBJECT_DEFAULT,
  OPEN_MEMBERS_DEFAULT,
  PRINCIPAL_BYTES_MAX,
  TOKEN_BYTES_MAX,
} from "../limits";
import { decodeBase64Url } from "../memory/base64";
import { equalBytes, equalsLiteral, equalsLiteralIgnoringCase, Literal, literalBytes } from "../memory/bytes";

/** What a request brings. */
export const enum Bearer {
  /** No Authorization header. */
  None,
  /** One with a token that can be exchanged, at `subjectAt`. */
  One,
  /** Several, or one of another kind. */
  Bad,
}

const SCHEME: Literal = "bearer";
const DOT: u32 = 0x2e;

/** The token of the request at hand. Wiped by `forgetSubject`. */
export const subjectAt: usize = memory.data(TOKEN_BYTES_MAX, 4);
export let subjectBytes: u32 = 0;
let kind: Bearer = Bearer.None;

const PAYLOAD_ROOM: u32 = (TOKEN_BYTES_MAX / 4) * 3 + 3;
const payloadAt: usize = memory.data(PAYLOAD_ROOM, 4);
/** No text that is asked for is longer than an issuer or a principal. */
const TEXT_ROOM: u32 = PRINCIPAL_BYTES_MAX;
const textAt: usize = memory.data(TEXT_ROOM, 4);
const reader: JsonReader = allocateReader(DEPTH_MAX, MEMBERS_PER_OBJECT_DEFAULT, OPEN_MEMBERS_DEFAULT, KEY_BYTES_MAX);

/** Begins a request, which has brought nothing yet. The token of the one before has been overwritten. */
export function beginSubject(): void {
  kind = Bearer.None;
}

/** Takes one Authorization header of the request, whose value are the `bytes` bytes at `address`. They are wiped: they have landed, and are of no other use. */
export function noteAuthorization(address: usize, bytes: u32): void {
  if (kind == Bearer.None) {
    kind = takeBearer(address, bytes) ? Bearer.One : Bearer.Bad;
  } else {
    kind = Bearer.Bad;
  }
  memory.fill(address, 0, bytes);
}

/** What the request has brought. */
export function bearerOf(): Bearer {
  return kind;
}

/** Overwrites the token. */
export function forgetSubject(): void {
  memory.fill(subjectAt, 0, subjectBytes);
  subjectBytes = 0;
}

/** `"Bearer" 1*SP b64token` (RFC 6750 section 2.1), the scheme in any case (RFC 9110 section 11.1). */
function takeBearer(address: usize, bytes: u32): bool {
  const scheme = literalBytes(SCHEME);
  if (bytes <= scheme || !equalsLiteralIgnoringCase(address, scheme, SCHEME)) return false;
  let from = scheme;
  while (from < bytes && load<u8>(address + from) == 0x20) from++; // SAFETY: from < bytes, the value's range.
  const length = bytes - from;
  if (from == scheme || !isBearerToken(address + from, length)) return false;
  memory.copy(subjectAt, address + from, length);
  subjectBytes = length;
  return true;
}

/** Whether the range is a `b64token` (RFC 6750 section 2.1) of at most TOKEN_BYTES_MAX bytes. */
export function isBearerToken(address: usize, bytes: u32): bool {
  if (bytes > TOKEN_BYTES_MAX) return false;
  let characters = bytes;
  // SAFETY: both loads stand below the range's end.
  while (characters > 0 && load<u8>(address + characters - 1) == 0x3d) characters--;
  for (let i: u32 = 0; i < characters; i++) {
    if (!isTokenCharacter(u32(load<u8>(address + i)))) return false;
  }
  return characters != 0;
}

/** Letters, digits and `-._~+/`. */
function isTokenCharacter(byte: u32): bool {
  if ((byte | 0x20) - 0x61 < 26) return true;
  // From 0x2d to 0x39 stand - . / and the digits.
  return byte - 0x2d < 13 || byte == 0x5f || byte == 0x7e || byte == 0x2b;
}

/**
 * Whether the token at hand says that it is of that issuer, and that its claim of that name is that principal: the second of its three parts is
 * the payload (RFC 7515 section 7.1, RFC 7519 section 4.1). The signature is for the one who has validated it, and for the token endpoint.
 */
export function isOfPrincipal(
  issuerAt: usize,
  issuerBytes: u32,
  claimAt: usize,
  claimBytes: u32,
  principalAt: usize,
  principalBytes: u32,
): bool {
  const end = subjectAt + subjectBytes;
  const headerEnd = findDot(subjectAt, end);
  const payload = headerEnd + 1;
  const payloadEnd = findDot(payload, end);
  // One more dot stands before the end, none stands behind it.
  if (findDot(payloadEnd + 1, end) != end) return false;
  const decoded = decodeBase64Url(payload, u32(payloadEnd - payload), payloadAt);
  const isNamed =
    decoded >= 0 &&
    namesPrincipal(u32(decoded), issuerAt, issuerBytes, claimAt, claimBytes, principalAt, principalBytes);
  memory.fill(payloadAt, 0, PAYLOAD_ROOM);
  memory.fill(textAt, 0, TEXT_ROOM);
  resetReader(reader);
  return isNamed;
}

/** The first dot from `at` on; `end`, or `at` when that stands behind it, when there is none. */
function findDot(at: usize, end: usize): usize {
  while (at < end && u32(load<u8>(at)) != DOT) at++; // SAFETY: at < end.
  return at;
}

function namesPrincipal(
  bytes: u32,
  issuerAt: usize,
  issuerBytes: u32,
  claimAt: usize,
  claimBytes: u32,
  principalAt: usize,
  principalBytes: u32,
): bool {
  resetReader(reader);
  reader.reportDepth = 1;
  openChunk(reader, payloadAt, bytes);
  if (next(reader) != Token.ObjectStart) return false;
  let hasIssuer: bool = false;
  let hasPrincipal: bool = false;
  while (true) {
    let token = next(reader);
    if (token == Token.ObjectEnd) break;
    if (token != Token.Key) return false;
    const isIssuer = equalsLiteral(reader.keyAt, reader.textBytes, "iss");
    const isClaim = reader.textBytes == claimBytes && equalBytes(reader.keyAt, claimAt, claimBytes);
    captureText(reader, textAt, TEXT_ROOM);
    token = next(reader);
    // A list has an end of its own; the loop fails at what is no value.
    if (token == Token.ObjectStart || token == Token.ArrayStart) next(reader);
    if (token != Token.String) continue;
    if (isIssuer) hasIssuer = isText(reader.textBytes, issuerAt, issuerBytes);
    if (isClaim) hasPrincipal = isText(reader.textBytes, principalAt, principalBytes);
  }
  const isWhole = next(reader) == Token.NeedMore && finish(reader) == JsonError.None;
  return isWhole && hasIssuer && hasPrincipal;
}

function isText(bytes: u32, at: usize, expectedBytes: u32): bool {
  return bytes == expectedBytes && bytes <= TEXT_ROOM && equalBytes(textAt, at, bytes);
}
