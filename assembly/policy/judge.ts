// What the policy says about one text of a message, wherever it stands: a URI, a template, a value for a template, the name of a
// prompt. Pure; None when it may pass.

import { URI_BYTES_MAX } from "../limits";
import { startsWithLiteral } from "../memory/bytes";
import { UriFault } from "../uri/fault";
import { isTemplateUnder, isUnder } from "../uri/root";
import { beginsWithSlash, checkUri, endsAuthority, Form, schemeBytes } from "../uri/rules";
import { Grant, isPromptListed, nextRule } from "./grant";
import { firstName, hasName, NameSet, nameBytes, nextName } from "./name-set";
import { Policy } from "./policy";
import { Reason } from "./reason";
import { ruleAt } from "./rules";

/** The URI rules alone. */
export function judgeText(policy: Policy, address: usize, bytes: u32, form: Form): Reason {
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
export function judgeValue(policy: Policy, address: usize, bytes: u32): Reason {
  if (bytes == 0) return Reason.None;
  const reason = judgeText(policy, address, bytes, Form.Path);
  if (reason != Reason.None) return reason;
  return beginsWithSlash(address, address + bytes) ? Reason.UriMalformed : Reason.None;
}

/** A resource must pass the rules and stand under one of the roots that everybody has, or that a rule adds. */
export function judgeResource(policy: Policy, grant: Grant | null, address: usize, bytes: u32): Reason {
  return judgeUnder(policy, grant, address, bytes, Form.Uri);
}

/** A template must pass the rules, and its literal part stand under one of the roots. */
export function judgeTemplate(policy: Policy, grant: Grant | null, address: usize, bytes: u32): Reason {
  return judgeUnder(policy, grant, address, bytes, Form.Template);
}

function judgeUnder(policy: Policy, grant: Grant | null, address: usize, bytes: u32, form: Form): Reason {
  if (!hasRoots(policy, grant)) return Reason.ResourceNotListed;
  const reason = judgeText(policy, address, bytes, form);
  if (reason != Reason.None) return reason;
  if (isUnderOne(policy.resourceRoots, address, bytes, form)) return Reason.None;
  if (grant === null) return Reason.ResourceNotListed;
  const rules = grant.rules;
  for (let index = nextRule(grant, 0); index < rules.count; index = nextRule(grant, index + 1)) {
    if (isUnderOne(ruleAt(rules, index).roots, address, bytes, form)) return Reason.None;
  }
  return Reason.ResourceNotListed;
}

/** Without a root the text need not be looked at. */
function hasRoots(policy: Policy, grant: Grant | null): bool {
  const roots = policy.resourceRoots;
  if (roots !== null && roots.entries != 0) return true;
  if (grant === null) return false;
  const rules = grant.rules;
  for (let index = nextRule(grant, 0); index < rules.count; index = nextRule(grant, index + 1)) {
    if (ruleAt(rules, index).roots !== null) return true;
  }
  return false;
}

function isUnderOne(roots: NameSet | null, address: usize, bytes: u32, form: Form): bool {
  if (roots === null) return false;
  for (let root = firstName(roots); root != 0; root = nextName(roots, root)) {
    const isIt =
      form == Form.Template
        ? isTemplateUnder(root, nameBytes(root), address, bytes)
        : isUnder(root, nameBytes(root), address, bytes);
    if (isIt) return true;
  }
  return false;
}

/** A prompt's name must be listed. */
export function judgePrompt(policy: Policy, grant: Grant | null, address: usize, bytes: u32): Reason {
  // Only URI_BYTES_MAX bytes of a longer name are here, and none so long can be listed.
  if (bytes > URI_BYTES_MAX) return Reason.PromptNotListed;
  return isPromptListed(policy, grant, address, bytes) ? Reason.None : Reason.PromptNotListed;
}

/** A URI that a client may fetch or open: a resource under a root, or one of the schemes and hosts of `response_uris`. */
export function judgeLink(policy: Policy, grant: Grant | null, address: usize, bytes: u32): Reason {
  const reason = judgeText(policy, address, bytes, Form.Uri);
  if (reason != Reason.None) return reason;
  if (judgeResource(policy, grant, address, bytes) == Reason.None) return Reason.None;
  const colon = schemeBytes(address, bytes);
  const schemes = policy.responseSchemes;
  const isListed = schemes === null ? startsWithLiteral(address, bytes, "https:") : hasName(schemes, address, colon);
  if (!isListed) return Reason.UriNotAllowed;
  const hosts = policy.responseHosts;
  return hosts === null || hasHost(hosts, address, bytes, colon) ? Reason.None : Reason.UriNotAllowed;
}

/** An icon's source: a link, or the picture itself (RFC 2397). */
export function judgeIcon(policy: Policy, grant: Grant | null, address: usize, bytes: u32): Reason {
  return startsWithLiteral(address, bytes, "data:") ? Reason.None : judgeLink(policy, grant, address, bytes);
}

/** Whether the authority behind the scheme of `colon` bytes is listed, as it stands. */
function hasHost(hosts: NameSet, address: usize, bytes: u32, colon: u32): bool {
  if (!startsWithLiteral(address + colon, bytes - colon, "://")) return false;
  const start = colon + 3;
  let end = start;
  // SAFETY: end < bytes.
  while (end < bytes && !endsAuthority(u32(load<u8>(address + end)))) end++;
  return hasName(hosts, address + start, end - start);
}
