// Requests of our own, made through one of the proxy's clusters. The answer comes in a callback of the root context, and is there while
// that runs.

import { equalsLiteral, Literal, literalBytes } from "../memory/bytes";
import { allocateWriter, clear, Writer, writeByte, writeBytes, writeLiteral } from "../memory/writer";
import { MapId, Status } from "./abi";
import { proxy_continue_stream, proxy_http_call } from "./env";
import { nameAt, nameBytes, nextHeader, openHeaders, valueAt, valueBytes } from "./headers";

/** Texts of the configuration have bounds; the rest is ours. */
const HEADERS_ROOM: u32 = 2048;
const headers: Writer = allocateWriter(HEADERS_ROOM);
const BEARER: Literal = "Bearer ";
const tokenAt: usize = memory.data(4, 4);

/** What `postJson` gives when the proxy does not make the request: its cluster is not there. No token is like it. */
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
  clear(headers);
  writeWord(secretBytes == 0 ? 4 : 5);
  writeSize(":method");
  writeWord(4);
  writeSize(":path");
  writeWord(pathBytes);
  writeSize(":authority");
  writeWord(authorityBytes);
  writeSize("content-type");
  writeWord(literalBytes("application/json"));
  if (secretBytes != 0) {
    writeSize("authorization");
    writeWord(literalBytes(BEARER) + secretBytes);
  }
  writeText(":method");
  writeText("POST");
  writeText(":path");
  writeBytes(headers, path, pathBytes);
  writeByte(headers, 0);
  writeText(":authority");
  writeBytes(headers, authority, authorityBytes);
  writeByte(headers, 0);
  writeText("content-type");
  writeText("application/json");
  if (secretBytes != 0) {
    writeText("authorization");
    writeLiteral(headers, BEARER);
    writeBytes(headers, secret, secretBytes);
    writeByte(headers, 0);
  }
  const status = proxy_http_call(
    cluster,
    clusterBytes,
    headers.start,
    headers.length,
    body,
    bodyBytes,
    0,
    0,
    timeoutMs,
    tokenAt,
  );
  return status == Status.Ok && !headers.overflowed ? load<u32>(tokenAt) : NO_CALL; // SAFETY: the word is ours.
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

function writeText(text: Literal): void {
  writeLiteral(headers, text);
  writeByte(headers, 0);
}
