// `rules`: what identities may beside what everybody may. They are compiled into one index from facts to rules, so that what is asked per request
// depends on the identity and not on how many rules there are.
//
//   a fact       a kind and a text: a principal, a value of a claim, the beginning of a workload's id; a name that is listed
//   its rules    those that name it: their numbers { u16 }, or one bit for each rule where that is shorter
//   index:       | slot 0 .. slot n-1: { hash u64, fact u32, unused u32 } |   at most half full; a slot whose fact is 0 is empty

import { equalBytes } from "../memory/bytes";
import { sipHash } from "../memory/siphash";
import { firstName, freeNameSet, NameSet, nameBytes, nextName } from "./name-set";

/** What a fact is about. It separates the domains of the hash, so that no text of one kind is one of another. */
export const enum FactKind {
  /** Text: an issuer behind its length in four bytes, then the value. */
  Principal = 1,
  /** Text: the number of the claim in four bytes (`AskedClaim`), then the value. */
  Group,
  /** Text: a SPIFFE id, or its beginning up to the end of a segment. */
  Workload,
  Tool,
  Prompt,
  /** The name of a tool in `approval.exempt`. */
  Exempt,
}

/** One entry of `rules`. Its lists have at least one entry; one is null when its member is absent. */
@unmanaged
export class Rule {
  next: Rule | null;
  /** Its place in the list. */
  index: u32;
  /** The texts of facts (`FactKind`). */
  principals: NameSet | null;
  groups: NameSet | null;
  workloads: NameSet | null;
  tools: NameSet | null;
  prompts: NameSet | null;
  roots: NameSet | null;
  /** `approval`: `exempt`, or else `mode: off`. */
  exempt: NameSet | null;
  approvalOff: bool;
}

/** A claim that groups name: it is read from tokens of this issuer. */
@unmanaged
export class AskedClaim {
  next: AskedClaim | null;
  /** What stands in front of the values in facts. */
  index: u32;
  issuerAt: usize;
  issuerBytes: u32;
  claimAt: usize;
  claimBytes: u32;
}

@unmanaged
export class Rules {
  first: Rule | null;
  last: Rule | null;
  count: u32;
  claims: AskedClaim | null;
  claimCount: u32;

  // --- Made by `indexRules`. ---
  /** Words of 64 bits that have one bit for each rule. */
  words: u32;
  /** Bits of the rules that have the selector, and of those with `approval: {mode: off}`: four times `words`, in this order. */
  bits: usize;
  /** Addresses of the rules, by their index. */
  byIndex: usize;
  slots: usize;
  /** A power of two. INVARIANT: facts <= slotCount / 2. */
  slotCount: u32;
  facts: usize;
  references: usize;
}

/** Which bits of `Rules.bits`. */
export const enum RuleBits {
  HasPrincipals,
  HasGroups,
  HasWorkloads,
  ApprovalOff,
  Count,
}

/** One fact, with its text behind it. */
@unmanaged
export class Fact {
  kind: FactKind;
  bytes: u32;
  /** How many rules name it; while the index is made, how many of them are noted. */
  count: u32;
  noted: u32;
  /** Their numbers, or bits. */
  rulesAt: usize;
}

const SLOT_BYTES: usize = 16;

/** Rules of which there are none yet. Freed with `freeRules`. */
export function allocateRules(): Rules {
  const rules = changetype<Rules>(heap.alloc(offsetof<Rules>()));
  memory.fill(changetype<usize>(rules), 0, offsetof<Rules>());
  return rules;
}

/** Adds a rule that selects nobody. */
export function addRule(rules: Rules): Rule {
  const rule = changetype<Rule>(heap.alloc(offsetof<Rule>()));
  memory.fill(changetype<usize>(rule), 0, offsetof<Rule>());
  rule.index = rules.count++;
  const last = rules.last;
  if (last === null) rules.first = rule;
  else last.next = rule;
  rules.last = rule;
  return rule;
}

