// The index of rules and what it gives, for tests that look at them from inside. Compiled with the options of the release build.

// For the compiler, which is told to call it.
import "../../../assembly/host/abort";

import { setHashKey } from "../../../assembly/memory/siphash";
import {
  beginMatch,
  endMatch,
  Grant,
  isExempt,
  isPromptListed,
  isToolListed,
  nextRule,
  noteFact,
} from "../../../assembly/policy/grant";
import { addName, allocateNameSet, NameSet, withRoom } from "../../../assembly/policy/name-set";
import { allocatePolicy, Policy } from "../../../assembly/policy/policy";
import {
  addRule as add,
  allocateRules,
  Fact,
  FactKind,
  factOf,
  freeRules,
  indexRules,
  Rule,
  Rules,
} from "../../../assembly/policy/rules";

/** Lists nothing, so that only rules give anything. */
const policy: Policy = allocatePolicy();
let rules: Rules = allocateRules();
let grant: Grant | null = null;

/** A block of `bytes` bytes for the caller's input. */
export function allocate(bytes: u32): usize {
  return heap.alloc(bytes);
}

/** Sets the key of the hashes. */
export function setKey(first: u64, second: u64): void {
  setHashKey(first, second);
}

function forgetGrant(): void {
  const old = grant;
  if (old !== null) heap.free(changetype<usize>(old));
  grant = null;
}

/** Forgets all rules. */
export function reset(): void {
  forgetGrant();
  freeRules(rules);
  rules = allocateRules();
}

/** A rule without anything, of which the next calls are. */
export function addRule(approvalOff: bool): void {
  add(rules).approvalOff = approvalOff;
}

/** Adds a text to the list of the last rule that has facts of this kind. */
export function addText(kind: FactKind, address: usize, bytes: u32): void {
  const rule = rules.last;
  if (rule === null) return;
  const old = listOf(rule, kind);
  const set = old === null ? allocateNameSet(1, bytes) : withRoom(old, bytes);
  addName(set, address, bytes);
  switch (kind) {
    case FactKind.Principal:
      rule.principals = set;
      break;
    case FactKind.Group:
      rule.groups = set;
      break;
    case FactKind.Workload:
      rule.workloads = set;
      break;
    case FactKind.Tool:
      rule.tools = set;
      break;
    case FactKind.Prompt:
      rule.prompts = set;
      break;
    default:
      rule.exempt = set;
      break;
  }
}

function listOf(rule: Rule, kind: FactKind): NameSet | null {
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

export function index(): void {
  indexRules(rules);
}

/** Where the rules that name a fact stand; 0 when none does. */
export function referencesAt(kind: FactKind, address: usize, bytes: u32): usize {
  const fact = factOf(rules, kind, address, bytes);
  return fact === null ? 0 : changetype<Fact>(fact).rulesAt;
}

export function begin(): void {
  beginMatch();
}

export function note(kind: FactKind, address: usize, bytes: u32): void {
  noteFact(rules, kind, address, bytes);
}

/** How many rules match. */
export function end(): u32 {
  forgetGrant();
  const found = endMatch(rules, 0);
  grant = found;
  return found === null ? 0 : found.count;
}

/** The first that matches and is not below `from`. */
export function nextMatch(from: u32): u32 {
  const found = grant;
  return found === null ? rules.count : nextRule(found, from);
}

/** Whether what the grant gives has a tool, a prompt, or a tool that needs no approval. */
export function has(kind: FactKind, address: usize, bytes: u32): bool {
  if (kind == FactKind.Tool) return isToolListed(policy, grant, address, bytes);
  if (kind == FactKind.Prompt) return isPromptListed(policy, grant, address, bytes);
  return isExempt(policy, grant, address, bytes);
}
