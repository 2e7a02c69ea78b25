// Whether an issuer in `rules` is a trust domain, which vouches for workloads (docs/identity.md).

/** As the guard has it: a workload's SPIFFE id up to its path (SPIFFE-ID section 2). A bare name is none, and matches nobody. */
const TRUST_DOMAIN = /^spiffe:\/\/[^/]+$/;

export function isTrustDomain(issuer: string): boolean {
  return TRUST_DOMAIN.test(issuer);
}
