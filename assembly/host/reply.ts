// Local replies: what the proxy answers by itself, without the upstream.

import { Literal, literalBytes } from "../memory/bytes";
import { allocateWriter, clear, Writer, writeByte, writeLiteral } from "../memory/writer";
import { Status } from "./abi";
import { proxy_send_local_response } from "./env";

const HEADERS_ROOM: u32 = 256;
const headers: Writer = allocateWriter(HEADERS_ROOM);

/** Not a gRPC status (0 to 16): Envoy then adds none. */
const NO_GRPC_STATUS: u32 = u32.MAX_VALUE;

/**
 * Answers the request of the effective context. `details` is what `%RESPONSE_CODE_DETAILS%` shows; `allow` is the value
 * of an Allow header (RFC 9110 section 10.2.1) or empty. The body is JSON. False when the host refuses.
 */
export function sendReply(status: u32, details: Writer, body: Writer, allow: Literal): bool {
  clear(headers);
  const count: u32 = literalBytes(allow) == 0 ? 1 : 2;
  writeWord(count);
  writeSizes("content-type", "application/json");
  if (count == 2) writeSizes("allow", allow);
  writePair("content-type", "application/json");
  if (count == 2) writePair("allow", allow);
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

function writeSizes(name: Literal, value: Literal): void {
  writeWord(literalBytes(name));
  writeWord(literalBytes(value));
}

function writePair(name: Literal, value: Literal): void {
  writeLiteral(headers, name);
  writeByte(headers, 0);
  writeLiteral(headers, value);
  writeByte(headers, 0);
}
