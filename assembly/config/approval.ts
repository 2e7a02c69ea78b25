// `approval`: which tools need a human's approval, and, in mode `required`, who asks for it and whose receipts count.

import { JsonReader, Token } from "../json/reader";
import {
  APPROVAL_ARGUMENTS_BYTES_DEFAULT,
  APPROVAL_ARGUMENTS_BYTES_MAX,
  APPROVAL_ARGUMENTS_BYTES_MIN,
  APPROVAL_PAGE_BYTES_MAX,
  APPROVAL_POLL_MS_DEFAULT,
  APPROVAL_POLL_MS_MAX,
  APPROVAL_POLL_MS_MIN,
  APPROVAL_SERVER_BYTES_MAX,
  APPROVAL_TEXT_BYTES_MAX,
  APPROVAL_TIMEOUT_MS_DEFAULT,
  APPROVAL_TIMEOUT_MS_MAX,
  APPROVAL_TIMEOUT_MS_MIN,
  CLUSTER_BYTES_MAX,
  HOLD_SECONDS_DEFAULT,
  HOLD_SECONDS_MAX,
  NAME_BYTES_MAX,
  RECEIPT_KEYS_MAX,
  RECEIPT_KID_BYTES_MAX,
  VARIABLE_NAME_BYTES_MAX,
  WAITING_DEFAULT,
  WAITING_MAX,
  WAITING_PER_PRINCIPAL_DEFAULT,
  WAITING_PER_PRINCIPAL_MAX,
} from "../limits";
import { equalBytes } from "../memory/bytes";
import { Approver, createApprover, createReceiptKey, LegacyCarrier, ReceiptKey } from "../policy/approver";
import { firstName, hasName, NameSet, nameBytes, nextName } from "../policy/name-set";
import { Policy } from "../policy/policy";
import { decodeSpki, SPKI_BYTES } from "./p256-key";
import { areSegments, isPage } from "./page";
import { enterWord, expected, placeAtHand, told } from "./problem";
import {
  keepText,
  Member,
  nextElement,
  nextMember,
  number,
  readNames,
  readNumber,
  readPrintable,
  readStart,
  readString,
  readVariableName,
  readWord,
  textAt,
  textBytes,
} from "./values";

const KNOWN =
  "mode tools exempt server page service keys hold_seconds arguments_bytes waiting waiting_per_principal legacy_carrier";
const KNOWN_SERVICE = "cluster authority path timeout_ms poll_ms secret_env";
const KNOWN_KEY = "kid spki";

const WHAT = "an object with mode, tools, exempt and what mode: required needs";
const TOOL_NAME = "a tool name of 1 to 256 bytes";
const SERVER = "a name of 1 to 128 bytes of printable ASCII";
const PAGE =
  "a link like https://approve.example.com/a/ that ends with a slash, 1 to 512 bytes; http only for localhost and 127.0.0.1";
const CLUSTER = "a cluster's name of 1 to 512 bytes of printable ASCII";
const AUTHORITY = "a host of 1 to 256 bytes of printable ASCII";
const PATH = "a path like /v1 of 1 to 256 bytes without a slash at its end, a query and dot segments";
const VARIABLE = "the name of a variable like MCP_GUARD_APPROVAL_SECRET, 1 to 128 bytes";
const KID = "a key's name of 1 to 64 bytes of printable ASCII";
const SPKI = "the public key of the service in base64: a SubjectPublicKeyInfo (RFC 5480) of P-256, uncompressed";

/** Members in the order of KNOWN. */
const enum ApprovalMember {
  Mode,
  Tools,
  Exempt,
  Server,
  Page,
  Service,
  Keys,
  HoldSeconds,
  ArgumentsBytes,
  Waiting,
  WaitingPerPrincipal,
  LegacyCarrier,
  Count,
}

