// The walk through `arguments` with a policy's rules. The tool's name may come after its arguments, so every rule is
// followed whatever its tool, and what it broke is a bit; decide() asks for the bits of the tool that was named.
//
// Per rule one number: how many of its reference tokens lead to where the walk is. The reader reports only what lies on the
// way of some rule.

import { captureText, isInObject, Token } from "../json/reader";
import { ARGUMENT_RULES_MAX, URI_BYTES_MAX } from "../limits";
import { Envelope } from "../mcp/envelope";
import { UriFault } from "../uri/fault";
import { checkUri, Form } from "../uri/rules";
import {
  ArgumentRule,
  formOf,
  needsUriRules,
  ruleAllows,
  SEGMENTS_MAX,
  segmentIs,
  segmentIsElement,
} from "./argument-rule";
import { Policy } from "./policy";

@unmanaged
export class ArgumentWalk {
  /** Bits of the rules that a value has broken. */
  broken: u64;
  /** Depth of `arguments`. */
  base: u32;
  /** Address of how many tokens of each rule match, a byte each, and of the element at hand of each array. */
  matched: usize;
  elements: usize;
}

/** Bytes of a walk with what stands behind it. */
export const ARGUMENT_WALK_BYTES: u32 = u32(offsetof<ArgumentWalk>()) + ARGUMENT_RULES_MAX + ((SEGMENTS_MAX + 1) << 2);

/** Makes a walk ready; it has ARGUMENT_WALK_BYTES. */
export function initArgumentWalk(walk: ArgumentWalk): void {
  walk.elements = changetype<usize>(walk) + offsetof<ArgumentWalk>();
  walk.matched = walk.elements + (usize(SEGMENTS_MAX + 1) << 2);
  resetArgumentWalk(walk);
}

/** Forgets what was broken. */
export function resetArgumentWalk(walk: ArgumentWalk): void {
  walk.broken = 0;
  walk.base = 0;
}

/** Takes a token at which the envelope has stopped inside `arguments`. */
export function noteArgument(policy: Policy, walk: ArgumentWalk, envelope: Envelope): void {
  const reader = envelope.reader;
  const token = envelope.token;
  if (walk.base == 0) {
    walk.base = reader.depth;
    memory.fill(walk.matched, 0, ARGUMENT_RULES_MAX);
    return;
  }
  // How far the container of the token is below `arguments`.
  const depth = reader.depth - walk.base;
  if (token == Token.Key) {
    matchMember(policy, walk, envelope, depth);
    return;
  }
  if (token == Token.ObjectStart || token == Token.ArrayStart) {
    breakTargets(policy, walk, depth);
    // Only the inside of a container that some rule goes on into is reported.
    if (goesOn(policy, walk, depth)) {
      reader.reportDepth = reader.depth;
      setElement(walk, depth, 0);
      if (!isInObject(reader)) matchElement(policy, walk, envelope, depth);
      return;
    }
    reader.reportDepth = reader.depth - 1;
    return;
  }
  if (token == Token.ObjectEnd || token == Token.ArrayEnd) {
    reader.reportDepth = reader.depth;
  } else if (token == Token.String) {
    checkTargets(policy, walk, envelope, depth + 1);
  } else {
    breakTargets(policy, walk, depth + 1);
  }
  // In an object the next name sets anew what matches.
  if (isInObject(reader)) return;
  setElement(walk, depth, element(walk, depth) + 1);
  matchElement(policy, walk, envelope, depth);
}

function matchedAt(walk: ArgumentWalk, index: u32): usize {
  return walk.matched + index;
}

function matchedOf(walk: ArgumentWalk, index: u32): u32 {
  return u32(load<u8>(matchedAt(walk, index))); // SAFETY: index < ARGUMENT_RULES_MAX.
}

function setMatched(walk: ArgumentWalk, index: u32, count: u32): void {
  store<u8>(matchedAt(walk, index), count); // SAFETY: index < ARGUMENT_RULES_MAX.
}

function element(walk: ArgumentWalk, depth: u32): u32 {
  // SAFETY: depth < SEGMENTS_MAX: no rule goes on deeper.
  return load<u32>(walk.elements + (usize(min(depth, SEGMENTS_MAX)) << 2));
}

