// Who asks: (issuer, value). A human whom a validated token or a trusted gateway names, else the workload whose certificate the peer has
// (docs/identity.md). Asked once per stream, and only what the policy configures.

import { landedAt, landedBytes } from "../host/landing";
import { addSegment, addSegmentBytes, beginPath, fetchProperty, pathLength, shortenPath } from "../host/property";
import { ACTORS_MAX, PRINCIPAL_BYTES_MAX, SPIFFE_ID_BYTES_MAX } from "../limits";
import { equalBytes } from "../memory/bytes";
import { isPlainText } from "../memory/text";
import { Identity, TokenSource } from "../policy/identity";
import { hasName } from "../policy/name-set";
import { headerCount, headerValueAt, headerValueBytes, lookAlikes } from "./header";

/** Who names the principal. */
export const enum Source {
  None,
  /** A token that the proxy has validated. */
  Jwt,
  /** A trusted gateway, in a header. */
  Header,
  /** The peer's own certificate: a workload, no human. */
  Peer,
}

// The principal of the request at hand. Filled by `findPrincipal`; the addresses are alive until its next call, or until the policy goes.
export let source: Source = Source.None;
export let principalAt: usize = 0;
export let principalBytes: u32 = 0;
export let issuerAt: usize = 0;
export let issuerBytes: u32 = 0;
/** The claim that a token has it in; 0 bytes when no token names it. */
export let claimAt: usize = 0;
export let claimBytes: u32 = 0;
/** The peer's SPIFFE id; 0 bytes when it has none. */
export const workloadAt: usize = memory.data(SPIFFE_ID_BYTES_MAX, 4);
export let workloadBytes: u32 = 0;
/** Who acts for the principal, the nearest first. */
export let actorCount: u32 = 0;
/** Identity headers that do not count. */
export let rejectedHeaders: u32 = 0;
/** Whether the header that arrived counts. */
export let isHeaderTrusted: bool = false;
/** Whether two of those who may name a human name different ones. */
export let isConflict: bool = false;
/** Which entries of `identity.jwt` have a token that names the principal, a bit for each in their order. */
let vouchers: u32 = 0;

const subjectAt: usize = memory.data(PRINCIPAL_BYTES_MAX, 4);
const actorsAt: usize = memory.data(PRINCIPAL_BYTES_MAX * ACTORS_MAX, 4);
const actorBytesAt: usize = memory.data(4 * ACTORS_MAX, 4);

/** Address of actor `index`, below `actorCount`. */
export function actorAt(index: u32): usize {
  return actorsAt + usize(index) * PRINCIPAL_BYTES_MAX;
}

/** Bytes of actor `index`, below `actorCount`. */
export function actorBytes(index: u32): u32 {
  return load<u32>(actorBytesAt + (usize(index) << 2)); // SAFETY: index < ACTORS_MAX.
}

/** Whether a token of entry `index` of `identity.jwt` names the principal. */
export function hasVouched(index: u32): bool {
  return ((vouchers >> index) & 1) != 0;
}

/** Whether there is a principal. */
export function isSomebody(): bool {
  return source != Source.None;
}

/** Whether the principal is a human. */
export function isHuman(): bool {
  return source == Source.Jwt || source == Source.Header;
}

/** Forgets the request before: of this one nobody has been asked. */
function beginPrincipal(): void {
  source = Source.None;
  principalBytes = 0;
  issuerBytes = 0;
  claimBytes = 0;
  workloadBytes = 0;
  actorCount = 0;
  rejectedHeaders = 0;
  isHeaderTrusted = false;
  isConflict = false;
  vouchers = 0;
}

/** Finds out who asks. The headers of the request must have been looked at (header.ts); what had landed is gone afterwards. */
export function findPrincipal(identity: Identity): void {
  beginPrincipal();
  findWorkload();
  const gateways = identity.gateways;
  if (gateways !== null) {
    const isGateway = workloadBytes != 0 && hasName(gateways, workloadAt, workloadBytes);
    isHeaderTrusted = isGateway && headerCount == 1 && lookAlikes == 0 && headerValueBytes != 0;
    rejectedHeaders = lookAlikes + (isHeaderTrusted ? 0 : headerCount);
  }
  let index: u32 = 0;
  let token = identity.tokens;
  while (token !== null) {
    if (takeToken(token)) vouchers |= 1 << index;
    token = token.next;
    index++;
  }
  if (isHeaderTrusted) takeHeader();
  if (source == Source.None && workloadBytes != 0) takePeer();
}

/**
 * The peer's certificate; at a waypoint the connection is the node's and has none, and Istio keeps the peer in filter state. A certificate whose
 * URI cannot be read is one all the same: its owner is nobody, whatever else says who that is.
 */