// What was read of the member at hand, until its record is made: keys may stand in front of all else.
const serverAt: usize = memory.data(APPROVAL_SERVER_BYTES_MAX, 4);
const pageAt: usize = memory.data(APPROVAL_PAGE_BYTES_MAX, 4);
const clusterAt: usize = memory.data(CLUSTER_BYTES_MAX, 4);
const authorityAt: usize = memory.data(APPROVAL_TEXT_BYTES_MAX, 4);
const pathAt: usize = memory.data(APPROVAL_TEXT_BYTES_MAX, 4);
const secretEnvAt: usize = memory.data(VARIABLE_NAME_BYTES_MAX, 4);
const kidsAt: usize = memory.data(RECEIPT_KEYS_MAX * RECEIPT_KID_BYTES_MAX, 4);
const spkisAt: usize = memory.data(RECEIPT_KEYS_MAX * SPKI_BYTES, 4);
const kidsBytes: usize = memory.data(RECEIPT_KEYS_MAX << 2, 4);
const DEFAULT_PATH: usize = memory.data<u8>([0x2f, 0x76, 0x31]); // /v1
const draft: Approver = changetype<Approver>(memory.data(offsetof<Approver>(), 8));
let isRequired: bool = false;
/** Bits of `ApprovalMember`. */
let seen: u32 = 0;
let keyCount: u32 = 0;

/** Reads the object into `policy`. False when the problem has been told. */
export function readApproval(reader: JsonReader, policy: Policy): bool {
  if (!readStart(reader, Token.ObjectStart, WHAT)) return false;
  setDefaults();
  const place = placeAtHand();
  while (true) {
    const index = nextMember(reader, KNOWN, place);
    if (index == Member.End) break;
    if (index == Member.Bad || !readMember(reader, policy, index)) return false;
    seen |= 1 << index;
  }
  if (seen == 0) return told("found no member, expected mode, tools or exempt");
  const tools = policy.approvalTools;
  const exempt = policy.approvalExempt;
  if (tools !== null && exempt !== null && haveOneName(tools, exempt)) {
    return told("found one name in tools and in exempt, expected it in one of them");
  }
  if (!isRequired) return standsAlone();
  if (!isWhole()) return false;
  setApprover(policy);
  return true;
}

function setDefaults(): void {
  isRequired = false;
  seen = 0;
  keyCount = 0;
  memory.fill(changetype<usize>(draft), 0, offsetof<Approver>());
  draft.serverAt = serverAt;
  draft.pageAt = pageAt;
  draft.clusterAt = clusterAt;
  draft.authorityAt = authorityAt;
  draft.pathAt = DEFAULT_PATH;
  draft.pathBytes = 3;
  draft.secretEnvAt = secretEnvAt;
  draft.timeoutMs = APPROVAL_TIMEOUT_MS_DEFAULT;
  draft.pollMs = APPROVAL_POLL_MS_DEFAULT;
  draft.holdMs = HOLD_SECONDS_DEFAULT * 1000;
  draft.argumentsBytesMax = APPROVAL_ARGUMENTS_BYTES_DEFAULT;
  draft.waitingMax = WAITING_DEFAULT;
  draft.waitingPerPrincipalMax = WAITING_PER_PRINCIPAL_DEFAULT;
  draft.legacyCarrier = LegacyCarrier.ToolError;
}

function readMember(reader: JsonReader, policy: Policy, member: ApprovalMember): bool {
  switch (member) {
    case ApprovalMember.Mode: {
      const mode = readWord(reader, "off required");
      policy.approvalOff = mode == 0;
      isRequired = mode == 1;
      return mode >= 0;
    }
    case ApprovalMember.Tools: {
      const tools = readNames(reader, NAME_BYTES_MAX, TOOL_NAME);
      policy.approvalTools = tools;
      return tools !== null;
    }
    case ApprovalMember.Exempt: {
      const exempt = readNames(reader, NAME_BYTES_MAX, TOOL_NAME);
      policy.approvalExempt = exempt;
      return exempt !== null;
    }
    case ApprovalMember.Server:
      if (!readPrintable(reader, APPROVAL_SERVER_BYTES_MAX, SERVER)) return false;
      draft.serverBytes = keepText(serverAt);
      return true;
    case ApprovalMember.Page:
      if (!readString(reader, APPROVAL_PAGE_BYTES_MAX, PAGE)) return false;
      if (!isPage(textAt, textBytes)) return expected(reader, Token.String, textAt, textBytes, PAGE);
      draft.pageBytes = keepText(pageAt);
      return true;
    case ApprovalMember.Service:
      return readService(reader);
    case ApprovalMember.Keys:
      return readKeys(reader);
    case ApprovalMember.LegacyCarrier: {
      const carrier = readWord(reader, "tool_error url_elicitation");
      draft.legacyCarrier = carrier;
      return carrier >= 0;
    }
    default:
      return readBound(reader, member);
  }
}

