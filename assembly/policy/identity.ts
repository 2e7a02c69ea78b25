// `identity`: whom the proxy's configuration lets vouch for the human behind a request.

import { freeNameSet, NameSet } from "./name-set";

@unmanaged
export class Identity {
  /** First entry of `jwt`, or null. */
  tokens: TokenSource | null;
  /** `header.name` as the configuration has it; 0 bytes when there is no `header`. Owned. */
  headerAt: usize;
  headerBytes: u32;
  /** `header.trusted_gateways`; null when there is no `header`. */
  gateways: NameSet | null;
  /** `require_human`. */
  needsHuman: bool;
  /** `require_principal`. */
  needsPrincipal: bool;
  /** The member is absent, and stands in for it because `rules` ask who calls. */
  isImplied: bool;
}

/** One entry of `jwt`: a claim of the tokens of one issuer, which Envoy's jwt_authn has checked under the name of a provider. */
@unmanaged
export class TokenSource {
  next: TokenSource | null;
  providerAt: usize;
  providerBytes: u32;
  issuerAt: usize;
  issuerBytes: u32;
  claimAt: usize;
  claimBytes: u32;
}

/** An identity in which nothing is set. Freed with `freeIdentity`. */
export function allocateIdentity(): Identity {
  const identity = changetype<Identity>(heap.alloc(offsetof<Identity>()));
  memory.fill(changetype<usize>(identity), 0, offsetof<Identity>());
  return identity;
}

/** A token source with copies of its three texts behind it in one block. */
export function createTokenSource(
  providerAt: usize,
  providerBytes: u32,
  issuerAt: usize,
  issuerBytes: u32,
  claimAt: usize,
  claimBytes: u32,
): TokenSource {
  const address = heap.alloc(offsetof<TokenSource>() + providerBytes + issuerBytes + claimBytes);
  const source = changetype<TokenSource>(address);
  source.next = null;
  source.providerAt = address + offsetof<TokenSource>();
  source.providerBytes = providerBytes;
  source.issuerAt = source.providerAt + providerBytes;
  source.issuerBytes = issuerBytes;
  source.claimAt = source.issuerAt + issuerBytes;
  source.claimBytes = claimBytes;
  memory.copy(source.providerAt, providerAt, providerBytes);
  memory.copy(source.issuerAt, issuerAt, issuerBytes);
  memory.copy(source.claimAt, claimAt, claimBytes);
  return source;
}

/** Frees an identity with all that it owns. */
export function freeIdentity(identity: Identity): void {
  let source = identity.tokens;
  while (source !== null) {
    const after = source.next;
    heap.free(changetype<usize>(source));
    source = after;
  }
  if (identity.headerBytes != 0) heap.free(identity.headerAt);
  const gateways = identity.gateways;
  if (gateways !== null) freeNameSet(gateways);
  heap.free(changetype<usize>(identity));
}
