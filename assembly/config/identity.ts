// `identity`: where the name of the human behind a request may come from.

import { JsonReader, Token } from "../json/reader";
import {
  CLAIM_BYTES_MAX,
  GATEWAYS_MAX,
  HEADER_NAME_BYTES_MAX,
  ISSUER_BYTES_MAX,
  PROVIDER_BYTES_MAX,
  SPIFFE_ID_BYTES_MAX,
  TOKEN_SOURCES_MAX,
} from "../limits";
import { equalBytes, Literal } from "../memory/bytes";
import { allocateIdentity, createTokenSource, Identity, TokenSource } from "../policy/identity";
import { firstName, NameSet, nameBytes, nextName } from "../policy/name-set";
import { Policy } from "../policy/policy";
import { isSpiffeId } from "../policy/workload";
import { enterElement, expected, leavePath, placeAtHand, told } from "./problem";
import {
  Member,
  nextElement,
  nextMember,
  readNames,
  readStart,
  readString,
  readValue,
  textAt,
  textBytes,
} from "./values";

const KNOWN = "jwt header require_human require_principal";
const KNOWN_TOKEN = "provider issuer claim";
const KNOWN_HEADER = "name trusted_gateways";

// The texts of the entry of `jwt` at hand, until its record is made.
const providerAt: usize = memory.data(PROVIDER_BYTES_MAX, 4);
const issuerAt: usize = memory.data(ISSUER_BYTES_MAX, 4);
const claimAt: usize = memory.data(CLAIM_BYTES_MAX, 4);
let providerBytes: u32 = 0;
let issuerBytes: u32 = 0;
let claimBytes: u32 = 0;
/** What `readTruth` found. */
let truth: bool = false;

/** Reads the object into `policy`, which owns it from then on. False when the problem has been told. */
export function readIdentity(reader: JsonReader, policy: Policy): bool {
  if (!readStart(reader, Token.ObjectStart, "an object with jwt, header, require_human and require_principal"))
    return false;
  const identity = allocateIdentity();
  policy.identity = identity;
  const place = placeAtHand();
  while (true) {
    const index = nextMember(reader, KNOWN, place);
    if (index == Member.End) break;
    if (index == Member.Bad) return false;
    const isGood =
      index == 0 ? readTokens(reader, identity) : index == 1 ? readHeader(reader, identity) : readTruth(reader);
    if (!isGood) return false;
    if (index == 2) identity.needsHuman = truth;
    else if (index == 3) identity.needsPrincipal = truth;
  }
  if (identity.needsHuman && identity.tokens === null && identity.gateways === null) {
    return told("found require_human without jwt and header, expected one of them: nobody else names a human");
  }
  return true;
}

function readTruth(reader: JsonReader): bool {
  const token = readValue(reader);
  if (token != Token.True && token != Token.False) {
    return expected(reader, token, textAt, textBytes, "true or false");
  }
  truth = token == Token.True;
  return true;
}

function readTokens(reader: JsonReader, identity: Identity): bool {
  if (!readStart(reader, Token.ArrayStart, "a list of objects with provider, issuer and claim")) return false;
  const place = placeAtHand();
  let last: TokenSource | null = null;
  let index: u32 = 0;
  while (true) {
    const token = nextElement(reader, index, place);
    if (token == Token.ArrayEnd) {
      return index != 0 || told("found an empty list, expected at least one object with provider, issuer and claim");
    }
    if (index == TOKEN_SOURCES_MAX) return told("the list has too many entries, expected at most 16");
    if (token != Token.ObjectStart) {
      return expected(reader, token, textAt, textBytes, "an object with provider, issuer and claim");
    }
    if (!readTokenSource(reader)) return false;
    if (isNamed(identity)) return told("found the same provider and issuer a second time, expected distinct ones");
    const source = createTokenSource(providerAt, providerBytes, issuerAt, issuerBytes, claimAt, claimBytes);
    if (last === null) identity.tokens = source;
    else last.next = source;
    last = source;
    index++;
  }
}