function readBound(reader: JsonReader, member: ApprovalMember): bool {
  switch (member) {
    case ApprovalMember.HoldSeconds:
      if (!readNumber(reader, 0, HOLD_SECONDS_MAX)) return false;
      draft.holdMs = number * 1000;
      return true;
    case ApprovalMember.ArgumentsBytes:
      if (!readNumber(reader, APPROVAL_ARGUMENTS_BYTES_MIN, APPROVAL_ARGUMENTS_BYTES_MAX)) return false;
      draft.argumentsBytesMax = number;
      return true;
    case ApprovalMember.Waiting:
      if (!readNumber(reader, 1, WAITING_MAX)) return false;
      draft.waitingMax = number;
      return true;
    default:
      if (!readNumber(reader, 1, WAITING_PER_PRINCIPAL_MAX)) return false;
      draft.waitingPerPrincipalMax = number;
      return true;
  }
}

function haveOneName(some: NameSet, others: NameSet): bool {
  for (let name = firstName(some); name != 0; name = nextName(some, name)) {
    if (hasName(others, name, nameBytes(name))) return true;
  }
  return false;
}

/** Members that say how to ask do nothing where nobody is asked, so their author must mean `required`. */
function standsAlone(): bool {
  for (let member: i32 = ApprovalMember.Server; member < ApprovalMember.Count; member++) {
    if ((seen & (1 << member)) == 0) continue;
    enterWord(KNOWN, member);
    return told("found it without mode: required, expected both");
  }
  return true;
}

/** Whether everything is there that has no default. */
function isWhole(): bool {
  if (!has(ApprovalMember.Server)) {
    return told("found mode: required without server, expected the name under which the service knows this server");
  }
  if (!has(ApprovalMember.Page)) {
    return told("found mode: required without page, expected the link to the service's pages");
  }
  if (!has(ApprovalMember.Service)) {
    return told("found mode: required without service, expected the cluster and the authority of the service");
  }
  return has(ApprovalMember.Keys) || told("found mode: required without keys, expected the keys that sign receipts");
}

function has(member: ApprovalMember): bool {
  return (seen & (1 << member)) != 0;
}

function setApprover(policy: Policy): void {
  const approver = createApprover(draft);
  let last: ReceiptKey | null = null;
  for (let i: u32 = 0; i < keyCount; i++) {
    const key = createReceiptKey(kidAt(i), kidBytes(i), spkiAt(i), SPKI_BYTES);
    if (last === null) approver.firstKey = key;
    else last.next = key;
    last = key;
  }
  policy.approver = approver;
}

function readService(reader: JsonReader): bool {
  if (!readStart(reader, Token.ObjectStart, "an object with cluster and authority")) return false;
  const place = placeAtHand();
  while (true) {
    const index = nextMember(reader, KNOWN_SERVICE, place);
    if (index == Member.End) break;
    if (index == Member.Bad || !readServiceMember(reader, index)) return false;
  }
  if (draft.clusterBytes == 0) {
    return told("found no cluster, expected the name of the proxy's cluster for the service");
  }
  return draft.authorityBytes != 0 || told("found no authority, expected the service's host like approval:8081");
}

