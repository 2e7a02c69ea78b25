// What the policy has found out about the texts of a message while it was read: URIs, prompt names, argument rules. They are
// not kept, so each is judged when the walk through the envelope stops at it, and only the outcome stays.

import { URI_BYTES_MAX } from "../limits";
import { Entry, Envelope, openPiece, Step, walk } from "../mcp/envelope";
import { Fault } from "../mcp/fault";
import { UriFault } from "../uri/fault";
import { isTemplateUnder, isUnder } from "../uri/root";
import { beginsWithSlash, checkUri, Form } from "../uri/rules";
import { ARGUMENT_WALK_BYTES, ArgumentWalk, initArgumentWalk, noteArgument, resetArgumentWalk } from "./argument-walk";
import { firstName, hasName, nameBytes, nextName } from "./name-set";
import { Policy } from "./policy";
import { Reason } from "./reason";

@unmanaged
export class Findings {
  /** `params.uri` by the URI rules alone, and as a resource. */
  uriRules: Reason;
  uri: Reason;
  refName: Reason;
  refUri: Reason;
  argumentValue: Reason;
  /** The first resource of a subscription filter that is not allowed. */
  listen: Reason;
  /** The first of the client's own roots that breaks the URI rules. */
  roots: Reason;
  walk: ArgumentWalk;
}

/** Bytes of findings with what stands behind them. */
export const FINDINGS_BYTES: u32 = ((u32(offsetof<Findings>()) + 7) & ~7) + ARGUMENT_WALK_BYTES;

/** Makes findings ready; they have FINDINGS_BYTES, 8-aligned. */
export function initFindings(findings: Findings): void {
  findings.walk = changetype<ArgumentWalk>((changetype<usize>(findings) + offsetof<Findings>() + 7) & ~7);
  initArgumentWalk(findings.walk);
  resetFindings(findings);
}

/** Forgets what was found. */
export function resetFindings(findings: Findings): void {
  findings.uriRules = Reason.None;
  findings.uri = Reason.None;
  findings.refName = Reason.None;
  findings.refUri = Reason.None;
  findings.argumentValue = Reason.None;
  findings.listen = Reason.None;
  findings.roots = Reason.None;
  resetArgumentWalk(findings.walk);
}

/** Reads the next `bytes` bytes of the body at `address`. A fault is final. */
export function readPiece(policy: Policy, envelope: Envelope, findings: Findings, address: usize, bytes: u32): Fault {
  openPiece(envelope, address, bytes);
  while (true) {
    switch (walk(envelope)) {
      case Step.NeedMore:
        return Fault.None;
      case Step.Json:
        return Fault.Json;
      case Step.NearName:
        return Fault.NearName;
      case Step.Entry:
        noteEntry(policy, envelope, findings);
        break;
      default:
        noteArgument(policy, findings.walk, envelope);
        break;
    }
  }
}

function noteEntry(policy: Policy, envelope: Envelope, findings: Findings): void {
  const at = envelope.entryAt;
  const bytes = envelope.entryBytes;
  switch (envelope.entry) {
    case Entry.Uri:
      findings.uriRules = judgeText(policy, at, bytes, Form.Uri);
      findings.uri = judgeResource(policy, at, bytes);
      break;
    case Entry.RefName:
      findings.refName = judgePrompt(policy, at, bytes);
      break;
    case Entry.RefUri:
      findings.refUri = judgeTemplate(policy, at, bytes);
      break;
    case Entry.ArgumentValue:
      if (findings.argumentValue == Reason.None) findings.argumentValue = judgeValue(policy, at, bytes);
      break;
    case Entry.ListenUri:
      if (findings.listen == Reason.None) findings.listen = judgeResource(policy, at, bytes);
      break;
    case Entry.RootUri:
      if (findings.roots == Reason.None) findings.roots = judgeText(policy, at, bytes, Form.Uri);
      break;
    default:
      break;
  }
}

/** The URI rules alone. */
function judgeText(policy: Policy, address: usize, bytes: u32, form: Form): Reason {
  switch (checkUri(address, bytes, policy.traversal, form)) {
    case UriFault.None:
      return Reason.None;
    case UriFault.Traversal:
      return Reason.UriTraversal;
    default:
      return Reason.UriMalformed;
  }
}

/** A value that is put into a template, perhaps where slashes are allowed: a path, and no absolute one. */
function judgeValue(policy: Policy, address: usize, bytes: u32): Reason {
  if (bytes == 0) return Reason.None;
  const reason = judgeText(policy, address, bytes, Form.Path);
  if (reason != Reason.None) return reason;
  return beginsWithSlash(address, address + bytes) ? Reason.UriMalformed : Reason.None;
}

/** A resource must pass the rules and stand under one of the roots. */
function judgeResource(policy: Policy, address: usize, bytes: u32): Reason {
  const roots = policy.resourceRoots;
  if (roots === null || roots.entries == 0) return Reason.ResourceNotListed;
  const reason = judgeText(policy, address, bytes, Form.Uri);
  if (reason != Reason.None) return reason;
  for (let root = firstName(roots); root != 0; root = nextName(roots, root)) {
    if (isUnder(root, nameBytes(root), address, bytes)) return Reason.None;
  }
  return Reason.ResourceNotListed;
}

/** A template must pass the rules, and its literal part stand under one of the roots. */
function judgeTemplate(policy: Policy, address: usize, bytes: u32): Reason {
  const roots = policy.resourceRoots;
  if (roots === null || roots.entries == 0) return Reason.ResourceNotListed;
  const reason = judgeText(policy, address, bytes, Form.Template);
  if (reason != Reason.None) return reason;
  for (let root = firstName(roots); root != 0; root = nextName(roots, root)) {
    if (isTemplateUnder(root, nameBytes(root), address, bytes)) return Reason.None;
  }
  return Reason.ResourceNotListed;
}

function judgePrompt(policy: Policy, address: usize, bytes: u32): Reason {
  const prompts = policy.prompts;
  // Only URI_BYTES_MAX bytes of a longer name are here, and none so long can be listed.
  if (prompts === null || bytes > URI_BYTES_MAX) return Reason.PromptNotListed;
  return hasName(prompts, address, bytes) ? Reason.None : Reason.PromptNotListed;
}
