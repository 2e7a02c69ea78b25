// Characters that nobody sees, in the output: counted, and taken out or not, as `hidden_text` says.

import { hiddenFound, stripHidden } from "../memory/hidden";
import { HiddenText, Policy } from "../policy/policy";
import { Frame, GONE } from "./frame";
import { Rewriter } from "./rewriter";

/** Shows what hides in an announcement that stays. False when it does not stay. */
export function showText(rewriter: Rewriter, policy: Policy, frame: Frame): bool {
  if (policy.hiddenText == HiddenText.Allow || frame.at == GONE) return true;
  const take = policy.hiddenText == HiddenText.Strip;
  // Behind the name first, so that what stands in front of it keeps its place.
  let found = stripRange(rewriter, frame.at + frame.nameEnd, rewriter.out.length, take);
  if (frame.nameEnd != 0) found += stripRange(rewriter, frame.at, frame.at + frame.nameStart, take);
  rewriter.hidden += found;
  return found == 0 || take;
}

/** Takes hidden characters out of a range of the output, or only counts them; gives how many there were. */
function stripRange(rewriter: Rewriter, from: u32, to: u32, take: bool): u32 {
  const out = rewriter.out;
  const length = stripHidden(out.at + from, to - from, take);
  const gap = to - from - length;
  if (gap != 0) {
    memory.copy(out.at + from + length, out.at + to, out.length - to);
    out.length -= gap;
  }
  return hiddenFound;
}
