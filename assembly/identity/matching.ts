// Which rules of a policy the identity at hand (principal.ts) matches. Each of its facts is looked up once: the principal, the values of the claims
// that rules ask for, the beginnings of the workload's id. How often that is depends on the identity, and not on how many rules there are.

import { landedAt, landedBytes } from "../host/landing";
import { addSegment, addSegmentBytes, fetchProperty, pathLength, shortenPath } from "../host/property";
import { SELECTOR_TEXT_MAX, SPIFFE_ID_BYTES_MAX, WORKLOAD_SEGMENTS_MAX } from "../limits";
import { equalBytes } from "../memory/bytes";
import { isPlainText } from "../memory/text";
import { beginMatch, endMatch, Grant, noteFact } from "../policy/grant";
import { Identity, TokenSource } from "../policy/identity";
import { AskedClaim, FactKind, Rules } from "../policy/rules";
import { pathSegments, segmentEnd } from "../policy/workload";
import { firstText, textBytes, textsOf } from "./claim-list";
import {
  beginPayload,
  hasVouched,
  isConflict,
  issuerAt,
  issuerBytes,
  principalAt,
  principalBytes,
  Source,
  source,
  workloadAt,
  workloadBytes,
} from "./principal";

/** The text of a fact (policy/rules.ts): a number, and one or two texts of at most so many bytes. */
const FACT_ROOM: u32 = 4 + SPIFFE_ID_BYTES_MAX + SELECTOR_TEXT_MAX;
const factAt: usize = memory.data(FACT_ROOM, 4);

/**
 * The rules that the identity at hand matches, which `findPrincipal` has found; null when there are none. What had landed is gone afterwards. The
 * caller owns it: `heap.free`.
 */
export function findGrant(identity: Identity, rules: Rules, generation: u32): Grant | null {
  // Two names for one request are nobody's rights.
  if (isConflict) return null;
  beginMatch();
  notePrincipal(rules);
  noteWorkload(rules);
  noteGroups(identity, rules);
  return endMatch(rules, generation);
}

function notePrincipal(rules: Rules): void {
  if (source == Source.None) return;
  store<u32>(factAt, issuerBytes); // SAFETY: the number, an issuer and a principal have at most FACT_ROOM bytes.
  memory.copy(factAt + 4, issuerAt, issuerBytes);
  memory.copy(factAt + 4 + issuerBytes, principalAt, principalBytes);
  noteFact(rules, FactKind.Principal, factAt, 4 + issuerBytes + principalBytes);
}

/** What cannot be a SPIFFE id, like two of them, begins with nothing. */
function noteWorkload(rules: Rules): void {
  const segments = pathSegments(workloadAt, workloadBytes);
  let end: u32 = 0;
  for (let i: u32 = 0; i < min(segments, WORKLOAD_SEGMENTS_MAX); i++) {
    end = segmentEnd(workloadAt, workloadBytes, end);
    noteFact(rules, FactKind.Workload, workloadAt, end);
  }
}

/** Claims count in tokens that name the principal: the header of a gateway says nothing of groups, and another token is about somebody else. */
function noteGroups(identity: Identity, rules: Rules): void {
  let index: u32 = 0;
  let token = identity.tokens;
  while (token !== null) {
    if (hasVouched(index)) noteClaims(token, rules);
    token = token.next;
    index++;
  }
}

function noteClaims(token: TokenSource, rules: Rules): void {
  let asked = rules.claims;
  while (asked !== null) {
    if (asked.issuerBytes == token.issuerBytes && equalBytes(asked.issuerAt, token.issuerAt, token.issuerBytes)) {
      noteClaim(token, rules, asked);
    }
    asked = asked.next;
  }
}

/**
 * A text, or a list of texts. The proxy does not say which: a text can have the very bytes of a list, and so can an object. But it gives the
 * element 0 of a list alone; of a text there is none, and of an object the value called "0", which is empty in one that has those bytes.
 */
function noteClaim(token: TokenSource, rules: Rules, asked: AskedClaim): void {
  beginPayload(token);
  addSegmentBytes(asked.claimAt, asked.claimBytes);
  const claim = pathLength();
  addSegment("0");
  const isList = fetchProperty() && landedBytes() != 0;
  shortenPath(claim);
  if (!fetchProperty()) return;
  const at = landedAt();
  const bytes = landedBytes();
  if (!isList) {
    if (isPlainText(at, bytes)) noteGroup(rules, asked, at, bytes);
    return;
  }
  const count = textsOf(at, bytes);
  let text = firstText(at, count);
  for (let i: u32 = 0; i < count; i++) {
    const size = textBytes(at, i);
    noteGroup(rules, asked, text, size);
    text += size + 2;
  }
}

function noteGroup(rules: Rules, asked: AskedClaim, value: usize, bytes: u32): void {
  if (bytes > SELECTOR_TEXT_MAX) return;
  store<u32>(factAt, asked.index); // SAFETY: the number and a value have at most FACT_ROOM bytes.
  memory.copy(factAt + 4, value, bytes);
  noteFact(rules, FactKind.Group, factAt, 4 + bytes);
}
