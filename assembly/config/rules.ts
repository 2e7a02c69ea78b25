// `rules`: what identities may beside what everybody may. A rule only adds, so that nobody loses anything to a rule about somebody else: one that
// adds nothing is a mistake, and so is one about everybody.

import { JsonReader, Token } from "../json/reader";
import {
  ASKED_CLAIMS_MAX,
  CLAIM_BYTES_MAX,
  NAME_BYTES_MAX,
  ROOT_BYTES_MAX,
  ROOTS_MAX,
  RULES_MAX,
  SELECTOR_ENTRIES_MAX,
  SELECTOR_TEXT_MAX,
  SPIFFE_ID_BYTES_MAX,
  WORKLOAD_SEGMENTS_MAX,
} from "../limits";
import { equalBytes, Literal } from "../memory/bytes";
import { allocateIdentity, Identity } from "../policy/identity";
import {
  addName,
  allocateNameSet,
  firstName,
  freeNameSet,
  hasName,
  NameSet,
  nameBytes,
  nextName,
  packed,
  withRoom,
} from "../policy/name-set";
import { Policy } from "../policy/policy";
import { addRule, allocateRules, askedClaim, claimOf, indexRules, Rule, Rules } from "../policy/rules";
import { pathSegments } from "../policy/workload";
import { isUnder } from "../uri/root";
import { readPlain } from "./identity";
import { enterElement, enterMember, expected, leavePath, placeAtHand, told } from "./problem";
import { checkRoots } from "./roots";
import { Member, nextElement, nextMember, readNames, readStart, readWord, textAt, textBytes } from "./values";

const KNOWN = "principals groups workloads tool_allowlist prompt_allowlist resource_roots approval";
const KNOWN_ENTRY = "issuer value claim";
const KNOWN_APPROVAL = "mode exempt";
const RULE: Literal = "an object with principals, groups or workloads, and what they may";
const PRINCIPAL: Literal = "an object with issuer and value";
const GROUP: Literal = "an object with issuer, claim and value";
const WORKLOAD: Literal = "the beginning of a SPIFFE id, like spiffe://cluster.local/ns/agents, of at most 16 segments";
const HAD: Literal = "found only what everybody gets already: a rule adds and cannot narrow";

// The texts of the entry at hand.
const issuerAt: usize = memory.data(SELECTOR_TEXT_MAX, 4);
const claimAt: usize = memory.data(CLAIM_BYTES_MAX, 4);
const valueAt: usize = memory.data(SELECTOR_TEXT_MAX, 4);
let issuerBytes: u32 = 0;
let claimBytes: u32 = 0;
let valueBytes: u32 = 0;
/** The text of its fact (policy/rules.ts). */
const factAt: usize = memory.data(4 + 2 * SELECTOR_TEXT_MAX, 4);

/** Reads the list into `policy`, which owns it from then on; `finishRules` must follow. False when the problem has been told. */
export function readRules(reader: JsonReader, policy: Policy): bool {
  if (!readStart(reader, Token.ArrayStart, "a list of objects with principals, groups or workloads")) return false;
  const rules = allocateRules();
  policy.rules = rules;
  const place = placeAtHand();
  while (true) {
    const token = nextElement(reader, rules.count, place);
    if (token == Token.ArrayEnd) return rules.count != 0 || told("found an empty list, expected at least one rule");
    if (rules.count == RULES_MAX) return told("the list has too many entries, expected at most 1024");
    if (token != Token.ObjectStart) return expected(reader, token, textAt, textBytes, RULE);
    if (!readRule(reader, rules, addRule(rules))) return false;
  }
}

function readRule(reader: JsonReader, rules: Rules, rule: Rule): bool {
  const place = placeAtHand();
  while (true) {
    const index = nextMember(reader, KNOWN, place);
    if (index == Member.End) break;
    if (index == Member.Bad || !readMember(reader, rules, rule, index)) return false;
  }
  if (rule.principals === null && rule.groups === null && rule.workloads === null) {
    return told(
      "found no selector, expected principals, groups or workloads: what everybody gets stands in the lists of the policy",
    );
  }
  const adds =
    rule.tools !== null || rule.prompts !== null || rule.roots !== null || rule.exempt !== null || rule.approvalOff;
  return (
    adds || told("found nothing that it adds, expected tool_allowlist, prompt_allowlist, resource_roots or approval")
  );
}

