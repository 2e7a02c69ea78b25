// Lists of tools and prompts: each name may stand there once, so their elements are held until the list has ended.

import { ServerPlace } from "../mcp/server-place";
import { appendByte, appendZeros, Buffer, emptyBuffer, ownBytes } from "../memory/buffer";
import { NameSet } from "../policy/name-set";
import { Policy } from "../policy/policy";
import { Reason } from "../policy/reason";
import { Frame } from "./frame";
import { fail, Rewriter } from "./rewriter";

const RECORD_BYTES: u32 = 12;

/** The names that the policy lists for the elements of `list`, for anybody; or null. */
export function namesOf(policy: Policy, list: ServerPlace): NameSet | null {
  return list == ServerPlace.Tools ? policy.allTools : policy.allPrompts;
}

/** A list of tools or prompts has begun. */
export function beginNames(rewriter: Rewriter, policy: Policy, place: ServerPlace): void {
  emptyBuffer(rewriter.elements);
  emptyBuffer(rewriter.seen);
  const set = namesOf(policy, place);
  if (set === null) return;
  appendZeros(rewriter.seen, set.slotCount);
}

/** Notes an element that stays, and whether its name has been there before. */
export function noteName(rewriter: Rewriter, list: Frame, slot: u32): void {
  const seen = rewriter.seen;
  // SAFETY: a kept element has a slot of the set that sized `seen`.
  const times = u32(load<u8>(seen.at + slot));
  store<u8>(seen.at + slot, min(times + 1, 2));
  if (list.isFlowing) {
    // The first of the two is out.
    if (times != 0) fail(rewriter, Reason.ResponseInvalid);
    return;
  }
  appendWord(rewriter.elements, list.elementAt);
  appendWord(rewriter.elements, rewriter.out.length);
  appendWord(rewriter.elements, slot);
}

function appendWord(buffer: Buffer, value: u32): void {
  for (let shift: u32 = 0; shift < 32; shift += 8) appendByte(buffer, (value >> shift) & 0xff);
}

/** Takes out every element whose name stands in the list more than once. */
export function endNames(rewriter: Rewriter, list: Frame): void {
  if (list.isFlowing) return;
  const out = rewriter.out;
  const elements = rewriter.elements;
  ownBytes(out);
  let to = list.at;
  let kept: u32 = 0;
  for (let at: u32 = 0; at < elements.length; at += RECORD_BYTES) {
    // SAFETY: `elements` consists of whole records; each range lies in the output, in order.
    const record = elements.at + at;
    let from = load<u32>(record);
    const until = load<u32>(record, 4);
    if (u32(load<u8>(rewriter.seen.at + load<u32>(record, 8))) > 1) {
      rewriter.removed++;
      continue;
    }
    // The first that stays has no separator in front of it.
    if (kept == 0 && u32(load<u8>(out.at + from)) == 0x2c) from++;
    memory.copy(out.at + to, out.at + from, until - from);
    to += until - from;
    kept++;
  }
  out.length = to;
  list.kept = kept;
  emptyBuffer(elements);
}

/** The first `bytes` bytes of the output have gone out. */
export function shiftElements(rewriter: Rewriter, bytes: u32): void {
  const elements = rewriter.elements;
  for (let at: u32 = 0; at < elements.length; at += RECORD_BYTES) {
    const record = elements.at + at;
    // SAFETY: whole records, and what goes out lies in front of the list that they are of.
    store<u32>(record, load<u32>(record) - bytes);
    store<u32>(record, load<u32>(record, 4) - bytes, 4);
  }
}
