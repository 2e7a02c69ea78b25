// Which tools a human must approve (the security standard's prefixes): by the words of their names, by the lists of the policy, and where people
// are asked by what servers say of their tools.
//
//   delete_repo   bulk-delete   repoDelete   lastUpdatedBy   v2execute     are flagged
//   undelete      get_repo      outdated     REPODELETE                    are not
//
// schema/flagged-names.json is the table that this, the command and the documentation are held to.

import { Grant, isExempt } from "./grant";
import { Hints, hasHint } from "./hints";
import { hasName, NameSet } from "./name-set";
import { Policy } from "./policy";

/** Whether a call of the tool needs a human's approval: it is in `approval.tools`, or has a flagged word, and is exempt neither for all nor by a rule. */
export function isFlagged(policy: Policy, grant: Grant | null, name: usize, bytes: u32): bool {
  if (isExempt(policy, grant, name, bytes)) return false;
  return isIn(policy.approvalTools, name, bytes) || hasFlaggedWord(name, bytes);
}

/**
 * Whether a call of the tool needs a human's approval because its server announces it as destructive, unless it is exempt. Hints
 * of a server only tighten (MCP 2025-11-25 and 2026-07-28, `ToolAnnotations`: they are not to be trusted), so there is no other one.
 */
export function isHinted(policy: Policy, grant: Grant | null, hints: Hints, name: usize, bytes: u32): bool {
  const tools = policy.allTools;
  if (tools === null || !hasHint(hints, tools, name, bytes)) return false;
  return !isExempt(policy, grant, name, bytes);
}

function isIn(names: NameSet | null, name: usize, bytes: u32): bool {
  return names !== null && hasName(names, name, bytes);
}

/** Whether a word of the name begins with `delete`, `update` or `execute`, in any letter case. */
export function hasFlaggedWord(name: usize, bytes: u32): bool {
  for (let i: u32 = 0; i < bytes; i++) {
    if (isWordStart(name, bytes, i) && isFlaggedAt(name + i, bytes - i)) return true;
  }
  return false;
}

/** A word begins where a letter follows what is none, a capital follows a small letter, or the last of several capitals comes before a small letter. */
function isWordStart(name: usize, bytes: u32, i: u32): bool {
  const letter = byteAt(name, i);
  if (!isLetter(letter)) return false;
  if (i == 0) return true;
  const before = byteAt(name, i - 1);
  if (!isLetter(before)) return true;
  if (!isCapital(letter)) return false;
  return !isCapital(before) || (i + 1 < bytes && isLetter(byteAt(name, i + 1)) && !isCapital(byteAt(name, i + 1)));
}

function isFlaggedAt(word: usize, bytes: u32): bool {
  // Six letters at least: as numbers, with the bit set that makes each a small one.
  if (bytes < 6) return false;
  let six: u64 = 0;
  for (let i: u32 = 0; i < 6; i++) six = (six << 8) | u64(byteAt(word, i) | 0x20);
  if (six == DELETE || six == UPDATE) return true;
  return six == EXECUT && bytes > 6 && (byteAt(word, 6) | 0x20) == 0x65;
}

const DELETE: u64 = 0x64656c657465;
const UPDATE: u64 = 0x757064617465;
const EXECUT: u64 = 0x657865637574;

function byteAt(name: usize, i: u32): u32 {
  return u32(load<u8>(name + i)); // SAFETY: every caller has i below the name's bytes.
}

function isLetter(byte: u32): bool {
  return (byte | 0x20) - 0x61 < 26;
}

function isCapital(byte: u32): bool {
  return byte - 0x41 < 26;
}
