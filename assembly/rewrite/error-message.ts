// A JSON-RPC error in the place of a message (JSON-RPC 2.0 section 5.1).

import { appendByte, appendBytes, appendLiteral, Buffer } from "../memory/buffer";
import { infoOf, Reason } from "../policy/reason";

/** Appends a JSON-RPC error with the id of `idBytes` bytes at `idAt`, or without one. */
export function writeError(out: Buffer, reason: Reason, idAt: usize, idBytes: u32): void {
  const info = infoOf(reason);
  appendLiteral(out, '{"jsonrpc":"2.0"');
  if (idBytes != 0) {
    appendLiteral(out, ',"id":');
    appendBytes(out, idAt, idBytes);
  }
  appendLiteral(out, ',"error":{"code":-');
  appendNumber(out, u32(-info.code));
  appendLiteral(out, ',"message":"');
  appendLiteral(out, info.text);
  appendLiteral(out, '","data":{"reason":"');
  appendLiteral(out, info.name);
  appendLiteral(out, '"}}}');
}

function appendNumber(out: Buffer, value: u32): void {
  let divisor: u32 = 1;
  while (value / divisor >= 10) divisor *= 10;
  for (; divisor > 0; divisor /= 10) appendByte(out, 0x30 + ((value / divisor) % 10));
}