/** The number of a claim of the tokens of an issuer, which is noted when it is new. */
export function askedClaim(rules: Rules, issuer: usize, issuerBytes: u32, claim: usize, claimBytes: u32): u32 {
  let asked = rules.claims;
  while (asked !== null) {
    if (
      asked.issuerBytes == issuerBytes &&
      asked.claimBytes == claimBytes &&
      equalBytes(asked.issuerAt, issuer, issuerBytes) &&
      equalBytes(asked.claimAt, claim, claimBytes)
    ) {
      return asked.index;
    }
    asked = asked.next;
  }
  const address = heap.alloc(offsetof<AskedClaim>() + issuerBytes + claimBytes);
  const fresh = changetype<AskedClaim>(address);
  fresh.issuerAt = address + offsetof<AskedClaim>();
  fresh.issuerBytes = issuerBytes;
  fresh.claimAt = fresh.issuerAt + issuerBytes;
  fresh.claimBytes = claimBytes;
  memory.copy(fresh.issuerAt, issuer, issuerBytes);
  memory.copy(fresh.claimAt, claim, claimBytes);
  fresh.index = rules.claimCount++;
  fresh.next = rules.claims;
  rules.claims = fresh;
  return fresh.index;
}

/** The claim with this number, or null. */
export function claimOf(rules: Rules, index: u32): AskedClaim | null {
  let asked = rules.claims;
  while (asked !== null && asked.index != index) asked = asked.next;
  return asked;
}

/** Frees rules with all that they own. */
export function freeRules(rules: Rules): void {
  let rule = rules.first;
  while (rule !== null) {
    const after = rule.next;
    freeNames(rule.principals);
    freeNames(rule.groups);
    freeNames(rule.workloads);
    freeNames(rule.tools);
    freeNames(rule.prompts);
    freeNames(rule.roots);
    freeNames(rule.exempt);
    heap.free(changetype<usize>(rule));
    rule = after;
  }
  let asked = rules.claims;
  while (asked !== null) {
    const after = asked.next;
    heap.free(changetype<usize>(asked));
    asked = after;
  }
  freeBlock(rules.bits);
  freeBlock(rules.byIndex);
  freeBlock(rules.slots);
  freeBlock(rules.facts);
  freeBlock(rules.references);
  heap.free(changetype<usize>(rules));
}

function freeNames(names: NameSet | null): void {
  if (names !== null) freeNameSet(names);
}

function freeBlock(address: usize): void {
  if (address != 0) heap.free(address);
}

// --- The index --------------------------------------------------------------------------------------------------------

/** Names of all lists together, and bytes of the facts that they become; filled by `measure`. */
let names: u32 = 0;
let factBytes: u32 = 0;
/** Where the next fact goes. */
let nextFact: usize = 0;

/** Makes the index of rules that are complete. */
export function indexRules(rules: Rules): void {
  rules.words = (rules.count + 63) >> 6;
  rules.bits = zeros(usize(rules.words) << 5);
  rules.byIndex = zeros(usize(rules.count) << 2);
  names = 0;
  factBytes = 0;
  let rule = rules.first;
  while (rule !== null) {
    store<u32>(rules.byIndex + (usize(rule.index) << 2), u32(changetype<usize>(rule))); // SAFETY: index < count.
    if (rule.principals !== null) setBit(bitsOf(rules, RuleBits.HasPrincipals), rule.index);
    if (rule.groups !== null) setBit(bitsOf(rules, RuleBits.HasGroups), rule.index);
    if (rule.workloads !== null) setBit(bitsOf(rules, RuleBits.HasWorkloads), rule.index);
    if (rule.approvalOff) setBit(bitsOf(rules, RuleBits.ApprovalOff), rule.index);
    for (let kind: i32 = FactKind.Principal; kind <= FactKind.Exempt; kind++) measure(namesOfKind(rule, kind));
    rule = rule.next;
  }
  rules.slotCount = 4;
  while (rules.slotCount < names << 1) rules.slotCount <<= 1;
  rules.slots = zeros(usize(rules.slotCount) * SLOT_BYTES);
  rules.facts = zeros(factBytes);
  nextFact = rules.facts;
  rule = rules.first;
  while (rule !== null) {
    for (let kind: i32 = FactKind.Principal; kind <= FactKind.Exempt; kind++) {
      addFacts(rules, kind, namesOfKind(rule, kind));
    }
    rule = rule.next;
  }
  placeReferences(rules);
  rule = rules.first;
  while (rule !== null) {
    for (let kind: i32 = FactKind.Principal; kind <= FactKind.Exempt; kind++) {
      refer(rules, kind, namesOfKind(rule, kind), rule.index);
    }
    rule = rule.next;
  }
}

