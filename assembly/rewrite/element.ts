// Elements of the containers that are rebuilt: they begin, stay, or are left out with the separator in front of them.

import { isNamed, isRebuilt, ServerPlace } from "../mcp/server-place";
import { appendByte, appendLiteral } from "../memory/buffer";
import { addHint } from "../policy/hints";
import { Frame } from "./frame";
import { noteName } from "./named-list";
import { appendInstead } from "./replace";
import { copyTo, frameAt, Instead, Rewriter, truncate } from "./rewriter";

/** An element begins at `offset` of the text; the separators in front of it are left out. */
export function beginElement(rewriter: Rewriter, list: Frame, offset: u32): void {
  if (list.isInElement) {
    copyTo(rewriter, offset);
    return;
  }
  rewriter.copied = offset;
  list.isInElement = true;
  list.elementAt = rewriter.out.length;
  if (list.kept != 0) appendByte(rewriter.out, 0x2c);
}

/** After a value that stays: if it is an element, so does that. */
export function keepElement(rewriter: Rewriter, frame: Frame): void {
  const parent = frameAt(rewriter, rewriter.reader.depth);
  if (!isRebuilt(parent.place) || !parent.isInElement) return;
  parent.isInElement = false;
  parent.kept++;
  const hints = rewriter.hints;
  // Whatever becomes of the rest of the list: it only makes us stricter.
  if (hints !== null && frame.isDestructive) addHint(hints, frame.slot);
  if (isNamed(parent.place)) noteName(rewriter, parent, frame.slot);
}

/** Leaves out the element whose container has depth `depth`; its rest is not copied. */
export function dropElement(rewriter: Rewriter, depth: u32): void {
  const frame = frameAt(rewriter, depth);
  if (!truncate(rewriter, frame.at)) return;
  rewriter.removed++;
  startDropping(rewriter, frame, depth);
}

/** Leaves out a content block, and says so to whoever reads the result. */
export function replaceBlock(rewriter: Rewriter, depth: u32): void {
  const frame = frameAt(rewriter, depth);
  if (!truncate(rewriter, frame.at)) return;
  rewriter.removed++;
  frame.isReplaced = true;
  startDropping(rewriter, frame, depth);
}

function startDropping(rewriter: Rewriter, frame: Frame, depth: u32): void {
  frame.place = ServerPlace.Dropped;
  if (rewriter.announcedDepth >= depth) rewriter.announcedDepth = 0;
  rewriter.instead = Instead.Nothing;
  if (rewriter.reader.depth < depth) {
    // It has just ended.
    endDropped(rewriter, frame);
  } else {
    rewriter.dropDepth = depth;
  }
}

/** The container that was left out has ended. */
export function endDropped(rewriter: Rewriter, frame: Frame): void {
  const reader = rewriter.reader;
  rewriter.dropDepth = 0;
  rewriter.copied = reader.tokenEnd;
  const parent = frameAt(rewriter, reader.depth);
  const isElement = isRebuilt(parent.place);
  if (frame.isReplaced) {
    if (isElement && parent.kept != 0) appendByte(rewriter.out, 0x2c);
    appendLiteral(rewriter.out, '{"type":"text","text":"[removed by policy: uri_not_allowed]"}');
    if (isElement) parent.kept++;
  } else if (rewriter.instead != Instead.Nothing) {
    appendInstead(rewriter, rewriter.instead);
    rewriter.instead = Instead.Nothing;
  }
  parent.isInElement = false;
}