function readServiceMember(reader: JsonReader, index: i32): bool {
  switch (index) {
    case 0:
      if (!readPrintable(reader, CLUSTER_BYTES_MAX, CLUSTER)) return false;
      draft.clusterBytes = keepText(clusterAt);
      return true;
    case 1:
      if (!readPrintable(reader, APPROVAL_TEXT_BYTES_MAX, AUTHORITY)) return false;
      draft.authorityBytes = keepText(authorityAt);
      return true;
    case 2:
      if (!readString(reader, APPROVAL_TEXT_BYTES_MAX, PATH)) return false;
      if (!areSegments(textAt, textBytes)) return expected(reader, Token.String, textAt, textBytes, PATH);
      draft.pathAt = pathAt;
      draft.pathBytes = keepText(pathAt);
      return true;
    case 3:
      if (!readNumber(reader, APPROVAL_TIMEOUT_MS_MIN, APPROVAL_TIMEOUT_MS_MAX)) return false;
      draft.timeoutMs = number;
      return true;
    case 4:
      if (!readNumber(reader, APPROVAL_POLL_MS_MIN, APPROVAL_POLL_MS_MAX)) return false;
      draft.pollMs = number;
      return true;
    default:
      if (!readVariableName(reader, VARIABLE)) return false;
      draft.secretEnvBytes = keepText(secretEnvAt);
      return true;
  }
}

function readKeys(reader: JsonReader): bool {
  if (!readStart(reader, Token.ArrayStart, "a list of objects with kid and spki")) return false;
  const place = placeAtHand();
  while (true) {
    const token = nextElement(reader, keyCount, place);
    if (token == Token.ArrayEnd) {
      return keyCount != 0 || told("found an empty list, expected at least one object with kid and spki");
    }
    if (keyCount == RECEIPT_KEYS_MAX) return told("the list has too many entries, expected at most 2");
    if (token != Token.ObjectStart) {
      return expected(reader, token, textAt, textBytes, "an object with kid and spki");
    }
    if (!readKey(reader)) return false;
    for (let i: u32 = 0; i < keyCount; i++) {
      if (kidBytes(i) == kidBytes(keyCount) && equalBytes(kidAt(i), kidAt(keyCount), kidBytes(i))) {
        return told("found the same kid a second time, expected distinct ones");
      }
      if (equalBytes(spkiAt(i), spkiAt(keyCount), SPKI_BYTES)) {
        return told("found the same key a second time, expected distinct ones");
      }
    }
    keyCount++;
  }
}

/** Reads kid and spki of key `keyCount`. */
function readKey(reader: JsonReader): bool {
  let hasKid = false;
  let hasSpki = false;
  const place = placeAtHand();
  while (true) {
    const index = nextMember(reader, KNOWN_KEY, place);
    if (index == Member.End) break;
    if (index == Member.Bad) return false;
    if (index == 0) {
      if (!readPrintable(reader, RECEIPT_KID_BYTES_MAX, KID)) return false;
      // SAFETY: keyCount < RECEIPT_KEYS_MAX, which `readKeys` has checked.
      store<u32>(kidsBytes + (usize(keyCount) << 2), keepText(kidAt(keyCount)));
      hasKid = true;
    } else {
      // A text that is cut at the room of `textAt` is longer than any key.
      if (!readString(reader, u32.MAX_VALUE, SPKI)) return false;
      if (!decodeSpki(textAt, textBytes, spkiAt(keyCount))) {
        return expected(reader, Token.String, textAt, textBytes, SPKI);
      }
      hasSpki = true;
    }
  }
  if (!hasKid) return told("found no kid, expected the name of the key that receipts have");
  return hasSpki || told("found no spki, expected the service's public key in base64");
}

function kidAt(index: u32): usize {
  return kidsAt + index * RECEIPT_KID_BYTES_MAX;
}

function kidBytes(index: u32): u32 {
  // SAFETY: index < RECEIPT_KEYS_MAX: the callers count no further.
  return load<u32>(kidsBytes + (usize(index) << 2));
}

function spkiAt(index: u32): usize {
  return spkisAt + index * SPKI_BYTES;
}