/** The list of a rule that becomes facts of this kind. */
function namesOfKind(rule: Rule, kind: FactKind): NameSet | null {
  switch (kind) {
    case FactKind.Principal:
      return rule.principals;
    case FactKind.Group:
      return rule.groups;
    case FactKind.Workload:
      return rule.workloads;
    case FactKind.Tool:
      return rule.tools;
    case FactKind.Prompt:
      return rule.prompts;
    default:
      return rule.exempt;
  }
}

function zeros(bytes: usize): usize {
  const block = heap.alloc(bytes);
  memory.fill(block, 0, bytes);
  return block;
}

function measure(set: NameSet | null): void {
  if (set === null) return;
  names += set.entries;
  for (let name = firstName(set); name != 0; name = nextName(set, name)) factBytes += roomOf(nameBytes(name));
}

/** Bytes of a fact with its text, up to where the next one may begin. */
function roomOf(bytes: u32): u32 {
  return (u32(offsetof<Fact>()) + bytes + 3) & ~3;
}

function addFacts(rules: Rules, kind: FactKind, set: NameSet | null): void {
  if (set === null) return;
  for (let name = firstName(set); name != 0; name = nextName(set, name)) {
    const bytes = nameBytes(name);
    const hash = sipHash(name, bytes, kind);
    const slot = find(rules, kind, hash, name, bytes);
    // SAFETY: `find` gives the address of a slot; the facts have been measured.
    if (load<u32>(slot, 8) == 0) {
      store<u64>(slot, hash);
      store<u32>(slot, u32(nextFact), 8);
      const fact = changetype<Fact>(nextFact);
      fact.kind = kind;
      fact.bytes = bytes;
      memory.copy(nextFact + offsetof<Fact>(), name, bytes);
      nextFact += roomOf(bytes);
    }
    changetype<Fact>(usize(load<u32>(slot, 8))).count++;
  }
}

/** Gives each fact room for its rules: two bytes for each, or a bit for every rule there is, whichever is less. */
function placeReferences(rules: Rules): void {
  let room: usize = 0;
  for (let at = rules.facts; at < nextFact; at += roomOf(changetype<Fact>(at).bytes)) {
    room += referenceBytes(rules, changetype<Fact>(at));
  }
  rules.references = zeros(room);
  let free = rules.references;
  for (let at = rules.facts; at < nextFact; at += roomOf(changetype<Fact>(at).bytes)) {
    const fact = changetype<Fact>(at);
    fact.rulesAt = free;
    free += referenceBytes(rules, fact);
  }
}

/** A multiple of eight, so that words of bits are aligned. */
function referenceBytes(rules: Rules, fact: Fact): usize {
  return hasBits(rules, fact) ? usize(rules.words) << 3 : ((usize(fact.count) << 1) + 7) & ~7;
}

/** Whether the rules of a fact stand as bits. */
function hasBits(rules: Rules, fact: Fact): bool {
  return fact.count << 1 > rules.words << 3;
}