function readMember(reader: JsonReader, rules: Rules, rule: Rule, index: i32): bool {
  switch (index) {
    case 0:
      rule.principals = readSelector(reader, null, PRINCIPAL);
      return rule.principals !== null;
    case 1:
      rule.groups = readSelector(reader, rules, GROUP);
      return rule.groups !== null;
    case 2:
      rule.workloads = readList(reader, SPIFFE_ID_BYTES_MAX, WORKLOAD, SELECTOR_ENTRIES_MAX);
      return areWorkloads(rule.workloads);
    case 3:
      rule.tools = readList(reader, NAME_BYTES_MAX, "a tool name of 1 to 256 bytes", u32.MAX_VALUE);
      return rule.tools !== null;
    case 4:
      rule.prompts = readList(reader, NAME_BYTES_MAX, "a prompt name of 1 to 256 bytes", u32.MAX_VALUE);
      return rule.prompts !== null;
    case 5: {
      const roots = readList(reader, ROOT_BYTES_MAX, "an absolute URI of 1 to 1024 bytes", ROOTS_MAX);
      rule.roots = roots;
      return roots !== null && checkRoots(roots, true);
    }
    default:
      return readApproval(reader, rule);
  }
}

/** A list of 1 to `most` strings, in no more memory than it needs. Null when the problem has been told. */
function readList(reader: JsonReader, bytesMax: u32, what: Literal, most: u32): NameSet | null {
  const names = readNames(reader, bytesMax, what);
  if (names === null) return null;
  if (isCounted(names.entries, most)) return packed(names);
  freeNameSet(names);
  return null;
}

function isCounted(entries: u32, most: u32): bool {
  if (entries == 0) return told("found an empty list, expected at least one entry");
  if (entries <= most) return true;
  return told(
    most == ROOTS_MAX
      ? "the list has too many entries, expected at most 256"
      : "the list has too many entries, expected at most 1024",
  );
}

function areWorkloads(ids: NameSet | null): bool {
  if (ids === null) return false;
  let index: u32 = 0;
  for (let id = firstName(ids); id != 0; id = nextName(ids, id)) {
    const before = enterElement(index);
    const segments = pathSegments(id, nameBytes(id));
    if (segments == 0 || segments > WORKLOAD_SEGMENTS_MAX) {
      return told(
        "expected the beginning of a SPIFFE id, like spiffe://cluster.local/ns/agents, of at most 16 segments",
      );
    }
    leavePath(before);
    index++;
  }
  return true;
}

// --- Principals and groups: the texts of facts ------------------------------------------------------------------------

/** The entries of `principals`, or of `groups` when there are `rules` to note claims in. Null when the problem has been told. */
function readSelector(reader: JsonReader, rules: Rules | null, what: Literal): NameSet | null {
  if (!readStart(reader, Token.ArrayStart, "a list of objects with issuer and value")) return null;
  const place = placeAtHand();
  let facts = allocateNameSet(4, 256);
  while (true) {
    const token = nextElement(reader, facts.entries, place);
    if (token == Token.ArrayEnd) break;
    const bytes =
      facts.entries == SELECTOR_ENTRIES_MAX
        ? tooMany()
        : token == Token.ObjectStart
          ? readEntry(reader, rules)
          : none(expected(reader, token, textAt, textBytes, what));
    if (bytes != 0) facts = withRoom(facts, bytes);
    if (bytes == 0 || !isAdded(facts, bytes)) {
      freeNameSet(facts);
      return null;
    }
  }
  if (facts.entries != 0) return packed(facts);
  told("found an empty list, expected at least one entry");
  freeNameSet(facts);
  return null;
}

function isAdded(facts: NameSet, bytes: u32): bool {
  return addName(facts, factAt, bytes) || told("found the same entry a second time, expected distinct ones");
}

function tooMany(): u32 {
  return none(told("the list has too many entries, expected at most 1024"));
}