function findWorkload(): void {
  beginPath("connection");
  addSegment("uri_san_peer_certificate");
  if (fetchProperty() && landedBytes() != 0) {
    workloadBytes = keepLanded(workloadAt, SPIFFE_ID_BYTES_MAX);
    return;
  }
  beginPath("filter_state");
  addSegment("io.istio.peer_principal");
  workloadBytes = keepText(workloadAt, SPIFFE_ID_BYTES_MAX);
}

/** Fetches the property at hand and keeps it. Its bytes; 0 when there is none, or it is no text of at most `room` bytes. */
function keepText(address: usize, room: u32): u32 {
  return fetchProperty() ? keepLanded(address, room) : 0;
}

function keepLanded(address: usize, room: u32): u32 {
  const bytes = landedBytes();
  // A claim that is a list or an object has landed as bytes that hold NUL, one that is a truth value as a control, and one that is a number as
  // the eight bytes of a double: those of nearly all numbers hold controls or are no UTF-8.
  if (bytes > room || !isPlainText(landedAt(), bytes)) return 0;
  memory.copy(address, landedAt(), bytes);
  return bytes;
}

/** Begins the path of what stands in the payload of an entry's token (`payload_in_metadata` of Envoy's jwt_authn). */
export function beginPayload(token: TokenSource): void {
  beginPath("metadata");
  addSegment("filter_metadata");
  addSegment("envoy.filters.http.jwt_authn");
  addSegmentBytes(token.providerAt, token.providerBytes);
}

/** Looks for a token of an entry. Whether it names the principal. */
function takeToken(token: TokenSource): bool {
  beginPayload(token);
  const payload = pathLength();
  addSegment("iss");
  if (!fetchProperty() || landedBytes() != token.issuerBytes) return false;
  if (!equalBytes(landedAt(), token.issuerAt, token.issuerBytes)) return false;
  shortenPath(payload);
  addSegmentBytes(token.claimAt, token.claimBytes);
  if (source == Source.Jwt) {
    // A second token, of another provider.
    const bytes = fetchProperty() ? landedBytes() : 0;
    if (bytes == 0) return false;
    if (isPrincipal(token, landedAt(), bytes)) return true;
    isConflict = true;
    return false;
  }
  const bytes = keepText(subjectAt, PRINCIPAL_BYTES_MAX);
  if (bytes == 0) return false;
  source = Source.Jwt;
  principalAt = subjectAt;
  principalBytes = bytes;
  issuerAt = token.issuerAt;
  issuerBytes = token.issuerBytes;
  claimAt = token.claimAt;
  claimBytes = token.claimBytes;
  shortenPath(payload);
  takeActors();
  return true;
}

function isPrincipal(token: TokenSource, address: usize, bytes: u32): bool {
  return (
    bytes == principalBytes &&
    equalBytes(address, principalAt, bytes) &&
    token.issuerBytes == issuerBytes &&
    equalBytes(token.issuerAt, issuerAt, issuerBytes)
  );
}

/** RFC 8693 section 4.1: `act` names the current actor, and in it stands the one before. The path is that of the token's payload. */
function takeActors(): void {
  while (actorCount < ACTORS_MAX) {
    addSegment("act");
    const actor = pathLength();
    addSegment("sub");
    const bytes = keepText(actorAt(actorCount), PRINCIPAL_BYTES_MAX);
    if (bytes == 0) return;
    store<u32>(actorBytesAt + (usize(actorCount) << 2), bytes); // SAFETY: actorCount < ACTORS_MAX.
    actorCount++;
    shortenPath(actor);
  }
}

/** The gateway's word has no issuer of its own, so a token's principal is the same when its value is. */
function takeHeader(): void {
  if (source == Source.Jwt) {
    if (principalBytes != headerValueBytes || !equalBytes(principalAt, headerValueAt, headerValueBytes)) {
      isConflict = true;
    }
    return;
  }
  source = Source.Header;
  principalAt = headerValueAt;
  principalBytes = headerValueBytes;
  issuerAt = workloadAt;
  issuerBytes = workloadBytes;
}

/** A workload is vouched for by its trust domain: what stands in front of the path. */
function takePeer(): void {
  source = Source.Peer;
  principalAt = workloadAt;
  principalBytes = workloadBytes;
  issuerAt = workloadAt;
  issuerBytes = 0;
  let slashes: u32 = 0;
  while (issuerBytes < workloadBytes) {
    // SAFETY: issuerBytes < workloadBytes.
    if (u32(load<u8>(workloadAt + issuerBytes)) == 0x2f && ++slashes == 3) return;
    issuerBytes++;
  }
}
