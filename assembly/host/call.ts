// Requests of our own, made through one of the proxy's clusters. The answer comes in a callback of the root context, and is there while
// that runs.

import { APPROVAL_SECRET_BYTES_MAX } from "../limits";
import { equalsLiteral, Literal, literalBytes } from "../memory/bytes";
import { allocateWriter, clear, Writer, wipe, writeByte, writeBytes, writeLiteral } from "../memory/writer";
import { MapId, Status } from "./abi";
import { proxy_continue_stream, proxy_http_call } from "./env";
import { nameAt, nameBytes, nextHeader, openHeaders, valueAt, valueBytes } from "./headers";

/**
 * Texts of the configuration have bounds: a path and an authority of 512 bytes, and a client's id and secret of 512 bytes each, of which form encoding can
 * make three times as many, and base64 a third more.
 */
const HEADERS_ROOM: u32 = 6 << 10;
const headers: Writer = allocateWriter(HEADERS_ROOM);
const BEARER: Literal = "Bearer ";
const bearer: Writer = allocateWriter(literalBytes(BEARER) + APPROVAL_SECRET_BYTES_MAX);
const tokenAt: usize = memory.data(4, 4);

/** What `post` gives when the proxy does not make the request: its cluster is not there. No token is like it. */
export const NO_CALL: u32 = u32.MAX_VALUE;

/**
 * Posts the `bodyBytes` bytes at `body` as JSON, with an Authorization header of the scheme Bearer (RFC 6750) when `secretBytes` is not 0. The
 * token of the request, which its answer will have, or NO_CALL.
 */
export function postJson(
  cluster: usize,
  clusterBytes: u32,
  authority: usize,
  authorityBytes: u32,
  path: usize,
  pathBytes: u32,
  secret: usize,
  secretBytes: u32,
  body: usize,
  bodyBytes: u32,
  timeoutMs: u32,
): u32 {
  clear(bearer);
  if (secretBytes != 0) {
    writeLiteral(bearer, BEARER);
    writeBytes(bearer, secret, secretBytes);
    if (bearer.overflowed) return NO_CALL;
  }
  const call = post(
    cluster,
    clusterBytes,
    authority,
    authorityBytes,
    path,
    pathBytes,
    "application/json",
    bearer.start,
    bearer.length,
    body,
    bodyBytes,
    timeoutMs,
  );
  wipe(bearer);
  return call;
}

/** Posts the `bodyBytes` bytes at `body` as a `contentType`, with that value of Authorization when `authorizationBytes` is not 0; gives what `postJson` does. */
export function post(
  cluster: usize,
  clusterBytes: u32,
  authority: usize,
  authorityBytes: u32,
  path: usize,
  pathBytes: u32,
  contentType: Literal,
  authorization: usize,
  authorizationBytes: u32,
  body: usize,
  bodyBytes: u32,
  timeoutMs: u32,
): u32 {
  clear(headers);
  writeWord(authorizationBytes == 0 ? 4 : 5);
  writeSize(":method");
  writeWord(4);
  writeSize(":path");
  writeWord(pathBytes);
  writeSize(":authority");
  writeWord(authorityBytes);
  writeSize("content-type");
  writeWord(literalBytes(contentType));
  if (authorizationBytes != 0) {
    writeSize("authorization");
    writeWord(authorizationBytes);
  }
  writeText(":method");
  writeText("POST");
  writeText(":path");
  writeValue(path, pathBytes);
  writeText(":authority");
  writeValue(authority, authorityBytes);
  writeText("content-type");
  writeText(contentType);
  if (authorizationBytes != 0) {
    writeText("authorization");
    writeValue(authorization, authorizationBytes);
  }
  // What does not fit would be another request.
  const isWhole = !headers.overflowed;
  const isMade =
    isWhole &&
    proxy_http_call(cluster, clusterBytes, headers.start, headers.length, body, bodyBytes, 0, 0, timeoutMs, tokenAt) ==
      Status.Ok;
  wipe(headers);
  return isMade ? load<u32>(tokenAt) : NO_CALL; // SAFETY: the word is ours.
}

/** The status of the answer at hand; 0 when there is none. */
export function answerStatus(): u32 {
  if (!openHeaders(MapId.CallResponseHeaders)) return 0;
  while (nextHeader()) {
    if (!equalsLiteral(nameAt, nameBytes, ":status") || valueBytes != 3) continue;
    let status: u32 = 0;
    for (let i: u32 = 0; i < 3; i++) status = status * 10 + (u32(load<u8>(valueAt + i)) - 0x30); // SAFETY: i < valueBytes.
    return status;
  }
  return 0;
}

/** Lets the request of the effective context go on. False when the host refuses. */
export function continueRequest(): bool {
  return proxy_continue_stream(0) == Status.Ok;
}

function writeWord(value: u32): void {
  for (let shift: u32 = 0; shift < 32; shift += 8) writeByte(headers, (value >> shift) & 0xff);
}

function writeSize(name: Literal): void {
  writeWord(literalBytes(name));
}

function writeValue(address: usize, bytes: u32): void {
  writeBytes(headers, address, bytes);
  writeByte(headers, 0);
}

function writeText(text: Literal): void {
  writeLiteral(headers, text);
  writeByte(headers, 0);
}