/** The bytes of a fact that could not be read. */
function none(_isTold: bool): u32 {
  return 0;
}

/** Reads the object at hand. Bytes of the text of its fact; 0 when the problem has been told. */
function readEntry(reader: JsonReader, rules: Rules | null): u32 {
  issuerBytes = 0;
  claimBytes = 0;
  valueBytes = 0;
  const place = placeAtHand();
  while (true) {
    const index = nextMember(reader, rules === null ? "issuer value" : KNOWN_ENTRY, place);
    if (index == Member.End) break;
    if (index == Member.Bad || !readText(reader, index)) return 0;
  }
  if (issuerBytes == 0) return none(told("found no issuer, expected who vouches for the value"));
  if (rules !== null && claimBytes == 0) return none(told("found no claim, expected the name of a claim of the token"));
  if (valueBytes == 0) return none(told("found no value, expected the one that the identity must have"));
  return rules === null ? principalFact() : groupFact(rules);
}

function readText(reader: JsonReader, index: i32): bool {
  if (index == 2) {
    if (!readPlain(reader, CLAIM_BYTES_MAX, "a claim's name of 1 to 128 bytes without controls")) return false;
    claimBytes = textBytes;
    memory.copy(claimAt, textAt, textBytes);
    return true;
  }
  // What has controls is no principal and no claim (memory/text.ts), so that it would match nobody.
  const what =
    index == 0 ? "an issuer of 1 to 512 bytes without controls" : "a value of 1 to 512 bytes without controls";
  if (!readPlain(reader, SELECTOR_TEXT_MAX, what)) return false;
  memory.copy(index == 0 ? issuerAt : valueAt, textAt, textBytes);
  if (index == 0) issuerBytes = textBytes;
  else valueBytes = textBytes;
  return true;
}

function principalFact(): u32 {
  store<u32>(factAt, issuerBytes); // SAFETY: there is room for the number and both texts.
  memory.copy(factAt + 4, issuerAt, issuerBytes);
  memory.copy(factAt + 4 + issuerBytes, valueAt, valueBytes);
  return 4 + issuerBytes + valueBytes;
}

function groupFact(rules: Rules): u32 {
  const claim = askedClaim(rules, issuerAt, issuerBytes, claimAt, claimBytes);
  if (claim >= ASKED_CLAIMS_MAX) {
    return none(
      told("found one claim more than rules can ask for, expected at most 16 different ones with their issuers"),
    );
  }
  store<u32>(factAt, claim); // SAFETY: as above.
  memory.copy(factAt + 4, valueAt, valueBytes);
  return 4 + valueBytes;
}

// --- Approval ---------------------------------------------------------------------------------------------------------

/** Everything else that `approval` knows would narrow. */
function readApproval(reader: JsonReader, rule: Rule): bool {
  if (!readStart(reader, Token.ObjectStart, "an object with mode: off or exempt")) return false;
  const place = placeAtHand();
  while (true) {
    const index = nextMember(reader, KNOWN_APPROVAL, place);
    if (index == Member.End) break;
    if (index == Member.Bad) return false;
    if (index == 0) {
      if (readWord(reader, "off") < 0) return false;
      rule.approvalOff = true;
    } else {
      rule.exempt = readList(reader, NAME_BYTES_MAX, "a tool name of 1 to 256 bytes", u32.MAX_VALUE);
      if (rule.exempt === null) return false;
    }
  }
  if (rule.approvalOff && rule.exempt !== null) {
    return told("found mode: off with exempt, expected one of them without the other");
  }
  return rule.approvalOff || rule.exempt !== null || told("found no member, expected mode: off or exempt");
}

// --- When the whole configuration has been read -----------------------------------------------------------------------

