// What one identity may beside what everybody may: the rules that it matches, found once per exchange, when its headers have come. The same grant
// decides calls and filters lists, so that what somebody sees is what they can call.
//
//   block:  | Grant | one bit for each rule of the policy: u64 words |

import { RULES_MAX } from "../limits";
import { hasName, NameSet } from "./name-set";
import { Policy } from "./policy";
import { addRulesOf, bitsOf, FactKind, factOf, isAmong, meet, RuleBits, Rules } from "./rules";

/** Null everywhere stands for an identity that matches no rule. */
@unmanaged
export class Grant {
  /** Those of the policy that the exchange began under. INVARIANT: a grant is not asked under another one. */
  rules: Rules;
  /** How many of them match. */
  count: u32;
  /** The guard's generation of that policy. */
  generation: u32;
}

function bitsAt(grant: Grant): usize {
  return changetype<usize>(grant) + ((offsetof<Grant>() + 7) & ~7);
}

// --- Which rules match ------------------------------------------------------------------------------------------------

/** One bit for each rule: whether the identity has what the selector asks for. */
const WORDS_MAX: u32 = RULES_MAX >> 6;
const BITS_BYTES: usize = usize(WORDS_MAX) << 3;
const matched: usize = memory.data(3 * (RULES_MAX >> 3), 8);

/** Begins to collect facts about an identity. */
export function beginMatch(): void {
  memory.fill(matched, 0, 3 * BITS_BYTES);
}

/** Notes that a fact holds for the identity: one look-up, whatever the number of rules. `kind`: Principal, Group or Workload. */
export function noteFact(rules: Rules, kind: FactKind, address: usize, bytes: u32): void {
  const fact = factOf(rules, kind, address, bytes);
  if (fact !== null) addRulesOf(rules, fact, matched + usize(kind - FactKind.Principal) * BITS_BYTES);
}

/** The rules all of whose selectors the facts match; null when there are none. The caller owns it: `heap.free`. */
export function endMatch(rules: Rules, generation: u32): Grant | null {
  let count: u32 = 0;
  for (let word: u32 = 0; word < rules.words; word++) count += u32(popcnt(matchedWord(rules, word)));
  if (count == 0) return null;
  const head = (offsetof<Grant>() + 7) & ~7;
  const grant = changetype<Grant>(heap.alloc(head + (usize(rules.words) << 3)));
  grant.rules = rules;
  grant.count = count;
  grant.generation = generation;
  for (let word: u32 = 0; word < rules.words; word++) {
    store<u64>(bitsAt(grant) + (usize(word) << 3), matchedWord(rules, word)); // SAFETY: word < words, for which there is room.
  }
  return grant;
}

/** A selector that is absent asks for nothing, and a rule has at least one that is there. */
function matchedWord(rules: Rules, word: u32): u64 {
  const at = usize(word) << 3;
  // SAFETY: word < words <= WORDS_MAX.
  const principals = load<u64>(bitsOf(rules, RuleBits.HasPrincipals) + at);
  const groups = load<u64>(bitsOf(rules, RuleBits.HasGroups) + at);
  const workloads = load<u64>(bitsOf(rules, RuleBits.HasWorkloads) + at);
  return (
    (principals | groups | workloads) &
    (load<u64>(matched + at) | ~principals) &
    (load<u64>(matched + BITS_BYTES + at) | ~groups) &
    (load<u64>(matched + 2 * BITS_BYTES + at) | ~workloads)
  );
}

/** The number of the first rule that matches and is not below `from`; `rules.count` when there is none. */
export function nextRule(grant: Grant, from: u32): u32 {
  const rules = grant.rules;
  let index = from;
  while (index < rules.count) {
    // SAFETY: index < count, so its word is there.
    const rest = load<u64>(bitsAt(grant) + (usize(index >> 6) << 3)) >> u64(index & 63);
    if (rest != 0) return index + u32(ctz(rest));
    index = (index | 63) + 1;
  }
  return rules.count;
}

// --- What they give ---------------------------------------------------------------------------------------------------

/** Whether the identity may call the tool and see it in lists. */
export function isToolListed(policy: Policy, grant: Grant | null, name: usize, bytes: u32): bool {
  return isIn(policy.tools, name, bytes) || isGranted(grant, FactKind.Tool, name, bytes);
}

/** Whether the identity may get the prompt and see it in lists. */
export function isPromptListed(policy: Policy, grant: Grant | null, name: usize, bytes: u32): bool {
  return isIn(policy.prompts, name, bytes) || isGranted(grant, FactKind.Prompt, name, bytes);
}

/** Whether calls of the tool need no human's approval when the identity makes them. */
export function isExempt(policy: Policy, grant: Grant | null, name: usize, bytes: u32): bool {
  if (isIn(policy.approvalExempt, name, bytes)) return true;
  if (grant === null) return false;
  const rules = grant.rules;
  return (
    meet(rules, bitsOf(rules, RuleBits.ApprovalOff), bitsAt(grant)) || isGranted(grant, FactKind.Exempt, name, bytes)
  );
}

function isGranted(grant: Grant | null, kind: FactKind, name: usize, bytes: u32): bool {
  if (grant === null) return false;
  const fact = factOf(grant.rules, kind, name, bytes);
  return fact !== null && isAmong(grant.rules, fact, bitsAt(grant));
}

function isIn(names: NameSet | null, name: usize, bytes: u32): bool {
  return names !== null && hasName(names, name, bytes);
}
