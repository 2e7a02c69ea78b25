// Local replies: what the proxy answers by itself, without the upstream.

import { Literal, literalBytes } from "../memory/bytes";
import { allocateWriter, clear, Writer, writeByte, writeBytes, writeLiteral, writeNumber } from "../memory/writer";
import { Status } from "./abi";
import { proxy_send_local_response } from "./env";

const HEADERS_ROOM: u32 = 256;
const headers: Writer = allocateWriter(HEADERS_ROOM);
const CONTENT_TYPE: Literal = "content-type";
const JSON_TYPE: Literal = "application/json";
/** Name and value of one more header, each with a NUL behind it; empty when there is none. */
const more: Writer = allocateWriter(HEADERS_ROOM / 2);
let moreNameBytes: u32 = 0;

/** Not a gRPC status (0 to 16): Envoy then adds none. */
const NO_GRPC_STATUS: u32 = u32.MAX_VALUE;

/** Gives the next reply one more header; its name is in lower case. */
export function setReplyHeader(name: Literal, value: Literal): void {
  beginReplyHeader(name);
  writeLiteral(more, value);
  writeByte(more, 0);
}

/** The same with a number for its value. */
export function setReplyNumber(name: Literal, value: u64): void {
  beginReplyHeader(name);
  writeNumber(more, value);
  writeByte(more, 0);
}

function beginReplyHeader(name: Literal): void {
  clear(more);
  writeLiteral(more, name);
  writeByte(more, 0);
  moreNameBytes = literalBytes(name);
}

/**
 * Answers the request of the effective context. `details` is what `%RESPONSE_CODE_DETAILS%` shows. The reply has
 * the header that `setReplyHeader` was given since the last one, if any. The body is JSON. False when the host refuses.
 */
export function sendReply(status: u32, details: Writer, body: Writer): bool {
  clear(headers);
  const hasMore = more.length != 0;
  writeWord(hasMore ? 2 : 1);
  writeSize(literalBytes(CONTENT_TYPE), literalBytes(JSON_TYPE));
  if (hasMore) writeSize(moreNameBytes, more.length - moreNameBytes - 2);
  writeLiteral(headers, CONTENT_TYPE);
  writeByte(headers, 0);
  writeLiteral(headers, JSON_TYPE);
  writeByte(headers, 0);
  writeBytes(headers, more.start, more.length);
  clear(more);
  return (
    proxy_send_local_response(
      status,
      details.start,
      details.length,
      body.start,
      body.length,
      headers.start,
      headers.length,
      NO_GRPC_STATUS,
    ) == Status.Ok
  );
}

function writeWord(value: u32): void {
  for (let shift: u32 = 0; shift < 32; shift += 8) writeByte(headers, (value >> shift) & 0xff);
}

function writeSize(nameBytes: u32, valueBytes: u32): void {
  writeWord(nameBytes);
  writeWord(valueBytes);
}
