// Characters that nobody sees, in the output: counted, and taken out or not, as `hidden_text` says.

import { ownBytes } from "../memory/buffer";
import { hiddenFound, isHiddenInName, stripHidden } from "../memory/hidden";
import { HiddenText, Policy } from "../policy/policy";
import { Frame, GONE } from "./frame";
import { Rewriter } from "./rewriter";

/** Whether a character that nobody sees stands in a member name of the announcement at hand. */
let isInName: bool = false;

/** Shows what hides in an announcement that stays. False when it does not stay. */
export function showText(rewriter: Rewriter, policy: Policy, frame: Frame): bool {
  // It has been held until now, so that it can be looked at as a whole.
  if (frame.at == GONE) return false;
  const take = policy.hiddenText == HiddenText.Strip;
  isInName = false;
  // Behind the name first, so that what stands in front of it keeps its place.
  let found = stripRange(rewriter, frame.at + frame.nameEnd, rewriter.out.length, take);
  if (frame.nameEnd != 0) found += stripRange(rewriter, frame.at, frame.at + frame.nameStart, take);
  if (isInName) {
    rewriter.hidden++;
    return false;
  }
  if (policy.hiddenText == HiddenText.Allow) return true;
  rewriter.hidden += found;
  return found == 0 || take;
}

/** Takes hidden characters out of a range of the output, or only counts them; gives how many there were. */
function stripRange(rewriter: Rewriter, from: u32, to: u32, take: bool): u32 {
  const out = rewriter.out;
  stripHidden(out.at + from, to - from, false);
  isInName = isInName || isHiddenInName;
  if (hiddenFound == 0 || !take) return hiddenFound;
  ownBytes(out);
  const length = stripHidden(out.at + from, to - from, true);
  const gap = to - from - length;
  if (gap != 0) {
    memory.copy(out.at + from + length, out.at + to, out.length - to);
    out.length -= gap;
  }
  return hiddenFound;
}