function setElement(walk: ArgumentWalk, depth: u32, value: u32): void {
  // SAFETY: as in `element`.
  store<u32>(walk.elements + (usize(min(depth, SEGMENTS_MAX)) << 2), value);
}

/** A member begins in the object at `depth`: which rules does its name lead on? */
function matchMember(policy: Policy, walk: ArgumentWalk, envelope: Envelope, depth: u32): void {
  const reader = envelope.reader;
  let index: u32 = 0;
  let rule = policy.argumentRules;
  while (rule !== null) {
    if (matchedOf(walk, index) >= depth) {
      const leads = rule.segmentCount > depth && segmentIs(rule, depth, reader.keyAt, reader.textBytes);
      setMatched(walk, index, depth + u32(leads));
    }
    index++;
    rule = rule.next;
  }
  captureForTargets(policy, walk, envelope, depth + 1);
}

/** An element may begin in the array at `depth`: which rules does it lead on? */
function matchElement(policy: Policy, walk: ArgumentWalk, envelope: Envelope, depth: u32): void {
  const at = element(walk, depth);
  let index: u32 = 0;
  let rule = policy.argumentRules;
  while (rule !== null) {
    if (matchedOf(walk, index) >= depth) {
      const leads = rule.segmentCount > depth && segmentIsElement(rule, depth, at);
      setMatched(walk, index, depth + u32(leads));
    }
    index++;
    rule = rule.next;
  }
  captureForTargets(policy, walk, envelope, depth + 1);
}

/** Whether the value at hand, reached by `count` tokens, is what the rule is about. */
function isTarget(rule: ArgumentRule, walk: ArgumentWalk, index: u32, count: u32): bool {
  return rule.segmentCount == count && matchedOf(walk, index) == count;
}

/** Whether some rule goes on into the container that `count` tokens have led to. */
function goesOn(policy: Policy, walk: ArgumentWalk, count: u32): bool {
  let index: u32 = 0;
  let rule = policy.argumentRules;
  while (rule !== null) {
    if (rule.segmentCount > count && matchedOf(walk, index) == count) return true;
    index++;
    rule = rule.next;
  }
  return false;
}

function captureForTargets(policy: Policy, walk: ArgumentWalk, envelope: Envelope, count: u32): void {
  let index: u32 = 0;
  let rule = policy.argumentRules;
  while (rule !== null) {
    if (isTarget(rule, walk, index, count)) {
      captureText(envelope.reader, envelope.entryAt, URI_BYTES_MAX);
      return;
    }
    index++;
    rule = rule.next;
  }
}

/** The string that has been captured stands where `count` tokens lead. Each form of the URI rules looks at it once. */
function checkTargets(policy: Policy, walk: ArgumentWalk, envelope: Envelope, count: u32): void {
  const at = envelope.entryAt;
  const bytes = envelope.reader.textBytes;
  let uriFault: UriFault = UriFault.Unchecked;
  let pathFault: UriFault = UriFault.Unchecked;
  let index: u32 = 0;
  let rule = policy.argumentRules;
  while (rule !== null) {
    if (isTarget(rule, walk, index, count)) {
      let isGood: bool = true;
      if (needsUriRules(rule)) {
        const isPath = formOf(rule) == Form.Path;
        let fault: UriFault = isPath ? pathFault : uriFault;
        if (fault == UriFault.Unchecked) fault = checkUri(at, bytes, policy.traversal, formOf(rule));
        if (isPath) pathFault = fault;
        else uriFault = fault;
        isGood = fault == UriFault.None;
      }
      if (!isGood || !ruleAllows(rule, at, bytes)) walk.broken |= rule.bit;
    }
    index++;
    rule = rule.next;
  }
}

/** A value of another type stands where `count` tokens lead: no rule is about it, so it may not stand there. */
function breakTargets(policy: Policy, walk: ArgumentWalk, count: u32): void {
  let index: u32 = 0;
  let rule = policy.argumentRules;
  while (rule !== null) {
    if (isTarget(rule, walk, index, count)) walk.broken |= rule.bit;
    index++;
    rule = rule.next;
  }
}