function readTokenSource(reader: JsonReader): bool {
  providerBytes = 0;
  issuerBytes = 0;
  claimBytes = 0;
  const place = placeAtHand();
  while (true) {
    const index = nextMember(reader, KNOWN_TOKEN, place);
    if (index == Member.End) break;
    if (index == Member.Bad) return false;
    if (index == 0) {
      if (!readPlain(reader, PROVIDER_BYTES_MAX, "a provider's name of 1 to 128 bytes without controls")) return false;
      providerBytes = textBytes;
      memory.copy(providerAt, textAt, textBytes);
    } else if (index == 1) {
      if (!readPlain(reader, ISSUER_BYTES_MAX, "an issuer of 1 to 256 bytes without controls")) return false;
      issuerBytes = textBytes;
      memory.copy(issuerAt, textAt, textBytes);
    } else {
      if (!readPlain(reader, CLAIM_BYTES_MAX, "a claim's name of 1 to 128 bytes without controls")) return false;
      claimBytes = textBytes;
      memory.copy(claimAt, textAt, textBytes);
    }
  }
  if (providerBytes == 0) return told("found no provider, expected the name under which jwt_authn keeps the payload");
  if (issuerBytes == 0) return told("found no issuer, expected the iss of its tokens");
  return claimBytes != 0 || told("found no claim, expected the name of the claim that identifies the human");
}

/** Whether an entry has the provider and the issuer at hand. */
function isNamed(identity: Identity): bool {
  let source = identity.tokens;
  while (source !== null) {
    if (
      source.providerBytes == providerBytes &&
      source.issuerBytes == issuerBytes &&
      equalBytes(source.providerAt, providerAt, providerBytes) &&
      equalBytes(source.issuerAt, issuerAt, issuerBytes)
    ) {
      return true;
    }
    source = source.next;
  }
  return false;
}

/** A string of 1 to `most` bytes without controls: one with NUL would be two segments of a property's path. */
export function readPlain(reader: JsonReader, most: u32, what: Literal): bool {
  if (!readString(reader, most, what)) return false;
  for (let i: u32 = 0; i < textBytes; i++) {
    const byte = u32(load<u8>(textAt + i)); // SAFETY: i < textBytes.
    if (byte < 0x20 || byte == 0x7f) return expected(reader, Token.String, textAt, textBytes, what);
  }
  return true;
}

function readHeader(reader: JsonReader, identity: Identity): bool {
  if (!readStart(reader, Token.ObjectStart, "an object with name and trusted_gateways")) return false;
  const place = placeAtHand();
  while (true) {
    const index = nextMember(reader, KNOWN_HEADER, place);
    if (index == Member.End) break;
    if (index == Member.Bad) return false;
    if (!(index == 0 ? readHeaderName(reader, identity) : readGateways(reader, identity))) return false;
  }
  if (identity.headerBytes == 0) return told("found no name, expected a header's name like User-Identity");
  return identity.gateways !== null || told("found no trusted_gateways, expected a list of SPIFFE ids");
}

function readHeaderName(reader: JsonReader, identity: Identity): bool {
  const what = "a header's name like User-Identity, 1 to 64 letters, digits and hyphens";
  if (!readString(reader, HEADER_NAME_BYTES_MAX, what)) return false;
  if (!isHeaderName(textAt, textBytes)) return expected(reader, Token.String, textAt, textBytes, what);
  identity.headerAt = heap.alloc(textBytes);
  identity.headerBytes = textBytes;
  memory.copy(identity.headerAt, textAt, textBytes);
  return true;
}

/** Fewer bytes than RFC 9110 section 5.1 allows: what every server has the same variable for. */
function isHeaderName(address: usize, bytes: u32): bool {
  for (let i: u32 = 0; i < bytes; i++) {
    const byte = u32(load<u8>(address + i)); // SAFETY: i < bytes.
    if ((byte | 0x20) - 0x61 >= 26 && byte - 0x30 >= 10 && byte != 0x2d) return false;
  }
  return true;
}

function readGateways(reader: JsonReader, identity: Identity): bool {
  const gateways = readNames(reader, SPIFFE_ID_BYTES_MAX, "a SPIFFE id of 1 to 512 bytes");
  identity.gateways = gateways;
  if (gateways === null) return false;
  if (gateways.entries == 0) return told("found an empty list, expected at least one SPIFFE id");
  if (gateways.entries > GATEWAYS_MAX) return told("the list has too many entries, expected at most 256");
  return areSpiffeIds(gateways);
}

function areSpiffeIds(ids: NameSet): bool {
  let index: u32 = 0;
  for (let id = firstName(ids); id != 0; id = nextName(ids, id)) {
    const before = enterElement(index);
    if (!isSpiffeId(id, nameBytes(id))) {
      return told("expected a SPIFFE id like spiffe://cluster.local/ns/gateway/sa/ai-gateway");
    }
    leavePath(before);
    index++;
  }
  return true;
}
