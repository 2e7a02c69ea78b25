// `argument_rules`: what a policy says about one argument of one tool. The pointer (RFC 6901) names it; `-` in an array stands
// for each of its elements.

import { URI_BYTES_MAX } from "../limits";
import { equalBytes, equalsLiteral } from "../memory/bytes";
import { isPathUnder, isUnder } from "../uri/root";
import { Form } from "../uri/rules";
import { firstName, freeNameSet, hasName, NameSet, nameBytes, nextName } from "./name-set";

/** Reference tokens of the longest pointer. */
export const SEGMENTS_MAX: u32 = 8;

export const enum RuleKind {
  /** The rules for URIs, and one of `values` as a root when there are any. */
  Uri,
  /** The rules for paths, and one of `values` as a root when there are any. */
  Path,
  /** One of `values`. */
  Enum,
  /** At most `bytesMax` bytes. */
  MaxBytes,
}

@unmanaged
export class ArgumentRule {
  next: ArgumentRule | null;
  /** Its bit among the rules of the policy. */
  bit: u64;
  kind: RuleKind;
  toolAt: usize;
  toolBytes: u32;
  /** Reference tokens, unescaped; addresses of SEGMENTS_MAX pairs of address and length behind the record. */
  segmentCount: u32;
  values: NameSet | null;
  bytesMax: u32;
}

/** A rule with room for `textBytes` bytes of tool name and pointer behind it. Freed with `freeRule`. */
export function allocateRule(textBytes: u32): ArgumentRule {
  const bytes = textAt(changetype<ArgumentRule>(0)) + textBytes;
  const rule = changetype<ArgumentRule>(heap.alloc(bytes));
  memory.fill(changetype<usize>(rule), 0, bytes);
  return rule;
}

/** Frees a rule with its values. */
export function freeRule(rule: ArgumentRule): void {
  const values = rule.values;
  if (values !== null) freeNameSet(values);
  heap.free(changetype<usize>(rule));
}

/** Frees a rule and those behind it. */
export function freeArgumentRules(first: ArgumentRule | null): void {
  let rule = first;
  while (rule !== null) {
    const following = rule.next;
    freeRule(rule);
    rule = following;
  }
}

/** Address of the texts of a rule. */
export function textAt(rule: ArgumentRule): usize {
  return changetype<usize>(rule) + offsetof<ArgumentRule>() + (usize(SEGMENTS_MAX) << 3);
}

function pairAt(rule: ArgumentRule, index: u32): usize {
  return changetype<usize>(rule) + offsetof<ArgumentRule>() + (usize(index) << 3);
}

/** Sets reference token `index`. */
export function setSegment(rule: ArgumentRule, index: u32, address: usize, bytes: u32): void {
  store<u32>(pairAt(rule, index), u32(address)); // SAFETY: index < SEGMENTS_MAX.
  store<u32>(pairAt(rule, index), bytes, 4); // SAFETY: as above.
}

/** Address of reference token `index`. */
export function segmentAt(rule: ArgumentRule, index: u32): usize {
  return usize(load<u32>(pairAt(rule, index))); // SAFETY: index < segmentCount <= SEGMENTS_MAX.
}

/** Bytes of reference token `index`. */
export function segmentBytes(rule: ArgumentRule, index: u32): u32 {
  return load<u32>(pairAt(rule, index), 4); // SAFETY: index < segmentCount <= SEGMENTS_MAX.
}

/** Bytes of all reference tokens. */
export function pointerBytes(rule: ArgumentRule): u32 {
  let bytes: u32 = 0;
  for (let i: u32 = 0; i < rule.segmentCount; i++) bytes += segmentBytes(rule, i);
  return bytes;
}

/** Whether reference token `index` is this member name. */
export function segmentIs(rule: ArgumentRule, index: u32, name: usize, bytes: u32): bool {
  return segmentBytes(rule, index) == bytes && equalBytes(segmentAt(rule, index), name, bytes);
}

/** Whether reference token `index` stands for this element of an array. */
export function segmentIsElement(rule: ArgumentRule, index: u32, element: u32): bool {
  const address = segmentAt(rule, index);
  const bytes = segmentBytes(rule, index);
  if (equalsLiteral(address, bytes, "-")) return true;
  // RFC 6901 section 4: digits without a leading zero.
  if (bytes == 0 || bytes > 9) return false;
  let value: u32 = 0;
  for (let i: u32 = 0; i < bytes; i++) {
    // SAFETY: i < bytes.
    const digit = u32(load<u8>(address + i)) - 0x30;
    if (digit > 9 || (i == 0 && digit == 0 && bytes > 1)) return false;
    value = value * 10 + digit;
  }
  return value == element;
}

/** The rules that need the URI rules first, by form. */
export function formOf(rule: ArgumentRule): Form {
  return rule.kind == RuleKind.Path ? Form.Path : Form.Uri;
}

/** Whether the rule is about URIs or paths. */
export function needsUriRules(rule: ArgumentRule): bool {
  return rule.kind == RuleKind.Uri || rule.kind == RuleKind.Path;
}

/**
 * Whether a string may stand at the rule's place. `bytes` is its length; only the first URI_BYTES_MAX bytes of a longer one
 * stand at `address`. For a rule that `needsUriRules` the string has passed them.
 */
export function ruleAllows(rule: ArgumentRule, address: usize, bytes: u32): bool {
  if (rule.kind == RuleKind.MaxBytes) return bytes <= rule.bytesMax;
  if (bytes > URI_BYTES_MAX) return false;
  const values = rule.values;
  if (rule.kind == RuleKind.Enum) return values !== null && hasName(values, address, bytes);
  const isPath = rule.kind == RuleKind.Path;
  if (values === null) return true;
  for (let root = firstName(values); root != 0; root = nextName(values, root)) {
    if (isPath ? isPathUnder(root, nameBytes(root), address, bytes) : isUnder(root, nameBytes(root), address, bytes)) {
      return true;
    }
  }
  return false;
}