/** Holds the rules against what everybody gets, and makes them ready. False when the problem has been told. */
export function finishRules(policy: Policy): bool {
  const rules = policy.rules;
  policy.allTools = policy.tools;
  policy.allPrompts = policy.prompts;
  if (rules === null) return true;
  const before = enterMember("rules");
  let rule = rules.first;
  while (rule !== null) {
    const element = enterElement(rule.index);
    if (!haveKnownIssuers(policy.identity, rules, rule.groups) || !adds(policy, rule)) return false;
    leavePath(element);
    rule = rule.next;
  }
  leavePath(before);
  // Peers need no member to say who they are.
  if (policy.identity === null) {
    const identity = allocateIdentity();
    identity.isImplied = true;
    policy.identity = identity;
  }
  policy.allTools = united(policy.tools, rules, true);
  policy.allPrompts = united(policy.prompts, rules, false);
  indexRules(rules);
  return true;
}

/** Nobody reads the claims of tokens that no provider vouches for. */
function haveKnownIssuers(identity: Identity | null, rules: Rules, groups: NameSet | null): bool {
  if (groups === null) return true;
  let index: u32 = 0;
  for (let group = firstName(groups); group != 0; group = nextName(groups, group)) {
    const claim = claimOf(rules, load<u32>(group)); // SAFETY: the number of its claim stands in front of every group.
    if (claim === null || !isIssuer(identity, claim.issuerAt, claim.issuerBytes)) {
      enterMember("groups");
      enterElement(index);
      enterMember("issuer");
      return told("found an issuer that no entry of identity.jwt has, expected one of theirs");
    }
    index++;
  }
  return true;
}

function isIssuer(identity: Identity | null, issuer: usize, bytes: u32): bool {
  if (identity === null) return false;
  let source = identity.tokens;
  while (source !== null) {
    if (source.issuerBytes == bytes && equalBytes(source.issuerAt, issuer, bytes)) return true;
    source = source.next;
  }
  return false;
}

/** Whether each of the lists has something that not everybody gets. */
function adds(policy: Policy, rule: Rule): bool {
  if (hasAll(policy.tools, rule.tools)) return toldIn("tool_allowlist");
  if (hasAll(policy.prompts, rule.prompts)) return toldIn("prompt_allowlist");
  if (coversAll(policy.resourceRoots, rule.roots)) return toldIn("resource_roots");
  const asksNobody = policy.approvalOff && (rule.approvalOff || rule.exempt !== null);
  return asksNobody || hasAll(policy.approvalExempt, rule.exempt) ? toldIn("approval") : true;
}

function toldIn(member: Literal): bool {
  enterMember(member);
  return told(HAD);
}

function hasAll(all: NameSet | null, names: NameSet | null): bool {
  if (all === null || names === null) return false;
  for (let name = firstName(names); name != 0; name = nextName(names, name)) {
    if (!hasName(all, name, nameBytes(name))) return false;
  }
  return true;
}

function coversAll(all: NameSet | null, roots: NameSet | null): bool {
  if (all === null || roots === null) return false;
  for (let root = firstName(roots); root != 0; root = nextName(roots, root)) {
    if (!isCovered(all, root, nameBytes(root))) return false;
  }
  return true;
}

function isCovered(all: NameSet, root: usize, bytes: u32): bool {
  for (let above = firstName(all); above != 0; above = nextName(all, above)) {
    if (isUnder(above, nameBytes(above), root, bytes)) return true;
  }
  return false;
}

/** What everybody gets and what rules add to it; the very set of everybody when they add nothing. */
function united(everybody: NameSet | null, rules: Rules, areTools: bool): NameSet | null {
  let union: NameSet | null = null;
  let rule = rules.first;
  while (rule !== null) {
    const names = areTools ? rule.tools : rule.prompts;
    if (names !== null) {
      let set: NameSet = union === null ? copyOf(everybody) : union;
      for (let name = firstName(names); name != 0; name = nextName(names, name)) {
        set = withRoom(set, nameBytes(name));
        addName(set, name, nameBytes(name));
      }
      union = set;
    }
    rule = rule.next;
  }
  return union === null ? everybody : packed(union);
}

function copyOf(names: NameSet | null): NameSet {
  let copy = allocateNameSet(16, 256);
  if (names === null) return copy;
  for (let name = firstName(names); name != 0; name = nextName(names, name)) {
    copy = withRoom(copy, nameBytes(name));
    addName(copy, name, nameBytes(name));
  }
  return copy;
}
