// Values in whose place another one stands: how long and by whom a list may be kept, and an empty list for what is none.

import { Token } from "../json/reader";
import { appendBytes, appendLiteral } from "../memory/buffer";
import { copyTo, Instead, Rewriter, TTL_ROOM } from "./rewriter";

/** The longest time that a client may keep a list which is filtered for it (MCP 2026-07-28, caching). */
const TTL_MS_MAX: u32 = 60_000;

/** A scalar in whose place another value may stand has ended. */
export function replaceScalar(rewriter: Rewriter, token: Token): void {
  const reader = rewriter.reader;
  const instead = rewriter.instead;
  rewriter.instead = Instead.Nothing;
  if (instead == Instead.Ttl && token == Token.Number && isSmallEnough(rewriter)) {
    // What a chunk has cut off of it was left out already, and is here.
    if (!rewriter.isReplacing) {
      copyTo(rewriter, reader.tokenEnd);
      return;
    }
    rewriter.copied = reader.tokenEnd;
    appendBytes(rewriter.out, rewriter.text, min(reader.rawBytes, TTL_ROOM));
    return;
  }
  if (!rewriter.isReplacing) copyTo(rewriter, reader.tokenStart);
  rewriter.copied = reader.tokenEnd;
  appendInstead(rewriter, instead);
}

/** Appends what stands in the place of a value. */
export function appendInstead(rewriter: Rewriter, instead: Instead): void {
  switch (instead) {
    case Instead.Private:
      appendLiteral(rewriter.out, '"private"');
      break;
    case Instead.Ttl:
      appendLiteral(rewriter.out, "60000");
      break;
    default:
      appendLiteral(rewriter.out, "[]");
      break;
  }
}

/** Whether the number that was captured is at most TTL_MS_MAX. A longer one than fits is not read. */
function isSmallEnough(rewriter: Rewriter): bool {
  const bytes = rewriter.reader.rawBytes;
  if (bytes > TTL_ROOM) return false;
  let value: f64 = 0;
  let scale: i32 = 0;
  let exponent: i32 = 0;
  let isFraction = false;
  let isExponent = false;
  let isNegative = false;
  for (let i: u32 = 0; i < bytes; i++) {
    // SAFETY: i < bytes <= TTL_ROOM, which fits the text.
    const byte = u32(load<u8>(rewriter.text + i));
    const digit = byte - 0x30;
    if (byte == 0x2e) isFraction = true;
    else if (byte == 0x65 || byte == 0x45) isExponent = true;
    else if (byte == 0x2d && isExponent) isNegative = true;
    else if (byte == 0x2d) return true;
    else if (digit > 9) continue;
    else if (isExponent) exponent = min(exponent * 10 + i32(digit), 400);
    else {
      value = value * 10 + f64(digit);
      if (isFraction) scale--;
    }
  }
  scale += isNegative ? -exponent : exponent;
  for (; scale > 0 && value != 0 && value <= TTL_MS_MAX; scale--) value *= 10;
  for (; scale < 0 && value > TTL_MS_MAX; scale++) value /= 10;
  return value <= TTL_MS_MAX;
}