function refer(rules: Rules, kind: FactKind, set: NameSet | null, index: u32): void {
  if (set === null) return;
  for (let name = firstName(set); name != 0; name = nextName(set, name)) {
    const fact = factOf(rules, kind, name, nameBytes(name));
    if (fact === null) continue;
    if (hasBits(rules, fact)) {
      setBit(fact.rulesAt, index);
    } else {
      store<u16>(fact.rulesAt + (usize(fact.noted) << 1), u16(index)); // SAFETY: noted < count, for which there is room.
    }
    fact.noted++;
  }
}

/** Address of the slot with this fact, or of the empty one where it belongs. */
function find(rules: Rules, kind: FactKind, hash: u64, address: usize, bytes: u32): usize {
  const mask = rules.slotCount - 1;
  let index = u32(hash) & mask;
  // Ends: at most half of the slots are taken.
  while (true) {
    const slot = rules.slots + usize(index) * SLOT_BYTES;
    // SAFETY: index <= mask < slotCount.
    const found = usize(load<u32>(slot, 8));
    if (found == 0) return slot;
    const fact = changetype<Fact>(found);
    if (
      load<u64>(slot) == hash &&
      fact.kind == kind &&
      fact.bytes == bytes &&
      equalBytes(found + offsetof<Fact>(), address, bytes)
    ) {
      return slot;
    }
    index = (index + 1) & mask;
  }
}

/** The fact of this kind with this text, or null when no rule names it. */
export function factOf(rules: Rules, kind: FactKind, address: usize, bytes: u32): Fact | null {
  // SAFETY: `find` gives the address of a slot.
  return changetype<Fact | null>(usize(load<u32>(find(rules, kind, sipHash(address, bytes, kind), address, bytes), 8)));
}

/** Address of bits of the rules. */
export function bitsOf(rules: Rules, which: RuleBits): usize {
  return rules.bits + ((usize(which) * rules.words) << 3);
}

/** The rule with this number, which is below `count`. */
export function ruleAt(rules: Rules, index: u32): Rule {
  return changetype<Rule>(usize(load<u32>(rules.byIndex + (usize(index) << 2)))); // SAFETY: index < count.
}

/** Sets bit `index` of the words at `bits`. */
function setBit(bits: usize, index: u32): void {
  const word = bits + (usize(index >> 6) << 3);
  store<u64>(word, load<u64>(word) | (u64(1) << u64(index & 63))); // SAFETY: index is below the number of rules, which has a bit each.
}

/** Adds the rules that name the fact to the words at `bits`. */
export function addRulesOf(rules: Rules, fact: Fact, bits: usize): void {
  if (!hasBits(rules, fact)) {
    for (let i: u32 = 0; i < fact.count; i++) {
      setBit(bits, u32(load<u16>(fact.rulesAt + (usize(i) << 1)))); // SAFETY: i < count.
    }
    return;
  }
  for (let at: usize = 0; at < usize(rules.words) << 3; at += 8) {
    store<u64>(bits + at, load<u64>(bits + at) | load<u64>(fact.rulesAt + at)); // SAFETY: both have `words` words.
  }
}

/** Whether one of the rules that name the fact has its bit in the words at `bits`. */
export function isAmong(rules: Rules, fact: Fact, bits: usize): bool {
  if (hasBits(rules, fact)) return meet(rules, fact.rulesAt, bits);
  for (let i: u32 = 0; i < fact.count; i++) {
    const index = u32(load<u16>(fact.rulesAt + (usize(i) << 1))); // SAFETY: i < count.
    // SAFETY: index is below the number of rules.
    if ((load<u64>(bits + (usize(index >> 6) << 3)) >> u64(index & 63)) & 1) return true;
  }
  return false;
}

/** Whether a rule has its bit in both. */
export function meet(rules: Rules, left: usize, right: usize): bool {
  for (let at: usize = 0; at < usize(rules.words) << 3; at += 8) {
    if ((load<u64>(left + at) & load<u64>(right + at)) != 0) return true; // SAFETY: both have `words` words.
  }
  return false;
}
